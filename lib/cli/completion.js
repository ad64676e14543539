'use strict';
// `completion`: scripts for shells, made from what the commands say of themselves.

const { GLOBAL_OPTIONS, VERSION_OPTION } = require('./parse.js');
const { oneOf } = require('./values.js');

const SHELLS = ['bash', 'zsh', 'fish'];

/** A text within single quotes of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
/** fish has other rules within single quotes. */
const quotedForFish = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** What the completions know: `[{ name, summary, options, words?, files? }]`; options are `[{ name, short?, about, words?, files?, takesValue }]`. */
function tableOf(commands) {
  const optionsOf = (options) =>
    Object.entries(options).map(([name, { short, type, value, words, about }]) => ({
      name,
      short,
      about,
      words,
      files: value === 'FILE',
      takesValue: type === 'string',
    }));
  const names = commands.map(({ name }) => name);
  const described = commands.map(({ name, summary, options, words, usage }) => ({
    name,
    summary,
    words: name === 'completion' ? SHELLS : words,
    files: usage?.startsWith('FILE') === true,
    options: optionsOf({ ...options, ...GLOBAL_OPTIONS }),
  }));
  return [
    ...described,
    { name: 'help', summary: 'shows the help of a command', words: names, files: false, options: [] },
  ];
}

/** Cases of what follows an option: words, files, or something that cannot be known. */
function valueCases(table, { words: wordsCode, files: filesCode, none }) {
  const options = new Map();
  for (const command of table) {
    for (const option of command.options.filter(({ takesValue }) => takesValue)) {
      const code = option.words ? wordsCode(option.words) : option.files ? filesCode : none;
      options.set(code, [...(options.get(code) ?? []), `${command.name}:--${option.name}`]);
    }
  }
  return [...options].map(([code, names]) => `    ${names.join('|')}) ${code} ;;`);
}

const flagsOf = ({ options }) => options.map(({ name }) => `--${name}`).join(' ');
const topFlags = Object.keys({ ...GLOBAL_OPTIONS, ...VERSION_OPTION })
  .map((name) => `--${name}`)
  .join(' ');

function bash(table) {
  const words = (list) => `COMPREPLY=($(compgen -W ${quoted(list.join(' '))} -- "$cur"))`;
  const files = 'COMPREPLY=($(compgen -f -- "$cur"))';
  return [
    '# To be sourced by bash, as in: source <(ductape completion bash)',
    '_ductape() {',
    `  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command="" word`,
    `  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
    `    case "$word" in ${table.map(({ name }) => name).join('|')}) command="$word"; break ;; esac`,
    '  done',
    '  COMPREPLY=()',
    '  case "$command:$prev" in',
    '    :--store) return ;;',
    `    :--config) ${files}; return ;;`,
    ...valueCases(table, { words: (list) => `${words(list)}; return`, files: `${files}; return`, none: 'return' }),
    '  esac',
    '  if [[ "$cur" == -* ]]; then',
    '    case "$command" in',
    `    '') ${words([topFlags])} ;;`,
    ...table.map((command) => `    ${command.name}) ${words([flagsOf(command)])} ;;`),
    '    esac',
    '    return',
    '  fi',
    '  case "$command" in',
    `    '') ${words(table.map(({ name }) => name))} ;;`,
    ...table.filter((each) => each.words).map((each) => `    ${each.name}) ${words(each.words)} ;;`),
    ...table.filter((each) => each.files).map((each) => `    ${each.name}) ${files} ;;`),
    '  esac',
    '}',
    'complete -o filenames -F _ductape ductape',
    '',
  ].join('\n');
}

function zsh(table) {
  const described = (pairs) =>
    pairs.map(([name, about]) => quoted(`${name.replaceAll(':', '\\:')}:${about}`)).join(' ');
  const words = (list) => `compadd -- ${list.map(quoted).join(' ')}`;
  const flags = ({ options }) => described(options.map(({ name, about }) => [`--${name}`, about]));
  const top = Object.entries({ ...GLOBAL_OPTIONS, ...VERSION_OPTION }).map(([name, { about }]) => [`--${name}`, about]);
  return [
    '#compdef ductape',
    '# To be put into a folder of $fpath as _ductape, or sourced after compinit.',
    '_ductape() {',
    `  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}" command="" word`,
    '  local -a found',
    `  for word in "\${(@)words[2,CURRENT-1]}"; do`,
    `    case "$word" in (${table.map(({ name }) => name).join('|')}) command="$word"; break ;; esac`,
    '  done',
    '  case "$command:$prev" in',
    '    :--store) return ;;',
    '    :--config) _files; return ;;',
    ...valueCases(table, { words: (list) => `${words(list)}; return`, files: '_files; return', none: 'return' }),
    '  esac',
    '  if [[ "$cur" == -* ]]; then',
    '    case "$command" in',
    `    '') found=(${described(top)}) ;;`,
    ...table.map((command) => `    ${command.name}) found=(${flags(command)}) ;;`),
    '    esac',
    "    _describe 'option' found -o",
    '    return',
    '  fi',
    '  case "$command" in',
    `    '') found=(${described(table.map(({ name, summary }) => [name, summary]))}); _describe 'command' found ;;`,
    ...table.filter((each) => each.words).map((each) => `    ${each.name}) ${words(each.words)} ;;`),
    ...table.filter((each) => each.files).map((each) => `    ${each.name}) _files ;;`),
    '  esac',
    '}',
    '# A file of $fpath is run to complete; one that is sourced has the function registered.',
    `if [[ "\${funcstack[1]}" == _ductape ]]; then _ductape "$@"; else compdef _ductape ductape; fi`,
    '',
  ].join('\n');
}

