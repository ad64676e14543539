// The manual clock.
import { expect, test, vi } from 'vitest';
import { create, rejection, stopwatch } from './support/instances.js';

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
