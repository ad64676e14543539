// What handlers say of their jobs, and the order in which runs begin.
import { describe, expect, it } from 'vitest';
import { create, job, temporaryStore } from './support/instances.js';

describe('a handler that logs a lot', () => {
  it('has all of it in the store, in order, when its run has ended', { timeout: 60_000 }, async () => {
    const ductape = create({ store: await temporaryStore(), worker: { concurrency: 50 } });
    ductape.features.define('report', (context) => {
      for (let line = 0; line < 900; line++) context.log(`line ${line}`);
      context.progress({ last: true });
    });
    const jobs = await ductape.features.dispatchMany(Array.from({ length: 50 }, () => job('report')));
    const expected = Array.from({ length: 900 }, (_, line) => `line ${line}`);
    await Promise.all(
      jobs.map(async ({ job_id }) => {
        await ductape.jobs.wait(job_id, { timeout: 50_000 });
        const [lines, { progress }] = await Promise.all([ductape.jobs.logs(job_id), ductape.jobs.get(job_id)]);
        expect(lines.map(({ message }) => message)).toEqual(expected);
        expect(progress).toEqual({ last: true });
      }),
    );
  });

  it('may do so and use steps while its instance closes', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    let began = () => {};
    const begun = new Promise<void>((resolve) => {
      began = resolve;
    });
    ductape.features.define('report', async (context) => {
      began();
      // Real time: the handler goes on while `close` waits for it.
      await new Promise((resolve) => setTimeout(resolve, 300));
      context.log('late');
      return context.step('late step', () => 'kept');
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await begun;
    await ductape.close({ timeout: 8_000 });
    const after = create({ store, worker: false });
    expect(await after.jobs.get(job_id)).toMatchObject({ status: 'completed', result: 'kept', attempt: 1 });
    expect((await after.jobs.logs(job_id)).map(({ message }) => message)).toEqual(['late']);
  });
});

describe('runs that are due together', () => {
  it.each(['memory:', 'file'])('begin by priority, then in the order of their dispatch, on %s', async (where) => {
    const store = where === 'file' ? await temporaryStore() : where;
    const ductape = create({ store, worker: { concurrency: 10 } });
    const begun: number[] = [];
    await ductape.features.dispatchMany(
      [6, 1, 2, 3, 4, 5].map((n) => job('report', { input: { n }, priority: n < 3 ? 1 : 2 })),
    );
    ductape.features.define('report', ({ input }) => void begun.push(input.n as number));
    await ductape.drain({ timeout: 10_000 });
    expect(begun).toEqual([1, 2, 6, 3, 4, 5]);
  });
});

describe('pages of large jobs', () => {
  it('are bounded in bytes, and the next one goes on behind', { timeout: 60_000 }, async () => {
    const ductape = create({ store: await temporaryStore(), worker: false, maxInputBytes: 64 << 20 });
    const text = 'x'.repeat(30 << 20);
    const ids: string[] = [];
    for (let n = 0; n < 4; n++)
      ids.unshift((await ductape.features.dispatch(job('large', { input: { text } }))).job_id);
    const first = await ductape.jobs.list();
    expect(first.jobs.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    const second = await ductape.jobs.list({ cursor: first.next as string });
    expect(second.jobs.map(({ id }) => id)).toEqual(ids.slice(3));
    expect(second.next).toBeUndefined();
  });
});
