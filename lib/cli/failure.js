'use strict';
// Errors of commands, and how they are told: on standard error, with what to do about them.

const { escaped } = require('../text.js');

/** An error that a command makes itself; those of the package are `DuctapeError`s. */
class CommandError extends Error {
  constructor(code, message, remedy) {
    super(message);
    this.code = code;
    this.remedy = remedy;
  }
}

/** The command line is wrong. */
class UsageError extends CommandError {
  constructor(message, remedy) {
    super('USAGE', message, remedy);
  }
}

/** What helps where the message alone does not say it. */
const REMEDIES = {
  NOT_FOUND: 'find jobs with: ductape list --search TEXT',
  CONFLICT: 'see what state the job is in: ductape get ID',
  STORE_CORRUPT: 'look at the store with: ductape doctor; put a backup back with Ductape.restore',
  INVALID_CRON: 'try a schedule out with: ductape preview CRON',
  UNAUTHORIZED: 'start or refresh the session',
};

/** `{ code, message, remedy?, details? }` of whatever was thrown. */
function described(error) {
  const known = typeof error?.code === 'string' && typeof error.message === 'string';
  const code = known ? error.code : 'ERROR';
  const message = error instanceof Error || known ? error.message || error.name : String(error);
  const remedy = error?.remedy ?? REMEDIES[code];
  return { code, message, ...(remedy && { remedy }), ...(error?.details && { details: error.details }) };
}

/** Tells the error, as JSON if that was asked for. */
function report(error, out) {
  const { code, message, remedy, details } = described(error);
  if (out.isJson) {
    out.errorJson({ error: { code, message, ...(remedy && { remedy }), ...(details && { details }) } });
    return;
  }
  const lines = details?.length > 1 ? details.map((each) => `${each.path}: ${each.message}`) : [message];
  for (const line of lines) out.note(`${out.paintError('red', 'error:')} ${escaped(line)}`);
  if (remedy) out.note(`${out.paintError('dim', 'hint:')} ${escaped(remedy)}`);
}

module.exports = { CommandError, UsageError, described, report };
