// Does what the README says, in an empty folder, with the package as npm packs it, and without Rust: a worker in TypeScript with a
// recurring job, a job that fails, is seen, retried and completed, a test with a clock of its own, and the move to PostgreSQL.
// Usage: node quickstart/run.mjs [--offline]. With --offline nothing is downloaded: tools come from this repository. The move needs
// DUCTAPE_TEST_POSTGRES. Prints each command, what it printed and how long it took; ends with 1 when something is not as it should be.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { programs, steps } from './readme.mjs';

const { values: options } = parseArgs({ options: { offline: { type: 'boolean', default: false } } });
const root = join(import.meta.dirname, '..');
const place = mkdtempSync(join(tmpdir(), 'ductape-quickstart-'));
const folder = join(place, 'shop');
const postgres = process.env.DUCTAPE_TEST_POSTGRES;
/** How long the first part may take, in ms. */
const LIMIT = 300_000;
/** How long anything may take to become so, in ms. */
const PATIENCE = 60_000;

// Whoever asks for Rust finds none, wherever it is on this machine.
const programsOfNobody = join(place, 'bin');
mkdirSync(programsOfNobody);
for (const name of ['cargo', 'rustc', 'rustup']) {
  writeFileSync(join(programsOfNobody, name), `#!/bin/sh\necho '${name}: not found' >&2\nexit 127\n`, { mode: 0o755 });
}

const own = Object.entries(process.env).filter(
  ([name]) => !/^(DUCTAPE_|npm_|NODE_OPTIONS|FORCE_COLOR|VITEST)/.test(name),
);
const env = {
  ...Object.fromEntries(own),
  PATH: [programsOfNobody, dirname(process.execPath), process.env.PATH].join(delimiter),
  QUICKSTART_TOOLS: join(root, 'package.json'),
  NO_COLOR: '1',
};

const failed = (why) => {
  throw new Error(why);
};

function expectText(text, expected, what) {
  if (!expected.test(text)) failed(`${what}: ${expected} is not in what was printed`);
}

