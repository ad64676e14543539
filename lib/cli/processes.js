'use strict';
// Processes that are registered in a store: as rows of `top`, and as findings of `doctor`.

const { readFileSync } = require('node:fs');
const os = require('node:os');
const { countText, distanceText, durationText } = require('./format.js');

/** By then a live worker has taken over from a silent one: it has looked on for a lease and kept its own for 3.5 s. */
const TAKEOVER_MS = 14_000;

const STATE_STYLES = { alive: 'green', silent: 'red', dead: 'red' };

const runsText = (count) => `${countText(count)} ${count === 1 ? 'run' : 'runs'}`;

/** What a process is called: `4711 on web-1`. */
function nameOf({ pid, host, id }) {
  if (pid === undefined) return `with registration ${id}`;
  return host === undefined ? String(pid) : `${pid} on ${host}`;
}

const processColumns = (now) => [
  { name: 'PROCESS', of: nameOf, canCut: true },
  { name: 'STATE', of: ({ state }) => state, style: ({ state }) => STATE_STYLES[state] },
  { name: 'RUNNING', of: ({ running }) => running, isNumber: true },
  { name: 'PREFETCHED', of: ({ prefetched }) => prefetched, isNumber: true, spare: 1 },
  { name: 'SLOTS', of: ({ slots }) => slots, isNumber: true, spare: 2 },
  {
    name: 'SINCE',
    of: ({ registered_at: at }) => (at === undefined ? '' : durationText(Math.max(0, now - at))),
    isNumber: true,
    spare: 3,
  },
];

/** Whether a process of this machine is stopped, as by Ctrl-Z or a debugger; only Linux tells. */
function isStopped({ pid, host }) {
  if (process.platform !== 'linux' || host !== os.hostname()) return false;
  try {
    // `4711 (node) T …`; the name may hold anything.
    return /\) [Tt]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function takeoverText({ state, lease_ends_at: end }, others, now) {
  if (others === 0) return 'no worker is alive: start one, which takes them over';
  if (state === 'dead') return 'a worker takes them over within a second';
  const until = (end ?? now) + TAKEOVER_MS;
  return until > now
    ? `a worker takes them over ${distanceText(until, now)} at the latest`
    : 'a worker should have taken them over by now: look at its log';
}

/** What is wrong with a process; `undefined`: nothing that anybody should do something about. */
function findingOf(each, alive, now) {
  const { state, claimed } = each;
  const holds = claimed > 0 ? `holds ${runsText(claimed)}` : '';
  const name = `process ${nameOf(each)}`;
  if (state === 'dead') {
    if (claimed === 0) return undefined;
    return { message: `${name} has ended and still ${holds}`, remedy: takeoverText(each, alive, now) };
  }
  if (state !== 'silent') return undefined;
  const stopped = isStopped(each);
  const silence = each.seen_at === undefined ? '' : ` for ${durationText(Math.max(0, now - each.seen_at))}`;
  const why = stopped ? 'it is stopped' : 'it hangs, is stopped, is cut off from the store, or has died';
  const after = claimed > 0 ? takeoverText(each, alive, now) : 'it holds no runs';
  const act = stopped ? `let it go on (kill -CONT ${each.pid}) or end it` : 'end it if it does not come back';
  return {
    message: `${name} has not renewed its lease${silence}${holds && `, and ${holds}`}: ${why}`,
    remedy: `${after}; ${act}`,
  };
}

/** Findings about all of them, as texts. */
async function processFindings({ jobs, clock }) {
  const processes = await jobs.processes();
  const now = clock.now();
  const alive = processes.filter(({ state }) => state === 'alive');
  const sum = (of) => alive.reduce((total, each) => total + (of(each) ?? 0), 0);
  const message =
    alive.length === 0
      ? 'no worker is alive'
      : `${countText(alive.length)} alive, with ${runsText(sum(({ running }) => running))} in ${countText(sum(({ slots }) => slots))} slots`;
  const wrong = processes.map((each) => findingOf(each, alive.length, now)).filter((found) => found !== undefined);
  return { message, wrong };
}

module.exports = { processColumns, processFindings };
