// Actions of a database: the definition says what is done, a job brings values and nothing else.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Needs no server: the database is a file. */
export const address = undefined;

export async function resources() {
  const path = join(await mkdtemp(join(tmpdir(), 'ductape-')), 'inventory.db');
  return {
    databases: [
      {
        tag: 'inventory-db',
        type: 'sqlite',
        table: 'items',
        // Jobs bring no SQL of their own.
        raw: false,
        envs: [{ slug: 'prd', connection_url: `sqlite:${path}` }],
        actions: [
          {
            tag: 'prepare',
            operation: 'RAW_SQL',
            template: 'CREATE TABLE items (sku TEXT PRIMARY KEY, stock INTEGER, seen TIMESTAMP)',
          },
          {
            tag: 'sync_inventory',
            operation: 'UPSERT',
            template: { sku: '{{sku}}', stock: '{{stock}}', seen: '$Now()' },
            defaults: { stock: 0 },
            conflictColumns: ['sku'],
          },
          {
            tag: 'low',
            operation: 'QUERY',
            filterTemplate: { stock: { $lt: '{{below}}' } },
            fields: ['sku', 'stock'],
            orderBy: 'sku',
            limit: 100,
          },
          {
            tag: 'take',
            operation: 'RAW_SQL',
            template: 'UPDATE items SET stock = stock - {{n}} WHERE sku = {{sku}} AND stock >= {{n}}',
          },
        ],
      },
    ],
  };
}

export async function run(ductape, log) {
  const act = async (event, input) => {
    const job = await ductape.databases.action.dispatch({ database: 'inventory-db', event, input });
    return ductape.jobs.wait(job.job_id);
  };
  await act('prepare', {});
  await act('sync_inventory', { data: { sku: 'bolt', stock: 12 } });
  await act('sync_inventory', { data: { sku: 'nut' } });
  log('taken', await act('take', { data: { sku: 'bolt', n: 9 } }));
  log('low', await act('low', { query: { below: 5 } }));
}
