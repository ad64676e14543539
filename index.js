'use strict';
// The JavaScript side: promises and handlers. All else is Rust, behind the native class `Ductape`.

const { version } = require('./package.json');
const { DuctapeError, refuse, rethrow, stringify, toError, toFailure } = require('./errors.js');
const { JobContext } = require('./job.js');
const { Listeners } = require('./listeners.js');

// Taken here, so that fake timers installed later do not stop the traffic with the native side.
const { setImmediate } = require('node:timers');
const { performance } = require('node:perf_hooks');
const now = performance.now.bind(performance);
const { isUint8Array } = require('node:util/types');

/** Messages handled in one macrotask, so that a flood of them does not starve the event loop. */
const MESSAGES_PER_TURN = 2000;
/** A batch of fewer messages is followed by another one only in the next macrotask. */
const MIN_FOLLOW_UP_MESSAGES = 16;
/** ms after which a macrotask handles no further message: handlers and listeners run in it, and may take their time. */
const MAX_TURN_MS = 4;

/** Dispatches that cross together, at most, so that the native side begins while others are made. */
const MAX_BATCH_DISPATCHES = 64;
/** Length of their texts from which on they cross at once. */
const MAX_BATCH_CHARS = 64 * 1024;

/** Largest result that is kept, in bytes of JSON. */
const MAX_RESULT_BYTES = 1024 * 1024;

const NAMESPACES = [
  'actions',
  'features',
  'notifications',
  'storage',
  'events',
  'databases',
  'databases.action',
  'graphs',
  'graphs.action',
];

/** The native class; loaded by the first instance, so that importing the package does nothing. */
let native;

function loadNative() {
  if (native) return native;
  try {
    native = require('./native.js');
  } catch (cause) {
    const platform = `${process.platform} ${process.arch}`;
    throw new Error(
      `ductape has no binary for ${platform} here. If it is a supported platform, the optional dependency for it was not ` +
        'installed: remove node_modules and the lock file and install again without --omit=optional. Otherwise build it ' +
        'from source with a Rust toolchain: npm run build.',
      { cause },
    );
  }
  return native;
}

/** What nearly every dispatch resolves with; it crosses without the names of its members. */
function queued(id, since) {
  return { job_id: id, status: 'queued', scheduled_at: since, recurring: false };
}

/** Bytes of a storage input as base64, which is how they are stored. */
function withBase64(input) {
  let buffer;
  try {
    buffer = input?.input?.buffer;
  } catch {
    // A getter that throws does so again under `JSON.stringify`, whose failures are reported.
  }
  // Not `instanceof`: a test runner's bytes may be of another realm.
  if (!isUint8Array(buffer)) return input;
  const text = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('base64');
  return { ...input, input: { ...input.input, buffer: text } };
}

/** Marks a value as it is: no text in it is read as an expression. */
const literal = (value) => (value === undefined ? undefined : { $literal: value });

/** For the types alone: where resources stand in a file of their own. */
const defineResources = (resources) => resources;

/** Refuses a logger that some message would find no method on. */
function checkLogger(logger) {
  if (logger === undefined || logger === null) return;
  const missing = ['debug', 'info', 'warn', 'error'].filter((level) => typeof logger[level] !== 'function');
  if (missing.length === 0) return;
  const message = `must have the methods debug, info, warn and error, lacks ${missing.join(', ')}`;
  throw new DuctapeError('VALIDATION_ERROR', `options.logger: ${message}`, {
    details: [{ path: 'options.logger', message }],
  });
}

/** Instances that are not closed: what they hold is handed back when the process ends, `process.exit()` included. */
const openBridges = new Set();

function shutDownOnExit(bridge) {
  if (openBridges.size === 0) process.once('exit', shutDownAll);
  openBridges.add(bridge);
}

function shutDownAll() {
  for (const bridge of openBridges) bridge.shutDown();
  openBridges.clear();
}

function forgetBridge(bridge) {
  openBridges.delete(bridge);
  if (openBridges.size === 0) process.removeListener('exit', shutDownAll);
}

/** The traffic of one instance with its native side. */
class Bridge {
  #native;
  #logger;
  #secrets;
  #tickets = new Map();
  #lastTicket = 0;
  #handlers = new Map();
  #lastHandler = 0;
  #jobs = new Map();
  /** Messages that were taken, and how many of them were handled. */
  #incoming = [];
  #handledCount = 0;
  #answers = '';
  /** Dispatches that have not crossed yet, a line each, and the ticket of the first; their tickets follow each other. */
  #batch = '';
  #batchSize = 0;
  #firstTicket = 0;
  #listeners;
  /** Whether time passes by itself. */
  #timePasses;
  #ended = false;

