// DynamoDB through the package: jobs without a handler, on the server that DUCTAPE_TEST_DYNAMODB names.
import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Ductape, literal } from './support/ductape.js';
import { create, env, product, recordingLogger, rejection } from './support/instances.js';
import { address } from './support/servers.js';

const connection_url = address('DUCTAPE_TEST_DYNAMODB');

type Rows = { count: number; rows: Record<string, unknown>[] };

async function operate(ductape: Ductape, operation: string, input: Record<string, unknown>) {
  const job = await ductape.databases.dispatch({ database: 'logs-db', operation, input, retries: 0 });
  return (await ductape.jobs.wait(job.job_id)) as Rows;
}

/** An instance with a table of its own: key `id`, index `by_level` of `level` and `createdAt`. */
async function started() {
  const table = `logs-${randomUUID()}`;
  const logger = recordingLogger();
  const ductape = create({
    logger,
    resources: {
      products: [
        {
          tag: product,
          databases: [
            {
              tag: 'logs-db',
              type: 'dynamodb',
              table,
              envs: [{ slug: env, connection_url: connection_url as string }],
              actions: [
                { tag: 'one', operation: 'QUERY', filterTemplate: { id: '{{id}}' } },
                { tag: 'of-level', operation: 'RAW_SQL', template: `SELECT id FROM "${table}" WHERE id = {{id}}` },
              ],
            },
          ],
        },
      ],
    },
  });
  const attribute = (AttributeName: string) => ({ AttributeName, AttributeType: 'S' });
  const key = (AttributeName: string, KeyType: string) => ({ AttributeName, KeyType });
  const params = {
    TableName: table,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['id', 'level', 'createdAt'].map(attribute),
    KeySchema: [key('id', 'HASH')],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'by_level',
        KeySchema: [key('level', 'HASH'), key('createdAt', 'RANGE')],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  };
  await operate(ductape, 'raw', { operation: 'CreateTable', params });
  onTestFinished(async () => {
    await operate(ductape, 'raw', { operation: 'DeleteTable', params: { TableName: table } });
    await ductape.close();
  });
  return { ductape, logger, table };
}

describe.skipIf(!connection_url)('dynamodb', () => {
  it('does the documented clean-up by age, in an index and in the whole table', async () => {
    const { ductape, logger } = await started();
    const day = 86_400_000;
    const dates = [100, 31, 29, 0].map((age) => new Date(Date.now() - age * day));
    const data = dates.map((createdAt, at) => ({ id: `${at}`, level: at % 2 ? 'error' : 'info', createdAt }));
    expect(await operate(ductape, 'insertMany', { data })).toEqual({ count: 4 });
    const old = { $lt: '$DateAdd($Now(), -30, "days")' };
    expect(await operate(ductape, 'count', { where: { level: 'info', createdAt: old } })).toEqual({ count: 1 });
    const newest = await operate(ductape, 'find', { where: { level: 'info' }, orderBy: { createdAt: 'desc' } });
    expect(newest.rows).toEqual([
      { id: '2', level: 'info', createdAt: dates[2]?.toISOString() },
      { id: '0', level: 'info', createdAt: dates[0]?.toISOString() },
    ]);
    expect(logger.messagesAt('warn')).toEqual([]);
    expect(await operate(ductape, 'deleteMany', { filter: { createdAt: old } })).toEqual({ count: 2 });
    expect(await operate(ductape, 'count', {})).toEqual({ count: 2 });
    const warnings = logger.messagesAt('warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/database logs-db .*\(Scan\)/);
    expect((await ductape.resources.check())[0]).toMatchObject({ type: 'database', tag: 'logs-db', ok: true });
  });

  it('changes rows, keeps every digit, and takes what a stranger sends as a value', async () => {
    const { ductape } = await started();
    const token = { $ne: '' };
    const data = { id: 'a', n: { $numberDecimal: '12345678901234567.89' }, token: literal(token) };
    expect(await operate(ductape, 'insertOne', { data })).toEqual({ count: 1 });
    const again = await rejection(operate(ductape, 'insertOne', { data: { id: 'a' } }));
    expect(again.code).toBe('VALIDATION_ERROR');
    const where = { id: 'a', token: literal(token) };
    const changes = { n: { $inc: '0.02' }, tags: { $addToSet: 'x' } };
    const changed = await operate(ductape, 'update', { where, data: changes, returning: ['n', 'tags'] });
    expect(changed.rows).toEqual([{ n: { $numberDecimal: '12345678901234567.91' }, tags: { $stringSet: ['x'] } }]);
    expect(
      await operate(ductape, 'find', { where: { id: literal(token) as unknown as string } }).catch((e) => e.code),
    ).toBe('VALIDATION_ERROR');
    expect(await operate(ductape, 'delete', { where: { id: 'a', token: 'other' } })).toEqual({ count: 0 });
    expect(await operate(ductape, 'delete', { where: { id: 'a' } })).toEqual({ count: 1 });
  });

  it('runs actions and statements with placeholders', async () => {
    const { ductape } = await started();
    await operate(ductape, 'insert', { data: [{ id: 'a' }, { id: "b' OR 'x' = 'x" }] });
    const act = async (event: string, id: unknown) => {
      const job = await ductape.databases.action.dispatch({ database: 'logs-db', event, input: { id }, retries: 0 });
      return (await ductape.jobs.wait(job.job_id)) as Rows;
    };
    expect((await act('one', 'a')).rows).toEqual([{ id: 'a' }]);
    expect((await act('of-level', "b' OR 'x' = 'x")).rows).toEqual([{ id: "b' OR 'x' = 'x" }]);
    expect((await rejection(act('one', { $gt: '' }))).code).toBe('VALIDATION_ERROR');
  });
});
