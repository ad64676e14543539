// The grid of a schedule, reckoned independently of the package: intervals, and crons in UTC of minutes and hours alone.

const MINUTE = 60_000;

/** Which values a field of a cron matches: items of numbers, ranges and steps. */
function matches(field, least, most) {
  const values = new Set();
  for (const item of field.split(',')) {
    const [range, step = '1'] = item.split('/');
    const [first, last = first] = range === '*' ? [least, most] : range.split('-').map(Number);
    for (let value = Number(first); value <= Number(last); value += Number(step)) values.add(value);
  }
  return values;
}

class Interval {
  #anchor;
  #every;

  constructor({ start_at: anchor, every }) {
    this.#anchor = anchor;
    this.#every = every;
  }

  /** Number of the first point at `time` or later. */
  first(time) {
    return Math.max(0, Math.ceil((time - this.#anchor) / this.#every));
  }

  /** Number of the last point at `time` or before; -1: none. */
  last(time) {
    return Math.max(-1, Math.floor((time - this.#anchor) / this.#every));
  }

  at(number) {
    return this.#anchor + number * this.#every;
  }
}

class Cron {
  #minutes;
  #hours;
  #points = [];

  constructor({ cron }, [from, to]) {
    const [minutes, hours] = cron.split(' ');
    this.#minutes = matches(minutes, 0, 59);
    this.#hours = matches(hours, 0, 23);
    for (let time = Math.ceil(from / MINUTE) * MINUTE; time <= to; time += MINUTE) {
      const date = new Date(time);
      if (this.#minutes.has(date.getUTCMinutes()) && this.#hours.has(date.getUTCHours())) this.#points.push(time);
    }
  }

  first(time) {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  last(time) {
    return this.first(time + 1) - 1;
  }

  at(number) {
    return this.#points[number] ?? Number.POSITIVE_INFINITY;
  }
}

/** The grid of a schedule within `bounds`, which lie well around all that the clock showed. */
export function gridOf(schedule, bounds) {
  return schedule.cron ? new Cron(schedule, bounds) : new Interval(schedule);
}

/** Whether a clock that is put back makes its points come again: not so for crons that name their minutes and hours. */
export const comesAgain = ({ cron }) => cron === undefined || /^\*| \*/.test(cron.split(' ').slice(0, 2).join(' '));

/** How many points lie within the ranges. */
export function countWithin(grid, ranges) {
  return ranges.reduce((sum, [from, to]) => sum + Math.max(0, grid.last(to) - grid.first(from) + 1), 0);
}
