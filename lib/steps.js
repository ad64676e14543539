'use strict';
// The steps of one attempt: a finished step is recorded and not run again, and rolled back when the job fails for good.
// Knows the native side only through the functions that it is given.

// Taken here, so that fake timers installed later do not stop a step that waits for its next try.
const { AsyncResource } = require('node:async_hooks');
const { setTimeout, clearTimeout } = require('node:timers');
const { DuctapeError, refuse, stringify, toFailure } = require('./errors.js');
const { NO_RETRY } = require('./protocol.js');

/** Upper bound of the length of a tag. */
const MAX_TAG_BYTES = 200;
/** Upper bound of the option `retries`. */
const MAX_RETRIES = 1000;
/** Prefix of the tags that this package uses itself. */
const RESERVED_PREFIX = 'ductape:';
/** Recorded before the first rollback, with the failure as its result: from then on the run is only rolled back. */
const UNDOING_TAG = `${RESERVED_PREFIX}undoing`;
/** Prefix of the tag of a step whose rollback has ended. */
const UNDONE_PREFIX = `${RESERVED_PREFIX}undone:`;
/** Upper bound of each text of a failure that is kept. */
const MAX_FAILURE_CHARS = 10_000;
/** ms between tries of a write that the store has refused. */
const RETRY_PAUSE_MS = 1000;

