'use strict';
// `top`: a live view of the store; plain lines where there is no terminal.

const { setTimeout: sleep } = require('node:timers/promises');
const { EXIT } = require('./exit-codes.js');
const { countText, durationText, errorText, targetText, timeText } = require('./format.js');
const { NAMESPACES } = require('./names.js');
const { processColumns } = require('./processes.js');
const { takeSample } = require('./samples.js');
const { Screen } = require('./screen.js');
const { loadConfig, storeLabel, storeName, withStore } = require('./store.js');
const { cut, tableLines } = require('./table.js');
const { duration, integer } = require('./values.js');

const DEFAULT_INTERVAL_MS = 2_000;
const MIN_INTERVAL_MS = 100;
const SHOWN_STATES = ['running', 'queued', 'scheduled', 'paused', 'failed', 'failing', 'completed'];

const targetColumns = (now) => [
  { name: 'TARGET', of: (each) => `${each.namespace} ${targetText(each.target)}`, canCut: true },
  { name: 'RUNNING', of: (each) => each.running, isNumber: true },
  { name: 'QUEUED', of: (each) => each.queued, isNumber: true },
  {
    name: 'WAITS',
    of: (each) => (each.oldest_due === undefined ? '' : durationText(Math.max(0, now - each.oldest_due))),
    isNumber: true,
  },
];

const failureColumns = (out) => [
  { name: 'FAILED', of: (each) => timeText(each.at, out), spare: 1 },
  { name: 'TARGET', of: (each) => `${each.namespace} ${targetText(each.target)}`, canCut: true },
  { name: 'ID', of: (each) => each.id, canCut: true, spare: 2 },
  {
    name: 'ERROR',
    of: (each) =>
      each.error && `${each.in_a_row > 1 ? `${countText(each.in_a_row)} in a row, ` : ''}${errorText(each.error)}`,
    canCut: true,
    style: () => 'red',
  },
];

/** Those that do not answer first, then those that do the most. */
const byNeed = (processes) =>
  [...processes].sort((a, b) => (a.state === 'alive') - (b.state === 'alive') || b.claimed - a.claimed);

const rateText = (rate) => `${rate.toFixed(rate < 10 ? 1 : 0)}/s`;

/** The lines of one frame, in the size of the terminal. */
function frameOf(sample, problem, label, out) {
  const { at, stats, rates, targets, partial, failures, processes } = sample;
  const width = out.columns;
  const lines = [
    out.paint('bold', cut(`ductape top  ${timeText(at, out)}  ${label}`, width)),
    cut(SHOWN_STATES.map((state) => `${countText(stats[state])} ${state}`).join('   '), width),
    cut(
      `${rateText(rates.completed)} completed   ${rateText(rates.failed)} failed   ${(stats.success_rate * 100).toFixed(1)} % succeed   q quits`,
      width,
    ),
    problem ? out.paint('red', cut(problem, width)) : '',
  ];
  const all = Math.max(2, out.rows - lines.length - 1);
  // The processes have up to a quarter, and the failures at least a third of what is left.
  const shownProcesses = Math.min(processes.length, Math.floor(all / 4) - 2);
  const room = all - (shownProcesses > 0 ? shownProcesses + 2 : 0);
  const shownFailures = Math.min(failures.length, Math.max(Math.floor(room / 3), room - targets.length - 2) - 1);
  const shownTargets = room - (shownFailures > 0 ? shownFailures + 2 : 0) - 1;
  if (targets.length === 0) lines.push(out.paint('dim', cut('nothing is running or waits for a worker', width)));
  else lines.push(...tableLines(targetColumns(at), targets.slice(0, Math.max(1, shownTargets)), out));
  if (partial) lines.push(out.paint('dim', cut('targets of the newest 200 jobs in each state', width)));
  if (shownProcesses > 0) {
    const some = byNeed(processes).slice(0, shownProcesses);
    lines.push('', ...tableLines(processColumns(at), some, out));
  }
  if (shownFailures > 0) lines.push('', ...tableLines(failureColumns(out), failures.slice(0, shownFailures), out));
  return lines;
}

/** Redraws until a key or `count` ends it. */
async function runOnTerminal(ductape, { out, restorers }, { filter, label, interval, count }) {
  let sample = await takeSample(ductape, filter);
  let problem;
  let code;
  const ended = new AbortController();
  const screen = new Screen(out, restorers);
  screen.open((key) => {
    if (screen.isInterrupt(key)) code = EXIT.INTERRUPTED;
    else if (/q/i.test(key)) code = EXIT.DONE;
    if (code !== undefined) ended.abort();
  });
  try {
    for (let shown = 1; code === undefined; shown++) {
      screen.show(() => frameOf(sample, problem, label, out));
      if (shown === count) break;
      await sleep(interval, undefined, { signal: ended.signal }).catch(() => {});
      if (code !== undefined) break;
      try {
        sample = await takeSample(ductape, filter, sample);
        problem = undefined;
      } catch (error) {
        // The store may come back.
        problem = `${error.code}: ${error.message}`;
      }
    }
  } finally {
    screen.close();
  }
  return code ?? EXIT.DONE;
}

/** Writes a line for each sample until a signal or `count` ends it. */
async function runInLines(ductape, { out }, { filter, interval, count }) {
  const cells = ({ at, stats, rates, processes }) => [
    timeText(at, out),
    ...SHOWN_STATES.map((state) => stats[state]),
    rates.completed.toFixed(1),
    rates.failed.toFixed(1),
    processes.filter(({ state }) => state === 'alive').length,
  ];
  if (!out.isJson)
    out.line(
      ['TIME', ...SHOWN_STATES.map((state) => state.toUpperCase()), 'COMPLETED/S', 'FAILED/S', 'PROCESSES'].join('\t'),
    );
  let sample;
  for (let shown = 1; ; shown++) {
    sample = await takeSample(ductape, filter, sample);
    if (out.isJson) out.jsonLine(sample);
    else out.line(cells(sample).join('\t'));
    if (shown === count) return EXIT.DONE;
    await sleep(interval);
  }
}

module.exports = {
  name: 'top',
  summary: 'shows live what runs, waits and fails',
  about:
    'Shows live what runs, waits and fails, and the processes that run it. q quits. Without a terminal it writes a line for each look.',
  usage: '[options]',
  notes: ['With --json a line each: { at, stats, rates, targets, partial, failures, processes }.'],
  options: {
    interval: { type: 'string', value: 'DURATION', read: duration, about: 'between two looks; default 2s' },
    count: { type: 'string', value: 'N', read: integer(1), about: 'ends after so many looks' },
    product: { type: 'string', value: 'NAME', about: 'of this product' },
    env: { type: 'string', value: 'NAME', about: 'of this environment' },
    namespace: { type: 'string', value: 'NAME', words: NAMESPACES, about: 'of this kind: actions, features, …' },
  },
  examples: ['ductape top', 'ductape top --json --interval 10s --count 6'],
  async run(context) {
    const { values, out, env } = context;
    const { product, env: environment, namespace, count } = values;
    const filter = {
      ...(product && { product }),
      ...(environment && { env: environment }),
      ...(namespace && { namespace }),
    };
    const label = storeLabel(storeName(values, await loadConfig(values, env), env));
    const interval = Math.max(MIN_INTERVAL_MS, values.interval ?? DEFAULT_INTERVAL_MS);
    const isLive = out.isTerminal && !out.isJson;
    return withStore(context, (ductape) =>
      (isLive ? runOnTerminal : runInLines)(ductape, context, { filter, label, interval, count }),
    );
  },
};
