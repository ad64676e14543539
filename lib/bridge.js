'use strict';
// The traffic of one instance with its native side: calls, promises, messages.

const { refuseMore, refuseNullAndFunction } = require('./arguments.js');
const { AnswerBatch, DispatchBatch } = require('./batches.js');
const { CallContext } = require('./call-context.js');
const { dispatches, isObserved } = require('./channels.js');
const { DuctapeError, refuse, refuseAll, rethrow, toFailure } = require('./errors.js');
const { forgetBridge, shutDownOnExit } = require('./exit.js');
const { readTarget } = require('./handler-target.js');
const {
  joinLists,
  members,
  nullsOfArgument,
  nullsOfJson,
  readArgument,
  reported,
  stringify,
  stringifyList,
  withInherited,
} = require('./json.js');
const { takeIgnoredOptions } = require('./ignored-options.js');
const { Listeners } = require('./listeners.js');
const { keysForNative } = require('./encryption-keys.js');
const { ListParts } = require('./list-parts.js');
const { resolveLogger } = require('./logger.js');
const { withMark } = require('./marks.js');
const { loadNative } = require('./native.js');
const { DISPATCH_FORM, MESSAGE, dispatchLine, queuedJob, secretAnswer, tracedLine } = require('./protocol.js');
const { failingWith, promiseFor } = require('./rejections.js');
const { RESERVED_PREFIX } = require('./step-records.js');
const { prepareInput } = require('./storage.js');
const { logged } = require('./text.js');
const { monotonicNow, setImmediate } = require('./timers.js');

/** Messages handled in one macrotask, so that a flood of them does not starve the event loop. */
const MAX_TURN_MESSAGES = 2000;
/** A batch of fewer messages is followed by another one only in the next macrotask. */
const MIN_FOLLOW_UP_MESSAGES = 16;
/** ms after which a macrotask handles no further message: handlers and listeners run in it, and may take their time. */
const MAX_TURN_MS = 4;

/** Length of the JSON of one call, and `maxInputBytes` more: the event loop waits while it is written and handed over. */
const MAX_CALL_CHARS = 64 * 1024 * 1024;

const LEFT_WORK =
  'this process ends while jobs wait that it has handlers for: call `await ductape.start()` to keep it running until `close()`, or ' +
  '`await ductape.drain()` before its end to run what is due';

class Bridge {
  #native;
  #logger;
  /** The function, or the object, that secrets come from. */
  #secrets;
  /** The function that encryption keys come from. */
  #askKeys;
  /** That of the functions in the options. */
  #context = new CallContext();
  /** `{ resolve, reject }` by ticket; some have `follow`, which takes a promise that will reject. */
  #tickets = new Map();
  #lastTicket = 0;
  /** By number `{ handler, context }`. */
  #handlers = new Map();
  /** What the options gave, for whoever shows it. */
  #resources;
  #lastHandler = 0;
  /** Made with the first handler: a process that only dispatches needs neither this nor what it is made of. */
  #attempts;
  /** Messages that were taken, and how many of them were handled. */
  #messages = [];
  #handledCount = 0;
  #dispatches = new DispatchBatch((first, count, text) => this.#sendDispatches(first, count, text));
  #answers = new AnswerBatch((text) => this.#native.finish(text));
  #listeners;
  /** Makes spans; `undefined` unless the options ask for it. */
  #telemetry;
  /** What marks expressions; `undefined`: nothing. */
  #mark;
  /** Length of the JSON that one call may hand over. */
  #maxChars;
  /** Whether time passes by itself. */
  #timePasses;
  #ended = false;
  #hasDispatched = false;
  /** Whether nobody has said yet until when this process works: by `start`, `drain` or the end of the instance. */
  #mayLeaveWork = true;
  #onShutDown;

