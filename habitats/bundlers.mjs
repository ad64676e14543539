// Runtimes, bundlers and single executables. Their settings are those that docs/guides/bundlers.md shows.
import { access, copyFile, cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NotTried, shownFile } from './workshop.mjs';

const PAGE = 'docs/guides/bundlers.md';
const exists = (file) =>
  access(file).then(
    () => true,
    () => false,
  );

/** A project with the program, and with files that the page shows. */
async function projectWith(workshop, shown = [], more = {}) {
  const files = { 'job.mjs': await workshop.program(), ...more };
  for (const name of shown) files[name] = await shownFile(PAGE, name);
  return workshop.project({ files });
}

/** The program in CommonJS. */
const required = async (workshop) =>
  (await workshop.program())
    .replace(
      "import Ductape, { DuctapeError } from 'ductape';",
      "const Ductape = require('ductape');\nconst { DuctapeError } = Ductape;",
    )
    .replace(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = require('$2');");

/** Runs a bundle beside `node_modules`. */
const runInside = (workshop, folder, file) =>
  workshop.expectRan(process.execPath, [join(folder, 'dist', file)], { cwd: folder });

/** Runs a bundle, or an executable, where nothing is installed, with the pages of the dashboard beside it. */
async function runAlone(workshop, folder, file, { executable = false, ...options } = {}) {
  const alone = await workshop.outside();
  await cp(join(folder, 'dist'), alone, { recursive: true });
  await cp(workshop.installed('lib/dashboard/static'), join(alone, 'static'), { recursive: true });
  const program = join(alone, file);
  const [command, args] = executable ? [program, []] : [process.execPath, [program]];
  await workshop.withoutPackage(() => workshop.expectRan(command, args, { cwd: alone, ...options }));
}

/** A Node.js from npm; the binary lies where its package has put it. */
const nodeOf = (workshop, major) => workshop.tool(`node-${major}`, 'bin/node');

function runtime(name, { uses, binary, args = [], settings }) {
  const attempt = async (workshop) => {
    const command = binary(workshop);
    if (!(await exists(command))) throw new NotTried('npm has no binary of it for this platform');
    const folder = await projectWith(workshop, [], { 'required.cjs': await required(workshop) });
    for (const file of ['job.mjs', 'required.cjs']) {
      await workshop.expectRan(command, [...args, join(folder, file)], { cwd: folder });
    }
  };
  return { name: `${name}: import and require`, uses, settings, attempt };
}

const platform = `${process.platform}-${process.arch}`;
const denoPlatform = process.platform === 'linux' ? `${platform}-glibc` : platform;
const bunOf = (workshop) => workshop.tool(`@oven/bun-${platform}`, 'bin/bun');
const denoOf = (workshop) => workshop.tool(`@deno/${denoPlatform}`, 'deno');
const DENO_PERMISSIONS = ['--allow-ffi', '--allow-env', '--allow-read', '--allow-write', '--allow-sys', '--allow-net'];

export const runtimes = [
  {
    ...runtime('Node.js', { binary: () => process.execPath }),
    version: process.version.slice(1),
  },
  ...[22, 24, 26].map((major) =>
    runtime('Node.js', { uses: `node-${major}`, binary: (workshop) => nodeOf(workshop, major) }),
  ),
  runtime('Bun', { uses: 'bun', binary: bunOf }),
  runtime('Deno', {
    uses: 'deno',
    binary: denoOf,
    args: ['run', ...DENO_PERMISSIONS],
    settings: 'permissions: `ffi`, `env`, `read`, `write`, `sys`, and `net` for the dashboard',
  }),
  {
    name: 'tsx: a program in TypeScript',
    uses: 'tsx',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, [], { 'job.ts': await workshop.program() });
      await workshop.expectRan(
        process.execPath,
        ['--import', workshop.tool('tsx/dist/loader.mjs'), 'job.ts'].map(asUrl),
        { cwd: folder },
      );
    },
  },
];

