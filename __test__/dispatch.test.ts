// Dispatches: what they store, duplicates, and the order of runs.
import { describe, expect, it } from 'vitest';
import {
  countJobs,
  create,
  deferred,
  env,
  eventually,
  job,
  problemPaths,
  product,
  waitForFirstRun,
  recordingLogger,
  rejection,
  temporaryStore,
} from './support/instances.js';

const hour = 3_600_000;
const sorted = (values: readonly string[]) => [...values].sort();

describe('a job_id', () => {
  it('yields one job for repeated dispatches', async () => {
    const ductape = create({ worker: false });
    const first = await ductape.features.dispatch(job('report', { job_id: 'r-1', input: { version: 1 } }));
    const again = await ductape.features.dispatch(job('report', { job_id: 'r-1', input: { version: 2 } }));
    expect(again).toEqual(first);
    expect(again.job_id).toBe('r-1');
    expect(await countJobs(ductape)).toBe(1);
    expect((await ductape.jobs.get('r-1')).input).toEqual({ version: 1 });
  });

  it('yields one job for concurrent dispatches', async () => {
    const ductape = create({ worker: false });
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, version) =>
        ductape.features.dispatch(job('report', { job_id: 'r-1', input: { version } })),
      ),
    );
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
    expect(await countJobs(ductape)).toBe(1);
    expect((await ductape.jobs.get('r-1')).input).toEqual({ version: 0 });
  });

  it('of a finished job returns that job without running it again', async () => {
    const ductape = create();
    let runs = 0;
    ductape.features.define('report', () => ++runs);
    await ductape.features.dispatch(job('report', { job_id: 'r-1' }));
    expect(await ductape.jobs.wait('r-1')).toBe(1);
    expect((await ductape.features.dispatch(job('report', { job_id: 'r-1' }))).job_id).toBe('r-1');
    expect(await ductape.jobs.wait('r-1')).toBe(1);
    expect(runs).toBe(1);
  });

  it('is known to the next instance on the store', async () => {
    const store = await temporaryStore();
    const first = create({ store, worker: false });
    await first.features.dispatch(job('report', { job_id: 'r-1', input: { version: 1 } }));
    await first.close();
    const second = create({ store, worker: false });
    await second.features.dispatch(job('report', { job_id: 'r-1', input: { version: 2 } }));
    expect((await second.jobs.get('r-1')).input).toEqual({ version: 1 });
    expect(await countJobs(second)).toBe(1);
  });

  it('of a recurring job replaces its schedule and input, and keeps its count', async () => {
    const ductape = create();
    ductape.features.define('report', () => 'done');
    const every = (ms: number, version: number) =>
      job('report', { job_id: 'daily', input: { version }, schedule: { every: ms } });
    await ductape.features.dispatch(every(hour, 1));
    const before = await waitForFirstRun(ductape, 'daily');
    expect(before).toMatchObject({ execution_count: 1, every: hour, input: { version: 1 } });
    const replaced = await ductape.features.dispatch(
      job('report', { job_id: 'daily', input: { version: 2 }, schedule: { cron: '0 9 * * *' } }),
    );
    const after = await ductape.jobs.get('daily');
    expect(after).toMatchObject({ recurring: true, cron: '0 9 * * *', input: { version: 2 }, execution_count: 1 });
    expect(after).not.toHaveProperty('every');
    expect(after.next_run_at).toBe(replaced.next_run_at);
    expect(await countJobs(ductape)).toBe(1);
    expect((await ductape.jobs.getHistory('daily')).total_executions).toBe(1);
  });

  it("with onConflict 'replace' replaces a one-off that waits", async () => {
    const ductape = create({ worker: false });
    const later = Date.now() + hour;
    await ductape.features.dispatch(job('report', { job_id: 'r-1', schedule: { start_at: later } }));
    const result = await ductape.features.dispatch(
      job('report', {
        job_id: 'r-1',
        onConflict: 'replace',
        input: { version: 2 },
        priority: 5,
        retries: 2,
        schedule: { start_at: later + hour },
      }),
    );
    expect(result).toMatchObject({ job_id: 'r-1', status: 'scheduled', scheduled_at: later + hour });
    expect(await ductape.jobs.get('r-1')).toMatchObject({
      input: { version: 2 },
      priority: 5,
      retries: 2,
      scheduled_at: later + hour,
    });
    expect(await countJobs(ductape)).toBe(1);
  });

  it("with onConflict 'error' rejects with CONFLICT and changes nothing", async () => {
    const ductape = create({ worker: false });
    await ductape.features.dispatch(job('report', { job_id: 'r-1', input: { version: 1 } }));
    const error = await rejection(
      ductape.features.dispatch(job('report', { job_id: 'r-1', onConflict: 'error', input: { version: 2 } })),
    );
    expect(error.code).toBe('CONFLICT');
    expect(problemPaths(error)).toEqual(['job_id']);
    expect(error.message).toContain('r-1');
    expect((await ductape.jobs.get('r-1')).input).toEqual({ version: 1 });
    // An unused id is no conflict.
    await ductape.features.dispatch(job('report', { job_id: 'r-2', onConflict: 'error' }));
  });

  it("with onConflict 'return' leaves a recurring job as it is", async () => {
    const ductape = create({ worker: false });
    await ductape.features.dispatch(job('report', { job_id: 'daily', schedule: { every: hour } }));
    await ductape.features.dispatch(
      job('report', { job_id: 'daily', onConflict: 'return', schedule: { every: 2 * hour } }),
    );
    expect((await ductape.jobs.get('daily')).every).toBe(hour);
  });

  it('may contain any printable characters', async () => {
    const ductape = create({ worker: false });
    for (const job_id of ['a b/c?d=%20', "'; DROP TABLE jobs; --", '日本語', '👩‍👩‍👧', 'x'.repeat(255)]) {
      expect((await ductape.features.dispatch(job('report', { job_id }))).job_id).toBe(job_id);
      expect((await ductape.jobs.get(job_id)).id).toBe(job_id);
    }
    expect(await countJobs(ductape)).toBe(5);
  });

  it.each([
    ['日'.repeat(86), /1 to 255 bytes/],
    ['a\ud800', /half a surrogate pair/],
  ])('of more bytes, or with half a character, is refused: %j', async (job_id, told) => {
    const ductape = create({ worker: false });
    const refused = await rejection(ductape.features.dispatch(job('report', { job_id })));
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: 'job_id' }] });
    expect(refused.message).toMatch(told);
  });

  it('that is missing from identical recurring jobs causes a warning', async () => {
    const logger = recordingLogger();
    const ductape = create({ worker: false, logger });
    const input = job('report', { schedule: { every: hour } });
    await ductape.features.dispatch(input);
    expect(logger.messagesAt('warn')).toEqual([]);
    await ductape.features.dispatch(input);
    await eventually(() => expect(logger.messagesAt('warn').join('\n')).toMatch(/job_id/));
  });
});

