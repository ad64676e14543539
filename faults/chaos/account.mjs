// What became of every point of every schedule, by a log that no process under test keeps, and by the histories that the store
// gives: each point is in exactly one place, with a reason that fits.
import { comesAgain, countWithin, gridOf } from './grid.mjs';
import { union } from './timeline.mjs';

const DAY = 86_400_000;
/** ms between what happens and what is noted of it, on a machine that is busy. */
const SLACK = 60;
/** ms after which the store knows that a run has ended, and before which it may have been claimed. */
const KNOWN_MS = 1_000;
/** ms that a claimed run may take to begin. */
const BEGIN_SLACK = 2_000;
/** A clock that is set forward by as much ends leases, if they go by it; others may take over for so long. */
const [LEASE_MS, SILENCE_MS] = [5_000, 15_000];
/** ms before the last look in which points need not have been dealt with. */
const LAST_MS = 2_000;

/**
 * Reads the log, with times in ms: the calls of handlers by job, when calls of methods were made and answered, when processes ended,
 * when one of them, or the machine, stood still, and when one noticed a step of the clock.
 */
export function readLog(text) {
  const log = { calls: new Map(), asked: new Map(), answered: new Map(), ends: new Map(), stops: [], noticed: [] };
  for (const line of text.split('\n').slice(0, -1)) {
    const [time, name, word, ...words] = line.split(' ');
    const at = Number(time) / 1_000;
    if (word === 'ask') log.asked.set(Number(words[0]), at);
    if (word === 'answer') log.answered.set(Number(words[0]), at);
    if (word === 'begin') {
      const [id, run, attempt, scheduledAt, missed] = words;
      const call = { name, at, run: +run, attempt: +attempt, scheduledAt: +scheduledAt, missed: +missed };
      if (!log.calls.has(id)) log.calls.set(id, []);
      log.calls.get(id).push(call);
    }
    if (word === 'end' || word === 'fail') {
      const [id, run, attempt] = words;
      const of = log.calls
        .get(id)
        ?.findLast((call) => call.name === name && call.run === +run && call.attempt === +attempt);
      if (of) Object.assign(of, { end: at, failed: word === 'fail' });
    }
    if (word === 'stopped') log.stops.push({ name: words[0], from: at, to: Number.POSITIVE_INFINITY });
    if (word === 'continued') log.stops.findLast(({ name: stopped }) => stopped === words[0]).to = at;
    if (word === 'stalled') log.stops.push({ from: Number(words[0]) / 1_000, to: at });
    if (word === 'warn' && line.includes(' the clock of ')) log.noticed.push(at);
    if (word === 'killed') log.ends.set(words[0], at);
  }
  return log;
}

/** Calls of the handler by the number of their run. */
function byRun(calls) {
  const runs = new Map();
  for (const call of calls) {
    if (!runs.has(call.run)) runs.set(call.run, []);
    runs.get(call.run).push(call);
  }
  return runs;
}

/** `at`, and `by` ms further, if nothing stood still meanwhile: one process that does may have the store's lock. */
function later(at, by, stops) {
  let last = at + by;
  for (const { from, to } of stops) if (from <= last && to >= at) last = Math.max(last, to + by);
  return last;
}

function earlier(at, by, stops) {
  let first = at - by;
  for (const { from, to } of stops.toReversed()) if (to >= first && from <= at) first = Math.min(first, from - by);
  return first;
}

/** The times in which runs of a series may have been being done by what the store knows. */
function busySpans(calls, { ends, stops }) {
  return [...byRun(calls).values()].map((attempts) => {
    const last = attempts.map(({ name, end }) =>
      Math.min(end ?? Number.POSITIVE_INFINITY, ends.get(name) ?? Number.POSITIVE_INFINITY),
    );
    return [earlier(attempts[0].at, KNOWN_MS, stops), later(Math.max(...last), KNOWN_MS, stops)];
  });
}

class SeriesAccount {
  #series;
  #log;
  #timeline;
  /** When all that was due had been dealt with, and when the last process ended. */
  #end;
  #over;
  #calls;
  #history;
  violations = [];

