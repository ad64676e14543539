// Unique keys and concurrency keys, in one process and in several.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  countJobs,
  create,
  deferred,
  eventually,
  job,
  rejection,
  temporaryFolder,
  temporaryStore,
} from './support/instances.js';
import { readLines, program } from './support/processes.js';

describe('a unique key', () => {
  it('yields one job for repeated dispatches, however they are made', async () => {
    const ductape = create();
    const announced: string[] = [];
    ductape.jobs.on('job.scheduled', ({ job }) => void announced.push(job.id));
    const unique = { key: 'order/456' };
    const first = await ductape.features.dispatch(job('sync', { unique, schedule: { start_at: Date.now() + 60_000 } }));
    expect(first.status).toBe('scheduled');
    // The state of the existing job, not that of the dispatch.
    expect(await ductape.features.dispatch(job('sync', { unique }))).toEqual(first);
    const many = await ductape.features.dispatchMany([job('sync', { unique }), job('sync'), job('sync', { unique })]);
    expect([many[0], many[2]]).toEqual([first, first]);
    const together = await Promise.all([1, 2, 3].map(() => ductape.features.dispatch(job('other', { unique }))));
    expect(new Set(together.map(({ job_id }) => job_id)).size).toBe(1);
    expect(together[0]?.job_id).not.toBe(first.job_id);
    expect(await countJobs(ductape)).toBe(3);
    await eventually(() => expect(announced).toEqual([first.job_id, many[1]?.job_id, together[0]?.job_id]));
  });

  it('is released when the job has ended and its period is over', async () => {
    const ductape = create({ clock: 'manual' });
    ductape.features.define('sync', () => {});
    const dispatch = async (unique: { key: string; period?: number }) =>
      (await ductape.features.dispatch(job('sync', { unique }))).job_id;
    const short = await dispatch({ key: 'short' });
    const long = await dispatch({ key: 'long', period: 60_000 });
    await ductape.clock.advance(1_000);
    expect((await ductape.jobs.get(long)).status).toBe('completed');
    expect(await dispatch({ key: 'short' })).not.toBe(short);
    expect(await dispatch({ key: 'long' })).toBe(long);
    await ductape.clock.advance(60_000);
    expect(await dispatch({ key: 'long' })).not.toBe(long);
  });

  it('is checked after the job_id', async () => {
    const ductape = create();
    const first = await ductape.features.dispatch(job('sync', { job_id: 'a', unique: { key: 'k' } }));
    await ductape.features.dispatch(job('sync', { job_id: 'b' }));
    const unique = { key: 'k' };
    expect(await ductape.features.dispatch(job('sync', { job_id: 'c', unique }))).toEqual(first);
    expect((await ductape.features.dispatch(job('sync', { job_id: 'b', unique }))).job_id).toBe('b');
    const replacing = job('sync', { job_id: 'b', onConflict: 'replace', unique });
    const error = await rejection(ductape.features.dispatch(replacing));
    expect([error.code, error.message]).toEqual(['CONFLICT', expect.stringMatching(/unique key 'k'.*job a/)]);
  });

  it('is unique across concurrent processes', async () => {
    const store = await temporaryStore();
    const instances = [create({ store, worker: false }), create({ store, worker: false })];
    const dispatches = Array.from({ length: 400 }, (_, n) =>
      instances[n % 2]?.features.dispatch(job('sync', { unique: { key: `k${n % 7}` } })),
    );
    const ids = new Set((await Promise.all(dispatches)).map((result) => result?.job_id));
    expect(ids.size).toBe(7);
    expect(await countJobs(instances[0] ?? create())).toBe(7);
  });
});

