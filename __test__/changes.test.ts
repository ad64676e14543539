import { describe, expect, it } from 'vitest';
import type { DuctapeError, IJobStats } from './support/ductape.js';
import { create, deferred, eventually, job, problemPaths, rejection, temporaryStore } from './support/instances.js';

const HOUR = 3_600_000;

/** An instance whose time is moved by hand. */
const createWithManualClock = () => create({ clock: 'manual' });

const startingIn = (ms: number) => ({ schedule: { start_at: Date.now() + ms } });

const statusOf = async (ductape: ReturnType<typeof create>, id: string) => (await ductape.jobs.get(id)).status;

describe('a paused job', () => {
  it('does not run before it is resumed, then runs at once if overdue', async () => {
    const ductape = createWithManualClock();
    const runs: number[] = [];
    ductape.features.define('report', () => void runs.push(ductape.clock.now()));
    const start = ductape.clock.now();
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { start_at: start + HOUR } }));
    await ductape.jobs.pause(job_id);
    expect(await statusOf(ductape, job_id)).toBe('paused');
    await ductape.clock.advance(5 * HOUR);
    expect(runs).toEqual([]);
    await ductape.jobs.resume(job_id);
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(runs).toEqual([start + 5 * HOUR]);
  });

  it('that recurs does not make up for missed occurrences', async () => {
    const ductape = createWithManualClock();
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void runs.push(scheduled_at));
    const start = ductape.clock.now();
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR } }));
    await ductape.clock.advance(HOUR);
    await ductape.jobs.pause(job_id);
    expect(await ductape.jobs.get(job_id)).not.toHaveProperty('next_run_at');
    await ductape.clock.advance(3.5 * HOUR);
    await ductape.jobs.resume(job_id);
    expect((await ductape.jobs.get(job_id)).next_run_at).toBe(start + 5 * HOUR);
    await ductape.clock.advance(HOUR);
    expect(runs).toEqual([start, start + HOUR, start + 5 * HOUR]);
    const history = await ductape.jobs.getHistory(job_id);
    const paused = { from: start + 2 * HOUR, to: start + 4 * HOUR, count: 3, reason: 'paused' };
    expect([history.missed, history.skipped]).toEqual([[], [paused]]);
  });

  it('keeps its limit', async () => {
    const ductape = createWithManualClock();
    let runs = 0;
    ductape.features.define('report', () => void runs++);
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR, limit: 3 } }));
    await ductape.clock.advance(HOUR);
    await ductape.jobs.pause(job_id);
    await ductape.clock.advance(10 * HOUR);
    await ductape.jobs.resume(job_id);
    await ductape.clock.advance(10 * HOUR);
    expect([runs, await statusOf(ductape, job_id)]).toEqual([3, 'completed']);
  });

  it('that recurs lets its current run finish', async () => {
    const ductape = create();
    const [started, release] = [deferred(), deferred()];
    ductape.features.define('report', async ({ signal }) => {
      started.resolve();
      await release.promise;
      return signal.aborted;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR } }));
    await started.promise;
    await ductape.jobs.pause(job_id);
    const ended = ductape.jobs.wait(job_id, { timeout: 10_000 });
    release.resolve();
    expect(await ended).toBe(false);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'paused', execution_count: 1 });
  });

  it('stays paused when it is dispatched again under its id', async () => {
    const ductape = create({ worker: false });
    const dispatch = () =>
      ductape.features.dispatch(job('report', { job_id: 'daily', schedule: { cron: '0 9 * * *' } }));
    await dispatch();
    await ductape.jobs.pause('daily');
    const result = await dispatch();
    expect(result).toMatchObject({ status: 'scheduled', recurring: true });
    expect(result).not.toHaveProperty('next_run_at');
    expect(await statusOf(ductape, 'daily')).toBe('paused');
  });
});

