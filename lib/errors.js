'use strict';
// The error class, its form on the wire, and failures of handlers. Knows neither instances nor jobs.

const { inspect } = require('node:util');
const { escaped } = require('./text.js');

/** Characters of each text of a failure that are kept; of what is stored, Rust keeps fewer. */
const MAX_FAILURE_CHARS = 1024 * 1024;
/** Bounds of what is kept of the errors that an error names as its causes: levels, errors, and characters of all their texts. */
const MAX_CAUSE_LEVELS = 5;
const MAX_CAUSES = 16;
const MAX_CAUSES_CHARS = 16 * 1024;
/** Of each of them. */
const MAX_CAUSE_CHARS = { code: 255, message: 1000, stack: 2000 };

class DuctapeError extends Error {
  constructor(code, message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DuctapeError';
    this.code = code;
    if (options.details !== undefined) this.details = options.details;
  }

  // A bundler or a test runner may load this file twice: the brand tells an error of this class, whichever copy made it.
  static [Symbol.hasInstance](value) {
    if (this !== DuctapeError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value?.[BRAND] === true;
  }
}

const BRAND = Symbol.for('ductape.error');
Object.defineProperty(DuctapeError.prototype, BRAND, { value: true });

/** The error of the wire form `{ code, message, details?, cause?, stack?, origin? }`; the last two are of what a handler threw. */
function toError({ code, message, details, cause, stack, origin }) {
  const underlying = cause === undefined ? origin?.cause && toThrown(origin.cause) : new Error(cause);
  const error = new DuctapeError(code, message, { details, cause: underlying });
  if (origin?.errors) error.errors = origin.errors.map(toThrown);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** What was thrown, from `{ code, message, stack?, cause?, errors? }`. */
function toThrown({ code, message, stack, cause, errors }) {
  const options = cause === undefined ? undefined : { cause: toThrown(cause) };
  const thrown = errors ? new AggregateError(errors.map(toThrown), message, options) : new Error(message, options);
  // Of an error without a code it is the name.
  if (code.endsWith('Error')) {
    Object.defineProperty(thrown, 'name', { value: code, writable: true, configurable: true });
  } else {
    thrown.code = code;
  }
  if (stack !== undefined) thrown.stack = stack;
  return thrown;
}

/** Throws an error of the native side, whose message is the JSON of one, as a `DuctapeError`. */
function rethrow(error) {
  let wire;
  try {
    wire = JSON.parse(error.message);
  } catch {
    throw error;
  }
  throw toError(wire);
}

/** Throws a `VALIDATION_ERROR` about the argument `path`. */
function refuse(path, message, cause) {
  refuseAll([{ path, message }], cause);
}

/** Throws a `VALIDATION_ERROR` that lists all of these. */
function refuseAll(problems, cause) {
  const details = problems.map(({ path, message }) => ({ path: escaped(path), message: escaped(message) }));
  const text = details.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new DuctapeError('VALIDATION_ERROR', text, { details, cause });
}

/** Whether the `code` is a number that stands for the name, as 23 does for `TimeoutError`. Also for one of another realm. */
function hasLegacyCode(error) {
  return typeof error.code === 'number' && Object.prototype.toString.call(error) === '[object DOMException]';
}

/** What is thrown and has no message, in words. May throw. */
function describe(thrown) {
  if (thrown === '') return 'an empty text was thrown in place of an error';
  if (thrown === undefined || thrown === null) return `${thrown} was thrown in place of an error`;
  if (typeof thrown !== 'object') return String(thrown);
  const text = thrown instanceof Error ? String(thrown) : '';
  return text === '' ? inspect(thrown, { depth: 2, breakLength: Number.POSITIVE_INFINITY }) : text;
}

/** What `read` gives, as a text that can be stored; `undefined` for an empty one, and when it throws. */
function storableText(read, maxChars = MAX_FAILURE_CHARS) {
  try {
    const value = read();
    // A lone surrogate cannot be stored.
    return value === undefined || value === null || value === ''
      ? undefined
      : String(value).slice(0, maxChars).toWellFormed();
  } catch {
    return undefined;
  }
}

const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');

/** Code, message and stack of what was thrown. */
function textsOf(thrown) {
  const has = isObject(thrown);
  return {
    code:
      (has &&
        (storableText(() => (hasLegacyCode(thrown) ? thrown.name : thrown.code)) ?? storableText(() => thrown.name))) ||
      'Error',
    message:
      (has ? storableText(() => thrown.message) : undefined) ??
      storableText(() => describe(thrown)) ??
      `a value of the type ${typeof thrown} was thrown in place of an error`,
    stack: has ? storableText(() => thrown.stack) : undefined,
  };
}

/** The errors that an error names as its causes, as `{ cause?, errors? }`, and theirs; `left` bounds them. */
function causesOf(error, left, levels) {
  if (levels === 0 || !isObject(error)) return {};
  left.seen.add(error);
  const read = (name) => {
    try {
      return error[name];
    } catch {
      return undefined;
    }
  };
  const [cause, errors] = [read('cause'), read('errors')];
  return {
    cause: cause === undefined || cause === null ? undefined : causeOf(cause, left, levels),
    errors: Array.isArray(errors) ? errors.flatMap((one) => causeOf(one, left, levels) ?? []) : undefined,
  };
}

/** One of them; `undefined` when it has been named before, or there are too many. */
function causeOf(thrown, left, levels) {
  if (left.errors === 0 || left.chars <= 0 || left.seen.has(thrown)) return undefined;
  left.errors--;
  const kept = {};
  for (const [name, text] of Object.entries(textsOf(thrown))) {
    kept[name] = text?.slice(0, Math.min(MAX_CAUSE_CHARS[name], Math.max(left.chars, 0))).toWellFormed();
    left.chars -= kept[name]?.length ?? 0;
  }
  return { ...kept, ...causesOf(thrown, left, levels - 1) };
}

/**
 * Whatever a handler threw, as `{ code, message, stack?, cause?, errors?, retryAfter? }`, with `wrongRetryAfter` where that is no
 * finite number. Never throws.
 */
function toFailure(error) {
  const asked = isObject(error) ? storableText(() => error.retryAfter) : undefined;
  const retryAfter = asked !== undefined && Number.isFinite(Number(asked)) ? Number(asked) : undefined;
  return {
    ...textsOf(error),
    ...causesOf(error, { errors: MAX_CAUSES, chars: MAX_CAUSES_CHARS, seen: new Set() }, MAX_CAUSE_LEVELS),
    retryAfter,
    wrongRetryAfter: retryAfter === undefined ? asked?.slice(0, 100) : undefined,
  };
}

module.exports = { DuctapeError, refuse, refuseAll, rethrow, toError, toFailure, toThrown };
