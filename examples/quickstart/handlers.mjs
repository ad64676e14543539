// Who does the work. Each handler does something small that can be seen; what it returns is stored as the run's result.
import { appendFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { DuctapeError } from 'ductape';

/** Registers a handler for each job of jobs.mjs; `files` is the folder they write to. */
export function registerHandlers(ductape, { files, board }) {
  /** Tells the board when an attempt begins and ends. */
  const watched = (handler) => async (job) => {
    board.started(job);
    try {
      const result = await handler(job);
      board.succeeded(job, result);
      return result;
    } catch (error) {
      board.failed(job, error);
      throw error;
    }
  };

  ductape.actions.handle(
    { app: 'payment-service', event: 'process_payment' },
    watched((job) => {
      // SERVICE_UNAVAILABLE is retried; VALIDATION_ERROR, for one, would not be.
      if (job.attempt === 1) throw new DuctapeError('SERVICE_UNAVAILABLE', 'no answer');
      return `paid ${job.input.body.amount}`;
    }),
  );

  ductape.features.define(
    'generate_daily_report',
    watched(async () => {
      await writeFile(join(files, 'report.txt'), `Report of ${new Date().toISOString()}\n`);
      return 'report.txt';
    }),
  );

  ductape.notifications.handle(
    { event: 'send_reminder' },
    watched(async (job) => {
      await appendFile(join(files, 'outbox.txt'), `To ${job.input.email.recipients}: reminder ${job.run}\n`);
      return `reminder ${job.run}`;
    }),
  );

  ductape.storage.handle(
    { event: 'upload' },
    watched(async (job) => {
      const bytes = Buffer.from(job.input.buffer, 'base64');
      await writeFile(join(files, basename(job.input.fileName)), bytes);
      return `${bytes.length} bytes`;
    }),
  );

  ductape.events.handle(
    { broker: 'kafka-broker' },
    watched(async (job) => {
      await appendFile(join(files, 'messages.txt'), `${JSON.stringify(job.input.message)}\n`);
      return `message ${job.run}`;
    }),
  );

  ductape.databases.action.handle(
    { database: 'inventory-db', event: 'sync_inventory' },
    watched(async (job) => {
      for (const done of [25, 50, 75]) {
        // Shown as the job's `progress` while it runs.
        job.progress(`${done} %`);
        await setTimeout(200, undefined, { signal: job.signal });
      }
      return `sync ${job.run}`;
    }),
  );

  // One handler may take several operations: a field that is left out means any.
  ductape.databases.handle(
    { database: 'logs-db' },
    watched((job) => `${job.input.filter.level} lines`),
  );

  ductape.graphs.action.handle(
    { graph: 'city-graph', event: 'shortest_path' },
    watched((job) => shortestPath(job.input.from, job.input.to).join('-')),
  );

  ductape.graphs.handle(
    { graph: 'session-graph', operation: 'deleteNodes' },
    watched(() => '3 nodes'),
  );
}

const ROADS = { A: ['B', 'C'], B: ['D'], C: ['D', 'E'], D: ['E'], E: [] };

function shortestPath(from, to) {
  const paths = [[from]];
  for (const path of paths) {
    const last = path.at(-1);
    if (last === to) return path;
    for (const next of ROADS[last]) paths.push([...path, next]);
  }
  throw new DuctapeError('NOT_FOUND', `no way from ${from} to ${to}`);
}
