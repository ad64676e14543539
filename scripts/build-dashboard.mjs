// Makes lib/dashboard/static/ of dashboard/: scripts and styles named by their content, with `.br` and `.gz` beside each; the page;
// licences of what is bundled. `--watch` does it again whenever a source changes.
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

/** The terms of the packages that are bundled, which ask to be kept with them. */
async function licenses({ inputs }) {
  const names = Object.keys(inputs).map((path) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  const packages = [...new Set(names.filter((name) => name !== undefined))].sort();
  const texts = packages.map(async (name) => {
    const folder = join(root, 'node_modules', name);
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    if (!file) throw new Error(`${name} is bundled, and has no file with its licence`);
    return `${name} ${version}\n\n${(await readFile(join(folder, file), 'utf8')).trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`);
}

async function write(outputs, metafile) {
  const assets = join(target, 'assets');
  const page = await pageOf(outputs);
  // What an earlier build has left.
  await rm(target, { recursive: true, force: true });
  await mkdir(assets, { recursive: true });
  const files = outputs
    .filter((each) => !each.path.endsWith('.map'))
    .map((each) => [join(assets, each.path.replace(/^.*[\\/]/, '')), Buffer.from(each.contents)]);
  // The server fills in where it is mounted, so that it has no compressed form.
  await writeFile(join(target, 'index.html'), page);
  await writeFile(join(target, 'licenses.txt'), await licenses(metafile));
  const lengths = await Promise.all(files.map(([path, bytes]) => writeWithForms(path, bytes)));
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
  target: ['es2022', 'chrome109', 'firefox121', 'safari16.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  banner: { js: '/* Terms of what is bundled: licenses.txt in the package. */' },
  legalComments: 'eof',
  tsconfig: join(sources, 'tsconfig.json'),
  write: false,
  logLevel: 'warning',
  plugins: [
    {
      name: 'write',
      setup: (build) =>
        build.onEnd(async ({ errors, outputFiles, metafile }) => {
          if (errors.length === 0) await write(outputFiles, metafile);
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
