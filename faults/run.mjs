// Runs rounds of faults against a model of what was acknowledged. Usage: see below, or `--help`.
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compilePreload } from './disk.mjs';
import { Lane } from './places.mjs';
import { drawPlan } from './plan.mjs';
import { Round } from './round.mjs';

const USAGE = `usage: node faults/run.mjs [--store sqlite|postgres] [--seed N] [--rounds N] [--lanes N] [--stop-at-first]

Each round has a seed: that of the first is --seed (default: drawn), and each next one is higher by 1. A round that fails
says what is wrong and leaves its log. Needs Linux, root, a C compiler, Python and, for PostgreSQL, its server programs.
`;
const STORES = ['sqlite', 'postgres'];

function readArguments() {
  const options = {
    store: { type: 'string' },
    seed: { type: 'string' },
    rounds: { type: 'string', default: '20' },
    lanes: { type: 'string', default: '3' },
    'stop-at-first': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' },
  };
  const { values } = parseArgs({ options });
  if (values.store !== undefined && !STORES.includes(values.store)) throw new Error(`--store must be one of ${STORES}`);
  const number = (name, least, given) => {
    const value = Number(given);
    if (!Number.isInteger(value) || value < least) throw new Error(`--${name} must be an integer of at least ${least}`);
    return value;
  };
  return {
    help: values.help,
    stores: values.store ? [values.store] : STORES,
    seed: number('seed', 0, values.seed ?? Math.floor(Math.random() * 1e9)),
    rounds: number('rounds', 1, values.rounds),
    lanes: number('lanes', 1, values.lanes),
    stopsAtFirst: values['stop-at-first'],
  };
}

/** Only debug builds have failpoints. */
async function addonHasFailpoints() {
  const root = join(import.meta.dirname, '..');
  const addons = (await readdir(root)).filter((name) => name.endsWith('.node'));
  const contents = await Promise.all(addons.map((name) => readFile(join(root, name))));
  return contents.some((content) => content.includes('DUCTAPE_FAILPOINTS'));
}

/** What all rounds on a store came to. */
class Tally {
  faults = new Map();
  failures = [];
  jobs = 0;
  again = 0;

  add(plan, { account, violations }, folder) {
    for (const { name } of plan.faults) this.#of(name).count++;
    for (const { fault, acknowledged, started } of account.recoveries()) {
      const entry = this.#of(fault.replaceAll('-', ' '));
      if (acknowledged !== undefined) entry.acknowledged.push(acknowledged);
      if (started !== undefined) entry.started.push(started);
    }
    this.jobs += account.acknowledged.size;
    for (const calls of account.starts.values()) this.again += calls.length - 1;
    if (violations.length > 0) this.failures.push({ plan, violations, folder });
  }

  #of(name) {
    if (!this.faults.has(name)) this.faults.set(name, { count: 0, acknowledged: [], started: [] });
    return this.faults.get(name);
  }

  lines() {
    const quantile = (values, q) => {
      const sorted = values.toSorted((a, b) => a - b);
      return sorted.length === 0 ? '-' : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]);
    };
    const times = (values) => [0.5, 0.95, 1].map((q) => String(quantile(values, q)).padStart(6)).join(' ');
    return [
      'ms after each fault was over until the next dispatch was acknowledged, and the next handler called: p50, p95, most',
      ...[...this.faults]
        .sort(([one], [next]) => one.localeCompare(next))
        .map(
          ([name, { count, acknowledged, started }]) =>
            `${name.padEnd(20)} ${String(count).padStart(5)}  ${times(acknowledged)}  ${times(started)}`,
        ),
      `${this.jobs} jobs acknowledged, ${this.again} calls of handlers for runs that had begun before`,
    ];
  }
}

async function runLane(lane, kind, panics, seeds, tally, stopsAtFirst) {
  try {
    await lane.start();
    for (let seed = seeds.next(); seed !== undefined; seed = seeds.next()) {
      if (stopsAtFirst && tally.failures.length > 0) return;
      const plan = drawPlan(seed, kind, panics);
      const place = await lane.place(plan);
      let result;
      try {
        result = await new Round(plan, place).run();
      } finally {
        await place.end();
      }
      tally.add(plan, result, place.folder);
      if (result.violations.length === 0) await rm(place.folder, { recursive: true });
      else report(kind, plan, result.violations, place.folder);
    }
  } finally {
    await lane.stop();
  }
}

function report(kind, plan, violations, folder) {
  console.error(`\n${kind}, seed ${plan.seed}: FAILED`);
  for (const fault of plan.faults) console.error(`  ${JSON.stringify(fault)}`);
  for (const violation of violations.slice(0, 10)) console.error(`  - ${violation}`);
  if (violations.length > 10) console.error(`  … ${violations.length - 10} more`);
  console.error(`  log: ${join(folder, 'log')}`);
  console.error(`  again: npm run test:long -- faults --store ${kind} --seed ${plan.seed} --rounds 1`);
}

async function runStore(kind, { seed, rounds, lanes, stopsAtFirst }, folder, preload, panics) {
  const from = performance.now();
  const tally = new Tally();
  let given = 0;
  const seeds = { next: () => (given < rounds && !interrupted ? seed + given++ : undefined) };
  const all = Array.from({ length: Math.min(lanes, rounds) }, (_, number) =>
    runLane(new Lane(join(folder, `${kind}-${number}`), kind, preload), kind, panics, seeds, tally, stopsAtFirst),
  );
  await Promise.all(all);
  const seconds = Math.round((performance.now() - from) / 1_000);
  const panicking = panics ? '' : ', without panics: the addon is a release build';
  console.log(
    `\n${kind}: ${given} rounds from seed ${seed} in ${seconds} s${panicking}; ${tally.failures.length} failed`,
  );
  for (const line of tally.lines()) console.log(line);
  return tally.failures.length === 0;
}

/** Rounds that are under way leave nothing behind when they may end. */
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    interrupted = true;
  });
}
let request;
try {
  request = readArguments();
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (request.help) {
  console.log(USAGE);
} else {
  const folder = await mkdtemp(join(tmpdir(), 'ductape-faults-'));
  // A server's files lie in it, and belong to another user.
  await chmod(folder, 0o755);
  const preload = await compilePreload(folder);
  const panics = await addonHasFailpoints();
  let clean = true;
  for (const kind of request.stores) clean = (await runStore(kind, request, folder, preload, panics)) && clean;
  if (clean) await rm(folder, { recursive: true });
  else process.exitCode = 1;
}
