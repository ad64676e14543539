'use strict';
// What several browsers want to see at once is looked up once, and kept for a moment.

const { monotonicNow } = require('../timers.js');

const MAX_KEPT = 100;

class SharedLooks {
  /** `{ promise, until }` by key, the oldest first. */
  #kept = new Map();

  /** What `look` resolves with, at most `ms` old. A failure is kept by nobody. */
  get(key, ms, look) {
    const known = this.#kept.get(key);
    if (known && monotonicNow() < known.until) return known.promise;
    const entry = { until: Number.POSITIVE_INFINITY, promise: undefined };
    entry.promise = Promise.resolve()
      .then(look)
      .then(
        (value) => {
          entry.until = monotonicNow() + ms;
          return value;
        },
        (error) => {
          if (this.#kept.get(key) === entry) this.#kept.delete(key);
          throw error;
        },
      );
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return entry.promise;
  }
}

module.exports = { SharedLooks };
