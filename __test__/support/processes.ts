// Child processes that use the package.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const programs = join(import.meta.dirname, 'programs');

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** When the exit was seen, in ms of `Date.now()`. */
  at: number;
}

export interface Program {
  process: ChildProcess;
  /** Lines of its standard output so far. */
  lines: string[];
  /** Its standard error so far. */
  stderr(): string;
  /** Resolves with the first line that starts with `word`, without the word; rejects when the process ends before. */
  waitForLine(word: string): Promise<string>;
  /** Sends a line to its standard input. */
  sendLine(line: string): void;
  ended: Promise<ExitStatus>;
}

export interface ProgramOptions {
  cwd?: string;
  /** Environment variables added to this process's; `undefined` takes one away. */
  env?: Record<string, string | undefined>;
}

/** Starts Node with `args`; the process is killed at the end of the test if it still runs. */
export function node(args: string[], options: ProgramOptions = {}): Program {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { ...process.env, DUCTAPE_STORE: undefined, NODE_OPTIONS: undefined, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  let rest = '';
  let errors = '';
  child.stdin.on('error', () => {});
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    for (const listener of listeners) listener();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  let exited: number;
  child.once('exit', () => {
    exited = Date.now();
  });
  let over = false;
  const ended = new Promise<ExitStatus>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      over = true;
      resolve({ code, signal, at: exited });
      for (const listener of listeners) listener();
    });
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const waitForLine = (word: string) =>
    new Promise<string>((resolve, reject) => {
      const checkLines = () => {
        const line = lines.find((each) => each === word || each.startsWith(`${word} `));
        if (line === undefined && !over) return;
        listeners.delete(checkLines);
        if (line === undefined) reject(new Error(`the process ended before it said ${word}: ${errors}`));
        else resolve(line.slice(word.length + 1));
      };
      listeners.add(checkLines);
      checkLines();
    });
  return {
    process: child,
    lines,
    stderr: () => errors,
    waitForLine,
    sendLine: (line) => child.stdin.write(`${line}\n`),
    ended,
  };
}

/** Starts a program of the folder `programs`. */
export function program(name: string, args: string[] = [], options: ProgramOptions = {}): Program {
  return node([join(programs, `${name}.mjs`), ...args], options);
}

/** A small ES module given as text, as a user would write it. It finds the package under its name. */
export function script(source: string, args: string[] = [], options: ProgramOptions = {}): Program {
  const entry = new URL('../../index.mjs', import.meta.url).href;
  return node(['--input-type=module', '--eval', source.replaceAll("'ductape'", `'${entry}'`), '--', ...args], options);
}

/** The whole lines of a file that a program appends to; none when it has not been made yet. */
export async function readLines(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  // What a killed process wrote last may lack its end.
  return text.split('\n').slice(0, -1);
}

/** How often each value occurs. */
export function tally(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
