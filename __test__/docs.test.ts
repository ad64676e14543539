// The code in the README and the guides: every `js` and `ts` block is type-checked and run, in an empty folder, against the package
// resolved by its name. A block that makes no instance of its own gets one with a store in memory. A block after a comment
// `<!-- not run: why -->` is only checked, and so is one that begins with the name of its file, as in `// worker.ts`: it is a part
// of a program, which another test runs.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DuctapeError } from '../index.js';
import { create } from './support/instances.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const documents = [
  'README.md',
  ...(await readdir(join(root, 'docs'))).filter(isMarkdown).map((name) => `docs/${name}`),
];

interface Block {
  /** Document and line, as an editor understands them. */
  place: string;
  code: string;
  language: 'js' | 'ts';
  /** The file that it says it is. */
  name?: string;
  runs: boolean;
}

function isMarkdown(name: string): boolean {
  return name.endsWith('.md');
}

function blocksOf(document: string, markdown: string): Block[] {
  return [...markdown.matchAll(/(<!-- not run: [^\n]* -->\n)?^```(js|ts)\n(.*?)^```$/gms)].map((match) => {
    const [, comment, language = '', code = ''] = match;
    const [, name] = /^\/\/ ([\w.-]+\.[jt]s)\n/.exec(code) ?? [];
    return {
      place: `${document}:${markdown.slice(0, match.index).split('\n').length}`,
      code,
      language: language as Block['language'],
      ...(name === undefined ? {} : { name }),
      runs: comment === undefined && name === undefined,
    };
  });
}

/** A module that can stand alone. */
function moduleOf({ code, name }: Block): string {
  if (name !== undefined || /^import Ductape\b/m.test(code)) return code;
  return [
    "import Ductape from 'ductape';",
    "const ductape = new Ductape({ store: 'memory:', product: 'my-app', env: 'prd' });",
    code,
    'await ductape.close();',
    '',
  ].join('\n');
}

const blocks = (
  await Promise.all(documents.map(async (name) => blocksOf(name, await readFile(join(root, name), 'utf8'))))
).flat();

let folder: string;

const plain = (text: string) => text.replace(/\W/g, '-');

/** The block's file in the consumer's folder; those with names are together with the others of their document. */
function fileOf({ place, language, name }: Block): string {
  if (name !== undefined) return join(folder, plain(place.replace(/:\d+$/, '')), name);
  return join(folder, `${plain(place)}.${language === 'ts' ? 'mts' : 'mjs'}`);
}

/** What Node runs: the block itself, or without its types. */
async function programOf(block: Block): Promise<string> {
  const file = fileOf(block);
  if (block.language === 'js') return file;
  const { code } = await transform(await readFile(file, 'utf8'), { loader: 'ts', format: 'esm' });
  const program = file.replace(/\.mts$/, '.run.mjs');
  await writeFile(program, code);
  return program;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ductape-docs-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/ductape'), 'junction');
  // What docs/dashboard.md imports; its programs are run by `dashboard-mount.test.ts`.
  await mkdir(join(folder, 'node_modules/@hono'));
  for (const name of ['express', 'fastify', 'hono', 'koa', '@hono/node-server']) {
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
  }
  await writeFile(join(folder, 'sign-in.mjs'), "export const userOf = (request) => (request ? 'ann' : undefined);\n");
  // What the guide to traces installs.
  const telemetry = 'node_modules/@opentelemetry';
  await symlink(join(root, telemetry), join(folder, telemetry), 'junction');
  const compilerOptions = {
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    target: 'ES2022',
    lib: ['ES2022'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noPropertyAccessFromIndexSignature: true,
    // The code in documents is JavaScript.
    noImplicitAny: false,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  };
  // Types of the frameworks that the dashboard is mounted in are not ours.
  const lax = { ...compilerOptions, skipLibCheck: true };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: lax, include: ['*.mjs'] }));
  // That in TypeScript passes all that a reader may be as strict with.
  const strictest = {
    ...compilerOptions,
    noImplicitAny: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    allowImportingTsExtensions: true,
    allowJs: false,
    checkJs: false,
  };
  await writeFile(
    join(folder, 'tsconfig.typescript.json'),
    JSON.stringify({ compilerOptions: strictest, include: ['*.mts', '*/*.ts'], exclude: ['node_modules'] }),
  );
  for (const block of blocks) {
    await mkdir(dirname(fileOf(block)), { recursive: true });
    await writeFile(fileOf(block), moduleOf(block));
  }
  // Files with names are ES modules, as `npm pkg set type=module` makes them.
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the README', () => {
  it('is short, and begins with the two commands of this repository', async () => {
    const text = await readFile(join(root, 'README.md'), 'utf8');
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
    const commands = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trim().split('\n'));
    expect(commands.slice(0, 2)).toEqual(['npm install && npm start', 'npm install && npm test']);
  });
});