function checkTag(tag, begun) {
  if (typeof tag !== 'string' || tag === '') refuse('step', 'the tag must be a text that is not empty');
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) refuse('step', `the tag must have at most ${MAX_TAG_BYTES} bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(tag)) refuse('step', 'the tag must not hold control characters');
  if (tag.startsWith(RESERVED_PREFIX)) refuse('step', `the tag must not begin with '${RESERVED_PREFIX}'`);
  if (begun.has(tag)) {
    refuse('step', `this attempt has a step '${tag}' already; give each step a tag of its own, as in 'charge:\${i}'`);
  }
}

function checkOptions(options) {
  if (options === undefined || options === null) return { retries: 0 };
  if (typeof options !== 'object') refuse('step', `options must be an object, got ${typeof options}`);
  const { retries = 0, rollback, ...rest } = options;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) refuse('step', `there is no option '${unknown}', only retries and rollback`);
  if (!Number.isInteger(retries) || retries < 0 || retries > MAX_RETRIES) {
    refuse('step', `retries must be an integer from 0 to ${MAX_RETRIES}, got ${String(retries)}`);
  }
  if (rollback !== undefined && typeof rollback !== 'function') {
    refuse('step', `rollback must be a function, got ${rollback === null ? 'null' : typeof rollback}`);
  }
  return { retries, rollback };
}

/** The error of a stored failure. */
function toDuctapeError({ code, message }) {
  return new DuctapeError(code, message);
}

class Steps {
  #job;
  #native;
  /** Tags of the steps that this attempt has begun. */
  #begun = new Set();
  /** Promises of steps that have not settled. */
  #pending = new Set();
  /** Promise of what earlier attempts finished: a map from tag to `{ order, text }`; `text` is JSON or undefined. */
  #recalled;
  /** Finished steps that have a rollback: `{ order, tag, rollback, retries, result }`. */
  #undoable = [];
  /** Number of steps finished by any attempt: the order of the next. */
  #finished = 0;
  /** The failure that the run is being rolled back for. */
  #undoing;

  /**
   * `native`: `recall()`, `record(tag, text)` and `forget()` return promises; `delay(failure, spent, retries)` returns the
   * ms until the next try, or a `NO_RETRY`; without `spent` the ms until the next attempt of the job. `mask(text)` hides
   * secrets, `warn(message)` logs for the operator, `timePasses` says whether time passes by itself.
   */
  constructor(job, native) {
    this.#job = job;
    this.#native = native;
  }

  begin(tag, work, options) {
    const step = this.#runStep(tag, work, options);
    this.#pending.add(step);
    const settled = () => this.#pending.delete(step);
    // This also handles the rejection of a step that nobody awaits, which would end the process.
    step.then(settled, settled);
    return step;
  }

  async #runStep(tag, work, options) {
    checkTag(tag, this.#begun);
    if (typeof work !== 'function') refuse('step', `the work of '${tag}' must be a function, got ${typeof work}`);
    const { retries, rollback } = checkOptions(options);
    if (rollback && this.#job.part !== undefined) {
      refuse('step', `'${tag}' has a rollback, and the job is a feature that is declared as data, which is not undone`);
    }
    this.#begun.add(tag);
    this.#stopIfAborted();
    this.#recalled ??= this.#recall();
    const known = await this.#recalled;
    this.#stopIfAborted();
    const found = known.get(tag);
    if (found) {
      const result = found.text === undefined ? undefined : JSON.parse(found.text);
      if (!known.has(UNDONE_PREFIX + tag)) this.#addUndoable(found.order, tag, rollback, retries, result);
      return result;
    }
    if (this.#undoing) throw toDuctapeError(this.#undoing);
    const value = await this.#runWithRetries(`step '${tag}'`, retries, (tries) => work(this.#context(tag, tries)));
    this.#stopIfAborted();
    // This attempt gets the result that a later one would recall.
    const text = value === undefined ? undefined : stringify(value, `result of the step '${tag}'`);
    const result = text === undefined ? undefined : JSON.parse(text);
    this.#addUndoable(this.#finished++, tag, rollback, retries, result);
    await this.#native.record(tag, text);
    return result;
  }

  #context(tag, tries) {
    const { id, run, part } = this.#job;
    const of = part === undefined ? '' : `${part}/`;
    const context = { attempt: tries, idempotency_key: `${id}/${run}/${of}${tag}` };
    // A getter, since most steps never read it.
    Object.defineProperty(context, 'signal', { enumerable: true, get: () => this.#job.signal });
    return context;
  }

  #addUndoable(order, tag, rollback, retries, result) {
    if (rollback) this.#undoable.push({ order, tag, rollback: AsyncResource.bind(rollback), retries, result });
  }

  async #recall() {
    const known = new Map();
    for (const [tag, text] of await this.#native.recall()) {
      known.set(tag, { order: this.#finished++, text: text ?? undefined });
    }
    const undoing = known.get(UNDOING_TAG);
    if (undoing) this.#undoing = JSON.parse(undoing.text);
    return known;
  }

  #stopIfAborted() {
    if (this.#job.signal.aborted) throw this.#job.signal.reason;
  }

  /** Runs `act` until it succeeds or there is no further try. */
  async #runWithRetries(what, retries, act) {
    for (let spent = 0; ; spent++) {
      try {
        return await act(spent + 1);
      } catch (error) {
        this.#stopIfAborted();
        const failure = toFailure(error);
        const delay = this.#native.delay(failure, spent, retries);
        if (delay === NO_RETRY.GIVE_UP || delay === NO_RETRY.ATTEMPT_OVER) throw error;
        this.#job.log(`${what} failed and is tried again in ${delay} ms: ${failure.code}: ${failure.message}`);
        await this.#wait(delay);
        this.#stopIfAborted();
      }
    }
  }

  #wait(ms) {
    const { signal } = this.#job;
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, this.#native.timePasses ? ms : 0);
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
  }

  /**
   * The handler has ended, with this failure or none. Waits for steps that nobody awaited, and rolls back the finished
   * ones if no further attempt follows. Resolves with the failure of the attempt.
   */
  async end(failure) {
    while (this.#pending.size > 0) await Promise.allSettled([...this.#pending]);
    try {
      if (!this.#undoing) {
        const undone = failure && this.#undoable.length > 0 && !this.#job.signal.aborted;
        if (!undone || this.#native.delay(failure) !== NO_RETRY.GIVE_UP) return failure;
        const kept = this.#storableFailure(failure);
        await this.#retryUntilStored(() => this.#native.record(UNDOING_TAG, JSON.stringify(kept)));
        this.#undoing = kept;
      }
      await this.#undo();
      return this.#undoing;
    } catch {
      // The run has been taken over or has ended: the answer of this attempt does not count.
      return failure ?? toFailure(this.#job.signal.reason);
    }
  }

  /** The failure with secrets masked and texts cut. */
  #storableFailure({ code, message, stack }) {
    const cut = (text) => text && this.#native.mask(text).slice(0, MAX_FAILURE_CHARS).toWellFormed();
    return { code: cut(code), message: cut(message), stack: cut(stack) };
  }

  async #undo() {
    this.#undoable.sort((one, other) => other.order - one.order);
    for (const { tag, rollback, retries, result } of this.#undoable) {
      this.#stopIfAborted();
      const what = `the rollback of step '${tag}'`;
      try {
        await this.#runWithRetries(what, retries, (tries) => rollback(result, this.#context(tag, tries)));
      } catch (error) {
        this.#stopIfAborted();
        const { code, message } = toFailure(error);
        this.#job.log(`${what} failed: ${code}: ${message}`);
        this.#native.warn(`${what} of job ${this.#job.id} failed, and is not tried again: ${code}: ${message}`);
      }
      await this.#retryUntilStored(() => this.#native.record(UNDONE_PREFIX + tag, undefined));
    }
    await this.#retryUntilStored(() => this.#native.forget());
  }

  /** Repeats a write until the store accepts it. Rejects when the run is no longer this attempt's. */
  async #retryUntilStored(write) {
    for (;;) {
      this.#stopIfAborted();
      try {
        return await write();
      } catch (error) {
        if (error.code === 'LEASE_LOST' || error.code === 'CLOSED' || error.code === 'VALIDATION_ERROR') throw error;
        await this.#wait(RETRY_PAUSE_MS);
      }
    }
  }
}

module.exports = { Steps };
