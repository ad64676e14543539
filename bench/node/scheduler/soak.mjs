// Dispatches and runs jobs without a pause while retention deletes them, and checks that each ran exactly once, and that
// memory and file have levelled off. Usage: node bench/node/scheduler/soak.mjs [--minutes 20] [--rate jobs a second]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { mib, quantile, row, sizeOf } from './figures.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, rate: { type: 'string' } } });
const minutes = Number(values.minutes ?? 20);
const rate = Number(values.rate ?? Number.POSITIVE_INFINITY);
if (!(minutes > 0 && rate > 0)) throw new Error('--minutes and --rate must be numbers above 0');

/** Upper bound of the jobs that have been dispatched and have not run. */
const MAX_WAITING_JOBS = 10_000;
const DISPATCHER_COUNT = 1_000;
const MAX_SAMPLES = 240;
/** Upper bound of the growth from the third quarter to the last. */
const MAX_GROWTH_FACTOR = 1.25;
const RETAINED_JOBS = 100_000;
/** The store may hold more than retention keeps: jobs that ended since the last sweep. */
const MAX_STORED_JOBS = 3 * RETAINED_JOBS;

const folder = mkdtempSync(join(tmpdir(), 'ductape-soak-'));
const file = join(folder, 'jobs.db');
const target = { app: 'mail', event: 'send' };

/** A multiset of numbers: its size, and two sums, at least one of which changes when a number is missing or occurs twice. */
class Tally {
  count = 0;
  #sum = 0n;
  #mixed = 0;
  add(n) {
    this.count++;
    this.#sum += BigInt(n);
    this.#mixed = (this.#mixed + Math.imul(n ^ (n >>> 15), 0x85ebca6b)) | 0;
  }
  get text() {
    return `${this.count} jobs, sum ${this.#sum}, mixed ${this.#mixed}`;
  }
}

const dispatched = new Tally();
const ran = new Tally();
const until = performance.now() + minutes * 60_000;
const keep = { age: 60_000, count: RETAINED_JOBS };

/** Most jobs are due at once, some a little later, and one of a hundred fails. */
function next(n) {
  const schedule = n % 10 === 0 ? { start_at: Date.now() + (n % 2_000) } : undefined;
  return { ...target, input: { n, text: 'x'.repeat(100) }, ...(schedule && { schedule }) };
}

function handle({ input: { n } }) {
  ran.add(n);
  if (n % 100 === 0) throw new Error('one of a hundred');
}

async function dispatchLoop(ductape, began, state) {
  while (performance.now() < until) {
    const allowed = ((performance.now() - began) / 1000) * rate;
    if (dispatched.count - ran.count >= MAX_WAITING_JOBS || state.last >= allowed) {
      await delay(5);
      continue;
    }
    const n = ++state.last;
    await ductape.actions.dispatch(next(n));
    dispatched.add(n);
  }
}

async function sample(ductape, samples) {
  const every = Math.max(2_000, (minutes * 60_000) / MAX_SAMPLES);
  const began = performance.now();
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  row('s', 'ran', 'a second', 'in the store', 'RSS', 'file and log', 'event loop p99');
  row('---:', '---:', '---:', '---:', '---:', '---:', '---:');
  let last = { at: began, ran: 0 };
  while (performance.now() < until) {
    await delay(Math.min(every, Math.max(1, until - performance.now())));
    const stats = await ductape.jobs.getStats();
    const ended = stats.completed + stats.failed;
    const now = { at: performance.now(), ran: ran.count, ended, rss: process.memoryUsage.rss(), size: sizeOf(file) };
    samples.push(now);
    row(
      ((now.at - began) / 1000).toFixed(0),
      now.ran.toLocaleString('en'),
      Math.round(((now.ran - last.ran) / (now.at - last.at)) * 1000).toLocaleString('en'),
      ended.toLocaleString('en'),
      mib(now.rss),
      mib(now.size),
      `${(loop.percentile(99) / 1e6).toFixed(1)} ms`,
    );
    loop.reset();
    last = now;
  }
}

async function waitUntilAllRan() {
  const deadline = performance.now() + 60_000;
  while (ran.count < dispatched.count && performance.now() < deadline) await delay(50);
}

/** Why a figure has not levelled off; nothing if it has. */
function checkGrowth(name, figures, shown) {
  const quarter = (n) =>
    figures.slice(Math.floor((figures.length * n) / 4), Math.floor((figures.length * (n + 1)) / 4));
  const [third, fourth] = [quantile(quarter(2), 0.5), quantile(quarter(3), 0.5)];
  const verdict = `${name}: median ${shown(third)} in the third quarter, ${shown(fourth)} in the last`;
  console.log(verdict);
  return fourth > third * MAX_GROWTH_FACTOR ? [`${verdict}: it grows`] : [];
}

const ductape = new Ductape({
  store: `sqlite:${file}`,
  product: 'shop',
  env: 'prd',
  worker: { concurrency: 100 },
  retention: { completed: keep, failed: keep, cancelled: keep },
});
const wrong = [];
try {
  ductape.actions.handle(target, handle);
  await ductape.start();
  const samples = [];
  const state = { last: 0 };
  const began = performance.now();
  const dispatchers = Array.from({ length: DISPATCHER_COUNT }, () => dispatchLoop(ductape, began, state));
  await Promise.all([sample(ductape, samples), ...dispatchers]);
  await waitUntilAllRan();
  console.log(`\ndispatched: ${dispatched.text}\nran:        ${ran.text}`);
  if (dispatched.text !== ran.text) wrong.push('not every job ran exactly once');
  if (samples.length < 8) wrong.push(`${samples.length} samples say nothing; let it run for longer`);
  else {
    wrong.push(
      ...checkGrowth(
        'RSS',
        samples.map(({ rss }) => rss),
        mib,
      ),
    );
    wrong.push(
      ...checkGrowth(
        'file and log',
        samples.map(({ size }) => size),
        mib,
      ),
    );
    const most = Math.max(...samples.map(({ ended }) => ended));
    console.log(
      `most ended jobs in the store: ${most.toLocaleString('en')}, ${RETAINED_JOBS.toLocaleString('en')} are kept`,
    );
    if (most > MAX_STORED_JOBS) wrong.push(`retention does not keep up: ${most} ended jobs, bound ${MAX_STORED_JOBS}`);
  }
} finally {
  await ductape.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(wrong.length === 0 ? '\npassed' : `\nFAILED\n${wrong.join('\n')}`);
if (wrong.length > 0) process.exitCode = 1;
