'use strict';
// Asynchronous contexts (`AsyncLocalStorage`) of what the native side calls: functions run in that in which they were given.

const { AsyncResource } = require('node:async_hooks');

/** Entries without a value that a scope may hold and still be used again. */
const MAX_EMPTY_ENTRIES = 8;

/** What `enterWith` writes into, and what is called in it, and what that starts, reads. */
class Scope extends AsyncResource {
  /** Asked by test runners that look for what is still open. */
  hasRef() {
    return false;
  }

  call(callback, ...args) {
    return this.runInAsyncScope(callback, undefined, ...args);
  }
}

const openScope = () => new Scope('ductape');

/** The asynchronous context in which it is made. */
class CallContext {
  #origin = openScope();
  /** What a scope holds into which nobody has written: its symbols, and their values. */
  #symbols = [];
  #values = [];
  /** Nobody has written into it. Most functions never do, and a new scope for each call costs microseconds. */
  #spare;

  constructor() {
    this.#spare = this.#open();
    this.#symbols = Object.getOwnPropertySymbols(this.#spare);
    this.#values = this.#symbols.map((symbol) => this.#spare[symbol]);
  }

  /**
   * A scope that begins with this context. What a function sets there is seen by what it starts, and by no function that is
   * called in another scope. Pass it to `giveBack` after each call in it.
   */
  take() {
    const scope = this.#spare ?? this.#open();
    this.#spare = undefined;
    return scope;
  }

  /** Lets the next call have the scope if nobody has written into it. */
  giveBack(scope) {
    if (!this.#isWritten(scope)) this.#spare = scope;
    else if (this.#spare === scope) this.#spare = undefined;
  }

  /** Calls `callback` in such a scope. */
  call(callback, ...args) {
    const scope = this.take();
    try {
      return scope.call(callback, ...args);
    } finally {
      this.giveBack(scope);
    }
  }

  #open() {
    return this.#origin.call(openScope);
  }

  #isWritten(scope) {
    const symbols = Object.getOwnPropertySymbols(scope);
    // `run` leaves an entry without a value; those of ever new storages must not gather.
    if (symbols.length > this.#symbols.length + MAX_EMPTY_ENTRIES) return true;
    for (let at = 0; at < symbols.length; at++) {
      const symbol = symbols[at];
      if (at < this.#symbols.length && symbol !== this.#symbols[at]) return true;
      if (scope[symbol] !== this.#values[at]) return true;
    }
    return false;
  }
}

module.exports = { CallContext };
