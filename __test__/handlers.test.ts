// Handlers: routing, what they see, their results and failures, none of which ends the process.
import { describe, expect, it } from 'vitest';
import { DuctapeError, type IJob, type WorkerOptions } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  product,
  recordingLogger,
  rejection,
  stopwatch,
  temporaryStore,
} from './support/instances.js';

/** Settled when the signal aborts, with its reason. */
const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
const never = () => new Promise<never>(() => {});
const fastRetry = { initialDelay: 5 };

describe('of several handlers', () => {
  it('the most specific one gets the job', async () => {
    const ductape = create();
    ductape.actions.handle({}, () => 'any');
    ductape.actions.handle({ app: 'mail', event: 'send' }, () => 'both');
    ductape.actions.handle({ app: 'mail' }, () => 'app');
    const result = async (app: string, event: string) => {
      const { job_id } = await ductape.actions.dispatch({ app, event, input: {} });
      return ductape.jobs.wait(job_id, { timeout: 10_000 });
    };
    expect(await result('mail', 'send')).toBe('both');
    expect(await result('mail', 'delete')).toBe('app');
    expect(await result('chat', 'send')).toBe('any');
  });

  it("'*' means any, as an omitted field does", async () => {
    const ductape = create();
    ductape.actions.handle({ app: '*', event: 'send' }, () => 'send');
    const { job_id } = await ductape.actions.dispatch({ app: 'mail', event: 'send', input: {} });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('send');
  });

  it('the later one for a target gets the job, and the earlier one again once that is removed', async () => {
    const ductape = create();
    const result = async () =>
      ductape.jobs.wait((await ductape.features.dispatch(job('report'))).job_id, { timeout: 10_000 });
    ductape.features.define('report', () => 'first');
    const unregister = ductape.features.define('report', () => 'second');
    expect(await result()).toBe('second');
    unregister();
    expect(await result()).toBe('first');
    // Removing it twice removes nothing else.
    unregister();
    expect(await result()).toBe('first');
  });

  it('none gets the jobs of another product or environment than the instance was given', async () => {
    const ductape = create();
    ductape.features.define('report', () => 'own');
    const other = await ductape.features.dispatch(job('report', { product: 'bakery' }));
    const staging = await ductape.features.dispatch(job('report', { env: 'staging' }));
    const own = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(own.job_id, { timeout: 10_000 })).toBe('own');
    for (const { job_id } of [other, staging]) expect((await ductape.jobs.get(job_id)).status).toBe('queued');
    ductape.features.handle({ tag: 'report', product: '*', env: '*' }, ({ product, env }) => [product, env]);
    expect(await ductape.jobs.wait(other.job_id, { timeout: 10_000 })).toEqual(['bakery', env]);
    expect(await ductape.jobs.wait(staging.job_id, { timeout: 10_000 })).toEqual([product, 'staging']);
  });

  it('none gets a job after it was removed', async () => {
    const ductape = create();
    let runs = 0;
    const unregister = ductape.features.define('report', () => ++runs);
    await ductape.jobs.wait((await ductape.features.dispatch(job('report'))).job_id, { timeout: 10_000 });
    unregister();
    const { job_id } = await ductape.features.dispatch(job('report'));
    ductape.features.define('other', () => 'done');
    await ductape.jobs.wait((await ductape.features.dispatch(job('other'))).job_id, { timeout: 10_000 });
    expect((await ductape.jobs.get(job_id)).status).toBe('queued');
    expect(runs).toBe(1);
  });
});

