// What is seen of jobs that fail: the log, and what is kept of an error.
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { companion } from './support/companions.js';
import { Ductape, type IJobListFilter, type IRunError } from './support/ductape.js';
import {
  create,
  env,
  eventually,
  job,
  nextTurn,
  problemPaths,
  product,
  recordingLogger,
  rejection,
  temporaryStore,
  waitForFirstRun,
} from './support/instances.js';
import { script } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const fastRetry = { initialDelay: 1, maxDelay: 1 };

/** An instance that is used without the option `logger`, and what it writes to the console. */
function withDefaultLogger() {
  const lines: unknown[][] = [];
  const spies = (['debug', 'info', 'log', 'warn', 'error'] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push([level, ...args])),
  );
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  const ductape = new Ductape({ store: 'memory:', product, env });
  onTestFinished(() => ductape.close({ timeout: 0 }));
  return { ductape, lines };
}

describe('a run that fails for good', () => {
  it('prints one line with the default logger', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('nightly', () => {
      throw Object.assign(new Error('the card\nwas declined'), { code: 'DECLINED' });
    });
    const dispatched = await ductape.features.dispatch(job('nightly', { retries: 2, retryConfig: fastRetry }));
    await ductape.jobs.wait(dispatched.job_id).catch(() => {});
    await eventually(() => expect(lines).not.toEqual([]));
    expect(lines).toEqual([
      [
        'warn',
        `ductape: job ${dispatched.job_id} (features nightly (shop, test)): run 1 failed in attempt 3: DECLINED: the card\\nwas declined`,
      ],
    ]);
  });

  it('prints one line also when it takes too long', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('slow', () => new Promise(() => {}), { timeout: 20 });
    const { job_id } = await ductape.features.dispatch(job('slow'));
    await ductape.jobs.wait(job_id).catch(() => {});
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]?.[1]).toMatch(
      /run 1 failed in attempt 1: TIMEOUT: the attempt took longer than its timeout of 20 ms/,
    );
  });

  it('is one of many that are gathered, which are told at the latest with the end of the instance', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('broken', () => {
      throw new Error('no luck');
    });
    ductape.features.define('other', () => {
      throw new Error('no luck either');
    });
    const tags = Array.from({ length: 40 }, (_, at) => (at % 4 === 0 ? 'other' : 'broken'));
    const jobs = await ductape.features.dispatchMany(tags.map((tag) => job(tag)));
    await Promise.allSettled(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(lines).toHaveLength(2);
    await ductape.close();
    expect(lines).toHaveLength(4);
    const told = lines.map(([level, line]) => `${level}: ${line}`).join('\n');
    expect(told).toMatch(
      /warn: ductape: 29 more runs of features broken \(shop, test\) failed, the last of them run 1 of job /,
    );
    expect(told).toMatch(
      /warn: ductape: 9 more runs of features other .* Error: no luck either; 10 since this process started/,
    );
  });
});

describe('a logger of the program', () => {
  it('is told of each attempt that fails, with the level debug', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger });
    ductape.features.define('flaky', ({ attempt }) => {
      if (attempt < 3) throw new TypeError(`try ${attempt}`);
    });
    const { job_id } = await ductape.features.dispatch(job('flaky', { retries: 2, retryConfig: fastRetry }));
    await ductape.jobs.wait(job_id);
    expect(logger.messagesAt('warn')).toEqual([]);
    const lines = logger.messagesAt('debug').filter((line) => line.includes(job_id));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/: attempt 1 of run 1 failed: TypeError: try 1; it is tried again in \d+ ms$/);
  });

  it('gets fields before the message when it is like pino, else behind it', async () => {
    for (const isLikePino of [true, false]) {
      const calls: unknown[][] = [];
      const take = (...args: unknown[]) => void calls.push(args);
      const none = () => {};
      const logger = { debug: none, info: none, warn: take, error: take };
      const more = isLikePino ? { trace: none, fatal: none, child: () => logger } : {};
      const ductape = create({ logger: { ...logger, ...more } });
      ductape.actions.handle({ app: 'mail', event: 'send' }, () => {
        throw new RangeError('too far');
      });
      const { job_id } = await ductape.actions.dispatch({ app: 'mail', event: 'send', input: {} });
      await ductape.jobs.wait(job_id).catch(() => {});
      await eventually(() => expect(calls).toHaveLength(1));
      const [fields, message] = (isLikePino ? calls[0] : [...(calls[0] ?? [])].reverse()) ?? [];
      expect(message).toBe(
        `ductape: job ${job_id} (actions mail/send (shop, test)): run 1 failed in attempt 1: RangeError: too far`,
      );
      expect(fields).toMatchObject({
        event: 'job.failed',
        job_id,
        namespace: 'actions',
        product: 'shop',
        env: 'test',
        target: { app: 'mail', event: 'send' },
        run: 1,
        attempt: 1,
        failed_before: 0,
      });
      const { err } = fields as { err: Error };
      expect(err).toMatchObject({ message: 'too far', stack: expect.stringContaining('failures.test.ts') });
      // Pino shows an error in a form of its own.
      if (isLikePino) expect([err.name, err instanceof Error]).toEqual(['RangeError', true]);
      else expect(err).toHaveProperty('code', 'RangeError');
    }
  });
});

