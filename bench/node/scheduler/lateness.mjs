// How late jobs start that are due one after the other, so many a second: node bench/node/scheduler/lateness.mjs
// [--store postgres://…] [--rates 1000,10000] [--seconds 5] [--concurrency 100]. Times are whole ms, as due times are.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { quantile, row, withResolvers } from './figures.mjs';

const BATCH = 1000;
/** ms from the last insert to the first due time, for what follows from inserts to be over. */
const REST = 1000;
const input = { body: { userId: 'user_123', email: 'john@example.com', template: 'welcome' } };
const target = { app: 'email-service', event: 'send_welcome_email' };

/** ms from the due time of each job to the start of its handler; fails unless each ran once. */
export async function lateness({ store, rate, seconds, concurrency = 100 }) {
  const count = rate * seconds;
  const ductape = new Ductape({ store, product: 'shop', env: 'prd', worker: { concurrency } });
  const late = [];
  const ids = new Set();
  const all = withResolvers();
  ductape.actions.handle(target, (job) => {
    late.push(Date.now() - job.scheduled_at);
    ids.add(job.id);
    if (late.length === count) all.resolve();
  });
  await ductape.start();
  // As long as inserts take at a tenth of the usual rate.
  const first = Date.now() + count / 20 + REST;
  for (let from = 0; from < count; from += BATCH) {
    const due = (n) => ({ ...target, input, schedule: { start_at: first + Math.floor((n * 1000) / rate) } });
    await ductape.actions.dispatchMany(Array.from({ length: BATCH }, (_, n) => due(from + n)));
  }
  if (Date.now() > first) throw new Error('the first jobs fell due before the last were inserted');
  await all.promise;
  await ductape.close();
  if (ids.size !== count) throw new Error(`${ids.size} of ${count} jobs ran`);
  return late;
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      store: { type: 'string' },
      rates: { type: 'string', default: '1000,10000' },
      seconds: { type: 'string', default: '5' },
      concurrency: { type: 'string', default: '100' },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'ductape-lateness-'));
  try {
    row('jobs a second', 'p50', 'p90', 'p99', 'p99.9', 'most, ms');
    row('---:', '---:', '---:', '---:', '---:', '---:');
    for (const rate of values.rates.split(',').map(Number)) {
      const store = values.store ?? `sqlite:${join(folder, `${rate}.db`)}`;
      const [seconds, concurrency] = [Number(values.seconds), Number(values.concurrency)];
      const late = await lateness({ store, rate, seconds, concurrency });
      row(rate.toLocaleString('en'), ...[0.5, 0.9, 0.99, 0.999, 1].map((q) => quantile(late, q)));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
