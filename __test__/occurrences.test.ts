// Where each occurrence of a recurring job ends up: run, missed or skipped, and why.
import pg from 'pg';
import { describe, expect, it, test } from 'vitest';
import type { IDispatchSchedule, IJobHistory, IScheduleOptions } from './support/ductape.js';
import { create, eventually, job, recordingLogger, rejection } from './support/instances.js';
import { script } from './support/processes.js';
import { postgresStore, server, sharedStores } from './support/stores.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Schedule = IDispatchSchedule & IScheduleOptions;
const at = (text: string) => Date.parse(text);

/** An instance whose clock stands at `time`. */
const standingAt = (time: string) => create({ clock: { manual: true, at: time } });

/** All points of the history with their places, in order. */
function places(history: IJobHistory, interval: number) {
  const ranges = [
    ...history.missed.map((gap) => ({ ...gap, place: `missed: ${gap.reason}` })),
    ...history.skipped.map((gap) => ({ ...gap, place: `skipped: ${gap.reason}` })),
  ];
  const found = new Map<number, string[]>();
  for (const { from, to, count, place } of ranges) {
    const points = Array.from({ length: (to - from) / interval + 1 }, (_, n) => from + n * interval);
    expect(points).toHaveLength(count);
    for (const point of points) found.set(point, [...(found.get(point) ?? []), place]);
  }
  return found;
}

describe.each(sharedStores)('a process on $kind that is killed inside a run', ({ unavailable, make }) => {
  const [every, grace] = [400, 300];
  const worker = (hangs: boolean) => `
    import Ductape from 'ductape';
    const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
    ductape.features.define('report', async ({ scheduled_at, missed, attempt, run }) => {
      console.log(JSON.stringify({ scheduled_at, missed, attempt, run }));
      if (${hangs}) await new Promise(() => {});
    });
    await ductape.start();
    console.log('up');
  `;
  const runsOf = ({ lines }: ReturnType<typeof script>) =>
    lines.filter((line) => line !== 'up').map((line) => JSON.parse(line) as { scheduled_at: number; missed: number });

  it.skipIf(unavailable).each(['once', 'all'] as const)(
    "costs no occurrence with misfire: '%s'",
    { timeout: 90_000 },
    async (misfire) => {
      const store = await make();
      const ductape = create({ store, worker: false });
      const first = script(worker(true), [store]);
      // Its first run is to be made in time.
      await first.waitForLine('up');
      const { job_id, scheduled_at: start } = await ductape.features.dispatch(
        job('report', { schedule: { every, misfire, grace } as Schedule }),
      );
      await eventually(() => expect(runsOf(first)).toHaveLength(1), 20_000);
      // Some points fall due while it is being done.
      await new Promise((resolve) => setTimeout(resolve, 4 * every));
      first.process.kill('SIGKILL');
      await first.ended;
      const killed = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 8 * every));
      const restarted = Date.now();
      const second = script(worker(false), [store]);
      await eventually(() => expect(runsOf(second).at(-1)?.scheduled_at).toBeGreaterThan(restarted), 60_000);
      second.process.kill('SIGKILL');
      await second.ended;

      const runs = runsOf(second);
      const found = places(await ductape.jobs.getHistory(job_id), every);
      const points = Array.from({ length: Math.floor((restarted - start) / every) + 1 }, (_, n) => start + n * every);
      const ran = new Set(runs.map(({ scheduled_at }) => scheduled_at));
      for (const point of points) {
        expect((found.get(point) ?? []).length + (ran.has(point) ? 1 : 0), `${(point - start) / every}`).toBe(1);
      }
      // What fell due while nobody was there: a lease may say so a little later than the kill.
      const down = points.filter((point) => point > killed && point + grace < restarted);
      expect(down.length).toBeGreaterThan(5);
      if (misfire === 'all') {
        expect(down.filter((point) => !ran.has(point))).toEqual([]);
      } else {
        const standing = runs.find(({ missed }) => missed >= down.length);
        expect(standing, JSON.stringify(runs)).toBeDefined();
        for (const point of down.filter((point) => !ran.has(point))) expect(found.get(point)).toEqual(['missed: down']);
      }
      // The run was done again, and what fell due before the kill was in its way.
      expect(ran.has(start)).toBe(true);
      expect(found.get(start + 2 * every)).toEqual(['skipped: overlap']);
    },
  );

  it.skipIf(unavailable)('is the same where a process without the handler was up', { timeout: 60_000 }, async () => {
    const store = await make();
    // Long enough for the first run to be made in time on a busy machine, too.
    const every = 800;
    const dispatcher = create({ store });
    dispatcher.features.define('another', () => {});
    await dispatcher.start({ signals: false });
    const { job_id, scheduled_at: start } = await dispatcher.features.dispatch(
      job('report', { schedule: { every, grace: 700 } as Schedule }),
    );
    await new Promise((resolve) => setTimeout(resolve, 6 * every));
    const able = script(worker(false), [store]);
    await eventually(() => expect(runsOf(able).length).toBeGreaterThan(2), 20_000);
    able.process.kill('SIGKILL');
    await able.ended;
    const runs = runsOf(able);
    // One run for those that fell due meanwhile, the one that was made in time among them.
    expect(runs[0]?.missed).toBeGreaterThan(4);
    const found = places(await dispatcher.jobs.getHistory(job_id), every);
    for (const number of [0, 1, 2, 3]) expect(found.get(start + number * every)).toEqual(['missed: down']);
  });
});