describe('a handler sees', () => {
  it('exactly the documented members of its job', async () => {
    const ductape = create();
    const before = Date.now();
    let members: string[] = [];
    ductape.actions.handle({}, (job) => {
      members = Object.keys(job);
      const { signal, progress, log, snooze, ...rest } = job;
      return { ...rest, types: [signal instanceof AbortSignal, typeof progress, typeof log, typeof snooze] };
    });
    const { job_id } = await ductape.actions.dispatch({ app: 'mail', event: 'send', input: { body: { a: 1 } } });
    const seen = await ductape.jobs.wait<Record<string, unknown>>(job_id, { timeout: 10_000 });
    expect(members.sort()).toEqual([
      'app',
      'attempt',
      'env',
      'event',
      'id',
      'input',
      'lateness',
      'log',
      'missed',
      'namespace',
      'product',
      'progress',
      'run',
      'scheduled_at',
      'signal',
      'snooze',
      'step',
    ]);
    expect(seen).toMatchObject({
      id: job_id,
      namespace: 'actions',
      product,
      env,
      app: 'mail',
      event: 'send',
      input: { body: { a: 1 } },
      run: 1,
      attempt: 1,
      missed: 0,
      types: [true, 'function', 'function', 'function'],
    });
    expect(seen.scheduled_at).toBeGreaterThanOrEqual(before);
    expect(seen.lateness).toBeGreaterThanOrEqual(0);
    expect(seen.lateness).toBeLessThan(5_000);
  });

  it('the same signal on every access', async () => {
    const ductape = create();
    ductape.features.define('report', (job) => {
      const { signal } = job;
      return [signal === job.signal, signal.aborted];
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual([true, false]);
  });

  it('an aborted signal even when first accessed after the abort', async () => {
    const ductape = create();
    const late = deferred<unknown>();
    const cancelled = deferred();
    const started = deferred();
    ductape.features.define('report', async (job) => {
      started.resolve();
      await cancelled.promise;
      await eventually(() => expect(job.signal.aborted).toBe(true));
      late.resolve(job.signal.reason);
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await started.promise;
    await ductape.jobs.cancel(job_id);
    cancelled.resolve();
    expect(await late.promise).toMatchObject({ code: 'CANCELLED' });
  });

  it('the number of the attempt', async () => {
    const ductape = create();
    const attempts: number[] = [];
    ductape.features.define('report', ({ attempt, run }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
      return { attempt, run };
    });
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 5, retryConfig: fastRetry }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ attempt: 3, run: 1 });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', attempt: 3, retry_count: 2 });
  });
});

describe('the progress a handler reports', () => {
  it('is visible in the job while it runs', async () => {
    const ductape = create();
    const finish = deferred();
    ductape.features.define('report', async ({ progress }) => {
      progress({ percent: 50 });
      await finish.promise;
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).progress).toEqual({ percent: 50 }));
    finish.resolve();
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
  });

  it('and log lines with invalid values do not fail the run', async () => {
    const ductape = create();
    ductape.features.define('report', ({ progress, log }) => {
      for (const value of [undefined, null, Number.NaN, 'x'.repeat(100_000)]) {
        progress(value);
        log(value as string);
      }
      return 'done';
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
  });
});

describe('what a handler throws', () => {
  const hostile = {
    get code(): never {
      throw new Error('code');
    },
    get name(): never {
      throw new Error('name');
    },
    get message(): never {
      throw new Error('message');
    },
    get stack(): never {
      throw new Error('stack');
    },
    get retryAfter(): never {
      throw new Error('retryAfter');
    },
    toString(): never {
      throw new Error('toString');
    },
  };
  const things: Array<[string, unknown, Partial<IJob>]> = [
    ['an Error', new Error('no paper'), { last_error: 'no paper' }],
    ['a TypeError', new TypeError('no paper'), { error: { code: 'TypeError', message: 'no paper' } }],
    [
      'an error with a code',
      Object.assign(new Error('x'), { code: 'E_PAPER' }),
      { error: { code: 'E_PAPER', message: 'x' } },
    ],
    [
      'an error with a number as code',
      Object.assign(new Error('x'), { code: 42 }),
      { error: { code: '42', message: 'x' } },
    ],
    ['a DuctapeError', new DuctapeError('NOT_FOUND', 'x'), { error: { code: 'NOT_FOUND', message: 'x' } }],
    ['an error without a message', new Error(), {}],
    ['a text', 'no paper', { last_error: 'no paper' }],
    ['an empty text', '', { last_error: 'an empty text was thrown in place of an error' }],
    ['null', null, { last_error: 'null was thrown in place of an error' }],
    ['undefined', undefined, { last_error: 'undefined was thrown in place of an error' }],
    ['a number', 0, { last_error: '0' }],
    ['false', false, { last_error: 'false' }],
    ['a symbol', Symbol('s'), { last_error: 'Symbol(s)' }],
    ['an object that is no error', { status: 503, of: ['x'] }, { last_error: "{ status: 503, of: [ 'x' ] }" }],
    ['a DOMException', new DOMException('x', 'TimeoutError'), { error: { code: 'TimeoutError', message: 'x' } }],
    [
      'one without a number',
      new DOMException('x', 'OperationError'),
      { error: { code: 'OperationError', message: 'x' } },
    ],
    ['a BigInt', 5n, { last_error: '5' }],
    ['an object without a prototype', Object.create(null), { last_error: '[Object: null prototype] {}' }],
    ['an object whose getters throw', hostile, {}],
    ['a proxy that was revoked', revoked(), {}],
    ['an error that holds itself', Object.assign(new Error('x'), { code: {} }), { last_error: 'x' }],
    ['a text of 10 MB', 'x'.repeat(10_000_000), {}],
    ['half a surrogate pair', new Error('\ud800'), {}],
  ];

  function revoked(): unknown {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  }

  it.each(things)('%s fails the attempt, whether thrown or rejected with', async (_name, thrown, expected) => {
    const ductape = create({ worker: { concurrency: 1 } });
    ductape.features.define('throws', () => {
      throw thrown;
    });
    ductape.features.define('rejects', () => Promise.reject(thrown));
    ductape.features.define('fine', () => 'fine');
    for (const tag of ['throws', 'rejects']) {
      const { job_id } = await ductape.features.dispatch(job(tag));
      await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
      const failed = await ductape.jobs.get(job_id);
      expect(failed).toMatchObject({ status: 'failed', ...expected });
      expect(failed.error?.code).not.toBe('');
      expect(failed.last_error).toBe(failed.error?.message);
      expect(failed.last_error).not.toBe('');
    }
    const { job_id } = await ductape.features.dispatch(job('fine'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('fine');
  });

  it('rejects waits for the job with its code and message', async () => {
    const ductape = create();
    ductape.features.define('report', () => {
      throw Object.assign(new Error('no paper'), { code: 'E_PAPER' });
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    const error = await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect(error.code).toBe('E_PAPER');
    expect(error.message).toContain('no paper');
  });

  it('is stored with its stack', async () => {
    const ductape = create();
    ductape.features.define('report', function printReport() {
      throw new Error('no paper');
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect((await ductape.jobs.get(job_id)).error?.stack).toContain('printReport');
  });
});

describe('a failed attempt', () => {
  it.each([
    ['VALIDATION_ERROR', 1],
    ['NOT_FOUND', 1],
    ['UNAUTHORIZED', 1],
    ['FORBIDDEN', 1],
    ['TIMEOUT', 3],
    ['RATE_LIMITED', 3],
    ['SERVICE_UNAVAILABLE', 3],
    ['CONNECTION_ERROR', 3],
    ['E_OTHER', 3],
  ])('with %s is made %d times with two retries', async (code, attempts) => {
    const ductape = create();
    let calls = 0;
    ductape.features.define('report', () => {
      calls++;
      throw Object.assign(new Error('x'), { code });
    });
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 2, retryConfig: fastRetry }));
    await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect(calls).toBe(attempts);
    expect(await ductape.jobs.get(job_id)).toMatchObject({
      status: 'failed',
      attempt: attempts,
      retry_count: attempts - 1,
      execution_count: 1,
    });
  });

  it('is retried when retryConfig lists its code, unless nonRetryableErrors does', async () => {
    const ductape = create();
    const calls: Record<string, number> = {};
    ductape.features.handle({}, ({ tag }) => {
      calls[tag] = (calls[tag] ?? 0) + 1;
      throw Object.assign(new Error('x'), { code: tag });
    });
    const retryConfig = {
      ...fastRetry,
      retryableErrors: ['NOT_FOUND', 'A', 'B'],
      nonRetryableErrors: ['B'],
    };
    for (const tag of ['NOT_FOUND', 'A', 'B', 'C']) {
      const { job_id } = await ductape.features.dispatch(job(tag, { retries: 1, retryConfig }));
      await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    }
    expect(calls).toEqual({ NOT_FOUND: 2, A: 2, B: 1, C: 1 });
  });

  it('by the timeout of a signal of its own has the code TimeoutError', async () => {
    const ductape = create();
    let calls = 0;
    const aborts: Record<string, () => Promise<unknown>> = {
      TimeoutError: () => aborted(AbortSignal.timeout(1)).then((reason) => Promise.reject(reason)),
      AbortError: () => Promise.reject(AbortSignal.abort().reason),
    };
    ductape.features.handle({}, ({ tag }) => {
      calls++;
      return aborts[tag]?.();
    });
    for (const code of Object.keys(aborts)) {
      const retryConfig = { ...fastRetry, retryableErrors: [code] };
      const { job_id } = await ductape.features.dispatch(job(code, { retries: 1, retryConfig }));
      expect((await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }))).code).toBe(code);
    }
    expect(calls).toBe(4);
  });

  it('is retried after growing delays', async () => {
    const ductape = create();
    const times: number[] = [];
    ductape.features.define('report', () => {
      times.push(performance.now());
      throw new Error('x');
    });
    const retryConfig = { initialDelay: 50, backoffMultiplier: 3, maxDelay: 200 };
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 3, retryConfig }));
    await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    const delays = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(delays).toHaveLength(3);
    // 50, 150, and 450 cut to 200. Times are whole milliseconds on both sides.
    for (const [index, least] of [50, 150, 200].entries()) {
      expect(delays[index]).toBeGreaterThanOrEqual(least - 2);
      expect(delays[index]).toBeLessThan(least + 1_000);
    }
  });

  it('waits a second before the first retry unless told otherwise, as a scheduled job', async () => {
    const ductape = create();
    const failed = deferred();
    ductape.features.define('report', ({ attempt }) => {
      if (attempt > 1) return attempt;
      failed.resolve();
      throw new Error('x');
    });
    const passed = stopwatch();
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 1 }));
    await failed.promise;
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('scheduled'), 900);
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe(2);
    expect(passed()).toBeGreaterThanOrEqual(990);
  });

  it.each([
    ['shorter', { initialDelay: 60_000 }, 20],
    ['longer', { initialDelay: 1 }, 300],
  ])('is retried after the retryAfter of its error, when that is %s', async (_name, retryConfig, retryAfter) => {
    const ductape = create();
    ductape.features.define('report', ({ attempt }) => {
      if (attempt === 1) throw Object.assign(new Error('busy'), { code: 'RATE_LIMITED', retryAfter });
    });
    const passed = stopwatch();
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 1, retryConfig }));
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(passed()).toBeGreaterThanOrEqual(retryAfter - 2);
    expect(passed()).toBeLessThan(retryAfter + 5_000);
  });

  it.each([0, undefined])('is not retried with retries: %s', async (retries) => {
    const ductape = create();
    let calls = 0;
    ductape.features.define('report', () => {
      calls++;
      throw new Error('x');
    });
    const options = retries === undefined ? {} : { retries };
    const { job_id } = await ductape.features.dispatch(job('report', { ...options, retryConfig: fastRetry }));
    await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect(calls).toBe(1);
  });
});

