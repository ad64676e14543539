// What a worker costs that has nothing to do, and how soon it starts a job that another process dispatches.
// Usage: node bench/node/scheduler/idle.mjs [--store sqlite:FILE | postgres://…] [--waiting 0] [--seconds 20] [--starts 500]
// With `--waiting` so many jobs are scheduled for a later day before. A store that has them already is taken as it is.
import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { quantile, row, withResolvers } from './figures.mjs';

const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    waiting: { type: 'string', default: '0' },
    seconds: { type: 'string', default: '20' },
    starts: { type: 'string', default: '500' },
    durability: { type: 'string', default: 'relaxed' },
  },
});
const [waiting, seconds, starts] = [values.waiting, values.seconds, values.starts].map(Number);
const [DAY, BATCH, SETTLE_MS] = [86_400_000, 10_000, 10_000];
const folder = mkdtempSync(join(tmpdir(), 'ductape-idle-'));
const store = values.store ?? `sqlite:${join(folder, 'jobs.db')}`;
const input = { body: { userId: 'user_123', email: 'john@example.com', template: 'welcome' } };
const quiet = { debug() {}, info() {}, warn() {}, error: console.error };

/** Schedules what is missing of the waiting jobs. */
async function fill(ductape) {
  const { total } = await ductape.jobs.getStats();
  const from = Date.now() + DAY;
  for (let n = total; n < waiting; n += BATCH) {
    await ductape.features.dispatchMany(
      Array.from({ length: Math.min(BATCH, waiting - n) }, (_, k) => ({
        tag: `report-${k % 10}`,
        input,
        schedule: { start_at: from + Math.floor(Math.random() * 30 * DAY) },
      })),
    );
  }
}

/** A worker in a process of its own. */
async function startWorker() {
  const child = fork(new URL('idle-process.mjs', import.meta.url), [store, values.durability]);
  let answer = withResolvers();
  child.on('message', (message) => answer.resolve(message));
  const next = async () => {
    const message = await answer.promise;
    answer = withResolvers();
    return message;
  };
  const ask = (question) => {
    child.send(question);
    return next();
  };
  await next();
  return { pid: child.pid, next, ask, close: () => new Promise((done) => child.once('exit', done).send('close')) };
}

/** How often each thread of a process has gone to sleep so far, by its name. Linux only. */
function sleeps(pid) {
  const folder = `/proc/${pid}/task`;
  const counts = new Map();
  if (process.platform !== 'linux') return counts;
  for (const thread of readdirSync(folder)) {
    const status = readFileSync(join(folder, thread, 'status'), 'utf8');
    const [, name, count] = /^Name:\s*(.*)\n[\s\S]*^voluntary_ctxt_switches:\s*(\d+)/m.exec(status);
    counts.set(name, (counts.get(name) ?? 0) + Number(count));
  }
  return counts;
}

/** CPU time and wake-ups of a worker that waits. */
async function measureIdle(worker) {
  await delay(SETTLE_MS);
  const [before, { cpu: from }] = [sleeps(worker.pid), await worker.ask('cpu')];
  await delay(seconds * 1_000);
  const [after, { cpu: until }] = [sleeps(worker.pid), await worker.ask('cpu')];
  const micros = until.user + until.system - from.user - from.system;
  row('CPU time of an idle worker', `${(micros / seconds / 1e4).toFixed(3)} % of a core`);
  const each = [...after].map(([name, count]) => [name, (count - (before.get(name) ?? 0)) / seconds]);
  const text = each.filter(([, count]) => count >= 0.1).map(([name, count]) => `${name} ${count.toFixed(1)}`);
  const all = each.reduce((sum, [, count]) => sum + count, 0);
  if (each.length > 0) row('its wake-ups a second', `${all.toFixed(1)} (${text.join(', ')})`);
}

/** From the call of `dispatch` here until the handler begins there, one job at a time. */
async function measureStarts(ductape, worker) {
  const times = [];
  for (let n = 0; n < starts; n++) {
    const from = Number(process.hrtime.bigint()) / 1e6;
    const [{ started }] = await Promise.all([worker.next(), ductape.features.dispatch({ tag: 'started', input })]);
    times.push(started - from);
    // Not in step with anything that looks at fixed times.
    await delay(5 + Math.random() * 40);
  }
  const [p50, p99] = [0.5, 0.99].map((q) => `${quantile(times, q).toFixed(2)} ms`);
  row(`dispatch → handler starts in another process, ${values.durability}`, `p50 ${p50}, p99 ${p99}`);
}

const ductape = new Ductape({
  store,
  durability: values.durability,
  product: 'shop',
  env: 'prd',
  worker: false,
  logger: quiet,
});
try {
  await fill(ductape);
  row('measure', `result, ${waiting.toLocaleString('en')} jobs waiting`);
  row('---', '---');
  const worker = await startWorker();
  await measureIdle(worker);
  if (starts > 0) await measureStarts(ductape, worker);
  await worker.close();
} finally {
  await ductape.close();
  rmSync(folder, { recursive: true, force: true });
}
