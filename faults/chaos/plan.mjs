// What a seed stands for: recurring jobs, and what happens to them, to the processes and to the clock.
import { Random } from '../random.mjs';

/** ms of a round in which something happens. */
export const ACTIVE_MS = 7_000;
export const WORKERS = 4;
const SERIES = 30;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** All of them multiples of 100. */
const INTERVALS = [200, 300, 500, 1_000, 2_000, 5_000];

/** What the clock shows at the beginning: some seconds before 10 o'clock. */
export const drawStart = (random) => Date.UTC(2027, 2, 10, 9, 59, 60 - random.integer(3, 20), random.integer(0, 999));

/** Minutes soon after the beginning, and some others. */
const someMinutes = (random) => [0, 1, 2, 5, random.integer(6, 59)].join();

/** No two of a plan have a point in common: `taken` counts them. */
const drawInterval = (random, start, taken) => ({
  every: random.pick(INTERVALS),
  start_at: start - 10 * DAY + random.integer(0, 49) * 100 + taken.count++,
});

const WILDCARDS = [
  () => '* * * * *',
  () => '*/2 * * * *',
  () => '*/7 */2 * * *',
  (random) => `${someMinutes(random)} * * * *`,
];
const FIXED = [
  () => '0-59 0-23 * * *',
  (random) => `${someMinutes(random)} 0-23 * * *`,
  (random) => `${random.integer(0, 3)} 9,10,11,${random.integer(12, 23)} * * *`,
  (random) => `${random.integer(0, 2)} 10 * * *`,
];
const drawCron = (random, kinds) => ({ cron: random.pick(kinds)(random) });

/** A schedule of one of the kinds; those that follow in its place are of the same. */
const KINDS = {
  interval: drawInterval,
  wildcard: (random) => drawCron(random, WILDCARDS),
  fixed: (random) => drawCron(random, FIXED),
};

function drawInput(random, kind, misfire) {
  // Those that make up for all that was missed have much to do.
  const most = misfire === 'all' ? 5 : random.pick([10, 50, 700]);
  return {
    kind,
    takes: random.integer(0, most),
    failsEvery: misfire !== 'all' && random.chance(0.3) ? random.integer(2, 6) : 0,
  };
}

function drawSeries(random, start, taken, number) {
  const kind = random.pick(['interval', 'interval', 'interval', 'wildcard', 'fixed']);
  const schedule = KINDS[kind](random, start, taken);
  // A thousand runs after each long step are enough.
  const misfires = schedule.every < 5_000 ? ['once', 'once', 'skip'] : ['once', 'skip', 'all'];
  const misfire = random.pick(misfires);
  return {
    id: `series-${number}`,
    kind,
    misfire,
    ifRunning: misfire !== 'all' && random.chance(0.2) ? 'allow' : 'skip',
    schedule,
    input: drawInput(random, kind, misfire),
  };
}

const drawStep = (random) => {
  const sign = random.chance(0.5) ? 1 : -1;
  return random.pick([
    () => ({ by: sign * random.integer(3 * SECOND, 2 * MINUTE) }),
    () => ({ by: sign * random.integer(3 * MINUTE, 3 * HOUR) }),
    // To just before a minute, so that crons fall due in time.
    () => ({ toMinute: random.integer(300, 2_500) }),
    () => ({ toMinute: random.integer(300, 2_500) }),
    // To another day, and back soon.
    () => ({ by: sign * random.integer(HOUR, 2 * DAY), back: random.integer(200, 2_500) }),
  ])();
};

const EVENTS = {
  kill: [3, (random) => ({ victim: random.integer(0, WORKERS - 1), pause: random.integer(0, 900) })],
  stop: [3, (random) => ({ victim: random.integer(0, WORKERS - 1), ms: random.integer(50, 1_800) })],
  pause: [4, (random) => ({ series: random.integer(0, SERIES - 1), ms: random.integer(100, 3_000) })],
  reschedule: [4, (random) => ({ series: random.integer(0, SERIES - 1) })],
  redispatch: [4, (random) => ({ series: random.integer(0, SERIES - 1), details: random.chance(0.7) })],
  step: [4, drawStep],
};

/** Clocks: `none` is set, `forward` only, or `all` ways. */
const allows = (clocks, { by, back }) => clocks === 'all' || (clocks === 'forward' && back === undefined && !(by < 0));

/** What a round does: `{ seed, start, series, events }`. */
export function drawPlan(seed, clocks) {
  const random = new Random(seed);
  const [start, taken] = [drawStart(random), { count: 0 }];
  const series = Array.from({ length: SERIES }, (_, number) => drawSeries(random, start, taken, number));
  const kinds = Object.entries(EVENTS).flatMap(([name, [weight, draw]]) => Array(weight).fill([name, draw]));
  const events = Array.from({ length: random.integer(12, 26) }, () => {
    const [name, draw] = random.pick(kinds);
    const event = { name, at: random.integer(0, ACTIVE_MS), ...draw(random) };
    const of = series[event.series];
    if (name === 'reschedule' || (name === 'redispatch' && !event.details)) {
      event.schedule = KINDS[of.kind](random, start, taken);
    }
    if (name === 'redispatch') event.input = drawInput(random, of.kind, of.misfire);
    return event;
  });
  const kept = events.filter((event) => event.name !== 'step' || allows(clocks, event));
  return { seed, start, series, events: kept.sort((one, next) => one.at - next.at) };
}
