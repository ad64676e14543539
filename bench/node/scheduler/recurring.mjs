// Recurring jobs that all fall due in the same second: how long it takes from there until the last of them has run, three times in
// a row, with CPU and memory. Usage: node bench/node/scheduler/recurring.mjs [--store postgres://…] [--count 100000]
// [--every 60000] [--points 3] [--concurrency 200] [--peer bullmq]
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuOf } from '../peers/servers.mjs';

const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    count: { type: 'string', default: '100000' },
    points: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '200' },
    every: { type: 'string' }, // ms between two points; without it, the cron of every minute
    peer: { type: 'string' },
  },
});
const count = Number(values.count);
const points = Number(values.points);
const concurrency = Number(values.concurrency);
const every = values.every === undefined ? undefined : Number(values.every);
const period = every ?? 60_000;
const BATCH = 1000;
/** What is left of a period when this machine begins to count a point's CPU time, ms. */
const MARGIN = 200;

/** Which points have had how many runs, of which jobs, and when the last one was. */
class Tally {
  #points = new Map();

  ran(at, n) {
    let point = this.#points.get(at);
    if (!point) {
      point = { runs: 0, twice: 0, last: 0, jobs: new Uint8Array(count) };
      this.#points.set(at, point);
    }
    point.runs++;
    if (point.jobs[n]++ > 0) point.twice++;
    point.last = Date.now();
  }

  of(at) {
    return this.#points.get(at) ?? { runs: 0, twice: 0, last: at };
  }

  forget(at) {
    this.#points.delete(at);
  }
}

async function ofDuctape(folder, tally) {
  const { Ductape } = await import('ductape');
  const schema = `storm_${process.pid}`;
  const place = values.store && `${values.store}${values.store.includes('?') ? '&' : '?'}schema=${schema}`;
  const ductape = new Ductape({
    store: place ?? `sqlite:${join(folder, 'jobs.db')}`,
    product: 'shop',
    env: 'prd',
    worker: { concurrency },
  });
  ductape.actions.handle({ app: 'reports', event: 'refresh' }, (job) => tally.ran(job.scheduled_at, job.input.n));
  return {
    name: place ? 'ductape, PostgreSQL' : 'ductape, SQLite',
    server: place ? 'postgres' : undefined,
    async add(from, to, first) {
      const schedule = every === undefined ? { cron: '* * * * *' } : { every, start_at: first };
      const job = (_, k) => ({ app: 'reports', event: 'refresh', input: { n: from + k }, schedule });
      await ductape.actions.dispatchMany(Array.from({ length: to - from }, job));
    },
    start: () => ductape.start(),
    async close() {
      await ductape.close();
      if (!place) return;
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: values.store });
      await client.connect();
      await client.query(`DROP SCHEMA "${schema}" CASCADE`);
      await client.end();
    },
  };
}

async function ofBullmq(tally) {
  const ofPeers = createRequire(new URL('../peers/package.json', import.meta.url));
  const { Queue, Worker } = ofPeers('bullmq');
  const { Redis } = ofPeers('ioredis');
  const address = process.env.DUCTAPE_TEST_REDIS ?? 'redis://127.0.0.1:6379';
  const connection = new Redis(address, { maxRetriesPerRequest: null });
  const name = `recurring-${process.pid}`;
  const queue = new Queue(name, { connection });
  let worker;
  return {
    name: 'BullMQ',
    server: 'redis',
    async add(from, to, first) {
      const schedule = every === undefined ? { pattern: '* * * * *' } : { every, startDate: first };
      const options = { removeOnComplete: 1000, removeOnFail: 1000 };
      const all = Array.from({ length: to - from }, (_, k) => from + k);
      await Promise.all(
        all.map((n) => queue.upsertJobScheduler(`job-${n}`, schedule, { name: 'refresh', data: { n }, opts: options })),
      );
    },
    async start() {
      // The id of a scheduler's job ends with its time.
      const handler = async (job) => tally.ran(Number(job.id.split(':').at(-1)), job.data.n);
      worker = new Worker(name, handler, { connection, concurrency });
      await worker.waitUntilReady();
    },
    async close() {
      await worker?.close();
      await queue.obliterate({ force: true });
      await queue.close();
      connection.disconnect();
    },
  };
}

const used = (server) => {
  const { user, system } = process.cpuUsage();
  return { own: user + system, server: server ? cpuOf(server) : 0 };
};

/** Waits for the runs of a point, and for the end of its period; returns its figures. */
async function measure(tally, at, server) {
  await delay(at - Date.now() - MARGIN);
  const before = used(server);
  let rss = 0;
  while (tally.of(at).runs < count && Date.now() < at + period) {
    rss = Math.max(rss, process.memoryUsage.rss());
    await delay(50);
  }
  await delay(at + period - Date.now() - 2 * MARGIN);
  const after = used(server);
  const { runs, twice, last } = tally.of(at);
  tally.forget(at);
  if (runs !== count || twice > 0) throw new Error(`of ${count} jobs ${runs} runs, ${twice} of them once too often`);
  const seconds = (last - at) / 1000;
  const micros = (key) => `${((after[key] - before[key]) / count).toFixed(1)} µs`;
  return [
    `${seconds.toFixed(2)} s`,
    `${Math.round(count / seconds).toLocaleString('en')}/s`,
    micros('own'),
    server ? micros('server') : '–',
    `${(rss / 2 ** 20).toFixed(0)} MiB`,
  ];
}

const folder = mkdtempSync(join(tmpdir(), 'ductape-recurring-'));
const tally = new Tally();
const queue = values.peer === 'bullmq' ? await ofBullmq(tally) : await ofDuctape(folder, tally);
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);
try {
  // Far enough ahead that all are there before their first point.
  const first = Math.ceil((Date.now() + Math.max(period, count / 5)) / 1000) * 1000;
  const began = performance.now();
  for (let from = 0; from < count; from += BATCH) await queue.add(from, Math.min(count, from + BATCH), first);
  const added = (performance.now() - began) / 1000;
  console.log(`${queue.name}: ${count.toLocaleString('en')} recurring jobs, added in ${added.toFixed(1)} s\n`);
  await queue.start();
  // Earlier points are only those of the jobs that were added first.
  const origin = every === undefined ? 0 : first;
  const start = origin + Math.ceil((Date.now() + 2_000 - origin) / period) * period;
  row('point', 'until the last has run', 'rate', 'CPU of the process for each run', 'of the server', 'RSS');
  row(...Array(6).fill('---'));
  for (let n = 0; n < points; n++) row(n + 1, ...(await measure(tally, start + n * period, queue.server)));
} finally {
  await queue.close();
  rmSync(folder, { recursive: true, force: true });
}
