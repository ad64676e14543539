'use strict';
// Spans of dispatches, attempts and steps, made with the program's own OpenTelemetry. There is one for each instance with
// `telemetry: true`. Knows the native side only through what it is given.

const { createRequire } = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { refuse, toFailure } = require('./errors.js');
const { destinationOf } = require('./targets.js');

/** What is loaded, and asked for. */
const API = '@opentelemetry/api';
/** Upper bound of a text of a failure that a span gets. */
const MAX_TEXT_CHARS = 10_000;
/** `traceparent` of the version that is written, and what may stand behind it. */
const TRACE = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?: (.*))?$/;

/** The API that the program uses, else the one beside this package: both have the providers that the program has registered. */
function loadApi() {
  const places = [require.main?.filename, process.argv[1], join(process.cwd(), 'index.js')];
  for (const place of places) {
    if (!place) continue;
    try {
      return createRequire(pathToFileURL(place))(API);
    } catch {
      // It is not found from there.
    }
  }
  try {
    return require(API);
  } catch (cause) {
    refuse('options.telemetry', `needs the package ${API}, which is not there: npm install ${API}`, cause);
  }
}

/** A span's context as W3C Trace Context writes it, `tracestate` behind a space; `undefined` when there is none. */
function traceText(api, spanContext) {
  if (!api.isSpanContextValid(spanContext)) return undefined;
  const { traceId, spanId, traceFlags, traceState } = spanContext;
  const parent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`;
  const state = traceState?.serialize() ?? '';
  return /^[\x20-\x7e]+$/.test(state) ? `${parent} ${state}` : parent;
}

/** The span context of such a text. */
function spanContextOf(api, text) {
  const found = TRACE.exec(text ?? '');
  if (!found) return undefined;
  const [, traceId, spanId, flags, state] = found;
  const spanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    traceState: state ? api.createTraceState(state) : undefined,
  };
  return api.isSpanContextValid(spanContext) ? spanContext : undefined;
}

class Telemetry {
  #api;
  #tracer;
  #mask;
  #warn;
  /** Product and environment of dispatches that name none. */
  #defaults;
  /** By key `{ own, call, startTime }`: spans of attempts that are done in Rust. */
  #native = new Map();
  #hasWarned = false;

  /** `mask(text)` hides secrets, `warn(message)` logs. */
  constructor({ mask, warn, product, env }) {
    this.#api = loadApi();
    this.#tracer = this.#api.trace.getTracer('ductape', require('../package.json').version);
    this.#mask = mask;
    this.#warn = warn;
    this.#defaults = { product, env };
  }

  /**
   * Begins the span of a dispatch, or of a list of them, in the context of its caller; `inputs` are what was read. Has `trace`,
   * which is stored with the jobs, and `settling(resolve, reject)`, which are these two with the end of the span.
   */
  dispatch(namespace, inputs, { many = false, type = 'send' } = {}) {
    return this.#safely(() => {
      const first = inputs[0] ?? {};
      const destination = destinationOf(namespace, first);
      const isShared = inputs.every((input) => destinationOf(namespace, input) === destination);
      const name = isShared ? destination : namespace;
      const attributes = {
        ...messaging(type, 'dispatch', name),
        ...this.#jobAttributes(namespace, isShared ? first : {}),
        ...(many && { 'messaging.batch.message_count': inputs.length }),
      };
      const kind = this.#api.SpanKind.PRODUCER;
      const span = this.#tracer.startSpan(`dispatch ${name}`, { kind, attributes });
      const done = (job) => {
        if (typeof job?.job_id === 'string') span.setAttribute('messaging.message.id', job.job_id);
        span.end();
      };
      return {
        trace: traceText(this.#api, span.spanContext()),
        settling: (resolve, reject) => ({
          resolve: (answer) => {
            this.#safely(() => done(answer));
            resolve(answer);
          },
          reject: (error) => {
            this.#safely(() => this.#fail(span, error));
            reject(error);
          },
        }),
      };
    });
  }

  /**
   * Begins the span of an attempt that a handler makes. `trace` is the one that was stored; `linked`: the attempt begins a
   * trace of its own, with a link to that one.
   */
  attempt(job, trace, linked) {
    return this.#safely(() => {
      const span = this.#begin(job, trace, linked);
      const within = this.#api.trace.setSpan(this.#api.ROOT_CONTEXT, span);
      let isOver = false;
      return {
        /** Calls the handler within it. */
        call: (work) => this.#api.context.with(within, work),
        /** The attempt has ended, with this failure or none. What comes after the first end does not count. */
        end: (failure) => {
          if (isOver) return;
          isOver = true;
          this.#safely(() => (failure ? this.#fail(span, failure) : span.end()));
        },
      };
    });
  }

  /** A function that does the work, of a step or of its rollback, in a span of its own for each call. */
  withSpan = (name, attributesOf, work) => {
    const { SpanKind, context, trace } = this.#api;
    return async (...given) => {
      const options = { kind: SpanKind.INTERNAL, attributes: attributesOf(...given) };
      const span = this.#safely(() => this.#tracer.startSpan(name, options));
      if (span === undefined) return work(...given);
      try {
        const value = await context.with(trace.setSpan(context.active(), span), work, undefined, ...given);
        this.#safely(() => span.end());
        return value;
      } catch (error) {
        this.#safely(() => this.#fail(span, error));
        throw error;
      }
    };
  };

  /** Begins the spans of an attempt that is done in Rust; returns the JSON of what they hand on. */
  beginNative(key, attempt) {
    const carried = this.#safely(() => {
      const { ROOT_CONTEXT, propagation, trace } = this.#api;
      const [startTime, attributes] = [Date.now(), attempt.call];
      const own = this.#begin(attempt, attempt.trace, attempt.linked, startTime);
      const within = trace.setSpan(ROOT_CONTEXT, own);
      const call = attributes && this.#beginCall(attempt, attributes, startTime, within);
      this.#native.set(key, { own, call, startTime });
      const headers = {};
      if (call) propagation.inject(trace.setSpan(within, call), headers);
      return { trace: traceText(this.#api, own.spanContext()), headers };
    });
    return JSON.stringify(carried ?? {});
  }

  /** Ends them, `took` ms after their beginning. A failure has a code and a message, a snooze empty ones. */
  endNative(key, took, code, message) {
    const spans = this.#native.get(key);
    this.#native.delete(key);
    if (spans === undefined) return;
    const endTime = spans.startTime + took;
    for (const span of [spans.call, spans.own]) {
      this.#safely(() => (code ? this.#fail(span, { code, message }, endTime) : span?.end(endTime)));
    }
  }

  #begin(job, trace, linked, startTime) {
    const { ROOT_CONTEXT, SpanKind, trace: traces } = this.#api;
    const isPart = job.part !== undefined;
    const destination = destinationOf(job.namespace, job);
    const before = spanContextOf(this.#api, trace);
    const options = {
      // A part of a feature is called by the feature, and is no message of its own.
      kind: isPart ? SpanKind.INTERNAL : SpanKind.CONSUMER,
      attributes: {
        ...messaging('process', 'process', destination),
        ...this.#jobAttributes(job.namespace, job),
        'messaging.message.id': job.id,
        'ductape.run': job.run,
        'ductape.attempt': job.attempt,
        ...(isPart && { 'ductape.part': job.part }),
      },
      links: before && !isPart ? [{ context: before }] : [],
      startTime,
    };
    const parent = before && !linked ? traces.setSpanContext(ROOT_CONTEXT, before) : ROOT_CONTEXT;
    return this.#tracer.startSpan(`process ${destination}`, options, parent);
  }

  /** The span of the call of a server, named as the conventions of its kind want it. */
  #beginCall(job, attributes, startTime, within) {
    const { SpanKind } = this.#api;
    const kind = job.namespace === 'events' ? SpanKind.PRODUCER : SpanKind.CLIENT;
    const [name, more] = callName(job, attributes);
    return this.#tracer.startSpan(name, { kind, attributes: { ...attributes, ...more }, startTime }, within);
  }

  #jobAttributes(namespace, job) {
    const { product = this.#defaults.product, env = this.#defaults.env } = job;
    return {
      'ductape.namespace': namespace,
      ...(typeof product === 'string' && { 'ductape.product': product }),
      ...(typeof env === 'string' && { 'ductape.env': env }),
    };
  }

  /** Ends a span as failed. */
  #fail(span, failure, endTime) {
    if (span === undefined) return;
    const { code, message, stack } = toFailure(failure);
    const shown = (text) => this.#mask(text).slice(0, MAX_TEXT_CHARS);
    span.setAttribute('error.type', code);
    span.recordException({ name: code, message: shown(message), stack: stack && shown(stack) }, endTime);
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: `${code}: ${shown(message)}` });
    span.end(endTime);
  }

  /** What the program's exporters and processors throw must not fail a job. */
  #safely(act) {
    try {
      return act();
    } catch (error) {
      if (!this.#hasWarned) this.#warn(`telemetry failed, and jobs go on without it: ${toFailure(error).message}`);
      this.#hasWarned = true;
      return undefined;
    }
  }
}

/** Attributes that the spans of dispatches and of attempts have in common. */
const messaging = (type, name, destination) => ({
  'messaging.system': 'ductape',
  'messaging.operation.type': type,
  'messaging.operation.name': name,
  'messaging.destination.name': destination,
});

/** Name of the span of a call, and what attributes it has beside those that the resource knows. */
function callName(job, attributes) {
  const { 'http.request.method': method, 'messaging.system': system, 'db.system.name': database } = attributes;
  if (method) return [method, {}];
  if (system) {
    const topic = attributes['messaging.destination.name'] ?? job.event;
    return [`send ${topic}`, { 'messaging.operation.type': 'send', 'messaging.operation.name': 'send' }];
  }
  const destination = destinationOf(job.namespace, job).slice(job.namespace.length + 1);
  return [database ? `${database} ${destination}` : `call ${destination}`, {}];
}

module.exports = { Telemetry };
