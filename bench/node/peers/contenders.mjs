// The contenders: the server that each needs, and what it guarantees when it acknowledges a job.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const sqlite = (place) => `sqlite:${place.file}`;
const postgres = (place) => `${place.postgres}?schema=${place.name}`;

/** Loaded on demand, so that nobody pays for the modules of another. */
export const CONTENDERS = {
  'ductape, SQLite': {
    needs: 'file',
    durability: 'on disk (fsync)',
    load: async () => (await import('./queues/ductape.mjs')).ductape({ storeOf: sqlite, durability: 'full' }),
  },
  'ductape, SQLite, relaxed': {
    needs: 'file',
    durability: 'in the system’s cache',
    load: async () => (await import('./queues/ductape.mjs')).ductape({ storeOf: sqlite, durability: 'relaxed' }),
  },
  'ductape, PostgreSQL': {
    needs: 'postgres',
    durability: 'on disk (fsync)',
    load: async () => (await import('./queues/ductape.mjs')).ductape({ storeOf: postgres, durability: 'full' }),
  },
  BullMQ: {
    needs: 'redis',
    package: 'bullmq',
    durability: 'as Redis is set up',
    load: async () => (await import('./queues/bullmq.mjs')).bullmq,
  },
  'graphile-worker': {
    needs: 'postgres',
    package: 'graphile-worker',
    durability: 'on disk (fsync)',
    load: async () => (await import('./queues/graphile-worker.mjs')).graphileWorker({ localQueue: false }),
  },
  'graphile-worker, local queue': {
    needs: 'postgres',
    package: 'graphile-worker',
    durability: 'on disk (fsync)',
    load: async () => (await import('./queues/graphile-worker.mjs')).graphileWorker({ localQueue: true }),
  },
  'pg-boss': {
    needs: 'postgres',
    package: 'pg-boss',
    durability: 'on disk (fsync)',
    load: async () => (await import('./queues/pg-boss.mjs')).pgBoss,
  },
  plainjob: {
    needs: 'file',
    package: 'plainjob',
    durability: 'in the system’s cache',
    load: async () => (await import('./queues/plainjob.mjs')).plainjob,
  },
};

/** The version that is measured. */
export function versionOf(name) {
  const file = CONTENDERS[name].package
    ? join(import.meta.dirname, 'node_modules', CONTENDERS[name].package, 'package.json')
    : join(import.meta.dirname, '../../../package.json');
  return JSON.parse(readFileSync(file, 'utf8')).version;
}
