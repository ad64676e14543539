// Compiles the documentation and __test__/types against the package, resolved by its name as consumers resolve it: under
// every module system, with the oldest and the newest supported compiler. The documented code is taken out of the
// document itself, so neither can change without the other.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { companionsFolder } from './support/companions.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const fixture = join(root, '__test__/fixtures/scheduling-jobs.md');

/** The oldest one is not among the dependencies of development, since no tool here works with it. */
const compilers = {
  'TypeScript 5.0': '',
  'TypeScript 5': join(root, 'node_modules/typescript5/bin/tsc'),
  'TypeScript 7': join(root, 'node_modules/typescript/bin/tsc'),
};

interface Consumer {
  compiler: keyof typeof compilers;
  type: 'module' | 'commonjs';
  options: Record<string, unknown>;
  /** Whether `import x = require()` exists there. */
  requires?: boolean;
  /** Whether no types of a platform are there, and so none of what needs them. */
  bare?: boolean;
}

const nodeNext = { module: 'NodeNext', moduleResolution: 'NodeNext' };
const bundler = { module: 'ESNext', moduleResolution: 'Bundler' };
const consumers: Record<string, Consumer> = {
  // Newer compilers have no such resolution any more.
  'node10, without esModuleInterop': {
    compiler: 'TypeScript 5',
    type: 'commonjs',
    options: { module: 'CommonJS', moduleResolution: 'Node10', esModuleInterop: false },
    requires: true,
  },
};
/** All that makes a compiler find more fault with types. */
const strictest = {
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  skipLibCheck: false,
};
const browser = { ...bundler, lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [] };
for (const compiler of Object.keys(compilers) as Consumer['compiler'][]) {
  const bare = { ...nodeNext, ...strictest, types: [] };
  consumers[`no types of a platform, strictest options, ${compiler}`] = {
    compiler,
    type: 'module',
    options: bare,
    bare: true,
  };
  consumers[`types of browsers, strictest options, ${compiler}`] = {
    compiler,
    type: 'module',
    options: { ...strictest, ...browser },
  };
  // The types of Node.js need a newer one.
  if (compiler === 'TypeScript 5.0') continue;
  consumers[`NodeNext, ES modules, strictest options, ${compiler}`] = {
    compiler,
    type: 'module',
    options: { ...nodeNext, ...strictest },
  };
  consumers[`NodeNext, ES modules, ${compiler}`] = { compiler, type: 'module', options: nodeNext, requires: true };
  consumers[`NodeNext, CommonJS, ${compiler}`] = { compiler, type: 'commonjs', options: nodeNext, requires: true };
  consumers[`Bundler, ${compiler}`] = { compiler, type: 'module', options: bundler };
}

interface Documented {
  /** Code blocks that declare interfaces. */
  declarations: string[];
  /** Code blocks that call the API. */
  examples: string[];
  /** The API's methods, as the document's table spells them. */
  methods: string[];
}

