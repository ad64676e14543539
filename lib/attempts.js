'use strict';
// Runs handlers, and turns whatever becomes of them into answers. Knows the native side only through what it is given.

const { AsyncLocalStorage } = require('node:async_hooks');
const { isObserved, runs } = require('./channels.js');
const { toFailure } = require('./errors.js');
const { Attempt } = require('./job.js');
const { ANSWER } = require('./protocol.js');

/** Largest result that is kept, in bytes of JSON. */
const MAX_RESULT_BYTES = 1024 * 1024;

/** The attempts of one instance that handlers are at work on. */
class Attempts {
  #bridge;
  /**
   * By key `{ attempt, context, scope, span, inHandler }`: the scope of `context` is the one that its functions are called in;
   * `inHandler` calls a function as the handler would, if it listens for the signal.
   */
  #running = new Map();

  /** `bridge`: `answer(key, kind, json)`, `log(level, message)`, and what `Attempt` needs. */
  constructor(bridge) {
    this.#bridge = bridge;
  }

  has(key) {
    return this.#running.has(key);
  }

  /** `registered`: `{ handler, context }`. The attempt is part of `trace`, or has only a link to it. */
  run(registered, key, fields, trace, linked) {
    if (!registered) return this.#answer(key, ANSWER.RELEASE, 'null');
    const { handler, context } = registered;
    const span = this.#bridge.telemetry?.attempt(fields, trace, linked);
    const shown = isObserved(runs) ? shownOf(fields) : undefined;
    const [attempt, scope] = [new Attempt(fields, key, this.#bridge), context.take()];
    const running = { attempt, context, scope, span };
    this.#running.set(key, running);
    const call = () => {
      // A promise also for values that are none, so that answers of one turn cross together.
      const returned = Promise.resolve(handler(attempt.job));
      // Since version 24 of Node.js what the handler enters is in no scope once it has returned.
      if (attempt.hasSignal) running.inHandler = AsyncLocalStorage.snapshot();
      return returned;
    };
    let returned;
    try {
      returned = scope.call(span === undefined && shown === undefined ? call : () => observed(call, shown, span));
    } catch (error) {
      return this.#handlerReturned(key, attempt, this.#failure(attempt, error));
    } finally {
      context.giveBack(scope);
    }
    returned.then(
      (value) => this.#handlerReturned(key, attempt, undefined, value),
      (error) => this.#handlerReturned(key, attempt, this.#failure(attempt, error)),
    );
  }

  abort(key, error) {
    const running = this.#running.get(key);
    if (!running) return;
    const { attempt, context, scope, span, inHandler } = running;
    span?.end(error);
    const abort = () => attempt.abort(error);
    // Listeners of the signal are the handler's.
    if (inHandler) inHandler(abort);
    else scope.call(abort);
    context.giveBack(scope);
  }

  #failure({ job }, error) {
    const { wrongRetryAfter, ...failure } = toFailure(error);
    if (wrongRetryAfter !== undefined) {
      this.#bridge.log(
        'warn',
        `the error of job ${job.id} has the retryAfter ${wrongRetryAfter}, which is no number of ms; it does not count`,
      );
    }
    return failure;
  }

  /** The handler is done; its steps may not be. */
  #handlerReturned(key, attempt, failure, value) {
    const steps = attempt.stepsAtEnd(failure);
    if (steps) {
      steps.end(failure).then((failure) => this.#ended(key, attempt, failure, value));
    } else {
      this.#ended(key, attempt, failure, value);
    }
  }

  #ended(key, attempt, failure, value) {
    this.#running.get(key)?.span?.end(failure);
    if (failure) this.#answer(key, ANSWER.FAILURE, JSON.stringify(failure));
    else this.#succeeded(key, attempt, value);
  }

  #succeeded(key, { job, snoozed }, value) {
    if (snoozed !== undefined) return this.#answer(key, ANSWER.SNOOZE, String(snoozed));
    const text = this.#resultText(job, value);
    if (text === undefined) this.#answer(key, ANSWER.NO_RESULT, 'null');
    else this.#answer(key, ANSWER.RESULT, text);
  }

  /** The result as JSON; `undefined` when there is none or it cannot be kept. */
  #resultText(job, value) {
    let text;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      const [reason] = toFailure(error).message.split('\n');
      this.#bridge.log('warn', `the result of job ${job.id} cannot be stored and is dropped: ${reason}`);
    }
    // A UTF-16 unit takes at most three bytes, so most results need no counting.
    const bytes = text !== undefined && text.length * 3 > MAX_RESULT_BYTES ? Buffer.byteLength(text) : 0;
    if (bytes <= MAX_RESULT_BYTES) return text;
    this.#bridge.log(
      'warn',
      `the result of job ${job.id} is ${bytes} bytes of JSON, the limit is 1 MiB; it is dropped`,
    );
    return undefined;
  }

  #answer(key, kind, value) {
    this.#running.delete(key);
    this.#bridge.answer(key, kind, value);
  }
}

/** What is published of a job: nothing of its payload. */
function shownOf({ input, session, claim, ...job }) {
  return job;
}

/** Calls a handler for those who look on: within its span, and on the channel of runs, if `job` is given, which is shown there. */
function observed(call, job, span) {
  const published = job === undefined ? call : () => runs.tracePromise(call, { job });
  return span === undefined ? published() : span.call(published);
}

module.exports = { Attempts };
