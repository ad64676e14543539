// Schedules through the package: the conformance suite by `jobs.preview`, and missed runs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { IDispatchSchedule, IScheduleOptions } from './support/ductape.js';
import {
  create,
  eventually,
  job,
  problemPaths,
  recordingLogger,
  rejection,
  temporaryFolder,
} from './support/instances.js';
import { readLines, program } from './support/processes.js';

interface Vector {
  cat: string;
  cron?: string;
  cron_repeat?: [string, number];
  cron_suffix?: string;
  tz: string;
  from: string;
  next?: string[];
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../tests/cron/vectors.json', import.meta.url), 'utf8'),
) as Vector[];

const expressionOf = ({ cron, cron_repeat: [piece, times] = ['', 0], cron_suffix = '' }: Vector) =>
  cron ?? piece.repeat(times) + cron_suffix;

test('jobs.preview gives the instants of every conformance vector', async () => {
  const ductape = create();
  const firing = vectors.filter((vector) => vector.next && vector.next.length > 0);
  expect(firing.length).toBeGreaterThan(200);
  for (const vector of firing) {
    // Vectors exclude their start, as does a dispatch at that moment.
    const schedule = { cron: expressionOf(vector), tz: vector.tz };
    const times = await ductape.jobs.preview(schedule, { from: vector.from, count: vector.next?.length ?? 0 });
    const shown = times.map((time) => new Date(time).toISOString().replace('.000Z', 'Z'));
    expect(shown, JSON.stringify(vector)).toEqual(vector.next);
  }
});

test('invalid crons, never-firing crons and unknown zones are refused with code and path', async () => {
  const ductape = create();
  const refused = vectors.filter((vector) => !vector.next || vector.next.length === 0);
  expect(refused.length).toBeGreaterThan(50);
  for (const vector of refused) {
    const error = await rejection(ductape.jobs.preview({ cron: expressionOf(vector), tz: vector.tz }));
    const expected = vector.next ? 'INVALID_SCHEDULE' : vector.cat === 'error' ? 'INVALID_CRON' : 'INVALID_TIMEZONE';
    expect(error.code, JSON.stringify(vector)).toBe(expected);
    expect(problemPaths(error)).toEqual([expected === 'INVALID_TIMEZONE' ? 'schedule.tz' : 'schedule.cron']);
  }
});

test('errors suggest a valid cron or the nearest zone', async () => {
  const ductape = create();
  const input = { tag: 'report', input: {} };
  const seconds = await rejection(ductape.features.dispatch({ ...input, schedule: { cron: '0 0 9 * * *' } }));
  expect(seconds.code).toBe('INVALID_CRON');
  expect(seconds.message).toMatch(/6 fields.*every/);
  const zone = await rejection(
    ductape.features.dispatch({ ...input, schedule: { cron: '0 9 * * *', tz: 'America/NewYork' } }),
  );
  expect(zone.code).toBe('INVALID_TIMEZONE');
  expect(zone.message).toContain('America/New_York');
});

test('start_at is ms, an ISO date with an offset, or local time of tz', async () => {
  const ductape = create({ timezone: 'Europe/Berlin' });
  const dispatch = (schedule: IDispatchSchedule & IScheduleOptions) =>
    ductape.features.dispatch({ tag: 'later', input: {}, schedule });
  const noon = Date.parse('2036-07-01T12:00:00Z');
  expect((await dispatch({ start_at: noon })).scheduled_at).toBe(noon);
  expect((await dispatch({ start_at: '2036-07-01T12:00:00Z' })).scheduled_at).toBe(noon);
  expect((await dispatch({ start_at: '2036-07-01T14:00:00+02:00' })).scheduled_at).toBe(noon);
  expect((await dispatch({ start_at: '2036-07-01T14:00:00' })).scheduled_at).toBe(noon);
  expect((await dispatch({ start_at: '2036-07-01T08:00', tz: 'America/New_York' })).scheduled_at).toBe(noon);
});

