// Stores that several processes may share: a file, and PostgreSQL where the environment names a server.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './instances.js';
import { address } from './servers.js';

/** URL of a PostgreSQL database whose user may make schemas. */
export const server = address('DUCTAPE_TEST_POSTGRES');

/** A store in a schema of this test's own. */
export async function postgresStore(): Promise<{ store: string; schema: string }> {
  const schema = `ductape_test_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  // Registered first, so done last: instances on the schema are closed by then.
  onTestFinished(async () => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
    await client.end();
  });
  const url = new URL(server ?? '');
  url.searchParams.set('schema', schema);
  return { store: url.href, schema };
}

/** Each kind of store that processes can share, with a function that makes one of this test's own. */
export const sharedStores = [
  {
    kind: 'a SQLite file',
    unavailable: false,
    make: async () => `sqlite:${join(await temporaryFolder(), 'jobs.db')}`,
  },
  {
    kind: server ? 'PostgreSQL' : 'PostgreSQL (needs DUCTAPE_TEST_POSTGRES)',
    unavailable: !server,
    make: async () => (await postgresStore()).store,
  },
];