function asUrl(text) {
  return text.endsWith('loader.mjs') ? `file://${text}` : text;
}

const esbuild = (workshop, folder, args) =>
  workshop.node([workshop.tool('esbuild/bin/esbuild'), 'job.mjs', '--bundle', '--platform=node', ...args], {
    cwd: folder,
  });

const webpack = (workshop, folder, config) =>
  workshop.node([workshop.tool('webpack-cli/bin/cli.js'), '--config', config], { cwd: folder });

export const bundlers = [
  {
    name: 'esbuild, external, to CommonJS and ES modules',
    uses: 'esbuild',
    settings: '`external`',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop);
      for (const [format, file] of [
        ['cjs', 'job.cjs'],
        ['esm', 'job.mjs'],
      ]) {
        await esbuild(workshop, folder, [`--format=${format}`, '--external:ductape', `--outfile=dist/${file}`]);
        await runInside(workshop, folder, file);
      }
    },
  },
  {
    name: 'esbuild, addon copied, to CommonJS',
    uses: 'esbuild',
    settings: "loader `'.node': 'copy'`",
    attempt: async (workshop) => {
      const folder = await projectWith(workshop);
      await esbuild(workshop, folder, ['--format=cjs', '--loader:.node=copy', '--outfile=dist/job.cjs']);
      await runAlone(workshop, folder, 'job.cjs');
    },
  },
  {
    name: 'esbuild, addon copied, to ES modules',
    uses: 'esbuild',
    settings: "loader `'.node': 'copy'`, `banner` with a `require`",
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, ['esbuild.config.mjs']);
      await workshop.node(['esbuild.config.mjs'], { cwd: folder });
      await runAlone(workshop, folder, 'job.mjs');
    },
  },
  {
    name: 'webpack, external, to CommonJS and ES modules',
    uses: 'webpack',
    settings: '`externals`',
    attempt: async (workshop) => {
      const configs = ['webpack.config.cjs', 'webpack-esm.config.cjs'];
      const folder = await projectWith(workshop, configs);
      for (const config of configs) await webpack(workshop, folder, config);
      await runInside(workshop, folder, 'job.cjs');
      await runInside(workshop, folder, 'job.mjs');
    },
  },
  {
    name: 'webpack, addon copied',
    uses: 'webpack',
    settings: '`node-loader`, `node: { __dirname: false }`',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, ['webpack-copy.config.cjs']);
      const { stdout } = await webpack(workshop, folder, 'webpack-copy.config.cjs');
      if (/warning/i.test(stdout)) throw new Error(`warns: ${stdout}`);
      await runAlone(workshop, folder, 'job.cjs');
    },
  },
  {
    name: 'Rollup, external, to CommonJS and ES modules',
    uses: 'rollup',
    settings: '`external`',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, ['rollup.config.mjs']);
      await workshop.node([workshop.tool('rollup/dist/bin/rollup'), '--config', 'rollup.config.mjs'], { cwd: folder });
      await runInside(workshop, folder, 'job.cjs');
      await runInside(workshop, folder, 'job.mjs');
    },
  },
  {
    name: 'Vite, build for the server',
    uses: 'vite',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop);
      await workshop.node([workshop.tool('vite/bin/vite.js'), 'build', '--ssr', 'job.mjs', '--logLevel', 'warn'], {
        cwd: folder,
      });
      const [file] = await readdir(join(folder, 'dist'));
      await runInside(workshop, folder, file);
    },
  },
  {
    name: 'ncc, to CommonJS and ES modules',
    uses: '@vercel/ncc',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, [], { 'required.cjs': await required(workshop) });
      const ncc = workshop.tool('@vercel/ncc/dist/ncc/cli.js');
      for (const file of ['required.cjs', 'job.mjs'])
        await workshop.node([ncc, 'build', file, '-o', 'dist'], { cwd: folder });
      await runAlone(workshop, folder, 'index.cjs');
      await runAlone(workshop, folder, 'index.mjs');
    },
  },
];

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

