// Encryption of payloads: what a store holds and who can read it, rotation, and the option `encryptionKeys`.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { inspect } from 'node:util';
import pg from 'pg';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Ductape, DuctapeOptions } from './support/ductape.js';
import { Ductape as DuctapeClass } from './support/ductape.js';
import {
  create,
  env,
  eventually,
  job,
  problemPaths,
  product,
  recordingLogger,
  rejection,
  stopwatch,
  temporaryFolder,
} from './support/instances.js';
import { script } from './support/processes.js';
import { postgresStore, server, sharedStores } from './support/stores.js';

/** What stands in every payload. */
const marker = 'MARKER-5e1f-plain';

type Keys = NonNullable<DuctapeOptions['encryptionKeys']>;

const newKey = (id: string) => ({ id, key: randomBytes(32).toString('base64') });
const [one, two] = [newKey('2026-01'), newKey('2026-02')];

/** Everything that a store holds, as text: the bytes of the files, or all rows of all tables. */
async function contents(store: string): Promise<string> {
  if (store.startsWith('sqlite:')) {
    const folder = dirname(store.slice('sqlite:'.length));
    const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
    const files = await Promise.all(names.map(({ name }) => readFile(`${folder}/${name}`, 'latin1')));
    return files.join('\n');
  }
  const client = new pg.Client(server);
  await client.connect();
  const schema = new URL(store).searchParams.get('schema') ?? '';
  const tables = await client.query<{ name: string }>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1',
    [schema],
  );
  const rows: string[] = [];
  for (const { name } of tables.rows) {
    const found = await client.query<{ row: string }>(`SELECT t::text AS row FROM "${schema}"."${name}" AS t`);
    rows.push(...found.rows.map(({ row }) => row));
  }
  await client.end();
  expect(tables.rows.length).toBeGreaterThan(15);
  return rows.join('\n');
}

/** Puts the marker into every kind of payload there is. */
async function fill(ductape: Ductape): Promise<void> {
  ductape.features.define('done', async (run) => {
    run.progress({ at: marker });
    run.log(`log ${marker}`);
    await run.step('first', () => ({ step: marker }));
    return { result: marker, cache: run.input };
  });
  ductape.features.define('failing', async (run) => {
    await run.step('first', () => ({ step: marker }));
    throw new Error(`message ${marker}`);
  });
  const input = { card: marker };
  await ductape.jobs.setWebhook({
    url: 'http://127.0.0.1:9/hook',
    events: ['job.failed', 'job.completed'],
    secret: `a secret of enough bytes ${marker}`,
  });
  await ductape.features.dispatch(
    job('done', { job_id: 'done', input, cache: 'c', session: { tag: 's', token: `token.${marker}.x` } }),
  );
  await ductape.features.dispatch(job('failing', { job_id: 'failed', input }));
  await ductape.features.dispatch(
    job('later', { job_id: 'series', input, schedule: { every: 3_600_000, start_at: Date.now() + 3_600_000 } }),
  );
  await ductape.features.dispatch(
    job('later', { job_id: 'later', input, schedule: { start_at: Date.now() + 3_600_000 } }),
  );
  await ductape.jobs.wait('done', { timeout: 20_000 });
  await rejection(ductape.jobs.wait('failed', { timeout: 20_000 }));
  await ductape.jobs.cancel('series', { reason: `reason ${marker}` });
  await ductape.caches.set({ tag: 'own', key: 'k', value: { kept: marker }, expiry: 3_600_000 });
  await eventually(async () => expect(await ductape.jobs.logs('done')).toHaveLength(1));
}

/** All that {@link fill} wrote, as it is shown. */
async function shown(ductape: Ductape) {
  return {
    jobs: (await ductape.jobs.list()).jobs,
    history: await ductape.jobs.getHistory('failed'),
    results: await ductape.jobs.getHistory('done'),
    logs: await ductape.jobs.logs('done'),
    cached: await ductape.caches.get({ tag: 'own', key: 'k' }),
  };
}

const options = (store: string, ...encryptionKeys: { id: string; key: string }[]): DuctapeOptions =>
  encryptionKeys.length > 0 ? { store, encryptionKeys } : { store };

