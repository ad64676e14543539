// Where habitats are tried: the tools of package-lock.json, installed outside of the clone, and projects beside them that have the
// package as it is packed, installed with scripts off.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = import.meta.dirname;
export const root = join(here, '..');

/** What a habitat throws that cannot be had on this machine. */
export class NotTried extends Error {}

/** What a program of a habitat prints when it has done its work. */
const EXPECTED = { ran: 'hello Ann', dashboard: undefined, error: 'NOT_FOUND' };

export class Workshop {
  /** The folder that has the tools in `node_modules`. */
  tools;
  #runs;
  #tarball;
  #outside = [];

  static async open() {
    const workshop = new Workshop();
    workshop.tools = await installedTools();
    workshop.#runs = await mkdtemp(join(workshop.tools, 'run-'));
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', workshop.#runs], {
      cwd: root,
    });
    // npm prints a list, and newer ones an object with the package's name as its key.
    const [{ filename }] = Object.values(JSON.parse(stdout));
    workshop.#tarball = join(workshop.#runs, filename);
    await workshop.#install(workshop.#runs);
    return workshop;
  }

  async close() {
    for (const folder of [this.#runs, ...this.#outside]) {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  async #install(folder) {
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
    const args = [
      'install',
      this.#tarball,
      '--ignore-scripts',
      '--offline',
      '--no-audit',
      '--no-fund',
      '--no-package-lock',
    ];
    await run('npm', [...args, '--loglevel=error'], { cwd: folder });
  }

  /** A file of a tool. */
  tool(...path) {
    return join(this.tools, 'node_modules', ...path);
  }

  /** Copies a tool that must be found under another name, or inside of a project. */
  async copyTool(name, to) {
    await mkdir(dirname(to), { recursive: true });
    await cp(this.tool(name), to, { recursive: true, verbatimSymlinks: true });
  }

  async versionOf(name) {
    return JSON.parse(await readFile(this.tool(name, 'package.json'), 'utf8')).version;
  }

  /** Makes a project of files by their names, or copied from a folder; with `own` the package is installed in it, else above it. */
  async project({ files = {}, from, own = false }) {
    const folder = await mkdtemp(join(this.#runs, 'project-'));
    if (own) await this.#install(folder);
    if (from) await cp(from, folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    return folder;
  }

  /** A file of the package as it is installed. */
  installed(...path) {
    return join(this.#runs, 'node_modules/ductape', ...path);
  }

  /** Acts while the package is not where it was when the bundle was made: a path that was kept leads nowhere then. */
  async withoutPackage(act) {
    const [there, away] = [join(this.#runs, 'node_modules'), join(this.#runs, 'away')];
    await rename(there, away);
    try {
      return await act();
    } finally {
      await rename(away, there);
    }
  }

  /** A folder from which nothing that is installed is found. */
  async outside() {
    const folder = await mkdtemp(join(tmpdir(), 'ductape-habitat-'));
    this.#outside.push(folder);
    return folder;
  }

  /** The program of a habitat as an ES module, without `await` at its top level, which CommonJS has not. */
  async program(name = 'job.mjs') {
    return readFile(join(here, 'programs', name), 'utf8');
  }

  /** Node.js on a file of a tool. */
  async node(args, options) {
    return this.command(process.execPath, args, options);
  }

  /** Runs a command to its end; rejects with all that it printed when it fails. */
  async command(command, args, { cwd, env = {}, seconds = 300 } = {}) {
    try {
      return await run(command, args, {
        cwd,
        timeout: seconds * 1000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 << 20,
        env: environment(env),
      });
    } catch (failure) {
      throw new Error(`${failure.message}\n${failure.stdout ?? ''}\n${failure.stderr ?? ''}`);
    }
  }

  /** Starts a command that stays up; `waitFor` resolves with the match once it has printed that, `stop` with how it ended. */
  start(command, args, { cwd, env = {} }) {
    const child = spawn(command, args, { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, output })));
    const waitFor = async (pattern, seconds = 120) => {
      for (const from = performance.now(); performance.now() - from < seconds * 1000; ) {
        const found = pattern.exec(output);
        if (found) return found;
        if (child.exitCode !== null || child.signalCode !== null) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      child.kill('SIGKILL');
      throw new Error(`did not print ${pattern}: ${output}`);
    };
    const stop = (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    };
    return { pid: child.pid, ended, stop, waitFor };
  }

  /** Runs a program that is to print what its job returned. */
  async expectRan(command, args, { dashboard = 200, ...options } = {}) {
    const { stdout } = await this.command(command, args, { seconds: 120, ...options });
    const expected = JSON.stringify({ ...EXPECTED, dashboard });
    const printed = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    if (JSON.stringify(printed) !== expected) {
      throw new Error(`printed ${stdout}, expected ${expected}`);
    }
  }
}

function environment(own) {
  const env = { ...process.env, NODE_OPTIONS: undefined, NODE_ENV: undefined, DUCTAPE_STORE: undefined, ...own };
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

/** The tools as the lock file names them. */
async function installedTools() {
  const lock = await readFile(join(here, 'package-lock.json'), 'utf8');
  const cache = process.env.DUCTAPE_TEST_CACHE ?? join(homedir(), '.cache/ductape-tests');
  const folder = join(cache, `habitats-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`);
  if (await readFile(join(folder, 'package.json')).catch(() => undefined)) return folder;
  const making = `${folder}-${process.pid}`;
  await mkdir(making, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) await cp(join(here, name), join(making, name));
  console.log(`installing the tools in ${folder}`);
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: making });
  await rename(making, folder).catch(() => rm(making, { recursive: true, force: true }));
  return folder;
}

/** The file of this name that a page of the documents shows: its block begins with a comment that is its name. */
export async function shownFile(page, name) {
  const text = await readFile(join(root, page), 'utf8');
  const blocks = [...text.matchAll(/^```(?:js|ts|json)\n(.*?)^```$/gms)].map(([, code]) => code);
  const found = blocks.filter((code) => code.startsWith(`// ${name}\n`));
  if (found.length !== 1) throw new Error(`${page} shows ${found.length} files ${name}`);
  return found[0];
}
