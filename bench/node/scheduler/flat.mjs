// Whether a job costs the same however many others wait: dispatch, run and latency beside a thousand, a hundred thousand and
// a million jobs that are due within 30 days; memory of a fresh process; how free the event loop stays. Prints a table, and
// writes flat.svg into the folder --out (default: results, here); with --publish the table also goes between its marks in
// docs/design/store.md, and the chart to docs/flat.svg. Usage: node flat.mjs [--waiting 1000,100000,1000000] [--out folder] [--publish]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { publish } from '../peers/publish.mjs';
import { mib, quantile, sizeOf } from './figures.mjs';
import { flatChart } from './flat-chart.mjs';

const { values } = parseArgs({
  options: {
    waiting: { type: 'string', default: '1000,100000,1000000' },
    out: { type: 'string', default: join(import.meta.dirname, 'results') },
    publish: { type: 'boolean' },
  },
});
const sizes = values.waiting.split(',').map(Number);
if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
  throw new Error(`--waiting must be numbers from 1 on with commas between, got ${values.waiting}`);
}
const DAY = 86_400_000;
const BATCH = 10_000;
/** Lowest accepted ratio of a rate beside the most waiting jobs to the rate beside the fewest. */
const MAX_SLOWDOWN_FACTOR = 1.4;
const MAX_RSS_BYTES = 150e6;
const MAX_LOOP_DELAY_MS = 10;

async function fill(file, waiting) {
  const ductape = new Ductape({ store: `sqlite:${file}`, product: 'shop', env: 'prd', worker: false });
  const from = Date.now();
  const job = (n) => ({
    tag: 'report',
    input: { n, text: 'x'.repeat(60) },
    schedule: { start_at: from + 60_000 + Math.floor(Math.random() * 30 * DAY) },
  });
  for (let n = 0; n < waiting; n += BATCH) {
    await ductape.features.dispatchMany(Array.from({ length: Math.min(BATCH, waiting - n) }, (_, k) => job(n + k)));
  }
  await ductape.close();
}

/** Figures of a new process on a store with `waiting` jobs. */
function measure(waiting) {
  const folder = mkdtempSync(join(tmpdir(), 'ductape-flat-'));
  const file = join(folder, 'jobs.db');
  return fill(file, waiting)
    .then(() => {
      const size = sizeOf(file);
      const script = join(import.meta.dirname, 'flat-process.mjs');
      const child = spawnSync(process.execPath, [script, file, String(waiting)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (child.status !== 0) throw new Error(`the process beside ${waiting} jobs failed`);
      return { waiting, size, load: loadavg()[0], ...JSON.parse(child.stdout) };
    })
    .finally(() => rmSync(folder, { recursive: true, force: true }));
}

const perSecond = (rate) => `${Math.round(rate).toLocaleString('en')}/s`;
const µs = (time) => `${time.toFixed(1)} µs`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const ms = (time) => `${time.toFixed(2)} ms`;

/** The lines of the table. */
function table(results) {
  const lines = [];
  const row = (...cells) => lines.push(`| ${cells.join(' | ')} |`);
  const line = (name, cell) => row(name, ...results.map(cell));
  line('jobs that wait', ({ waiting }) => waiting.toLocaleString('en'));
  row('---', ...results.map(() => '---:'));
  line('dispatch, 500 in flight', ({ dispatch }) => perSecond(dispatch));
  line('the same, CPU time a job', ({ dispatchCpu }) => µs(dispatchCpu));
  line('claim and run a no-op handler', ({ run }) => perSecond(run));
  line('the same, CPU time a job', ({ runCpu }) => µs(runCpu));
  line('dispatch → handler start, p50', ({ latency }) => ms(latency.p50));
  line('dispatch → handler start, p99', ({ latency }) => ms(latency.p99));
  line('open the store and dispatch, in a fresh process', ({ opened }) => ms(opened));
  line('`list`, the first 100', ({ pages }) => ms(pages.first));
  line('`list`, 100 behind the middle, by the cursor', ({ pages }) => ms(pages.cursor));
  line('the same by the offset', ({ pages }) => ms(pages.offset));
  line('event loop delay p99, idle', ({ loop }) => ms(loop.idle));
  line('event loop delay p99 while 100,000 run, in each round', ({ loop }) => loop.busy.map(ms).join(', '));
  line('RSS once open', ({ rss }) => mib(rss.open));
  line('RSS, most', ({ rss }) => mib(rss.most));
  line('file and log', ({ size }) => mib(size));
  line('load of the machine, 1 min', ({ load }) => load.toFixed(1));
  return lines.join('\n');
}

/** Compares the figures with their goals. */
function judge(results) {
  const verdict = (good, text) => console.log(`${good ? 'met' : 'MISSED'}: ${text}`);
  const [few, many] = [results[0], results[results.length - 1]];
  for (const [name, factor] of [
    ['dispatch', few.dispatch / many.dispatch],
    ['CPU time of a dispatch', many.dispatchCpu / few.dispatchCpu],
    ['run', few.run / many.run],
    ['CPU time of a run', many.runCpu / few.runCpu],
  ]) {
    verdict(
      factor <= MAX_SLOWDOWN_FACTOR,
      `${name}: ${factor.toFixed(2)} times that beside the fewest (≤ ${MAX_SLOWDOWN_FACTOR})`,
    );
  }
  verdict(many.rss.most < MAX_RSS_BYTES, `RSS beside the most: ${mb(many.rss.most)} (< ${mb(MAX_RSS_BYTES)})`);
  const middle = quantile(
    results.flatMap(({ loop }) => loop.busy),
    0.5,
  );
  verdict(
    middle < MAX_LOOP_DELAY_MS,
    `event loop delay p99, median of all rounds: ${ms(middle)} (< ${MAX_LOOP_DELAY_MS} ms)`,
  );
}

console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`);
const results = [];
for (const waiting of sizes) results.push(await measure(waiting));
console.log(`${table(results)}\n`);
judge(results);
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, 'flat.svg'), flatChart(results));
if (values.publish) {
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}:`;
  publish('docs/design/store.md', 'flat', `${machine}\n\n${table(results)}`);
  writeFileSync(join(import.meta.dirname, '../../../docs/flat.svg'), flatChart(results));
}