test('dst options decide about fixed times in a gap and an overlap', async () => {
  const ductape = create();
  const at = async (schedule: IDispatchSchedule & IScheduleOptions, from: string) => {
    const [first] = await ductape.jobs.preview({ tz: 'America/New_York', ...schedule }, { from, count: 1 });
    return new Date(first ?? 0).toISOString();
  };
  const gap = '2026-03-08T05:00:00Z';
  expect(await at({ cron: '30 2 * * *' }, gap)).toBe('2026-03-08T07:00:00.000Z');
  expect(await at({ cron: '30 2 * * *', dst: { gap: 'skip' } }, gap)).toBe('2026-03-09T06:30:00.000Z');
  const overlap = '2026-11-01T04:00:00Z';
  expect(await at({ cron: '30 1 * * *' }, overlap)).toBe('2026-11-01T05:30:00.000Z');
  expect(await at({ cron: '30 1 * * *', dst: { overlap: 'last' } }, overlap)).toBe('2026-11-01T06:30:00.000Z');
  const both = await ductape.jobs.preview(
    { cron: '30 1 * * *', tz: 'America/New_York', dst: { overlap: 'both' } },
    { from: overlap, count: 2 },
  );
  expect(both.map((time) => new Date(time).toISOString())).toEqual([
    '2026-11-01T05:30:00.000Z',
    '2026-11-01T06:30:00.000Z',
  ]);
});

test('an interval of the calendar keeps the local time, and month ends do not drift', async () => {
  const ductape = create({ timezone: 'Europe/Berlin' });
  const shown = async (schedule: IDispatchSchedule & IScheduleOptions, count: number) => {
    const times = await ductape.jobs.preview(schedule, { from: '2027-01-01', count });
    return times.map((time) => new Date(time).toISOString().replace(':00.000Z', 'Z'));
  };
  expect(await shown({ interval: 'P1M', start_at: '2026-08-31T18:00' }, 5)).toEqual([
    '2027-01-31T17:00Z',
    '2027-02-28T17:00Z',
    '2027-03-31T16:00Z',
    '2027-04-30T16:00Z',
    '2027-05-31T16:00Z',
  ]);
  const fortnightly = { interval: 'P2W', start_at: '2027-03-14T02:30' };
  // On 28 March clocks go from 02:00 to 03:00.
  expect(await shown(fortnightly, 3)).toEqual(['2027-03-14T01:30Z', '2027-03-28T01:00Z', '2027-04-11T00:30Z']);
  const skipping = { ...fortnightly, dst: { gap: 'skip' } as const };
  expect(await shown(skipping, 2)).toEqual(['2027-03-14T01:30Z', '2027-04-11T00:30Z']);
  // Without a start it begins with the dispatch, and its date is that of another zone.
  expect(await shown({ interval: 'P1D', tz: 'UTC', limit: 2 }, 9)).toEqual(['2026-12-31T23:00Z', '2027-01-01T23:00Z']);
});

test('an interval of the calendar runs, and shows when it runs next', async () => {
  const ductape = create({ clock: 'manual', timezone: 'America/New_York' });
  await ductape.clock.set('2027-01-31T09:00:00-05:00');
  const due: string[] = [];
  ductape.features.define('report', ({ scheduled_at }) => void due.push(new Date(scheduled_at).toISOString()));
  const { job_id, ...result } = await ductape.features.dispatch({
    tag: 'report',
    input: {},
    schedule: { interval: 'P1M', limit: 3 },
  });
  expect(result).toMatchObject({ status: 'queued', recurring: true });
  expect((await ductape.jobs.get(job_id)).interval).toBe('P1M');
  for (const next of ['2027-02-28T14:00:00.000Z', '2027-03-31T13:00:00.000Z', undefined]) {
    await eventually(async () => {
      const { next_run_at, execution_count } = await ductape.jobs.get(job_id);
      expect(execution_count).toBe(due.length);
      expect(next_run_at && new Date(next_run_at).toISOString()).toBe(next);
    });
    if (next) await ductape.clock.set(next);
  }
  expect(due).toEqual(['2027-01-31T14:00:00.000Z', '2027-02-28T14:00:00.000Z', '2027-03-31T13:00:00.000Z']);
});

