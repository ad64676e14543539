// Several processes on one SQLite file: each job runs once, promptly, and is taken over when its process dies.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { create, eventually, job, stopwatch, temporaryFolder } from './support/instances.js';
import { readLines, type Program, program, script, tally } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const now = () => performance.timeOrigin + performance.now();
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const oneDecimal = (value: number) => Math.round(value * 10) / 10;

async function files() {
  const folder = await temporaryFolder();
  return { store: `sqlite:${join(folder, 'jobs.db')}`, log: join(folder, 'calls') };
}

async function stop(child: Program) {
  child.sendLine('stop');
  expect(await child.ended).toMatchObject({ code: 0, signal: null });
  expect(child.stderr().replace(/^.*took over.*\n/gm, '')).toBe('');
}

describe('jobs dispatched in one process', () => {
  it('run in the other, 10,000 of them once each', { timeout: 90_000 }, async () => {
    const { store, log } = await files();
    const worker = program('worker', [store, log, JSON.stringify({ worker: { concurrency: 100 } })]);
    const ductape = create({ store, worker: false });
    await worker.waitForLine('ready');
    const passed = stopwatch();
    const results = [];
    for (let batch = 0; batch < 8; batch++) {
      results.push(...(await ductape.features.dispatchMany(Array.from({ length: 1_000 }, () => job('count')))));
    }
    results.push(...(await Promise.all(Array.from({ length: 2_000 }, () => ductape.features.dispatch(job('count'))))));
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(10_000), 60_000);
    const took = passed();
    const calls = tally(await readLines(log));
    expect(calls.size).toBe(10_000);
    expect([...calls].filter(([, count]) => count !== 1)).toEqual([]);
    expect(results.filter(({ job_id }) => !calls.has(job_id))).toEqual([]);
    await stop(worker);
    console.info(`10,000 jobs through two processes: ${Math.round(took)} ms`);
  });

  it('are picked up by an idle process at once', async () => {
    const { store, log } = await files();
    const worker = program('worker', [store, log]);
    const ductape = create({ store, worker: false });
    await worker.waitForLine('ready');
    const delays: number[] = [];
    for (let index = 0; index < 30; index++) {
      const { job_id } = await ductape.features.dispatch(job('time'));
      const stored = now();
      delays.push(Number(await worker.waitForLine(`ran ${job_id}`)) - stored);
      // Real time: out of step with anything that looks at the store at intervals.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    }
    console.info(
      `picked up by another process: median ${oneDecimal(median(delays))} ms, most ${oneDecimal(Math.max(...delays))} ms`,
    );
    expect(median(delays)).toBeLessThan(1_000);
    expect(Math.max(...delays)).toBeLessThan(5_000);
    await stop(worker);
  });

  it('give their result to a wait in another process', async () => {
    const { store } = await files();
    const waiter = create({ store, worker: false });
    const runner = create({ store });
    const { job_id } = await waiter.features.dispatch(job('report'));
    const waiting = waiter.jobs.wait(job_id, { timeout: 10_000 });
    runner.features.define('report', () => ({ pages: 3 }));
    expect(await waiting).toEqual({ pages: 3 });
  });

  it('can be cancelled from another process while they run', async () => {
    const { store, log } = await files();
    const worker = program('worker', [store, log, JSON.stringify({ worker: { concurrency: 1 } })]);
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('hang'));
    await worker.waitForLine('hangs');
    await ductape.jobs.cancel(job_id, { reason: 'from afar' });
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'cancelled', cancel_reason: 'from afar' });
    // Its slot, the only one, is free again.
    const next = await ductape.features.dispatch(job('count'));
    await ductape.jobs.wait(next.job_id, { timeout: 20_000 });
    await stop(worker);
  });
});

