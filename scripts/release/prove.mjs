// Makes a release as the workflow does, but for publishing it, and installs it from a registry of its own: without Rust, without
// scripts, on this platform and on others. Builds the binary of Linux on this architecture, against an old glibc, unless --binary
// or DUCTAPE_TEST_BINARY names one; the other platforms get a text in its place. Needs Linux with glibc, binutils, and Rust for the build.
// Usage: node scripts/release/prove.mjs [--binary FILE] [--keep]
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { root } from './crates.mjs';
import { serveRegistry } from './registry.mjs';

const { values } = parseArgs({ options: { binary: { type: 'string' }, keep: { type: 'boolean' } } });
const require = createRequire(import.meta.url);
const platform = `linux-${process.arch}-gnu`;
const target = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-unknown-linux-gnu`;
const work = mkdtempSync(join(tmpdir(), 'ductape-release-'));
const stage = join(work, 'stage');

/** Runs a command to its end, and gives what it printed. */
async function run(command, args, { cwd = stage, env } = {}) {
  const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 27 };
  try {
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (cause) {
    throw new Error(`${command} ${args.join(' ')} failed\n${cause.stdout}\n${cause.stderr}`, { cause });
  }
}

const tool = (path, args) => run(process.execPath, [join(root, 'node_modules', path), ...args]);
const CLI = '@napi-rs/cli/dist/cli.js';
const napi = (command, ...args) => tool(CLI, [command, '--cwd', stage, ...args]);

/**
 * Where `--use-napi-cross` looks for its compiler. It takes the version of its own package; a registry that does not have that one
 * may have an older one, which serves as well.
 */
async function fetchToolchain() {
  const { version } = require(
    require.resolve('@napi-rs/cross-toolchain/package.json', {
      paths: [require.resolve('@napi-rs/cli')],
    }),
  );
  const folder = join(homedir(), '.napi-rs', 'cross-toolchain', version, target);
  if (existsSync(join(folder, 'package.json'))) return;
  const name = `@napi-rs/cross-toolchain-${process.arch}-target-${target.split('-', 1)[0]}`;
  const available = JSON.parse(await run('npm', ['view', name, 'versions', '--json'], { cwd: work }));
  const chosen = [available].flat().includes(version) ? version : [available].flat().at(-1);
  const [{ filename }] = Object.values(
    JSON.parse(await run('npm', ['pack', `${name}@${chosen}`, '--json'], { cwd: work })),
  );
  await run('tar', ['xzf', filename], { cwd: work });
  mkdirSync(folder, { recursive: true });
  await run('tar', ['xJf', join('package', `${target}.tar.xz`), '-C', folder], { cwd: work });
}

/** The binary that a release would have for this platform. */
async function buildBinary() {
  const built = values.binary ?? process.env.DUCTAPE_TEST_BINARY;
  if (built !== undefined) return resolve(built);
  await fetchToolchain();
  const output = join(work, 'built');
  const args = ['build', '--platform', '--release', '--js', 'native.js', '--dts', 'native.d.ts', '--target', target];
  const command = [join(root, 'node_modules', CLI), ...args, '--use-napi-cross', '--output-dir', output];
  const [code] = await once(spawn(process.execPath, command, { cwd: root, stdio: 'inherit' }), 'exit');
  assert.equal(code, 0, 'the build failed');
  return join(output, `ductape.${platform}.node`);
}

/** What the workflow has before it packs: the files of the repository, and those that a build makes. */
async function checkOut() {
  const tracked = (await run('git', ['ls-files', '-z'], { cwd: root })).split('\0').filter(Boolean);
  for (const file of [...tracked, 'native.js', 'native.d.ts', 'lib/dashboard/static']) {
    cpSync(join(root, file), join(stage, file), { recursive: true });
  }
}

/** The steps of the job `publish`. */
async function assemble(binary) {
  const artifacts = join(stage, 'artifacts');
  mkdirSync(artifacts);
  for (const each of readdirSync(join(stage, 'npm'))) {
    const path = join(artifacts, `ductape.${each}.node`);
    if (each === platform) cpSync(binary, path);
    else writeFileSync(path, 'a binary of another platform');
  }
  await napi('artifacts');
  await run(process.execPath, [join(root, 'scripts', 'release', 'copy-terms.mjs'), stage]);
  await napi('prepublish', '--tag-style', 'npm', '--no-gh-release', '--skip-optional-publish');
  for (const file of readdirSync(stage).filter((name) => name.endsWith('.node'))) rmSync(join(stage, file));
}

async function pack(folder) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', work];
  // npm prints a list, and newer ones an object with the package's name as its key.
  const [{ filename, files }] = Object.values(JSON.parse(await run('npm', args, { cwd: folder })));
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { manifest, tarball: join(work, filename), files: files.map(({ path }) => path).sort() };
}

async function packAll() {
  const main = await pack(stage);
  const { optionalDependencies, version } = main.manifest;
  const platforms = [];
  for (const each of readdirSync(join(stage, 'npm'))) {
    const packed = await pack(join(stage, 'npm', each));
    assert.deepEqual(packed.files, ['LICENSE', 'README.md', 'THIRD-PARTY', `ductape.${each}.node`, 'package.json']);
    platforms.push(packed);
  }
  const expected = Object.fromEntries(platforms.map(({ manifest }) => [manifest.name, version]));
  assert.deepEqual(optionalDependencies, expected);
  assert.deepEqual(
    main.files.filter((path) => path.endsWith('.node') || path.startsWith('npm/')),
    [],
  );
  await tool('publint/src/cli.js', ['run', main.tarball, '--strict']);
  await tool('@arethetypeswrong/cli/dist/index.js', [main.tarball, '--no-emoji']);
  return [main, ...platforms];
}

/** What somebody would write first. */
const PROGRAM = `
import Ductape from 'ductape';
try {
  const ductape = new Ductape({ product: 'shop', env: 'test' });
  ductape.features.define('greet', ({ input }) => 'hello ' + input.name);
  const { job_id } = await ductape.features.dispatch({ tag: 'greet', input: { name: 'Ann' } });
  console.log(await ductape.jobs.wait(job_id));
  await ductape.close();
} catch ({ message }) {
  console.log(message);
}
`;

/** A PATH with Node.js and npm alone. */
async function bareMachine() {
  const bin = join(work, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  const npm = (await run('sh', ['-c', 'readlink -f "$(command -v npm)"'], { cwd: work })).trim();
  for (const each of ['npm', 'npx']) symlinkSync(join(dirname(npm), `${each}-cli.js`), join(bin, each));
  for (const each of ['sh', 'env']) symlinkSync(join('/usr/bin', each), join(bin, each));
  for (const each of ['cargo', 'rustc', 'cc', 'python3']) assert(!existsSync(join(bin, each)));
  return bin;
}

/** A folder of a user's, on a machine without Rust. */
function consumer(name, bin, registry) {
  const folder = join(work, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  writeFileSync(join(folder, 'index.js'), PROGRAM);
  const env = {
    PATH: bin,
    npm_config_registry: registry,
    npm_config_cache: join(work, 'cache'),
    DUCTAPE_STORE: undefined,
  };
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  return {
    npm: (...args) => run('npm', [...args, ...quiet], { cwd: folder, env }),
    start: async () => (await run('node', ['index.js'], { cwd: folder, env })).trim(),
    command: (...args) => run('npx', ['--no-install', 'ductape', ...args], { cwd: folder, env }),
    installed: () => readdirSync(join(folder, 'node_modules')).filter((each) => each.startsWith('ductape')),
  };
}

const step = (what) => console.log(`- ${what}`);

async function installAll(packages) {
  const registry = await serveRegistry(packages);
  const bin = await bareMachine();
  const fresh = (name) => consumer(name, bin, registry.url);
  try {
    const here = fresh('here');
    await here.npm('install', 'ductape');
    assert.deepEqual(here.installed(), ['ductape', `ductape-${platform}`]);
    assert.equal(await here.start(), 'hello Ann');
    assert.equal(JSON.parse(await here.command('preview', '@daily', '--json')).times.length, 5);
    step(`installed on ${platform}, without Rust and scripts: it has one binary, runs a job, and has its command`);

    for (const [flags, other] of [
      [['--os=darwin', '--cpu=arm64'], 'darwin-arm64'],
      [['--os=linux', `--cpu=${process.arch}`, '--libc=musl'], `linux-${process.arch}-musl`],
      [['--os=win32', '--cpu=x64'], 'win32-x64-msvc'],
    ]) {
      const elsewhere = fresh(other);
      await elsewhere.npm('install', 'ductape', ...flags);
      assert.deepEqual(elsewhere.installed(), ['ductape', `ductape-${other}`]);
      const message = await elsewhere.start();
      assert.match(message, new RegExp(`the package ductape-${platform}, an optional dependency, is not installed`));
      assert.match(message, new RegExp(`of another platform \\(it has ductape-${other}\\)`));
      // What the message advises, on this platform.
      await elsewhere.npm('install');
      assert.equal(await elsewhere.start(), 'hello Ann');
      step(`installed for ${other}: the message says so; installed again, it runs`);
    }

    const without = fresh('without');
    await without.npm('install', 'ductape', '--omit=optional');
    assert.deepEqual(without.installed(), ['ductape']);
    assert.match(await without.start(), /npm install --include=optional/);
    await without.npm('install', '--include=optional');
    assert.equal(await without.start(), 'hello Ann');
    step('installed without optional dependencies: what the message advises brings the binary');
    assert.deepEqual(
      registry.asked.filter((name) => name !== '@opentelemetry'),
      [],
      'something else was asked of the registry',
    );
  } finally {
    registry.close();
  }
}

/** pnpm and Yarn, for this platform and for another one, by the setting that our message names. */
async function installByOthers(packages) {
  const registry = await serveRegistry(packages);
  const tools = join(work, 'tools');
  mkdirSync(tools);
  writeFileSync(join(tools, 'package.json'), '{ "private": true }');
  // The newest of these that run on the oldest Node.js that we support.
  await run('npm', ['install', 'pnpm@10', '@yarnpkg/cli-dist@4', '--no-audit', '--no-fund'], { cwd: tools });
  const settings = (other) => {
    const [os, cpu, libc] = (other ?? platform).split('-');
    const libcs = { gnu: 'glibc', musl: 'musl' }[libc];
    return `supportedArchitectures:\n  os: [${os}]\n  cpu: [${cpu}]\n${libcs ? `  libc: [${libcs}]\n` : ''}`;
  };
  const yarn = (
    linker,
  ) => `nodeLinker: ${linker}\nenableTelemetry: false\nenableGlobalCache: false\nenableScripts: false\nglobalFolder: ${join(work, 'yarn')}
