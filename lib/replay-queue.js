'use strict';
// Steps that earlier attempts finished resolve in the order in which they were finished: a race has the same winner again.

const { setImmediate } = require('./timers.js');

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

class ReplayQueue {
  /** Steps that were called: `{ order, resolve }`. */
  #waiting = [];

  /** Resolves when it is the turn of the step with this place: one resolves in each turn of the event loop. */
  wait(order) {
    return new Promise((resolve) => {
      this.#waiting.push({ order, resolve });
      if (this.#waiting.length === 1) setImmediate(() => this.#resolveFirst());
    });
  }

  /** Resolves when no step waits. */
  async empty() {
    do await nextTurn();
    while (this.#waiting.length > 0);
  }

  #resolveFirst() {
    this.#waiting.sort((one, other) => other.order - one.order);
    this.#waiting.pop().resolve();
    if (this.#waiting.length > 0) setImmediate(() => this.#resolveFirst());
  }
}

module.exports = { ReplayQueue };