describe('retry', () => {
  it('runs a failed job again with all its retries, as the next run', async () => {
    const ductape = create();
    const calls: string[] = [];
    ductape.features.define('report', ({ run, attempt }) => {
      calls.push(`${run}/${attempt}`);
      if (calls.length < 4) throw new Error('not yet');
      return 'done';
    });
    const more = { retries: 1, retryConfig: { initialDelay: 1 } };
    const { job_id } = await ductape.features.dispatch(job('report', more));
    await expect(ductape.jobs.wait(job_id, { timeout: 10_000 })).rejects.toThrow('not yet');
    await ductape.jobs.retry(job_id);
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
    expect(calls).toEqual(['1/1', '1/2', '2/1', '2/2']);
    expect(await ductape.jobs.getHistory(job_id)).toMatchObject({ total_executions: 2, failed_executions: 1 });
  });

  it('waits for the given delay', async () => {
    const ductape = createWithManualClock();
    ductape.features.define('report', () => {});
    const { job_id } = await ductape.features.dispatch(job('report', startingIn(HOUR)));
    await ductape.jobs.cancel(job_id);
    await ductape.jobs.retry(job_id, { delay: HOUR });
    expect(await ductape.jobs.get(job_id)).toMatchObject({
      status: 'scheduled',
      scheduled_at: ductape.clock.now() + HOUR,
    });
    await ductape.clock.advance(HOUR);
    expect(await statusOf(ductape, job_id)).toBe('completed');
  });

  it('of a recurring job repeats its last failed run for the original occurrence', async () => {
    const ductape = createWithManualClock();
    const seen: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => {
      seen.push(scheduled_at);
      if (seen.length === 1) throw new Error('not yet');
    });
    const start = ductape.clock.now();
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR, limit: 2 } }));
    await ductape.clock.advance(1);
    await ductape.jobs.retry(job_id);
    await ductape.clock.advance(2 * HOUR);
    // What ran again does not count towards the limit.
    expect(seen).toEqual([start, start, start + HOUR]);
    expect((await rejection(ductape.jobs.retry(job_id))).code).toBe('CONFLICT');
  });
});

describe('delete', () => {
  it('removes the job and its history', async () => {
    const ductape = create();
    ductape.features.define('report', ({ log }) => log('here'));
    const { job_id } = await ductape.features.dispatch(job('report', { tags: ['red'] }));
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    await ductape.jobs.delete(job_id);
    for (const verb of ['get', 'logs', 'getHistory'] as const) {
      expect((await rejection(ductape.jobs[verb](job_id))).code).toBe('NOT_FOUND');
    }
    expect(await ductape.jobs.list({ tags: ['red'], count: true })).toMatchObject({ jobs: [], total: 0 });
  });

  it('rejects pending waits for the job', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    const waiting = rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    await ductape.jobs.delete(job_id);
    expect((await waiting).code).toBe('NOT_FOUND');
  });
});

describe('reschedule', () => {
  it('moves a waiting job to another time', async () => {
    const ductape = createWithManualClock();
    const runs: number[] = [];
    ductape.features.define('report', () => void runs.push(ductape.clock.now()));
    const start = ductape.clock.now();
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { start_at: start + 60 * HOUR } }));
    const result = await ductape.jobs.reschedule(job_id, { start_at: start + HOUR });
    expect(result).toEqual({ job_id, status: 'scheduled', scheduled_at: start + HOUR, recurring: false });
    await ductape.clock.advance(2 * HOUR);
    expect(runs).toEqual([start + HOUR]);
  });

  it('changes the schedule of a recurring job, also during a run', async () => {
    const ductape = create();
    const [started, release] = [deferred(), deferred()];
    ductape.features.define('report', async () => {
      started.resolve();
      await release.promise;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR } }));
    await started.promise;
    const result = await ductape.jobs.reschedule(job_id, { cron: '0 9 * * *', tz: 'Europe/Berlin' });
    release.resolve();
    await eventually(async () => expect(await statusOf(ductape, job_id)).toBe('scheduled'));
    const stored = await ductape.jobs.get(job_id);
    expect(stored).toMatchObject({ cron: '0 9 * * *', tz: 'Europe/Berlin', execution_count: 1 });
    expect(stored).not.toHaveProperty('every');
    expect(stored.next_run_at).toBe(result.next_run_at);
  });

  it.each([
    ['a one-off job that is given a cron', {}, { cron: '* * * * *' }, 'INVALID_SCHEDULE', 'schedule'],
    [
      'a recurring job that is given a time',
      { schedule: { every: HOUR } },
      { start_at: 1 },
      'INVALID_SCHEDULE',
      'schedule',
    ],
    ['no cron', { schedule: { every: HOUR } }, { cron: 'daily' }, 'INVALID_CRON', 'schedule.cron'],
    ['an unknown option', {}, { startAt: 1 }, 'VALIDATION_ERROR', 'schedule.startAt'],
  ])('refuses %s', async (_name, more, schedule, code, path) => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report', more));
    const error = await rejection(ductape.jobs.reschedule(job_id, schedule as object));
    expect([error.code, problemPaths(error)]).toEqual([code, [path]]);
  });

  it('rejects an empty change', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report', startingIn(HOUR)));
    const nothing = undefined as unknown as object;
    expect((await rejection(ductape.jobs.reschedule(job_id, nothing))).code).toBe('VALIDATION_ERROR');
  });
});

