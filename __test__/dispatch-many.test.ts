// Lists of jobs: all or nothing, in their order, with every problem named; long ones are handed over in parts.
import { describe, expect, it } from 'vitest';
import { countJobs, create, env, job, problemPaths, product, rejection } from './support/instances.js';

const hour = 3_600_000;

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