describe('a job whose process was killed', () => {
  it('is taken over by another within seconds, and spends no retry', async () => {
    const { store, log } = await files();
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      const victim = program('worker', [store, log]);
      const ductape = create({ store });
      await victim.waitForLine('ready');
      const { job_id } = await ductape.features.dispatch(job('hang'));
      await victim.waitForLine('hangs');
      const taken = new Promise<number>((resolve) => {
        ductape.features.define('hang', ({ attempt }) => {
          resolve(attempt);
          return 'done';
        });
      });
      // The other process is idle.
      ductape.features.define('idle', () => {});
      await ductape.jobs.wait((await ductape.features.dispatch(job('idle'))).job_id, { timeout: 10_000 });
      const passed = stopwatch();
      victim.process.kill('SIGKILL');
      expect(await taken).toBe(2);
      times.push(passed());
      expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
      expect(await ductape.jobs.get(job_id)).toMatchObject({ attempt: 2, retry_count: 0, retries: 0 });
      await ductape.close();
    }
    console.info(
      `taken over after kill -9: median ${oneDecimal(median(times))} ms, most ${oneDecimal(Math.max(...times))} ms`,
    );
    expect(Math.max(...times)).toBeLessThan(5_000);
  });

  // Until its tenth crash, as `crashes.test.ts` shows in rounds that take their time.
  it('waits longer each time it takes its process down with it', { timeout: 60_000 }, async () => {
    const { store, log } = await files();
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('hang'));
    for (let crash = 0; crash < 4; crash++) {
      const victim = program('worker', [store, log]);
      await victim.waitForLine('hangs');
      victim.process.kill('SIGKILL');
      await victim.ended;
    }
    const last = program('worker', [store, log]);
    await last.waitForLine('ready');
    await eventually(async () => {
      const [reason] = (await ductape.jobs.explain(job_id)).reasons;
      expect([reason?.code, reason?.message]).toEqual(['WAITING_FOR_RETRY', expect.stringContaining('died 4 times')]);
    }, 10_000);
    const executions = (await ductape.jobs.getHistory(job_id)).executions.reverse();
    expect(executions.map(({ status, error }) => [status, error?.code])).toEqual(Array(4).fill(['crashed', 'CRASHED']));
    const waits = executions.slice(1).map(({ started_at = 0 }, n) => started_at - (executions[n]?.completed_at ?? 0));
    for (const [n, least] of [0, 1_000, 2_000].entries()) expect(waits[n]).toBeGreaterThanOrEqual(least);
    expect(last.lines.filter((line) => line.startsWith('hangs'))).toEqual([]);
  });

  it('is not taken over while its process is briefly suspended', async () => {
    const { store, log } = await files();
    const worker = program('worker', [store, log]);
    const ductape = create({ store });
    const { job_id } = await ductape.features.dispatch(job('hang'));
    await worker.waitForLine('hangs');
    let taken = 0;
    ductape.features.define('hang', () => void taken++);
    worker.process.kill('SIGSTOP');
    // Real time: longer than it takes to notice a dead process, shorter than a lease.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    worker.process.kill('SIGCONT');
    const next = create({ store });
    next.features.define('idle', () => {});
    await next.jobs.wait((await next.features.dispatch(job('idle'))).job_id, { timeout: 10_000 });
    expect(taken).toBe(0);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'running', attempt: 1 });
  });
});

