// Every way to the package's classes: as Node.js loads it, and as compilers and bundlers rewrite an import.
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/instances.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');

/** Makes a folder that the package is installed in, with the given files. */
async function projectOf(files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/ductape'), 'junction');
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** Runs a program that prints JSON. */
async function printedBy(folder: string, program: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, [join(folder, program)], { cwd: folder });
  return JSON.parse(stdout);
}

/** Code that makes an instance of `Class`, runs a job and prints its result. */
const runsJob = (Class: string) => `
(async () => {
  const ductape = new ${Class}({ store: 'memory:', product: 'shop', env: 'test' });
  ductape.features.define('greet', (job) => 'hello ' + job.input.name);
  const { job_id } = await ductape.features.dispatch({ tag: 'greet', input: { name: 'Ann' } });
  console.log(JSON.stringify(await ductape.jobs.wait(job_id, { timeout: 60_000 })));
  await ductape.close();
})();
`;

const commonjs: Record<string, string> = {
  'the module is the class': `const Ductape = require('ductape'); ${runsJob('Ductape')}`,
  'new (require())()': runsJob("(require('ductape'))"),
  'the class by name': `const { Ductape } = require('ductape'); ${runsJob('Ductape')}`,
  'the class as default': `const Ductape = require('ductape').default; ${runsJob('Ductape')}`,
  'a dynamic import': `(async () => { const { default: Ductape } = await import('ductape'); ${runsJob('Ductape')} })();`,
};

const modules: Record<string, string> = {
  'the default': `import Ductape from 'ductape'; ${runsJob('Ductape')}`,
  'the class by name': `import { Ductape } from 'ductape'; ${runsJob('Ductape')}`,
  'default and names': `import Ductape, { literal } from 'ductape'; literal('x'); ${runsJob('Ductape')}`,
  'the whole module': `import * as all from 'ductape'; ${runsJob('all.Ductape')}`,
  'the whole module, its default': `import * as all from 'ductape'; ${runsJob('all.default')}`,
};

describe('the classes are reached', () => {
  it.each(Object.entries(commonjs))('by require: %s', async (_how, source) => {
    expect(await printedBy(await projectOf({ 'program.cjs': source }), 'program.cjs')).toBe('hello Ann');
  });

  it.each(Object.entries(modules))('by import: %s', async (_how, source) => {
    expect(await printedBy(await projectOf({ 'program.mjs': source }), 'program.mjs')).toBe('hello Ann');
  });

  // esbuild gives a default import another meaning in files that are ES modules to Node.js: both are tried.
  describe.each(['mjs', 'js'])('by import in a .%s file', (extension) => {
    it.each(Object.entries(modules))('bundled as CommonJS, with the package external: %s', async (_how, source) => {
      const folder = await projectOf({ [`source.${extension}`]: source });
      await build({
        entryPoints: [join(folder, `source.${extension}`)],
        outfile: join(folder, 'bundle.cjs'),
        bundle: true,
        platform: 'node',
        format: 'cjs',
        external: ['ductape'],
        logLevel: 'silent',
      });
      expect(await readFile(join(folder, 'bundle.cjs'), 'utf8')).toContain('require("ductape")');
      expect(await printedBy(folder, 'bundle.cjs')).toBe('hello Ann');
    });
  });

  it.each(['cjs', 'esm'] as const)(
    'from a bundle (%s) with the addon copied, which has pages of the dashboard next to it',
    async (format) => {
      const source = `import Ductape from 'ductape';
      (async () => {
        const ductape = new Ductape({ store: 'memory:', product: 'shop', env: 'test' });
        const page = await ductape.dashboard({ authorize: () => true })(new Request('http://localhost/'));
        console.log(JSON.stringify([page.status, (await page.text()).includes('<html')]));
        await ductape.close();
      })();`;
      const folder = await projectOf({ 'source.js': source });
      const alone = await temporaryFolder();
      const ending = format === 'esm' ? 'mjs' : 'cjs';
      const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
      await build({
        entryPoints: [join(folder, 'source.js')],
        outfile: join(alone, `bundle.${ending}`),
        bundle: true,
        platform: 'node',
        format,
        loader: { '.node': 'copy' },
        ...(format === 'esm' ? { banner: { js: banner } } : {}),
        logLevel: 'silent',
      });
      await cp(join(root, 'lib/dashboard/static'), join(alone, 'static'), { recursive: true });
      expect(await printedBy(alone, `bundle.${ending}`)).toEqual([200, true]);
    },
  );

  // Without `esModuleInterop`, TypeScript takes `default` from what require() gives.
  describe.each([true, false])('by TypeScript as CommonJS, esModuleInterop %s', (esModuleInterop) => {
    const forms = { ...modules, 'import = require': `import Ductape = require('ductape'); ${runsJob('Ductape')}` };
    it('in every form', { timeout: 120_000 }, async () => {
      const names = Object.keys(forms);
      const folder = await projectOf({
        ...Object.fromEntries(Object.values(forms).map((source, index) => [`program${index}.ts`, source])),
        'package.json': '{ "type": "commonjs" }',
        'tsconfig.json': JSON.stringify({
          compilerOptions: {
            module: 'CommonJS',
            moduleResolution: 'Node10',
            target: 'ES2022',
            esModuleInterop,
            strict: true,
            noImplicitAny: false,
            types: ['node'],
            typeRoots: [join(root, 'node_modules/@types')],
          },
        }),
      });
      const compiler = join(root, 'node_modules/typescript5/bin/tsc');
      const complaints = await run(process.execPath, [compiler, '--project', folder, '--pretty', 'false']).then(
        () => '',
        (failure: { stdout: string }) => failure.stdout,
      );
      expect(complaints).toBe('');
      const printed = await Promise.all(names.map((_name, index) => printedBy(folder, `program${index}.js`)));
      expect(printed).toEqual(names.map(() => 'hello Ann'));
    });
  });

  it('with all of the rest as statics, and in subclasses', async () => {
    const source = `const Ductape = require('ductape');
      class Own extends Ductape {}
      console.log(JSON.stringify({
        statics: Object.keys(Ductape).sort(),
        methods: ['move', 'restore'].every((name) => typeof Ductape[name] === 'function' && Own[name] === Ductape[name]),
        name: Ductape.name,
        error: new Ductape.DuctapeError('CLOSED', 'x') instanceof Error,
      }));`;
    const { statics, ...rest } = (await printedBy(await projectOf({ 'program.cjs': source }), 'program.cjs')) as {
      statics: string[];
    };
    expect(rest).toEqual({ methods: true, name: 'Ductape', error: true });
    const { default: _default, 'module.exports': _exports, ...named } = await import('../index.mjs' as string);
    expect(statics).toEqual([...Object.keys(named), 'default'].sort());
  });
});

describe('the types of require()', () => {
  it('have every name of the contract', async () => {
    const declared = await Promise.all(
      (await readdir(join(root, 'types'), { recursive: true }))
        .filter((name) => name.endsWith('.d.ts'))
        .map(async (name) => {
          const text = await readFile(join(root, 'types', name), 'utf8');
          return [...text.matchAll(/^export (?:declare )?(?:interface|type|class|function|const) (\w+)/gm)].map(
            ([, found]) => found,
          );
        }),
    );
    const required = await readFile(join(root, 'index.d.cts'), 'utf8');
    const namespace = required.slice(required.indexOf('declare namespace'));
    const missing = declared.flat().filter((name) => !new RegExp(`\\b${name}\\b`).test(namespace));
    expect(missing, 'add them to both lists of index.d.cts').toEqual([]);
  });
});
