// Queries of jobs: lists, pages, counts, histories, logs.
import { describe, expect, it } from 'vitest';
import type { IJobListFilter } from './support/ductape.js';
import { create, deferred, eventually, job, problemPaths, rejection } from './support/instances.js';

const hour = 3_600_000;

describe('a list', () => {
  it('is newest first, in pages that neither repeat nor skip jobs', async () => {
    const ductape = create({ worker: false });
    const results = await ductape.features.dispatchMany(Array.from({ length: 25 }, () => job('report')));
    const newest = results.map(({ job_id }) => job_id).reverse();
    const seen: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await ductape.jobs.list({ limit: 10, ...(cursor && { cursor }) });
      seen.push(...page.jobs.map(({ id }) => id));
      sizes.push(page.jobs.length);
      cursor = page.next;
      // Jobs dispatched later are in none of the remaining pages.
      await ductape.features.dispatch(job('later'));
    } while (cursor);
    expect(seen).toEqual(newest);
    expect(sizes).toEqual([10, 10, 5]);
  });

  it('has 100 jobs a page by default, and counts on request', async () => {
    const ductape = create({ worker: false });
    await ductape.features.dispatchMany(Array.from({ length: 150 }, () => job('report')));
    const page = await ductape.jobs.list();
    expect(page.jobs).toHaveLength(100);
    expect(page).not.toHaveProperty('total');
    expect(await ductape.jobs.list({ count: true, limit: 1, offset: 149 })).toMatchObject({
      total: 150,
      total_exact: true,
      jobs: [{ status: 'queued' }],
    });
    const empty = await ductape.jobs.list({ status: 'failed' });
    expect(empty).toEqual({ jobs: [] });
  });

  it('contains the jobs that match all filters', async () => {
    const ductape = create({ worker: false });
    const before = Date.now();
    const dispatched: Record<string, Promise<{ job_id: string }>> = {
      queued: ductape.features.dispatch(job('report')),
      later: ductape.features.dispatch(job('report', { schedule: { start_at: Date.now() + hour } })),
      daily: ductape.features.dispatch(job('daily', { schedule: { cron: '0 9 * * *' } })),
      bakery: ductape.features.dispatch(job('report', { product: 'bakery' })),
      live: ductape.features.dispatch(job('report', { env: 'live' })),
      mail: ductape.actions.dispatch({ app: 'mail', event: 'send', input: {} }),
      cancelled: ductape.features.dispatch(job('cancelled')),
    };
    const ids = new Map<string, string>();
    for (const [name, promise] of Object.entries(dispatched)) ids.set((await promise).job_id, name);
    await ductape.jobs.cancel((await (dispatched.cancelled as Promise<{ job_id: string }>)).job_id);
    const names = async (filter: IJobListFilter) =>
      (await ductape.jobs.list(filter)).jobs.map(({ id }) => ids.get(id)).sort();

    expect(await names({})).toEqual([...ids.values()].sort());
    expect(await names({ status: 'queued' })).toEqual(['bakery', 'live', 'mail', 'queued']);
    expect(await names({ status: ['scheduled', 'cancelled'] })).toEqual(['cancelled', 'daily', 'later']);
    expect(await names({ recurring: true })).toEqual(['daily']);
    expect(await names({ product: 'bakery' })).toEqual(['bakery']);
    expect(await names({ env: 'live' })).toEqual(['live']);
    expect(await names({ namespace: 'actions' })).toEqual(['mail']);
    expect(await names({ target: { tag: 'report' }, product: 'shop', env: 'test' })).toEqual(['later', 'queued']);
    expect(await names({ target: { app: 'mail', event: 'send' } })).toEqual(['mail']);
    expect(await names({ target: { app: 'mail', event: 'other' } })).toEqual([]);
    expect(await names({ from: before, to: Date.now() })).toHaveLength(7);
    expect(await names({ to: new Date(before - hour).toISOString() })).toEqual([]);
  });
});

describe('statistics', () => {
  it('count jobs by status, and how runs went', async () => {
    const ductape = create();
    ductape.features.define('fine', () => {});
    ductape.features.define('second', ({ attempt }) => {
      if (attempt === 1) throw new Error('x');
    });
    ductape.features.define('fails', () => {
      throw new Error('x');
    });
    const retry = { retries: 1, retryConfig: { initialDelay: 1 } };
    const results = await ductape.features.dispatchMany([
      job('fine'),
      job('fine'),
      job('second', retry),
      job('fails', retry),
    ]);
    await Promise.allSettled(results.map(({ job_id }) => ductape.jobs.wait(job_id)));
    await ductape.features.dispatch(job('unknown'));
    const later = await ductape.features.dispatch(job('fine', { schedule: { start_at: Date.now() + hour } }));
    const gone = await ductape.features.dispatch(job('fine', { schedule: { start_at: Date.now() + hour } }));
    await ductape.jobs.cancel(gone.job_id);
    await ductape.features.dispatch(job('fine', { product: 'bakery', schedule: { start_at: Date.now() + hour } }));
    expect(later.status).toBe('scheduled');
    const counts = { scheduled: 1, queued: 1, running: 0, completed: 3, failed: 1, cancelled: 1, paused: 0 };
    expect(await ductape.jobs.getStats({ product: 'shop' })).toEqual({
      total: 7,
      ...counts,
      failing: 0,
      success_rate: 0.75,
      completed_first_try: 2,
      completed_after_retry: 1,
      avg_retry_count: expect.any(Number),
    });
    expect(await ductape.jobs.getStats()).toMatchObject({ total: 8, ...counts, scheduled: 2 });
    expect(await ductape.jobs.getStats({ namespace: 'actions' })).toMatchObject({ total: 0 });
  });
});

