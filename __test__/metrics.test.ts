// Figures over time, as users see them.
import { describe, expect, it } from 'vitest';
import type { IMetrics } from './support/ductape.js';
import { create, eventually, job, rejection } from './support/instances.js';
import { script } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.parse('2026-03-02T09:00:00Z');

const outcomes = ({ dispatched, completed, failed, retried, snoozed, crashed }: IMetrics['total']) => ({
  dispatched,
  completed,
  failed,
  retried,
  snoozed,
  crashed,
});
const none = { dispatched: 0, completed: 0, failed: 0, retried: 0, snoozed: 0, crashed: 0 };

describe('metrics', () => {
  it('tell of dispatches and outcomes by minute and by target', async () => {
    const ductape = create({ clock: { manual: true, at: START } });
    ductape.features.define('report', () => 'done');
    ductape.features.define('import', ({ attempt }) => {
      if (attempt < 3) throw new Error('not yet');
    });
    let wasPutOff = false;
    ductape.features.define('late', (work) => {
      if (wasPutOff) return undefined;
      wasPutOff = true;
      return work.snooze(MINUTE);
    });
    ductape.features.define('broken', () => {
      throw new Error('never');
    });
    await ductape.start({ signals: false });
    await ductape.features.dispatch(job('report'));
    await ductape.features.dispatchMany([job('report'), job('import', { retries: 5 }), job('late'), job('broken')]);
    // Later than anybody is there.
    await ductape.features.dispatch(job('report', { schedule: { start_at: START + 2 * MINUTE } }));
    await ductape.clock.advance(5 * MINUTE);
    const metrics = await ductape.jobs.metrics();
    expect(metrics).toMatchObject({ from: START - HOUR + 5 * MINUTE, to: START + 5 * MINUTE, resolution: 'minute' });
    expect(outcomes(metrics.total)).toEqual({
      dispatched: 6,
      completed: 5,
      failed: 1,
      retried: 2,
      snoozed: 1,
      crashed: 0,
    });
    expect(metrics.points.map(({ at, dispatched }) => [(at - START) / MINUTE, dispatched])).toEqual([
      [0, 6],
      [1, 0],
      [2, 0],
    ]);
    const byTag = new Map(metrics.targets.map((each) => [each.target.tag, each]));
    expect(outcomes(byTag.get('import') ?? metrics.total)).toEqual({
      ...none,
      dispatched: 1,
      completed: 1,
      retried: 2,
    });
    expect(byTag.get('import')).toMatchObject({ namespace: 'features', product: 'shop', env: 'test' });
    expect(outcomes(byTag.get('broken') ?? metrics.total)).toEqual({ ...none, dispatched: 1, failed: 1 });
    expect(byTag.get('report')?.duration).toMatchObject({ count: 3 });

    const only = await ductape.jobs.metrics({ target: { tag: 'broken' }, from: START, to: START + HOUR });
    expect(outcomes(only.total)).toEqual({ ...none, dispatched: 1, failed: 1 });
    const hours = await ductape.jobs.metrics({ resolution: 'hour', from: '2026-03-02T00:00:00Z' });
    expect(hours.points.map(({ at }) => at)).toEqual([START]);
    expect(hours.total).toEqual(metrics.total);
    expect((await ductape.jobs.metrics({ from: START - 7 * HOUR })).resolution).toBe('hour');
    const elsewhere = await ductape.jobs.metrics({ product: 'another' });
    expect(elsewhere).toMatchObject({ points: [], targets: [], total: { ...none, duration: null, lateness: null } });
  });

  it('measure how long runs take and how late they begin', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    ductape.features.define('slow', () => new Promise((resolve) => setTimeout(resolve, 60)));
    await ductape.features.dispatchMany(Array.from({ length: 5 }, () => job('slow')));
    await ductape.start({ signals: false });
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(5));
    const { duration, lateness } = (await ductape.jobs.metrics()).total;
    expect(duration).toMatchObject({ count: 5 });
    expect(duration?.p50).toBeGreaterThanOrEqual(50);
    expect(duration?.mean).toBeGreaterThanOrEqual(59);
    expect(duration?.max).toBeGreaterThanOrEqual(duration?.p99 ?? Number.POSITIVE_INFINITY);
    // One after the other: the last one waits for four.
    expect(lateness?.max).toBeGreaterThanOrEqual(4 * 59);
    expect(lateness?.p50).toBeGreaterThan(50);
  });

  it('refuse what they do not know, and ranges of too many points', async () => {
    const ductape = create();
    const problems = async (options: object) => {
      const error = await rejection(ductape.jobs.metrics(options as never));
      expect(error.code).toBe('VALIDATION_ERROR');
      return error.details?.map(({ path, message }: { path: string; message: string }) => `${path}: ${message}`);
    };
    expect(await problems({ resolution: 'day' })).toEqual([
      expect.stringMatching(/^options\.resolution: .*minute.*hour/),
    ]);
    expect(await problems({ since: 1 })).toEqual([expect.stringContaining('options.since')]);
    expect(await problems({ from: START, to: START - 1 })).toEqual([expect.stringContaining('is after `to`')]);
    expect(await problems({ from: START, to: START + 49 * HOUR, resolution: 'minute' })).toEqual([
      expect.stringContaining("ask for hours, `resolution: 'hour'`"),
    ]);
    expect(await problems({ from: START, to: START + 3_000 * HOUR })).toEqual([
      expect.stringContaining('shorter range'),
    ]);
    const off = create({ metrics: false });
    expect((await rejection(off.jobs.metrics())).message).toContain('`metrics: false`');
    expect((await rejection(off.jobs.getStats({ from: START }))).message).toContain('`metrics: false`');
    expect(() => create({ metrics: { keepMinutes: 5 } })).toThrow('options.metrics.keepMinutes');
    expect(() => create({ metrics: { keep: 5 } as never })).toThrow('options.metrics.keep');
  });

  it('are what getStats tells of a span of time', async () => {
    const ductape = create({ clock: { manual: true, at: START } });
    ductape.features.define('report', ({ attempt, input }) => {
      if (attempt <= (input as { failures: number }).failures) throw new Error('not yet');
    });
    await ductape.start({ signals: false });
    await ductape.features.dispatch(job('report', { input: { failures: 0 } }));
    await ductape.clock.advance(2 * HOUR);
    await ductape.features.dispatch(job('report', { input: { failures: 0 } }));
    await ductape.features.dispatch(job('report', { input: { failures: 1 }, retries: 2 }));
    await ductape.features.dispatch(job('report', { input: { failures: 9 } }));
    await ductape.features.dispatch(job('report', { schedule: { start_at: START + 24 * HOUR } }));
    await ductape.clock.advance(MINUTE);
    expect(await ductape.jobs.getStats({ from: START + HOUR })).toEqual({
      total: 4,
      scheduled: 1,
      queued: 0,
      running: 0,
      completed: 2,
      failed: 1,
      cancelled: 0,
      paused: 0,
      success_rate: 2 / 3,
      completed_first_try: 1,
      completed_after_retry: 1,
      avg_retry_count: 1 / 3,
      failing: 0,
    });
    expect(await ductape.jobs.getStats({ to: START + HOUR })).toMatchObject({ total: 1, completed: 1, scheduled: 1 });
    expect(await ductape.jobs.getStats()).toMatchObject({ total: 5, completed: 3 });
    const mixed = await rejection(ductape.jobs.getStats({ from: START, failing: true }));
    expect(mixed.message).toContain('failing: says how it is now, and does not go with `from` and `to`');
  });
});

