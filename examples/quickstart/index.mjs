// One job of each of the nine kinds, dispatched into a SQLite file and run by handlers in this process.
// Start it again: it finds its history. Stop it halfway with Ctrl-C and start it again: it finishes what was left.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import Ductape from 'ductape';
import { createBoard } from './board.mjs';
import { registerHandlers } from './handlers.mjs';
import { dispatchJobs } from './jobs.mjs';
import { printSummary } from './summary.mjs';

/** Ends the example even where something takes longer than it should. */
const LONGEST = 4_500;
const folder = join(import.meta.dirname, '.ductape');
const file = join(folder, 'jobs.db');
const files = join(folder, 'files');

const ductape = new Ductape({
  store: `sqlite:${file}`,
  product: 'quickstart',
  env: 'dev',
  // Ended jobs are kept, so that the next run can count them.
  retention: false,
});

let interrupted = false;
process.once('SIGINT', () => {
  interrupted = true;
});

// Whoever reads the output may leave before the end.
process.stdout.on('error', () => {
  interrupted = true;
});

await mkdir(files, { recursive: true });
const earlier = await ductape.jobs.list({ limit: 1, count: true });
const payments = await ductape.jobs.list({ target: { event: 'process_payment' }, limit: 1, count: true });
const unfinished = await ductape.jobs.list({ status: ['queued', 'scheduled', 'running'], limit: 50 });
// What an interrupted run left behind. The jobs with an id of their own are dispatched again below and stay one each.
const left = unfinished.jobs.filter((job) => job.id.startsWith('job_'));
const board = createBoard(process.stdout);
board.title(
  earlier.total === 0
    ? 'This is run 1; the store is new.'
    : `This is run ${payments.total + 1}; ${earlier.total} jobs from earlier runs are in the store` +
        `${left.length > 0 ? `, ${left.length} of them unfinished (*)` : ''}.`,
);

const began = Date.now();
registerHandlers(ductape, { files, board });
const dispatched = await dispatchJobs(ductape);
for (const job of dispatched) board.add(job);
for (const { id, namespace, target } of left) {
  board.add({ id, namespace, name: `${target.event ?? target.operation} *` });
}

while (!interrupted && Date.now() - began < LONGEST) {
  board.update(await Promise.all(board.ids().map((id) => ductape.jobs.get(id))));
  if (board.settled()) break;
  await new Promise((done) => setTimeout(done, 50));
}

// Lets running handlers finish and hands back what has not started.
const took = Date.now() - began;
const jobs = await Promise.all(board.ids().map((id) => ductape.jobs.get(id)));
await ductape.close({ timeout: 2_000 });
board.end(jobs);
await printSummary({ jobs, board, took, interrupted, file, files });
if (interrupted) process.exitCode = 130;
