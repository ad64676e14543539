// Makes lib/dashboard/static/ of dashboard/: scripts and styles named by their content, index.html, and `.br` and `.gz` beside
// each. `--watch` does it again whenever a source changes.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { context } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sources = join(root, 'dashboard');
const target = join(root, 'lib', 'dashboard', 'static');
const watches = process.argv.includes('--watch');

const brotli = (bytes) =>
  promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
const gzipped = (bytes) => promisify(gzip)(bytes, { level: constants.Z_BEST_COMPRESSION });

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

/** The page: what the entries became takes the place of their names. */
async function pageOf(outputs) {
  const nameOf = (entry, ending) => {
    const found = outputs.find((each) => new RegExp(`[\\\\/]${entry}-[A-Z0-9]+\\.${ending}$`).test(each.path));
    return `assets/${found.path.replace(/^.*[\\/]/, '')}`;
  };
  const page = await readFile(join(sources, 'index.html'), 'utf8');
  return page
    .replace('icon.svg', nameOf('icon', 'svg'))
    .replace('styles.css', nameOf('main', 'css'))
    .replace('theme.js', nameOf('theme', 'js'))
    .replace('main.js', nameOf('main', 'js'));
}

/** Writes a file and its compressed forms; gives their lengths. */
async function writeWithForms(path, bytes) {
  const [br, gz] = await Promise.all([brotli(bytes), gzipped(bytes)]);
  await Promise.all([writeFile(path, bytes), writeFile(`${path}.br`, br), writeFile(`${path}.gz`, gz)]);
  return { length: bytes.length, br: br.length, gz: gz.length };
}

async function write(outputs) {
  const assets = join(target, 'assets');
  await mkdir(assets, { recursive: true });
  const files = outputs
    .filter((each) => !each.path.endsWith('.map'))
    .map((each) => [join(assets, each.path.replace(/^.*[\\/]/, '')), Buffer.from(each.contents)]);
  // The server fills in where it is mounted, so that it has no compressed form.
  await writeFile(join(target, 'index.html'), await pageOf(outputs));
  const lengths = await Promise.all(files.map(([path, bytes]) => writeWithForms(path, bytes)));
  // What an earlier build has left.
  const names = new Set(files.map(([path]) => path.replace(/^.*[\\/]/, '')));
  for (const name of await readdir(assets)) {
    if (!names.has(name.replace(/\.(br|gz)$/, ''))) await rm(join(assets, name));
  }
  files.forEach(([path], index) => {
    const { length, br, gz } = lengths[index];
    const name = path.slice(target.length + 1);
    console.log(`${name.padEnd(32)} ${kilobytes(length)}, gzip ${kilobytes(gz)}, brotli ${kilobytes(br)}`);
  });
}

const build = await context({
  entryPoints: [join(sources, 'main.tsx'), join(sources, 'theme.ts'), join(sources, 'icon.svg')],
  outdir: join(target, 'assets'),
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  loader: { '.svg': 'copy' },
  target: ['es2022', 'chrome109', 'firefox115', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  // The terms of what is bundled stay with it.
  legalComments: 'eof',
  tsconfig: join(sources, 'tsconfig.json'),
  write: false,
  logLevel: 'warning',
  plugins: [
    {
      name: 'write',
      setup: (build) =>
        build.onEnd(async ({ errors, outputFiles }) => {
          if (errors.length === 0) await write(outputFiles);
        }),
    },
  ],
});

if (watches) {
  await build.watch();
} else {
  try {
    await build.rebuild();
  } catch {
    // What is wrong was told already.
    process.exitCode = 1;
  }
  await build.dispose();
}