describe('dispatchMany', () => {
  it('gives results in the order of the inputs', async () => {
    const ductape = create({ worker: false });
    const results = await ductape.features.dispatchMany(
      Array.from({ length: 1_000 }, (_, index) => job('report', { input: { index } })),
    );
    expect(results).toHaveLength(1_000);
    for (const index of [0, 1, 499, 999]) {
      expect((await ductape.jobs.get(results[index]?.job_id ?? '')).input).toEqual({ index });
    }
    expect(new Set(results.map(({ job_id }) => job_id)).size).toBe(1_000);
    expect(await countJobs(ductape)).toBe(1_000);
  });

  it('accepts 10,000 jobs and an empty list', async () => {
    const ductape = create({ worker: false });
    expect(await ductape.features.dispatchMany([])).toEqual([]);
    await ductape.features.dispatchMany(Array.from({ length: 10_000 }, () => job('report')));
    expect(await countJobs(ductape)).toBe(10_000);
  });

  it('writes nothing when one entry conflicts', async () => {
    const ductape = create({ worker: false });
    await ductape.features.dispatch(job('report', { job_id: 'taken' }));
    const error = await rejection(
      ductape.features.dispatchMany([
        job('report', { job_id: 'free' }),
        job('report', { job_id: 'taken', onConflict: 'error' }),
        job('report'),
      ]),
    );
    expect(error.code).toBe('CONFLICT');
    expect(problemPaths(error)).toEqual(['[1].job_id']);
    expect(await countJobs(ductape)).toBe(1);
    expect((await rejection(ductape.jobs.get('free'))).code).toBe('NOT_FOUND');
  });

  it.each([300, 5_000])('of %i lists all problems in order and writes nothing', async (count) => {
    const ductape = create({ worker: false });
    const wrong = [1, count / 2 - 1, count / 2, count - 1];
    const jobs = Array.from({ length: count }, (_, n) => job('report', wrong.includes(n) ? { retries: -1 } : {}));
    const error = await rejection(ductape.features.dispatchMany(jobs));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual(wrong.map((n) => `[${n}].retries`));
    const all = await rejection(ductape.features.dispatchMany(Array(count).fill(job('report', { retries: -1 }))));
    expect(problemPaths(all).slice(-2)).toEqual(['[100].retries', '']);
    expect(await countJobs(ductape)).toBe(0);
  });

  describe.each([
    ['whose store is not open yet', false],
    ['whose store is open', true],
  ])('of a long list to an instance %s', (_name, isOpen) => {
    async function opened() {
      const ductape = create({ worker: { concurrency: 1 } });
      if (isOpen) await ductape.features.dispatch(job('other'));
      return { ductape, others: isOpen ? 1 : 0 };
    }
    const numbered = (length: number, more: (n: number) => object = () => ({})) =>
      Array.from({ length }, (_, n) => job('report', { input: { n }, ...more(n) }));

    it('makes all jobs due at one time, behind what was dispatched before', async () => {
      const { ductape } = await opened();
      const [before, list, after] = await Promise.all([
        ductape.features.dispatch(job('report', { input: { n: -1 } })),
        ductape.features.dispatchMany(numbered(1_500, (n) => (n === 700 ? { schedule: { start_at: 0 } } : {}))),
        ductape.features.dispatch(job('report', { input: { n: 1_500 } })),
      ]);
      expect(new Set(list.map(({ scheduled_at }) => scheduled_at)).size).toBe(1);
      const started: unknown[] = [];
      ductape.features.define('report', ({ input }) => void started.push(input.n));
      await Promise.all([before, ...list, after].map(({ job_id }) => ductape.jobs.wait(job_id)));
      expect(started).toEqual(Array.from({ length: 1_502 }, (_, n) => n - 1));
    });

    it('has the schedules of its jobs count from the dispatch', async () => {
      const { ductape } = await opened();
      const entries = numbered(600, () => ({ schedule: { delay: 1_000 } }));
      Object.defineProperty(entries[599], 'tags', {
        enumerable: true,
        get: () => {
          const until = performance.now() + 50;
          while (performance.now() < until);
        },
      });
      const results = await ductape.features.dispatchMany(entries as never);
      expect(new Set(results.map(({ scheduled_at }) => scheduled_at)).size).toBe(1);
    });

    it('stores nothing when it cannot be written to its end, and is no part of the next one', async () => {
      const { ductape, others } = await opened();
      const failing = numbered(1_500);
      Object.defineProperty(failing[1_400], 'input', {
        enumerable: true,
        get: () => {
          throw new Error('half way');
        },
      });
      expect((await rejection(ductape.features.dispatchMany(failing))).message).toMatch(/half way/);
      const nulls = numbered(1_500, (n) => (n === 1_499 ? { priority: Number.NaN } : {}));
      expect(problemPaths(await rejection(ductape.features.dispatchMany(nulls)))).toEqual(['[1499].priority']);
      expect(await countJobs(ductape)).toBe(others);
      const results = await ductape.features.dispatchMany(numbered(600));
      expect(await countJobs(ductape)).toBe(others + 600);
      expect((await ductape.jobs.get(results[599]?.job_id ?? '')).input).toEqual({ n: 599 });
    });

    it('does not mix lists that are written within each other', async () => {
      const { ductape } = await opened();
      let inner: Promise<unknown[]> | undefined;
      const outer = numbered(1_200);
      Object.defineProperty(outer[600], 'tags', {
        enumerable: true,
        get: () => {
          inner ??= ductape.features.dispatchMany(numbered(700, () => ({ tags: ['inner'] })));
          return ['outer'];
        },
      });
      expect(await ductape.features.dispatchMany(outer)).toHaveLength(1_200);
      expect(await inner).toHaveLength(700);
      const tagged = async (tag: string) => (await ductape.jobs.list({ tags: [tag], limit: 1_000 })).jobs.length;
      expect([await tagged('inner'), await tagged('outer')]).toEqual([700, 1]);
    });
  });

  it('routes each job to its own target', async () => {
    const ductape = create({ worker: false });
    const targets: { tag: string; product?: string | null; env?: string }[] = [
      { tag: 'a' },
      { tag: 'a' },
      { tag: 'b' },
      { tag: 'a', product: 'other' },
      { tag: 'a', env: 'other' },
      { tag: 'a' },
      { tag: 'other', product: 'a' },
      { tag: '\u00e9"' },
      { tag: 'a', product: null },
    ];
    const jobs = Array.from({ length: 900 }, (_, n) => ({ tag: '', ...targets[n % targets.length], input: {} }));
    const expected = jobs.map((one) => ({ tag: one.tag, product: one.product ?? product, env: one.env ?? env }));
    const found = async (ids: string[]) =>
      (await Promise.all(ids.map((id) => ductape.jobs.get(id)))).map(({ target, product, env }) => ({
        tag: (target as { tag: string }).tag,
        product,
        env,
      }));
    const many = await ductape.features.dispatchMany(jobs as never);
    expect(await found(many.map(({ job_id }) => job_id))).toEqual(expected);
    const each = await Promise.all(jobs.map((one) => ductape.features.dispatch(one as never)));
    expect(await found(each.map(({ job_id }) => job_id))).toEqual(expected);
  });

  it('accepts a mix of schedules and ids', async () => {
    const ductape = create({ worker: false });
    const at = Date.now() + hour;
    const results = await ductape.actions.dispatchMany([
      { app: 'mail', event: 'send', input: {} },
      { app: 'mail', event: 'send', input: {}, schedule: { start_at: at } },
      { app: 'mail', event: 'send', input: {}, job_id: 'daily', schedule: { cron: '0 9 * * *' } },
    ]);
    expect(results.map(({ status, recurring }) => [status, recurring])).toEqual([
      ['queued', false],
      ['scheduled', false],
      ['scheduled', true],
    ]);
    expect(results[1]?.scheduled_at).toBe(at);
    expect(results[2]?.job_id).toBe('daily');
  });
});

