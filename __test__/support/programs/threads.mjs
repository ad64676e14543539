// Worker threads with an instance each on one store. Arguments: store, and what to do:
//
// - `share`: two threads run 300 jobs; prints which thread ran each job, as JSON.
// - `terminate`: one thread is terminated while it runs a job; prints `taken <attempt>` when the other one got it.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

async function inThread({ store, name }) {
  const ductape = new Ductape({ store, product: 'shop', env: 'test' });
  ductape.features.define('share', async ({ id }) => {
    parentPort.postMessage({ name, id });
    await sleep(5);
  });
  ductape.features.define('hang', ({ id, attempt }) => {
    parentPort.postMessage({ name, id, attempt });
    return name === 'victim' ? new Promise(() => {}) : 'done';
  });
  await ductape.start();
  parentPort.postMessage('ready');
  parentPort.once('message', async () => {
    await ductape.close();
    parentPort.close();
  });
}

async function thread(store, name, calls) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { store, name } });
  const ready = Promise.withResolvers ? Promise.withResolvers() : deferred();
  worker.on('error', (error) => writeLine('error', error.stack));
  worker.on('message', (message) => (message === 'ready' ? ready.resolve() : calls.push(message)));
  await ready.promise;
  return worker;
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve) => {
    made.resolve = resolve;
  });
  return made;
}

async function stop(worker) {
  worker.postMessage('stop');
  await once(worker, 'exit');
}

async function share(store) {
  const calls = [];
  const workers = [await thread(store, 'a', calls), await thread(store, 'b', calls)];
  const ductape = new Ductape({ store, product: 'shop', env: 'test', worker: false });
  const results = await ductape.features.dispatchMany(Array.from({ length: 300 }, () => ({ tag: 'share', input: {} })));
  await Promise.all(results.map(({ job_id }) => ductape.jobs.wait(job_id)));
  await Promise.all(workers.map(stop));
  writeLine('calls', JSON.stringify(calls));
  await ductape.close();
}

async function terminate(store) {
  const calls = [];
  const victim = await thread(store, 'victim', calls);
  const ductape = new Ductape({ store, product: 'shop', env: 'test', worker: false });
  const { job_id } = await ductape.features.dispatch({ tag: 'hang', input: {} });
  while (calls.length === 0) await sleep(5);
  await victim.terminate();
  const other = await thread(store, 'other', calls);
  writeLine('result', await ductape.jobs.wait(job_id, { timeout: 15_000 }));
  writeLine('taken', calls.at(-1).attempt);
  await stop(other);
  await ductape.close();
}

if (!isMainThread) await inThread(workerData);
else await { share, terminate }[process.argv[3]](process.argv[2]);
