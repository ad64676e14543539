// The manual clock.
import { expect, test, vi } from 'vitest';
import { create, deferred, problemPaths, rejection, stopwatch } from './support/instances.js';

const nineInNewYork = (day: Date) => {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: 'America/New_York',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return parts.format(day);
};

test('a year of a daily job runs in seconds, every run at nine in New York', async () => {
  // Retention works in real time, and would delete what ended months ago by the manual clock.
  const ductape = create({ clock: 'manual', retention: false });
  const runs: number[] = [];
  const limited: number[] = [];
  ductape.features.define('daily', (job) => void runs.push(job.scheduled_at));
  ductape.features.define('limited', (job) => void limited.push(job.scheduled_at));
  await ductape.clock.set('2027-01-01T00:00:00Z');
  const daily = await ductape.features.dispatch({
    tag: 'daily',
    input: {},
    schedule: { cron: '0 9 * * *', tz: 'America/New_York', endDate: '2027-12-31T14:00:00Z' },
  });
  const counted = await ductape.features.dispatch({
    tag: 'limited',
    input: {},
    schedule: { every: 86_400_000, limit: 10 },
  });
  const elapsed = stopwatch();
  await ductape.clock.advance('P1Y');
  expect(elapsed()).toBeLessThan(10_000);

  expect(runs).toHaveLength(365);
  expect(new Set(runs.map((run) => nineInNewYork(new Date(run))))).toEqual(new Set(['09:00']));
  const days = runs.map((run) => new Date(run).toISOString().slice(0, 10));
  const expected = Array.from({ length: 365 }, (_, day) =>
    new Date(Date.UTC(2027, 0, 1 + day)).toISOString().slice(0, 10),
  );
  expect(days).toEqual(expected);
  expect(limited).toEqual(Array.from({ length: 10 }, (_, day) => Date.UTC(2027, 0, 1 + day)));
  for (const { job_id } of [daily, counted]) {
    const job = await ductape.jobs.get(job_id);
    expect([job.status, job.next_run_at]).toEqual(['completed', undefined]);
  }
  expect(ductape.clock.now()).toBe(Date.UTC(2028, 0, 1));
});

// What each occurrence costs is bounded in tests/costs.rs; of the time, little with a binary for release.
test('a year of an hourly job runs from a time of the past on', { timeout: 120_000 }, async () => {
  const start = Date.UTC(2019, 0, 1);
  const ductape = create({ clock: { manual: true, at: start }, retention: { runs: { count: 10 } } });
  let [runs, last] = [0, 0];
  ductape.features.define('hourly', (job) => {
    runs++;
    last = job.scheduled_at;
  });
  const schedule = { cron: '0 * * * *' };
  const { job_id, next_run_at } = await ductape.features.dispatch({ tag: 'hourly', input: {}, schedule });
  expect(next_run_at).toBe(start + 3_600_000);
  const elapsed = stopwatch();
  await ductape.clock.set('2020-01-01');
  expect(elapsed()).toBeLessThan(40_000);
  expect([runs, last]).toEqual([8_760, Date.UTC(2020, 0, 1)]);
  expect((await ductape.jobs.get(job_id)).execution_count).toBe(8_760);
});

test('a job that a handler dispatches and waits for runs while the clock is moved', async () => {
  const ductape = create({ clock: { manual: true, at: '2020-01-01' }, worker: { concurrency: 2 } });
  const order: string[] = [];
  ductape.features.define('child', ({ id }) => void order.push(id));
  ductape.features.define('parent', async ({ run }) => {
    const job_id = `child${run}`;
    await ductape.features.dispatch({ tag: 'child', input: {}, job_id });
    await ductape.jobs.wait(job_id);
    order.push(`parent${run}`);
    // Nobody waits for this one, and it is due before the next hour all the same.
    void ductape.features.dispatch({ tag: 'child', input: {}, job_id: `late${run}` });
  });
  await ductape.features.dispatch({ tag: 'parent', input: {}, schedule: { cron: '0 * * * *', limit: 2 } });
  await ductape.clock.advance('PT3H');
  expect(order).toEqual(['child1', 'parent1', 'late1', 'child2', 'parent2', 'late2']);
});

test('slots that become free are filled while the clock is moved', async () => {
  const ductape = create({ clock: { manual: true }, worker: { concurrency: 2 } });
  const started: number[] = [];
  const first = deferred();
  ductape.features.define('report', async ({ input }) => {
    const { n } = input as { n: number };
    started.push(n);
    // The first one ends only when the last one has begun, in the other slot.
    if (n === 0) await first.promise;
    if (n === 4) first.resolve();
  });
  const inputs = Array.from({ length: 5 }, (_, n) => ({ tag: 'report', input: { n } }));
  await ductape.features.dispatchMany(inputs);
  await ductape.clock.advance(0);
  expect(started).toEqual([0, 1, 2, 3, 4]);
});