describe('the logger of Nest', () => {
  /** What `new Logger('Jobs')` hands on to the application's logger: level and arguments. */
  async function told(levels: string[]): Promise<[level: string, ...given: unknown[]][]> {
    await companion('reflect-metadata');
    const { Logger } = await companion('@nestjs/common');
    const calls: [string, ...unknown[]][] = [];
    const receiver = Object.fromEntries(
      levels.map((level) => [level, (...given: unknown[]) => calls.push([level, ...given])]),
    );
    Logger.overrideLogger(receiver);
    onTestFinished(() => Logger.overrideLogger(undefined));
    const logger = levels.includes('verbose') ? new Logger('Jobs') : receiver;
    const ductape = create({ logger });
    ductape.features.define('broken', ({ attempt }) => {
      throw new Error(`try ${attempt}`);
    });
    const { job_id } = await ductape.features.dispatch(job('broken', { retries: 1, retryConfig: fastRetry }));
    await rejection(ductape.jobs.wait(job_id));
    await eventually(() => expect(calls.some(([level]) => level === 'warn')).toBe(true));
    await ductape.close();
    return calls;
  }

  it('is taken, and gets one message for each line', { timeout: 240_000 }, async () => {
    const calls = await told(['log', 'error', 'warn', 'debug', 'verbose', 'fatal']);
    expect(calls.map(([level]) => level)).toEqual(expect.arrayContaining(['debug', 'warn']));
    for (const [, ...given] of calls) expect(given).toEqual([expect.stringMatching(/^ductape: /), 'Jobs']);
  });

  it('is taken as its interface has it, without debug', { timeout: 240_000 }, async () => {
    const calls = await told(['log', 'error', 'warn']);
    expect(calls).toEqual([['warn', expect.stringMatching(/ run 1 failed in attempt 2: Error: try 2$/)]]);
  });
});