describe('a handler that never settles', () => {
  it.each([
    ['of the job', { timeout: 50 }, {}],
    ['of the handler', {}, { timeout: 50 }],
  ])(
    'fails with TIMEOUT after the timeout %s, its signal aborts and its slot is free',
    async (_name, ofJob, ofHandler) => {
      const ductape = create({ worker: { concurrency: 1 } });
      const reason = deferred<unknown>();
      ductape.features.define(
        'hangs',
        ({ signal }) => {
          aborted(signal).then(reason.resolve);
          return never();
        },
        ofHandler,
      );
      ductape.features.define('next', () => 'ran');
      const hung = await ductape.features.dispatch(job('hangs', ofJob));
      const next = await ductape.features.dispatch(job('next'));
      expect((await rejection(ductape.jobs.wait(hung.job_id, { timeout: 10_000 }))).code).toBe('TIMEOUT');
      expect(await reason.promise).toMatchObject({ name: 'DuctapeError', code: 'TIMEOUT' });
      expect(await ductape.jobs.wait(next.job_id, { timeout: 10_000 })).toBe('ran');
      expect(await ductape.jobs.get(hung.job_id)).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } });
    },
  );

  it('is retried according to its retries', async () => {
    const ductape = create();
    ductape.features.define('hangs', ({ attempt }) => (attempt === 1 ? never() : 'second'));
    const { job_id } = await ductape.features.dispatch(
      job('hangs', { timeout: 30, retries: 1, retryConfig: fastRetry }),
    );
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('second');
  });

  it('that returns after its timeout has no effect', async () => {
    const ductape = create();
    const late = deferred<string>();
    ductape.features.define('hangs', () => late.promise);
    const { job_id } = await ductape.features.dispatch(job('hangs', { timeout: 30 }));
    await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    late.resolve('too late');
    ductape.features.define('next', () => 'ran');
    await ductape.jobs.wait((await ductape.features.dispatch(job('next'))).job_id, { timeout: 10_000 });
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } });
    expect(await ductape.jobs.get(job_id)).not.toHaveProperty('result');
  });

  it("is ended by the job's cancellation, whatever it then returns", async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    const started = deferred();
    const reason = deferred<unknown>();
    ductape.features.define('hangs', async ({ signal }) => {
      started.resolve();
      reason.resolve(await aborted(signal));
      return 'finished all the same';
    });
    ductape.features.define('next', () => 'ran');
    const { job_id } = await ductape.features.dispatch(job('hangs', { retries: 3 }));
    await started.promise;
    await ductape.jobs.cancel(job_id, { reason: 'changed my mind' });
    expect(await reason.promise).toMatchObject({ name: 'DuctapeError', code: 'CANCELLED' });
    const next = await ductape.features.dispatch(job('next'));
    expect(await ductape.jobs.wait(next.job_id, { timeout: 10_000 })).toBe('ran');
    const cancelled = await ductape.jobs.get(job_id);
    expect(cancelled).toMatchObject({ status: 'cancelled', cancel_reason: 'changed my mind' });
    expect(cancelled).not.toHaveProperty('result');
  });
});