test('no next run is on an excepted date', async () => {
  const ductape = create({ clock: 'manual', timezone: 'Europe/Berlin' });
  await ductape.clock.set('2026-12-24T12:00:00Z');
  const except = ['2026-12-25', '2026-12-26', '2027-01-01'];
  const nine = '2026-12-20T09:00';
  const schedules = [{ cron: '0 9 * * *' }, { every: 86_400_000, start_at: nine }, { interval: 'P1D', start_at: nine }];
  for (const schedule of schedules) {
    const times = await ductape.jobs.preview({ ...schedule, except }, { count: 6 });
    expect(times.map((time) => new Date(time).toISOString().slice(0, 13))).toEqual([
      '2026-12-27T08',
      '2026-12-28T08',
      '2026-12-29T08',
      '2026-12-30T08',
      '2026-12-31T08',
      '2027-01-02T08',
    ]);
    const { job_id, next_run_at } = await ductape.features.dispatch({
      tag: 'report',
      input: {},
      schedule: { ...schedule, except },
    });
    expect(next_run_at).toBe(times[0]);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ next_run_at: times[0], scheduled_at: times[0] });
  }
});

test('a next run is passed on over excepted dates after a run', async () => {
  const ductape = create({ clock: 'manual' });
  await ductape.clock.set('2026-12-24T08:00:00Z');
  ductape.features.define('report', () => 'done');
  const { job_id } = await ductape.features.dispatch({
    tag: 'report',
    input: {},
    schedule: { cron: '0 9 * * *', except: ['2026-12-25'] },
  });
  await ductape.clock.set('2026-12-24T09:00:00Z');
  await eventually(async () => expect((await ductape.jobs.get(job_id)).execution_count).toBe(1));
  const next = Date.parse('2026-12-26T09:00:00Z');
  await eventually(async () => expect((await ductape.jobs.get(job_id)).next_run_at).toBe(next));
  const { reasons } = await ductape.jobs.explain(job_id);
  expect(reasons[0]).toMatchObject({ code: 'NOT_DUE', message: expect.stringContaining('2026-12-26') as string });
});

test('the schedule that a job shows is dispatched again as it is', async () => {
  const ductape = create({ clock: 'manual', timezone: 'Europe/Berlin' });
  const start = Date.parse('2026-12-24T12:00:00Z');
  await ductape.clock.set(start);
  type Schedule = IDispatchSchedule & IScheduleOptions;
  const shownFor: [given: Schedule, shown: Schedule][] = [
    [{ start_at: '2027-01-01T09:00' }, { start_at: Date.parse('2027-01-01T08:00:00Z') }],
    [
      { cron: '0 9 * * MON', dst: { gap: 'skip' }, misfire: 'all', limit: 9 },
      { cron: '0 9 * * MON', tz: 'Europe/Berlin', dst: { gap: 'skip' }, misfire: 'all', limit: 9 },
    ],
    [
      { every: 7_000, spread: 3_000, ifRunning: 'allow' },
      { start_at: start, every: 7_000, spread: 3_000, ifRunning: 'allow' },
    ],
    [
      { interval: 'P1M', tz: 'Asia/Tokyo', endDate: '2036-01-01', except: ['2027-01-24'] },
      {
        start_at: start,
        interval: 'P1M',
        tz: 'Asia/Tokyo',
        endDate: Date.parse('2035-12-31T15:00:00Z'),
        except: ['2027-01-24'],
      },
    ],
  ];
  const dispatch = (job_id: string, schedule: Schedule) =>
    ductape.features.dispatch({ tag: 'report', input: {}, job_id, schedule });
  const schedules: Schedule[] = [];
  for (const [index, [given, expected]] of shownFor.entries()) {
    await dispatch(`first-${index}`, given);
    const { schedule = {} } = await ductape.jobs.get(`first-${index}`);
    expect(schedule).toEqual(expected);
    const times = await ductape.jobs.preview(given, { from: start, count: 20 });
    expect(await ductape.jobs.preview(schedule, { from: start, count: 20 })).toEqual(times);
    schedules.push(schedule);
  }
  await ductape.clock.set(start + 3_600_000);
  for (const [index, schedule] of schedules.entries()) {
    const { job_id, recurring } = await dispatch(`again-${index}`, schedule);
    expect(recurring).toBe(index > 0);
    expect((await ductape.jobs.get(job_id)).schedule).toEqual(schedule);
    await ductape.jobs.reschedule(`first-${index}`, schedule);
    expect((await ductape.jobs.get(`first-${index}`)).schedule).toEqual(schedule);
  }
});

