// Operations on a database, without a handler: rows are added, changed, counted and cleared away by age.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Needs no server: the database is a file. */
export const address = undefined;

export async function resources() {
  const path = join(await mkdtemp(join(tmpdir(), 'ductape-')), 'logs.db');
  return {
    databases: [
      {
        tag: 'logs-db',
        type: 'sqlite',
        table: 'logs',
        envs: [{ slug: 'prd', connection_url: `sqlite:${path}` }],
      },
    ],
  };
}

export async function run(ductape, log) {
  const operate = async (operation, input) => {
    const job = await ductape.databases.dispatch({ database: 'logs-db', operation, input });
    return ductape.jobs.wait(job.job_id);
  };
  await operate('raw', {
    sql: 'CREATE TABLE logs (id INTEGER PRIMARY KEY, level TEXT, message TEXT, createdAt TIMESTAMP)',
  });
  const day = 24 * 60 * 60 * 1000;
  const data = [
    { level: 'info', message: 'started', createdAt: Date.now() - 40 * day },
    { level: 'error', message: '100% of the disk is used', createdAt: Date.now() - 2 * day },
    { level: 'info', message: 'stopped', createdAt: Date.now() },
  ];
  log('inserted', await operate('insertMany', { data }));
  log('full disks', await operate('count', { where: { message: { $contains: '100%' } } }));
  log('levels', await operate('aggregate', { groupBy: 'level', aggregate: { n: { $count: '*' } }, orderBy: 'level' }));
  // What was logged more than thirty days ago; a cron would do this every night.
  const old = { createdAt: { $lt: '$DateAdd($Now(), -30, "days")' } };
  log('deleted', await operate('deleteMany', { filter: old }));
  log('left', await operate('find', { fields: ['level', 'message'], orderBy: { createdAt: 'desc' } }));
}
