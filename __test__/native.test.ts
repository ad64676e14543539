// What the package says where its binary is missing or cannot be loaded: in a folder with all of the package but the binary.
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/instances.js';
import { node } from './support/processes.js';

const root = resolve(import.meta.dirname, '..');
const { PLATFORMS } = createRequire(import.meta.url)('../lib/native.js') as { PLATFORMS: string[] };

/** The binary that this platform has. */
const binaryName = (await readdir(root)).find((name) => name.startsWith(`ductape.${process.platform}-${process.arch}`));

/** The folder of a program, and the package in its `node_modules`. */
let folder: string;
let modules: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  modules = join(folder, 'node_modules');
  await mkdir(join(modules, 'ductape'), { recursive: true });
  for (const name of ['index.js', 'native.js', 'package.json', 'lib']) {
    await cp(join(root, name), join(modules, 'ductape', name), { recursive: true });
  }
});

const addBinary = () => cp(join(root, binaryName ?? 'not built'), join(modules, 'ductape', binaryName ?? ''));

/** The package of this platform, with any file in place of the binary. */
const install = async (text: string, main = 'addon.node') => {
  const folder = join(modules, `ductape-${PLATFORMS.find((each) => binaryName === `ductape.${each}.node`)}`);
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ version: '0.1.0', main }));
  await writeFile(join(folder, main), text);
};

const program = (before = '') => `
  ${before}
  const { Ductape } = require('ductape');
  try {
    const { version } = new Ductape({ store: 'memory:' });
    console.log(JSON.stringify({ version }));
  } catch ({ message, cause }) {
    console.log(JSON.stringify({ message, cause: cause instanceof Error }));
  }
`;

/** What the constructor throws in a program; `before` runs before the package is loaded. */
async function complaint({ before = '', flags = [] as string[], file = 'program.cjs' } = {}): Promise<string> {
  if (file === 'program.cjs') await writeFile(join(folder, file), program(before));
  const child = node([...flags, join(folder, file)], { cwd: folder });
  expect(await child.ended).toMatchObject({ code: 0 });
  const { message, cause } = JSON.parse(child.lines.join('\n'));
  expect(cause).toBe(true);
  return message;
}

const pretend = (platform: string, arch: string, glibc?: string) => `
  Object.defineProperty(process, 'platform', { value: '${platform}' });
  Object.defineProperty(process, 'arch', { value: '${arch}' });
  Object.defineProperty(process.report, 'getReport', { value: () => ({ header: { glibcVersionRuntime: ${JSON.stringify(glibc)} } }) });
`;

const linux = pretend('linux', 'x64', '2.36');

describe('a binary that is missing', () => {
  it('is named by its package, with what a user of the package can do', async () => {
    const message = await complaint({ before: linux });
    const [first, ...remedies] = message.split('\n');
    expect(first).toBe(
      'ductape has no binary for linux x64 (glibc 2.36) here: the package ductape-linux-x64-gnu, an optional dependency, is not installed',
    );
    expect(remedies[0]).toContain('npm install --include=optional');
    for (const word of ['package-lock.json', 'supportedArchitectures', 'external']) expect(message).toContain(word);
    expect(remedies.findIndex((remedy) => /Rust/.test(remedy))).toBe(remedies.length - 1);
  });

  it.each([
    [pretend('linux', 'arm64'), 'linux arm64 (musl)', 'ductape-linux-arm64-musl'],
    [
      `${pretend('linux', 'x64')} Object.defineProperty(process, 'report', { value: undefined });`,
      'linux x64 (glibc)',
      'ductape-linux-x64-gnu',
    ],
    [pretend('win32', 'x64'), 'win32 x64', 'ductape-win32-x64-msvc'],
    [pretend('darwin', 'arm64'), 'darwin arm64', 'ductape-darwin-arm64'],
  ])('is that of the platform %#', async (before, platform, name) => {
    const message = await complaint({ before });
    expect(message).toContain(`for ${platform} here: the package ${name},`);
  });

  it('is told from node_modules that were copied from another platform', async () => {
    await mkdir(join(modules, 'ductape-darwin-arm64'));
    const [, remedy] = (await complaint({ before: linux })).split('\n');
    expect(remedy).toMatch(/of another platform \(it has ductape-darwin-arm64\): install where the program runs/);
  });

  it('of a program that is bundled is a matter of the bundler first', async () => {
    await writeFile(join(folder, 'source.cjs'), program(linux));
    await build({
      entryPoints: [join(folder, 'source.cjs')],
      outfile: join(folder, 'bundle.cjs'),
      bundle: true,
      platform: 'node',
      logLevel: 'silent',
    });
    await rm(modules, { recursive: true });
    const [, remedy] = (await complaint({ file: 'bundle.cjs' })).split('\n');
    expect(remedy).toMatch(/bundled: mark ductape as external/);
  });

  it.each([
    'Qualified path resolution failed: we looked for the following paths',
    'Required unplugged package missing from disk.',
    'ductape tried to access ductape-linux-x64-gnu, but it is not declared',
  ])('is known by what Yarn’s Plug’n’Play says of it: %s', async (text) => {
    await install(`throw new Error(${JSON.stringify(text)});`, 'index.js');
    expect(await complaint()).toContain('is not installed');
  });

  it('of a platform without one leaves a build from source', async () => {
    const message = await complaint({ before: pretend('freebsd', 'x64') });
    expect(message).toMatch(/^ductape has no binary for freebsd x64, only for darwin-arm64, /);
    expect(message).toMatch(/Rust/);
    expect(message).not.toContain('--include=optional');
  });

  it('is one of the platforms that have a package', async () => {
    expect([...PLATFORMS].sort()).toEqual((await readdir(join(root, 'npm'))).sort());
  });
});