describe.each(sharedStores)('payloads on $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('are stored as they are without keys', async () => {
    const store = await make();
    await fill(create(options(store)));
    expect((await contents(store)).split(marker).length).toBeGreaterThan(10);
  });

  it.skipIf(unavailable)('are nowhere in the store with keys, and shown to whoever has them', async () => {
    const store = await make();
    const logger = recordingLogger();
    const ductape = create({ ...options(store, one), logger });
    await fill(ductape);
    expect(await contents(store)).not.toContain(marker);
    expect(await contents(store)).toContain('2026-01:');
    const { jobs, history, results, logs, cached } = await shown(
      create({ ...options(store, two, one), worker: false }),
    );
    const found = Object.fromEntries(jobs.map((job) => [job.id, job]));
    expect(found.done).toMatchObject({
      input: { card: marker },
      result: { result: marker },
      progress: { at: marker },
    });
    expect(found.failed).toMatchObject({
      error: { code: 'Error', message: `message ${marker}` },
      last_error: `message ${marker}`,
    });
    expect(found.series).toMatchObject({ cancel_reason: `reason ${marker}` });
    expect(history.executions[0]?.error?.stack).toContain(marker);
    expect(results.executions[0]?.result).toMatchObject({ result: marker });
    expect(logs[0]).toMatchObject({ message: `log ${marker}` });
    expect(cached).toEqual({ kept: marker });
    for (const text of [logger.lines.join('\n'), inspect(ductape, { depth: 9, showHidden: true })]) {
      expect(text).not.toContain(one.key);
    }
  });

  it.skipIf(unavailable)('of a key that a process does not have are shown as markers, and wait', async () => {
    const store = await make();
    await fill(create(options(store, one)));
    const logger = recordingLogger();
    const stranger = create({ ...options(store, two), logger });
    const { jobs, history, logs, cached } = await shown(stranger);
    const encrypted = { $encrypted: one.id };
    expect(jobs).toHaveLength(4);
    for (const { input } of jobs) expect(input).toEqual(encrypted);
    expect(jobs.find(({ id }) => id === 'done')).toMatchObject({ result: encrypted, progress: encrypted });
    expect(history.executions[0]?.error).toMatchObject({ code: 'Error', message: `[encrypted: ${one.id}]` });
    expect(logs[0]?.message).toBe(`[encrypted: ${one.id}]`);
    expect(cached).toBeUndefined();
    const owner = create({ ...options(store, one), worker: false });
    await owner.features.dispatch(job('mine', { job_id: 'mine', input: { card: marker } }));
    const inputs: unknown[] = [];
    stranger.features.define('mine', (run) => void inputs.push(run.input));
    const snoozed = await eventually(async () => {
      const found = await owner.jobs.get('mine');
      expect(found.status).toBe('scheduled');
      return found;
    });
    expect(snoozed.retry_count).toBe(0);
    expect(logger.messagesAt('warn').join('\n')).toContain(`encrypted with the key '${one.id}'`);
    expect(inputs).toEqual([]);
    await stranger.close();
    const worker = create(options(store, one));
    worker.features.define('mine', (run) => void inputs.push(run.input));
    await owner.jobs.reschedule('mine', { start_at: Date.now() });
    await owner.jobs.wait('mine', { timeout: 20_000 });
    expect(inputs).toEqual([{ card: marker }]);
  });

  it.skipIf(unavailable)(
    'are encrypted anew after a rotation, though a process is killed while it does',
    { timeout: 120_000 },
    async () => {
      const store = await make();
      const many = 3_000;
      const first = create(options(store, one));
      await fill(first);
      for (let n = 0; n < many; n += 1_000) {
        const inputs = Array.from({ length: 1_000 }, (_, k) =>
          job('later', {
            job_id: `job-${n + k}`,
            input: { n: n + k, text: marker },
            schedule: { start_at: Date.now() + 3_600_000 },
          }),
        );
        await first.features.dispatchMany(inputs);
      }
      const before = await shown(first);
      await first.close();
      const keys = JSON.stringify([two, one]);
      const child = script(
        `import { Ductape } from 'ductape';
       const ductape = new Ductape({ store: process.argv[1], product: 'p', env: 'e', encryptionKeys: ${keys} });
       await ductape.start();
       console.log('started');`,
        [store],
      );
      await child.waitForLine('started');
      const reader = create({ ...options(store, two, one), worker: false });
      await eventually(async () => expect(await contents(store)).toContain(`${two.id}:`));
      child.process.kill('SIGKILL');
      await child.ended;
      const left = (await contents(store)).split(`${one.id}:`).length - 1;
      expect(left).toBeGreaterThan(0);
      const logger = recordingLogger();
      const elapsed = stopwatch();
      const other = create({ ...options(store, two, one), logger });
      await other.start({ signals: false });
      // Real time: it waits until nobody can have written with the old key since.
      await eventually(() => {
        const lines = logger.messagesAt('info').filter((line) => line.includes('can be removed'));
        expect(lines).toHaveLength(1);
        expect(lines[0]).toContain(`encrypted with the key '${two.id}': '${one.id}' can be removed`);
      }, 90_000);
      expect(elapsed()).toBeGreaterThan(19_000);
      expect(await shown(reader)).toEqual(before);
      await other.close();
      const newOnly = create({ ...options(store, two), worker: false });
      expect(await shown(newOnly)).toEqual(before);
      const { job_id } = await newOnly.features.dispatch(job('later', { job_id: `job-${many - 1}` }));
      expect((await newOnly.jobs.get(job_id)).input).toEqual({ n: many - 1, text: marker });
    },
  );
});

