// What becomes of every point of every schedule while processes, schedules and clocks change: a few rounds here, hundreds by `npm
// run test:long -- chaos-time`; and whether the account that they are compared with finds what is wrong.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { examine, readLog } from '../faults/chaos/account.mjs';
import { Timeline } from '../faults/chaos/timeline.mjs';
import { absent } from './support/servers.js';
import { postgresInstalled } from './support/postgres-server.js';

const ROUNDS = 4;
/** They load a library into processes. */
const possible = process.platform === 'linux';
if (!possible) absent('rounds in which clocks are set need Linux');

describe(`${ROUNDS} rounds in which processes, schedules and clocks change`, () => {
  it.for([
    { store: 'sqlite', skipped: !possible },
    { store: 'postgres', skipped: !possible || !postgresInstalled },
  ])('leave each point in one place, with a reason that fits: $store', { timeout: 600_000 }, async (round, context) => {
    if (round.skipped) context.skip();
    const run = join(import.meta.dirname, '..', 'faults', 'chaos-time.mjs');
    const settings = ['--store', round.store, '--seed', '5', '--rounds', `${ROUNDS}`, '--lanes', '2'];
    const rounds = spawn(process.execPath, [run, ...settings]);
    // Ends after the rounds that are under way.
    onTestFinished(() => void rounds.kill('SIGTERM'));
    let said = '';
    for (const stream of [rounds.stdout, rounds.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text;
      });
    }
    const [code] = await once(rounds, 'close');
    expect(code, said).toBe(0);
    expect(said).toContain(`${round.store}: ${ROUNDS} rounds from seed 5 in `);
  });
});

/** A clock that shows 0 at 0 s of the log, and a series with a point each second that was dispatched at 10 s. */
const SECOND = 1_000;
const END = 40 * SECOND;

interface Range {
  from: number;
  to: number;
  count: number;
  reason: string;
}

/** Lines of a log in which a run of each of these points, in s, began in time, and took 100 ms. */
const runs = (points: number[], at = (point: number) => point) =>
  points.map((point, index) => {
    const time = at(point) * SECOND + 5;
    const run = index + 1;
    const begins = `${time * 1_000} worker-0.1 begin series-0 ${run} 1 ${point * SECOND} 0 0\n`;
    return `${begins}${(time + 100) * 1_000} worker-0.1 end series-0 ${run} 1\n`;
  });

const between = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** What is wrong when the series has these runs, ranges and pauses, and a next run at `next` s. */
function wrong({
  log,
  missed = [],
  skipped = [],
  pauses = [],
  next = 41,
  timeline = new Timeline(0, 0, 0),
}: {
  log: string[];
  missed?: Range[];
  skipped?: Range[];
  pauses?: object[];
  next?: number;
  timeline?: Timeline;
}) {
  const series = {
    id: 'series-0',
    misfire: 'once',
    ifRunning: 'skip',
    eras: [{ schedule: { every: SECOND, start_at: 0 }, asked: 10 * SECOND - 200, answered: 10 * SECOND - 100 }],
    pauses,
    history: { missed, skipped },
    record: { next_run_at: next * SECOND },
  };
  return examine([series], readLog(log.join('')), timeline, END);
}

const range = (from: number, to: number, reason: string): Range => ({
  from: from * SECOND,
  to: to * SECOND,
  count: to - from + 1,
  reason,
});

