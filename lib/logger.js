'use strict';
// The logger of an instance: the user's, or the console's warnings and errors.

const { refuse, toThrown } = require('./errors.js');

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** In which form a logger takes fields. */
const FORM = Object.freeze({ NONE: 0, BEFORE: 1, BEHIND: 2 });

/** Loggers as Nest has them: its `log` is the level `info`, `debug` may be missing, and each further argument is another message. */
const isLikeNest = (logger) => typeof logger.info !== 'function' && typeof logger.log === 'function';

/** Pino, and loggers that are called as it is, take fields before the message; others behind it. */
function formOf(logger) {
  if (isLikeNest(logger)) return FORM.NONE;
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
  const form = formOf(logger);
  const methods = form === FORM.NONE ? { info: 'log', debug: logger.debug ? 'debug' : undefined } : {};
  const methodOf = (level) => (level in methods ? methods[level] : level);
  const missing = LEVELS.filter((level) => methodOf(level) && typeof logger[methodOf(level)] !== 'function');
  if (missing.length > 0) {
    refuse('options.logger', `must have the methods debug, info (or log), warn and error, lacks ${missing.join(', ')}`);
  }
  const write = (level, message, fields) => {
    const method = methodOf(level);
    if (method === undefined) return;
    // For people, the message says it all.
    if (fields === undefined || form === FORM.NONE || logger[method] === console[method]) logger[method](message);
    else if (form === FORM.BEFORE) logger[method](withError(fields), message);
    else logger[method](message, fields);
  };
  return { wantsDebug: logger === given && methodOf('debug') !== undefined, write };
}

module.exports = { resolveLogger };
