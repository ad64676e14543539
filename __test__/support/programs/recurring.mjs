// Runs eight recurring jobs and many one-offs until it is killed. Arguments: store, log of acknowledged jobs, log of
// handler calls, start and end of the grids. Like any deployment it dispatches its recurring jobs at every start.
import { appendFileSync } from 'node:fs';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

const [store, acknowledged, effects, start, end] = process.argv.slice(2);
const ductape = new Ductape({ store, product: 'shop', env: 'test', worker: { concurrency: 20 } });
const log = (line) => appendFileSync(effects, `${line}\n`);

ductape.features.define('tick', async ({ id, run, attempt, scheduled_at, missed }) => {
  log(`tick ${id} ${run} ${attempt} ${scheduled_at} ${missed} ${Date.now()}`);
  await sleep(Math.random() * 40);
});
ductape.features.define('work', async ({ id }) => {
  await sleep(Math.random() * 10);
  log(`work ${id}`);
});

const SERIES = [
  { every: 40 },
  { every: 75 },
  { every: 100, misfire: 'skip' },
  { every: 130, misfire: 'all' },
  { every: 200, ifRunning: 'allow' },
  { every: 250, misfire: 'all', ifRunning: 'allow' },
  { every: 400 },
  { every: 1_000 },
];

await ductape.features.dispatchMany(
  SERIES.map((schedule, n) => ({
    tag: 'tick',
    job_id: `series-${n}`,
    input: {},
    schedule: { start_at: Number(start), endDate: Number(end), ...schedule },
  })),
);
writeLine('ready');
while (true) {
  const results = await ductape.features.dispatchMany(Array.from({ length: 20 }, () => ({ tag: 'work', input: {} })));
  appendFileSync(acknowledged, results.map(({ job_id }) => `${job_id}\n`).join(''));
  await sleep(20);
}