  constructor(options) {
    const { Ductape: Native } = loadNative();
    const { logger, secrets: givenSecrets, encryptionKeys, ...given } = reported('options', () => members(options));
    const [rest, secrets] = reported('options', () => [withInherited(given), withInherited(givenSecrets)]);
    this.#logger = resolveLogger(logger);
    this.#timePasses = rest.clock !== 'manual' && rest.clock?.manual !== true;
    this.#mayLeaveWork = rest.worker !== false;
    const ignored = takeIgnoredOptions(rest);
    this.#maxChars = MAX_CALL_CHARS + (Number.isInteger(rest.maxInputBytes) ? rest.maxInputBytes : 0);
    this.#resources = rest.resources;
    if (rest.telemetry === true) this.#telemetry = this.#openTelemetry(rest);
    const asksSecrets = typeof secrets === 'function';
    this.#secrets = secrets;
    if (secrets !== undefined && secrets !== null) rest.secrets = asksSecrets || secrets;
    // To the native side it says that there is a function.
    // Who meant to give keys must not store payloads as they are.
    if (encryptionKeys === true || encryptionKeys === null) {
      refuse('options.encryptionKeys', `must be a list of keys or a function, got ${encryptionKeys}`);
    }
    if (typeof encryptionKeys === 'function') this.#askKeys = encryptionKeys;
    rest.encryptionKeys = this.#askKeys ? true : keysForNative(encryptionKeys);
    const environment = Native.environmentNames().map((name) => [name, process.env[name] ?? '']);
    if (!secrets) {
      const prefix = Native.secretVariablePrefix();
      environment.push(...Object.entries(process.env).filter(([name]) => name.startsWith(prefix)));
    }
    const [text, environmentText] = [
      stringify(rest, 'options', () => nullsOfJson(rest, 'options')),
      JSON.stringify(environment),
    ];
    try {
      this.#native = new Native(text, environmentText, () => this.#deliver(), asksSecrets, this.#logger.wantsDebug);
    } catch (error) {
      rethrow(error);
    }
    this.#mark = this.#native.expressionMark() ?? undefined;
    this.#listeners = new Listeners(Native.eventNames(), {
      onMaskChange: (mask) => this.#native.listen(mask),
      refuse,
      onListenerError: (payload, error) => {
        const { message, stack } = toFailure(error);
        this.log('error', `a listener of ${payload.event} failed, for job ${payload.job.id}: ${stack ?? message}`);
      },
    });
    shutDownOnExit(this);
    if (ignored.length > 0) {
      this.log('warn', `${ignored.join(', ')}: options of the hosted service, which this package does not use`);
    }
  }

  #openAttempts() {
    this.#attempts ??= new (require('./attempts.js').Attempts)(this);
    return this.#attempts;
  }

  #openTelemetry({ product, env }) {
    const { Telemetry } = require('./telemetry.js');
    return new Telemetry({
      product,
      env,
      mask: (text) => this.#native.mask(text),
      warn: (message) => this.log('warn', message),
    });
  }

  get telemetry() {
    return this.#telemetry;
  }

  /** Whether no further call is accepted. */
  get ended() {
    return this.#ended;
  }

  get listeners() {
    return this.#listeners;
  }

  /** The instance's time, ms since the epoch. */
  get now() {
    return this.#native.now();
  }

  /** `more`: an argument too many. Functions of lists, such as `map`, give an index there. */
  dispatch(namespace, input, many, more) {
    if ((typeof more === 'object' && more !== null) || typeof more === 'function') return refuseMore(many);
    if (!isObserved(dispatches)) return this.#dispatch(namespace, input, many);
    return dispatches.tracePromise(() => this.#dispatch(namespace, input, many), { namespace, input, many });
  }

  #dispatch(namespace, input, many) {
    return promiseFor(this.dispatch, (resolve, reject) => {
      this.#refuseIfEnded();
      const nulls = [];
      const inputs = this.#telemetry && [];
      // Getters of the caller's may run here, and dispatch in their turn: the ticket is given afterwards.
      const [form, text] = this.#withMark(() =>
        many && Array.isArray(input)
          ? this.#listText(namespace, input, nulls, inputs)
          : [many ? DISPATCH_FORM.MANY : DISPATCH_FORM.ONE, this.#inputText(namespace, input, inputs)],
      );
      if (nulls.length > 0) {
        resolve(this.#refuseList(namespace, text, nulls));
        return;
      }
      const span = this.#telemetry?.dispatch(namespace, inputs, many);
      const ticket = this.#addTicket(span === undefined ? { resolve, reject } : span.settling(resolve, reject));
      const line = dispatchLine(namespace, form, text);
      this.#dispatches.add(ticket, span?.trace === undefined ? line : tracedLine(span.trace, line));
      // The rest has crossed already; a program that blocks its event loop now need not hold it up.
      if (form === DISPATCH_FORM.PARTS) this.#dispatches.flush();
    });
  }

  #withMark(write) {
    return this.#mark === undefined ? write() : withMark(this.#mark, write);
  }

  /** Rejects with these problems of a list, and with those of its other entries. */
  #refuseList(namespace, text, nulls) {
    // Within the arguments it may be twice as long; more than a call may have is not worth another attempt.
    if (2 * text.length > this.#maxChars) refuseAll(nulls);
    return this.call('refusal', { namespace, text, nulls });
  }

  /** What of one input is sent; `inputs`, if it is wanted, gets it. */
  #readInput(namespace, input, inputs) {
    const prepared = prepareInput(namespace, readArgument(input));
    inputs?.push(prepared);
    return prepared;
  }

  #inputText(namespace, input, inputs) {
    return stringify(
      reported('input', () => this.#readInput(namespace, input, inputs)),
      'input',
      nullsOfArgument,
      this.#maxChars,
    );
  }

  /** The form and the JSON of the dispatch of a list; with `nulls`, which get what is wrong with numbers and dates, all of it. */
  #listText(namespace, list, nulls, inputs) {
    const parts = new ListParts(this.#native, namespace, list.length);
    const read = (one) => this.#readInput(namespace, one, inputs);
    let sent = false;
    try {
      const texts = stringifyList(list, 'inputs', this.#maxChars, read, nulls, (text, at) => parts.written(text, at));
      sent = nulls.length === 0;
      return sent ? parts.end(texts) : [DISPATCH_FORM.MANY, joinLists(texts)];
    } finally {
      if (!sent) parts.forget();
    }
  }

  #sendDispatches(first, count, text) {
    this.#hasDispatched = true;
    try {
      this.#native.dispatch(first, count, text);
    } catch (error) {
      for (let ticket = first; ticket < first + count; ticket++) this.#takeTicket(ticket)?.reject(error);
    }
  }

  async statement(namespace, input) {
    const prepared = reported('input', () => prepareInput(namespace, input));
    const span = this.#telemetry?.dispatch(namespace, [prepared], false, 'create');
    if (span === undefined) return this.call('statement', { namespace, '': prepared });
    return span.settled(this.call('statement', { namespace, '': prepared, trace: span.trace }));
  }

  /**
   * Calls a method of the native side; the promise settles with its answer. `named` has the arguments in their order, by the
   * names that the paths of problems begin with.
   */
  call(method, named = {}) {
    return promiseFor(this.call, (resolve, reject) => {
      this.#refuseIfEnded();
      const [names, args] = [Object.keys(named), Object.values(named)];
      for (const [at, name] of names.entries()) refuseNullAndFunction(name, args[at]);
      const write = () =>
        stringify(
          reported('arguments', () => args.map(readArgument)),
          'arguments',
          (read) => read.flatMap((argument, index) => nullsOfArgument(argument, names[index])),
          this.#maxChars,
        );
      const text = method === 'statement' ? this.#withMark(write) : write();
      // Dispatches made before the call cross before it.
      this.#dispatches.flush();
      if (method === 'drain') this.#mayLeaveWork = false;
      const ticket = this.#addTicket({ resolve, reject });
      try {
        this.#native.call(ticket, method, text);
      } catch (error) {
        this.#tickets.delete(ticket);
        throw error;
      }
    });
  }

  /** Registers a handler; returns the function that removes it. */
  handle(namespace, target, handler, options) {
    if (typeof handler !== 'function') {
      refuse('handler', `must be a function, got ${handler === null ? 'null' : typeof handler}`);
    }
    const read = readTarget(target);
    refuseNullAndFunction('options', options);
    const number = ++this.#lastHandler;
    this.#openAttempts();
    this.#handlers.set(number, { handler, context: new CallContext() });
    let id;
    try {
      const text = (value, what) => stringify(value, what, () => nullsOfJson(value, what));
      const more = reported('options', () => withInherited(options ?? {}));
      id = this.#native.register(namespace, number, text(read, 'target'), text(more, 'options'));
    } catch (error) {
      this.#handlers.delete(number);
      rethrow(error);
    }
    return () => {
      this.#native.unregister(id);
      this.#handlers.delete(number);
    };
  }

  /** What the dashboard needs of the instance besides its public methods. */
  get inside() {
    return {
      resources: this.#resources,
      ended: () => this.#ended,
      call: (method, named) => this.call(method, named),
      log: (level, message) => this.log(level, message),
    };
  }

  /** Keeps the event loop open, or lets it go. */
  hold(on) {
    this.#mayLeaveWork = false;
    this.#native.hold(on);
  }

  /**
   * Accepts no further call; the threads end when the last promise has settled. Resolves when they have; at once, if there
   * are promises left.
   */
  end() {
    this.#ended = true;
    this.hold(false);
    return new Promise((resolve) => {
      this.#onShutDown = resolve;
      this.#shutDownWhenIdle();
      if (this.#tickets.size > 0) resolve();
    });
  }

  /** Releases what is claimed and ends the threads. Blocks for a bounded time. */
  shutDown() {
    this.#dispatches.flush();
    this.#native.shutDown(false, false);
  }

  /**
   * The same at the end of the process; when that `failed`, what it is executing counts a crash. Warns when jobs wait for its
   * handlers, and nobody has said that it may end.
   */
  endWithProcess(failed) {
    this.#dispatches.flush();
    const leavesWork = this.#native.shutDown(failed, this.#mayLeaveWork && this.#hasDispatched && !failed);
    if (leavesWork) this.log('warn', LEFT_WORK);
  }

  #shutDownWhenIdle() {
    if (!this.#ended || this.#tickets.size > 0) return;
    forgetBridge(this);
    setImmediate(() => {
      this.shutDown();
      this.#onShutDown();
    });
  }

  #refuseIfEnded() {
    if (this.#ended) throw new DuctapeError('CLOSED', 'this Ductape instance is closed; create a new one');
  }

  /** Takes the answer of an attempt; `value` is JSON. */
  answer(key, kind, value) {
    this.#answers.add(key, kind, value);
  }

  /** Passes on what the handler of a running attempt says about it; `value` is JSON. */
  note(key, claim, kind, value) {
    if (this.#attempts?.has(key)) this.#native.note(claim, kind, value);
  }

  /** What the steps of an attempt need of the native side. */
  steps(key, claim, part) {
    // The parts of a feature keep their steps apart.
    const prefix = part === undefined ? '' : `${part}/`;
    return {
      timePasses: this.#timePasses,
      recall: async () => {
        const all = await this.call('steps.recall', { claim });
        const own = all.filter(([tag]) => tag.startsWith(prefix) || tag.startsWith(RESERVED_PREFIX));
        return own.map(([tag, text]) => [tag.startsWith(prefix) ? tag.slice(prefix.length) : tag, text]);
      },
      record: (tag, text) => this.call('steps.record', { claim, tag: prefix + tag, text }),
      undo: () => this.call('steps.undo', { claim }),
      forget: (tags) => this.call('steps.forget', { claim, tags }),
      delay: (failure, spent, retries) => this.#native.delay(key, JSON.stringify(failure), spent, retries),
      mask: (text) => this.#native.mask(text),
      warn: (message) => this.log('error', message),
      withSpan: this.#telemetry?.withSpan,
    };
  }

  /** `fields`: what the message says, for structured loggers. */
  log(level, message, fields) {
    try {
      this.#context.call(() => this.#logger.write(level, `ductape: ${logged(this.#native.mask(message))}`, fields));
    } catch {
      // A logger that throws must not stop the jobs, and there is nobody left to tell.
    }
  }

  /** Handles the messages that wait; when they are many or take long, the rest in the next macrotask. */
  #deliver() {
    const until = monotonicNow() + MAX_TURN_MS;
    for (let handled = 0; ; handled++) {
      if (this.#handledCount === this.#messages.length) {
        // Native is still producing; poll again in the next macrotask, when more have gathered.
        if (handled > 0 && this.#messages.length < MIN_FOLLOW_UP_MESSAGES) break;
        if (!this.#takeMessages()) return;
      }
      if (handled === MAX_TURN_MESSAGES || (handled > 0 && monotonicNow() >= until)) break;
      this.#receive(this.#messages[this.#handledCount++]);
    }
    // Native wakes this side again only after a take that found nothing.
    setImmediate(() => this.#deliver());
  }

  /** Takes the next batch; `false`: there is none. */
  #takeMessages() {
    const text = this.#native.take();
    this.#messages = text === '' ? [] : JSON.parse(text);
    this.#handledCount = 0;
    return text !== '';
  }

  #receive(message) {
    switch (message[0]) {
      case MESSAGE.QUEUED:
        for (let at = 2; at < message.length; at += 2) {
          this.#takeTicket(message[at])?.resolve(queuedJob(message[at + 1], message[1]));
        }
        break;
      case MESSAGE.LIST_QUEUED:
        this.#takeTicket(message[2])?.resolve(message[3].map((id) => queuedJob(id, message[1])));
        break;
      case MESSAGE.RESOLVE:
        this.#takeTicket(message[1])?.resolve(message[2]);
        break;
      case MESSAGE.REJECT:
        this.#rejectTicket(message[1], message[2]);
        break;
      case MESSAGE.RUN_HANDLER:
        this.#openAttempts().run(this.#handlers.get(message[1]), message[2], message[3], message[4], message[5]);
        break;
      case MESSAGE.ABORT:
        this.#attempts?.abort(message[1], new DuctapeError(message[2], message[3]));
        break;
      case MESSAGE.EVENT:
        this.#listeners.emit(message[1]);
        break;
      case MESSAGE.LOG:
        this.log(message[1], message[2], message[3]);
        break;
      case MESSAGE.START_WORKING:
        this.#native.work();
        break;
      case MESSAGE.ASK_SECRET:
        this.#answerSecret(message[1], message[2]);
        break;
      case MESSAGE.ASK_KEYS:
        this.#answerKeys(message[1]);
        break;
      case MESSAGE.BEGIN_SPAN:
        this.#native.carried(message[1], this.#telemetry.beginNative(message[1], message[2]));
        break;
      case MESSAGE.END_SPAN:
        this.#telemetry.endNative(...message.slice(1));
        break;
    }
  }

  /** Asks the function of the options, whose answer may be a promise. */
  async #answerSecret(number, key) {
    let answer;
    try {
      const value = await this.#context.call(this.#secrets, key);
      const wrong = value !== undefined && value !== null && typeof value !== 'string';
      answer = wrong ? { error: `it must give a string or undefined, got ${typeof value}` } : { value };
    } catch (error) {
      answer = { error: toFailure(error).message };
    }
    this.#native.secret(number, secretAnswer(answer));
  }

  /** Asks the function of the options for the encryption keys, whose answer may be a promise. */
  async #answerKeys(number) {
    let answer;
    try {
      const keys = await this.#context.call(this.#askKeys);
      answer = { value: stringify(keysForNative(keys) ?? null, 'encryptionKeys') };
    } catch (error) {
      answer = { error: toFailure(error).message };
    }
    this.#native.secret(number, secretAnswer(answer));
  }

  #addTicket(promise) {
    const ticket = ++this.#lastTicket;
    this.#tickets.set(ticket, promise);
    return ticket;
  }

  #rejectTicket(ticket, failure) {
    const promise = this.#takeTicket(ticket);
    if (promise === undefined) return;
    const failing = failingWith(failure);
    if (promise.follow) promise.follow(failing);
    else promise.resolve(failing);
  }

  #takeTicket(ticket) {
    const promise = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    this.#shutDownWhenIdle();
    return promise;
  }
}

module.exports = { Bridge };
