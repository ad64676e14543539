// Runs rounds in which processes, schedules and clocks change at random, and examines what became of every point of every
// schedule. Usage: see below, or `--help`.
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lane } from './chaos/places.mjs';
import { drawPlan } from './chaos/plan.mjs';
import { examineAgain, Round } from './chaos/round.mjs';
import { compilePreload } from './disk.mjs';

const USAGE = `usage: node faults/chaos-time.mjs [--store sqlite|postgres] [--seed N] [--rounds N] [--lanes N] [--clocks none|forward|all]
       node faults/chaos-time.mjs --examine FOLDER

Each round has a seed: that of the first is --seed (default: drawn), and each next one is higher by 1. A round that fails
says what is wrong and leaves its log and what it was told, which --examine compares again. --clocks says which steps of the clock there are (default: all). Needs Linux, a C compiler
and, for PostgreSQL, its server programs.
`;
const STORES = ['sqlite', 'postgres'];
const CLOCKS = ['none', 'forward', 'all'];

function readArguments() {
  const options = {
    store: { type: 'string' },
    seed: { type: 'string' },
    rounds: { type: 'string', default: '20' },
    lanes: { type: 'string', default: '3' },
    clocks: { type: 'string', default: 'all' },
    examine: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  };
  const { values } = parseArgs({ options });
  const oneOf = (name, given, known) => {
    if (given !== undefined && !known.includes(given)) throw new Error(`--${name} must be one of ${known}`);
    return given;
  };
  const number = (name, least, given) => {
    const value = Number(given);
    if (!Number.isInteger(value) || value < least) throw new Error(`--${name} must be an integer of at least ${least}`);
    return value;
  };
  const store = oneOf('store', values.store, STORES);
  return {
    help: values.help,
    examine: values.examine,
    stores: store ? [store] : STORES,
    seed: number('seed', 0, values.seed ?? Math.floor(Math.random() * 1e9)),
    rounds: number('rounds', 1, values.rounds),
    lanes: number('lanes', 1, values.lanes),
    clocks: oneOf('clocks', values.clocks, CLOCKS),
  };
}

function report(kind, { seed, events }, clocks, violations, folder) {
  console.error(`\n${kind}, seed ${seed}: FAILED`);
  for (const event of events.filter(({ name }) => name === 'step')) console.error(`  ${JSON.stringify(event)}`);
  for (const violation of violations.slice(0, 12)) console.error(`  - ${violation}`);
  if (violations.length > 12) console.error(`  … ${violations.length - 12} more`);
  console.error(`  log: ${join(folder, 'log')}`);
  console.error(`  again: node faults/chaos-time.mjs --store ${kind} --clocks ${clocks} --seed ${seed} --rounds 1`);
}

async function runLane(lane, kind, clocks, seeds) {
  let failed = 0;
  await lane.start();
  try {
    for (let seed = seeds.next(); seed !== undefined; seed = seeds.next()) {
      const plan = drawPlan(seed, clocks);
      const place = await lane.place(plan);
      let violations;
      try {
        violations = await new Round(plan, place).run();
      } finally {
        await place.end();
      }
      if (violations.length === 0) {
        await rm(place.folder, { recursive: true });
        continue;
      }
      failed++;
      report(kind, plan, clocks, violations, place.folder);
    }
  } finally {
    await lane.stop();
  }
  return failed;
}

async function runStore(kind, { seed, rounds, lanes, clocks }, folder, preload) {
  const from = performance.now();
  let given = 0;
  const seeds = { next: () => (given < rounds && !interrupted ? seed + given++ : undefined) };
  const all = Array.from({ length: Math.min(lanes, rounds) }, (_, number) =>
    runLane(new Lane(join(folder, `${kind}-${number}`), kind, preload), kind, clocks, seeds),
  );
  const failed = (await Promise.all(all)).reduce((sum, count) => sum + count, 0);
  const seconds = Math.round((performance.now() - from) / 1_000);
  console.log(`\n${kind}: ${given} rounds from seed ${seed} in ${seconds} s; ${failed} failed`);
  return failed === 0;
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
} else if (request.examine) {
  const violations = await examineAgain(request.examine);
  for (const violation of violations) console.error(`  - ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
} else {
  const folder = await mkdtemp(join(tmpdir(), 'ductape-chaos-'));
  // A server's files lie in it, and belong to another user.
  await chmod(folder, 0o755);
  const preload = await compilePreload(folder);
  let clean = true;
  for (const kind of request.stores) clean = (await runStore(kind, request, folder, preload)) && clean;
  if (clean) await rm(folder, { recursive: true });
  else process.exitCode = 1;
}
