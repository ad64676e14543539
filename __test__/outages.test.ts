// A store that others keep from being written: by a lock that a program holds, or as a stopped process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DuctapeError } from './support/ductape.js';
import {
  create,
  eventually,
  job,
  recordingLogger,
  rejection,
  stopwatch,
  temporaryFolder,
} from './support/instances.js';
import { script } from './support/processes.js';

async function storeFile() {
  const path = join(await temporaryFolder(), 'jobs.db');
  return { path, store: `sqlite:${path}` };
}

/** A program of another kind that holds the write lock of the file until it is told to end. */
async function lock(path: string) {
  const holder = spawn('python3', [
    '-c',
    `import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()`,
    path,
  ]);
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  return {
    pid: holder.pid,
    release: async () => {
      holder.stdin.end();
      await once(holder, 'exit');
    },
  };
}

describe('a lock that another program holds', () => {
  it('rejects a call within storeTimeout, with the process that holds it', async () => {
    const { path, store } = await storeFile();
    const ductape = create({ store, storeTimeout: 1_000 });
    const { job_id } = await ductape.features.dispatch(job('a'));
    const holder = await lock(path);
    const elapsed = stopwatch();
    const calls = [
      ductape.features.dispatch(job('b')),
      ductape.jobs.cancel(job_id),
      ductape.features.dispatchMany([job('c'), job('d')]),
    ];
    for (const error of await Promise.all(calls.map((call) => rejection(call)))) {
      expect(error.code).toBe('STORE_ERROR');
      expect(error.message).toContain(`process ${holder.pid} (python3)`);
    }
    expect(elapsed()).toBeLessThan(5_000);
    // Reading needs no lock.
    expect((await ductape.jobs.getStats()).total).toBe(1);
    await holder.release();
    await ductape.features.dispatch(job('e'));
    expect((await ductape.jobs.getStats()).total).toBe(2);
  });

  it('does not hold up close for long', async () => {
    const { path, store } = await storeFile();
    const ductape = create({ store });
    ductape.features.define('a', () => 1);
    await ductape.start({ signals: false });
    const { job_id } = await ductape.features.dispatch(job('a'));
    await ductape.jobs.wait(job_id);
    const holder = await lock(path);
    const late = rejection(ductape.features.dispatch(job('b')));
    const elapsed = stopwatch();
    await ductape.close({ timeout: 500 }).catch(() => {});
    expect(elapsed()).toBeLessThan(8_000);
    await late;
    await holder.release();
  });

  it('longer than the lease costs no run of the only process', { timeout: 60_000 }, async () => {
    const { path, store } = await storeFile();
    const logger = recordingLogger();
    const ductape = create({ store, logger });
    let calls = 0;
    let aborted = 0;
    ductape.features.define('long', async ({ signal }) => {
      calls++;
      signal.addEventListener('abort', () => aborted++);
      await sleep(16_000);
      return 'done';
    });
    await ductape.start({ signals: false });
    const { job_id } = await ductape.features.dispatch(job('long'));
    await eventually(() => expect(calls).toBe(1));
    const holder = await lock(path);
    await sleep(13_000);
    await holder.release();
    expect(await ductape.jobs.wait(job_id, { timeout: 30_000 })).toBe('done');
    expect([calls, aborted]).toEqual([1, 0]);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ attempt: 1, execution_count: 1 });
    expect(logger.lines.filter((line) => line.includes('took over'))).toEqual([]);
  });
});

describe('a process that is stopped', () => {
  it('at any moment of its writing stops no other one', { timeout: 120_000 }, async () => {
    const { store } = await storeFile();
    const writer = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test', worker: false });
       await ductape.features.dispatch({ tag: 'a', input: {} });
       console.log('writes');
       for (;;) await Promise.all(Array.from({ length: 3 }, () => ductape.features.dispatch({ tag: 'a', input: {} }).catch(() => {})));`,
      [store],
    );
    await writer.waitForLine('writes');
    let [stored, refused] = [0, 0];
    for (let round = 0; round < 12; round++) {
      const ductape = create({ store, worker: false, storeTimeout: 1_500 });
      await ductape.features.dispatch(job('b'));
      writer.process.kill('SIGSTOP');
      const elapsed = stopwatch();
      const calls = await Promise.allSettled(Array.from({ length: 20 }, () => ductape.features.dispatch(job('b'))));
      // A turn of 1 s, then SQLite's lock until the time of the call is over.
      expect(elapsed()).toBeLessThan(6_000);
      for (const call of calls) {
        if (call.status === 'fulfilled') {
          stored++;
        } else {
          refused++;
          expect(call.reason).toBeInstanceOf(DuctapeError);
          expect(call.reason.code).toBe('STORE_ERROR');
          expect(call.reason.message).toContain(`process ${writer.process.pid} (node), which is stopped`);
        }
      }
      const closing = stopwatch();
      await ductape.close({ timeout: 500 }).catch(() => {});
      expect(closing()).toBeLessThan(8_000);
      writer.process.kill('SIGCONT');
    }
    console.info(`12 stops: ${stored} dispatches stored, ${refused} refused`);
    const after = create({ store, worker: false });
    await after.features.dispatch(job('b'));
    const list = await after.jobs.list({ target: { tag: 'b' }, count: true, limit: 1 });
    expect(list.total).toBe(13 + stored);
  });
});
