// What counting over time costs: dispatch and run of the same jobs with `metrics: false` and without, in turns, and how long
// `jobs.metrics` takes beside many rows. Prints medians and the ratio of pairs. Usage: node metrics.mjs [--pairs 15] [--jobs 50000]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { quantile } from './figures.mjs';

const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '15' }, jobs: { type: 'string', default: '50000' } },
});
const [pairs, jobs] = [Number(values.pairs), Number(values.jobs)];
const BATCH = 1_000;
const folder = mkdtempSync(join(tmpdir(), 'ductape-metrics-'));

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
  const started = performance.now();
  for (let sent = 0; sent < jobs; sent += BATCH) {
    await ductape.features.dispatchMany(Array.from({ length: BATCH }, (_, k) => ({ tag: 'report', input: { k } })));
  }
  const dispatched = performance.now();
  await ductape.start({ signals: false });
  await all;
  const ran = performance.now();
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
} finally {
  rmSync(folder, { recursive: true, force: true });
}
