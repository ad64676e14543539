// One machine of several on a store. Arguments: role, store, log, start and end of the grids, number of one-offs.
//
// A `worker` logs each call of its handlers until it is killed. A `dispatcher` dispatches twenty recurring jobs, which begin
// 5 ms apart, and its one-offs, logs the ids that were acknowledged, and ends.
import { appendFileSync } from 'node:fs';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

const [role, store, file, start, end, count] = process.argv.slice(2);
const ductape = new Ductape({
  store,
  product: 'shop',
  env: 'test',
  worker: role === 'worker' && { concurrency: 25 },
});
const log = (line) => appendFileSync(file, `${line}\n`);

async function work() {
  ductape.features.define('tick', async ({ id, run, attempt, scheduled_at, missed }) => {
    log(`tick ${id} ${run} ${attempt} ${scheduled_at} ${missed} ${Date.now()}`);
    await sleep(Math.random() * 40);
  });
  ductape.features.define('work', async ({ id }) => {
    await sleep(Math.random() * 10);
    log(`work ${id}`);
  });
  await ductape.start();
  writeLine('ready');
}

async function dispatch() {
  await ductape.features.dispatchMany(
    Array.from({ length: 20 }, (_, n) => ({
      tag: 'tick',
      job_id: `series-${n}`,
      input: {},
      schedule: { start_at: Number(start) + n * 5, endDate: Number(end), every: 100 },
    })),
  );
  writeLine('ready');
  for (let left = Number(count); left > 0; left -= 50) {
    const jobs = Array.from({ length: Math.min(50, left) }, (_, n) => ({ tag: 'work', input: { n } }));
    const results = await (left % 100 === 0
      ? ductape.features.dispatchMany(jobs)
      : Promise.all(jobs.map((job) => ductape.features.dispatch(job))));
    log(results.map(({ job_id }) => job_id).join('\n'));
    await sleep(5);
  }
  writeLine('done');
  await ductape.close();
}

await (role === 'worker' ? work() : dispatch());
