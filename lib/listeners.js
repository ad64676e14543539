'use strict';
// The listeners of events of jobs. Knows neither the native side nor the error class: both are passed in as functions.

const { CallContext } = require('./call-context.js');

/** The listeners of one instance, and the mask of the events that have any. */
class Listeners {
  #names;
  #onMaskChange;
  #refuse;
  #onListenerError;
  /** Per event its listeners in the order they were added; lists are replaced and never changed, so that `emit` needs no copy. */
  #entries = new Map();

  /**
   * `names`: all events. `onMaskChange(mask)` is called when an event gets its first listener or loses its last, with a
   * bit for each by its index in `names`; `refuse(path, message)` throws; `onListenerError(payload, error)` takes what a
   * listener threw or rejected with.
   */
  constructor(names, { onMaskChange, refuse, onListenerError }) {
    this.#names = names;
    this.#onMaskChange = onMaskChange;
    this.#refuse = refuse;
    this.#onListenerError = onListenerError;
  }

  add(event, listener, once) {
    this.#check(event, listener);
    const entry = { listener, once, context: new CallContext(), removed: false };
    this.#replace(event, [...this.#of(event), entry]);
    return () => this.#remove(event, entry);
  }

  /** Removes a listener; one that was added more than once loses its last addition. */
  remove(event, listener) {
    this.#check(event, listener);
    const entry = this.#of(event).findLast((each) => each.listener === listener);
    if (entry) this.#remove(event, entry);
  }

  emit(payload) {
    for (const entry of this.#of(payload.event)) {
      // Removed by another listener of the same event.
      if (entry.removed) continue;
      if (entry.once) this.#remove(payload.event, entry);
      entry.context.call(() => this.#call(entry.listener, payload));
    }
  }

  #call(listener, payload) {
    try {
      const returned = listener(payload);
      if (typeof returned?.then === 'function')
        returned.then(undefined, (error) => this.#onListenerError(payload, error));
    } catch (error) {
      this.#onListenerError(payload, error);
    }
  }

  #of(event) {
    return this.#entries.get(event) ?? [];
  }

  #remove(event, entry) {
    entry.removed = true;
    this.#replace(
      event,
      this.#of(event).filter((each) => each !== entry),
    );
  }

  #replace(event, entries) {
    const before = this.#of(event).length;
    this.#entries.set(event, entries);
    if ((before === 0) === (entries.length === 0)) return;
    this.#onMaskChange(
      this.#names.reduce((mask, name, index) => (this.#of(name).length > 0 ? mask | (1 << index) : mask), 0),
    );
  }

  #check(event, listener) {
    if (!this.#names.includes(event)) {
      this.#refuse('event', `there is no event ${String(event)}; known are ${this.#names.join(', ')}`);
    }
    if (typeof listener !== 'function') {
      this.#refuse('listener', `must be a function, got ${listener === null ? 'null' : typeof listener}`);
    }
  }
}

module.exports = { Listeners };