it.skipIf(!server)('a statement holds the input encrypted', async () => {
  const { store } = await postgresStore();
  const ductape = create({ store, encryptionKeys: [one] });
  const inputs: unknown[] = [];
  ductape.features.define('f', (run) => void inputs.push(run.input));
  const statement = await ductape.features.statement(job('f', { input: { card: marker } }));
  expect(JSON.stringify(statement)).not.toContain(marker);
  const client = new pg.Client(server);
  await client.connect();
  await client.query(statement);
  await client.end();
  await eventually(() => expect(inputs).toEqual([{ card: marker }]));
  expect(await contents(store)).not.toContain(marker);
});

it('deliveries to webhooks are signed with the secret, and are what they would be without keys', async () => {
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const payloads: unknown[] = [];
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    payloads.push(new Webhook(secret).verify(body, request.headers as Record<string, string>));
    response.end();
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  onTestFinished(() => void receiver.close());
  const ductape = create({ encryptionKeys: [two, one] });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  await ductape.jobs.setWebhook({ url, events: ['job.failed'], secret });
  ductape.features.define('f', () => {
    throw new Error(marker);
  });
  await ductape.features.dispatch(job('f'));
  await eventually(() => expect(payloads).toHaveLength(1));
  expect(payloads[0]).toMatchObject({ event: 'job.failed', job: { error: { message: marker } } });
});

