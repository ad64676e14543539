// Operations on MongoDB, without a handler: documents are added, changed, grouped and cleared away by age.
import { randomUUID } from 'node:crypto';

/** Names the server that this part needs, with a database, as in mongodb://127.0.0.1:27017/test. */
export const address = 'DUCTAPE_TEST_MONGODB';

const collection = `logs-${randomUUID()}`;

export function resources() {
  return {
    databases: [
      {
        tag: 'mongo-logs',
        type: 'mongodb',
        table: collection,
        envs: [{ slug: 'prd', connection_url: process.env[address] ?? 'mongodb://127.0.0.1:27017/test' }],
      },
    ],
  };
}

export async function run(ductape, log) {
  const operate = async (operation, input) => {
    const job = await ductape.databases.dispatch({ database: 'mongo-logs', operation, input });
    return ductape.jobs.wait(job.job_id);
  };
  const day = 24 * 60 * 60 * 1000;
  const data = [
    { level: 'info', tags: ['boot'], createdAt: new Date(Date.now() - 40 * day) },
    { level: 'error', tags: [], createdAt: new Date(Date.now() - 2 * day) },
    { level: 'info', tags: [], createdAt: new Date() },
  ];
  log('inserted', await operate('insertMany', { data }));
  log('tagged', await operate('update', { where: { level: 'info' }, data: { tags: { $addToSet: 'seen' } } }));
  log('levels', await operate('groupBy', { groupBy: ['level'], aggregate: { n: { $count: '*' } }, orderBy: 'level' }));
  // What was logged more than thirty days ago; a cron would do this every night.
  log('deleted', await operate('deleteMany', { filter: { createdAt: { $lt: '$DateAdd($Now(), -30, "days")' } } }));
  await operate('raw', { command: { drop: collection } });
}