npmRegistryServer: "${registry.url}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nnpmMinimalAgeGate: 0\n`;
  const installers = [
    ['pnpm', 'pnpm/bin/pnpm.cjs', 'pnpm-workspace.yaml', '', ['install', '--ignore-scripts', '--no-frozen-lockfile']],
    ['Yarn', '@yarnpkg/cli-dist/bin/yarn.js', '.yarnrc.yml', yarn('node-modules'), ['install']],
    ['Yarn with Plug’n’Play', '@yarnpkg/cli-dist/bin/yarn.js', '.yarnrc.yml', yarn('pnp'), ['install']],
  ];
  try {
    for (const [name, program, file, own, install] of installers) {
      const folder = mkdtempSync(join(work, 'installer-'));
      const manifest = { private: true, type: 'module', dependencies: { ductape: '*' } };
      writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
      writeFileSync(join(folder, 'index.js'), PROGRAM);
      // So that no folder above counts as the project.
      writeFileSync(join(folder, 'yarn.lock'), '');
      const env = {
        npm_config_registry: registry.url,
        npm_config_store_dir: join(work, 'store'),
        DUCTAPE_STORE: undefined,
        CI: '',
      };
      const call = (...args) =>
        run(process.execPath, [join(tools, 'node_modules', program), ...args], { cwd: folder, env });
      for (const [other, said] of [
        [`linux-${process.arch}-musl`, /ductape has no binary for linux/],
        [undefined, /^hello Ann$/],
      ]) {
        writeFileSync(join(folder, file), own + settings(other));
        await call(...install);
        const printed = name.startsWith('Yarn')
          ? await call('node', 'index.js')
          : await call('exec', 'node', 'index.js');
        assert.match(printed.trim(), said);
      }
      step(`${name}: brings the binary of the platform that supportedArchitectures names`);
    }
  } finally {
    registry.close();
  }
}

