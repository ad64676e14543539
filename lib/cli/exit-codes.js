'use strict';
// What a command's exit code says, in one place.

const EXIT = Object.freeze({
  DONE: 0,
  FAILED: 1,
  /** The command line, or a value in it, is wrong: the same again fails again. */
  USAGE: 2,
  /** There is no such job, or no job matches. */
  NOT_FOUND: 3,
  INTERRUPTED: 130,
  TERMINATED: 143,
});

/** Codes of errors that say that what was given is wrong. */
const WRONG_VALUES = new Set([
  'USAGE',
  'VALIDATION_ERROR',
  'INVALID_SCHEDULE',
  'INVALID_CRON',
  'INVALID_TIMEZONE',
  'INVALID_EXPRESSION',
]);

function exitCodeOf(error) {
  if (WRONG_VALUES.has(error?.code)) return EXIT.USAGE;
  return error?.code === 'NOT_FOUND' ? EXIT.NOT_FOUND : EXIT.FAILED;
}

module.exports = { EXIT, exitCodeOf };