function fish(table) {
  const seen = (name) => quotedForFish(`__fish_seen_subcommand_from ${name}`);
  const names = table.map(({ name }) => name).join(' ');
  const unseen = quotedForFish(`not __fish_seen_subcommand_from ${names}`);
  const value = ({ takesValue, words, files }) => {
    if (!takesValue) return '';
    if (words) return ` -x -a ${quotedForFish(words.join(' '))}`;
    return files ? ' -r -F' : ' -x';
  };
  const option = (condition, each) =>
    `complete -c ductape -n ${condition} -l ${each.name}${each.short ? ` -s ${each.short}` : ''}${value(each)} -d ${quotedForFish(each.about)}`;
  const top = Object.entries({ ...GLOBAL_OPTIONS, ...VERSION_OPTION }).map(([name, given]) => ({
    name,
    ...given,
    takesValue: given.type === 'string',
    files: given.value === 'FILE',
  }));
  return [
    '# To be put into ~/.config/fish/completions/ductape.fish.',
    'complete -c ductape -f',
    ...top.map((each) => option(unseen, each)),
    ...table.flatMap((command) => [
      `complete -c ductape -n ${unseen} -a ${command.name} -d ${quotedForFish(command.summary)}`,
      ...(command.words
        ? [`complete -c ductape -n ${seen(command.name)} -a ${quotedForFish(command.words.join(' '))}`]
        : []),
      ...(command.files ? [`complete -c ductape -n ${seen(command.name)} -F`] : []),
      ...command.options.map((each) => option(seen(command.name), each)),
    ]),
    '',
  ].join('\n');
}

module.exports = {
  name: 'completion',
  summary: 'writes a completion script for a shell',
  about: 'Writes a completion script for bash, zsh or fish.',
  usage: 'bash|zsh|fish',
  arguments: { min: 1 },
  options: {},
  examples: [
    'source <(ductape completion bash)',
    'ductape completion zsh > ~/.zfunc/_ductape',
    'ductape completion fish > ~/.config/fish/completions/ductape.fish',
  ],
  run({ positionals, out }) {
    // Here, since it lists this module, too.
    const { commands } = require('./commands.js');
    const shell = oneOf(SHELLS)(positionals[0], 'completion');
    out.write({ bash, zsh, fish }[shell](tableOf(commands)));
  },
};
