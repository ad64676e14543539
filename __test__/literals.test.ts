// What is marked with `literal()` is data wherever it arrives, and never an operator of a filter.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Ductape, type DuctapeOptions, literal } from './support/ductape.js';
import { create, env, product, temporaryFolder } from './support/instances.js';
import { address } from './support/servers.js';

const servers = [
  { type: 'postgresql', url: address('DUCTAPE_TEST_POSTGRES') },
  { type: 'mysql', url: address('DUCTAPE_TEST_MYSQL') },
  { type: 'sqlite', url: 'file' },
] as const;

/** What a stranger may send in place of a password. */
const operators = [{ $ne: '' }, { $gt: '' }, { $like: '%' }, { $in: ['secret'] }, { $not: { $eq: 'x' } }, {}];

async function users(type: (typeof servers)[number]['type'], url: string): Promise<Ductape> {
  const table = `users_${randomUUID().replaceAll('-', '')}`;
  let connection_url = url;
  if (type === 'sqlite') {
    connection_url = join(await temporaryFolder(), 'app.db');
    await writeFile(connection_url, '');
  }
  const where = { name: '$Input{name}', pass: '$Input{pass}' };
  const find = (name: string, input: Record<string, unknown>) => ({
    tag: name,
    sequence: [
      { tag: 's', events: [{ type: 'database' as const, database: 'app', operation: 'find', tag: 'found', input }] },
    ],
  });
  const resources: DuctapeOptions['resources'] = {
    products: [
      {
        tag: product,
        databases: [{ tag: 'app', type, table, envs: [{ slug: env, connection_url }] }],
        features: [
          find('login', { where }),
          find('any', { where: { $or: [{ pass: '$Input{pass}' }] } }),
          {
            tag: 'outer',
            sequence: [
              {
                tag: 's',
                events: [
                  { type: 'feature' as const, event: 'login', input: { name: 'ann', pass: '$Input{account}{pass}' } },
                ],
              },
            ],
          },
        ],
      },
    ],
  };
  const ductape = create({ resources });
  await operate(ductape, 'raw', { sql: `CREATE TABLE ${table} (name varchar(100), pass varchar(100))` });
  onTestFinished(async () => void (await operate(ductape, 'raw', { sql: `DROP TABLE ${table}` })));
  await operate(ductape, 'insert', { data: { name: 'ann', pass: 'secret' } });
  return ductape;
}

async function operate(ductape: Ductape, operation: string, input: Record<string, unknown>) {
  const { job_id } = await ductape.databases.dispatch({ database: 'app', operation, input });
  return (await ductape.jobs.wait(job_id, { timeout: 20_000 })) as { rows: unknown[]; count: number };
}

async function feature(ductape: Ductape, tag: string, input: Record<string, unknown>) {
  const { job_id } = await ductape.features.dispatch({ product, env, tag, input });
  return (await ductape.jobs.wait(job_id, { timeout: 20_000 })) as { rows: unknown[] };
}

describe('a literal in a filter', () => {
  for (const { type, url } of servers) {
    it.skipIf(!url)(`is compared, whatever it is: ${type}`, async () => {
      const ductape = await users(type, url as string);
      const ann = [{ name: 'ann', pass: 'secret' }];
      for (const sent of operators) {
        // Or refused, since no column of text can be equal to an object.
        const none = (error: { code: string }) => {
          expect(error.code).toBe('VALIDATION_ERROR');
          return { rows: [], count: 0 };
        };
        const found = async (where: object) => (await operate(ductape, 'find', { where }).catch(none)).rows;
        expect(await found({ pass: literal(sent) }), JSON.stringify(sent)).toEqual([]);
        expect(await found({ $or: [{ pass: literal(sent) }] })).toEqual([]);
        expect(await found({ pass: { $eq: literal(sent) } })).toEqual([]);
        expect(await found(literal({ pass: sent }) as object)).toEqual([]);
        const rows = async (tag: string, input: Record<string, unknown>) =>
          (await feature(ductape, tag, input).catch(none)).rows;
        expect(await rows('login', { name: 'ann', pass: literal(sent) })).toEqual([]);
        expect(await rows('any', { pass: literal(sent) })).toEqual([]);
        expect(await rows('outer', { account: literal({ pass: sent }) })).toEqual([]);
        expect(await rows('outer', literal({ account: { pass: sent } }) as never)).toEqual([]);
        expect((await operate(ductape, 'delete', { where: { pass: literal(sent) } }).catch(none)).count).toBe(0);
      }
      expect((await operate(ductape, 'find', { where: { pass: literal('secret') } })).rows).toEqual(ann);
      expect((await operate(ductape, 'find', { where: { pass: { $in: literal(['secret']) } } })).rows).toEqual(ann);
      expect((await feature(ductape, 'login', { name: 'ann', pass: literal('secret') })).rows).toEqual(ann);
      // What the program itself writes is an operator.
      expect((await operate(ductape, 'find', { where: { pass: { $ne: '' } } })).rows).toEqual(ann);
    });
  }

  it('is stored as it is', async () => {
    const ductape = await users('sqlite', 'file');
    await operate(ductape, 'insert', literal({ data: { name: 'bob', pass: '$Now()' } }) as never);
    await operate(ductape, 'insertMany', { data: literal([{ name: 'cid', pass: '$Now()' }]) });
    const { rows } = await operate(ductape, 'find', { where: { name: { $ne: 'ann' } }, orderBy: literal(['name']) });
    expect(rows).toEqual([
      { name: 'bob', pass: '$Now()' },
      { name: 'cid', pass: '$Now()' },
    ]);
  });

  it('is not marked for a handler of the program', async () => {
    const ductape = await users('sqlite', 'file');
    const seen: unknown[] = [];
    ductape.databases.handle({ database: 'app', operation: 'count' }, ({ input }) => {
      seen.push(input);
      return { count: 0, rows: [] };
    });
    await operate(ductape, 'count', { where: { pass: literal({ $ne: '' }) } });
    expect(seen).toEqual([{ where: { pass: { $ne: '' } } }]);
  });
});
