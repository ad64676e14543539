'use strict';
// What changes, as a stream of events to each browser. One sampler looks at the store for all of them, and none while nobody
// listens. A browser that reads slowly misses events, and keeps nobody waiting.

const { DuctapeError } = require('../errors.js');
const { ratesOf } = require('../rates.js');
const { FRESH_MS } = require('./overview.js');
const { Problem } = require('./problem.js');

const SAMPLE_MS = 2_000;
const COMMENT_MS = 15_000;
const MAX_STREAMS = 100;
/** A browser that has taken nothing for so long is gone. */
const MAX_FULL_MS = 30_000;
/** After so long a browser has to come again, so that one who is let in no longer sees nothing more. It does so by itself. */
const MAX_STREAM_MS = 60_000;
const RETRY_MS = 2_000;
/** The same after an end that is no failure: there is no reason to wait. */
const AGAIN_MS = 100;
/** Rates go on from the sample before when the only browser is away no longer. */
const MAX_GAP_MS = 10_000;
const SHOWN_RUNNING = 20;
const EVENTS_A_SECOND = 20;
/** More events than these between two samples, and they are listened to again only after the next sample: they cost jobs time. */
const MAX_EVENTS_A_SAMPLE = 500;
const MAX_CODE_CHARS = 100;
const MAX_MESSAGE_CHARS = 1_000;
const EVENTS = [
  'job.scheduled',
  'job.started',
  'job.completed',
  'job.failed',
  'job.retrying',
  'job.cancelled',
  'job.paused',
  'job.resumed',
];

const textOf = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

/** What happened to a job, in short and as it may leave. */
function eventOf({ event, timestamp, job }, redaction) {
  const { id, status, namespace, product, env, target, scheduled_at, run, attempt, error } = job;
  const safe = error && redaction.part('error', error);
  const told = safe && {
    code: String(safe.code ?? 'Error').slice(0, MAX_CODE_CHARS),
    message: String(safe.message ?? '').slice(0, MAX_MESSAGE_CHARS),
  };
  const shown = { id, status, namespace, product, env, target, scheduled_at, run, attempt };
  return { event, timestamp, job: { ...shown, ...(told && { error: told }) } };
}

class Live {
  #app;
  /** `{ sink, fullSince, endsAt }` of each browser. */
  #streams = new Set();
  #timer;
  #comments;
  #isSampling = false;
  #last;
  /** Functions that end listening to jobs; `undefined`: they are not listened to. */
  #unlisten;
  #second = { began: 0, events: 0 };
  #eventsOfSample = 0;

  constructor(app) {
    this.#app = app;
  }

  /** Lets a browser listen. Returns the function that writes into its sink. */
  open() {
    if (this.#app.inside.ended()) throw new DuctapeError('CLOSED', 'this Ductape instance is closed');
    if (this.#streams.size >= MAX_STREAMS) {
      throw new Problem(503, 'SERVICE_UNAVAILABLE', `${MAX_STREAMS} browsers listen already: close one`, {
        headers: { 'retry-after': '30' },
      });
    }
    return (sink) => {
      const stream = { sink, fullSince: undefined, endsAt: Date.now() + MAX_STREAM_MS };
      this.#streams.add(stream);
      sink.onClose(() => this.#leave(stream));
      sink.write(`retry: ${RETRY_MS}\n\n`);
      if (this.#streams.size === 1) this.#begin();
      else if (this.#last && Date.now() - this.#last.taken < SAMPLE_MS) sink.write(this.#last.text);
    };
  }

  /** How many listen. */
  get size() {
    return this.#streams.size;
  }

  /** Ends all streams. */
  end() {
    for (const { sink } of this.#streams) sink.end();
    this.#streams.clear();
    this.#pause();
  }

  #leave(stream) {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#pause();
  }

  #begin() {
    if (this.#last && Date.now() - this.#last.taken > MAX_GAP_MS) this.#last = undefined;
    this.#app.inside.streams.add(this);
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref();
    this.#comments = setInterval(() => this.#send(': \n\n'), COMMENT_MS).unref();
    this.#listen();
    this.#sample();
  }

  #pause() {
    this.#app.inside.streams.delete(this);
    clearInterval(this.#timer);
    clearInterval(this.#comments);
    this.#ignore();
  }

  #send(text) {
    const now = Date.now();
    for (const stream of this.#streams) {
      const { sink } = stream;
      // One who takes nothing does not take the end either.
      if (now >= stream.endsAt + MAX_FULL_MS) sink.destroy();
      else if (now >= stream.endsAt) {
        sink.write(`retry: ${AGAIN_MS}\n\n`);
        sink.end();
      } else if (!sink.isFull()) {
        stream.fullSince = undefined;
        sink.write(text);
      } else {
        stream.fullSince ??= now;
        if (now - stream.fullSince > MAX_FULL_MS) sink.destroy();
      }
    }
  }

  async #sample() {
    if (this.#isSampling || this.#streams.size === 0) return;
    this.#isSampling = true;
    try {
      const sample = await this.#look();
      const text = textOf('sample', { ...sample, rates: ratesOf(this.#last?.sample, sample) });
      this.#last = { sample, text, taken: Date.now() };
      this.#send(text);
    } catch (error) {
      // The store may come back; that the program closes it is no failure.
      if (error?.code === 'CLOSED') this.end();
      else this.#send(textOf('problem', { code: error?.code ?? 'INTERNAL' }));
    } finally {
      this.#isSampling = false;
      this.#eventsOfSample = 0;
      if (this.#streams.size > 0) this.#listen();
    }
  }

  async #look() {
    const { ductape, looks } = this.#app;
    const { jobs, clock } = ductape;
    const [stats, running, processes] = await Promise.all([
      jobs.getStats(),
      jobs.list({ status: 'running', limit: SHOWN_RUNNING }),
      looks.get('processes', FRESH_MS, () => jobs.processes()),
    ]);
    const shown = running.jobs.map(({ id, namespace, product, env, target, started_at }) => ({
      id,
      namespace,
      product,
      env,
      target,
      started_at,
    }));
    return { at: clock.now(), stats, running: shown, processes };
  }

  #listen() {
    if (this.#unlisten) return;
    try {
      this.#unlisten = EVENTS.map((name) => this.#app.ductape.jobs.on(name, (event) => this.#tell(event)));
    } catch {
      this.#unlisten = undefined;
    }
  }

  #ignore() {
    for (const remove of this.#unlisten ?? []) remove();
    this.#unlisten = undefined;
  }

  #tell(event) {
    if (++this.#eventsOfSample > MAX_EVENTS_A_SAMPLE) {
      this.#ignore();
      return;
    }
    const now = Date.now();
    if (now - this.#second.began >= 1_000) this.#second = { began: now, events: 0 };
    if (++this.#second.events > EVENTS_A_SECOND) return;
    this.#send(textOf('job', eventOf(event, this.#app.redaction)));
  }
}

module.exports = { Live };
