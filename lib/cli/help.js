'use strict';
// Help texts, made from what commands say of themselves.

const { GLOBAL_OPTIONS, VERSION_OPTION } = require('./parse.js');

function optionLines(options) {
  const rows = Object.entries(options).map(([name, { short, value, about }]) => [
    `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
    about,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, about]) => `  ${left.padEnd(width)}  ${about}`);
}

function commandHelp(command) {
  const lines = [`usage: ductape ${command.name} ${command.usage ?? '[options]'}`, '', command.about];
  if (command.notes) lines.push('', ...command.notes);
  if (Object.keys(command.options).length > 0) lines.push('', 'options:', ...optionLines(command.options));
  lines.push('', 'options of every command:', ...optionLines(GLOBAL_OPTIONS));
  if (command.examples) lines.push('', 'examples:', ...command.examples.map((example) => `  ${example}`));
  return lines.join('\n');
}

function overallHelp(commands) {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'usage: ductape COMMAND [options]',
    '',
    'commands:',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'options:',
    ...optionLines({ ...GLOBAL_OPTIONS, ...VERSION_OPTION }),
    '',
    'ductape COMMAND --help has the options of a command.',
    'exit codes: 0 done, 1 failed, 2 wrong usage or value, 3 nothing found, 130 interrupted, 143 terminated',
  ].join('\n');
}

module.exports = { commandHelp, overallHelp };