describe('encryptionKeys', () => {
  const dispatched = async (encryptionKeys: Keys) => {
    const ductape = create({ encryptionKeys });
    const { job_id } = await ductape.features.dispatch(job('f', { input: { a: 1 } }));
    return (await ductape.jobs.get(job_id)).input;
  };

  it.each<[string, Keys]>([
    ['Base64', [one]],
    ['hex', [{ id: 'k', key: randomBytes(32).toString('hex') }]],
    ['Base64 for URLs', [{ id: 'k', key: randomBytes(32).toString('base64url') }]],
    ['a Buffer', [{ id: 'k', key: randomBytes(32) }]],
    ['a Uint8Array', [{ id: 'k', key: new Uint8Array(randomBytes(32)) }]],
    ['a function', () => [one]],
    ['a function that answers later', async () => [{ id: 'k', key: randomBytes(32) }]],
  ])('are taken as %s', async (_what, keys) => {
    expect(await dispatched(keys)).toEqual({ a: 1 });
  });

  it.each<[string, unknown, string]>([
    ['no list', 'x', 'options.encryptionKeys'],
    ['true', true, 'options.encryptionKeys'],
    ['an empty list', [], 'options.encryptionKeys'],
    ['an entry that is no object', [1], 'options.encryptionKeys[0]'],
    [
      'a key that is too short',
      [{ id: 'a', key: randomBytes(31).toString('base64') }],
      'options.encryptionKeys[0].key',
    ],
    ['a key that is too long', [{ id: 'a', key: randomBytes(33) }], 'options.encryptionKeys[0].key'],
    ['a key that is no text', [{ id: 'a', key: 7 }], 'options.encryptionKeys[0].key'],
    ['a key of one byte repeated', [{ id: 'a', key: Buffer.alloc(32) }], 'options.encryptionKeys[0].key'],
    ['an id with a space', [{ ...one, id: 'a b' }], 'options.encryptionKeys[0].id'],
    ['an id twice', [one, { ...two, id: one.id }], 'options.encryptionKeys[1].id'],
    ['a key twice', [one, { ...one, id: 'b' }], 'options.encryptionKeys[1].key'],
  ])('are refused when they are %s', async (_what, encryptionKeys, path) => {
    const error = await rejection(() => new DuctapeClass({ store: 'memory:', encryptionKeys } as DuctapeOptions));
    expect([error.code, ...problemPaths(error)]).toEqual(['VALIDATION_ERROR', path]);
    expect(inspect(error)).not.toContain(one.key);
  });

  it('of a function are checked by each call that needs the store, until they are right', async () => {
    let answer: () => unknown = () => [{ id: 'a', key: 'c2hvcnQ=' }];
    let calls = 0;
    const ductape = create({
      encryptionKeys: () => {
        calls += 1;
        return answer() as [];
      },
    });
    const wrong = await rejection(ductape.jobs.list());
    expect([wrong.code, ...problemPaths(wrong)]).toEqual(['VALIDATION_ERROR', 'encryptionKeys[0].key']);
    expect(wrong.message).toContain('openssl rand -base64 32');
    answer = () => undefined;
    expect((await rejection(ductape.jobs.list())).code).toBe('VALIDATION_ERROR');
    answer = () => {
      throw new Error('the vault is sealed');
    };
    const failed = await rejection(ductape.jobs.list());
    expect([failed.code, failed.message]).toEqual([
      'SERVICE_UNAVAILABLE',
      'the function `encryptionKeys` failed: the vault is sealed',
    ]);
    answer = () => [one];
    expect((await ductape.jobs.list()).jobs).toEqual([]);
    await ductape.jobs.list();
    expect(calls).toBe(4);
  });

  it('are needed to read a restored backup', async () => {
    const folder = await temporaryFolder();
    const ductape = create({ store: `sqlite:${folder}/jobs.db`, encryptionKeys: [one], worker: false });
    await ductape.features.dispatch(job('f', { job_id: 'x', input: { card: marker } }));
    await ductape.backup(`${folder}/backup.db`);
    await ductape.close();
    expect(await readFile(`${folder}/backup.db`, 'latin1')).not.toContain(marker);
    await DuctapeClass.restore({ from: `${folder}/backup.db`, to: `sqlite:${folder}/restored.db` });
    const restored = { store: `sqlite:${folder}/restored.db`, worker: false as const };
    expect((await create(restored).jobs.get('x')).input).toEqual({ $encrypted: one.id });
    expect((await create({ ...restored, encryptionKeys: [one] }).jobs.get('x')).input).toEqual({ card: marker });
  });

  it('leave inputs alone that look encrypted', async () => {
    const input = { $sealed: `${one.id}:AAAA` };
    const keyless = create({ store: 'memory:look-alike', worker: false });
    await keyless.features.dispatch(job('f', { job_id: 'x', input, product, env }));
    expect((await keyless.jobs.get('x')).input).toEqual(input);
    const keyed = create({ store: 'memory:look-alike', encryptionKeys: [one], worker: false });
    await keyed.features.dispatch(job('f', { job_id: 'y', input }));
    for (const id of ['x', 'y']) expect((await keyed.jobs.get(id)).input).toEqual(input);
  });
});
