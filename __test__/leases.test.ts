// The claims of a process that is suspended or whose event loop is blocked.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { create, eventually, job, temporaryFolder } from './support/instances.js';
import { program } from './support/processes.js';

/** Longer than the lease of a process. */
const TOO_LONG = 12_000;

async function workerAndOther() {
  const folder = await temporaryFolder();
  const store = `sqlite:${join(folder, 'jobs.db')}`;
  const worker = program('worker', [store, join(folder, 'calls'), JSON.stringify({ worker: { concurrency: 1 } })]);
  await worker.waitForLine('ready');
  return { worker, other: create({ store }) };
}

describe('a process that was stopped for longer than its lease', () => {
  it('cannot complete a job that another one took over', { timeout: 60_000 }, async () => {
    const { worker, other } = await workerAndOther();
    const { job_id } = await other.features.dispatch(job('wait-for-abort'));
    await worker.waitForLine('waits');
    // Not during a transaction: renewing the lease takes some microseconds every three seconds.
    worker.process.kill('SIGSTOP');
    const attempts: number[] = [];
    other.features.define('wait-for-abort', ({ attempt }) => {
      attempts.push(attempt);
      return 'taken over';
    });
    expect(await other.jobs.wait(job_id, { timeout: 30_000 })).toBe('taken over');
    worker.process.kill('SIGCONT');
    expect(await worker.waitForLine('aborted')).toBe('LEASE_LOST');
    // Its handler returns, but the answer does not count. Then it goes on with the next job.
    const next = await other.features.dispatch(job('time'));
    expect(await worker.waitForLine('ran')).toContain(next.job_id);
    // It has not crashed: the attempt is not spent.
    expect(attempts).toEqual([1]);
    expect(await other.jobs.get(job_id)).toMatchObject({
      status: 'completed',
      result: 'taken over',
      attempt: 1,
      retry_count: 0,
      execution_count: 1,
    });
    const { executions } = await other.jobs.getHistory(job_id);
    expect(executions.map(({ attempt, status }) => [attempt, status])).toEqual([[1, 'completed']]);
  });
});

describe('a handler that blocks the event loop', () => {
  it('keeps its lease, however long it blocks', { timeout: 60_000 }, async () => {
    const { worker, other } = await workerAndOther();
    const { job_id } = await other.features.dispatch(job('block', { input: { takes: TOO_LONG } }));
    await worker.waitForLine('blocks');
    let taken = 0;
    other.features.define('block', () => void taken++);
    await other.start({ signals: false });
    expect(await other.jobs.wait(job_id, { timeout: 40_000 })).toBe('unblocked');
    expect(taken).toBe(0);
    expect(await other.jobs.get(job_id)).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('fails by its timeout, and the process goes on with the next job', { timeout: 60_000 }, async () => {
    const { worker, other } = await workerAndOther();
    const blocking = await other.features.dispatch(job('block', { input: { takes: 5_000 }, timeout: 1_000 }));
    await worker.waitForLine('blocks');
    // The timeout is noticed while the event loop is blocked.
    await eventually(async () => {
      expect(await other.jobs.get(blocking.job_id)).toMatchObject({ status: 'failed', error: { code: 'TIMEOUT' } });
    }, 4_000);
    const next = await other.features.dispatch(job('time'));
    expect(await worker.waitForLine('ran')).toContain(next.job_id);
    expect(await other.jobs.get(blocking.job_id)).toMatchObject({ status: 'failed', execution_count: 1 });
  });
});