describe('the account of a series', () => {
  it('is right when each point was run, or passed over for a reason that fits', () => {
    expect(wrong({ log: runs(between(10, 40)) })).toEqual([]);
    const log = runs([...between(10, 14), ...between(18, 40)]);
    expect(wrong({ log, missed: [range(15, 17, 'down')] })).toEqual([]);
    const at = (second: number) => second * SECOND - 500;
    const pauses = [{ asked: at(15), answered: at(15) + 5, resumed: at(18), over: at(18) + 5 }];
    expect(wrong({ log, skipped: [range(15, 17, 'paused')], pauses })).toEqual([]);
  });

  it('is wrong when a point has no place', () => {
    const log = runs([...between(10, 14), ...between(16, 40)]);
    expect(wrong({ log })).toEqual([expect.stringMatching(/\(15000\) and 0 points behind it: in no place/)]);
  });

  it('is wrong when a point has two places', () => {
    const twice = wrong({ log: runs([...between(10, 20), ...between(20, 40)]) });
    expect(twice).toEqual([expect.stringMatching(/\(20000\).*in more than one place: run 11,run 12/)]);
    const passed = wrong({ log: runs(between(10, 40)), missed: [range(12, 13, 'down')] });
    expect(passed).toEqual([
      expect.stringMatching(/\(12000\).*in more than one place: run 3,missed down 2/),
      expect.stringMatching(/\(13000\).*in more than one place: run 4,missed down 2/),
    ]);
  });

  it('is wrong when a reason does not fit', () => {
    const log = runs([...between(10, 14), ...between(18, 40)]);
    const reasons: [Range, 'missed' | 'skipped', RegExp][] = [
      [range(15, 17, 'paused'), 'skipped', /the job was not paused then/],
      [range(15, 17, 'overlap'), 'skipped', /no run was being done then/],
      [range(15, 17, 'rescheduled'), 'skipped', /the schedule was not replaced after that/],
      [range(15, 17, 'except'), 'skipped', /nothing of the kind was done/],
      [range(15, 17, 'misfire'), 'missed', /with misfire 'once'/],
      [range(15, 17, 'down'), 'skipped', /such a reason is one of missed/],
    ];
    for (const [passed, kind, message] of reasons) {
      expect(wrong({ log, [kind]: [passed] })).toEqual([expect.stringMatching(message)]);
    }
  });

  it('is wrong when a run is early, for a time that the schedule does not have, or begun twice', () => {
    const early = runs(between(10, 40), (point) => (point === 30 ? 26 : point));
    expect(wrong({ log: early })).toEqual([expect.stringMatching(/\(30000\) began early, by 3995 ms/)]);
    const [first = ''] = runs([10.5]);
    expect(wrong({ log: [...runs(between(10, 40)), first.replaceAll('series-0 1 ', 'series-0 99 ')] })).toEqual([
      expect.stringMatching(/run 99 for .* which no schedule had then/),
    ]);
    const log = runs(between(10, 40));
    expect(wrong({ log: [...log, '39500000 worker-1.2 begin series-0 5 2 14000 0 0\n'] })).toEqual([
      expect.stringMatching(/run 5 began again, and its process lives/),
    ]);
  });

  it('is wrong when the series stands still', () => {
    expect(wrong({ log: runs(between(10, 40)), next: 90 })).toEqual([expect.stringMatching(/stands still/)]);
  });

  it('has the points of an interval once for each time that the clock comes to them', () => {
    const back = () => {
      const timeline = new Timeline(0, 0, 0);
      timeline.step(25 * SECOND, 15 * SECOND);
      return timeline;
    };
    // From 15 to 25 and again; it shows 30 in the end.
    const points = [...between(10, 24), ...between(17, 29)];
    const times = [...between(10, 24), ...between(27, 39)];
    const log = points.flatMap((point, index) =>
      runs([point], () => times[index] ?? 0).map((lines) => lines.replaceAll('series-0 1 ', `series-0 ${index + 1} `)),
    );
    expect(wrong({ log, timeline: back(), next: 31 })).toEqual([]);
    expect(wrong({ log: log.slice(0, -10), timeline: back(), next: 31 })).toEqual([
      expect.stringMatching(/\(25000\) and 0 points behind it: in no place/),
      expect.stringMatching(/\(26000\) and 1 points behind it: in no place/),
    ]);
    expect(
      wrong({
        log: [...log, ...runs([20], () => 39).map((lines) => lines.replaceAll(' series-0 1 ', ' series-0 99 '))],
        timeline: back(),
        next: 31,
      }),
    ).toEqual([expect.stringMatching(/\(20000\).*in more than one place/)]);
  });
});