describe('a paused job', () => {
  it('accounts for what fell due meanwhile, and resumes within its limit and end', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void runs.push(scheduled_at));
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { cron: '0 * * * *', limit: 2 } }));
    await ductape.clock.advance(HOUR / 6);
    await ductape.jobs.pause(job_id);
    await ductape.clock.advance(5 * HOUR);
    await ductape.jobs.resume(job_id);
    await ductape.clock.advance(3 * HOUR);
    expect(runs).toEqual([at('2026-03-02T09:00Z'), at('2026-03-02T15:00Z')]);
    const { skipped, missed } = await ductape.jobs.getHistory(job_id);
    expect(missed).toEqual([]);
    expect(skipped).toEqual([
      { from: at('2026-03-02T10:00Z'), to: at('2026-03-02T14:00Z'), count: 5, reason: 'paused' },
    ]);
    expect((await ductape.jobs.get(job_id)).status).toBe('completed');
  });
});

describe('except', () => {
  it('records the dates without runs, also before the first run, and shows the next run behind them', async () => {
    const ductape = standingAt('2026-12-24T12:00:00Z');
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void runs.push(scheduled_at));
    const schedule: Schedule = { cron: '0 9 * * *', tz: 'UTC', except: ['2026-12-25', '2026-12-26', '2026-12-28'] };
    const result = await ductape.features.dispatch(job('report', { schedule }));
    const first = at('2026-12-27T09:00:00Z');
    expect([result.scheduled_at, result.next_run_at]).toEqual([first, first]);
    expect(await ductape.jobs.preview(schedule, { count: 2 })).toEqual([first, first + 2 * DAY]);
    await ductape.clock.set('2026-12-29T12:00:00Z');
    expect(runs).toEqual([first, first + 2 * DAY]);
    const { skipped } = await ductape.jobs.getHistory(result.job_id);
    const day = (date: string, count = 1) => {
      const from = at(`${date}T09:00:00Z`);
      return { from, to: from + (count - 1) * DAY, count, reason: 'except' };
    };
    expect(skipped).toEqual([day('2026-12-28'), day('2026-12-25', 2)]);
  });
});

describe('skipNext', () => {
  it('passes over the next occurrences, and says so', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void runs.push(scheduled_at));
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { cron: '0 * * * *' } }));
    expect(await ductape.jobs.skipNext(job_id)).toMatchObject({ job_id, next_run_at: at('2026-03-02T10:00Z') });
    expect((await ductape.jobs.skipNext(job_id, { count: 2 })).next_run_at).toBe(at('2026-03-02T12:00Z'));
    await ductape.clock.set('2026-03-02T12:30:00Z');
    expect(runs).toEqual([at('2026-03-02T12:00Z')]);
    const { skipped } = await ductape.jobs.getHistory(job_id);
    expect(skipped).toEqual([
      { from: at('2026-03-02T09:00Z'), to: at('2026-03-02T11:00Z'), count: 3, reason: 'request' },
    ]);
  });

  it('is refused for one-off jobs, ended ones and counts that are none', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const once = await ductape.features.dispatch(job('report', { schedule: { start_at: ductape.clock.now() + DAY } }));
    expect((await rejection(ductape.jobs.skipNext(once.job_id))).code).toBe('CONFLICT');
    const recurring = await ductape.features.dispatch(job('report', { schedule: { every: HOUR, limit: 1 } }));
    for (const count of [0, 1_001, 1.5]) {
      expect((await rejection(ductape.jobs.skipNext(recurring.job_id, { count }))).code).toBe('VALIDATION_ERROR');
    }
    await ductape.jobs.cancel(recurring.job_id);
    const ended = await rejection(ductape.jobs.skipNext(recurring.job_id));
    expect([ended.code, ended.message]).toEqual(['CONFLICT', expect.stringContaining('it has ended')]);
  });
});

