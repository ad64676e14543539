'use strict';
// The logger of an instance: the user's, or the console's warnings and errors.

const { refuse, toThrown } = require('./errors.js');

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** In which form a logger takes fields. */
const FORM = Object.freeze({ NONE: 0, BEFORE: 1, BEHIND: 2 });

/** Pino, and loggers that are called as it is, take fields before the message; others behind it. */
function formOf(logger) {
  const isLikePino = ['child', 'trace', 'fatal'].every((method) => typeof logger[method] === 'function');
  return isLikePino && !('transports' in logger) ? FORM.BEFORE : FORM.BEHIND;
}

/** The fields with the error as one: pino and its kind show those in a form of their own. */
const withError = (fields) => ({ ...fields, err: toThrown(fields.err) });

/**
 * The logger to use, as `{ wantsDebug, write(level, message, fields) }`; `fields` may be undefined. Throws when the given one
 * lacks a method.
 */
function resolveLogger(given) {
  const logger = given ?? { debug() {}, info() {}, warn: console.warn, error: console.error };
  const missing = LEVELS.filter((level) => typeof logger[level] !== 'function');
  if (missing.length > 0) {
    refuse('options.logger', `must have the methods debug, info, warn and error, lacks ${missing.join(', ')}`);
  }
  const form = formOf(logger);
  const write = (level, message, fields) => {
    // For people, the message says it all.
    if (fields === undefined || logger[level] === console[level]) logger[level](message);
    else if (form === FORM.BEFORE) logger[level](withError(fields), message);
    else logger[level](message, fields);
  };
  return { wantsDebug: logger === given, write };
}

module.exports = { resolveLogger };
