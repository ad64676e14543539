// Secrets: their sources, the handlers that see them, and all places where they must not appear.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DuctapeOptions } from './support/ductape.js';
import {
  create,
  deferred,
  job,
  problemPaths,
  product,
  recordingLogger,
  rejection,
  temporaryStore,
} from './support/instances.js';
import { script } from './support/processes.js';

const value = 'sk_live_51-"quoted"\\and\nlong';

/** The input that the handler of a job with a reference to a secret gets. */
async function runWithSecret(options: DuctapeOptions, text = 'Bearer $Secret{API_KEY}') {
  const ductape = create({ inputSecrets: ['API_KEY'], ...options });
  ductape.features.define('f', (run) => ({ ok: (run.input as { auth: string }).auth === `Bearer ${value}` }));
  const { job_id } = await ductape.features.dispatch(job('f', { input: { auth: text } }));
  return ductape.jobs.wait(job_id, { timeout: 10_000 });
}

describe('a secret', () => {
  it.each<[string, NonNullable<DuctapeOptions['secrets']>]>([
    ['an object', { API_KEY: value }],
    ['a function', (key) => (key === 'API_KEY' ? value : undefined)],
    ['a function that answers later', async (key) => (key === 'API_KEY' ? value : undefined)],
  ])('comes from %s', async (_what, secrets) => {
    expect(await runWithSecret({ secrets })).toEqual({ ok: true });
    expect(await runWithSecret({ secrets }, 'Bearer $Token{API_KEY}')).toEqual({ ok: true });
  });

  it('comes from the environment by default', async () => {
    const program = script(
      `import { Ductape } from 'ductape';
       const ductape = new Ductape({ store: 'memory:', product: 'p', env: 'e', inputSecrets: ['API_KEY'] });
       ductape.features.define('f', (job) => job.input.auth.length);
       const { job_id } = await ductape.features.dispatch({ tag: 'f', input: { auth: '$Secret{API_KEY}' } });
       console.log('length', await ductape.jobs.wait(job_id));
       await ductape.close();`,
      [],
      { env: { DUCTAPE_SECRET_API_KEY: 'from the environment' } },
    );
    expect(await program.waitForLine('length')).toBe('20');
  });

  it('can be used in inputs only when listed in inputSecrets', async () => {
    const ductape = create({ secrets: { API_KEY: value, OTHER: 'other secret' }, inputSecrets: ['API_KEY'] });
    const error = await rejection(ductape.features.dispatch(job('f', { input: { a: '$Secret{OTHER}' } })));
    expect([error.code, error.message]).toEqual([
      'VALIDATION_ERROR',
      expect.stringContaining("inputs may not use the secret 'OTHER'; list it in `inputSecrets`"),
    ]);
    // Another process may list more than the one that runs the job.
    const store = await temporaryStore();
    const lax = create({ store, worker: false, inputSecrets: ['OTHER'] });
    const { job_id } = await lax.features.dispatch(job('f', { input: { a: '$Secret{OTHER}' } }));
    const worker = create({ store, secrets: { OTHER: 'other secret' } });
    worker.features.define('f', () => 'ran');
    const failed = await rejection(worker.jobs.wait(job_id, { timeout: 10_000 }));
    expect([failed.code, failed.message]).toEqual(['VALIDATION_ERROR', expect.stringContaining('inputSecrets')]);
  });

  it('that is missing, or whose source fails, fails the attempt', async () => {
    expect((await rejection(runWithSecret({ secrets: {} }))).message).toContain(
      '$Secret{API_KEY} is missing: there is no such secret',
    );
    const failing = () => {
      throw new Error('vault is sealed');
    };
    const error = await rejection(runWithSecret({ secrets: failing }));
    expect([error.code, error.message]).toEqual(['SERVICE_UNAVAILABLE', expect.stringContaining('vault is sealed')]);
    expect((await rejection(runWithSecret({ secrets: (() => 7) as never }))).message).toContain('must give a string');
    expect(problemPaths(await rejection(() => create({ secrets: { A: 1 } as never })))).toEqual(['options.secrets']);
  });

  it('is fetched again for each run', async () => {
    let asked = 0;
    const ductape = create({ secrets: () => `value ${++asked}`, inputSecrets: ['N'] });
    ductape.features.define('f', (run) => (run.input as { n: string }).n.length);
    for (let n = 0; n < 2; n++) {
      const { job_id } = await ductape.features.dispatch(job('f', { input: { n: '$Secret{N}' } }));
      await ductape.jobs.wait(job_id, { timeout: 10_000 });
    }
    expect(asked).toBe(2);
  });

  it('may be the key of a session', async () => {
    const session = { tag: 'user', secret: '$Secret{SESSION_KEY}' };
    const resources = { products: [{ tag: product, sessions: [session] }] };
    const key = 'the key of all sessions';
    const ductape = create({ resources, secrets: async (name) => (name === 'SESSION_KEY' ? key : undefined) });
    const { token } = await ductape.sessions.start({ tag: 'user', data: { id: 1 } });
    const plain = { products: [{ tag: product, sessions: [{ tag: 'user', secret: key }] }] };
    expect((await create({ resources: plain }).sessions.verify({ token })).data).toMatchObject({ id: 1 });
    const without = await rejection(create({ resources, secrets: {} }).sessions.start({ tag: 'user' }));
    expect(without.message).toContain('resources.sessions.user: $Secret{SESSION_KEY} is missing');
  });
});

