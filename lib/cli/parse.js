'use strict';
// Reads the command line: which command, its options and arguments. `util.parseArgs` splits it; messages are ours.

const { parseArgs } = require('node:util');
const { UsageError } = require('./failure.js');
const { nearName } = require('./near-name.js');

/** Options that every command has. */
const GLOBAL_OPTIONS = {
  store: {
    type: 'string',
    value: 'STORE',
    about: 'store, as in sqlite:data/jobs.db; default: DUCTAPE_STORE, else sqlite:.ductape/jobs.db',
  },
  config: {
    type: 'string',
    value: 'FILE',
    about: "module that exports the constructor's options; default: DUCTAPE_CONFIG",
  },
  json: { type: 'boolean', about: 'the result as JSON, for programs; errors too, on standard error' },
  help: { type: 'boolean', short: 'h', about: 'shows this' },
};

const VERSION_OPTION = { version: { type: 'boolean', short: 'v', about: 'shows the version' } };

/** What `parseArgs` needs of options. */
const forParser = (options) =>
  Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, { type, multiple: true, ...(short && { short }) }]),
  );

const tokensOf = (args, options) =>
  parseArgs({ args, options: forParser(options), strict: false, allowPositionals: true, tokens: true }).tokens;

/** The command's name and the other arguments. Before the name only options stand that every command has. */
function splitCommand(args) {
  const early = { ...GLOBAL_OPTIONS, ...VERSION_OPTION };
  const tokens = tokensOf(args, early);
  const first = tokens.findIndex(({ kind }) => kind === 'positional' || kind === 'option-terminator');
  if (first < 0 || tokens[first].kind !== 'positional') return { name: undefined, rest: args };
  for (const token of tokens.slice(0, first)) {
    if (Object.hasOwn(early, token.name)) continue;
    throw new UsageError(
      `${token.rawName}: options of a command stand after its name`,
      'as in: ductape list --status failed',
    );
  }
  const { value, index } = tokens[first];
  return { name: value, rest: [...args.slice(0, index), ...args.slice(index + 1)] };
}

function unknownOption(token, options) {
  const near = nearName(token.name, Object.keys(options));
  const remedy = near ? `did you mean --${near}?` : undefined;
  return new UsageError(`there is no option ${token.rawName}`, remedy);
}

function readOption(token, options) {
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  if (!option) throw unknownOption(token, options);
  if (option.type === 'boolean') {
    if (token.value !== undefined) throw new UsageError(`--${token.name}: takes no value`);
    return true;
  }
  const looksLikeOption = !token.inlineValue && token.value?.startsWith('--');
  if (token.value === undefined || looksLikeOption) {
    throw new UsageError(`--${token.name}: needs a value: --${token.name} ${option.value ?? 'VALUE'}`);
  }
  // Mostly a variable of a script that is not set; as a condition it would mean all jobs.
  if (token.value === '') throw new UsageError(`--${token.name}: is empty`);
  return option.read ? option.read(token.value, token.name) : token.value;
}

/** `{ values, positionals }`; options that may be repeated have lists. */
function readArguments(args, options) {
  const values = {};
  const positionals = [];
  for (const token of tokensOf(args, options)) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const value = readOption(token, options);
    const option = options[token.name];
    if (!option.multiple) {
      if (values[token.name] !== undefined && option.type === 'string') {
        throw new UsageError(`--${token.name}: is given twice`);
      }
      values[token.name] = value;
    } else {
      values[token.name] = (values[token.name] ?? []).concat(option.flatten ? value : [value]);
    }
  }
  return { values, positionals };
}

/** Reads the arguments of a command and checks how many there are. */
function parseCommand(command, args) {
  const { values, positionals } = readArguments(args, { ...GLOBAL_OPTIONS, ...command.options });
  if (values.help) return { values, positionals };
  const { min = 0, max = min } = command.arguments ?? {};
  if (positionals.length < min || positionals.length > max) {
    const problem =
      positionals.length < min
        ? `${command.name}: needs ${command.usage}`
        : `${command.name}: does not take the argument '${positionals[max]}'`;
    throw new UsageError(problem, `see: ductape ${command.name} --help`);
  }
  return { values, positionals };
}

module.exports = { GLOBAL_OPTIONS, VERSION_OPTION, parseCommand, readArguments, splitCommand };
