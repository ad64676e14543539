// Arguments of calls: how much of them is taken, what of their objects is read, and how text of others is shown.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Ductape, type DuctapeOptions } from './support/ductape.js';
import {
  countJobs,
  create,
  eventually,
  job,
  problemPaths,
  product,
  recordingLogger,
  rejection,
  temporaryFolder,
} from './support/instances.js';

describe('a call that hands over too much', () => {
  it('is not read to its end when it is a dispatchMany', async () => {
    const ductape = create({ worker: false });
    const text = 'x'.repeat(1024 * 1024);
    let read = 0;
    const entry = () => ({
      ...job('report'),
      get input() {
        read++;
        return { text };
      },
    });
    const error = await rejection(ductape.features.dispatchMany(Array.from({ length: 10_000 }, entry)));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['inputs']]);
    expect(error.message).toMatch(/limit is 67108864; split the list/);
    expect(read).toBeLessThan(100);
    const uploads = Array.from({ length: 10_000 }, () => ({
      storage: 'files',
      event: 'upload',
      input: {
        fileName: 'a',
        get buffer() {
          read++;
          return new Uint8Array(1024 * 1024);
        },
      },
    }));
    read = 0;
    const stored = await rejection(ductape.storage.dispatchMany(uploads));
    expect(problemPaths(stored)).toEqual(['inputs']);
    expect(read).toBeLessThan(200);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('is refused when it is one job', async () => {
    const ductape = create({ worker: false });
    const input = { text: 'x'.repeat(66 * 1024 * 1024) };
    const error = await rejection(ductape.features.dispatch(job('report', { input })));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['input']]);
    expect(error.message).toMatch(/limit is 67108864; dispatch a reference/);
    const filter = await rejection(ductape.jobs.list({ tags: [input.text] }));
    expect(problemPaths(filter)).toEqual(['arguments']);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('is refused when a text cannot hold its JSON', async () => {
    const ductape = create({ worker: false });
    const input = { toJSON: () => 'x'.repeat(2 ** 30) };
    for (const call of [
      () => ductape.features.dispatch(job('report', { input: input as never })),
      () => ductape.features.dispatchMany([job('report', { input: input as never })]),
      () => ductape.jobs.cancel('a', { reason: input as never }),
    ]) {
      const error = await rejection(call());
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toMatch(/is more JSON than a text can hold; dispatch a reference/);
    }
  });

  it('counts what maxInputBytes allows on top', async () => {
    const ductape = create({ worker: false, maxInputBytes: 1024 * 1024 });
    const text = 'x'.repeat(1024 * 1000);
    const results = await ductape.features.dispatchMany(
      Array.from({ length: 40 }, () => job('report', { input: { text } })),
    );
    expect(results).toHaveLength(40);
  });
});

describe('options that are inherited', () => {
  class Settings {
    get product() {
      return 'inherited';
    }
    get worker() {
      return Object.create({ concurrency: 0 });
    }
    helper() {}
  }

  it('are read by the constructor', async () => {
    const path = join(await temporaryFolder(), 'jobs.db');
    const ductape = new Ductape(Object.create({ store: `sqlite:${path}`, product: 'p', env: 'e', worker: false }));
    await ductape.features.dispatch(job('report'));
    await ductape.close();
    expect(existsSync(path)).toBe(true);
    const error = await rejection(() => new Ductape(new Settings() as DuctapeOptions));
    expect(problemPaths(error)).toEqual(['options.worker.concurrency']);
    const secrets = Object.create({ KEY: 7 });
    expect(problemPaths(await rejection(() => new Ductape({ secrets })))).toEqual(['options.secrets']);
    expect(problemPaths(await rejection(() => new Ductape(new Map([['stroe', 1]]) as never)))).toEqual([
      'options.size',
    ]);
    const unknown = await rejection(() => new Ductape(Object.create({ stroe: 'memory:' })));
    expect(problemPaths(unknown)).toEqual(['options.stroe']);
  });

  it('are read in every argument', async () => {
    const ductape = create();
    const defaults = { tag: 'report', input: {}, retries: 3, schedule: Object.create({ every: 1_000 }) };
    const made = await ductape.features.dispatch(Object.create(defaults));
    expect(await ductape.jobs.get(made.job_id)).toMatchObject({ target: { tag: 'report' }, retries: 3, every: 1_000 });
    const [listed] = await ductape.features.dispatchMany([Object.create({ ...defaults, tags: ['listed'] })]);
    const found = await ductape.jobs.list(Object.create({ tags: ['listed'] }));
    expect(found.jobs.map(({ id }) => id)).toEqual([listed?.job_id]);
    await ductape.jobs.cancel(made.job_id, Object.create({ reason: 'inherited' }));
    expect((await ductape.jobs.get(made.job_id)).cancel_reason).toBe('inherited');
    const wrong = Object.create({ concurrency: 0 });
    const handled = await rejection(() => ductape.features.define('f', () => {}, wrong));
    expect(problemPaths(handled)).toEqual(['options.concurrency']);
    const target = await rejection(() => ductape.features.handle(Object.create({ tga: 'x' }), () => {}));
    expect(target.message).toContain('tga');
    expect(problemPaths(await rejection(ductape.drain(Object.create({ timeuot: 1 }))))).toHaveLength(1);
    expect(problemPaths(await rejection(ductape.close(Object.create({ timeout: -1 }))))).toHaveLength(1);
    const restoring = Ductape.restore(Object.create({ from: 'a', to: 'memory:', force: true }));
    expect((await rejection(restoring)).message).toContain('there is no option force');
  });

  it('leave the data of a job as JSON has it', async () => {
    const ductape = create();
    class Money {
      amount = 5;
      get currency() {
        return 'EUR';
      }
    }
    const own = await ductape.features.dispatch(job('report', { input: { price: new Money() as never } }));
    expect((await ductape.jobs.get(own.job_id)).input).toEqual({ price: { amount: 5 } });
    const dated = job('report', { schedule: { start_at: new Date(Date.now() + 60_000) as never } });
    expect(await ductape.features.dispatch(dated)).toMatchObject({ status: 'scheduled' });
    const cycle: Record<string, unknown> = { tag: 'report', input: {} };
    cycle.schedule = Object.create({ cycle });
    expect((await rejection(ductape.features.dispatch(cycle as never))).code).toBe('VALIDATION_ERROR');
  });
});