describe('jobs that are due', () => {
  it('start by priority, then in the order of their dispatch', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    const started: unknown[] = [];
    const priorities = [0, 5, -3, 0, 5, -3, 100, -100];
    const dispatched = [];
    for (const [index, priority] of priorities.entries()) {
      dispatched.push(await ductape.features.dispatch(job('report', { priority, input: { index } })));
    }
    ductape.features.define('report', ({ input }) => void started.push(input.index));
    await Promise.all(dispatched.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(started).toEqual([7, 2, 5, 0, 3, 1, 4, 6]);
  });

  it('start by priority across targets and namespaces', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    const started: string[] = [];
    const dispatched = [
      await ductape.features.dispatch(job('a', { priority: 3 })),
      await ductape.actions.dispatch({ app: 'b', event: 'e', input: {}, priority: 1 }),
      await ductape.features.dispatch(job('c', { priority: 2 })),
    ];
    ductape.features.handle({}, ({ tag }) => void started.push(tag));
    ductape.actions.handle({}, ({ app }) => void started.push(app));
    await Promise.all(dispatched.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(started).toEqual(['b', 'c', 'a']);
  });
});

describe('start_at', () => {
  it.each([
    ['a number', (at: number) => at],
    ['an ISO 8601 text', (at: number) => new Date(at).toISOString()],
  ])('as %s runs the job then, and not before', async (_name, write) => {
    const ductape = create();
    ductape.features.define('report', ({ lateness }) => ({ at: Date.now(), lateness }));
    const at = Date.now() + 300;
    const result = await ductape.features.dispatch(job('report', { schedule: { start_at: write(at) } }));
    expect(result).toEqual({ job_id: result.job_id, status: 'scheduled', scheduled_at: at, recurring: false });
    const ran = await ductape.jobs.wait<{ at: number; lateness: number }>(result.job_id, { timeout: 10_000 });
    expect(ran.at).toBeGreaterThanOrEqual(at);
    expect(ran.at).toBeLessThan(at + 2_000);
    expect(ran.lateness).toBeLessThan(2_000);
  });

  it('runs jobs in the order of their times, whatever the order of their dispatch', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    const started: unknown[] = [];
    ductape.features.define('report', ({ input }) => void started.push(input.index));
    const now = Date.now();
    const dispatched = await ductape.features.dispatchMany(
      [3, 1, 4, 2].map((index) => job('report', { input: { index }, schedule: { start_at: now + 100 + 60 * index } })),
    );
    await Promise.all(dispatched.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(started).toEqual([1, 2, 3, 4]);
  });

  it('without an offset is read in tz, else in the time zone of the instance', async () => {
    const ductape = create({ worker: false, timezone: 'Asia/Tokyo' });
    const at = async (schedule: { start_at: string; tz?: string }) =>
      (await ductape.features.dispatch(job('report', { schedule }))).scheduled_at;
    expect(await at({ start_at: '2100-01-01T09:00:00' })).toBe(Date.parse('2100-01-01T00:00:00Z'));
    expect(await at({ start_at: '2100-01-01T09:00:00', tz: 'America/New_York' })).toBe(
      Date.parse('2100-01-01T14:00:00Z'),
    );
    expect(await at({ start_at: '2100-01-01T09:00:00+02:00' })).toBe(Date.parse('2100-01-01T07:00:00Z'));
  });

  it('in the past means at once', async () => {
    const ductape = create({ worker: false });
    const before = Date.now();
    const result = await ductape.features.dispatch(job('report', { schedule: { start_at: 0 } }));
    expect(result.status).toBe('queued');
    expect(result.scheduled_at).toBeGreaterThanOrEqual(before);
  });
});