test('a manual clock begins where it is told to', async () => {
  const at = (at: number | string | Date, more = {}) => create({ clock: { manual: true, at }, ...more }).clock.now();
  expect(at('2020-01-01')).toBe(Date.UTC(2020, 0, 1));
  expect(at('2020-01-01', { timezone: 'Asia/Tokyo' })).toBe(Date.UTC(2019, 11, 31, 15));
  expect(at(0)).toBe(0);
  expect(at(new Date(-8.64e15))).toBe(-8.64e15);
  const ductape = create({ clock: { manual: true } });
  expect(Math.abs(ductape.clock.now() - Date.now())).toBeLessThan(10_000);
  for (const [clock, path] of [
    [{ manual: true, at: 'yesterday' }, 'options.clock.at'],
    [{ at: 0 }, 'options.clock.at'],
    [{ manual: false, at: 0 }, 'options.clock.at'],
    [{ manual: true, from: 0 }, 'options.clock.from'],
    [{ manual: 'yes' }, 'options.clock.manual'],
    [7, 'options.clock'],
  ]) {
    const error = await rejection(() => create({ clock: clock as never }));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', [path]]);
  }
  const early = create({ clock: { manual: true, at: 0 } });
  const ran: number[] = [];
  early.features.define('report', ({ scheduled_at }) => void ran.push(scheduled_at));
  await early.features.dispatch({ tag: 'report', input: {}, schedule: { start_at: 5_000 } });
  await early.clock.set(5_000);
  expect(ran).toEqual([5_000]);
});

test('a manual clock does not leave the dates', async () => {
  const ductape = create({ clock: { manual: true, at: new Date(8.64e15 - 1_000) } });
  const { clock } = ductape;
  for (const refused of [() => clock.advance(1_001), () => clock.advance('PT2S'), () => clock.set(8.64e15 + 1)]) {
    expect((await rejection(refused())).code).toBe('VALIDATION_ERROR');
  }
  await ductape.clock.advance(1_000);
  expect(ductape.clock.now()).toBe(8.64e15);
});

test('jobs, retries and recurrences run in the order of their times', async () => {
  const ductape = create({ clock: 'manual' });
  await ductape.clock.set('2030-01-01T00:00:00Z');
  const start = ductape.clock.now();
  const order: string[] = [];
  const note = (what: string) => order.push(`${what}@${ductape.clock.now() - start}`);
  ductape.features.define('tick', () => void note('tick'));
  ductape.features.define('later', () => void note('later'));
  ductape.features.define('flaky', ({ attempt }) => {
    note(`flaky${attempt}`);
    if (attempt < 4) throw new Error('not yet');
  });
  await ductape.features.dispatch({ tag: 'later', input: {}, schedule: { start_at: start + 4_500 } });
  await ductape.features.dispatch({ tag: 'flaky', input: {}, retries: 5, schedule: { start_at: start + 500 } });
  await ductape.features.dispatch({
    tag: 'tick',
    input: {},
    schedule: { every: 2_000, start_at: start + 1_000, limit: 4 },
  });
  await ductape.clock.advance(10_000);
  expect(order).toEqual([
    'flaky1@500',
    'tick@1000',
    'flaky2@1500',
    'tick@3000',
    'flaky3@3500',
    'later@4500',
    'tick@5000',
    'tick@7000',
    'flaky4@7500',
  ]);
});

test('time only moves when told to, and never backwards', async () => {
  const ductape = create({ clock: 'manual' });
  const before = ductape.clock.now();
  // Real time: it passes, and the instance's does not.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ductape.clock.now()).toBe(before);
  await ductape.clock.advance('PT1H');
  expect(ductape.clock.now()).toBe(before + 3_600_000);
  expect((await rejection(ductape.clock.set(before))).code).toBe('VALIDATION_ERROR');
  expect((await rejection(ductape.clock.advance(-1))).code).toBe('VALIDATION_ERROR');
  expect((await rejection(ductape.clock.advance('1 day'))).message).toContain('P1DT2H');
});

test('moving the time is refused for the system clock and shared stores', async () => {
  expect((await rejection(create().clock.advance(1))).code).toBe('CONFLICT');
  expect((await rejection(() => create({ clock: 'manual', store: 'memory:shared' }))).message).toContain('memory:');
});

test('a clock that cannot advance names the jobs that block it', async () => {
  const ductape = create({ clock: 'manual' });
  ductape.features.define('stuck', () => new Promise(() => {}));
  const { job_id } = await ductape.features.dispatch({ tag: 'stuck', input: {} });
  const error = await rejection(ductape.clock.advance(1, { timeout: 50 }));
  expect(error.code).toBe('TIMEOUT');
  expect(error.message).toContain(job_id);
  await ductape.close({ timeout: 0 });
});

test('a manual clock works while fake timers are active', async () => {
  vi.useFakeTimers();
  try {
    const ductape = create({ clock: 'manual' });
    let runs = 0;
    ductape.features.define('hourly', () => void runs++);
    await ductape.features.dispatch({ tag: 'hourly', input: {}, schedule: { every: 3_600_000 } });
    await ductape.clock.advance('P1D');
    expect(runs).toBe(25);
    await ductape.close();
  } finally {
    vi.useRealTimers();
  }
});
