// Runs the same program, and tests that touch Node.js itself, on each version of Node.js that is named in docs/platforms.md, as npm
// has it (the package `node`). They are installed in ~/.cache/ductape-tests, or where DUCTAPE_TEST_CACHE says. Prints a table; with
// --publish that goes between its marks in docs/platforms.md. Needs the built addon.
// Usage: node scripts/node-versions.mjs [20 22 …] [--publish]
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { publish } from '../bench/node/peers/publish.mjs';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const { values, positionals } = parseArgs({ options: { publish: { type: 'boolean' } }, allowPositionals: true });
const majors = positionals.length > 0 ? positionals : ['20', '22', '24', '26'];

/** Tests of what Node.js and the package ask of each other. */
const TESTS = [
  'contexts',
  'environments',
  'exit',
  'handlers',
  'lifecycle',
  'long-lived',
  'native',
  'node',
  'steps',
  'telemetry',
];

/** The program of this version. */
async function install(major) {
  const cache = process.env.DUCTAPE_TEST_CACHE ?? join(homedir(), '.cache', 'ductape-tests');
  const folder = join(cache, `node-${major}`);
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  // Brings the newest of them. A script of the package puts the program of this platform in its place.
  await run('npm', ['install', `node@${major}`, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder });
  return join(folder, 'node_modules', 'node', 'bin');
}

async function tour(node) {
  const folder = mkdtempSync(join(tmpdir(), 'ductape-node-'));
  try {
    const program = join(root, '__test__', 'support', 'programs', 'tour.mjs');
    const { stdout } = await run(node, [program, folder], { timeout: 60_000 });
    return stdout.trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What vitest says of the tests on this version. */
async function tests(bin) {
  const files = TESTS.map((name) => join('__test__', `${name}.test.ts`));
  const args = [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--maxWorkers', '1', ...files];
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, NO_COLOR: '1', FORCE_COLOR: undefined };
  const { stdout, failed } = await run(join(bin, 'node'), args, { cwd: root, env, maxBuffer: 2 ** 26 }).then(
    ({ stdout }) => ({ stdout, failed: false }),
    ({ stdout }) => ({ stdout, failed: true }),
  );
  if (failed) console.error(stdout);
  return { said: /^ *Tests +(.+?) \(\d+\)/m.exec(stdout)?.[1].replaceAll(' |', ',') ?? 'did not run', failed };
}

async function look(major) {
  const bin = await install(major);
  const node = join(bin, 'node');
  const script = `console.log(JSON.stringify({ ...process.versions, permission: process.allowedNodeEnvironmentFlags.has('--permission') }))`;
  const versions = JSON.parse((await run(node, ['--eval', script])).stdout);
  const toured = await tour(node).catch(({ stderr, message }) => {
    console.error(stderr || message);
    return 'failed';
  });
  const { said, failed } = await tests(bin);
  return {
    wrong: failed || !toured.startsWith('passed'),
    row: [
      versions.node,
      versions.modules,
      toured.startsWith('passed') ? 'runs' : 'fails',
      said,
      versions.permission ? '`--permission`' : '`--experimental-permission`',
    ],
  };
}

const rows = [];
let wrong = false;
for (const major of majors) {
  const found = await look(major);
  console.log(found.row.join(' | '));
  rows.push(found.row);
  wrong ||= found.wrong;
}
const head = ['Node.js', 'ABI', 'program', 'tests', 'permission model'];
const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
console.log(`\n${table}`);
if (wrong) process.exitCode = 1;
else if (values.publish) publish(join('docs', 'platforms.md'), 'node', table);
