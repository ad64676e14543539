// Instances and folders, which are closed and removed at the end of the test that made them, and ways to wait.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import type { DispatchInput, DuctapeOptions, IFeatureDispatchInput, IJob, Logger } from './ductape.js';
import { Ductape, DuctapeError } from './ductape.js';

/** Product and environment of instances that name none. */
export const product = 'shop';
export const env = 'test';

/** A folder of this test's own. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ductape-test-'));
  // Later registrations run first, so instances on files in it are closed by then.
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** The URL of a store file in a folder of this test's own. */
export async function temporaryStore(): Promise<string> {
  return `sqlite:${join(await temporaryFolder(), 'jobs.db')}`;
}

export interface RecordingLogger extends Logger {
  /** `level: message`, in order. */
  lines: string[];
  /** The messages of one level. */
  messagesAt(level: 'debug' | 'info' | 'warn' | 'error'): string[];
}

export function recordingLogger(): RecordingLogger {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return {
    lines,
    messagesAt: (level) =>
      lines.filter((line) => line.startsWith(`${level}: `)).map((line) => line.slice(level.length + 2)),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}

/** An instance on a memory store of its own, unless told otherwise; closed when the test ends. */
export function create(options: DuctapeOptions = {}): Ductape {
  const ductape = new Ductape({ store: 'memory:', product, env, logger: recordingLogger(), ...options });
  // Handlers that still run must not delay the next test.
  onTestFinished(() => ductape.close({ timeout: 0 }));
  return ductape;
}

/** The shortest dispatch there is. */
export function job(
  tag: string,
  more: Partial<DispatchInput<IFeatureDispatchInput>> = {},
): DispatchInput<IFeatureDispatchInput> {
  return { tag, input: {}, ...more };
}

/** The error that a promise rejects with, or a sync call of a function throws; one of the package's own. */
export async function rejection(subject: Promise<unknown> | (() => unknown)): Promise<DuctapeError> {
  let error: unknown;
  try {
    const value = typeof subject === 'function' ? subject() : await subject;
    expect.fail(`was accepted with ${JSON.stringify(value)}`);
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof DuctapeError)) throw error;
  expect(error.name).toBe('DuctapeError');
  expect(error).toBeInstanceOf(Error);
  return error;
}

/** The paths of an error's problems, in order. */
export const problemPaths = (error: DuctapeError): string[] => (error.details ?? []).map((problem) => problem.path);

/** Asserts until it holds; fails with the last complaint after `within` ms. */
export function eventually<T>(check: () => T | Promise<T>, within = 10_000): Promise<T> {
  return vi.waitFor(check, { timeout: within, interval: 10 });
}

/** The next turn of the event loop: microtasks have run, and what they send to the native side has crossed. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A promise with its functions beside it. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Milliseconds by a clock that fake timers leave alone. */
export const stopwatch = (): (() => number) => {
  const start = process.hrtime.bigint();
  return () => Number(process.hrtime.bigint() - start) / 1e6;
};

/** A job once its first run has ended. `jobs.wait` would wait for the second, had the first ended before the call. */
export const waitForFirstRun = (ductape: Ductape, id: string): Promise<IJob> =>
  eventually(async () => {
    const found = await ductape.jobs.get(id);
    expect(found.execution_count).toBeGreaterThanOrEqual(1);
    return found;
  });

/** How many jobs the store holds. */
export async function countJobs(ductape: Ductape): Promise<number> {
  return (await ductape.jobs.getStats()).total;
}
