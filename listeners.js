'use strict';
// Who listens to which events of jobs. Knows neither the native side nor the error class: both are passed in as functions.

/** Calls the listeners of one instance and keeps account of which events have any. */
class Listeners {
  #names;
  #onMaskChange;
  #refuse;
  #onListenerError;
  /** Per event its listeners in the order they were added; a list is replaced and never changed, so that telling needs no copy. */
  #entries = new Map();

  /**
   * `names`: all events. `wanted(mask)` is told which of them have listeners, by place in `names`; `refuse(path, message)`
   * throws; `failed(payload, error)` takes what a listener threw or rejected with.
   */
  constructor(names, { wanted, refuse, failed }) {
    this.#names = names;
    this.#onMaskChange = wanted;
    this.#refuse = refuse;
    this.#onListenerError = failed;
  }

  add(event, listener, once) {
    this.#check(event, listener);
    const entry = { listener, once, removed: false };
    this.#replace(event, [...this.#of(event), entry]);
    return () => this.#remove(event, entry);
  }

  /** Takes a listener away; one that was added more than once loses its last addition. */
  remove(event, listener) {
    this.#check(event, listener);
    const entry = this.#of(event).findLast((each) => each.listener === listener);
    if (entry) this.#remove(event, entry);
  }

  emit(payload) {
    for (const entry of this.#of(payload.event)) {
      // Taken away by another listener of the same event.
      if (entry.removed) continue;
      if (entry.once) this.#remove(payload.event, entry);
      this.#call(entry.listener, payload);
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
      this.#names.reduce((mask, name, place) => (this.#of(name).length > 0 ? mask | (1 << place) : mask), 0),
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

exports.Listeners = Listeners;
