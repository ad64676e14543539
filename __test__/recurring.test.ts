// Recurring jobs: times, limits, and missed runs.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { IDispatchSchedule, IJobHistory } from './support/ductape.js';
import { create, deferred, eventually, job, waitForFirstRun, rejection, temporaryStore } from './support/instances.js';

const minute = 60_000;
const hour = 60 * minute;
const iso = (times: readonly number[]) => times.map((time) => new Date(time).toISOString());

describe('an interval', () => {
  it('with a limit runs that often on its grid, then completes', async () => {
    const ductape = create();
    const due: number[] = [];
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at, run }) => {
      due.push(scheduled_at);
      runs.push(run);
      return run;
    });
    const start = Date.now() + 100;
    const { job_id, ...result } = await ductape.features.dispatch(
      job('report', { schedule: { every: 150, limit: 4, start_at: start } }),
    );
    expect(result).toEqual({ status: 'scheduled', scheduled_at: start, next_run_at: start, recurring: true });
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    // A run missed on a busy machine is skipped and not counted; all runs are on the grid.
    for (const time of due) expect((time - start) % 150).toBe(0);
    expect(due).toEqual([...due].sort((a, b) => a - b));
    expect(runs).toEqual([1, 2, 3, 4]);
    const ended = await ductape.jobs.get(job_id);
    expect(ended).toMatchObject({ execution_count: 4, limit: 4, every: 150, result: 4 });
    expect(ended).not.toHaveProperty('next_run_at');
    expect((await ductape.jobs.getHistory(job_id)).executions.map(({ number }) => number)).toEqual([4, 3, 2, 1]);
  });

  it('runs at once first, and shows its next run', async () => {
    const ductape = create();
    ductape.features.define('report', () => 'done');
    const { job_id, scheduled_at } = await ductape.features.dispatch(job('report', { schedule: { every: hour } }));
    expect(await waitForFirstRun(ductape, job_id)).toMatchObject({
      status: 'scheduled',
      result: 'done',
      next_run_at: scheduled_at + hour,
      execution_count: 1,
    });
  });

  it('does not drift, however long its runs take', async () => {
    const ductape = create();
    const due: number[] = [];
    ductape.features.define('report', async ({ scheduled_at }) => {
      due.push(scheduled_at);
      // Real time: what a run takes of its interval.
      await new Promise((resolve) => setTimeout(resolve, 30));
    });
    const { job_id, scheduled_at } = await ductape.features.dispatch(
      job('report', { schedule: { every: 100, limit: 5 } }),
    );
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    expect(due).toHaveLength(5);
    for (const time of due) expect((time - scheduled_at) % 100).toBe(0);
  });

  it('with a start in the past continues on the grid of that start', async () => {
    const ductape = create({ worker: false });
    const start = Date.now() - 10 * hour - 17 * minute;
    const { scheduled_at } = await ductape.features.dispatch(
      job('report', { schedule: { every: hour, start_at: start } }),
    );
    expect(scheduled_at).toBe(start + 11 * hour);
  });

  it('ends with its endDate, inclusive', async () => {
    const ductape = create();
    const due: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void due.push(scheduled_at));
    const start = Date.now() + 200;
    const { job_id } = await ductape.features.dispatch(
      job('report', { schedule: { every: 300, start_at: start, endDate: start + 600 } }),
    );
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    expect(due).toEqual([start, start + 300, start + 600]);
  });

  it('goes on after a run that failed for good', async () => {
    const ductape = create();
    ductape.features.define('report', ({ run }) => {
      if (run === 1) throw new Error('first');
      return run;
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: 200, limit: 2 } }));
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    const history = await ductape.jobs.getHistory(job_id);
    expect(history).toMatchObject<Partial<IJobHistory>>({
      total_executions: 2,
      successful_executions: 1,
      failed_executions: 1,
    });
    expect(history.executions.map(({ number, status }) => [number, status])).toEqual([
      [2, 'completed'],
      [1, 'failed'],
    ]);
  });

  it('counts runs, not attempts, against its limit', async () => {
    const ductape = create();
    const calls: string[] = [];
    ductape.features.define('report', ({ run, attempt }) => {
      calls.push(`${run}/${attempt}`);
      if (attempt === 1) throw new Error('once more');
    });
    const { job_id } = await ductape.features.dispatch(
      job('report', { retries: 1, retryConfig: { initialDelay: 1 }, schedule: { every: 300, limit: 2 } }),
    );
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    expect(calls).toEqual(['1/1', '1/2', '2/1', '2/2']);
  });
});

