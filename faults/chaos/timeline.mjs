// What a clock that is set now and then showed, and which times it has passed.

/** ms by which the clock of a server may have been misread after a step. */
const MISREAD_MS = 1_000;
/** ms after which a step has been noticed by somebody, who looks once a second. */
const NOTICE_MS = 1_500;

/** A range of wall time, in ms: its ends belong to it. */
const overlap = ([from, to], [first, last]) => [Math.max(from, first), Math.min(to, last)];
const isSome = ([from, to]) => from <= to;

/** Ranges that may overlap, as ranges in order that do not. */
export function union(ranges) {
  const joined = [];
  for (const [from, to] of ranges.filter(isSome).toSorted(([one], [next]) => one - next)) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

export class Timeline {
  /** `{ since, wall }`: from then on, in ms of a clock that nobody sets, it went on from that wall time. */
  #pieces;
  /** For so long after a step somebody may have gone by the clock as it was before, ms. */
  #lag;

  constructor(since, wall, lag) {
    this.#pieces = [{ since, wall }];
    this.#lag = lag;
  }

  /** As it was when it was made into JSON. */
  static from({ pieces, lag }) {
    const timeline = new Timeline(0, 0, lag);
    timeline.#pieces = pieces;
    return timeline;
  }

  toJSON() {
    return { pieces: this.#pieces, lag: this.#lag };
  }

  /** The clock was set at `since` to `wall`. */
  step(since, wall) {
    this.#pieces.push({ since, wall });
  }

  #until(index) {
    return this.#pieces[index + 1]?.since ?? Number.POSITIVE_INFINITY;
  }

  /** Whether it was set forward by more than `by` ms in the time from `from` to `to`. */
  leaps(by, from, to) {
    return this.#pieces.some(({ since, wall }, index) => {
      const before = this.#pieces[index - 1];
      return before && since >= from && since <= to && wall - before.wall - (since - before.since) > by;
    });
  }

  /** What it showed at `at`. */
  wall(at) {
    const { since, wall } = this.#pieces.findLast(({ since }) => since <= at) ?? this.#pieces[0];
    return wall + (at - since);
  }

  /** Whether it was set in the time before `at` in which not everybody may have known. */
  isUnsure(at) {
    return this.#pieces.slice(1).some(({ since }) => since <= at && at <= since + this.#lag);
  }

  /** The latest that anybody can have seen it show from `from` to `to`. */
  latest(from, to) {
    return Math.max(...this.possible(from, to).map(([, last]) => last));
  }

  /**
   * The ranges of wall time that it rose through in this time, once for each time that it did: each is a rise without a step
   * backwards. Steps forward are part of it.
   */
  rises(from, to) {
    const rises = [];
    for (const [index, { since, wall }] of this.#pieces.entries()) {
      const [first, last] = overlap([from, to], [since, this.#until(index)]);
      if (first > last) continue;
      const range = [wall + (first - since), wall + (last - since)];
      const before = rises.at(-1);
      if (before && range[0] >= before[1]) before[1] = range[1];
      else rises.push(range);
    }
    return rises;
  }

  /** The same, as far as anybody may have seen it: some learn of a step later. */
  possible(from, to) {
    const rises = this.rises(from, to);
    for (const [index, { since }] of this.#pieces.entries()) {
      if (index === 0) continue;
      const before = this.#pieces[index - 1];
      const [first, last] = overlap([from, to], [since, since + this.#lag]);
      if (first > last) continue;
      const old = (at) => before.wall + (at - before.since);
      const start = old(first);
      const end = Math.max(old(last), this.wall(last));
      if (isSome([start, end])) rises.push([start, end]);
      // A server's clock that was asked for slowly may have been misread by half of that time.
      if (this.#lag > MISREAD_MS) rises.push([this.wall(first) - MISREAD_MS, this.wall(last) + MISREAD_MS]);
      // Who does not know yet may go on from where one who knows has begun again.
      if (this.#lag > MISREAD_MS) rises.push([this.wall(first), old(last)].sort((one, next) => one - next));
    }
    return rises;
  }

  /** When the first process noticed each step, of all the times at which one said that it had noticed something. */
  noticed(times) {
    for (const [index, piece] of this.#pieces.entries()) {
      const latest = piece.since + this.#lag + NOTICE_MS;
      const said = times.find((at) => at >= piece.since && at <= latest) ?? latest;
      // Until everybody knows, one may undo what another one does.
      piece.noticed = index === 0 ? piece.since : Math.max(said, this.#lag >= NOTICE_MS ? latest : 0);
    }
  }

  /**
   * The ranges that it passed in this time and did not go back before again until `end`, as far as somebody noticed where it
   * was.
   */
  settled(from, to, end) {
    const passes = [];
    let isSure = true;
    for (const [index, { since, wall, noticed }] of this.#pieces.entries()) {
      const until = Math.min(this.#until(index), end);
      if (since > until) break;
      // What comes again does not count before.
      for (const pass of passes) pass.to = Math.min(pass.to, wall);
      if (noticed >= until) {
        isSure = false;
        continue;
      }
      const before = passes.at(-1)?.to ?? wall;
      const isBack = index > 0 && wall <= before;
      // What a step passed over, at once.
      if (wall > before && isSure) passes.push({ from: before, to: wall, at: () => since });
      isSure = true;
      const seen = isBack ? noticed : since;
      passes.push({ from: wall + (seen - since), to: wall + (until - since), at: (time) => since + (time - wall) });
    }
    const within = passes.map((pass) => {
      const [first, last] = [pass.at(pass.from), pass.at(pass.to)];
      if (first === last) return first >= from && first <= to ? [pass.from, pass.to] : [1, 0];
      const shift = pass.from - first;
      return overlap([pass.from, pass.to], [from + shift, to + shift]);
    });
    return union(within);
  }
}