describe('the code in the documents', () => {
  it('is found', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(10);
  });

  it.each([
    { config: 'tsconfig.json', typescript: 'typescript' },
    { config: 'tsconfig.typescript.json', typescript: 'typescript' },
    // What many programs still have.
    { config: 'tsconfig.typescript.json', typescript: 'typescript5' },
  ])('type-checks by $config with $typescript', { timeout: 120_000 }, async ({ config, typescript }) => {
    const compiler = join(root, 'node_modules', typescript, 'bin/tsc');
    const errors = await run(process.execPath, [compiler, '--project', join(folder, config), '--pretty', 'false'], {
      cwd: folder,
    }).then(
      () => '',
      (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr || 'the compiler failed',
    );
    expect(errors).toBe('');
  });

  it.each(blocks.filter((block) => block.runs))('runs: $place', async (block) => {
    const cwd = await mkdtemp(join(folder, 'run-'));
    // The programs must not inherit the store and colours of the test run.
    const env = { ...process.env, DUCTAPE_STORE: undefined, FORCE_COLOR: undefined, NO_COLOR: undefined };
    // Rejects, with what the program printed, when it fails or does not end.
    const { stderr } = await run(process.execPath, [await programOf(block)], { cwd, env, timeout: 20_000 });
    // Some show what becomes of a failure.
    expect(stderr.replace(/^ductape: job .* failed in attempt .*\n/gm, '')).toBe('');
  });
});

describe('the table of faults in docs/guarantees.md', () => {
  it('names tests that are there', async () => {
    const text = await readFile(join(root, 'docs', 'guarantees.md'), 'utf8');
    const rows = [...text.matchAll(/^\|(?: [^|]*\|){2} ([^|]*) \|$/gm)].map(([, tests = '']) => tests);
    const named = new Set<string>();
    const rounds = new Set<string>();
    for (const row of rows) {
      const [tests = '', drawn = ''] = row.split('rounds: ');
      for (const [, name = ''] of tests.matchAll(/`([^`]+)`/g)) named.add(name);
      for (const [, name = ''] of drawn.matchAll(/`([^`]+)`/g)) rounds.add(name);
    }
    expect(named.size).toBeGreaterThan(25);
    const sources = await Promise.all(
      ['src', 'tests'].map(async (name) => {
        const files = (await readdir(join(root, name), { recursive: true })).filter((file) => file.endsWith('.rs'));
        return Promise.all(files.map((file) => readFile(join(root, name, file), 'utf8')));
      }),
    );
    const rust = sources.flat().join('\n');
    for (const name of named) {
      if (name.includes('/')) await readFile(join(root, name), 'utf8');
      else expect(rust).toContain(`fn ${name}(`);
    }
    const plan = await readFile(join(root, 'faults', 'plan.mjs'), 'utf8');
    for (const name of rounds) expect(plan).toContain(name);
  });
});

describe('the tables of the reference', () => {
  it.each([
    ['DuctapeOptions', 'types/options.d.ts', 'docs/options.md'],
    ['WorkerOptions', 'types/options.d.ts', 'docs/options.md'],
    ['RetentionOptions', 'types/options.d.ts', 'docs/options.md'],
    ['IJobOptions', 'types/dispatches.d.ts', 'docs/dispatch.md'],
    ['IRetryConfig', 'types/dispatches.d.ts', 'docs/dispatch.md'],
    ['IDispatchSchedule', 'types/schedules.d.ts', 'docs/schedules.md'],
    ['IScheduleOptions', 'types/schedules.d.ts', 'docs/schedules.md'],
    ['JobContext', 'types/handlers.d.ts', 'docs/handlers.md'],
    ['HandlerOptions', 'types/handlers.d.ts', 'docs/handlers.md'],
    ['Jobs', 'types/jobs.d.ts', 'docs/jobs.md'],
  ])('have all members of %s', async (name, types, document) => {
    const declared = await readFile(join(root, types), 'utf8');
    const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(declared)?.[1] ?? '';
    const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?:(<]/gm)].map(([, member]) => member);
    expect(members.length).toBeGreaterThan(1);
    const text = (await readFile(join(root, document), 'utf8')).replace(/^```.*?^```$/gms, '');
    const named = new Set([...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = '']) => code.match(/\w+/g) ?? []));
    expect(members.filter((member = '') => !named.has(member))).toEqual([]);
  });
});

describe('the table of codes in docs/errors.md', () => {
  it('has all of them', async () => {
    const text = await readFile(join(root, 'docs', 'errors.md'), 'utf8');
    const list = await readFile(join(root, 'src', 'error.rs'), 'utf8');
    const codes = [...list.matchAll(/=> "([A-Z_]+)"/g)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(15);
    for (const code of codes) expect(text).toMatch(new RegExp(`^\\|[^|]*\`${code}\``, 'm'));
  });
});

describe('the table of other queues in docs/dispatch.md', () => {
  it('says what the messages say', async () => {
    const text = await readFile(join(root, 'docs', 'dispatch.md'), 'utf8');
    const table = text.slice(text.indexOf('\n| there | here |'));
    const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
    const ductape = create();
    const rows = [...table.matchAll(/^\| ([^|]*`[^|]*) \| ([^|]*) \|$/gm)];
    expect(rows.length).toBeGreaterThan(10);
    for (const [, there = '', here = ''] of rows) {
      // The first word of what is written as code, as in `unique: { key }`.
      const words = named(here).map((code) => /\w+/.exec(code)?.[0] ?? code);
      for (const option of named(there)) {
        const wrong = { tag: 'report', input: {}, [option]: 1 };
        const error: DuctapeError = await ductape.features.dispatch(wrong).catch((reason) => reason);
        const message = error.details?.find(({ path }) => path === option)?.message ?? error.message;
        expect({ option, message, told: words.some((word) => message.includes(word)) }).toMatchObject({ told: true });
      }
    }
  });
});