describe('an occurrence that falls due during the previous run', () => {
  it('is skipped', async () => {
    const ductape = create();
    const release = deferred();
    let running = 0;
    let most = 0;
    let runs = 0;
    ductape.features.define('report', async () => {
      runs++;
      most = Math.max(most, ++running);
      if (runs === 1) await release.promise;
      running--;
    });
    const { job_id, scheduled_at } = await ductape.features.dispatch(
      job('report', { schedule: { every: 50, limit: 100 } }),
    );
    await eventually(() => expect(runs).toBe(1));
    // Several grid points pass.
    await eventually(() => expect(Date.now()).toBeGreaterThan(scheduled_at + 400));
    expect(runs).toBe(1);
    release.resolve();
    await eventually(() => expect(runs).toBeGreaterThan(3));
    await ductape.jobs.cancel(job_id);
    expect(most).toBe(1);
  });

  it("starts with ifRunning: 'allow'", async () => {
    const ductape = create();
    const release = deferred();
    let running = 0;
    ductape.features.define('report', async () => {
      running++;
      await release.promise;
    });
    await ductape.features.dispatch(job('report', { schedule: { every: 50, limit: 3, ifRunning: 'allow' } }));
    await eventually(() => expect(running).toBe(3));
    release.resolve();
  });
});

describe('runs missed while no process was up', () => {
  const every = 400;

  /** Runs a job once, leaves it alone for `intervals`, and takes it up again; resolves with what ran then. */
  async function interrupted(misfire: 'once' | 'skip' | 'all' | undefined, intervals: number) {
    const store = await temporaryStore();
    const first = create({ store });
    // One, or more if closing was slow.
    let early = 0;
    first.features.define('report', () => ++early);
    const schedule = { every, ...(misfire && { misfire }) };
    const { job_id, scheduled_at } = await first.features.dispatch(job('report', { schedule }));
    await waitForFirstRun(first, job_id);
    await first.close();
    await eventually(() => expect(Date.now()).toBeGreaterThan(scheduled_at + (early + intervals) * every));

    const second = create({ store });
    const ran: Array<{ scheduled_at: number; missed: number; lateness: number; run: number }> = [];
    const opened = Date.now();
    second.features.define('report', ({ scheduled_at, missed, lateness, run }) => {
      ran.push({ scheduled_at, missed, lateness, run });
    });
    // A run on the grid shows that the catch-up is over.
    await eventually(() => expect(ran.some((run) => run.scheduled_at > opened)).toBe(true));
    await second.jobs.cancel(job_id);
    return { ran, opened, early, grid: (time: number) => (time - scheduled_at) / every };
  }

  it('are made up for by one run that knows their number', async () => {
    const { ran, opened, early, grid } = await interrupted(undefined, 5);
    const [catchUp, next] = ran;
    expect(ran.filter((run) => run.missed > 0)).toHaveLength(1);
    // One run makes up for all occurrences that passed.
    const passed = Math.floor(grid(opened)) + 1 - early;
    expect(passed).toBeGreaterThanOrEqual(5);
    expect(catchUp?.run).toBe(early + 1);
    expect(Math.abs((catchUp?.missed ?? 0) - passed)).toBeLessThanOrEqual(1);
    expect(catchUp?.lateness).toBeGreaterThan(0);
    expect(next).toMatchObject({ missed: 0, run: early + 2 });
    expect(Number.isInteger(grid(next?.scheduled_at ?? 0.5))).toBe(true);
  });

  it("are skipped with misfire: 'skip'", async () => {
    const { ran, opened, grid } = await interrupted('skip', 5);
    // An occurrence that is late by less than an interval is not missed.
    for (const run of ran) expect(run.scheduled_at).toBeGreaterThan(opened - every);
    for (const run of ran) expect(Number.isInteger(grid(run.scheduled_at))).toBe(true);
  });

  it("are all made up for with misfire: 'all'", async () => {
    const { ran, early, grid } = await interrupted('all', 5);
    expect(ran.slice(0, 5).map((run) => grid(run.scheduled_at) - early)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('cancelling', () => {
  it('ends the series', async () => {
    const ductape = create();
    let runs = 0;
    ductape.features.define('report', () => ++runs);
    ductape.features.define('other', () => 'ran');
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: 50 } }));
    await eventually(() => expect(runs).toBeGreaterThanOrEqual(3));
    await ductape.jobs.cancel(job_id, { reason: 'enough' });
    const after = runs;
    const cancelled = await ductape.jobs.get(job_id);
    expect(cancelled).toMatchObject({ status: 'cancelled', cancel_reason: 'enough', recurring: true });
    expect(cancelled).not.toHaveProperty('next_run_at');
    // Due after the next three occurrences would have been.
    const other = await ductape.features.dispatch(job('other', { schedule: { start_at: Date.now() + 200 } }));
    await ductape.jobs.wait(other.job_id, { timeout: 10_000 });
    expect(runs).toBeLessThanOrEqual(after + 1);
    expect((await rejection(ductape.jobs.wait(job_id))).code).toBe('CANCELLED');
  });

  it('prevents a scheduled job from running', async () => {
    const ductape = create();
    const ran: string[] = [];
    ductape.features.handle({}, ({ tag }) => void ran.push(tag));
    const at = Date.now() + 200;
    const first = await ductape.features.dispatch(job('cancelled', { schedule: { start_at: at } }));
    const second = await ductape.features.dispatch(job('kept', { schedule: { start_at: at + 50 } }));
    await ductape.jobs.cancel(first.job_id);
    await ductape.jobs.wait(second.job_id, { timeout: 10_000 });
    expect(ran).toEqual(['kept']);
  });
});

describe('a recurring job that is dispatched again at every start', () => {
  const report = (schedule: IDispatchSchedule) => job('report', { job_id: 'nightly', schedule });

  it('makes up for the run that was missed before the start', async () => {
    const store = `memory:${randomUUID()}`;
    const schedule = { start_at: Date.now() + 300, every: hour };
    const before = create({ store });
    await before.features.dispatch(report(schedule));
    await eventually(async () => {
      expect((await before.jobs.explain('nightly')).reasons[0]?.code).not.toBe('NOT_DUE');
    });
    const after = create({ store });
    const ran: number[] = [];
    after.features.define('report', ({ scheduled_at }) => void ran.push(scheduled_at));
    await after.features.dispatch(report(schedule));
    await eventually(() => expect(ran).toEqual([schedule.start_at]));
    expect(await after.jobs.get('nightly')).toMatchObject({ next_run_at: schedule.start_at + hour });
  });

  it('keeps its interval grid', async () => {
    const ductape = create({ clock: 'manual' });
    const start = Date.now();
    const ran: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void ran.push(scheduled_at));
    await ductape.features.dispatch(report({ every: hour }));
    await ductape.clock.advance(hour / 2);
    const again = await ductape.features.dispatch(report({ every: hour }));
    expect(again.next_run_at).toBe((ran[0] ?? start) + hour);
    await ductape.clock.advance(hour / 2);
    expect(ran).toHaveLength(2);
    // A different interval is a new schedule, which begins with a run at once.
    await ductape.clock.advance(hour / 4);
    const other = await ductape.features.dispatch(report({ every: 2 * hour }));
    expect(other.next_run_at).toBe((ran[0] ?? start) + 1.25 * hour);
  });
});