describe('the input', () => {
  /** The input that the handler gets, as JSON text. */
  async function delivered(input: unknown): Promise<unknown> {
    const ductape = create();
    let seen: unknown;
    ductape.features.define('report', (job) => {
      seen = job.input;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { input: input as Record<string, unknown> }));
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(JSON.stringify((await ductape.jobs.get(job_id)).input)).toBe(JSON.stringify(seen));
    return seen;
  }

  it('reaches the handler exactly as JSON.stringify writes it', async () => {
    const input = {
      zebra: 1,
      apple: { y: [1, [2, [3]]], x: {} },
      '': 'empty key',
      unicode: 'žluťoučký 日本語 👩‍👩‍👧 \u0000 \u2028 "\\/',
      lone: '\ud800',
      numbers: [0, -0, 1.5, 1e21, 1e-7, 5e-324, Number.MAX_VALUE, 2 ** 53 + 2, 0.1 + 0.2, Infinity, Number.NaN],
      date: new Date(0),
      undef: undefined,
      fn: () => 1,
      list: [undefined, () => 1, null],
      nothing: null,
      toJSON: undefined,
    };
    expect(JSON.stringify(await delivered(input))).toBe(JSON.stringify(input));
  });

  it.each(['$99.99', '$now', '$Nowhere', '$ ', '{{name}}', '__proto__'])('keeps the text %s as it is', async (text) => {
    expect(await delivered({ text, [text]: 1 })).toEqual({ text, ...Object.fromEntries([[text, 1]]) });
  });

  it('keeps a key named __proto__ as a key', async () => {
    const seen = await delivered(JSON.parse('{"__proto__": {"polluted": true}, "a": 1}'));
    expect(Object.keys(seen as object)).toEqual(['__proto__', 'a']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('may nest deeply', async () => {
    let deep: unknown = 'bottom';
    for (let depth = 0; depth < 2_000; depth++) deep = { deep };
    expect(JSON.stringify(await delivered({ deep }))).toBe(JSON.stringify({ deep }));
  });

  it('may be exactly 1 MiB', async () => {
    const input = { text: 'x'.repeat(1024 * 1024 - '{"text":""}'.length) };
    expect(JSON.stringify(input)).toHaveLength(1024 * 1024);
    const seen = (await delivered(input)) as typeof input;
    expect(seen.text === input.text).toBe(true);
  });

  it('is captured by the call and unaffected by later changes', async () => {
    const ductape = create({ worker: false });
    const given = { list: [1] };
    const tags = ['a'];
    const input = { ...job('report', { tags }), tag: 'report', input: given };
    const promise = ductape.features.dispatch(input);
    given.list.push(2);
    input.tag = 'other';
    tags.push('b');
    expect(await ductape.jobs.get((await promise).job_id)).toMatchObject({
      input: { list: [1] },
      target: { tag: 'report' },
      tags: ['a'],
    });
  });

  it('is not mutated by the dispatch', async () => {
    const ductape = create({ worker: false });
    const input = {
      storage: 'files',
      event: 'upload',
      input: Object.freeze({ fileName: 'a', buffer: new Uint8Array([1]) }),
    };
    await ductape.storage.dispatch(Object.freeze(input));
    expect(input.input.buffer).toEqual(new Uint8Array([1]));
  });

  it.each([
    ['a Buffer', Buffer.from('héllo')],
    ['a Uint8Array', new Uint8Array(Buffer.from('héllo'))],
    [
      'a view into a larger buffer',
      new Uint8Array(Buffer.concat([Buffer.from('xx'), Buffer.from('héllo')])).subarray(2),
    ],
    ['base64 text', Buffer.from('héllo').toString('base64')],
  ])('of a storage job given as %s arrives as base64 text', async (_name, buffer) => {
    const ductape = create();
    ductape.storage.handle({}, ({ input }) => input.buffer);
    const target = { storage: 'files', event: 'upload' };
    const { job_id } = await ductape.storage.dispatch({ ...target, input: { fileName: 'a.txt', buffer } });
    const arrived = await ductape.jobs.wait<string>(job_id, { timeout: 10_000 });
    expect(Buffer.from(arrived, 'base64').toString()).toBe('héllo');
    const [many] = await ductape.storage.dispatchMany([{ ...target, input: { fileName: 'a.txt', buffer } }]);
    expect(await ductape.jobs.wait(many?.job_id ?? '', { timeout: 10_000 })).toBe(arrived);
  });

  it('of a storage job may hold a file larger than other inputs', async () => {
    const ductape = create();
    const buffer = Buffer.alloc(5 * 1024 * 1024, 7);
    ductape.storage.handle({}, ({ input }) => Buffer.from(input.buffer ?? '', 'base64').equals(buffer));
    const { job_id } = await ductape.storage.dispatch({
      storage: 'files',
      event: 'upload',
      input: { fileName: 'large', buffer },
    });
    expect(await ductape.jobs.wait(job_id, { timeout: 20_000 })).toBe(true);
  });
});

describe('a thousand dispatches at once', () => {
  it('make a thousand jobs, each run once', async () => {
    const ductape = create({ store: await temporaryStore(), worker: { concurrency: 50 } });
    const runs: string[] = [];
    const all = deferred();
    ductape.features.define('report', ({ id }) => {
      runs.push(id);
      if (runs.length === 1_000) all.resolve();
    });
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => ductape.features.dispatch(job('report', { input: { index } }))),
    );
    const ids = results.map(({ job_id }) => job_id);
    expect(new Set(ids).size).toBe(1_000);
    await all.promise;
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(1_000));
    expect(sorted(runs)).toEqual(sorted(ids));
    // Each promise got the id of its own dispatch.
    for (const index of [0, 1, 500, 999]) {
      expect((await ductape.jobs.get(ids[index] ?? '')).input).toEqual({ index });
    }
  });
});