describe('runNow', () => {
  it('makes a run besides those of the schedule, which does not count towards its limit', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const runs: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void runs.push(scheduled_at));
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { cron: '0 * * * *', limit: 2 } }));
    expect(await ductape.jobs.runNow(job_id)).toEqual({
      job_id,
      status: 'queued',
      scheduled_at: at('2026-03-02T08:55Z'),
      recurring: true,
      next_run_at: at('2026-03-02T09:00Z'),
    });
    await ductape.clock.set('2026-03-02T12:00:00Z');
    expect(runs).toEqual([at('2026-03-02T08:55Z'), at('2026-03-02T09:00Z'), at('2026-03-02T10:00Z')]);
    expect((await ductape.jobs.get(job_id)).execution_count).toBe(3);
  });

  it('runs a scheduled job at once', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    let runs = 0;
    ductape.features.define('report', () => void runs++);
    const { job_id } = await ductape.features.dispatch(
      job('report', { schedule: { start_at: ductape.clock.now() + 30 * DAY } }),
    );
    expect(await ductape.jobs.runNow(job_id)).toMatchObject({ status: 'queued', scheduled_at: ductape.clock.now() });
    await ductape.clock.advance(0);
    expect(runs).toBe(1);
    expect((await rejection(ductape.jobs.runNow(job_id))).code).toBe('CONFLICT');
  });

  it('does not overlap a run, unless runs may', async () => {
    const ductape = create();
    let release = () => {};
    let runs = 0;
    ductape.features.define('report', () => {
      runs += 1;
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: DAY } }));
    await eventually(() => expect(runs).toBe(1));
    const refused = await rejection(ductape.jobs.runNow(job_id));
    expect([refused.code, refused.message]).toEqual(['CONFLICT', expect.stringContaining('must not overlap')]);
    await ductape.jobs.reschedule(job_id, { ifRunning: 'allow' });
    await ductape.jobs.runNow(job_id);
    await eventually(() => expect(runs).toBe(2));
    release();
  });
});

