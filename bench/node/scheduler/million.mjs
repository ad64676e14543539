// Latency on a store of a million jobs: statistics, lists, changes of many jobs, and dispatches during such a change.
// Usage: node bench/node/scheduler/million.mjs [jobs]
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';

const jobs = Number(process.argv[2] ?? 1_000_000);
const DAY = 86_400_000;
const BATCH = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'ductape-million-'));
const file = join(folder, 'jobs.db');
const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);
const percentiles = (times) => `p50 ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`;

async function timed(work) {
  const start = performance.now();
  const result = await work();
  return { ms: performance.now() - start, result };
}

/** Repeats a call and prints its latencies. */
async function measureQuery(name, question, times = 50) {
  const all = [];
  let last;
  for (let n = 0; n < times; n++) {
    const { ms, result } = await timed(question);
    all.push(ms);
    last = result;
  }
  row(name, percentiles(all));
  return last;
}

/** Dispatches jobs one after the other until `work` has ended. */
async function dispatchDuring(ductape, work) {
  let going = true;
  const busy = timed(work).finally(() => {
    going = false;
  });
  const times = [];
  while (going) {
    const { ms } = await timed(() => ductape.actions.dispatch({ app: 'shop', event: 'beside', input: {} }));
    times.push(ms);
    await delay(1);
  }
  return { times, ...(await busy) };
}

const ductape = new Ductape({ store: `sqlite:${file}`, product: 'shop', env: 'prd', worker: false });
try {
  const from = Date.now() + DAY;
  const job = (n) => ({
    tag: `report-${n % 10}`,
    input: { n, text: 'x'.repeat(60) },
    tags: n % 2 === 0 ? ['even'] : [],
    schedule: { start_at: from + Math.floor(Math.random() * 30 * DAY) },
  });
  const filled = await timed(async () => {
    for (let n = 0; n < jobs; n += BATCH) {
      await ductape.features.dispatchMany(Array.from({ length: Math.min(BATCH, jobs - n) }, (_, k) => job(n + k)));
    }
  });
  console.log(
    `${jobs.toLocaleString('en')} jobs waiting, due at random within 30 days: dispatched in ${(filled.ms / 1000).toFixed(1)} s, ` +
      `file ${(statSync(file).size / 2 ** 20).toFixed(0)} MiB, RSS ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB\n`,
  );
  row('measure', 'result');
  row('---', '---');
  await measureQuery('`getStats()`', () => ductape.jobs.getStats());
  await measureQuery('`getStats` by product, env and namespace', () =>
    ductape.jobs.getStats({ product: 'shop', env: 'prd', namespace: 'features' }),
  );
  await measureQuery('`list`, first page of 100', () => ductape.jobs.list());
  await measureQuery('`list`, first page of one state of one namespace', () =>
    ductape.jobs.list({ status: 'scheduled', namespace: 'features' }),
  );
  await measureQuery('`list`, first page by tag', () => ductape.jobs.list({ tags: ['even'] }));
  const deep = Math.floor(jobs * 0.9);
  const { next } = await measureQuery(
    `\`list\`, one job at offset ${deep.toLocaleString('en')}`,
    () => ductape.jobs.list({ offset: deep, limit: 1 }),
    5,
  );
  await measureQuery(`\`list\`, page of 100 by the cursor at ${deep.toLocaleString('en')}`, () =>
    ductape.jobs.list({ cursor: next }),
  );

  const idle = await dispatchDuring(ductape, () => delay(5_000));
  row('dispatch, nothing beside it', percentiles(idle.times));
  for (const [name, change] of [
    ['cancelMany', () => ductape.jobs.cancelMany({ tags: ['even'] })],
    ['deleteMany', () => ductape.jobs.deleteMany({ status: 'cancelled' })],
  ]) {
    const beside = await dispatchDuring(ductape, change);
    const { count } = beside.result;
    if (count !== Math.ceil(jobs / 2)) throw new Error(`${name} changed ${count}`);
    row(`\`${name}\` of ${count.toLocaleString('en')}`, `${(beside.ms / 1000).toFixed(1)} s`);
    row(`dispatch beside it`, percentiles(beside.times));
  }
} finally {
  await ductape.close();
  rmSync(folder, { recursive: true, force: true });
}
