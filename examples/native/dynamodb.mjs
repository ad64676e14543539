// Operations on DynamoDB, without a handler: a table is made, rows are added, changed and found by a range of the sort key.
import { randomUUID } from 'node:crypto';

/** Names the server that this part needs, as in dynamodb://us-east-1/key/secret?endpoint=http://127.0.0.1:8000. */
export const address = 'DUCTAPE_TEST_DYNAMODB';

const table = `events-${randomUUID()}`;

export function resources() {
  return {
    databases: [
      {
        tag: 'events-db',
        type: 'dynamodb',
        table,
        envs: [{ slug: 'prd', connection_url: process.env[address] ?? 'dynamodb://us-east-1' }],
      },
    ],
  };
}

export async function run(ductape, log) {
  const operate = async (operation, input) => {
    const job = await ductape.databases.dispatch({ database: 'events-db', operation, input });
    return ductape.jobs.wait(job.job_id);
  };
  const params = {
    TableName: table,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [
      { AttributeName: 'user', AttributeType: 'S' },
      { AttributeName: 'at', AttributeType: 'N' },
    ],
    KeySchema: [
      { AttributeName: 'user', KeyType: 'HASH' },
      { AttributeName: 'at', KeyType: 'RANGE' },
    ],
  };
  await operate('raw', { operation: 'CreateTable', params });
  const hour = 60 * 60 * 1000;
  const data = [72, 30, 1].map((hours) => ({ user: 'ann', at: Date.now() - hours * hour, hits: 1 }));
  log('inserted', await operate('insertMany', { data }));
  log('counted', await operate('update', { where: { user: 'ann' }, data: { hits: { $inc: 1 } } }));
  const where = { user: 'ann', at: { $gte: '$DateAdd($Now(), -2, "days")' } };
  log('recent', await operate('find', { where, select: ['hits'], orderBy: { at: 'desc' } }));
  log('deleted', await operate('deleteMany', { where: { user: 'ann', at: { $lt: '$DateAdd($Now(), -1, "days")' } } }));
  await operate('raw', { operation: 'DeleteTable', params: { TableName: table } });
}