describe('the result of a handler', () => {
  it.each([
    ['an object', { a: [1, 'ž', null] }],
    ['a text', 'done'],
    ['false', false],
    ['0', 0],
    ['null', null],
  ])('%s is kept', async (_name, result) => {
    const ductape = create();
    ductape.features.define('report', () => result);
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual(result);
    expect((await ductape.jobs.get(job_id)).result).toEqual(result);
    expect((await ductape.jobs.getHistory(job_id)).executions[0]?.result).toEqual(result);
  });

  it('undefined is stored as no result', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger });
    ductape.features.define('report', async () => {});
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBeUndefined();
    expect(await ductape.jobs.get(job_id)).not.toHaveProperty('result');
    expect(logger.lines).toEqual([]);
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  it.each([
    ['with a cycle', cycle, /cannot be stored/],
    ['with a BigInt', { n: 1n }, /cannot be stored/],
    [
      'whose toJSON throws null',
      {
        toJSON() {
          throw null;
        },
      },
      /cannot be stored/,
    ],
    ['of more than 1 MiB', 'x'.repeat(1024 * 1024), /1 MiB/],
    // Fewer than 1 Mi characters, but more than 1 MiB of UTF-8.
    ['of more than 1 MiB in bytes', '日'.repeat(500_000), /1 MiB/],
  ])('%s is dropped with a warning, and the run completed once', async (_name, result, message) => {
    const logger = recordingLogger();
    const ductape = create({ logger });
    let runs = 0;
    ductape.features.define('report', () => {
      runs++;
      return result;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 3, retryConfig: fastRetry }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBeUndefined();
    const done = await ductape.jobs.get(job_id);
    expect(done).toMatchObject({ status: 'completed', execution_count: 1, retry_count: 0 });
    expect(done).not.toHaveProperty('result');
    expect(runs).toBe(1);
    expect(logger.messagesAt('warn')).toHaveLength(1);
    expect(logger.messagesAt('warn')[0]).toMatch(message);
    expect(logger.messagesAt('warn')[0]).toContain(job_id);
  });
});