function parse(markdown: string): Documented {
  const blocks = [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
  return {
    declarations: blocks.filter((block) => /^interface /m.test(block)),
    examples: blocks.filter((block) => !/^interface /m.test(block)),
    methods: [...markdown.matchAll(/^\| `(ductape\.[\w.]+)` \| `(\w+)\(\)` \|/gm)].map(
      ([, path, name]) => `${path}.${name}`,
    ),
  };
}

const namesOf = (block: string) => [...block.matchAll(/^interface (\w+)/gm)].map(([, name]) => name as string);

/** A module that proves each interface of the block to be the exported one of its name, in both directions. */
function typeEqualityModule(block: string): string {
  const declared = namesOf(block);
  const mentioned = new Set([...block.matchAll(/\bI[A-Z]+[a-z]\w*/g)].map(([name]) => name));
  const imported = [...mentioned].filter((name) => !declared.includes(name));
  return [
    "import type * as Actual from 'ductape';",
    "import type { Equals, Expect } from './equals.js';",
    ...imported.map((name) => `type ${name} = Actual.${name};`),
    `namespace Doc {\n${block.replace(/^interface /gm, 'export interface ')}}`,
    ...declared.map((name) => `export type Proof${name} = Expect<Equals<Doc.${name}, Actual.${name}>>;`),
  ].join('\n');
}

/** A module in which each block stands word for word in a function of its own. */
function exampleModule(blocks: string[]): string {
  const functions = blocks.map(
    (block, index) => `export async function example${index + 1}(ductape: Ductape): Promise<void> {\n${block}}`,
  );
  return ["import type { Ductape } from 'ductape';", ...functions].join('\n\n');
}

function methodModule(methods: string[]): string {
  const values = methods.map((method) => `  ${method},`).join('\n');
  return `import Ductape from 'ductape';\nconst ductape = new Ductape();\nexport const methods: Function[] = [\n${values}\n];\n`;
}

let folder: string | undefined;

/** Lays out a consumer's project and compiles it; resolves with the compiler's errors. */
async function compile(
  { compiler, type, options, requires, bare }: Consumer,
  { declarations, examples, methods }: Documented,
) {
  folder = await mkdtemp(join(tmpdir(), 'ductape-types-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/ductape'), 'junction');
  await cp(join(root, '__test__/types'), folder, {
    recursive: true,
    filter: (path) => !bare || !needsPlatform.has(basename(path)),
  });
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022'],
    strict: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    ...options,
  };
  const files: Record<string, string> = {
    'package.json': JSON.stringify({ type }),
    'tsconfig.json': JSON.stringify({ compilerOptions, include: requires ? ['*.ts', '*.cts'] : ['*.ts'] }),
    'examples.ts': exampleModule(examples),
    'methods.ts': methodModule(methods),
  };
  // The documented examples print what they get.
  if (bare) files['console.d.ts'] = 'declare const console: { log(...values: unknown[]): void };';
  declarations.forEach((block, index) => {
    files[`documented${index + 1}.ts`] = typeEqualityModule(block);
  });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const errors = await run(process.execPath, [compilers[compiler], '--project', folder, '--pretty', 'false'], {
    cwd: folder,
  }).then(
    () => '',
    (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr || 'the compiler failed',
  );
  return errors.split('\n').filter((line) => line !== '');
}

/** The files of `types` that name what a platform declares. */
const needsPlatform = new Set(['handlers.ts', 'surface.ts']);

beforeAll(async () => {
  compilers['TypeScript 5.0'] = join(await companionsFolder(), 'node_modules/typescript/bin/tsc');
}, 240_000);

afterEach(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
  folder = undefined;
});

describe('the documentation and the types', () => {
  it('are extracted completely from the document', async () => {
    const { declarations, examples, methods } = parse(await readFile(fixture, 'utf8'));
    expect(new Set(declarations.flatMap(namesOf)).size).toBe(12);
    expect(methods).toHaveLength(9);
    expect(examples).toHaveLength(10);
    for (const example of examples) expect(example).toContain('.dispatch({');
  });

  it.each(Object.entries(consumers))('compile under %s', { timeout: 120_000 }, async (_name, consumer) => {
    expect(await compile(consumer, parse(await readFile(fixture, 'utf8')))).toEqual([]);
  });

  // Shows that the test above can fail: one change to the document, in each of the ways in which it could drift.
  it.each([
    ['a member becomes required', '  retries?: number;', '  retries: number;', 'documented'],
    ['a member goes', '  tag: string;\n  input:', '  input:', 'documented'],
    ['a type gets wider', "'scheduled' | 'queued'", 'string', 'documented'],
    ['an example misspells a key', "event: 'sync_inventory'", "evnt: 'sync_inventory'", 'examples'],
    ['a method is new', '`ductape.actions` | `dispatch()`', '`ductape.actions` | `enqueue()`', 'methods'],
  ])('do not compile when %s', { timeout: 120_000 }, async (_change, before, after, file) => {
    const markdown = await readFile(fixture, 'utf8');
    expect(markdown).toContain(before);
    const errors = await compile(
      { compiler: 'TypeScript 7', type: 'module', options: bundler },
      parse(markdown.replace(before, after)),
    );
    expect(errors.join('\n')).toMatch(new RegExp(`^${file}\\d*\\.ts.*error TS`, 'm'));
  });
});
