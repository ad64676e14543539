// Runs the checks that take minutes, one after the other, and prints a summary.
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');

/** Duration of each check in minutes, unless `--minutes` is given. */
const DEFAULT_MINUTES = {
  fuzz: 5,
  'fuzz-expr': 5,
  'fuzz-filter': 5,
  'fuzz-mongodb': 5,
  'fuzz-dynamodb': 5,
  'fuzz-graph': 5,
  'fuzz-bolt': 5,
  'fuzz-kafka': 5,
  'fuzz-dispatch': 5,
  'fuzz-wire': 5,
  cron: 5,
  soak: 20,
};

/** Rounds of each check, unless `--rounds` is given. */
const DEFAULT_ROUNDS = { crash: 50, faults: 50, 'chaos-time': 200, 'long-lived': 200 };

/** Fuzzes a target of `fuzz/`. */
const fuzz = (target, what) => ({
  about: `${what}, by fuzzing, for --minutes`,
  command: ({ minutes }) => ['sh', ['fuzz/run.sh', target, String(Math.round(minutes * 60))]],
});

/** By name: a description, and the command to run; `undefined` if there is nothing to run. */
const CHECKS = {
  fuzz: fuzz('cron', 'cron expressions'),
  'fuzz-expr': fuzz('expr', 'expressions in inputs'),
  'fuzz-filter': fuzz('filter', 'filters and other inputs of databases with SQL'),
  'fuzz-mongodb': fuzz('mongodb', 'filters and other inputs of MongoDB'),
  'fuzz-dynamodb': fuzz('dynamodb', 'filters and other inputs of DynamoDB'),
  'fuzz-graph': fuzz('graph', 'inputs of graphs'),
  'fuzz-bolt': fuzz('bolt', 'what graphs answer'),
  'fuzz-kafka': fuzz('kafka', 'what Kafka answers'),
  'fuzz-dispatch': fuzz('dispatch', 'dispatches of all namespaces'),
  'fuzz-wire': fuzz('wire', 'messages between JavaScript and Rust'),
  crash: {
    about: 'processes are killed while they work, --rounds times',
    command: async ({ rounds }) => {
      const files = await testFilesMentioning('DUCTAPE_TEST_ROUNDS');
      if (files.length === 0) return undefined;
      // A round may take seconds, and the default time limit of a test allows few of them.
      const limit = String(60_000 + rounds * 10_000);
      return [
        process.execPath,
        [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--testTimeout', limit, '--hookTimeout', limit, ...files],
        { DUCTAPE_TEST_ROUNDS: String(rounds) },
      ];
    },
  },
  cron: {
    about: 'random cron expressions against their definition, for --minutes',
    command: ({ minutes }) => [
      'cargo',
      ['test', '--release', '--no-default-features', '--test', 'cron_properties', '--', '--ignored'],
      { DUCTAPE_LONG_SECONDS: String(Math.round(minutes * 60)) },
    ],
  },
  faults: {
    about: 'faults of processes, disks and connections against a model, --rounds times on each --store, from --seed',
    command: ({ rounds, seed, store }) => [
      process.execPath,
      [
        join('faults', 'run.mjs'),
        ...['--rounds', String(rounds)],
        ...(seed === undefined ? [] : ['--seed', String(seed)]),
        ...(store === undefined ? [] : ['--store', store]),
      ],
    ],
  },
  'chaos-time': {
    about:
      'what becomes of every occurrence while processes, schedules and clocks change, --rounds times on each --store, from --seed',
    command: ({ rounds, seed, store }) => [
      process.execPath,
      [
        join('faults', 'chaos-time.mjs'),
        ...['--rounds', String(rounds)],
        ...(seed === undefined ? [] : ['--seed', String(seed)]),
        ...(store === undefined ? [] : ['--store', store]),
      ],
    ],
  },
  mutations: {
    about: 'stores that were broken on purpose: rounds of faults find each',
    command: () => [process.execPath, [join('faults', 'mutations.mjs')]],
  },
  habitats: {
    about:
      'the package as it is packed in runtimes, bundlers, executables, frameworks and test runners; needs the built addon',
    command: () => [process.execPath, [join('habitats', 'run.mjs')]],
  },
  'long-lived': {
    about: 'instances and threads start and stop under load, --rounds times: nothing grows; needs the built addon',
    command: ({ rounds }) => [
      process.execPath,
      [join('node_modules', 'vitest', 'vitest.mjs'), 'run', join('__test__', 'long-lived.test.ts')],
      { DUCTAPE_TEST_LIVES: String(rounds) },
    ],
  },
  'node-versions': {
    about: 'a program and tests on each version of Node.js that npm has; needs the built addon',
    command: () => [process.execPath, [join('scripts', 'node-versions.mjs')]],
  },
  package: {
    about:
      'a release but for its publication: binary against an old glibc, packages, installations; needs Linux with glibc',
    command: () => [process.execPath, [join('scripts', 'release', 'prove.mjs')]],
  },
  soak: {
    about: 'jobs without pause for --minutes: each runs once, memory and file size level off; needs the built addon',
    command: ({ minutes }) => [
      process.execPath,
      [join('bench', 'node', 'scheduler', 'soak.mjs'), '--minutes', String(minutes)],
    ],
  },
  quickstart: {
    about:
      'the first project of the README from an empty folder, with the packed package and no Rust; DUCTAPE_TEST_POSTGRES: its move; needs the built addon',
    command: () => [process.execPath, [join('quickstart', 'run.mjs')]],
  },
};

/** Test files that mention `text`. */
async function testFilesMentioning(text) {
  const files = (await readdir(join(root, '__test__'))).filter((file) => file.endsWith('.test.ts'));
  const texts = await Promise.all(files.map((file) => readFile(join(root, '__test__', file), 'utf8')));
  return files.filter((_, index) => texts[index].includes(text));
}

const USAGE = `usage: npm run test:long -- [check …] [--minutes N] [--rounds N] [--seed N] [--store sqlite|postgres]

Checks (default: all):
${Object.entries(CHECKS)
  .map(([name, { about }]) => `  ${name.padEnd(16)}${about}`)
  .join('\n')}

  --minutes N   duration of fuzzing and of cron, default 5, and of soak, default 20
  --rounds N    rounds of crash, whose tests see it as DUCTAPE_TEST_ROUNDS, of faults (default of both 50), of chaos-time
                and of long-lived (200)
  --seed N      of the first round of faults and chaos-time; default: drawn
  --store NAME  the store of faults and chaos-time; default: one after the other
`;

function readArguments() {
  const options = {
    ...Object.fromEntries(['minutes', 'rounds', 'seed', 'store'].map((name) => [name, { type: 'string' }])),
    help: { type: 'boolean', short: 'h' },
  };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const unknown = positionals.filter((name) => !(name in CHECKS));
  if (unknown.length > 0) throw new Error(`unknown check: ${unknown.join(', ')}`);
  const numbers = { minutes: values.minutes && Number(values.minutes), rounds: values.rounds && Number(values.rounds) };
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== undefined && !(value > 0)) throw new Error(`--${name} must be a number above 0`);
  }
  const { help, seed, store } = values;
  return {
    help,
    names: positionals.length > 0 ? positionals : Object.keys(CHECKS),
    settings: { ...numbers, seed, store },
  };
}