  constructor(options) {
    const { Ductape: Native } = loadNative();
    const { logger, secrets, ...rest } = options;
    checkLogger(logger);
    this.#timePasses = rest.clock !== 'manual';
    const asks = typeof secrets === 'function';
    this.#secrets = secrets;
    if (secrets !== undefined && secrets !== null) rest.secrets = asks || secrets;
    this.#logger = logger ?? { debug() {}, info() {}, warn: console.warn, error: console.error };
    const environment = Native.environmentNames().map((name) => [name, process.env[name] ?? '']);
    if (!this.#secrets) {
      const prefix = Native.secretVariables();
      environment.push(...Object.entries(process.env).filter(([name]) => name.startsWith(prefix)));
    }
    try {
      this.#native = new Native(stringify(rest, 'options'), JSON.stringify(environment), () => this.#deliver(), asks);
    } catch (error) {
      rethrow(error);
    }
    this.#listeners = new Listeners(Native.eventNames(), {
      wanted: (mask) => this.#native.listen(mask),
      refuse,
      failed: (payload, error) => {
        const { message, stack } = toFailure(error);
        this.#log('error', `a listener of ${payload.event} failed, for job ${payload.job.id}: ${stack ?? message}`);
      },
    });
    shutDownOnExit(this);
  }

  get listeners() {
    return this.#listeners;
  }

  shutDown() {
    this.#send();
    this.#native.shutDown();
  }

  /** Nothing is asked any more; the threads go when the last answer has come. */
  end() {
    this.#ended = true;
    this.hold(false);
    this.#shutDownWhenIdle();
  }

  #shutDownWhenIdle() {
    if (!this.#ended || this.#tickets.size > 0) return;
    forgetBridge(this);
    setImmediate(() => this.shutDown());
  }

  get now() {
    return this.#native.now();
  }

  dispatch(namespace, input, many) {
    return new Promise((resolve, reject) => {
      this.#refuseIfEnded();
      const taken =
        namespace !== 'storage' ? input : many && Array.isArray(input) ? input.map(withBase64) : withBase64(input);
      // What the caller wrote may run here, and dispatch in its turn: the ticket is given afterwards.
      const text = stringify(taken, many ? 'inputs' : 'input');
      const ticket = ++this.#lastTicket;
      this.#tickets.set(ticket, { resolve, reject });
      this.#addToBatch(ticket, `${namespace} ${many ? 'many' : 'one'} ${text}`);
    });
  }

  /** Collects dispatches until the microtasks that wait have run, or there are enough, then sends them together. */
  #addToBatch(ticket, line) {
    if (this.#batchSize === 0) {
      this.#batch = line;
      this.#firstTicket = ticket;
      Promise.resolve().then(() => this.#send());
    } else {
      this.#batch += `\n${line}`;
    }
    this.#batchSize++;
    if (this.#batchSize === MAX_BATCH_DISPATCHES || this.#batch.length > MAX_BATCH_CHARS) this.#send();
  }

  #send() {
    if (this.#batchSize === 0) return;
    const [first, count, batch] = [this.#firstTicket, this.#batchSize, this.#batch];
    this.#batchSize = 0;
    this.#batch = '';
    try {
      this.#native.dispatch(first, count, batch);
    } catch (error) {
      for (let ticket = first; ticket < first + count; ticket++) this.#takeTicket(ticket)?.reject(error);
    }
  }

  statement(namespace, input) {
    return this.call('statement', namespace, namespace === 'storage' ? withBase64(input) : input);
  }

  call(method, ...args) {
    return new Promise((resolve, reject) => {
      this.#refuseIfEnded();
      const text = stringify(args, 'arguments');
      // In the order in which they were made.
      this.#send();
      const ticket = ++this.#lastTicket;
      this.#tickets.set(ticket, { resolve, reject });
      try {
        this.#native.call(ticket, method, text);
      } catch (error) {
        this.#tickets.delete(ticket);
        throw error;
      }
    });
  }

  hold(on) {
    this.#native.hold(on);
  }

  handle(namespace, target, handler, options) {
    if (typeof handler !== 'function') {
      const message = `must be a function, got ${handler === null ? 'null' : typeof handler}`;
      throw new DuctapeError('VALIDATION_ERROR', `handler: ${message}`, { details: [{ path: 'handler', message }] });
    }
    const number = ++this.#lastHandler;
    this.#handlers.set(number, handler);
    let id;
    try {
      id = this.#native.register(
        namespace,
        number,
        stringify(target ?? {}, 'target'),
        stringify(options ?? {}, 'options'),
      );
    } catch (error) {
      this.#handlers.delete(number);
      rethrow(error);
    }
    return () => {
      this.#native.unregister(id);
      this.#handlers.delete(number);
    };
  }

  note(key, claim, kind, value) {
    if (this.#jobs.has(key)) this.#native.note(claim, kind, value);
  }

  /** What the steps of an attempt need of the native side. */
  steps(key, claim, part) {
    // What a part of a feature finishes is its own.
    const prefix = part === undefined ? '' : `${part}/`;
    return {
      timePasses: this.#timePasses,
      recall: async () => {
        const all = await this.call('steps.recall', claim);
        const own = all.filter(([tag]) => tag.startsWith(prefix));
        return own.map(([tag, text]) => [tag.slice(prefix.length), text]);
      },
      record: (tag, text) => this.call('steps.record', claim, prefix + tag, text),
      forget: () => this.call('steps.forget', claim),
      delay: (failure, spent, retries) => this.#native.delay(key, JSON.stringify(failure), spent, retries),
      mask: (text) => this.#native.mask(text),
      warn: (message) => this.#log('error', message),
    };
  }

  #refuseIfEnded() {
    if (this.#ended) throw new DuctapeError('CLOSED', 'this Ductape instance is closed; create a new one');
  }

  /** Handles what the native side has; the rest, if there is much or it takes long, in the next macrotask. */
  #deliver() {
    const until = now() + MAX_TURN_MS;
    for (let handled = 0; ; handled++) {
      if (this.#handledCount === this.#incoming.length) {
        // The other side is at it: in a moment more will have gathered.
        if (handled > 0 && this.#incoming.length < MIN_FOLLOW_UP_MESSAGES) break;
        if (!this.#take()) return;
      }
      if (handled === MESSAGES_PER_TURN || (handled > 0 && now() >= until)) break;
      this.#receive(this.#incoming[this.#handledCount++]);
    }
    // Nobody wakes this side before it has seen that nothing is left.
    setImmediate(() => this.#deliver());
  }

  /** Takes the next batch; `false`: there is none. */
  #take() {
    const text = this.#native.take();
    this.#incoming = text === '' ? [] : JSON.parse(text);
    this.#handledCount = 0;
    return text !== '';
  }

  #receive(message) {
    switch (message[0]) {
      case 'd':
        for (let at = 2; at < message.length; at += 2) {
          this.#takeTicket(message[at])?.resolve(queued(message[at + 1], message[1]));
        }
        break;
      case 'm':
        this.#takeTicket(message[2])?.resolve(message[3].map((id) => queued(id, message[1])));
        break;
      case 'r':
        this.#takeTicket(message[1])?.resolve(message[2]);
        break;
      case 'e':
        this.#takeTicket(message[1])?.reject(toError(message[2]));
        break;
      case 'x':
        this.#execute(message[1], message[2], message[3]);
        break;
      case 'a':
        this.#abort(message[1], new DuctapeError(message[2], message[3]));
        break;
      case 'v':
        this.#listeners.emit(message[1]);
        break;
      case 'l':
        this.#log(message[1], message[2]);
        break;
      case 'o':
        this.#native.work();
        break;
      case 's':
        this.#answerSecret(message[1], message[2]);
        break;
    }
  }

  /** Asks the function of the options, whose answer may be a promise. */
  async #answerSecret(number, key) {
    let answer;
    try {
      const value = await this.#secrets(key);
      const wrong = value !== undefined && value !== null && typeof value !== 'string';
      answer = wrong ? { error: `it must give a string or undefined, got ${typeof value}` } : { value };
    } catch (error) {
      answer = { error: toFailure(error).message };
    }
    this.#native.secret(number, JSON.stringify(answer));
  }

  #takeTicket(number) {
    const ticket = this.#tickets.get(number);
    this.#tickets.delete(number);
    this.#shutDownWhenIdle();
    return ticket;
  }

  #log(level, message) {
    try {
      this.#logger[level]?.(`ductape: ${this.#native.mask(message)}`);
    } catch {
      // A logger that throws must not stop the jobs, and there is nobody left to tell.
    }
  }

  #execute(number, key, fields) {
    const handler = this.#handlers.get(number);
    if (!handler) return this.#answer(key, 3, 'null');
    const job = new JobContext(fields, key, this);
    this.#jobs.set(key, job);
    let returned;
    try {
      returned = handler(job);
    } catch (error) {
      return this.#handlerReturned(key, job, toFailure(error));
    }
    // Also for values that are no promises, so that answers of one turn travel together.
    Promise.resolve(returned).then(
      (value) => this.#handlerReturned(key, job, undefined, value),
      (error) => this.#handlerReturned(key, job, toFailure(error)),
    );
  }

  /** A handler is done; its steps may not be. */
  #handlerReturned(key, job, failure, value) {
    const steps = JobContext.steps(job);
    if (steps) {
      steps.end(failure).then((failure) => this.#stepsEnded(key, job, failure, value));
    } else {
      this.#stepsEnded(key, job, failure, value);
    }
  }

  #stepsEnded(key, job, failure, value) {
    if (failure) this.#answer(key, 1, JSON.stringify(failure));
    else this.#succeeded(key, job, value);
  }

  #succeeded(key, job, value) {
    const snooze = JobContext.snoozed(job);
    if (snooze !== undefined) return this.#answer(key, 2, String(snooze));
    let text;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      this.#log(
        'warn',
        `the result of job ${job.id} cannot be stored and is dropped: ${toFailure(error).message.split('\n')[0]}`,
      );
    }
    // No character takes more than three bytes per unit of length, so most results need no counting.
    const bytes = text !== undefined && text.length * 3 > MAX_RESULT_BYTES ? Buffer.byteLength(text) : 0;
    if (bytes > MAX_RESULT_BYTES) {
      this.#log('warn', `the result of job ${job.id} is ${bytes} bytes of JSON, the limit is 1 MiB; it is dropped`);
      text = undefined;
    }
    if (text === undefined) this.#answer(key, 4, 'null');
    else this.#answer(key, 0, text);
  }

  /** Collects answers until the microtasks of this turn have run, then sends them together. */
  #answer(key, kind, value) {
    this.#jobs.delete(key);
    if (this.#answers === '') Promise.resolve().then(() => this.#flush());
    this.#answers += `${this.#answers === '' ? '[' : ','}[${key},${kind},${value}]`;
  }

  #flush() {
    const answers = `${this.#answers}]`;
    this.#answers = '';
    this.#native.finish(answers);
  }

  #abort(key, error) {
    const job = this.#jobs.get(key);
    if (job) JobContext.abort(job, error);
  }
}

