// Databases through the package: jobs without a handler, on a SQLite file, and on servers where they are named.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Ductape, type DuctapeOptions, literal, type Resources } from './support/ductape.js';
import { create, env, product, recordingLogger, rejection, temporaryFolder } from './support/instances.js';
import { address } from './support/servers.js';

type Database = NonNullable<NonNullable<Resources['products']>[number]['databases']>[number];

const servers = [
  { type: 'postgresql', url: address('DUCTAPE_TEST_POSTGRES'), timestamp: 'timestamptz' },
  { type: 'mysql', url: address('DUCTAPE_TEST_MYSQL'), timestamp: 'datetime(3)' },
  { type: 'sqlite', url: 'file', timestamp: 'TIMESTAMP' },
] as const;
const mongodb = address('DUCTAPE_TEST_MONGODB');

async function file(): Promise<string> {
  const path = join(await temporaryFolder(), 'app.db');
  await writeFile(path, '');
  return path;
}

const instance = (database: Omit<Database, 'tag'>, options: DuctapeOptions = {}) =>
  create({ resources: { products: [{ tag: product, databases: [{ tag: 'logs-db', ...database }] }] }, ...options });

async function operate(ductape: Ductape, operation: string, input: Record<string, unknown>, retries = 0) {
  const job = await ductape.databases.dispatch({ database: 'logs-db', operation, input, retries });
  return (await ductape.jobs.wait(job.job_id)) as { count: number; rows: Record<string, unknown>[] };
}

