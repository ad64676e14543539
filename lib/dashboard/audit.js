'use strict';
// Who changed what: written to the store before it is done, so that nothing is done unseen.

/** As `MAX_DETAIL_BYTES` in `src/api/audit.rs`, less what the cut takes. */
const MAX_DETAIL_BYTES = 15 * 1024;
const MAX_CUT_CHARS = 2_000;

/** What is kept of a detail that is too long. */
function bounded(detail) {
  const text = JSON.stringify(detail);
  return Buffer.byteLength(text) <= MAX_DETAIL_BYTES ? detail : { cut: true, text: text.slice(0, MAX_CUT_CHARS) };
}

class Audit {
  #call;
  #jobs;

  /** `call(method, named)` reaches the native side. */
  constructor(call, jobs) {
    this.#call = call;
    this.#jobs = jobs;
  }

  /** Resolves once it is in the store. */
  add(who, action, detail) {
    return this.#call('audit.add', { entry: { who, action, detail: bounded(detail) } });
  }

  /** The outcome of a change that was written down: when it fails, that is written down too. */
  async watch(change, who, action, detail) {
    try {
      return await change;
    } catch (error) {
      const code = typeof error?.code === 'string' ? error.code : 'INTERNAL';
      // That the change has failed is worth more to the caller than that this could not be written.
      await this.add(who, `${action}: failed`, { ...detail, code }).catch(() => {});
      throw error;
    }
  }

  list(options) {
    return this.#jobs.audit(options);
  }
}

module.exports = { Audit };