describe('the causes of an error', () => {
  const failed = async (thrown: () => unknown) => {
    const ductape = create();
    ductape.features.define('import', () => {
      throw thrown();
    });
    const { job_id } = await ductape.features.dispatch(job('import'));
    const error = (await rejection(ductape.jobs.wait(job_id))) as unknown as IRunError;
    const kept = (await ductape.jobs.get(job_id)).error;
    expect((await ductape.jobs.getHistory(job_id)).executions[0]?.error).toEqual(kept);
    return { error, kept };
  };

  it('are kept with it, and wait rejects with them and the stack of the run', async () => {
    const { error, kept } = await failed(() => {
      const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      return new Error('no invoice', { cause: new TypeError('fetch failed', { cause: refused }) });
    });
    const stack = expect.stringContaining('failures.test.ts');
    expect(kept).toEqual({
      code: 'Error',
      message: 'no invoice',
      stack,
      cause: {
        code: 'TypeError',
        message: 'fetch failed',
        stack,
        cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED', stack },
      },
    });
    expect(error.stack).toBe(kept?.stack);
    expect(error.cause).toBeInstanceOf(Error);
    expect([error.cause?.name, error.cause?.message, error.cause?.stack]).toEqual(['TypeError', 'fetch failed', stack]);
    expect(error.cause?.cause).toMatchObject({ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' });
  });

  it('are a list with an AggregateError', async () => {
    const { error, kept } = await failed(() => new AggregateError([new Error('one'), 'two'], 'all of them'));
    expect(kept).toMatchObject({
      code: 'AggregateError',
      errors: [
        { code: 'Error', message: 'one' },
        { code: 'Error', message: 'two' },
      ],
    });
    expect(error.errors?.map(({ message }) => message)).toEqual(['one', 'two']);
  });

  it('have the name of a DOMException, not its number', async () => {
    const aborted = await failed(() => new Error('given up', { cause: AbortSignal.abort().reason }));
    expect(aborted.kept?.cause?.code).toBe('AbortError');
    expect(aborted.error.cause?.name).toBe('AbortError');
    const ductape = create();
    ductape.features.define('fetch', async () => {
      const signal = AbortSignal.timeout(1);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      signal.throwIfAborted();
    });
    const { job_id } = await ductape.features.dispatch(job('fetch'));
    expect((await rejection(ductape.jobs.wait(job_id))).code).toBe('TimeoutError');
  });

  it('are bounded, however many there are and however they hang together', async () => {
    const { kept } = await failed(() => {
      let error = new Error('x'.repeat(100_000));
      for (let level = 0; level < 100; level++) error = new Error('y'.repeat(100_000), { cause: error });
      const circular = new Error('circular');
      circular.cause = circular;
      return new AggregateError([error, circular, ...Array.from({ length: 1000 }, () => new Error('z'))]);
    });
    expect(JSON.stringify(kept).length).toBeLessThan(64 * 1024);
    expect(kept?.errors?.length).toBeLessThanOrEqual(16);
    expect(kept?.errors?.find(({ message }) => message === 'circular')).not.toHaveProperty('cause');
    let levels = 0;
    for (let at = kept?.errors?.[0]; at; at = at.cause) levels++;
    expect(levels).toBe(5);
  });

  it('are masked and encrypted as the error is', async () => {
    const store = await temporaryStore();
    const secret = 'hunter2-hunter2';
    const ductape = create({
      store,
      secrets: { TOKEN: secret },
      inputSecrets: ['TOKEN'],
      encryptionKeys: [{ id: 'k', key: randomBytes(32) }],
    });
    ductape.features.define('import', () => {
      throw new Error('outer', { cause: new Error(`inner with ${secret} and "quotes"`) });
    });
    const { job_id } = await ductape.features.dispatch(job('import', { input: { token: '$Secret{TOKEN}' } }));
    await rejection(ductape.jobs.wait(job_id));
    expect((await ductape.jobs.get(job_id)).error?.cause?.message).toBe('inner with [secret] and "quotes"');
    await ductape.close();
    const folder = dirname(store.slice('sqlite:'.length));
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.isFile()) expect((await readFile(join(folder, entry.name))).includes('inner with')).toBe(false);
    }
  });

  it('outlast a rollback', async () => {
    const ductape = create();
    const undone: unknown[] = [];
    ductape.features.define('order', async ({ step }) => {
      await step('charge', () => 17, { rollback: (result) => void undone.push(result) });
      throw new Error('no stock', { cause: new Error('warehouse') });
    });
    const { job_id } = await ductape.features.dispatch(job('order'));
    const error = await rejection(ductape.jobs.wait(job_id));
    expect(undone).toEqual([17]);
    expect((error.cause as Error).message).toBe('warehouse');
  });
});

const stores = [{ kind: 'memory', unavailable: false, make: async () => 'memory:' }, ...sharedStores];