test('a spread gives each job a fixed offset within the span', async () => {
  const ductape = create({ clock: 'manual' });
  await ductape.clock.set('2036-01-01T00:00:30Z');
  const schedule = { cron: '0 * * * *', spread: 600_000 };
  const first = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      ductape.features.dispatch({ tag: 'report', input: {}, job_id: `r${n}`, schedule }),
    ),
  );
  const hour = Date.parse('2036-01-01T01:00:00Z');
  const offsets = first.map((result) => (result.next_run_at ?? 0) - hour);
  expect(offsets.every((offset) => offset >= -3_600_000 && offset < 600_000)).toBe(true);
  expect(new Set(offsets).size).toBeGreaterThan(15);
  const again = await ductape.features.dispatch({ tag: 'report', input: {}, job_id: 'r7', schedule });
  expect(again.next_run_at).toBe(first[7]?.next_run_at);
});

test('jobs without an id of their own are spread, too, and keep their place when they are rescheduled', async () => {
  const ductape = create({ clock: { manual: true, at: '2036-01-01T00:00:30Z' }, worker: false });
  const schedule = { cron: '0 * * * *', spread: 600_000 };
  const inputs = Array.from({ length: 200 }, () => job('report', { schedule }));
  const made = [
    ...(await ductape.features.dispatchMany(inputs.slice(0, 100))),
    ...(await Promise.all(inputs.slice(100).map((input) => ductape.features.dispatch(input)))),
  ];
  const hour = 3_600_000;
  const offsets = made.map(({ next_run_at }) => (next_run_at ?? 0) % hour);
  expect(new Set(offsets).size).toBeGreaterThan(190);
  expect(Math.max(...offsets)).toBeLessThan(600_000);
  const [{ job_id } = { job_id: '' }] = made;
  const moved = await ductape.jobs.reschedule(job_id, { cron: '30 * * * *', spread: 600_000 });
  expect((moved.next_run_at ?? 0) % hour).toBe((offsets[0] ?? 0) + hour / 2);
});

test('times reach as far as dates do, as numbers and as texts', async () => {
  const ductape = create({ worker: false });
  const last = 8.64e15;
  for (const [start_at, scheduled_at] of [
    ['9999-12-31T23:59:59Z', Date.parse('9999-12-31T23:59:59Z')],
    ['+012026-01-01', Date.parse('+012026-01-01T00:00:00Z')],
    [new Date(last).toISOString(), last],
    [last, last],
  ] as const) {
    const made = await ductape.features.dispatch(job('report', { schedule: { start_at } }));
    expect(made).toMatchObject({ status: 'scheduled', scheduled_at });
    const [reason] = (await ductape.jobs.explain(made.job_id)).reasons;
    expect(reason?.message).toContain(new Date(scheduled_at).toISOString().slice(0, -'.000Z'.length));
  }
  for (const start_at of ['+275760-09-13T00:00:00.001Z', last + 1]) {
    const error = await rejection(ductape.features.dispatch(job('report', { schedule: { start_at } })));
    expect(problemPaths(error)).toEqual(['schedule.start_at']);
  }
  const once = await ductape.features.dispatch(job('report', { schedule: { every: 9e15 } }));
  const [first, ...more] = await ductape.jobs.preview({ every: 9e15 }, { count: 3 });
  expect(first).toBeGreaterThanOrEqual(once.next_run_at ?? 0);
  expect(more).toEqual([]);
});

