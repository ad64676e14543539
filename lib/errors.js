'use strict';
// The error class, its form on the wire, and failures of handlers. Knows neither instances nor jobs.

const { inspect } = require('node:util');
const { escaped } = require('./text.js');

/** Characters of each text of a failure that are kept; of what is stored, Rust keeps fewer. */
const MAX_FAILURE_CHARS = 1024 * 1024;

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

/** The error of the wire form `{ code, message, details?, cause? }`. */
function toError({ code, message, details, cause }) {
  return new DuctapeError(code, message, { details, cause: cause === undefined ? undefined : new Error(cause) });
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

/**
 * Whatever a handler threw, as `{ code, message, stack?, retryAfter? }`, with `wrongRetryAfter` where that is no finite number. Never
 * throws.
 */
function toFailure(error) {
  const text = (read) => {
    try {
      const value = read();
      // A lone surrogate cannot be stored.
      return value === undefined || value === null || value === ''
        ? undefined
        : String(value).slice(0, MAX_FAILURE_CHARS).toWellFormed();
    } catch {
      return undefined;
    }
  };
  const isObject = error !== null && (typeof error === 'object' || typeof error === 'function');
  const asked = isObject ? text(() => error.retryAfter) : undefined;
  const retryAfter = asked !== undefined && Number.isFinite(Number(asked)) ? Number(asked) : undefined;
  return {
    code:
      (isObject && (text(() => (hasLegacyCode(error) ? error.name : error.code)) ?? text(() => error.name))) || 'Error',
    message:
      (isObject ? text(() => error.message) : undefined) ??
      text(() => describe(error)) ??
      `a value of the type ${typeof error} was thrown in place of an error`,
    stack: isObject ? text(() => error.stack) : undefined,
    retryAfter,
    wrongRetryAfter: retryAfter === undefined ? asked?.slice(0, 100) : undefined,
  };
}

module.exports = { DuctapeError, refuse, refuseAll, rethrow, toError, toFailure };
