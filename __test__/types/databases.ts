// Documented inputs of databases, and definitions of their actions.
import { type Ductape, defineResources } from 'ductape';

export async function operations(ductape: Ductape): Promise<void> {
  const operate = (operation: string, input: Record<string, unknown>) =>
    ductape.databases.dispatch({ database: 'db', operation, input });
  await operate('query', { table: 'users', orderBy: { column: 'created_at', order: 'DESC' }, limit: 10 });
  await operate('query', { table: 'users', where: { $or: { role: 'admin', is_superuser: true } } });
  await operate('insert', { table: 'users', data: [{ name: 'a' }], onConflict: { columns: ['id'], action: 'ignore' } });
  await operate('update', { table: 'products', data: { stock: { $inc: 10 } }, where: { id: 1 } });
  await operate('query', {
    table: 'users',
    include: [{ relation: 'roles', type: 'many-to-many', through: 'user_roles', select: ['name'], limit: 3 }],
  });
  await operate('upsert', {
    table: 'users',
    data: { id: 1, name: 'a' },
    conflictKeys: ['id'],
    updateColumns: ['name'],
  });
  await operate('raw', { collection: 'users', query: { status: 'active' } });
  await operate('raw', { query: 'SELECT 1', params: [] });
  await operate('groupBy', { table: 'orders', groupBy: ['status'], aggregate: { count: { $count: '*' } } });
}

export async function actions(ductape: Ductape): Promise<void> {
  const act = (event: string) => ({ database: 'db', event });
  await ductape.databases.action.dispatch({
    ...act('page'),
    input: { limit: 25, offset: 0, orderColumn: 'created_at' },
  });
  await ductape.databases.action.dispatch({ ...act('bulk'), input: { orders: [{ user_id: 1 }, { user_id: 2 }] } });
  await ductape.databases.action.dispatch({ ...act('put'), input: { query: {}, data: { sku: 'a' } } });
}

export const resources = defineResources({
  products: [
    {
      tag: 'shop',
      databases: [
        {
          tag: 'db',
          type: 'mariadb',
          envs: [{ slug: 'prd', connection_url: '$Secret{URL}' }],
          actions: [
            {
              tag: 'db:page',
              operation: 'QUERY',
              tableName: 'users',
              template: {
                where: { is_active: true },
                limit: '{{limit}}',
                orderBy: [{ column: '{{orderColumn}}', order: '{{orderDirection}}' }],
              },
            },
            { tag: 'report', operation: 'RAW_SQL', template: { query: 'SELECT $1', params: ['{{x}}'] } },
            {
              tag: 'latest',
              operation: 'QUERY',
              tableName: 'users',
              orderBy: { column: 'id', order: 'DESC' },
              limit: 1,
            },
          ],
        },
        {
          tag: 'documents',
          type: 'mongodb',
          table: 'users',
          envs: [{ slug: 'prd', connection_url: 'mongodb://h/d' }],
          actions: [
            { tag: 'documents:add', operation: 'INSERT', template: { insertOne: { name: '{{name}}' } } },
            { tag: 'add_all', operation: 'INSERT', template: { insertMany: [{ name: '{{name}}' }] } },
            { tag: 'get', operation: 'QUERY', template: { findOne: { name: '{{name}}' } } },
            {
              tag: 'change',
              operation: 'UPDATE',
              template: { updateOne: { set: { name: '{{to}}' } } },
              filterTemplate: { where: { name: '{{name}}' } },
            },
            { tag: 'drop', operation: 'DELETE', template: { deleteOne: { name: '{{name}}' } } },
          ],
        },
      ],
      brokers: [{ tag: 'b', envs: [{ slug: 'prd', type: 'kafka', config: { brokers: ['h:9092'] } }] }],
    },
  ],
});

export async function qualifiedActions(ductape: Ductape): Promise<void> {
  await ductape.databases.action.dispatch({ event: 'db:page', input: { limit: 25 } });
  await ductape.graphs.action.dispatch({ event: 'graph:friends', input: { id: 1 } });
  // @ts-expect-error: the event does not name the database.
  await ductape.databases.action.dispatch({ event: 'page', input: {} });
}
