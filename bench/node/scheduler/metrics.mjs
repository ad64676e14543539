// What counting costs: dispatch and run of the same jobs with `metrics: false`, and with figures that are counted and read as Prometheus
// does, in turns. Prints the ratio of pairs, and how long a reading takes.
// Usage: node metrics.mjs [--pairs 15] [--jobs 50000] [--read-every 1000 (ms; 0: never)]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { quantile } from './figures.mjs';

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '15' },
    jobs: { type: 'string', default: '50000' },
    'read-every': { type: 'string', default: '1000' },
  },
});
const [pairs, jobs, readEvery] = [values.pairs, values.jobs, values['read-every']].map(Number);
const BATCH = 1_000;
const folder = mkdtempSync(join(tmpdir(), 'ductape-metrics-'));

/** ms that each reading took. */
const readings = [];

async function read(ductape) {
  const started = performance.now();
  await ductape.metrics();
  readings.push(performance.now() - started);
}

/** Jobs a second, dispatched and run. */
async function rates(metrics, n) {
  const store = `sqlite:${join(folder, `${n}-${metrics}.db`)}`;
  const options = { store, product: 'shop', env: 'prd', durability: 'relaxed', worker: { concurrency: 100 } };
  const ductape = new Ductape({ ...options, metrics });
  let done = 0;
  let finish;
  const all = new Promise((resolve) => {
    finish = resolve;
  });
  ductape.features.define('report', () => {
    if (++done === jobs) finish();
  });
  const reading = metrics && readEvery > 0 && setInterval(read, readEvery, ductape);
  const started = performance.now();
  for (let sent = 0; sent < jobs; sent += BATCH) {
    await ductape.features.dispatchMany(Array.from({ length: BATCH }, (_, k) => ({ tag: 'report', input: { k } })));
  }
  const dispatched = performance.now();
  await ductape.start({ signals: false });
  await all;
  const ran = performance.now();
  clearInterval(reading);
  await ductape.close();
  return { dispatch: jobs / (dispatched - started), run: jobs / (ran - dispatched) };
}

try {
  await rates(true, 'warm-up');
  const ratios = { dispatch: [], run: [] };
  for (let n = 0; n < pairs; n++) {
    const order = n % 2 === 0 ? [true, false] : [false, true];
    const told = new Map();
    for (const metrics of order) told.set(metrics, await rates(metrics, n));
    for (const what of ['dispatch', 'run']) ratios[what].push(told.get(true)[what] / told.get(false)[what]);
  }
  for (const [what, found] of Object.entries(ratios)) {
    const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(found, q).toFixed(3));
    console.log(`${what}: ${middle} of the rate without metrics (quartiles ${low} to ${high}, ${pairs} pairs)`);
  }
  if (readings.length > 0) {
    const [middle, most] = [0.5, 1].map((q) => quantile(readings, q).toFixed(1));
    console.log(`metrics(): ${middle} ms, at most ${most} ms (${readings.length} readings)`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