describe('cancelRun', () => {
  it('ends the current run while the recurring job continues', async () => {
    const ductape = create();
    const [started, aborted] = [deferred(), deferred<unknown>()];
    ductape.features.define('report', async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      started.resolve();
      await aborted.promise;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: HOUR } }));
    await started.promise;
    const waiting = rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    await ductape.jobs.cancelRun(job_id, { reason: 'too slow' });
    expect(await aborted.promise).toMatchObject({ code: 'CANCELLED' });
    expect((await waiting).message).toContain('too slow');
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'scheduled', execution_count: 1 });
    expect((await rejection(ductape.jobs.cancelRun(job_id))).code).toBe('CONFLICT');
  });

  it('reaches a run of another process', async () => {
    const store = await temporaryStore();
    const [worker, other] = [create({ store }), create({ store, worker: false })];
    const [started, aborted] = [deferred(), deferred<unknown>()];
    worker.features.define('report', async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason));
      started.resolve();
      await aborted.promise;
    });
    const { job_id } = await other.features.dispatch(job('report', { schedule: { every: HOUR } }));
    await started.promise;
    await other.jobs.cancelRun(job_id, { reason: 'from afar' });
    expect(await aborted.promise).toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('from afar') });
  });

  it('cancels a one-off job', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.jobs.cancelRun(job_id);
    expect(await statusOf(ductape, job_id)).toBe('cancelled');
  });
});

describe('a change of many jobs', () => {
  const counts = async (ductape: ReturnType<typeof create>, ...names: (keyof IJobStats)[]) => {
    const stats = await ductape.jobs.getStats();
    return names.map((name) => stats[name]);
  };

  it('applies to matching jobs and skips those whose state forbids it', async () => {
    const ductape = create({ worker: false });
    const [red, blue] = [{ tags: ['red'] }, { tags: ['blue', 'blue'] }];
    await ductape.features.dispatchMany(Array.from({ length: 450 }, () => job('report', red)));
    await ductape.features.dispatchMany(Array.from({ length: 5 }, () => job('report', blue)));
    await ductape.features.dispatch(job('report', { ...blue, schedule: { every: HOUR } }));
    expect(await ductape.jobs.pauseMany(red)).toEqual({ count: 450 });
    expect(await ductape.jobs.pauseMany(red)).toEqual({ count: 0 });
    expect(await counts(ductape, 'paused', 'queued')).toEqual([450, 5]);
    expect(await ductape.jobs.resumeMany({ tags: ['red'], recurring: true })).toEqual({ count: 0 });
    expect(await ductape.jobs.resumeMany({ status: ['paused', 'failed'] })).toEqual({ count: 450 });
    expect(await ductape.jobs.cancelMany({ ...blue, recurring: false }, { reason: 'wrong colour' })).toEqual({
      count: 5,
    });
    expect((await ductape.jobs.list({ status: 'cancelled' })).jobs[0]).toMatchObject({ cancel_reason: 'wrong colour' });
    expect(await ductape.jobs.retryMany({ target: { tag: 'report' } })).toEqual({ count: 5 });
    expect(await ductape.jobs.deleteMany({ product: 'shop', tags: ['red'] })).toEqual({ count: 450 });
    expect(await ductape.jobs.deleteMany({ product: 'nowhere' })).toEqual({ count: 0 });
    expect(await ductape.jobs.deleteMany({ all: true })).toEqual({ count: 6 });
    expect(await counts(ductape, 'total')).toEqual([0]);
  });

  it('aborts the runs it cancels', async () => {
    const ductape = create();
    const aborted: string[] = [];
    let started = 0;
    ductape.features.define('report', ({ id, signal }) => {
      started++;
      return new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          aborted.push(id);
          resolve();
        });
      });
    });
    await ductape.features.dispatchMany([job('report'), job('report')]);
    await eventually(() => expect(started).toBe(2));
    expect(await ductape.jobs.deleteMany({ all: true })).toEqual({ count: 0 });
    expect(await ductape.jobs.cancelMany({ status: 'running' })).toEqual({ count: 2 });
    await eventually(() => expect(aborted).toHaveLength(2));
  });

  it.each([
    ['nothing', undefined],
    ['an empty filter', {}],
    ['a filter whose values are undefined', { product: undefined }],
    ['an empty target', { target: {} }],
    ['all that is false', { all: false }],
  ])('is refused for %s', async (name, filter) => {
    const ductape = create({ worker: false });
    await ductape.features.dispatch(job('report'));
    const { jobs } = ductape;
    // `{}` means all jobs where that can be taken back.
    const revocable = name === 'an empty filter' ? [] : [jobs.pauseMany, jobs.resumeMany];
    for (const change of [jobs.cancelMany, jobs.retryMany, jobs.deleteMany, ...revocable]) {
      const error = await rejection(change(filter as { all?: boolean }));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['filter']]);
      expect(error.message).toContain('all: true');
    }
    expect((await jobs.getStats()).queued).toBe(1);
  });

  it.each([
    ['an unknown state', { status: 'done' }, ['filter.status']],
    ['an unknown condition', { statuses: 'failed' }, ['filter.statuses']],
    ['a page', { status: 'failed', limit: 1e9 }, ['filter.limit']],
    ['a span that ends before it begins', { from: 2, to: 1 }, ['filter.from']],
    ['a tag that is none', { tags: [''] }, ['filter.tags[0]']],
  ])('is refused for %s', async (_name, filter, paths) => {
    const ductape = create({ worker: false });
    const error = await rejection(ductape.jobs.deleteMany(filter as object));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', paths]);
  });
});

