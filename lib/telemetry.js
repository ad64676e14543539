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
function traceText(api, { traceId, spanId, traceFlags, traceState }) {
  if (traceId === api.INVALID_TRACEID) return undefined;
  const parent = `00-${traceId}-${spanId}-${traceFlags & 1 ? '01' : '00'}`;
  const state = traceState?.serialize();
  if (state === undefined) return parent;
  return /^[\x20-\x7e]+$/.test(state) ? `${parent} ${state}` : parent;
}

/** The span context of such a text. */
function spanContextOf(api, text) {
  const found = TRACE.exec(text);
  if (!found) return undefined;
  const [, traceId, spanId, flags, state] = found;
  const traceState = state === undefined ? undefined : api.createTraceState(state);
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true, traceState };
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

  /** Begins the span of a dispatch, or of a list of them, in the context of its caller; `inputs` are what was read. */
  dispatch(namespace, inputs, many, type = 'send') {
    try {
      return this.#dispatch(namespace, inputs, many, type);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #dispatch(namespace, inputs, many, type) {
    const [first] = inputs;
    let destination = destinationOf(namespace, first);
    const isShared = inputs.length < 2 || inputs.every((input) => destinationOf(namespace, input) === destination);
    if (!isShared) destination = namespace;
    const attributes = this.#attributes(type, 'dispatch', destination, namespace, isShared ? first : undefined);
    if (many) attributes['messaging.batch.message_count'] = inputs.length;
    const kind = this.#api.SpanKind.PRODUCER;
    const span = this.#tracer.startSpan(`dispatch ${destination}`, { kind, attributes });
    return new DispatchSpan(this, span, traceText(this.#api, span.spanContext()));
  }

  /** Ends the span of a dispatch. */
  endDispatch(span, error, job) {
    try {
      if (error !== undefined) return this.#fail(span, error);
      if (typeof job?.job_id === 'string') span.setAttribute('messaging.message.id', job.job_id);
      span.end();
    } catch (failure) {
      this.#failed(failure);
    }
  }

  /**
   * Begins the span of an attempt that a handler makes. `trace` is the one that was stored; `linked`: the attempt begins a
   * trace of its own, with a link to that one.
   */
  attempt(job, trace, linked) {
    try {
      return new AttemptSpan(this, this.#api, this.#begin(job, trace, linked));
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Ends the span of an attempt, with this failure or none. */
  endAttempt(span, failure) {
    try {
      if (failure) this.#fail(span, failure);
      else span.end();
    } catch (error) {
      this.#failed(error);
    }
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

  /**
   * Ends them, `took` ms after their beginning, with the status of an HTTP response or 0. A failure has a code and a message, a
   * snooze empty ones.
   */
  endNative(key, took, status, code, message) {
    const spans = this.#native.get(key);
    this.#native.delete(key);
    if (spans === undefined) return;
    const endTime = spans.startTime + took;
    if (status > 0) this.#safely(() => spans.call?.setAttribute('http.response.status_code', status));
    for (const span of [spans.call, spans.own]) {
      this.#safely(() => (code ? this.#fail(span, { code, message }, endTime) : span?.end(endTime)));
    }
  }

  #begin(job, trace, linked, startTime) {
    const { ROOT_CONTEXT, SpanKind, trace: traces } = this.#api;
    const { namespace, part } = job;
    const destination = destinationOf(namespace, job);
    const attributes = this.#attributes('process', 'process', destination, namespace, job);
    attributes['messaging.message.id'] = job.id;
    attributes['ductape.run'] = job.run;
    attributes['ductape.attempt'] = job.attempt;
    // A part of a feature is called by the feature, and is no message of its own.
    if (part !== undefined) attributes['ductape.part'] = part;
    const kind = part === undefined ? SpanKind.CONSUMER : SpanKind.INTERNAL;
    const before = trace === undefined ? undefined : spanContextOf(this.#api, trace);
    const links = before === undefined || part !== undefined ? undefined : [{ context: before }];
    const parent = before === undefined || linked ? ROOT_CONTEXT : traces.setSpanContext(ROOT_CONTEXT, before);
    return this.#tracer.startSpan(`process ${destination}`, { kind, attributes, links, startTime }, parent);
  }

  /** The span of the call of a server, named as the conventions of its kind want it. */
  #beginCall(job, attributes, startTime, within) {
    const { SpanKind } = this.#api;
    const kind = job.namespace === 'events' ? SpanKind.PRODUCER : SpanKind.CLIENT;
    const [name, more] = callName(job, attributes);
    return this.#tracer.startSpan(name, { kind, attributes: { ...attributes, ...more }, startTime }, within);
  }

  /** Of dispatches and of attempts. */
  #attributes(type, operation, destination, namespace, job) {
    const attributes = {
      'messaging.system': 'ductape',
      'messaging.operation.type': type,
      'messaging.operation.name': operation,
      'messaging.destination.name': destination,
      'ductape.namespace': namespace,
    };
    const product = job?.product ?? this.#defaults.product;
    const env = job?.env ?? this.#defaults.env;
    if (typeof product === 'string') attributes['ductape.product'] = product;
    if (typeof env === 'string') attributes['ductape.env'] = env;
    return attributes;
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

  #safely(act) {
    try {
      return act();
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** What the program's processors and exporters throw must not fail a job. */
  #failed(error) {
    if (!this.#hasWarned) this.#warn(`telemetry failed, and jobs go on without it: ${toFailure(error).message}`);
    this.#hasWarned = true;
    return undefined;
  }
}

/** The span of a dispatch. */
class DispatchSpan {
  #telemetry;
  #span;

  /** `trace` is what is stored with the jobs. */
  constructor(telemetry, span, trace) {
    this.#telemetry = telemetry;
    this.#span = span;
    this.trace = trace;
  }

  /** The functions that settle its promise, with the end of the span; `follow` takes a promise that will reject. */
  settling(resolve, reject) {
    return {
      resolve: (answer) => {
        this.#telemetry.endDispatch(this.#span, undefined, answer);
        resolve(answer);
      },
      reject: (error) => {
        this.#telemetry.endDispatch(this.#span, error);
        reject(error);
      },
      follow: (failing) => resolve(this.settled(failing)),
    };
  }

  /** Settles as the promise does, with the end of the span. */
  settled(promise) {
    return promise.then(
      (answer) => {
        this.#telemetry.endDispatch(this.#span, undefined, answer);
        return answer;
      },
      (error) => {
        this.#telemetry.endDispatch(this.#span, error);
        throw error;
      },
    );
  }
}

/** The span of an attempt that a handler makes. What comes after its first end does not count. */
class AttemptSpan {
  #telemetry;
  #api;
  #span;
  #isOver = false;

  constructor(telemetry, api, span) {
    this.#telemetry = telemetry;
    this.#api = api;
    this.#span = span;
  }

  /** Calls the handler within it. */
  call(work) {
    const { ROOT_CONTEXT, context, trace } = this.#api;
    return context.with(trace.setSpan(ROOT_CONTEXT, this.#span), work);
  }

  /** The attempt has ended, with this failure or none. */
  end(failure) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#telemetry.endAttempt(this.#span, failure);
  }
}

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