describe('several processes’ worth of instances', () => {
  it('run each occurrence once in total', async () => {
    const store = await temporaryStore();
    const due: number[] = [];
    const instances = [create({ store }), create({ store }), create({ store })];
    for (const each of instances) each.features.define('report', ({ scheduled_at }) => void due.push(scheduled_at));
    for (const each of instances) {
      await each.features.dispatch(job('report', { job_id: 'shared', schedule: { every: 100, limit: 10 } }));
    }
    const [first] = instances;
    await eventually(async () => expect((await first?.jobs.get('shared'))?.status).toBe('completed'));
    expect(due).toHaveLength(10);
    expect(new Set(due).size).toBe(10);
  });
});

describe('a preview', () => {
  it('of a cron is in its time zone, across a DST change', async () => {
    const times = await create().jobs.preview(
      { cron: '30 2 * * *', tz: 'Europe/Berlin' },
      { from: '2026-03-27T12:00:00Z', count: 3 },
    );
    // On 29 March the clocks go from 2:00 to 3:00: an occurrence in the gap runs right after it.
    expect(iso(times)).toEqual(['2026-03-28T01:30:00.000Z', '2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z']);
  });

  it('of a cron uses the time zone of the instance when it has none', async () => {
    const ductape = create({ timezone: 'Asia/Tokyo' });
    const times = await ductape.jobs.preview({ cron: '0 9 * * *' }, { from: '2026-01-01T00:00:01Z', count: 1 });
    expect(iso(times)).toEqual(['2026-01-02T00:00:00.000Z']);
  });

  it('has five times from now by default and creates no job', async () => {
    const ductape = create();
    const now = Date.now();
    const times = await ductape.jobs.preview({ cron: '* * * * *' });
    expect(times).toHaveLength(5);
    expect(times[0]).toBeGreaterThan(now);
    expect(times[0]).toBeLessThanOrEqual(now + minute + 1_000);
    expect(times.slice(1).map((time, index) => time - (times[index] ?? 0))).toEqual([minute, minute, minute, minute]);
    expect((await ductape.jobs.getStats()).total).toBe(0);
  });

  it('ends where the schedule ends', async () => {
    const { preview } = create().jobs;
    const from = '2026-01-01T00:00:00Z';
    expect(await preview({ every: hour, start_at: from, limit: 3 }, { from, count: 10 })).toHaveLength(3);
    expect(iso(await preview({ every: hour, start_at: from, endDate: '2026-01-01T02:00:00Z' }, { from }))).toEqual([
      '2026-01-01T00:00:00.000Z',
      '2026-01-01T01:00:00.000Z',
      '2026-01-01T02:00:00.000Z',
    ]);
    expect(await preview({ start_at: from }, { from })).toEqual([Date.parse(from)]);
  });

  it('agrees with the dispatch of the same schedule', async () => {
    const ductape = create({ worker: false });
    for (const cron of ['0 9 * * 1-5', '*/7 3 * * *', '0 0 29 2 *', '0 12 L * *', '@monthly']) {
      const [next] = await ductape.jobs.preview({ cron, tz: 'America/New_York' }, { count: 1 });
      const result = await ductape.features.dispatch(
        job('report', { job_id: cron, schedule: { cron, tz: 'America/New_York' } }),
      );
      expect(result.next_run_at).toBe(next);
      expect(result.status).toBe('scheduled');
    }
  });
});
