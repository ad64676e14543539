// Figures of the package on this machine, through its public interface: dispatch, run, latency, lateness. With `--store`
// also the store alone, in the same run. Usage: node bench/node/scheduler/run.mjs [--store] [jobs]
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';
import { lateness } from './lateness.mjs';

const withStore = process.argv.includes('--store');
const jobs = Number(process.argv.find((word) => /^\d+$/.test(word)) ?? 100_000);
const IN_FLIGHT = 500;
const CONCURRENCY = 100;
const input = { body: { userId: 'user_123', email: 'john@example.com', template: 'welcome' } };
const target = { app: 'email-service', event: 'send_welcome_email' };

const folder = mkdtempSync(join(tmpdir(), 'ductape-benchmark-'));
const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const rate = (count, ms) => `${Math.round((count / ms) * 1000).toLocaleString('en')}/s`;
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

/** Time of one small write with fsync, ms: the lower bound of every "fsynced" figure. */
function fsyncCost() {
  const file = openSync(join(folder, 'fsync'), 'w');
  const times = [];
  for (let n = 0; n < 200; n++) {
    const start = performance.now();
    writeSync(file, Buffer.alloc(4096), 0, 4096, 0);
    fsyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  return quantile(times, 0.5);
}

function open(name, options = {}) {
  return new Ductape({
    store: `sqlite:${join(folder, name)}.db`,
    product: 'shop',
    env: 'prd',
    worker: { concurrency: CONCURRENCY },
    ...options,
  });
}

async function timed(work) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpu: (user + system) / jobs };
}

async function throughput(durability) {
  const ductape = open(`throughput-${durability}`, { durability });
  await ductape.actions.dispatch({ app: 'other', event: 'warm-up', input });
  let sent = 0;
  const lane = async () => {
    while (sent++ < jobs) await ductape.actions.dispatch({ ...target, input });
  };
  const dispatched = await timed(() => Promise.all(Array.from({ length: IN_FLIGHT }, lane)));
  row(
    `dispatch, ${IN_FLIGHT} in flight, ${durability}`,
    rate(jobs, dispatched.ms),
    `${dispatched.cpu.toFixed(1)} µs CPU`,
  );

  let done = 0;
  const seen = new Set();
  const ran = await timed(async () => {
    const all = Promise.withResolvers?.() ?? withResolvers();
    ductape.actions.handle(target, (job) => {
      seen.add(job.id);
      if (++done === jobs) all.resolve();
    });
    await ductape.start();
    await all.promise;
  });
  const stats = await waitForRuns(ductape, jobs);
  if (seen.size !== jobs || stats.completed !== jobs)
    throw new Error(`${seen.size} ran, ${stats.completed} completed of ${jobs}`);
  row(
    `run a no-op handler, concurrency ${CONCURRENCY}, ${durability}`,
    rate(jobs, ran.ms),
    `${ran.cpu.toFixed(1)} µs CPU`,
  );

  const batch = Array.from({ length: 1000 }, () => ({ app: 'other', event: 'batch', input }));
  const many = await timed(async () => {
    for (let n = 0; n < jobs / 1000; n++) await ductape.actions.dispatchMany(batch);
  });
  row(`dispatchMany of 1,000, ${durability}`, rate(jobs, many.ms), `${many.cpu.toFixed(1)} µs CPU`);
  await ductape.close();
}

function withResolvers() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function waitForRuns(ductape, count) {
  for (;;) {
    const stats = await ductape.jobs.getStats();
    if (stats.completed >= count || stats.running + stats.queued === 0) return stats;
    await delay(20);
  }
}

async function latency(durability) {
  const ductape = open(`latency-${durability}`, { durability });
  let started;
  ductape.actions.handle(target, () => started(performance.now()));
  await ductape.start();
  const times = [];
  for (let n = 0; n < 1000; n++) {
    const start = new Promise((resolve) => {
      started = resolve;
    });
    const from = performance.now();
    const [at] = await Promise.all([start, ductape.actions.dispatch({ ...target, input })]);
    times.push(at - from);
    await delay(1);
  }
  row(
    `dispatch → handler start, ${durability}`,
    `p50 ${quantile(times, 0.5).toFixed(2)} ms`,
    `p99 ${quantile(times, 0.99).toFixed(2)} ms`,
  );
  await ductape.close();
}

/** Of jobs that are due one by one. */
async function latenessOf(jobsPerSecond) {
  const store = `sqlite:${join(folder, `lateness-${jobsPerSecond}`)}.db`;
  const late = await lateness({ store, rate: jobsPerSecond, seconds: 5, concurrency: CONCURRENCY });
  const shown = [0.5, 0.9, 0.99, 0.999, 1].map((q) => `p${q * 100} ${quantile(late, q)}`).join(', ');
  const measure = `lateness of scheduled jobs, ${jobsPerSecond.toLocaleString('en')}/s`;
  row(measure, `p99 ${quantile(late, 0.99)} ms`, `ms: ${shown}`);
}

function coldStart() {
  const script = `import('ductape').then(async ({ Ductape }) => {
    const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'prd' });
    await ductape.actions.dispatch({ app: 'a', event: 'b', input: {} });
    console.log(performance.now());
  })`;
  const times = Array.from({ length: 10 }, (_, n) => {
    const child = spawnSync(process.execPath, ['--eval', script, `sqlite:${join(folder, `cold-${n}`)}.db`], {
      encoding: 'utf8',
    });
    return Number(child.stdout);
  });
  row(
    'process start to first committed dispatch, cold',
    `median ${quantile(times, 0.5).toFixed(0)} ms`,
    `of which Node itself ${bareNode().toFixed(0)} ms`,
  );
}

function bareNode() {
  const child = () =>
    Number(spawnSync(process.execPath, ['--eval', 'console.log(performance.now())'], { encoding: 'utf8' }).stdout);
  return quantile(Array.from({ length: 10 }, child), 0.5);
}

console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, one 4 KiB write with fsync: ${fsyncCost().toFixed(2)} ms, ${jobs.toLocaleString('en')} jobs\n`,
);
row('measure', 'result', 'beside');
row('---', '---', '---');
try {
  await throughput('full');
  await throughput('relaxed');
  await latency('full');
  await latency('relaxed');
  await latenessOf(1_000);
  await latenessOf(10_000);
  coldStart();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (withStore) {
  console.log('\nThe store without Node:\n');
  spawnSync('cargo', ['bench', '--no-default-features', '--bench', 'store', '--', String(jobs)], {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
}