describe('snooze', () => {
  it('runs the handler again later and spends no attempt', async () => {
    const ductape = create();
    const attempts: number[] = [];
    const times: number[] = [];
    ductape.features.define('report', ({ attempt, snooze }) => {
      attempts.push(attempt);
      times.push(performance.now());
      if (attempts.length < 3) {
        snooze(60);
        return 'not kept';
      }
      return 'done';
    });
    const { job_id } = await ductape.features.dispatch(job('report', { retries: 0 }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
    expect(attempts).toEqual([1, 1, 1]);
    expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(116);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', retry_count: 0, execution_count: 1 });
  });

  it('rejects an invalid delay', async () => {
    const ductape = create();
    ductape.features.define('report', async ({ snooze }) => {
      for (const ms of [-1, Number.NaN, '5', Number.POSITIVE_INFINITY, 8.64e15, Number.MAX_SAFE_INTEGER, 1e300]) {
        const error = await rejection(() => snooze(ms as number));
        expect(error.code).toBe('VALIDATION_ERROR');
        expect(error.message).toContain(`got ${String(ms)}`);
      }
      return 'done';
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
  });
});

describe('a snooze', () => {
  it('may end at the last time that a date can hold', async () => {
    const ductape = create({ clock: 'manual' });
    ductape.features.define('report', ({ snooze }) => snooze(8.64e15 - ductape.clock.now()));
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.clock.advance(0);
    await eventually(async () => expect((await ductape.jobs.get(job_id)).scheduled_at).toBe(8.64e15));
  });
});

describe('the number of concurrent runs', () => {
  /** A handler that counts its open calls, and ends them on demand. */
  function gate() {
    const open = deferred();
    const state = { running: 0, most: 0, started: 0 };
    const handler = async () => {
      state.running++;
      state.started++;
      state.most = Math.max(state.most, state.running);
      await open.promise;
      await new Promise((resolve) => setImmediate(resolve));
      state.running--;
    };
    return { state, handler, open: () => open.resolve() };
  }

  it("is bounded by the worker's concurrency, and reaches it", async () => {
    const ductape = create({ worker: { concurrency: 3 } });
    const { state, handler, open } = gate();
    ductape.features.define('report', handler);
    const jobs = await ductape.features.dispatchMany(Array.from({ length: 20 }, () => job('report')));
    await eventually(() => expect(state.running).toBe(3));
    open();
    await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id, { timeout: 10_000 })));
    expect(state).toEqual({ running: 0, most: 3, started: 20 });
  });

  it('is ten by default', async () => {
    const ductape = create();
    const { state, handler, open } = gate();
    ductape.features.define('report', handler);
    const jobs = await ductape.features.dispatchMany(Array.from({ length: 30 }, () => job('report')));
    await eventually(() => expect(state.running).toBe(10));
    open();
    await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id, { timeout: 10_000 })));
    expect(state.most).toBe(10);
  });

  it.each([1, 2])(
    'of a handler that is limited to %i reaches that with a backlog, without a pause',
    async (concurrency) => {
      const ductape = create({ worker: { concurrency: 10 } });
      ductape.features.define('limited', () => new Promise((resolve) => setTimeout(resolve, 3)), { concurrency });
      const elapsed = stopwatch();
      const jobs = await ductape.features.dispatchMany(Array.from({ length: 30 }, () => job('limited')));
      await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
      for (let n = 0; n < 10; n++) {
        const { job_id } = await ductape.features.dispatch(job('limited'));
        await ductape.features.dispatch(job('limited'));
        await ductape.jobs.wait(job_id);
      }
      // A look once a second would take 15 s at least.
      expect(elapsed()).toBeLessThan(7_000);
    },
  );

  it('of others is not held up by a handler that has none of its own slots left', async () => {
    const ductape = create({ worker: { concurrency: 10 } });
    const busy = deferred();
    ductape.features.define('busy', () => busy.promise, { concurrency: 1 });
    ductape.features.define('quick', () => {});
    const { job_id } = await ductape.features.dispatch(job('busy'));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('running'));
    const elapsed = stopwatch();
    for (let n = 0; n < 20; n++) {
      const jobs = await ductape.features.dispatchMany(Array.from({ length: 6 }, () => job('quick')));
      await Promise.all(jobs.map((each) => ductape.jobs.wait(each.job_id)));
    }
    // Looks once a second would take 10 s on average.
    expect(elapsed()).toBeLessThan(5_000);
    busy.resolve();
    await ductape.jobs.wait(job_id);
  });

  it("is bounded by the handler's concurrency, which leaves the other slots to others", async () => {
    const ductape = create({ worker: { concurrency: 5 } });
    const { state, handler, open } = gate();
    ductape.features.define('slow', handler, { concurrency: 2 });
    ductape.features.define('fast', () => 'ran');
    const slow = await ductape.features.dispatchMany(Array.from({ length: 10 }, () => job('slow')));
    await eventually(() => expect(state.running).toBe(2));
    const fast = await ductape.features.dispatchMany(Array.from({ length: 10 }, () => job('fast')));
    for (const { job_id } of fast) expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('ran');
    expect(state).toMatchObject({ running: 2, most: 2 });
    open();
    await Promise.all(slow.map(({ job_id }) => ductape.jobs.wait(job_id, { timeout: 10_000 })));
    expect(state).toMatchObject({ most: 2, started: 10 });
  });
});

