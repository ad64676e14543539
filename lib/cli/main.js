#!/usr/bin/env node
'use strict';
// The command `ductape`: finds the command, runs it, and turns what comes of it into an exit code.

const { commands } = require('./commands.js');
const { EXIT, exitCodeOf } = require('./exit-codes.js');
const { UsageError, report } = require('./failure.js');
const { commandHelp, overallHelp } = require('./help.js');
const { nearName } = require('./near-name.js');
const { Output } = require('./output.js');
const { GLOBAL_OPTIONS, VERSION_OPTION, parseCommand, readArguments, splitCommand } = require('./parse.js');
const { version } = require('../../package.json');

/** Called when the command ends early, so that the terminal is left as it was. */
const restorers = new Set();

/** Ends the process on a signal with its code, unless the command deals with signals itself. */
function endOnSignals(command, out) {
  if (command.ownsSignals) return;
  const end = (code) => () => {
    for (const restore of restorers) restore();
    if (command.afterInterruption && !out.isJson) out.note(`interrupted: ${command.afterInterruption}`);
    process.exit(code);
  };
  process.once('SIGINT', end(EXIT.INTERRUPTED));
  process.once('SIGTERM', end(EXIT.TERMINATED));
}

function findCommand(name) {
  const command = commands.find((each) => each.name === name);
  if (command) return command;
  const near = nearName(
    name,
    commands.map((each) => each.name),
  );
  throw new UsageError(`there is no command '${name}'`, near ? `did you mean ${near}?` : 'see: ductape --help');
}

/** What is asked for without a command, or with `help`. */
function runWithoutCommand(rest, out) {
  const { values } = readArguments(rest, { ...GLOBAL_OPTIONS, ...VERSION_OPTION });
  if (values.version) {
    out.isJson ? out.json({ version }) : out.line(`ductape ${version}`);
    return EXIT.DONE;
  }
  if (values.help) {
    out.line(overallHelp(commands));
    return EXIT.DONE;
  }
  out.note(overallHelp(commands));
  return EXIT.USAGE;
}

async function run(args, out) {
  const { name, rest } = splitCommand(args);
  if (name === undefined) return runWithoutCommand(rest, out);
  if (name === 'help') {
    const [asked] = rest.filter((each) => !each.startsWith('-'));
    out.line(asked === undefined ? overallHelp(commands) : commandHelp(findCommand(asked)));
    return EXIT.DONE;
  }
  const command = findCommand(name);
  const { values, positionals } = parseCommand(command, rest);
  if (values.help) {
    out.line(commandHelp(command));
    return EXIT.DONE;
  }
  endOnSignals(command, out);
  const code = await command.run({ values, positionals, out, env: process.env, restorers });
  return code ?? EXIT.DONE;
}

async function main() {
  const args = process.argv.slice(2);
  const isJson = args.includes('--json');
  const out = new Output({ stdout: process.stdout, stderr: process.stderr, env: process.env, isJson });
  // Whoever reads has read enough, as `head` does.
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(EXIT.DONE);
    for (const restore of restorers) restore();
    report({ code: 'ERROR', message: `standard output cannot be written: ${error.message}` }, out);
    process.exit(EXIT.FAILED);
  });
  try {
    process.exitCode = await run(args, out);
  } catch (error) {
    for (const restore of restorers) restore();
    report(error, out);
    process.exitCode = exitCodeOf(error);
  }
}

main();
