'use strict';
// Asks before a change of many jobs.

const readline = require('node:readline');
const { UsageError } = require('./failure.js');

/** Whether the change is wanted. Where nobody can be asked, `--yes` has to say so. */
async function isConfirmed(question, { values, out }) {
  if (values.yes) return true;
  if (out.isJson || !process.stdin.isTTY || !out.isErrorTerminal) {
    throw new UsageError(
      `${question}: nobody can be asked here`,
      'add --yes to do it, or --dry-run to see what would be done',
    );
  }
  // Without raw mode, so that Ctrl-C is a signal.
  const lines = readline.createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const answer = await new Promise((resolve) => {
      lines.once('close', () => resolve(''));
      lines.question(`${question}? [y/N] `, resolve);
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

module.exports = { isConfirmed };