describe.each(stores)('a recurring job whose runs fail, on $kind', ({ make, unavailable }) => {
  it.skipIf(unavailable)('says so, is found by it, and is run again', async () => {
    const store = await make();
    const ductape = create({ store });
    let fails = true;
    ductape.features.define('nightly', ({ run }) => {
      if (fails) throw new Error(`night ${run}`);
    });
    ductape.features.define('hourly', () => 'fine');
    const week = 7 * 86_400_000;
    // An occurrence now, and the next one far away.
    const every = (tag: string) => ductape.features.dispatch(job(tag, { schedule: { every: week } }));
    const [nightly, hourly] = [await every('nightly'), await every('hourly')];
    const once = await ductape.features.dispatch(job('nightly', { schedule: { start_at: Date.now() + week } }));
    expect(await ductape.jobs.get(once.job_id)).not.toHaveProperty('last_run');
    for (const { job_id } of [nightly, hourly]) await waitForFirstRun(ductape, job_id);
    const first = await ductape.jobs.get(nightly.job_id);
    const [{ completed_at } = { completed_at: 0 }] = (await ductape.jobs.getHistory(nightly.job_id)).executions;
    const error = { code: 'Error', message: 'night 1', stack: expect.any(String) };
    expect(first).toMatchObject({
      status: 'scheduled',
      last_run: { status: 'failed', ended_at: completed_at, error },
      failing: { since: completed_at, runs: 1 },
    });
    await ductape.jobs.runNow(nightly.job_id);
    await eventually(async () => expect((await ductape.jobs.get(nightly.job_id)).failing?.runs).toBe(2));
    const second = await ductape.jobs.get(nightly.job_id);
    expect(second.failing?.since).toBe(completed_at);
    expect(second.last_run?.error?.message).toBe('night 2');

    const ids = async (filter: IJobListFilter) => (await ductape.jobs.list(filter)).jobs.map(({ id }) => id);
    expect(await ids({ failing: true })).toEqual([nightly.job_id]);
    expect(await ids({ last_run: 'failed', namespace: 'features', status: ['scheduled', 'queued'] })).toEqual([
      nightly.job_id,
    ]);
    expect(await ids({ last_run: 'failed', product: 'other' })).toEqual([]);
    expect(await ids({ last_run: 'completed' })).toEqual([hourly.job_id]);
    expect(await ids({ failing: false })).toEqual([hourly.job_id]);
    expect(await ductape.jobs.list({ failing: true, count: true, limit: 1 })).toMatchObject({ total: 1 });
    expect(await ductape.jobs.getStats()).toMatchObject({ total: 3, failed: 0, failing: 1 });
    expect(await ductape.jobs.getStats({ last_run: 'failed' })).toMatchObject({ total: 1, scheduled: 1, failing: 1 });
    expect(await ductape.jobs.getStats({ failing: false })).toMatchObject({ total: 1, failing: 0 });
    expect(await ductape.jobs.getStats({ namespace: 'actions' })).toMatchObject({ failing: 0 });

    fails = false;
    expect(await ductape.jobs.retryMany({ last_run: 'failed' })).toEqual({ count: 1 });
    await eventually(async () => expect(await ids({ failing: true })).toEqual([]));
    expect(await ductape.jobs.get(nightly.job_id)).toMatchObject({ last_run: { status: 'completed' } });
    expect(await ductape.jobs.get(nightly.job_id)).not.toHaveProperty('failing');
  });

  it.skipIf(unavailable)('is no status, and other values are refused', async () => {
    const ductape = create({ store: await make() });
    for (const filter of [{ last_run: 'running' }, { failing: 'yes' }]) {
      const error = await rejection(ductape.jobs.list(filter as never));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', Object.keys(filter)]);
    }
  });
});