describe('several workers', () => {
  it('share the jobs, each of which runs once', { timeout: 60_000 }, async () => {
    const { store, log } = await files();
    const options = JSON.stringify({ worker: { concurrency: 5 } });
    const workers = [1, 2, 3].map((name) => program('worker', [store, `${log}-${name}`, options]));
    await Promise.all(workers.map((worker) => worker.waitForLine('ready')));
    const ductape = create({ store, worker: false });
    const jobs = Array.from({ length: 1_500 }, () => job('slow', { input: { takes: 5 } }));
    await ductape.features.dispatchMany(jobs);
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(jobs.length), 40_000);
    const shares = await Promise.all([1, 2, 3].map((name) => readLines(`${log}-${name}`)));
    const calls = tally(shares.flat());
    expect(calls.size).toBe(jobs.length);
    expect([...calls].filter(([, count]) => count !== 1)).toEqual([]);
    for (const share of shares) expect(share.length).toBeGreaterThan(jobs.length / 20);
    for (const worker of workers) await stop(worker);
    console.info(`shares of three workers: ${shares.map((share) => share.length).join(', ')}`);
  });

  it('lose no jobs when one is killed', { timeout: 60_000 }, async () => {
    const { store, log } = await files();
    const options = JSON.stringify({ worker: { concurrency: 5 } });
    const workers = [1, 2].map(() => program('worker', [store, log, options]));
    await Promise.all(workers.map((worker) => worker.waitForLine('ready')));
    const ductape = create({ store, worker: false });
    const jobs = Array.from({ length: 400 }, () => job('slow', { input: { takes: 10 } }));
    const results = await ductape.features.dispatchMany(jobs);
    await eventually(async () => expect((await readLines(log)).length).toBeGreaterThan(50));
    workers[0]?.process.kill('SIGKILL');
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(jobs.length), 30_000);
    const calls = tally(await readLines(log));
    expect(results.filter(({ job_id }) => !calls.has(job_id))).toEqual([]);
    const twice = [...calls.values()].reduce((sum, count) => sum + count - 1, 0);
    expect(twice).toBeLessThanOrEqual(30);
  });

  it('of node:cluster share the jobs too', { timeout: 60_000 }, async () => {
    const { store } = await files();
    const child = program('cluster', [store, '300', '2']);
    const calls: number[][] = JSON.parse(await child.waitForLine('calls'));
    expect(calls).toHaveLength(300);
    expect(calls.filter((workers) => workers.length !== 1)).toEqual([]);
    expect([...tally(calls.flat().map(String)).keys()].sort()).toEqual(['1', '2']);
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    expect(child.stderr()).toBe('');
  });

  it('can create stores concurrently', { timeout: 60_000 }, async () => {
    const folder = await temporaryFolder();
    const stores = Array.from({ length: 60 }, (_, index) => `sqlite:${join(folder, `jobs-${index}.db`)}`);
    const source = `
      import Ductape from 'ductape';
      const [stores, start] = process.argv.slice(1).map((text) => JSON.parse(text));
      for (const [index, store] of stores.entries()) {
        const ductape = new Ductape({ store, product: 'shop', env: 'test', worker: false });
        await new Promise((resolve) => setTimeout(resolve, start + 40 * index - Date.now()));
        await ductape.features.dispatch({ tag: 'report', input: {} });
        await ductape.close();
      }
    `;
    // Real time: all of them are up by then, and open each store at the same moment.
    const start = String(Date.now() + 500);
    const children = Array.from({ length: 4 }, () => script(source, [JSON.stringify(stores), start]));
    for (const child of children) {
      const { code } = await child.ended;
      expect([code, child.stderr()]).toEqual([0, '']);
    }
    for (const store of stores) {
      const ductape = create({ store, worker: false });
      expect((await ductape.jobs.getStats()).total).toBe(4);
      await ductape.close();
    }
  });
});

describe.each(sharedStores)('a worker on $kind after fast jobs', ({ unavailable, make }) => {
  it.skipIf(unavailable)('releases runs prefetched behind slow ones', { timeout: 60_000 }, async () => {
    const store = await make();
    const busy = create({ store, worker: { concurrency: 2 } });
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    busy.features.define('quick', () => 'busy');
    busy.features.define('slow', ({ input }) => (input.hold ? held : undefined));
    // One of each target, and enough for the worker to learn that the jobs are fast.
    await busy.features.dispatchMany([job('slow'), ...Array(500).fill(job('quick'))]);
    await eventually(async () => expect((await busy.jobs.getStats()).completed).toBe(501), 20_000);

    const slow = job('slow', { input: { hold: true }, priority: -1 });
    const jobs = [slow, slow, ...Array(20).fill(job('quick'))];
    const quick = (await busy.features.dispatchMany(jobs)).slice(2).map(({ job_id }) => job_id);
    await eventually(async () => expect((await busy.jobs.getStats()).running).toBe(22));
    // There is no other worker: they stay queued, and are not claimed again and again.
    await eventually(async () => expect((await busy.jobs.getStats()).running).toBe(2));
    // Real time: longer than the pauses after which a worker claims again.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await busy.jobs.getStats()).toMatchObject({ running: 2, queued: 20 });

    const free = create({ store, worker: { concurrency: 1 } });
    free.features.define('quick', () => 'free');
    expect(new Set(await Promise.all(quick.map((id) => free.jobs.wait(id))))).toEqual(new Set(['free']));
    for (const id of quick) expect(await free.jobs.get(id)).toMatchObject({ attempt: 1, status: 'completed' });
    finish();
  });
});
