// `jobs.explain`: the reasons why a job has not run.
import { describe, expect, it } from 'vitest';
import type { Ductape, JobReasonCode } from './support/ductape.js';
import { create, deferred, eventually, job, rejection, temporaryStore } from './support/instances.js';

const codes = async (ductape: Ductape, id: string): Promise<JobReasonCode[]> =>
  (await ductape.jobs.explain(id)).reasons.map(({ code }) => code);

describe('a job that has not run', () => {
  it('because its time has not come', async () => {
    const ductape = create();
    ductape.features.define('work', () => {});
    await ductape.start({ signals: false });
    const schedule = { start_at: Date.now() + 3_600_000 };
    const { job_id } = await ductape.features.dispatch(job('work', { schedule }));
    const { status, reasons } = await ductape.jobs.explain(job_id);
    expect([status, reasons.map(({ code }) => code)]).toEqual(['scheduled', ['NOT_DUE']]);
    expect(reasons[0]?.message).toMatch(/^the job is due at 20\d\d-.*, in (59 min|1 h 0 min)/);
  });

  it('because nothing here handles it', async () => {
    const ductape = create();
    ductape.features.define('other', () => {});
    await ductape.start({ signals: false });
    const { job_id } = await ductape.features.dispatch(job('work'));
    const { status, reasons } = await ductape.jobs.explain(job_id);
    expect([status, reasons.map(({ code }) => code)]).toEqual(['queued', ['NO_HANDLER']]);
    expect(reasons[0]?.message).toMatch(/features work \(shop, test\).*not known here/);
  });

  it('because this instance is no worker, not started, or filters it out', async () => {
    const store = await temporaryStore();
    const [web, idle, elsewhere] = [
      create({ store, worker: false }),
      create({ store }),
      create({ store, worker: { products: ['other'] } }),
    ];
    const { job_id } = await web.features.dispatch(job('work'));
    expect(await codes(web, job_id)).toEqual(['WORKER_OFF']);
    expect(await codes(idle, job_id)).toEqual(['WORKER_OFF', 'NO_HANDLER']);
    elsewhere.features.define('work', () => {});
    await elsewhere.start({ signals: false });
    const { reasons } = await elsewhere.jobs.explain(job_id);
    expect(reasons).toEqual([{ code: 'NO_HANDLER', message: expect.stringMatching(/`worker` option/) }]);
  });

  it('because its handler or the worker is busy and others come first', async () => {
    const ductape = create({ worker: { concurrency: 2 } });
    const finish = deferred();
    ductape.features.define('work', () => finish.promise, { concurrency: 1 });
    ductape.features.define('other', () => finish.promise);
    const [first, second, third] = await ductape.features.dispatchMany([job('work'), job('work'), job('work')]);
    const id = (result: { job_id: string } | undefined) => result?.job_id ?? '';
    await eventually(async () => expect(await codes(ductape, id(first))).toEqual(['LEASE_HELD']));
    expect(await codes(ductape, id(second))).toEqual(['HANDLER_BUSY']);
    const { job_id: other } = await ductape.features.dispatch(job('other'));
    await eventually(async () => expect(await codes(ductape, other)).toEqual(['LEASE_HELD']));
    const { reasons } = await ductape.jobs.explain(id(third));
    expect(reasons.map(({ code }) => code)).toEqual(['HANDLER_BUSY', 'NO_FREE_SLOT', 'BEHIND_OTHERS']);
    expect(reasons[2]?.message).toMatch(/^1 runs? of features work/);
    finish.resolve();
  });

  it('because it waits for a retry or was snoozed', async () => {
    const ductape = create();
    ductape.features.define('fails', () => Promise.reject(Object.assign(new Error('no luck'), { code: 'FLAKY' })));
    ductape.features.define('snoozes', ({ snooze }) => snooze(60_000));
    const retry = await ductape.features.dispatch(job('fails', { retries: 2, retryConfig: { initialDelay: 60_000 } }));
    const later = await ductape.features.dispatch(job('snoozes'));
    await eventually(async () => expect(await codes(ductape, retry.job_id)).toEqual(['WAITING_FOR_RETRY']));
    const { status, reasons } = await ductape.jobs.explain(retry.job_id);
    expect(status).toBe('scheduled');
    expect(reasons[0]?.message).toMatch(/^attempt 2 of 3 is due at .*; attempt 1 failed with FLAKY: no luck$/);
    await eventually(async () => expect(await codes(ductape, later.job_id)).toEqual(['SNOOZED']));
  });
});