it('members that are undefined count as absent', async () => {
  const none = undefined;
  const ductape = create({ timezone: none, worker: { concurrency: none }, retention: none });
  ductape.features.define('report', ({ step }) => step('a', () => 'done', { retries: none }), { timeout: none });
  const { job_id, status } = await ductape.features.dispatch({
    ...job('report'),
    ...{
      product: none,
      env: none,
      job_id: none,
      retries: none,
      priority: none,
      timeout: none,
      tags: none,
      cache: none,
    },
    ...{ session: none, unique: none, concurrency: none, onConflict: none, options: none },
    schedule: { cron: none, every: none, start_at: none, at: none, delay: none, tz: none, dst: none, except: none },
    retryConfig: { initialDelay: none, jitter: none, retryableErrors: none },
  });
  expect(status).toBe('queued');
  expect(await ductape.jobs.wait(job_id, { timeout: none })).toBe('done');
  const found = await ductape.jobs.list({ product: none, status: none, from: none, tags: none, limit: none });
  expect(found.jobs.map(({ id }) => id)).toEqual([job_id]);
  expect(await ductape.jobs.getStats({ env: none, from: none })).toMatchObject({ total: 1 });
  expect((await ductape.jobs.getHistory(job_id, { limit: none, cursor: none })).total_executions).toBe(1);
  expect(await ductape.jobs.preview({ cron: '@daily', tz: none }, { from: none, count: none })).toHaveLength(5);
});

describe('text of others', () => {
  const forged = 'a\n2026-01-01 ERROR forged\r\u001b[2J\u009b\u2028\u202etxt\u2066\ufeff';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  const steering = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
  const shown = 'a\\n2026-01-01 ERROR forged\\r\\u001b[2J\\u009b\\u2028\\u202etxt\\u2066\\ufeff';

  it('is escaped in the errors of this package', async () => {
    const ductape = create();
    const calls: (() => unknown)[] = [
      () => ductape.jobs.get(forged),
      () => ductape.jobs.list({ [forged]: 1 } as never),
      () => ductape.jobs.setWebhook({ url: forged, events: [forged] } as never),
      () => ductape.features.dispatch({ ...job('report'), [forged]: 1 } as never),
      () => ductape.features.dispatch(job('report', { schedule: { cron: forged } })),
      () => ductape.features.dispatch(job('report', { schedule: { tz: forged, cron: '* * * * *' } })),
      () => ductape.features.dispatch(job('report', { input: { a: `$Add(${forged}` } })),
      () =>
        ductape.features.dispatch(
          job('report', {
            input: {
              get a(): never {
                throw new Error(forged.replace('\n', ' '));
              },
            },
          }),
        ),
      () => ductape.jobs.on(forged as never, () => {}),
      () => new Ductape({ [forged]: 1 } as never),
      () => new Ductape({ store: `sqlite:${forged}`, worker: { namespaces: [forged] } } as never),
      () => Ductape.restore({ [forged]: 1 } as never),
    ];
    for (const call of calls) {
      const error = await rejection((async () => call())());
      expect(error.message, String(call)).not.toMatch(steering);
      for (const { path, message } of error.details ?? []) expect(path + message, String(call)).not.toMatch(steering);
    }
    expect((await rejection(ductape.jobs.get(forged))).message).toContain(`'${shown}'`);
  });

  it('is escaped in the log', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger, product });
    ductape.jobs.on('job.started', () => {
      throw new Error(forged);
    });
    ductape.jobs.on('job.completed', () => {
      throw { message: forged };
    });
    ductape.features.define('f', () => ({
      toJSON() {
        throw new Error(forged.replace('\n', ' '));
      },
    }));
    ductape.features.define('g', async (run) => {
      await run.step('a', () => 1, {
        rollback: () => {
          throw Object.assign(new Error(forged), { code: `VALIDATION_ERROR` });
        },
      });
      throw Object.assign(new Error(forged), { code: 'VALIDATION_ERROR' });
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await ductape.jobs.wait(job_id);
    const failed = await ductape.features.dispatch(job('g'));
    const error = await rejection(ductape.jobs.wait(failed.job_id));
    // What a handler has thrown is the program's own.
    expect(error.message).toBe(forged);
    await eventually(() => expect(logger.lines.length).toBeGreaterThanOrEqual(4));
    for (const line of logger.lines) {
      const [first, ...frames] = line.split('\n');
      expect(first).not.toMatch(steering);
      for (const frame of frames) expect(frame).toMatch(/^ {4}at /);
    }
    expect(logger.lines.filter((line) => line.includes('ERROR forged\\r\\u001b[2J')).length).toBeGreaterThanOrEqual(4);
  });
});