describe('a binary that cannot be loaded', () => {
  it.skipIf(process.platform !== 'linux')('is told with the reason', async () => {
    await install('not a binary at all, and of some length, so that its header is read');
    const message = await complaint();
    expect(message).toMatch(
      /^ductape cannot load its binary for linux \S+ \((glibc [\d.]+|musl)\): .*; it may be damaged/,
    );
    expect(message).not.toContain('--include=optional');
  });

  it('since the Linux is too old says so', async () => {
    await install('');
    const before = `
      process.dlopen = () => {
        throw Object.assign(new Error("/lib/libc.so.6: version \`GLIBC_2.28' not found\\nmore"), { code: 'ERR_DLOPEN_FAILED' });
      };`;
    expect(await complaint({ before })).toMatch(
      /GLIBC_2\.28' not found; this Linux is older than what it was built for/,
    );
  });
});

describe('the permission model of Node.js', () => {
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  // What a `require` reads: the program, and what the name of a package leads to.
  const reads = (path: string) => `--allow-fs-read=${path}`;

  it('asks for --allow-addons', async () => {
    const message = await complaint({ flags: [permission, reads('*')] });
    // Without a binary at hand, Node.js has refused nothing.
    expect(message).toContain('is not installed');
    await addBinary();
    expect(await complaint({ flags: [permission, reads('*')] })).toBe(
      'ductape is a native addon, which the permission model of Node.js forbids: start Node.js with --allow-addons, beside ' +
        '--allow-fs-read for the program and node_modules',
    );
  });

  it('is told from --no-addons', async () => {
    await addBinary();
    expect(await complaint({ flags: ['--no-addons'] })).toMatch(/start it without --no-addons$/);
  });

  // Node.js 20 does not guard what a package's name leads to.
  const guards = Number.parseInt(process.versions.node, 10) >= 22;
  it.runIf(guards)('asks for --allow-fs-read where the binary lies apart', async () => {
    await install('');
    await writeFile(join(folder, 'program.cjs'), program());
    const but = ['index.js', 'native.js', 'package.json', 'lib/*'].map((name) => reads(join(modules, 'ductape', name)));
    const flags = [permission, '--allow-addons', reads(join(folder, 'program.cjs')), ...but];
    expect(await complaint({ flags })).toMatch(/^ductape may not read .*--allow-fs-read/);
  });

  it('needs no more than addons and reading', async () => {
    await addBinary();
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    await writeFile(
      join(folder, 'works.cjs'),
      `const { Ductape } = require('ductape');
       (async () => {
         const ductape = new Ductape({ store: ${JSON.stringify(store)}, product: 'shop', env: 'test' });
         ductape.features.define('report', () => 'done');
         const { job_id } = await ductape.features.dispatch({ tag: 'report', input: {} });
         console.log('result', await ductape.jobs.wait(job_id));
         await ductape.close();
       })();`,
    );
    const child = node([permission, '--allow-addons', reads(folder), join(folder, 'works.cjs')], { cwd: folder });
    expect(await child.waitForLine('result')).toBe('done');
    expect(await child.ended).toMatchObject({ code: 0 });
  });
});