describe('a job that runs', () => {
  it('reports where and since when', async () => {
    const store = await temporaryStore();
    const [web, worker] = [create({ store, worker: false }), create({ store })];
    const [running, finish] = [deferred(), deferred()];
    worker.features.define('work', () => {
      running.resolve();
      return finish.promise;
    });
    const { job_id } = await web.features.dispatch(job('work', { retries: 4 }));
    await running.promise;
    const here = await worker.jobs.explain(job_id);
    expect(here).toEqual({ status: 'running', reasons: [{ code: 'LEASE_HELD', message: expect.any(String) }] });
    expect(here.reasons[0]?.message).toMatch(/^attempt 1 of 5 is running in this instance since 20\d\d-/);
    expect((await web.jobs.explain(job_id)).reasons[0]?.message).toMatch(/in another process or instance/);
    finish.resolve();
  });
});

describe('a finished job', () => {
  it('reports how it ended', async () => {
    const ductape = create();
    ductape.features.define('work', () => {});
    ductape.features.define('fails', () => Promise.reject(new TypeError('no luck')));
    const completed = await ductape.features.dispatch(job('work'));
    const failed = await ductape.features.dispatch(job('fails'));
    const cancelled = await ductape.features.dispatch(job('nobody'));
    await ductape.jobs.cancel(cancelled.job_id, { reason: 'enough' });
    await ductape.jobs.wait(completed.job_id);
    await rejection(ductape.jobs.wait(failed.job_id));
    const messages = [];
    for (const { job_id } of [completed, failed, cancelled]) {
      const { reasons } = await ductape.jobs.explain(job_id);
      expect(reasons.map(({ code }) => code)).toEqual(['ENDED']);
      messages.push(reasons[0]?.message);
    }
    expect(messages[0]).toMatch(/^the job completed at 20/);
    expect(messages[1]).toMatch(/^the job failed at 20.*in attempt 1, the last one with TypeError: no luck$/);
    expect(messages[2]).toMatch(/^the job was cancelled at 20.*: enough$/);
  });

  it('reports that its series has ended or waits for the next occurrence', async () => {
    const ductape = create({ clock: 'manual' });
    ductape.features.define('report', () => {});
    const { job_id } = await ductape.features.dispatch(job('report', { schedule: { every: 60_000, limit: 2 } }));
    await ductape.clock.advance(30_000);
    const { reasons } = await ductape.jobs.explain(job_id);
    expect(reasons).toEqual([
      { code: 'NOT_DUE', message: expect.stringMatching(/^the next run is due at .*, in 30 s$/) },
    ]);
    await ductape.clock.advance(60_000);
    expect(await ductape.jobs.explain(job_id)).toEqual({
      status: 'completed',
      reasons: [
        { code: 'SERIES_OVER', message: expect.stringMatching(/after 2 runs: it had the 2 runs of its `limit`$/) },
      ],
    });
  });

  it('is not found if it never existed', async () => {
    const ductape = create();
    expect(await rejection(ductape.jobs.explain('nobody'))).toMatchObject({ code: 'NOT_FOUND' });
    // @ts-expect-error: no text
    expect(await rejection(ductape.jobs.explain(7))).toMatchObject({ code: 'VALIDATION_ERROR' });
  });
});