describe('a concurrency key', () => {
  it('bounds the runs of several targets together, and says so', async () => {
    const ductape = create({ worker: { concurrency: 10 } });
    const finish = deferred();
    const going = new Set<string>();
    for (const tag of ['import', 'export']) {
      ductape.features.define(tag, async ({ id }) => {
        going.add(id);
        await finish.promise;
        going.delete(id);
      });
    }
    const concurrency = { key: 'account/7', limit: 2 };
    const jobs = await ductape.features.dispatchMany(
      ['import', 'export', 'import', 'export'].map((tag) => job(tag, { concurrency })),
    );
    const ids = jobs.map(({ job_id }) => job_id);
    const { job_id: other } = await ductape.features.dispatch(job('import'));
    await eventually(() => expect(going).toEqual(new Set([ids[0], ids[1], other])));
    const { status, reasons } = await ductape.jobs.explain(ids[2] ?? '');
    expect([status, reasons.map(({ code }) => code)]).toEqual(['queued', ['CONCURRENCY_LIMIT']]);
    expect(reasons[0]?.message).toMatch(/'account\/7'.*2 runs.*limit is 2/);
    // The latest limit applies to blocked runs as well.
    await ductape.features.dispatch(job('import', { concurrency: { ...concurrency, limit: 4 }, priority: 1 }));
    await eventually(() => expect(going).toEqual(new Set([...ids, other])));
    finish.resolve();
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(6));
  });

  it('does not block a drain on runs that wait for another process', async () => {
    const store = await temporaryStore();
    const [one, two] = [create({ store }), create({ store })];
    const finish = deferred();
    one.features.define('work', () => finish.promise);
    const concurrency = { key: 'k', limit: 1 };
    const { job_id } = await one.features.dispatch(job('work', { concurrency }));
    await eventually(async () => expect((await one.jobs.get(job_id)).status).toBe('running'));
    two.features.define('work', () => 'two');
    await one.features.dispatch(job('work', { concurrency }));
    expect(await two.drain({ timeout: 20_000 })).toMatchObject({ completed: 0, remaining: 1 });
    finish.resolve();
    await one.jobs.wait(job_id);
  });

  it('is never exceeded by several processes, and all jobs run', { timeout: 60_000 }, async () => {
    const folder = await temporaryFolder();
    const [store, log] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'calls')];
    const ductape = create({ store, worker: false });
    // None of them has slots for as many runs as the key allows.
    const options = JSON.stringify({ worker: { concurrency: 2 } });
    const workers = [1, 2, 3].map(() => program('worker', [store, log, options]));
    for (const worker of workers) await worker.waitForLine('ready');
    const [keyed, free] = [90, 20];
    const concurrency = { key: 'vendor', limit: 3 };
    await ductape.features.dispatchMany([
      ...Array.from({ length: keyed }, () => job('span', { input: { takes: 15 }, concurrency })),
      ...Array.from({ length: free }, () => job('count', { priority: 1 })),
    ]);
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(keyed + free), 45_000);
    let [going, most] = [0, 0];
    const ended = new Set<string>();
    // A line is appended at once: their order is that of what happened.
    for (const [word = '', id = ''] of (await readLines(log)).map((line) => line.split(' '))) {
      if (word === 'begin') most = Math.max(most, ++going);
      if (word !== 'end') continue;
      going--;
      ended.add(id);
    }
    expect([most, going, ended.size]).toEqual([3, 0, keyed]);
    for (const worker of workers) worker.sendLine('stop');
    for (const worker of workers) expect(await worker.ended).toMatchObject({ code: 0 });
  });

  it('is freed by a process that is killed', { timeout: 30_000 }, async () => {
    const folder = await temporaryFolder();
    const [store, log] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'calls')];
    const victim = program('worker', [store, log]);
    const ductape = create({ store });
    const concurrency = { key: 'k', limit: 1 };
    await victim.waitForLine('ready');
    const first = await ductape.features.dispatch(job('hang', { concurrency }));
    await victim.waitForLine('hangs');
    const ran: string[] = [];
    ductape.features.define('hang', ({ attempt }) => void ran.push(`hang ${attempt}`));
    ductape.features.define('next', () => void ran.push('next'));
    const second = await ductape.features.dispatch(job('next', { concurrency }));
    await eventually(async () =>
      expect((await ductape.jobs.explain(second.job_id)).reasons[0]?.code).toBe('CONCURRENCY_LIMIT'),
    );
    victim.process.kill('SIGKILL');
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(2), 20_000);
    expect(ran).toEqual(['hang 2', 'next']);
    expect((await ductape.jobs.get(first.job_id)).attempt).toBe(2);
  });
});
