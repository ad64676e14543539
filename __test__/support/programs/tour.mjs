// A little of everything, for versions of Node.js: prints `passed` and the version. Argument: folder of the store.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import Ductape, { DuctapeError } from 'ductape';
import { writeLine } from './stdio.mjs';

const required = createRequire(import.meta.url)('ductape');
assert.equal(required.Ductape, Ductape);

const store = `sqlite:${join(process.argv[2], 'jobs.db')}`;
const ductape = new Ductape({ store, product: 'shop', env: 'test' });
ductape.features.define('invoice', async ({ input, attempt, step, progress }) => {
  await progress(50);
  const sum = await step('sum', () => input.lines.reduce((total, line) => total + line, 0));
  if (attempt === 1) throw new Error('not at once');
  return { sum, attempt };
});
await ductape.start();
const options = { retries: 1, retryConfig: { initialDelay: 1 } };
const { job_id } = await ductape.features.dispatch({ tag: 'invoice', input: { lines: [1, 2] }, ...options });
assert.deepEqual(await ductape.jobs.wait(job_id), { sum: 3, attempt: 2 });
await assert.rejects(ductape.jobs.get('nobody'), DuctapeError);

// Another thread runs what this one does not.
const entry = JSON.stringify(createRequire(import.meta.url).resolve('ductape'));
const thread = new Worker(
  `const { parentPort } = require('node:worker_threads');
   const { Ductape } = require(${entry});
   const ductape = new Ductape({ store: ${JSON.stringify(store)}, product: 'shop', env: 'test' });
   ductape.features.define('in the thread', () => 'done');
   ductape.start();
   parentPort.once('message', () => ductape.close().then(() => parentPort.close()));`,
  { eval: true },
);
const inThread = await ductape.features.dispatch({ tag: 'in the thread', input: {} });
assert.equal(await ductape.jobs.wait(inThread.job_id), 'done');
thread.postMessage('close');
await once(thread, 'exit');
await ductape.close();

const clock = new Ductape({ store: 'memory:', product: 'shop', env: 'test', clock: 'manual' });
let ran = 0;
clock.features.define('hourly', () => ++ran);
await clock.features.dispatch({ tag: 'hourly', input: {}, schedule: { cron: '0 * * * *' } });
await clock.clock.advance(3 * 3_600_000);
assert.equal(ran, 3);
await clock.close();

writeLine('passed', process.version);
