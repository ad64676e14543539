'use strict';
// Asynchronous contexts (`AsyncLocalStorage`) of what the native side calls: functions run in that in which they were given.

const { AsyncResource } = require('node:async_hooks');

class Scope extends AsyncResource {
  /** Asked by test runners that look for what is still open. */
  hasRef() {
    return false;
  }
}

const openScope = () => new Scope('ductape');

/** The asynchronous context in which it is made. */
class CallContext {
  #origin = openScope();

  /**
   * A scope of its own, which begins with this context. `enterWith` writes into the scope that is current, so that what a
   * function sets there is seen by what it starts, and by no function in another scope.
   */
  open() {
    return this.#origin.runInAsyncScope(openScope);
  }

  /** Calls `callback` in a scope of its own. */
  call(callback, ...args) {
    return this.open().runInAsyncScope(callback, undefined, ...args);
  }
}

module.exports = { CallContext };
