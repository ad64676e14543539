// The command `ductape` as a process, on a pseudo-terminal too. That is made by `script` of util-linux, which every Debian has.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { create, job, temporaryStore } from './instances.js';

export const main = join(import.meta.dirname, '../../lib/cli/main.js');

/** Why there is no pseudo-terminal here; `undefined`: there is one. */
export const noTerminal =
  process.platform !== 'linux'
    ? 'script of util-linux is needed for a pseudo-terminal'
    : spawnSync('script', ['--version']).stdout?.toString().includes('util-linux')
      ? undefined
      : 'script of util-linux is not installed';

const HOUR = 3_600_000;

/** A store with the jobs `failed-1`, `queued-1` and, recurring, `ticks-1`. */
export async function filledStore(): Promise<string> {
  const store = await temporaryStore();
  const ductape = create({ store });
  ductape.features.define('breaks', () => {
    throw Object.assign(new Error('no such card \u001b[31m'), { code: 'VALIDATION_ERROR' });
  });
  await ductape.features.dispatch(job('breaks', { job_id: 'failed-1', input: { order: 456 }, tags: ['eu'] }));
  await ductape.drain();
  await ductape.features.dispatch(job('waits', { job_id: 'queued-1', input: { user: { email: 'ann@example.com' } } }));
  await ductape.features.dispatch(
    job('ticks', { job_id: 'ticks-1', schedule: { every: HOUR, start_at: Date.now() + HOUR } }),
  );
  await ductape.close();
  return store;
}

export interface CommandOptions {
  store?: string;
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** Written to standard input, which then ends. Default: it ends at once. */
  stdin?: string;
}

export interface TerminalOptions extends CommandOptions {
  columns?: number;
  rows?: number;
}

export interface Outcome {
  /** As a shell has it: 128 and more when a signal ended the process. */
  code: number | null;
  stdout: string;
  stderr: string;
}

const environment = ({ store, env }: CommandOptions) => ({
  ...process.env,
  NODE_OPTIONS: undefined,
  NO_COLOR: undefined,
  DUCTAPE_CONFIG: undefined,
  TERM: 'xterm-256color',
  TZ: 'UTC',
  DUCTAPE_STORE: store,
  ...env,
});

export interface Session {
  process: ChildProcess;
  /** What came so far, of both streams. */
  output(): string;
  /** What came to standard error so far; nothing of a terminal, which has one stream. */
  stderr(): string;
  type(text: string): void;
  /** Resolves when the output has the text; rejects when the process ends before. */
  see(text: string | RegExp): Promise<void>;
  ended: Promise<Outcome>;
}

function follow(child: ChildProcess): Session {
  let [stdout, stderr, over] = ['', '', false];
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  child.stdin?.on('error', () => {});
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    tell();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    tell();
  });
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      const code = signal ? 128 + constants.signals[signal] : exitCode;
      over = true;
      resolve({ code, stdout, stderr });
      tell();
    });
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const see = (text: string | RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        const all = stdout + stderr;
        const isThere = typeof text === 'string' ? all.includes(text) : text.test(all);
        if (!isThere && !over) return;
        listeners.delete(look);
        if (isThere) resolve();
        else reject(new Error(`the process ended without ${text}: ${all}`));
      };
      listeners.add(look);
      look();
    });
  return {
    process: child,
    output: () => stdout + stderr,
    stderr: () => stderr,
    type: (text) => void child.stdin?.write(text),
    see,
    ended,
  };
}

/** Starts a command whose streams are pipes. */
export function start(args: readonly string[], options: CommandOptions = {}): Session {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: options.cwd,
    env: environment(options),
    stdio: 'pipe',
  });
  return follow(child);
}

/** Runs a command to its end. */
export function command(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const session = start(args, options);
  session.process.stdin?.end(options.stdin ?? '');
  return session.ended;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Starts a command on a pseudo-terminal of this size. `before` is shell that runs there first. */
export function startOnTerminal(args: readonly string[], options: TerminalOptions = {}, before = ''): Session {
  const { columns = 100, rows = 30 } = options;
  const line = [process.execPath, main, ...args].map(quoted).join(' ');
  const script = `stty cols ${columns} rows ${rows}; ${before} exec ${line}`;
  const child = spawn('script', ['-qec', script, '/dev/null'], {
    cwd: options.cwd,
    env: { ...environment(options), SHELL: '/bin/sh' },
    stdio: 'pipe',
  });
  return follow(child);
}

/** Runs a command on a pseudo-terminal to its end; `stdout` has both streams. */
export async function onTerminal(args: readonly string[], options: TerminalOptions = {}): Promise<Outcome> {
  const session = startOnTerminal(args, options);
  if (options.stdin !== undefined) session.type(options.stdin);
  const outcome = await session.ended;
  return { ...outcome, stdout: outcome.stdout.replaceAll('\r\n', '\n') };
}

/** The text without the codes that steer a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it takes away
export const plain = (text: string) => text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '');
