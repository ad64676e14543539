// Accounts for what recurring jobs have done, by a log that their handlers wrote and not by the store under test.
import { expect } from 'vitest';
import type { Ductape } from './ductape.js';

/** One call of the handler of a recurring job. */
export interface Tick {
  id: string;
  run: number;
  attempt: number;
  scheduled_at: number;
  at: number;
}

/** Calls that the programs logged as `tick id run attempt scheduled_at missed at`. */
export function parseTicks(lines: readonly string[]): Tick[] {
  return lines
    .map((line) => line.split(' '))
    .filter(([kind]) => kind === 'tick')
    .map(([, id = '', run, attempt, scheduled_at, , at]) => ({
      id,
      run: Number(run),
      attempt: Number(attempt),
      scheduled_at: Number(scheduled_at),
      at: Number(at),
    }));
}

/**
 * Each grid point of each series, from its start in `starts` to `end`, has been run, or is recorded as missed or skipped:
 * exactly one.
 */
export async function expectEachOccurrenceOnce(
  ductape: Ductape,
  ticks: readonly Tick[],
  starts: ReadonlyMap<string, number>,
  end: number,
) {
  for (const { id, every = 0 } of (await ductape.jobs.list({ recurring: true })).jobs) {
    const start = starts.get(id) ?? Number.NaN;
    const history = await ductape.jobs.getHistory(id, { limit: 10_000 });
    const own = ticks.filter((tick) => tick.id === id);
    // A run has one occurrence, whatever its attempts.
    const runs = new Map(own.map(({ run, scheduled_at }) => [run, scheduled_at]));
    for (const { run, scheduled_at } of own) expect(scheduled_at).toBe(runs.get(run));
    const points = [...runs.values()];
    for (const gap of [...history.missed, ...history.skipped]) {
      const count = (gap.to - gap.from) / every + 1;
      expect(gap.count).toBe(count);
      for (let k = 0; k < count; k++) points.push(gap.from + k * every);
    }
    const grid = Array.from({ length: Math.floor((end - start) / every) + 1 }, (_, k) => start + k * every);
    expect(
      points.sort((a, b) => a - b),
      `${id}, every ${every}`,
    ).toEqual(grid);
    expect(history.total_executions).toBe(runs.size);
  }
}

/** Says how long after the kill before it each interrupted run began again, and expects it within `most` ms. */
export function expectRecoveryWithin(ticks: readonly Tick[], kills: readonly number[], most: number): string {
  const times = ticks
    .filter(({ attempt }) => attempt > 1)
    .map(({ at }) => at - Math.max(...kills.filter((kill) => kill <= at)))
    .sort((a, b) => a - b);
  const quantile = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  expect(times.length).toBeGreaterThan(0);
  expect(quantile(1)).toBeLessThan(most);
  return `${times.length} interrupted ones made up for after p50 ${quantile(0.5)} ms, p90 ${quantile(0.9)} ms, most ${quantile(1)} ms`;
}