describe('the value of a secret', () => {
  it('is in no store, log, history, event or error', async () => {
    const store = await temporaryStore();
    const logger = recordingLogger();
    const ductape = create({
      store,
      logger,
      secrets: async () => value,
      inputSecrets: ['API_KEY'],
      resources: { products: [{ tag: product, sessions: [{ tag: 'user', secret: 'a secret for sessions' }] }] },
    });
    const { token, refresh_token } = await ductape.sessions.start({ tag: 'user', data: { name: 'Ann' } });
    const events: unknown[] = [];
    for (const name of ['job.failed', 'job.retrying', 'job.started', 'job.scheduled'] as const) {
      ductape.jobs.on(name, (event) => events.push(event));
    }
    ductape.jobs.on('job.failed', () => {
      throw new Error(`a listener saw ${value}`);
    });
    ductape.features.define('f', (run) => {
      const { auth } = run.input as { auth: string };
      run.log(`calling with ${auth}`);
      run.progress({ auth });
      throw Object.assign(new Error(`401 for ${auth} and ${auth}`), { code: `E ${auth}` });
    });
    const input = { auth: 'Bearer $Secret{API_KEY}', who: '$Session{name}' };
    const { job_id } = await ductape.features.dispatch(
      job('f', { input, session: token, retries: 1, retryConfig: { initialDelay: 1 } }),
    );
    const error = await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect(error.message).toBe('401 for Bearer [secret] and Bearer [secret]');
    const shown = JSON.stringify([
      error.message,
      error.stack,
      error.code,
      await ductape.jobs.get(job_id),
      await ductape.jobs.getHistory(job_id),
      await ductape.jobs.logs(job_id),
      events,
      logger.lines,
    ]);
    expect(events.length).toBeGreaterThanOrEqual(4);
    expect(shown).toContain('a listener saw [secret]');
    expect(shown).toContain('calling with Bearer [secret]');
    const inJson = JSON.stringify(value).slice(1, -1);
    const jwt = token.slice('user:'.length);
    for (const hidden of [value, inJson, 'sk_live_51', jwt, refresh_token]) {
      expect(shown).not.toContain(hidden);
      expect(shown).not.toContain(JSON.stringify(hidden).slice(1, -1));
    }
    await ductape.close();
    const path = store.slice('sqlite:'.length);
    const files = (await readdir(dirname(path), { recursive: true, withFileTypes: true })).filter((file) =>
      file.isFile(),
    );
    const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')));
    const stored = texts.join('\n');
    for (const hidden of ['sk_live_51', refresh_token, 'a secret for sessions']) expect(stored).not.toContain(hidden);
    // The token is kept with its job, and nowhere else.
    expect(stored.split(jwt).length - 1).toBe(1);
    expect(stored).toContain('$Secret{API_KEY}');
  });

  it('is masked in JSON that JSON holds as text', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger, secrets: { API_KEY: value }, inputSecrets: ['API_KEY'] });
    const nested = (auth: string, levels: number): string =>
      levels === 0 ? auth : JSON.stringify({ inner: nested(auth, levels - 1) });
    ductape.jobs.on('job.failed', () => {
      throw new Error(`a listener saw ${nested(value, 3)}`);
    });
    ductape.features.define('f', (run) => {
      const { auth } = run.input as { auth: string };
      run.log(`calling with ${nested(auth, 2)}`);
      run.progress({ request: nested(auth, 4) });
      throw new Error(`400 for ${nested(auth, 5)} and ${nested(auth, 1).replaceAll('_', '\\u005f')}`);
    });
    const { job_id } = await ductape.features.dispatch(job('f', { input: { auth: '$Secret{API_KEY}' } }));
    const error = await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect(error.message).toBe(`400 for ${nested('[secret]', 5)} and ${nested('[secret]', 1)}`);
    const shown = await ductape.jobs.get(job_id);
    expect(shown.progress).toEqual({ request: nested('[secret]', 4) });
    const logs = JSON.stringify([await ductape.jobs.logs(job_id), logger.lines, shown]);
    expect(logs).toContain('calling with');
    expect(logs).toContain('a listener saw');
    expect(logs).not.toMatch(/quoted|sk.{0,12}live/);
  });

  it("is not masked in results, which are the program's data", async () => {
    const ductape = create({ secrets: { API_KEY: value }, inputSecrets: ['API_KEY'] });
    ductape.features.define('f', (run) => run.input as object);
    const { job_id } = await ductape.features.dispatch(job('f', { input: { a: '$Secret{API_KEY}' } }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ a: value });
  });

  it('does not block the cancellation of a run while its source is pending', async () => {
    const asked = deferred();
    const ductape = create({
      secrets: () => {
        asked.resolve();
        return new Promise(() => {});
      },
      inputSecrets: ['API_KEY'],
    });
    ductape.features.define('f', () => 'ran');
    const { job_id } = await ductape.features.dispatch(job('f', { input: { a: '$Secret{API_KEY}' } }));
    await asked.promise;
    await ductape.jobs.cancel(job_id);
    expect((await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }))).code).toBe('CANCELLED');
  });
});