describe('reschedule', () => {
  it('keeps what is not named, takes away what is null, and replaces one rule by another', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const schedule: Schedule = {
      cron: '0 9 * * *',
      tz: 'Europe/Berlin',
      limit: 9,
      endDate: at('2027-01-01T00:00Z'),
      misfire: 'all',
      ifRunning: 'allow',
      grace: 5_000,
    };
    const { job_id } = await ductape.features.dispatch(job('report', { schedule }));
    const known = async () => (await ductape.jobs.get(job_id)).schedule;
    expect(await known()).toEqual(schedule);
    await ductape.jobs.reschedule(job_id, { limit: 3 });
    expect(await known()).toEqual({ ...schedule, limit: 3 });
    await ductape.jobs.reschedule(job_id, { limit: null, endDate: null });
    const { limit: _limit, endDate: _endDate, ...rest } = schedule;
    expect(await known()).toEqual(rest);
    await ductape.jobs.reschedule(job_id, { cron: '30 9 * * *' });
    expect(await known()).toEqual({ ...rest, cron: '30 9 * * *' });
    await ductape.jobs.reschedule(job_id, { every: HOUR });
    const { cron: _cron, ...details } = rest;
    expect(await known()).toMatchObject({ ...details, every: HOUR });
    expect((await ductape.jobs.get(job_id)).cron).toBeUndefined();
    await ductape.jobs.reschedule(job_id, { cron: '30 9 * * *' });
    expect(await known()).toEqual({ ...rest, cron: '30 9 * * *' });
    await ductape.jobs.reschedule(job_id, { interval: 'P1M', start_at: '2026-04-01T10:00', tz: 'Europe/Berlin' });
    expect((await ductape.jobs.get(job_id)).next_run_at).toBe(at('2026-04-01T08:00Z'));
    expect((await rejection(ductape.jobs.reschedule(job_id, { interval: null }))).code).toBe('INVALID_SCHEDULE');
  });

  it('keeps tz and dst while `every` has no use for them', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const zoned = { tz: 'America/New_York', dst: { gap: 'skip', overlap: 'last' } } as const;
    const given = await ductape.features.dispatch(job('report', { schedule: { every: HOUR, ...zoned } as Schedule }));
    const later = await ductape.features.dispatch(job('import', { schedule: { every: HOUR } }));
    await ductape.jobs.reschedule(later.job_id, zoned);
    for (const { job_id } of [given, later]) {
      expect((await ductape.jobs.get(job_id)).schedule).toMatchObject({ every: HOUR, ...zoned });
      await ductape.jobs.reschedule(job_id, { limit: 9 });
      await ductape.jobs.reschedule(job_id, { cron: '30 2 * * *' });
      expect((await ductape.jobs.get(job_id)).schedule).toEqual({ cron: '30 2 * * *', ...zoned, limit: 9 });
      // On the 8th that time is in a gap.
      expect((await ductape.jobs.get(job_id)).next_run_at).toBe(at('2026-03-03T07:30Z'));
      await ductape.jobs.skipNext(job_id, { count: 5 });
      expect((await ductape.jobs.get(job_id)).next_run_at).toBe(at('2026-03-09T06:30Z'));
      await ductape.jobs.reschedule(job_id, { every: DAY, tz: null });
      expect((await ductape.jobs.get(job_id)).schedule?.tz).toBeUndefined();
    }
  });

  it('of a one-off keeps its time unless it is named', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    const start_at = at('2026-03-05T00:00Z');
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { start_at } }));
    expect((await ductape.jobs.reschedule(job_id, {})).scheduled_at).toBe(start_at);
    expect((await ductape.jobs.reschedule(job_id, { start_at: start_at + 5 })).scheduled_at).toBe(start_at + 5);
    expect((await ductape.jobs.reschedule(job_id, { start_at: null })).scheduled_at).toBe(ductape.clock.now());
  });
});

// Both stores: `gaps_around_an_occurrence_that_is_undecided_stay_apart`.
describe('ranges of the history', () => {
  it('hold no occurrence that is not decided yet, and has another place in the end', async () => {
    const ductape = standingAt('2026-03-02T08:55:00Z');
    await ductape.start();
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { cron: '0 * * * *' } }));
    // Nobody has the handler: the run of 9:00 waits, and so does what falls due behind it.
    await ductape.clock.set('2026-03-02T09:05:00Z');
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('queued'));
    await ductape.jobs.skipNext(job_id); // 10:00
    await ductape.clock.set('2026-03-02T11:05:00Z');
    await eventually(async () => expect((await ductape.jobs.get(job_id)).next_run_at).toBe(at('2026-03-02T11:00Z')));
    await ductape.jobs.skipNext(job_id); // 12:00, not 11:00
    await ductape.jobs.pause(job_id);
    await ductape.clock.set('2026-03-02T13:05:00Z');
    await ductape.jobs.resume(job_id);
    const { skipped } = await ductape.jobs.getHistory(job_id);
    const alone = (time: string, reason: string) => ({ from: at(time), to: at(time), count: 1, reason });
    expect(skipped).toEqual([
      alone('2026-03-02T13:00Z', 'paused'),
      alone('2026-03-02T12:00Z', 'request'),
      alone('2026-03-02T10:00Z', 'request'),
    ]);
  });
});