describe('databases', () => {
  for (const { type, url, timestamp } of servers) {
    it.skipIf(!url)(`${type}: the documented clean-up deletes what is older, by the definition's table`, async () => {
      const table = `logs_${randomUUID().replaceAll('-', '')}`;
      const connection_url = type === 'sqlite' ? await file() : (url as string);
      const ductape = instance({ type, table, envs: [{ slug: env, connection_url }] });
      const quoted = type === 'mysql' ? '`createdAt`' : '"createdAt"';
      await operate(ductape, 'raw', { sql: `CREATE TABLE ${table} (id int PRIMARY KEY, ${quoted} ${timestamp})` });
      try {
        const day = 86_400_000;
        const ages = [100, 31, 29, 0];
        const data = ages.map((age, id) => ({ id, createdAt: Date.now() - age * day }));
        expect(await operate(ductape, 'insertMany', { data })).toMatchObject({ count: 4 });
        const filter = { createdAt: { $lt: '$DateAdd($Now(), -30, "days")' } };
        expect(await operate(ductape, 'deleteMany', { filter })).toEqual({ count: 2 });
        const left = await operate(ductape, 'find', { orderBy: 'id' });
        expect(left.rows).toEqual([
          { id: 2, createdAt: new Date(data[2]?.createdAt as number).toISOString() },
          { id: 3, createdAt: new Date(data[3]?.createdAt as number).toISOString() },
        ]);
        expect((await ductape.resources.check())[0]).toMatchObject({ type: 'database', tag: 'logs-db', ok: true });
      } finally {
        await operate(ductape, 'raw', { sql: `DROP TABLE ${table}` });
      }
    });
  }

  it.skipIf(!mongodb)('mongodb: the documented clean-up deletes what is older, by dates', async () => {
    const table = `logs_${randomUUID()}`;
    const ductape = instance({
      type: 'mongodb',
      table,
      envs: [{ slug: env, connection_url: mongodb as string }],
      actions: [{ tag: 'since', operation: 'QUERY', filterTemplate: { createdAt: { $gte: '{{at}}' } } }],
    });
    try {
      const day = 86_400_000;
      const dates = [100, 31, 29, 0].map((age) => new Date(Date.now() - age * day));
      const data = [
        ...dates.map((createdAt, id) => ({ _id: id, createdAt })),
        { _id: 4, createdAt: { $date: '$Now()' } },
      ];
      expect(await operate(ductape, 'insertMany', { data })).toEqual({ count: 5 });
      const filter = { createdAt: { $lt: '$DateAdd($Now(), -30, "days")' } };
      expect(await operate(ductape, 'deleteMany', { filter })).toEqual({ count: 2 });
      const left = await operate(ductape, 'find', { where: { _id: { $lt: 4 } }, orderBy: '_id' });
      expect(left.rows).toEqual([2, 3].map((_id) => ({ _id, createdAt: { $date: dates[_id]?.toISOString() } })));
      const input = { at: dates[3] };
      const { job_id } = await ductape.databases.action.dispatch({ database: 'logs-db', event: 'since', input });
      expect(await ductape.jobs.wait(job_id)).toMatchObject({ count: 2 });
      const pipeline = [{ $group: { _id: null, last: { $max: '$createdAt' } } }];
      expect(await operate(ductape, 'aggregate', { pipeline })).toMatchObject({ count: 1 });
      const stranger = await operate(ductape, 'find', { where: { createdAt: literal({ $ne: '' }) } });
      expect(stranger).toEqual({ rows: [], count: 0 });
      expect((await ductape.resources.check())[0]).toMatchObject({ type: 'database', tag: 'logs-db', ok: true });
    } finally {
      await operate(ductape, 'raw', { command: { drop: table } });
    }
  });

  it('run actions for which a job supplies only values', async () => {
    const ductape = instance({
      type: 'sqlite',
      table: 'items',
      raw: false,
      envs: [{ slug: env, connection_url: await file() }],
      actions: [
        { tag: 'make', operation: 'RAW_SQL', template: 'CREATE TABLE items (sku TEXT PRIMARY KEY, n INTEGER)' },
        { tag: 'put', operation: 'UPSERT', template: { sku: '{{sku}}', n: '{{n}}' }, conflictColumns: ['sku'] },
        { tag: 'drop', operation: 'DELETE', filterTemplate: { sku: '{{sku}}' } },
      ],
    });
    const act = async (event: string, input: Record<string, unknown>) => {
      const job = await ductape.databases.action.dispatch({ database: 'logs-db', event, input });
      return ductape.jobs.wait(job.job_id);
    };
    await act('make', {});
    await act('put', { data: { sku: 'a', n: 1 } });
    await act('put', { data: { sku: 'a', n: 2 } });
    const harm = await rejection(act('drop', { filter: { sku: { $ne: '' } } }));
    expect(harm.code).toBe('VALIDATION_ERROR');
    expect((await rejection(act('put', { data: { sku: 'b' } }))).message).toContain('{{n}}');
    expect((await rejection(operate(ductape, 'raw', { sql: 'SELECT 1' }))).message).toContain('raw: false');
    expect(await operate(ductape, 'find', {})).toEqual({ rows: [{ sku: 'a', n: 2 }], count: 1 });
  });

  it('take events that name the database, and say which event is near a misspelt one', async () => {
    const ductape = instance({
      type: 'sqlite',
      table: 'items',
      envs: [{ slug: env, connection_url: await file() }],
      actions: [
        { tag: 'logs-db:make', operation: 'RAW_SQL', template: 'CREATE TABLE items (n INTEGER)' },
        { tag: 'all', operation: 'QUERY' },
      ],
    });
    const { action } = ductape.databases;
    const made = await action.dispatch({ event: 'logs-db:make', input: {} });
    await ductape.jobs.wait(made.job_id);
    const read = await action.dispatch({ database: 'logs-db', event: 'logs-db:all', input: {} });
    expect(await ductape.jobs.wait(read.job_id)).toEqual({ rows: [], count: 0 });
    const misplaced = { database: 'logs-db', event: 'logs-db:all', input: {} } as never;
    expect((await rejection(ductape.databases.dispatch(misplaced))).message).toContain(
      'event: belongs to `databases.action.dispatch`',
    );
    const { job_id } = await action.dispatch({ database: 'logs-db', event: 'mkae', input: {} });
    const { reasons } = await ductape.jobs.explain(job_id);
    expect(reasons[0]).toMatchObject({ code: 'NO_HANDLER' });
    expect(reasons[0]?.message).toContain("'mkae' is not known of 'logs-db'; did you mean `make`?");
    action.handle({ event: 'logs-db:mkae' }, () => ({ own: true }));
    expect(await ductape.jobs.wait(job_id)).toEqual({ own: true });
  });

  it('are refused by the constructor where their type of database cannot do an action', async () => {
    const urls = { sqlite: 'app.db', dynamodb: 'dynamodb://eu-west-1', postgresql: 'postgres://localhost/app' };
    for (const [type, action, said] of [
      ['dynamodb', { operation: 'AGGREGATE', template: { n: { $count: '*' } } }, 'DynamoDB'],
      [
        'sqlite',
        { operation: 'QUERY', template: { where: { a: { $regex: 'x' } } } },
        'actions[0].template.where: $regex',
      ],
      ['postgresql', { operation: 'QUERY', tableName: '{{t}}' }, 'actions[0].tableName: has a place'],
      ['sqlite', { operation: 'QUERY', template: { where: { '{{c}}': 1 } } }, 'actions[0].template.where.{{c}}: has a'],
      ['sqlite', { operation: 'QUERY', filterTemplate: { a: '{{open' } }, 'actions[0].filterTemplate.a: '],
      ['sqlite', { operation: 'QUERY', filterTemplate: { a: '{{n:numbr}}' } }, 'did you mean `number`?'],
    ] as const) {
      const envs = [{ slug: env, connection_url: urls[type] }];
      const actions = [{ tag: 'a', ...action }] as NonNullable<Database['actions']>;
      const refused = await rejection(() => instance({ type, table: 'items', envs, actions }));
      expect(refused.code).toBe('VALIDATION_ERROR');
      expect(refused.message).toContain(said);
    }
  });

  it('fail with a code that tells whether to retry, and without the password', async () => {
    const logger = recordingLogger();
    const connection_url = 'postgres://me:$Secret{PASSWORD}@127.0.0.1:1/d';
    const password = 'a-very-secret-password';
    const ductape = instance(
      { type: 'postgresql', table: 't', envs: [{ slug: env, connection_url }] },
      { logger, secrets: { PASSWORD: password } },
    );
    const input = { where: { name: 'a value of the payload' } };
    const job = await ductape.databases.dispatch({
      database: 'logs-db',
      operation: 'count',
      input,
      retries: 1,
      retryConfig: { initialDelay: 1 },
    });
    const lost = await rejection(ductape.jobs.wait(job.job_id));
    expect(lost.code).toBe('CONNECTION_ERROR');
    expect((await ductape.jobs.get(job.job_id)).attempt).toBe(2);
    const history = JSON.stringify(await ductape.jobs.getHistory(job.job_id));
    const told = [lost.message, history, ...logger.lines].join('\n');
    expect(told).not.toContain(password);
    expect(told).not.toContain('a value of the payload');
    const [checked] = await ductape.resources.check();
    expect(checked).toMatchObject({ ok: false, error: { code: 'CONNECTION_ERROR' } });
    expect(JSON.stringify(checked)).not.toContain(password);
    const wrong = await rejection(operate(ductape, 'delete', {}, 3));
    expect(wrong.code).toBe('VALIDATION_ERROR');
  });

  it('refuse to open the file of a store', async () => {
    const store = join(await temporaryFolder(), 'jobs.db');
    const ductape = instance(
      { type: 'sqlite', envs: [{ slug: env, connection_url: store }] },
      { store: `sqlite:${store}` },
    );
    const refused = await rejection(operate(ductape, 'raw', { sql: 'DELETE FROM job' }));
    expect(refused.code).toBe('VALIDATION_ERROR');
    expect(refused.message).toContain('store of jobs');
  });

  it('leave cassandra to a handler', async () => {
    const ductape = instance({ type: 'cassandra', envs: [{ slug: env, connection_url: 'cassandra://h' }] });
    const { job_id } = await ductape.databases.dispatch({ database: 'logs-db', operation: 'find', input: {} });
    expect((await ductape.jobs.explain(job_id)).reasons.map(({ code }) => code)).toContain('NO_HANDLER');
    expect((await ductape.resources.check())[0]?.error?.message).toContain('cassandra');
    ductape.databases.handle({ database: 'logs-db', operation: 'find' }, () => ({ count: 7 }));
    expect(await ductape.jobs.wait(job_id)).toEqual({ count: 7 });
  });
});