describe.each(sharedStores)('metrics on $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)(
    'add up what several processes did, also such as only dispatch',
    { timeout: 60_000 },
    async () => {
      const store = await make();
      const worker = `
      import Ductape from 'ductape';
      const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
      ductape.features.define('report', () => {});
      await ductape.start();
      console.log('ready');
    `;
      const workers = [script(worker, [store]), script(worker, [store])];
      const dispatcher = create({ store, worker: false });
      await dispatcher.features.dispatchMany(Array.from({ length: 200 }, () => job('report')));
      await eventually(async () => expect((await dispatcher.jobs.getStats()).completed).toBe(200), 30_000);
      // They write what they counted when they are told to end.
      for (const each of workers) each.process.kill('SIGTERM');
      await Promise.all(workers.map(({ ended }) => ended));
      await dispatcher.close();
      const reader = create({ store, worker: false });
      const { total, targets } = await reader.jobs.metrics();
      expect(outcomes(total)).toEqual({ ...none, dispatched: 200, completed: 200 });
      expect(total.duration?.count).toBe(200);
      expect(targets).toHaveLength(1);
    },
  );

  it.skipIf(unavailable)('count attempts that ended with their process', { timeout: 60_000 }, async () => {
    const store = await make();
    const dies = `
      import Ductape from 'ductape';
      const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
      ductape.features.define('report', () => process.kill(process.pid, 'SIGKILL'));
      await ductape.start();
    `;
    const ductape = create({ store });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await script(dies, [store]).ended;
    ductape.features.define('report', () => 'done');
    await ductape.start({ signals: false });
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'), 40_000);
    const { total } = await ductape.jobs.metrics();
    expect(outcomes(total)).toEqual({ ...none, dispatched: 1, completed: 1, crashed: 1 });
  });
});