describe.each(sharedStores)('a job on $kind whose limit is used up', ({ unavailable, make }) => {
  const used = async () => {
    const logger = recordingLogger();
    const ductape = create({ store: await make(), logger });
    ductape.features.define('report', () => {});
    const dispatch = (limit?: number) =>
      ductape.features.dispatch(job('report', { job_id: 'report', schedule: { every: DAY, limit } as Schedule }));
    await dispatch(1);
    await eventually(async () => expect((await ductape.jobs.get('report')).status).toBe('completed'));
    return { ductape, dispatch, warnings: () => logger.messagesAt('warn') };
  };

  it.skipIf(unavailable)('is warned of when it is dispatched again, and goes on with a higher one', async () => {
    const { ductape, dispatch, warnings } = await used();
    expect(warnings()).toEqual([]);
    const again = await dispatch(1);
    expect([again.status, again.next_run_at]).toEqual(['scheduled', undefined]);
    expect(warnings()).toEqual([
      expect.stringMatching(
        /^ductape: job report \(features report \(shop, test\)\): its `limit` of 1 is used up .* higher `limit`/,
      ),
    ]);
    await ductape.features.dispatchMany([job('report', { job_id: 'report', schedule: { every: DAY, limit: 1 } })]);
    expect(warnings()).toHaveLength(2);
    for (const verb of ['runNow', 'skipNext'] as const) {
      expect((await rejection(ductape.jobs[verb]('report'))).message).toContain(
        'it had the 1 runs of its `limit`; dispatch it again with a higher one, or with none',
      );
    }
    const moved = await rejection(ductape.jobs.reschedule('report', { limit: 9 }));
    expect(moved.message).toContain('dispatch it again with a higher one');
    expect((await dispatch(3)).next_run_at).toBeDefined();
    await eventually(async () => expect((await ductape.jobs.get('report')).execution_count).toBe(2));
    expect(warnings()).toHaveLength(2);
  });

  it.skipIf(unavailable)('by a change is completed, and answered so', async () => {
    const { ductape, dispatch, warnings } = await used();
    for (const paused of [false, true]) {
      const runs = 2 + Number(paused);
      await dispatch(runs + 1);
      const rests = { status: 'scheduled', execution_count: runs };
      await eventually(async () => expect(await ductape.jobs.get('report')).toMatchObject(rests));
      if (paused) await ductape.jobs.pause('report');
      const higher = await ductape.jobs.reschedule('report', { limit: 9 });
      expect(higher).toMatchObject({ status: paused ? 'paused' : 'scheduled', recurring: true });
      const lowered = await ductape.jobs.reschedule('report', { limit: 1 });
      expect(lowered.status).toBe('completed');
      expect(lowered.next_run_at).toBeUndefined();
      expect((await ductape.jobs.get('report')).status).toBe('completed');
    }
    expect(warnings()).toEqual(
      Array(2).fill(expect.stringMatching(/^ductape: job report: its `limit` of 1 is used up/)),
    );
  });
});

test('a remedy for a job that ran once says how its id is used again', async () => {
  const ductape = create();
  ductape.features.define('report', () => {});
  await ductape.features.dispatch(job('report', { job_id: 'once' }));
  await ductape.jobs.wait('once');
  expect((await rejection(ductape.jobs.runNow('once'))).message).toContain("`onConflict: 'replace'`");
});

describe.skipIf(!server)('a schedule whose zone this version does not know, on PostgreSQL', () => {
  it('is said to be left to others, once in the log, and gets its overdue run with another zone', async () => {
    const { store, schema } = await postgresStore();
    const logger = recordingLogger();
    const ductape = create({ store, logger });
    const ran: number[] = [];
    ductape.features.define('report', ({ scheduled_at }) => void ran.push(scheduled_at));
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { cron: '0 9 * * *' } }));
    await ductape.jobs.pause(job_id);
    const overdue = Date.now() - HOUR;
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(
      `UPDATE "${schema}".series SET spec = replace(spec, 'UTC', 'Mars/Olympus'), next_at = ${overdue}`,
    );
    await client.end();
    const told = () => logger.messagesAt('error').filter((message) => message.includes('cannot compute its schedule'));
    for (let round = 0; round < 2; round++) {
      await ductape.jobs.resume(job_id);
      await eventually(() => expect(told()).toHaveLength(1));
      const { status, reasons } = await ductape.jobs.explain(job_id);
      expect([status, reasons.map(({ code }) => code)]).toEqual(['scheduled', ['INCOMPUTABLE']]);
      expect(reasons[0]?.message).toContain('`Mars/Olympus` is not a known time zone');
      const refused = await rejection(ductape.jobs.skipNext(job_id));
      expect(refused).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('cannot compute') as string });
      expect(refused.message).not.toContain('no occurrence');
      await ductape.jobs.pause(job_id);
    }
    await ductape.jobs.resume(job_id);
    // Another job is run behind it, so it has been met again.
    await ductape.jobs.wait((await ductape.features.dispatch(job('report'))).job_id);
    expect(told()).toHaveLength(1);
    await ductape.features.dispatch(job('report', { job_id, schedule: { cron: '0 9 * * *', tz: 'Europe/Berlin' } }));
    await eventually(() => expect(ran).toContain(overdue));
  });
});
