// Dispatches and runs jobs until it is killed. Arguments: store, log of acknowledged jobs, log of handler calls.
import { appendFileSync } from 'node:fs';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

const [store, acknowledged, effects] = process.argv.slice(2);
const ductape = new Ductape({ store, product: 'shop', env: 'test', worker: { concurrency: 10 } });

ductape.features.define('work', async ({ id, attempt, input }) => {
  appendFileSync(effects, `start ${id}\n`);
  await sleep(input.takes);
  if (input.fails && attempt === 1) throw new Error('the first attempt fails');
  appendFileSync(effects, `end ${id}\n`);
});

function job() {
  const fails = Math.random() < 0.1;
  return {
    tag: 'work',
    input: { takes: Math.random() * 20, fails },
    // Most have no retry to spend on a crash.
    retries: fails ? 3 : 0,
    retryConfig: { initialDelay: 20 },
    ...(Math.random() < 0.2 && { schedule: { start_at: Date.now() + Math.random() * 400 } }),
  };
}

async function dispatchSome() {
  const results =
    Math.random() < 0.5
      ? await Promise.all(Array.from({ length: 4 }, () => ductape.features.dispatch(job())))
      : await ductape.features.dispatchMany(Array.from({ length: 4 }, job));
  appendFileSync(acknowledged, results.map(({ job_id }) => `${job_id}\n`).join(''));
}

writeLine('ready');
while (true) {
  await dispatchSome();
  await sleep(10);
}