describe('an impossible change', () => {
  type Call = (ductape: ReturnType<typeof create>, id: string) => Promise<unknown>;
  const calls: Record<string, Call> = {
    pause: ({ jobs }, id) => jobs.pause(id),
    resume: ({ jobs }, id) => jobs.resume(id),
    retry: ({ jobs }, id) => jobs.retry(id),
    delete: ({ jobs }, id) => jobs.delete(id),
    cancelRun: ({ jobs }, id) => jobs.cancelRun(id),
    reschedule: ({ jobs }, id) => jobs.reschedule(id, { start_at: 1 }),
  };

  it.each(Object.entries(calls))('%s of a missing job rejects', async (_name, call) => {
    const ductape = create({ worker: false });
    for (const id of ['nobody', `job_${crypto.randomUUID()}`, '', 'a\nb', 'x'.repeat(300)]) {
      expect((await rejection(call(ductape, id))).code).toBe('NOT_FOUND');
    }
    const error = await rejection(call(ductape, 7 as unknown as string));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['id']]);
  });

  const conflict = (error: DuctapeError, text: string) => {
    expect([error.code, problemPaths(error)]).toEqual(['CONFLICT', ['id']]);
    expect(error.message).toContain(text);
  };

  it('names the state of the job and the remedy', async () => {
    const ductape = create();
    const [started, release] = [deferred(), deferred()];
    ductape.features.define('report', () => {
      started.resolve();
      return release.promise;
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await started.promise;
    conflict(await rejection(ductape.jobs.retry(job_id)), 'is running and cannot be retried: its run has not ended');
    conflict(await rejection(ductape.jobs.pause(job_id)), 'is running and cannot be paused');
    conflict(await rejection(ductape.jobs.delete(job_id)), 'cancel it first');
    conflict(await rejection(ductape.jobs.reschedule(job_id, {})), 'is running and cannot be rescheduled');
    release.resolve();
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    conflict(await rejection(ductape.jobs.pause(job_id)), 'is completed and cannot be paused');
    conflict(await rejection(ductape.jobs.retry(job_id)), 'dispatch it again');
    conflict(await rejection(ductape.jobs.resume(job_id)), 'only a paused job can be');
    conflict(await rejection(ductape.jobs.cancel(job_id)), 'is completed and cannot be cancelled');
  });

  it('names unknown options', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    for (const options of [{ delay: -1 }, { delay: 'soon' }, { wait: 1 }]) {
      const error = await rejection(ductape.jobs.retry(job_id, options as object));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', [`options.${Object.keys(options)[0]}`]]);
    }
  });
});
