// Dispatches: what they store, duplicates, and the order of runs.
import { describe, expect, it } from 'vitest';
import {
  countJobs,
  create,
  deferred,
  eventually,
  job,
  problemPaths,
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
