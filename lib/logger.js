'use strict';
// The logger of an instance: the user's, or the console's warnings and errors.

const { refuse } = require('./errors.js');

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** The logger to use; throws when the given one lacks a method. */
function resolveLogger(logger) {
  if (logger === undefined || logger === null) {
    return { debug() {}, info() {}, warn: console.warn, error: console.error };
  }
  const missing = LEVELS.filter((level) => typeof logger[level] !== 'function');
  if (missing.length > 0) {
    refuse('options.logger', `must have the methods debug, info, warn and error, lacks ${missing.join(', ')}`);
  }
  return logger;
}

module.exports = { resolveLogger };
