// What `doctor` and `ductape.health` say of a store as a whole: schema, pages, locks, settings of a server.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { command, filledStore } from './support/command.js';
import { create, job, rejection, temporaryFolder, temporaryStore } from './support/instances.js';
import { script } from './support/processes.js';
import { postgresStore, server } from './support/stores.js';

interface Finding {
  name: string;
  level: string;
  message: string;
  remedy?: string;
}

async function doctor(store: string): Promise<{ code: number | null; found: Map<string, Finding> }> {
  const { code, stdout } = await command(['doctor', '--json'], { store });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return { code, found: new Map(findings.map((each) => [each.name, each])) };
}

/** Another program that takes a lock; Linux alone says whose it is. */
const noPython = process.platform !== 'linux' || spawnSync('python3', ['--version']).error !== undefined;

const fileOf = (store: string) => store.slice('sqlite:'.length);

/** The version of a schema stands in the header of the file. */
const VERSION_AT = 60;

async function setVersion(store: string, version: number): Promise<void> {
  const file = await open(fileOf(store), 'r+');
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(version);
  await file.write(bytes, 0, 4, VERSION_AT);
  await file.close();
}

describe('health', () => {
  it('tells plain facts of a file, and makes none', async () => {
    const store = await filledStore();
    const ductape = create({ store, worker: false });
    const health = await ductape.health();
    expect(health).toEqual({
      schema_version: expect.any(Number),
      known_schema_version: health.schema_version,
      jobs: { counted: 3, stored: 3 },
      file: {
        bytes: expect.any(Number),
        free_bytes: expect.any(Number),
        log_bytes: expect.any(Number),
        integrity: 'sound',
        is_writable: true,
      },
    });
    // Beside the open store, too.
    await ductape.features.dispatch(job('more'));
    expect((await ductape.health({ limit: 10_000 })).jobs).toEqual({ counted: 4, stored: 4 });
    expect(await rejection(ductape.health({ limit: -1 }))).toMatchObject({ code: 'VALIDATION_ERROR' });
    const none = join(await temporaryFolder(), 'none.db');
    expect(await rejection(create({ store: `sqlite:${none}` }).health())).toMatchObject({ code: 'STORE_ERROR' });
    expect(existsSync(none)).toBe(false);
    expect(await create({ store: 'memory:' }).health()).toMatchObject({ memory: {} });
  });
});

describe('doctor', () => {
  it('leaves a store of an older or a newer version as it is', async () => {
    const store = await filledStore();
    const known = (await create({ store, worker: false }).health()).schema_version;
    await setVersion(store, known - 1);
    const before = await readFile(fileOf(store));
    const { code, found } = await doctor(store);
    expect(code).toBe(0);
    expect(found.get('schema')).toEqual({
      name: 'schema',
      level: 'warning',
      message: `the store's schema has version ${known - 1}, that of this package is ${known}: it was left as it is, and jobs were not looked at`,
      remedy:
        'the next start of a worker or program with this package migrates it, and older ones are refused from then on',
    });
    expect([...found.keys()]).toEqual(['version', 'size', 'disk', 'schema', 'integrity']);
    expect((await readFile(fileOf(store))).equals(before)).toBe(true);
    await setVersion(store, known + 1);
    const newer = await doctor(store);
    expect(newer.code).toBe(1);
    expect(newer.found.get('schema')).toMatchObject({
      level: 'problem',
      message: `the store's schema has version ${known + 1}, this package knows versions up to ${known}`,
    });
  });

  it.skipIf(noPython)('says that somebody keeps the store locked, and who', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    await ductape.features.dispatch(job('x'));
    await ductape.start();
    // Another program's lock for writing: a byte of the shared memory.
    const holder = script(
      `import { spawn } from 'node:child_process';
       const python = spawn('python3', ['-c', \`
import fcntl, struct, sys, time
file = open(sys.argv[1] + '-shm', 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX, 1, 120)
print('locked', flush=True)
time.sleep(600)
\`, process.argv[1]], { stdio: ['ignore', 'inherit', 'inherit'] });
       process.on('SIGTERM', () => { python.kill('SIGKILL'); process.exit(); });`,
      [fileOf(store)],
    );
    await holder.waitForLine('locked');
    const { code, found } = await doctor(store);
    holder.process.kill('SIGTERM');
    await holder.ended;
    expect(code).toBe(1);
    expect(found.get('lock')).toMatchObject({
      level: 'problem',
      message: expect.stringMatching(
        /^nobody can write: process \d+ \(python3\S*\) has held the lock of the file for over a second$/,
      ),
    });
  });

  it('finds pages that are damaged', async () => {
    const store = await filledStore();
    const file = await open(fileOf(store), 'r+');
    const { size } = await file.stat();
    const from = size - 4 * 4_096;
    await file.write(Buffer.alloc(size - from, 0x5a), 0, size - from, from);
    await file.close();
    const { code, found } = await doctor(store);
    expect(code).toBe(1);
    expect(found.get('integrity')).toMatchObject({
      level: 'problem',
      message: expect.stringMatching(/^the file is damaged: ./),
      remedy: 'stop all processes and put a backup back with Ductape.restore',
    });
  });
});

describe.skipIf(!server)(`doctor of PostgreSQL${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`, () => {
  const withClient = async <T>(run: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    try {
      return await run(client);
    } finally {
      await client.end();
    }
  };

  it('tells of the schema, the server, and settings that lose jobs, and makes no schema', async () => {
    const { store, schema } = await postgresStore();
    const none = await doctor(store);
    expect([none.code, none.found.get('schema')?.message]).toEqual([1, 'there is no store yet']);
    const count = 'SELECT count(*)::int AS n FROM pg_namespace WHERE nspname = $1';
    expect((await withClient((client) => client.query(count, [schema]))).rows).toEqual([{ n: 0 }]);
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('x'));
    const { found } = await doctor(store);
    expect(found.get('schema')?.level).toBe('ok');
    expect(found.get('server')?.message).toMatch(/^PostgreSQL \d+, .* in this schema, \d+ of \d+ connections$/);
    // The server of the tests is set up to be fast.
    const { rows } = await withClient((client) => client.query('SHOW fsync'));
    expect(found.get('fsync')?.level).toBe(rows[0].fsync === 'off' ? 'problem' : undefined);
  });

  it('leaves a schema of an older version as it is', async () => {
    const { store, schema } = await postgresStore();
    const ductape = create({ store, worker: false });
    const known = (await ductape.health()).known_schema_version;
    await ductape.jobs.getStats();
    await ductape.close();
    await withClient((client) => client.query(`DELETE FROM "${schema}".versions WHERE number = $1`, [known]));
    const { found } = await doctor(store);
    expect(found.get('schema')).toMatchObject({ level: 'warning' });
    expect(found.has('store')).toBe(false);
    const { rows } = await withClient((client) => client.query(`SELECT max(number) AS n FROM "${schema}".versions`));
    expect(rows).toEqual([{ n: known - 1 }]);
  });
});
