'use strict';
// Who changed what: written to the store before it is done, so that nothing is done unseen.

const MAX_DETAIL_CHARS = 12 * 1024;

/** What is kept of a detail that is too long. */
function bounded(detail) {
  const text = JSON.stringify(detail);
  return text.length <= MAX_DETAIL_CHARS ? detail : { cut: true, text: text.slice(0, MAX_DETAIL_CHARS / 4) };
}

class Audit {
  #call;

  /** `call(method, named)` reaches the native side. */
  constructor(call) {
    this.#call = call;
  }

  /** Resolves once it is in the store. */
  add(who, action, detail) {
    return this.#call('audit.add', { entry: { who, action, detail: bounded(detail) } });
  }

  list(options) {
    return this.#call('jobs.audit', { '': options });
  }
}

module.exports = { Audit };