describe('the history of a job', () => {
  it('lists its runs, newest first, with their outcomes', async () => {
    const ductape = create();
    ductape.features.define('report', ({ run }) => {
      if (run === 2) throw Object.assign(new Error('no paper'), { code: 'E_PAPER' });
      return { run };
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: 100, limit: 3 } }));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    const history = await ductape.jobs.getHistory(job_id);
    expect(history).toMatchObject({ job_id, total_executions: 3, successful_executions: 2, failed_executions: 1 });
    expect(history.executions.map(({ number, attempt, status }) => [number, attempt, status])).toEqual([
      [3, 1, 'completed'],
      [2, 1, 'failed'],
      [1, 1, 'completed'],
    ]);
    expect(history.executions[0]?.result).toEqual({ run: 3 });
    expect(history.executions[1]?.error).toMatchObject({ code: 'E_PAPER', message: 'no paper' });
    for (const { started_at = 0, completed_at = 0, duration_ms } of history.executions) {
      expect(completed_at).toBeGreaterThanOrEqual(started_at);
      expect(duration_ms).toBe(completed_at - started_at);
    }
    expect((await ductape.jobs.getHistory(job_id, { limit: 1 })).executions).toHaveLength(1);
  });

  it('is read page by page, and pages of large results are short', async () => {
    const ductape = create();
    const runs = 130;
    // As large as a result may be: two MiB more than two answers hold.
    const result = 'x'.repeat((1 << 20) - 2);
    ductape.features.define('large', () => result);
    const schedule = { every: 1, limit: runs, misfire: 'all' } as const;
    const { job_id } = await ductape.features.dispatch(job('large', { schedule }));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).execution_count).toBe(runs), 60_000);
    const pages: number[][] = [];
    let cursor: string | undefined;
    do {
      const page = await ductape.jobs.getHistory(job_id, { limit: 1_000, ...(cursor !== undefined && { cursor }) });
      expect(page.total_executions).toBe(runs);
      expect(page.executions.every((execution) => execution.result === result)).toBe(true);
      pages.push(page.executions.map(({ number }) => number));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(pages.flat()).toEqual(Array.from({ length: runs }, (_, index) => runs - index));
    expect(pages.map((page) => page.length)).toEqual([65, 65]);
    const error = await rejection(ductape.jobs.getHistory(job_id, { cursor: 'x' }));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['options.cursor']]);
  }, 120_000);
});

describe('the times of a job', () => {
  it('are in order', async () => {
    const ductape = create();
    const finish = deferred();
    ductape.features.define('report', () => finish.promise);
    const { job_id, scheduled_at } = await ductape.features.dispatch(job('report'));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('running'));
    const running = await ductape.jobs.get(job_id);
    expect(running).toMatchObject({ attempt: 1, execution_count: 0, scheduled_at });
    expect(running).not.toHaveProperty('completed_at');
    finish.resolve();
    await ductape.jobs.wait(job_id);
    const ended = await ductape.jobs.get(job_id);
    const times = [scheduled_at, ended.started_at ?? 0, ended.completed_at ?? 0, ended.updated_at];
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(ended.created_at).toBe(scheduled_at);
    expect(ended).toMatchObject({ status: 'completed', execution_count: 1 });
  });
});

describe('waiting', () => {
  it('for a recurring job ends with its next run and can be repeated', async () => {
    const ductape = create();
    ductape.features.define('report', ({ run }) => run);
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: 200 } }));
    const first = await ductape.jobs.wait<number>(job_id, { timeout: 10_000 });
    const second = await ductape.jobs.wait<number>(job_id, { timeout: 10_000 });
    expect(second).toBeGreaterThan(first);
  });

  it('may be done by many at once', async () => {
    const ductape = create();
    const finish = deferred();
    ductape.features.define('report', async () => {
      await finish.promise;
      return 'done';
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    const waiting = Promise.all(Array.from({ length: 100 }, () => ductape.jobs.wait(job_id)));
    finish.resolve();
    expect(new Set(await waiting)).toEqual(new Set(['done']));
  });

  it('ends when the job is cancelled', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    const waiting = rejection(ductape.jobs.wait(job_id));
    await ductape.jobs.cancel(job_id, { reason: 'too late' });
    const error = await waiting;
    expect(error.code).toBe('CANCELLED');
    expect(error.message).toContain('too late');
  });
});

describe('the log of a job', () => {
  it('has the lines that its handler wrote, in order', async () => {
    const ductape = create();
    ductape.features.define('report', ({ log }) => {
      log('first');
      log('second\nof two lines');
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.jobs.wait(job_id);
    const lines = await ductape.jobs.logs(job_id);
    expect(lines.map(({ message }) => message)).toEqual(['first', 'second\nof two lines']);
    expect((await rejection(ductape.jobs.logs('none'))).code).toBe('NOT_FOUND');
  });
});