/** `dispatch`, `dispatchMany` and `handle` of one namespace. */
function namespace(bridge, name, more = {}) {
  return {
    dispatch: (input) => bridge.dispatch(name, input, false),
    dispatchMany: (inputs) => bridge.dispatch(name, inputs, true),
    statement: (input) => bridge.statement(name, input),
    handle: (target, handler, options) => bridge.handle(name, target, handler, options),
    ...more,
  };
}

const SIGNALS = ['SIGTERM', 'SIGINT'];

/** Instances that a signal closes. */
const workers = new Set();

/** Drains the process, then ends it where nobody else has anything to say about it. A second signal does not wait. */
function onSignal(signal) {
  const alone = process.listenerCount(signal) === 0;
  Promise.allSettled(Array.from(workers, (worker) => worker.close())).then(() => {
    if (alone) process.kill(process.pid, signal);
  });
}

function closeOnSignal(instance) {
  if (workers.size === 0) for (const signal of SIGNALS) process.once(signal, onSignal);
  workers.add(instance);
}

function stopClosingOnSignal(instance) {
  workers.delete(instance);
  if (workers.size === 0) for (const signal of SIGNALS) process.removeListener(signal, onSignal);
}

class Ductape {
  #bridge;
  #closed;

  constructor(options = {}) {
    if (options === null || typeof options !== 'object') {
      throw new DuctapeError(
        'VALIDATION_ERROR',
        `options: must be an object, got ${options === null ? 'null' : typeof options}`,
      );
    }
    const bridge = new Bridge(options);
    this.#bridge = bridge;
    const spaces = Object.fromEntries(NAMESPACES.map((name) => [name, namespace(bridge, name)]));
    this.actions = spaces.actions;
    this.features = {
      ...spaces.features,
      define: (tag, handler, options) => bridge.handle('features', { tag }, handler, options),
    };
    this.notifications = spaces.notifications;
    this.storage = spaces.storage;
    this.events = spaces.events;
    this.databases = { ...spaces.databases, action: spaces['databases.action'] };
    this.graphs = { ...spaces.graphs, action: spaces['graphs.action'] };
    this.api = this.actions;
    this.feature = this.features;
    this.database = this.databases;
    this.graph = this.graphs;
    this.jobs = {
      get: (id) => bridge.call('jobs.get', id),
      list: (filter) => bridge.call('jobs.list', filter),
      wait: (id, options) => bridge.call('jobs.wait', id, options),
      cancel: (id, options) => bridge.call('jobs.cancel', id, options),
      cancelRun: (id, options) => bridge.call('jobs.cancelRun', id, options),
      cancelMany: (filter, options) => bridge.call('jobs.cancelMany', filter, options),
      pause: (id) => bridge.call('jobs.pause', id),
      pauseMany: (filter) => bridge.call('jobs.pauseMany', filter),
      resume: (id) => bridge.call('jobs.resume', id),
      resumeMany: (filter) => bridge.call('jobs.resumeMany', filter),
      reschedule: (id, schedule) => bridge.call('jobs.reschedule', id, schedule),
      retry: (id, options) => bridge.call('jobs.retry', id, options),
      retryMany: (filter, options) => bridge.call('jobs.retryMany', filter, options),
      delete: (id) => bridge.call('jobs.delete', id),
      deleteMany: (filter) => bridge.call('jobs.deleteMany', filter),
      getStats: (filter) => bridge.call('jobs.getStats', filter),
      logs: (id) => bridge.call('jobs.logs', id),
      getHistory: (id, options) => bridge.call('jobs.getHistory', id, options),
      preview: (schedule, options) => bridge.call('jobs.preview', schedule, options),
      explain: (id) => bridge.call('jobs.explain', id),
      setWebhook: (webhook) => bridge.call('jobs.setWebhook', webhook),
      listWebhooks: () => bridge.call('jobs.listWebhooks'),
      deleteWebhook: (idOrUrl) => bridge.call('jobs.deleteWebhook', idOrUrl),
      on: (event, listener) => bridge.listeners.add(event, listener, false),
      once: (event, listener) => bridge.listeners.add(event, listener, true),
      off: (event, listener) => bridge.listeners.remove(event, listener),
    };
    this.sessions = {
      start: (session) => bridge.call('sessions.start', session),
      verify: (session) => bridge.call('sessions.verify', session),
      refresh: (session) => bridge.call('sessions.refresh', session),
      revoke: (session) => bridge.call('sessions.revoke', session),
    };
    this.resources = { check: (options) => bridge.call('resources.check', options) };
    this.caches = {
      get: (entry) => bridge.call('caches.get', entry),
      set: (entry) => bridge.call('caches.set', entry),
      clear: (entry) => bridge.call('caches.clear', entry),
      clearAll: (cache) => bridge.call('caches.clearAll', cache),
    };
    this.clock = {
      now: () => bridge.now,
      advance: (by, options) => bridge.call('clock.advance', by, options),
      set: (date, options) => bridge.call('clock.set', date instanceof Date ? date.getTime() : date, options),
    };
    this.version = Object.freeze({ package: version, tzdb: native.Ductape.tzdbVersion() });
  }

  async start(options = {}) {
    await this.#bridge.call('start');
    this.#bridge.hold(true);
    if (options.signals !== false && !this.#closed) closeOnSignal(this);
  }

  close(options) {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options) {
    let closed = true;
    try {
      await this.#bridge.call('close', options);
    } catch (error) {
      // A wrong argument closes nothing; the next call may do better.
      closed = error.code !== 'VALIDATION_ERROR';
      throw error;
    } finally {
      if (closed) {
        stopClosingOnSignal(this);
        this.#bridge.end();
      } else {
        this.#closed = undefined;
      }
    }
  }

  drain(options) {
    return this.#bridge.call('drain', options);
  }
}

Object.defineProperty(exports, '__esModule', { value: true });
exports.Ductape = Ductape;
exports.DuctapeError = DuctapeError;
exports.defineResources = defineResources;
exports.literal = literal;
exports.default = Ductape;
