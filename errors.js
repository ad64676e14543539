'use strict';
// The error class, and what was thrown in a form that can cross to the native side. Knows neither instances nor jobs.

class DuctapeError extends Error {
  constructor(code, message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DuctapeError';
    this.code = code;
    if (options.details !== undefined) this.details = options.details;
  }

  // A bundler or a test runner may load this file twice; an error is one of ours by what it is, not by which copy made it.
  static [Symbol.hasInstance](value) {
    if (this !== DuctapeError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value?.[BRAND] === true;
  }
}

const BRAND = Symbol.for('ductape.error');
Object.defineProperty(DuctapeError.prototype, BRAND, { value: true });

/** An error that came over as `{ code, message, details, cause }`. */
function toError({ code, message, details, cause }) {
  return new DuctapeError(code, message, { details, cause: cause === undefined ? undefined : new Error(cause) });
}

/** The same for an error the native side threw: its message is the JSON of it. */
function rethrow(error) {
  let wire;
  try {
    wire = JSON.parse(error.message);
  } catch {
    throw error;
  }
  throw toError(wire);
}

/** Throws the refusal of an argument. */
function refuse(path, message) {
  throw new DuctapeError('VALIDATION_ERROR', `${path}: ${message}`, { details: [{ path, message }] });
}

/** `JSON.stringify` of an argument, whose failures are the caller's. */
function stringify(value, what) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const message = `cannot be stored as JSON: ${cause instanceof Error ? cause.message.split('\n')[0] : cause}`;
    throw new DuctapeError('VALIDATION_ERROR', `${what}: ${message}`, { details: [{ path: what, message }], cause });
  }
  return text === undefined ? 'null' : text;
}

/** What a handler threw, in a form that can be stored, whatever it was. */
function toFailure(error) {
  const text = (read) => {
    try {
      const value = read();
      // Half a surrogate pair is no text that could be stored.
      return value === undefined || value === null || value === '' ? undefined : String(value).toWellFormed();
    } catch {
      return undefined;
    }
  };
  const thrown = error !== null && (typeof error === 'object' || typeof error === 'function');
  const retryAfter = Number(thrown ? text(() => error.retryAfter) : undefined);
  return {
    code: (thrown && (text(() => error.code) ?? text(() => error.name))) || 'Error',
    message: (thrown ? text(() => error.message) : undefined) ?? text(() => error) ?? `a handler threw ${typeof error}`,
    stack: thrown ? text(() => error.stack) : undefined,
    retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
}

module.exports = { DuctapeError, refuse, rethrow, stringify, toError, toFailure };