describe('a job without a handler here', () => {
  it('waits, is warned about once, and never fails', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger });
    ductape.features.define('known', () => 'ran');
    const unknown = await ductape.features.dispatchMany([job('unknown'), job('unknown'), job('unknown')]);
    const known = await ductape.features.dispatch(job('known'));
    expect(await ductape.jobs.wait(known.job_id, { timeout: 10_000 })).toBe('ran');
    await eventually(() => expect(logger.messagesAt('warn')).toHaveLength(1), 15_000);
    expect(logger.messagesAt('warn')[0]).toContain('unknown');
    for (const { job_id } of unknown) {
      expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'queued', attempt: 0 });
    }
    // A handler that comes later takes them all.
    ductape.features.define('unknown', () => 'late');
    for (const { job_id } of unknown) expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('late');
    expect(logger.messagesAt('warn')).toHaveLength(1);
  });

  it('does not delay other jobs', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    await ductape.features.dispatchMany(Array.from({ length: 5_000 }, () => job('unknown', { priority: -1 })));
    ductape.features.define('known', () => 'ran');
    const { job_id } = await ductape.features.dispatch(job('known'));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('ran');
  });
});

describe('a worker', () => {
  const filters: Array<[string, WorkerOptions]> = [
    ['namespaces', { namespaces: ['actions'] }],
    ['products', { products: ['bakery'] }],
    ['envs', { envs: ['production'] }],
  ];
  it.each(filters)('limited by %s leaves the other jobs alone', async (_name, worker) => {
    const ductape = create({ worker });
    const ran: string[] = [];
    ductape.features.handle({ product: '*', env: '*' }, ({ tag }) => void ran.push(tag));
    ductape.actions.handle({ product: '*', env: '*' }, ({ app }) => void ran.push(app));
    const other = await ductape.features.dispatch(job('other'));
    const own = await ductape.actions.dispatch({
      app: 'own',
      event: 'e',
      input: {},
      ...(worker.products && { product: 'bakery' }),
      ...(worker.envs && { env: 'production' }),
    });
    await ductape.jobs.wait(own.job_id, { timeout: 10_000 });
    expect(ran).toEqual(['own']);
    expect((await ductape.jobs.get(other.job_id)).status).toBe('queued');
  });

  it('that is disabled runs nothing and warns when started', async () => {
    const store = await temporaryStore();
    const off = create({ store, worker: false });
    let ran = 0;
    off.features.define('report', () => ++ran);
    const { job_id } = await off.features.dispatch(job('report'));
    const on = create({ store });
    on.features.define('other', () => 'ran');
    const other = await off.features.dispatch(job('other'));
    expect(await off.jobs.wait(other.job_id, { timeout: 10_000 })).toBe('ran');
    expect((await off.jobs.get(job_id)).status).toBe('queued');
    expect(ran).toBe(0);
    for (const call of [() => off.start(), () => off.drain()]) {
      const error = await rejection(call());
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toContain('worker: false');
    }
  });

  it('with a flood of jobs keeps the event loop responsive', async () => {
    const ductape = create({ worker: { concurrency: 200 } });
    let longest = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    let ran = 0;
    ductape.features.define('report', async () => void ran++);
    await ductape.features.dispatchMany(Array.from({ length: 5_000 }, () => job('report')));
    await eventually(() => expect(ran).toBe(5_000), 20_000);
    clearInterval(ticks);
    expect(longest).toBeLessThan(1_000);
  });
});

describe('a logger that throws', () => {
  it('does not affect jobs', async () => {
    const ductape = create({
      logger: {
        debug() {},
        info() {},
        warn() {
          throw new Error('disk full');
        },
        error() {
          throw new Error('disk full');
        },
      },
    });
    ductape.features.define('report', () => 1n);
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect((await ductape.jobs.get(job_id)).status).toBe('completed');
  });
});