/** Resolves with whether the command succeeded. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
    child.on('error', (error) => {
      console.error(`cannot run ${command}: ${error.message}`);
      resolve(false);
    });
    child.on('exit', (code) => resolve(code === 0));
  });
}

async function check(name, settings) {
  const minutes = settings.minutes ?? DEFAULT_MINUTES[name];
  const rounds = settings.rounds ?? DEFAULT_ROUNDS[name];
  const command = await CHECKS[name].command({ ...settings, minutes, rounds });
  if (!command) return { name, outcome: 'nothing to run', seconds: 0 };
  console.log(`\n== ${name}: ${command[0]} ${command[1].join(' ')}\n`);
  const start = performance.now();
  const passed = await run(...command);
  return { name, outcome: passed ? 'passed' : 'FAILED', seconds: Math.round((performance.now() - start) / 1000) };
}

let request;
try {
  request = readArguments();
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}
if (request.help) {
  console.log(USAGE);
} else {
  const results = [];
  for (const name of request.names) results.push(await check(name, request.settings));
  console.log('\n== summary');
  for (const { name, outcome, seconds } of results) console.log(`${name.padEnd(16)}${outcome.padEnd(16)}${seconds} s`);
  if (results.some(({ outcome }) => outcome === 'FAILED')) process.exitCode = 1;
}
