'use strict';
// The steps of one attempt: a finished step is recorded and not run again, and rolled back when the job fails for good.
// Knows the native side only through the functions that it is given.

const { AsyncResource } = require('node:async_hooks');
const { DuctapeError, refuse, toFailure } = require('./errors.js');
const { stringify } = require('./json.js');
const { NO_RETRY } = require('./protocol.js');
const { ReplayQueue } = require('./replay-queue.js');
const { RESERVED_PREFIX, StepRecords, UNDOING_TAG, finishedTag, undoneTag } = require('./step-records.js');
const { callWithin, wait } = require('./wait.js');

/** Upper bound of the length of a tag. */
const MAX_TAG_BYTES = 200;
/** Upper bound of the option `retries`. */
const MAX_RETRIES = 1000;
/** Upper bound of each text of a failure that is kept. */
const MAX_FAILURE_CHARS = 10_000;
/** ms between tries of a write that the store has refused. */
const RETRY_PAUSE_MS = 1000;
/** Codes of failures of the store that come again. */
const FINAL_CODES = new Set(['LEASE_LOST', 'CLOSED', 'VALIDATION_ERROR']);
/** Upper bound of the time of one call of a rollback: the timeout of the attempt does not count for it. */
const ROLLBACK_TIMEOUT_MS = 10 * 60_000;
/** Upper bound of the tags that a line of the log names. */
const MAX_NAMED_TAGS = 20;

const kindOf = (value) => (value === null ? 'null' : typeof value);

