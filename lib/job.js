'use strict';
// One attempt of a job, as its handler sees it. Knows the native side only through the bridge that it is given.

const { setMaxListeners } = require('node:events');
const { refuse } = require('./errors.js');
const { stringify } = require('./json.js');
const { NOTE } = require('./protocol.js');
const { Steps } = require('./steps.js');

/** The last time that a `Date` can hold, ms since the epoch. */
const MAX_TIME = 8.64e15;

/** The attempt of a job. A private member would be out of reach of a proxy of the job. */
const ATTEMPT = Symbol('attempt');

/** A member of the job's own, which `{ ...job }` keeps. A getter, since most handlers never read it. */
const SIGNAL = {
  configurable: true,
  enumerable: true,
  get() {
    return this[ATTEMPT].signal;
  },
};

class Attempt {
  #bridge;
  #key;
  /** Key of the claim: of this attempt, or of the one that this is a part of. */
  #claim;
  /** Created lazily, as `#steps`. */
  #controller;
  /** Why the attempt was aborted. */
  #abortReason;
  /** ms until the run is due again. */
  #snooze;
  #steps;

  /** What the handler is given: the object that came from Rust, which nobody else has; to copy it would cost more than the rest. */
  #job;

  constructor(fields, key, bridge) {
    this.#bridge = bridge;
    this.#key = key;
    this.#claim = key;
    if (fields.part !== undefined) {
      this.#claim = fields.claim;
      delete fields.claim;
    }
    this.#job = fields;
    // Functions without `this`, so that they can be taken out of the object.
    fields.progress = (value) => this.#note(NOTE.PROGRESS, stringify(value, 'progress'));
    fields.log = (message) => this.#note(NOTE.LOG, JSON.stringify(String(message)));
    fields.snooze = (ms) => this.#putOff(ms);
    fields.step = (tag, work, options) => this.#openSteps().begin(tag, work, options);
    fields[ATTEMPT] = this;
    Object.defineProperty(fields, 'signal', SIGNAL);
  }

  get signal() {
    if (!this.#controller) {
      this.#controller = new AbortController();
      // One listener for each request of a handler is usual.
      setMaxListeners(0, this.#controller.signal);
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Whether the handler has asked for its signal. */
  get hasSignal() {
    return this.#controller !== undefined;
  }

  get job() {
    return this.#job;
  }

  /** ms until the run is due again, if the handler said so. */
  get snoozed() {
    return this.#snooze;
  }

  abort(error) {
    this.#abortReason = error;
    this.#controller?.abort(error);
  }

  /** The steps that matter for its end: those that it has begun, and those that earlier attempts may have finished. */
  stepsAtEnd(failure) {
    const mayHaveSteps = failure !== undefined || this.#job.attempt > 1;
    return this.#job.part === undefined && mayHaveSteps ? this.#openSteps() : this.#steps;
  }

  #note(kind, value) {
    this.#bridge.note(this.#key, this.#claim, kind, value);
  }

  #putOff(ms) {
    if (!Number.isFinite(ms) || ms < 0) refuse('snooze', `must be a number of ms from 0 on, got ${String(ms)}`);
    if (this.#bridge.now + ms > MAX_TIME) refuse('snooze', `must end before the year 275760, got ${String(ms)} ms`);
    this.#snooze = ms;
  }

  /** Created lazily: most attempts have no steps. */
  #openSteps() {
    this.#steps ??= new Steps(this.#job, this.#bridge.steps(this.#key, this.#claim, this.#job.part));
    return this.#steps;
  }
}

module.exports = { Attempt };