function singleExecutable(major) {
  return {
    name: 'Node.js single executable',
    ...(major ? { uses: `node-${major}` } : { version: process.version.slice(1) }),
    settings: 'bundle with the addon copied, `banner` with a `require`; `.node` next to the executable',
    attempt: async (workshop) => {
      const node = major ? nodeOf(workshop, major) : process.execPath;
      if (!(await exists(node))) throw new NotTried('npm has no binary of it for this platform');
      const folder = await projectWith(workshop, ['sea.build.mjs'], {
        'sea.json': '{ "main": "dist/job.cjs", "output": "job.blob", "disableExperimentalSEAWarning": true }',
      });
      await workshop.node(['sea.build.mjs'], { cwd: folder });
      await workshop.command(node, ['--experimental-sea-config', 'sea.json'], { cwd: folder });
      await copyFile(node, join(folder, 'dist/job'));
      const injection = ['dist/job', 'NODE_SEA_BLOB', 'job.blob', '--sentinel-fuse', FUSE];
      await workshop.node([workshop.tool('postject/dist/cli.js'), ...injection], { cwd: folder });
      await runAlone(workshop, folder, 'job', { executable: true });
    },
  };
}

/** Tries what needs a download that may not be had here; whatever it says then is the reason. */
async function download(what, attempt) {
  try {
    return await attempt();
  } catch (error) {
    const said =
      /[^\n]*(?:ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|name or service not known|failed to lookup|Network error|fetch failed)[^\n]*/i.exec(
        error.message,
      );
    if (!said) throw error;
    throw new NotTried(`${what} could not be downloaded`);
  }
}

export const executables = [
  singleExecutable(),
  singleExecutable(26),
  {
    name: 'pkg',
    uses: '@yao-pkg/pkg',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop, [], { 'required.cjs': await required(workshop) });
      await mkdir(join(folder, 'dist'));
      const args = ['required.cjs', '--targets', `node22-${process.platform}-${process.arch}`, '--output', 'dist/job'];
      await download('its build of Node.js, from github.com or nodejs.org,', () =>
        workshop.node([workshop.tool('@yao-pkg/pkg/lib-es5/bin.js'), ...args], { cwd: folder }),
      );
      await runAlone(workshop, folder, 'job', { executable: true });
    },
  },
  {
    name: 'Bun, `build --compile`',
    uses: 'bun',
    settings: 'none; without pages of the dashboard',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop);
      await workshop.command(bunOf(workshop), ['build', '--compile', 'job.mjs', '--outfile', 'dist/job'], {
        cwd: folder,
      });
      await runAlone(workshop, folder, 'job', { executable: true, dashboard: 404 });
    },
  },
  {
    name: 'Deno, `compile`',
    uses: 'deno',
    attempt: async (workshop) => {
      const folder = await projectWith(workshop);
      await download('its runtime, from dl.deno.land,', () =>
        workshop.command(denoOf(workshop), ['compile', '-A', '--no-check', '--output', 'dist/job', 'job.mjs'], {
          cwd: folder,
        }),
      );
      await runAlone(workshop, folder, 'job', { executable: true });
    },
  },
  {
    name: 'Electron, main process',
    uses: 'electron',
    attempt: async (workshop) => {
      await download('its binary, from github.com,', () => workshop.node([workshop.tool('electron/install.js')]));
      const electron = workshop.tool('electron/dist/electron');
      const main = "import('./job.mjs').finally(() => require('electron').app.quit());";
      const folder = await projectWith(workshop, [], { 'main.cjs': main });
      await writeFile(join(folder, 'package.json'), '{ "main": "main.cjs" }');
      await workshop.expectRan(electron, ['--no-sandbox', '--headless', folder], { cwd: folder });
    },
  },
];