/** The bill of materials passes the schema of its format. */
async function checkBill() {
  const bill = await run(process.execPath, [join(root, 'scripts', 'release', 'sbom.mjs')]);
  const folder = join(work, 'schema');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  writeFileSync(join(folder, 'bill.json'), bill);
  writeFileSync(
    join(folder, 'check.cjs'),
    `const { Spec, Validation } = require('@cyclonedx/cyclonedx-library');
     const bill = require('fs').readFileSync('bill.json', 'utf8');
     const version = Spec.Version['v' + JSON.parse(bill).specVersion.replace('.', 'dot')];
     new Validation.JsonStrictValidator(version).validate(bill).then((wrong) => {
       if (wrong) { console.error(JSON.stringify(wrong, null, 2)); process.exitCode = 1; }
     });`,
  );
  const packages = ['@cyclonedx/cyclonedx-library', 'ajv', 'ajv-formats', 'ajv-formats-draft2019'];
  await run('npm', ['install', ...packages, '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
  await run(process.execPath, ['check.cjs'], { cwd: folder });
}

try {
  mkdirSync(stage);
  await run(process.execPath, [join(root, 'scripts', 'release', 'third-party.mjs'), '--check']);
  step('THIRD-PARTY is that of Cargo.lock');
  await checkBill();
  step('the bill of materials is valid CycloneDX');
  const binary = await buildBinary();
  step((await run(process.execPath, [join(root, 'scripts', 'release', 'symbols.mjs'), binary])).trim());
  await checkOut();
  await assemble(binary);
  const packages = await packAll();
  step(`${packages.length} packages hold what they should, and publint and attw find nothing`);
  await installAll(packages);
  await installByOthers(packages);
} finally {
  if (values.keep) console.log(`kept in ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