test('a time in seconds, and an end that leaves no run, are warned of in words that are true', async () => {
  const logger = recordingLogger();
  const ductape = create({ logger, worker: false, clock: { manual: true, at: '2026-01-01' } });
  const { job_id } = await ductape.features.dispatch(job('report', { schedule: { start_at: 1_800_000_000 } }));
  const schedule = { cron: '0 0 L 2 *', endDate: '2026-02-27' };
  const never = await ductape.features.dispatch(job('report', { schedule }));
  await ductape.jobs.list({ from: 1_800_000_000 });
  await ductape.jobs.preview({ every: 1_000 }, { from: 1_800_000_000 });
  const seconds = '1800000000 is 1970-01-21T20:00:00+00:00';
  const warnings = logger.messagesAt('warn');
  expect(warnings).toHaveLength(4);
  for (const [index, id, text] of [
    [0, job_id, `schedule.start_at: ${seconds}`],
    [
      1,
      never.job_id,
      'its `endDate` 2026-02-27T00:00:00+00:00 leaves no run, since the first would be at 2026-02-28T00',
    ],
    [2, '', ` from: ${seconds}`],
    [3, '', ` options.from: ${seconds}`],
  ] as const) {
    expect(warnings[index]).toContain(id);
    expect(warnings[index]).toContain(text);
  }
  // The documented result has two states.
  expect(never).toEqual({
    job_id: never.job_id,
    status: 'scheduled',
    scheduled_at: ductape.clock.now(),
    recurring: true,
  });
  expect((await ductape.jobs.get(never.job_id)).status).toBe('completed');
});

test('a process suspended for ten seconds catches up once, then follows the grid', {
  timeout: 60_000,
}, async () => {
  const interval = 1_000;
  const stopAndGo = async (misfire: 'once' | 'skip' | 'all') => {
    const folder = await temporaryFolder();
    const [store, log] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'log')];
    const ticking = program('ticking', [store, log, String(interval), misfire]);
    await eventually(async () => expect((await readLines(log)).length).toBeGreaterThanOrEqual(2));
    ticking.process.kill('SIGSTOP');
    // Real time: the clock of a suspended process cannot be moved by hand.
    await delay(10_000);
    const resumed = Date.now();
    ticking.process.kill('SIGCONT');
    await eventually(async () => {
      const after = (await readLines(log)).map((line) => JSON.parse(line) as Tick).filter((tick) => tick.at >= resumed);
      expect(after.length).toBeGreaterThanOrEqual(misfire === 'all' ? 12 : 3);
    }, 20_000);
    ticking.sendLine('close');
    await ticking.ended;
    check(
      misfire,
      (await readLines(log)).map((line) => JSON.parse(line) as Tick),
      resumed,
    );
  };
  await Promise.all([stopAndGo('once'), stopAndGo('skip'), stopAndGo('all')]);

  interface Tick {
    at: number;
    scheduled_at: number;
    missed: number;
  }

  function check(misfire: string, ticks: Tick[], resumed: number) {
    // Runs are on the grid, in order, and none occurs twice.
    const grid = ticks.map((tick) => (tick.scheduled_at - (ticks[0]?.scheduled_at ?? 0)) / interval);
    expect(grid.every(Number.isInteger), String(grid)).toBe(true);
    expect([...new Set(grid)].sort((a, b) => a - b)).toEqual(grid);
    const first = ticks.findIndex((tick) => tick.at >= resumed);
    const steps = grid.slice(1).map((step, index) => step - (grid[index] ?? 0));
    const missed = ticks.map((tick) => tick.missed);
    if (misfire === 'all') {
      expect(new Set(steps), 'every grid point is a run of its own').toEqual(new Set([1]));
      expect(Math.max(...missed)).toBe(0);
      return;
    }
    // One gap for the suspension; all other steps are one interval.
    expect(steps.filter((step) => step > 1)).toHaveLength(1);
    const jump = (grid[first] ?? 0) - (grid[first - 1] ?? 0);
    expect(jump).toBeGreaterThanOrEqual(9);
    if (misfire === 'once') {
      expect(missed[first]).toBe(jump - 1);
      expect((ticks[first]?.at ?? 0) - resumed).toBeLessThan(interval);
    }
    expect(missed.filter((count) => count > 0)).toHaveLength(misfire === 'once' ? 1 : 0);
  }
});