function checkTag(tag) {
  if (typeof tag !== 'string' || tag === '') refuse('step', 'the tag must be a text that is not empty');
  if (Buffer.byteLength(tag) > MAX_TAG_BYTES) refuse('step', `the tag must have at most ${MAX_TAG_BYTES} bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(tag)) refuse('step', 'the tag must not hold control characters');
  if (tag.startsWith(RESERVED_PREFIX)) refuse('step', `the tag must not begin with '${RESERVED_PREFIX}'`);
}

function checkOptions(options) {
  if (options === undefined) return { retries: 0 };
  if (options === null || typeof options !== 'object') refuse('options', `must be an object, got ${kindOf(options)}`);
  const { retries = 0, rollback, ...rest } = options;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) refuse('step', `there is no option '${unknown}', only retries and rollback`);
  if (!Number.isInteger(retries) || retries < 0 || retries > MAX_RETRIES) {
    refuse('options.retries', `must be an integer from 0 to ${MAX_RETRIES}, got ${String(retries)}`);
  }
  if (rollback !== undefined && typeof rollback !== 'function') {
    refuse('step', `rollback must be a function, got ${kindOf(rollback)}`);
  }
  return { retries, rollback };
}

/** The tags as a text: `'a', 'b' and 3 more`. */
function named(tags) {
  const texts = tags.slice(0, MAX_NAMED_TAGS).map((tag) => `'${tag}'`);
  const more = tags.length - texts.length;
  return texts.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The error of a stored failure. */
function toDuctapeError({ code, message }) {
  return new DuctapeError(code, message);
}

class Steps {
  #job;
  #native;
  /** By tag the steps that this attempt has begun: `{ number, isRepeatable, promise }`. */
  #begun = new Map();
  #begunCount = 0;
  /** Promises of steps that have not settled. */
  #pending = new Set();
  /** Promise of the run's `StepRecords`. */
  #records;
  #replay = new ReplayQueue();
  /** By tag the finished steps whose rollback is known: `{ order, tag, rollback, retries, result }`. */
  #undoable = new Map();

  /**
   * `native`: `recall()`, `record(tag, text)`, `undo()` and `forget(tags)` return promises; `undo` says that rollbacks
   * begin, for which the timeout of the attempt does not count. `delay(failure, spent, retries)` returns the ms until the
   * next try, or a `NO_RETRY`; without `spent` the ms until the next attempt of the job. `mask(text)` hides secrets,
   * `warn(message)` logs for the operator, `timePasses` says whether time passes by itself. `withSpan(name, attributes, work)`, if
   * there are spans, is the work with one.
   */
  constructor(job, native) {
    this.#job = job;
    this.#native = native;
  }

  begin(tag, work, options) {
    const before = this.#begun.get(tag);
    // The work of another step was tried again while this one, which it had begun, was going.
    if (before?.isRepeatable && this.#pending.has(before.promise)) return before.promise;
    const begun = { number: this.#begunCount++, isRepeatable: false, promise: undefined };
    const step = this.#runStep(tag, work, options, begun);
    begun.promise = step;
    this.#pending.add(step);
    const settled = () => this.#pending.delete(step);
    // This also handles the rejection of a step that nobody awaits, which would end the process.
    step.then(settled, settled);
    return step;
  }

  async #runStep(tag, work, options, begun) {
    checkTag(tag);
    if (this.#begun.get(tag)?.isRepeatable === false) {
      refuse('step', `this attempt has a step '${tag}' already; give each step a tag of its own, as in 'charge:\${i}'`);
    }
    if (typeof work !== 'function') refuse('step', `the work of '${tag}' must be a function, got ${kindOf(work)}`);
    const { retries, rollback } = checkOptions(options);
    if (rollback && this.#job.part !== undefined) {
      refuse('step', `'${tag}' has a rollback, and the job is a feature that is declared as data, which is not undone`);
    }
    this.#begun.set(tag, begun);
    this.#stopIfAborted();
    const records = await this.#recall();
    const found = records.find(tag);
    if (found) {
      await this.#replay.wait(found.order);
    } else if (records.any) {
      // What is known comes before what is new.
      await this.#replay.empty();
    }
    this.#stopIfAborted();
    if (found) {
      const result = found.text === undefined ? undefined : JSON.parse(found.text);
      if (!found.isUndone) this.#addUndoable(found.order, tag, rollback, retries, result);
      return result;
    }
    if (records.undoing) throw toDuctapeError(records.undoing);
    const observed = this.#inSpan('step', tag, work);
    const act = (tries) => observed(this.#context(tag, tries, records));
    const value = await this.#runWithRetries(`step '${tag}'`, retries, act);
    this.#stopIfAborted();
    // This attempt gets the result that a later one would recall.
    const text = value === undefined ? undefined : stringify(value, `result of the step '${tag}'`);
    const result = text === undefined ? undefined : JSON.parse(text);
    const order = records.nextOrder();
    this.#addUndoable(order, tag, rollback, retries, result);
    await this.#native.record(finishedTag(tag, rollback !== undefined), text);
    records.finished(tag, text, rollback !== undefined, order);
    return result;
  }

  #context(tag, tries, records, signal) {
    const { id, part } = this.#job;
    const of = part === undefined ? '' : `${part}/`;
    const context = { attempt: tries, idempotency_key: `${id}/${records.keyRun(tag)}/${of}${tag}` };
    // A getter, since most steps never read it.
    Object.defineProperty(context, 'signal', { enumerable: true, get: () => signal ?? this.#job.signal });
    return context;
  }

  #addUndoable(order, tag, rollback, retries, result) {
    if (!rollback) return;
    const bound = AsyncResource.bind(this.#inSpan('rollback', tag, rollback));
    this.#undoable.set(tag, { order, tag, rollback: bound, retries, result });
  }

  /** The same with a span for each call, if there are spans. Its last argument is the context of the try. */
  #inSpan(what, tag, work) {
    const { withSpan } = this.#native;
    if (withSpan === undefined) return work;
    // Names of spans are to be few: what follows a colon is mostly a number.
    const [name] = tag.split(':');
    const attributes = (...given) => ({ 'ductape.step': tag, 'ductape.step.attempt': given.at(-1).attempt });
    return withSpan(`${what} ${name}`, attributes, work);
  }

  /** What the run has finished. */
  #recall() {
    this.#records ??= this.#load().catch((error) => {
      this.#records = undefined;
      throw error;
    });
    return this.#records;
  }

  async #load() {
    const records = new StepRecords(await this.#native.recall(), this.#job.run);
    const tags = records.forgetEarlierUndoing();
    if (tags.length > 0) await this.#native.forget(tags);
    return records;
  }

  #stopIfAborted() {
    if (this.#job.signal.aborted) throw this.#job.signal.reason;
  }

  /** Runs `act` until it succeeds or there is no further try. */
  async #runWithRetries(what, retries, act) {
    for (let spent = 0; ; spent++) {
      const begunBefore = this.#begunCount;
      try {
        return await act(spent + 1);
      } catch (error) {
        this.#stopIfAborted();
        const failure = toFailure(error);
        const delay = this.#native.delay(failure, spent, retries);
        if (delay === NO_RETRY.GIVE_UP || delay === NO_RETRY.ATTEMPT_OVER) throw error;
        this.#job.log(`${what} failed and is tried again in ${delay} ms: ${failure.code}: ${failure.message}`);
        this.#makeRepeatable(begunBefore);
        await wait(this.#native.timePasses ? delay : 0, this.#job.signal);
        this.#stopIfAborted();
      }
    }
  }

  /** A try has failed: the steps that it has begun may be begun again by the next one. Those that are finished stay so. */
  #makeRepeatable(begunBefore) {
    for (const begun of this.#begun.values()) {
      if (begun.number >= begunBefore) begun.isRepeatable = true;
    }
  }

  /**
   * The handler has ended, with this failure or none. Waits for steps that nobody awaited, and rolls back the finished
   * ones if no further attempt follows. Resolves with the failure of the attempt.
   */
  async end(failure) {
    while (this.#pending.size > 0) await Promise.allSettled([...this.#pending]);
    try {
      this.#stopIfAborted();
      const isFinal = failure !== undefined && this.#native.delay(failure) === NO_RETRY.GIVE_UP;
      // An attempt that fails before its first step leaves everything to the next one.
      if (failure && !isFinal && !this.#records) return failure;
      const records = await this.#retryUntilStored(() => this.#recall());
      if (!isFinal && !records.undoing) return failure;
      let cause = failure;
      if (records.undoing || this.#undoable.size > 0) cause = await this.#undo(records, failure);
      this.#nameRemaining(records);
      return cause;
    } catch (error) {
      // The run has been taken over or has ended: the answer of this attempt does not count.
      return failure ?? toFailure(this.#job.signal.reason ?? error);
    }
  }

  /** The failure with secrets masked and texts cut. */
  #storableFailure({ code, message, stack, cause, errors }) {
    const cut = (text) => text && this.#native.mask(text).slice(0, MAX_FAILURE_CHARS).toWellFormed();
    // These are short already.
    const causes = JSON.parse(this.#native.mask(JSON.stringify({ cause, errors })));
    return { code: cut(code), message: cut(message), stack: cut(stack), ...causes };
  }

  /** Returns what the run fails with: this failure, or the one that it has been rolled back for since an earlier attempt. */
  async #undo(records, failure) {
    await this.#native.undo();
    if (!records.undoing) {
      const undoing = { ...this.#storableFailure(failure), run: records.run };
      await this.#retryUntilStored(() => this.#native.record(UNDOING_TAG, JSON.stringify(undoing)));
      records.undoing = undoing;
    }
    const steps = [...this.#undoable.values()].sort((one, other) => other.order - one.order);
    for (const step of steps) {
      this.#stopIfAborted();
      if (!(await this.#rollBack(step, records))) continue;
      await this.#retryUntilStored(() => this.#native.record(undoneTag(step.tag, records.run), undefined));
      records.undone(step.tag, records.run);
    }
    const { run, ...cause } = records.undoing;
    return cause;
  }

  /** Whether it succeeded. */
  async #rollBack({ tag, rollback, retries, result }, records) {
    const what = `the rollback of step '${tag}'`;
    const timeout = () => new DuctapeError('TIMEOUT', `took longer than ${ROLLBACK_TIMEOUT_MS} ms`);
    const act = (tries) =>
      callWithin(ROLLBACK_TIMEOUT_MS, this.#job.signal, timeout, (signal) =>
        rollback(result, this.#context(tag, tries, records, signal)),
      );
    try {
      await this.#runWithRetries(what, retries, act);
      return true;
    } catch (error) {
      this.#stopIfAborted();
      const { code, message } = toFailure(error);
      this.#job.log(`${what} failed: ${code}: ${message}`);
      this.#native.warn(`${what} of job ${this.#job.id} failed, and is not tried again: ${code}: ${message}`);
      return false;
    }
  }

  /** The job has failed: names steps of earlier attempts whose rollback this attempt does not know. */
  #nameRemaining(records) {
    const tags = records.remaining().flatMap(({ tag }) => (this.#undoable.has(tag) ? [] : [tag]));
    if (tags.length === 0) return;
    const why = 'since the last attempt did not come to them';
    this.#job.log(`these finished steps were not rolled back, ${why}: ${named(tags)}`);
    this.#native.warn(`finished steps of job ${this.#job.id} were not rolled back, ${why}: ${named(tags)}`);
  }

  /** Repeats a write until the store accepts it. Rejects when the run is no longer this attempt's. */
  async #retryUntilStored(write) {
    for (;;) {
      this.#stopIfAborted();
      try {
        return await write();
      } catch (error) {
        if (FINAL_CODES.has(error.code)) throw error;
        await wait(RETRY_PAUSE_MS, this.#job.signal);
      }
    }
  }
}

module.exports = { Steps };
