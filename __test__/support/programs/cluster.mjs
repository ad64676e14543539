// A `node:cluster` program: the primary dispatches, its workers run. Arguments: store, jobs, workers. Prints how many
// calls each worker saw, as JSON.
import cluster from 'node:cluster';
import { once } from 'node:events';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

const [store, jobs, workers] = process.argv.slice(2);
const ductape = new Ductape({ store, product: 'shop', env: 'test', ...(cluster.isPrimary && { worker: false }) });

if (cluster.isPrimary) {
  const calls = {};
  const forked = Array.from({ length: Number(workers) }, () => cluster.fork());
  // One that dies would be waited for without end.
  for (const worker of forked) worker.once('exit', (code) => code && process.exit(1));
  await Promise.all(forked.map((worker) => once(worker, 'message')));
  for (const worker of forked) {
    worker.on('message', (id) => {
      calls[id] ??= [];
      calls[id].push(worker.id);
    });
  }
  const results = await ductape.features.dispatchMany(
    Array.from({ length: Number(jobs) }, () => ({ tag: 'share', input: {} })),
  );
  await Promise.all(results.map(({ job_id }) => ductape.jobs.wait(job_id)));
  for (const worker of forked) worker.disconnect();
  await Promise.all(forked.map((worker) => once(worker, 'exit')));
  writeLine('calls', JSON.stringify(Object.values(calls)));
  await ductape.close();
} else {
  ductape.features.define('share', async ({ id }) => {
    process.send(id);
    await sleep(5);
  });
  await ductape.start();
  process.send('ready');
  process.once('disconnect', () => ductape.close());
}