  constructor(series, log, timeline, end) {
    [this.#series, this.#history, this.#log, this.#timeline] = [series, series.history, log, timeline];
    [this.#end, this.#over] = [end, Math.max(end, ...log.ends.values())];
    this.#calls = log.calls.get(series.id) ?? [];
  }

  #wrong(text) {
    this.violations.push(`${this.#series.id} ${JSON.stringify(this.#series.eras.at(-1).schedule)}: ${text}`);
  }

  #say(time) {
    return `${new Date(time).toISOString().slice(5, 23)} (${time})`;
  }

  /** Ranges of wall time that may have been passed from `from` to `to`. */
  #possible(from, to) {
    const rises = this.#timeline.possible(from - SLACK, to + SLACK);
    return rises.map(([first, last]) => [first - SLACK, last + SLACK]);
  }

  /** Ranges that everybody saw pass from `from` to `to`, for the last time. */
  #definite(from, to) {
    const [first, last] = [from, to].map((at, index) => {
      const sign = index === 0 ? 1 : -1;
      let sure = at + sign * SLACK;
      while (this.#timeline.isUnsure(sure) && sure > 0 && sure < this.#end) sure += sign * 50;
      return sure;
    });
    const ranges = this.#timeline.settled(first, last, this.#end);
    return union(ranges.map(([one, next]) => [one + SLACK, next - SLACK]));
  }

  /**
   * The last time that may be passed over for ever, in a clock that is put back: what lies before the schedule counts as
   * run. A first one has been there always where its points come again; one that is given again goes on.
   */
  #start({ schedule, asked, answered }, index) {
    if (index === 0 && comesAgain(schedule)) return Number.NEGATIVE_INFINITY;
    const start = Math.max(...this.#timeline.possible(asked, answered).map(([, last]) => last)) + SLACK;
    const before = this.#series.eras[index - 1];
    const goesOn = before && !comesAgain(schedule) && before.schedule.cron === schedule.cron;
    return goesOn ? Math.max(start, this.#start(before, index - 1)) : start;
  }

  check() {
    const { eras } = this.#series;
    const bounds = this.#timeline.possible(0, this.#over).flat();
    const hull = [Math.min(...bounds) - DAY, Math.max(...bounds) + DAY];
    this.eras = eras.map((era, index) => ({
      ...era,
      grid: gridOf(era.schedule, hull),
      possible: this.#possible(era.asked, era.replaced?.answered ?? this.#over),
      start: this.#start(era, index),
      definite: this.#definite(era.answered, Math.min(era.replaced?.asked ?? this.#end, this.#end - LAST_MS)),
      places: [],
    }));
    this.#placeRuns();
    this.#placeRanges();
    for (const era of this.eras) this.#checkPlaces(era);
    this.#checkPauses();
    this.#checkRepeats();
    this.#checkNext();
    return this.violations;
  }

  /** The schedule that had this point and was in force when the clock showed it. */
  #eraOf(point) {
    const has = ({ grid }) => grid.at(grid.first(point)) === point;
    const had = ({ possible }) => possible.some(([from, to]) => from <= point && point <= to);
    return this.eras.findLast((era) => has(era) && had(era));
  }

  #placeRuns() {
    for (const [run, attempts] of byRun(this.#calls)) {
      const point = attempts[0].scheduledAt;
      if (attempts.some(({ scheduledAt }) => scheduledAt !== point)) this.#wrong(`run ${run} changed its time`);
      const era = this.#eraOf(point);
      if (!era) {
        this.#wrong(`run ${run} for ${this.#say(point)}, which no schedule had then`);
        continue;
      }
      const number = era.grid.first(point);
      era.places.push({ first: number, last: number, what: `run ${run}` });
      const { at } = attempts[0];
      // A process that was killed or stopped may have had it in hand before the clock was put back.
      const hindered = [...this.#log.ends.values(), ...this.#log.stops.map(({ from }) => from)];
      const latest = Math.max(
        ...[at, ...hindered.filter((end) => end <= at)].map((end) => this.#timeline.latest(end - BEGIN_SLACK, end)),
      );
      if (latest < point - SLACK)
        this.#wrong(`run ${run} for ${this.#say(point)} began early, by ${point - latest} ms`);
    }
  }

  #placeRanges() {
    const { missed, skipped } = this.#history;
    const ranges = [missed.map((range) => ['missed', range]), skipped.map((range) => ['skipped', range])].flat();
    // What has fewer points than its ends say has gone around others.
    const exact = ranges.filter(([kind, range]) => this.#placeRange(kind, range));
    for (const [kind, range] of ranges)
      if (!exact.some(([, placed]) => placed === range)) this.#placeAround(kind, range);
  }

  #sayRange(kind, { from, to, count, reason }) {
    return `${kind} ${reason ?? ''} ${count} from ${this.#say(from)} to ${this.#say(to)}`;
  }

  /** Whether the range is one of all points from its beginning to its end. */
  #placeRange(kind, range) {
    const { from, to, count } = range;
    const what = this.#sayRange(kind, range);
    const parts = this.#parts(from, to);
    const whole = parts.find(({ first, last, ends }) => ends && last - first + 1 === count);
    if (!whole) return false;
    whole.era.places.push({ ...whole, what });
    this.#checkReason(kind, range, whole.era, what);
    return true;
  }

  #parts(from, to) {
    return this.eras
      .filter((era) => this.#eraOf(from) === era || this.#eraOf(to) === era)
      .map((era) => {
        const [first, last] = [era.grid.first(from), era.grid.last(to)];
        return { era, first, last, ends: era.grid.at(first) === from && era.grid.at(last) === to };
      });
  }

  /** A range of fewer points than lie between its ends: those that have another place, or another schedule, are left out. */
  #placeAround(kind, range) {
    const { from, to, count } = range;
    const what = this.#sayRange(kind, range);
    const parts = this.#parts(from, to);
    const around = parts.find(({ era, first, last, ends }) => {
      const others = era.places.filter((place) => place.last >= first && place.first <= last);
      const left = others.reduce(
        (sum, other) => sum + Math.min(other.last, last) - Math.max(other.first, first) + 1,
        countWithin(era.grid, [[from, Math.min(to, era.start)]]),
      );
      return ends && count <= last - first + 1 && count >= last - first + 1 - left;
    });
    if (around) around.era.places.push({ ...around, what, mayBe: true });
    else if (!this.#placeParts(from, to, count, what)) this.#wrong(`${what}: no schedule explains it`);
    this.#checkReason(kind, range, undefined, what);
  }

  /** A range of two schedules: what each had while it was in force. */
  #placeParts(from, to, count, what) {
    const within = this.eras.map((era) => {
      const ranges = union(era.possible.map(([one, next]) => [Math.max(one, from), Math.min(next, to)]));
      return { era, ranges, most: countWithin(era.grid, ranges) };
    });
    const most = within.reduce((sum, part) => sum + part.most, 0);
    if (within.length < 2 || count > most) return false;
    for (const { era, ranges } of within) {
      for (const [one, next] of ranges) {
        const [first, last] = [era.grid.first(one), era.grid.last(next)];
        // Where one ends and the other begins is not known exactly.
        era.places.push({ first, last, what, mayBe: true });
      }
    }
    return true;
  }

  #checkReason(kind, { from, to, count, reason }, era, what) {
    const { misfire, ifRunning, pauses } = this.#series;
    const expectKind = ['down', 'misfire'].includes(reason) ? 'missed' : 'skipped';
    if (kind !== expectKind) this.#wrong(`${what}: such a reason is one of ${expectKind}`);
    const within = (spans, why) => {
      const ranges = union(spans.flatMap(([first, last]) => this.#possible(first, last)));
      const covered = ranges
        .map(([one, next]) => [Math.max(one, from), Math.min(next, to)])
        .filter(([one, next]) => one <= next);
      const counted = era ? countWithin(era.grid, covered) : count;
      if (counted < count || covered.length === 0) this.#wrong(`${what}: ${why}`);
    };
    const busy = busySpans(this.#calls, this.#log);
    if (reason === 'down' && misfire !== 'once') this.#wrong(`${what}: with misfire '${misfire}'`);
    if (reason === 'misfire' && misfire === 'once') this.#wrong(`${what}: with misfire 'once'`);
    if (reason === 'paused') {
      within(
        pauses.map(({ asked, over }) => [asked, over ?? this.#over]),
        'the job was not paused then',
      );
    }
    if (reason === 'overlap') {
      if (ifRunning !== 'skip') this.#wrong(`${what}: with ifRunning '${ifRunning}'`);
      within(busy, 'no run was being done then');
    }
    if (reason === 'rescheduled') {
      const changes = this.eras.flatMap(({ replaced }) => replaced ?? []);
      within(
        changes.map(({ answered }) => [0, answered]),
        'the schedule was not replaced after that',
      );
    }
    if (!['down', 'misfire', 'paused', 'overlap', 'rescheduled'].includes(reason)) {
      this.#wrong(`${what}: nothing of the kind was done`);
    }
  }

  /** Each point that was passed has a place, and no more than one: one for each time it came, where points come again. */
  #checkPlaces(era) {
    const { grid, places, schedule } = era;
    const within = (ranges) => ranges.map(([from, to]) => ({ first: grid.first(from), last: grid.last(to) }));
    const counted = era.definite.map(([from, to]) => [Math.max(from, era.start), to]);
    const [definite, possible] = [within(counted), within(era.possible)].map((all) =>
      all.filter(({ first, last }) => first <= last),
    );
    const edges = [...definite, ...possible, ...places].flatMap(({ first, last }) => [first, last + 1]);
    const sorted = [...new Set(edges)].sort((one, next) => one - next);
    const at = (all, number) => all.filter(({ first, last }) => first <= number && number <= last);
    for (const [index, number] of sorted.slice(0, -1).entries()) {
      const taken = at(places, number);
      const sure = taken.filter(({ mayBe }) => !mayBe);
      const some = () => `${this.#say(grid.at(number))} and ${sorted[index + 1] - number - 1} points behind it`;
      // A schedule that takes the place of another one at that very moment may have the point as well.
      const shared = this.#sharing(era, grid.at(number)).length;
      const most = (comesAgain(schedule) ? at(possible, number).length : 1) + shared;
      if (sure.length > most) this.#wrong(`${some()}: in more than one place: ${taken.map(({ what }) => what)}`);
      if (taken.length > 0 || at(definite, number).length === 0) continue;
      // Another schedule of the job has the same point, and has dealt with it.
      const elsewhere = (point) =>
        this.#sharing(era, point).some((other) => at(other.places, other.grid.first(point)).length > 0);
      for (let each = number; each < sorted[index + 1]; each++) {
        if (schedule.cron && elsewhere(grid.at(each))) continue;
        this.#wrong(`${some()}: in no place`);
        break;
      }
    }
  }

  /** Other schedules of the job that have this point. */
  #sharing(era, point) {
    const has = ({ grid, schedule }) => schedule.cron && grid.at(grid.first(point)) === point;
    return this.eras.filter((other) => other !== era && has(other));
  }

  /** No attempt begins while the job is paused. */
  #checkPauses() {
    for (const { answered, resumed } of this.#series.pauses) {
      const early = this.#calls.find(({ at }) => at > answered + BEGIN_SLACK && at < (resumed ?? this.#end) - SLACK);
      if (early) this.#wrong(`run ${early.run} began while the job was paused`);
    }
  }

  /** A run begins anew when an attempt failed, or its process was not able to say that it ended. */
  #checkRepeats() {
    for (const [run, attempts] of byRun(this.#calls)) {
      for (const [index, { name, end, failed }] of attempts.slice(0, -1).entries()) {
        const next = attempts[index + 1].at;
        const gone = (this.#log.ends.get(name) ?? Number.POSITIVE_INFINITY) <= next;
        const stopped = this.#log.stops.some((stop) => stop.name === name && stop.from <= next);
        if (end !== undefined && failed) continue;
        // The lease of a process ends when the server's clock is set forward.
        const leaseEnded = this.#timeline.leaps(LEASE_MS, next - SILENCE_MS, next);
        if (!gone && !stopped && !leaseEnded) this.#wrong(`run ${run} began again, and its process lives`);
      }
    }
  }

  /** At the end the series waits for the next point that has no place yet. */
  #checkNext() {
    const { next_run_at: next } = this.#series.record;
    const now = this.#timeline.wall(this.#end);
    const { grid, places } = this.eras.at(-1);
    const run = ({ first, last }, number) => first <= number && number <= last;
    let number = grid.first(now + SLACK);
    while (places.some((place) => run(place, number))) number++;
    const expected = grid.at(number);
    if (next === undefined || next > expected) {
      this.#wrong(
        `stands still: at ${this.#say(now)} its next run is at ${next && this.#say(next)}, not ${this.#say(expected)}`,
      );
    }
  }
}

/** What is wrong with the account of all series; `series`: with their `eras`, `pauses`, `record` and `history`. */
export function examine(series, log, timeline, end) {
  timeline.noticed(log.noticed);
  return series.flatMap((each) => new SeriesAccount(each, log, timeline, end).check());
}