/** Runs a command in the reader's folder and returns what it printed. */
function run(command) {
  const began = performance.now();
  console.log(`$ ${command}`);
  const { status, stdout, stderr } = spawnSync(command, {
    shell: true,
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: LIMIT,
  });
  const printed = `${stdout}${stderr}`.trimEnd();
  if (printed) console.log(printed.replace(/^/gm, '  '));
  console.log(`  (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  if (status !== 0) failed(`the command ended with ${status}: ${command}`);
  return printed;
}

/** Runs a command again until it prints what is expected. */
async function runUntil(command, expected) {
  for (const end = performance.now() + PATIENCE; ; ) {
    const { stdout } = spawnSync(command, { shell: true, cwd: folder, env, encoding: 'utf8' });
    if (expected.test(stdout)) return run(command);
    if (performance.now() > end) failed(`${command} does not print ${expected}:\n${stdout}`);
    await sleep(200);
  }
}

/** Starts a command that stays up, as in a terminal of its own. */
function start(command) {
  console.log(`$ ${command} &`);
  // A group of its own: Ctrl-C in a terminal goes to all processes of it.
  const child = spawn(command, { shell: true, cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (printed += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    printed: () => printed,
    async stop() {
      const send = (signal) => child.exitCode ?? child.signalCode ?? process.kill(-child.pid, signal);
      send('SIGINT');
      let hung = false;
      const watch = setTimeout(() => {
        hung = true;
        send('SIGKILL');
      }, PATIENCE);
      await ended;
      clearTimeout(watch);
      if (printed) console.log(`  what ${command} printed:\n${printed.trimEnd().replace(/^/gm, '    ')}`);
      if (hung) failed(`it does not end: ${command}`);
    },
  };
}

const withoutComment = (command) => command.replace(/\s+#.*$/, '');

const commands = (step) => steps.get(step) ?? failed(`the README has no step ${step}`);

/** The command with the packed package in the place of that of the registry, and without scripts of packages. */
function installing(command, tarball) {
  const tools = /^npm install --save-dev (.+)$/.exec(command);
  if (tools && options.offline) return link(tools[1].split(' '));
  if (command === 'npm install ductape') {
    return run(`npm install --ignore-scripts --no-audit --no-fund ${options.offline ? '--offline ' : ''}${tarball}`);
  }
  return run(command);
}

/** Puts tools of this repository where npm would have installed them. */
function link(names) {
  const modules = join(folder, 'node_modules');
  for (const name of names.filter((each) => each !== 'tsx')) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
  cpSync(join(import.meta.dirname, 'tsx.mjs'), join(modules, '.bin/tsx'));
}

function typecheck() {
  const compiler = createRequire(join(folder, 'package.json')).resolve('typescript/package.json');
  const strict =
    '--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --noPropertyAccessFromIndexSignature';
  const settings = '--module nodenext --target es2022 --types node --allowImportingTsExtensions --noEmit';
  run(`node ${join(dirname(compiler), 'bin/tsc')} ${strict} ${settings} ${[...programs.keys()].join(' ')}`);
}

/** What each command prints, where that says that all is well. */
const PRINTED = [
  [/ list --status failed/, /invoice-7/],
  [/ get /, /ENOENT/],
  [/ list$/, /invoice-7\s+completed/],
  [/ logs /, /report number 1/],
];

async function failedAndRetried() {
  for (const command of commands('failed')) {
    const [, expected] = PRINTED.find(([pattern]) => pattern.test(withoutComment(command))) ?? [];
    if (expected) await runUntil(command, expected);
    else run(command);
  }
}

async function firstProject() {
  const [packed] = Object.values(
    JSON.parse(
      spawnSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', place], {
        cwd: root,
        encoding: 'utf8',
      }).stdout,
    ),
  );
  mkdirSync(folder);
  const began = performance.now();
  for (const command of commands('install')) installing(command, join(place, packed.filename));
  for (const [name, code] of programs) writeFileSync(join(folder, name), code);
  typecheck();

  const [work, order] = commands('run');
  const worker = start(work);
  try {
    run(order);
    await failedAndRetried();
  } finally {
    await worker.stop();
  }
  expectText(worker.printed(), /send_invoice .* failed in attempt 3: ENOENT/, work);
  for (const command of commands('test')) expectText(run(command), /pass 1/, command);
  const took = performance.now() - began;
  console.log(`== first project: ${(took / 1000).toFixed(1)} s`);
  if (took > LIMIT) failed(`the first project took longer than ${LIMIT / 1000} s`);
}

/** The same project on a schema of its own in the database that a variable names. */
async function moveToPostgres() {
  const address = new URL(postgres);
  const schema = `quickstart_${randomUUID().replaceAll('-', '')}`;
  address.searchParams.set('schema', schema);
  env.DUCTAPE_STORE = address.href;
  const [name, move, work] = commands('postgres');
  expectText(name, /^export DUCTAPE_STORE=postgres:\/\/\S+$/, 'the name of the store');
  const began = performance.now();
  try {
    expectText(run(move), /2 jobs/, move);
    const worker = start(work);
    try {
      await runUntil('npx ductape list', /invoice-7/);
      run('npx ductape run-now nightly-report');
      await runUntil('npx ductape logs nightly-report', /report number 2/);
    } finally {
      await worker.stop();
    }
  } finally {
    const pg = createRequire(join(root, 'package.json'))('pg');
    const client = new pg.Client(postgres);
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await client.end();
  }
  console.log(`== moved to PostgreSQL: ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

try {
  await firstProject();
  if (postgres) await moveToPostgres();
  else console.log('== moved to PostgreSQL: SKIPPED, DUCTAPE_TEST_POSTGRES names no server');
} catch (error) {
  console.error(`FAILED: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(place, { recursive: true, force: true });
}
