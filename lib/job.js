'use strict';
// One attempt of a job, as its handler sees it. Knows the native side only through the bridge that it is given.

const { setMaxListeners } = require('node:events');
const { refuse } = require('./errors.js');
const { stringify } = require('./json.js');
const { NOTE } = require('./protocol.js');
const { Steps } = require('./steps.js');

/** The last time that a `Date` can hold, ms since the epoch. */
const MAX_TIME = 8.64e15;

/** The fields that Rust sent, and what a handler can do with its attempt. */
class JobContext {
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

  constructor(fields, key, bridge) {
    Object.assign(this, fields);
    this.#key = key;
    this.#claim = key;
    if (fields.part !== undefined) {
      this.#claim = fields.claim;
      delete this.claim;
    }
    this.#bridge = bridge;
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

  // Bound, so that they can be taken out of the object.
  get progress() {
    return (value) => this.#bridge.note(this.#key, this.#claim, NOTE.PROGRESS, stringify(value, 'progress'));
  }

  get log() {
    return (message) => this.#bridge.note(this.#key, this.#claim, NOTE.LOG, JSON.stringify(String(message)));
  }

  get snooze() {
    return (ms) => {
      if (!Number.isFinite(ms) || ms < 0) refuse('snooze', `must be a number of ms from 0 on, got ${String(ms)}`);
      if (this.#bridge.now + ms > MAX_TIME) refuse('snooze', `must end before the year 275760, got ${String(ms)} ms`);
      this.#snooze = ms;
    };
  }

  get step() {
    return (tag, work, options) => {
      return this.#openSteps().begin(tag, work, options);
    };
  }

  /** Created lazily: most attempts have no steps. */
  #openSteps() {
    this.#steps ??= new Steps(this, this.#bridge.steps(this.#key, this.#claim, this.part));
    return this.#steps;
  }

  static abort(job, error) {
    job.#abortReason = error;
    job.#controller?.abort(error);
  }

  static snoozed(job) {
    return job.#snooze;
  }

  /** The steps that matter for its end: those that it has begun, and those that earlier attempts may have finished. */
  static stepsAtEnd(job, failure) {
    const mayHaveSteps = failure !== undefined || job.attempt > 1;
    return job.part === undefined && mayHaveSteps ? job.#openSteps() : job.#steps;
  }
}

module.exports = { JobContext };