describe('a process that ends', () => {
  const beginning = (options = '') => `
    import Ductape from 'ductape';
    const ductape = new Ductape({ product: 'shop', env: 'test', store: process.argv.at(-1)${options} });
    ductape.features.define('nightly', () => new Promise(() => {}));`;
  const dispatch = (more = '') => `await ductape.features.dispatch({ tag: 'nightly', input: {}${more} });`;
  const told = async (text: string) => {
    const child = script(text, [await temporaryStore()]);
    expect((await child.ended).code).toBe(0);
    return child.stderr();
  };

  it('while its own handler waits, without start, is warned about once, with what to do', async () => {
    const warning =
      /^ductape: this process ends while jobs wait that it has handlers for: call `await ductape\.start\(\)`.*`await ductape\.drain\(\)`.*\n$/;
    expect(await told(`${beginning()} ${dispatch()} ${dispatch()}`)).toMatch(warning);
    expect(await told(`${beginning()} ${dispatch(", schedule: { cron: '0 3 * * *' }")}`)).toMatch(warning);
  });

  it.each([
    ['with close', beginning(), `${dispatch()} await ductape.close({ timeout: 0 });`],
    ['after a drain', beginning(), `${dispatch(", schedule: { cron: '0 3 * * *' }")} await ductape.drain();`],
    ['and dispatches only', beginning(', worker: false'), dispatch()],
    ['without a dispatch', beginning(), ''],
  ])('%s is not', async (_name, before, after) => {
    expect(await told(`${before} ${after}`)).toBe('');
  });
});

it('handlers that wait for jobs which need their slots are warned about once', { timeout: 30_000 }, async () => {
  const logger = recordingLogger();
  const ductape = create({ logger, worker: { concurrency: 2 } });
  ductape.features.define('child', () => 'done');
  ductape.features.define('parent', async ({ signal }) => {
    const child = await ductape.features.dispatch(job('child'));
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    await Promise.race([ductape.jobs.wait(child.job_id), aborted]);
  });
  await ductape.features.dispatchMany([job('parent'), job('parent'), job('parent')]);
  await eventually(() => expect(logger.messagesAt('warn')).not.toEqual([]), 20_000);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(logger.messagesAt('warn')).toEqual([
    expect.stringMatching(
      /^ductape: all 2 slots of this process have been taken for 5 s, while 2 calls of jobs\.wait wait, one of them for job \S+ \(features child \(shop, test\)\), which needs a slot: .* Give `worker\.concurrency` more slots/,
    ),
  ]);
});

describe('a store on a disk that does not last', () => {
  const hosts = [
    'AWS_LAMBDA_FUNCTION_NAME',
    'DYNO',
    'RENDER',
    'FLY_APP_NAME',
    'RAILWAY_ENVIRONMENT_ID',
    'KUBERNETES_SERVICE_HOST',
  ];
  const warnings = async (variable: string, store: string) => {
    for (const host of hosts) vi.stubEnv(host, host === variable ? 'x' : '');
    onTestFinished(() => void vi.unstubAllEnvs());
    const logger = recordingLogger();
    const ductape = create({ store, logger });
    await ductape.jobs.getStats();
    await ductape.jobs.getStats();
    await nextTurn();
    return logger.messagesAt('warn');
  };
  const isSameDisk = (path: string) => statSync(path).dev === statSync('/').dev;

  it.skipIf(!isSameDisk(tmpdir()))('is warned about once, with what to do', async () => {
    for (const [variable, name] of [
      ['DYNO', 'a Heroku dyno'],
      ['KUBERNETES_SERVICE_HOST', 'a Kubernetes container'],
    ] as const) {
      const store = await temporaryStore();
      const told = await warnings(variable, store);
      expect(told).toHaveLength(1);
      expect(told[0]).toContain(`${store.slice('sqlite:'.length)} is on the disk of ${name}, which is lost`);
      expect(told[0]).toContain("`store: 'postgres://user:password@host/database'`, or a path on a volume");
    }
  });

  it('is warned about when it is among the temporary files of a function', async () => {
    const told = await warnings('AWS_LAMBDA_FUNCTION_NAME', await temporaryStore());
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/is among the temporary files of AWS Lambda, which are lost/);
  });

  it('is not warned about elsewhere, in memory, or on a volume', async () => {
    expect(await warnings('', await temporaryStore())).toEqual([]);
    expect(await warnings('DYNO', 'memory:')).toEqual([]);
    const volume = '/dev/shm';
    if (!existsSync(volume) || isSameDisk(volume)) return;
    const folder = await mkdtemp(join(volume, 'ductape-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    expect(await warnings('FLY_APP_NAME', `sqlite:${join(folder, 'jobs.db')}`)).toEqual([]);
  });
});
