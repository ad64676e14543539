// What changes by the dashboard do to jobs that need none, what can be taken back, and what the audit log says of changes that fail.
import { describe, expect, it } from 'vitest';
import { serve, signIn } from './support/dashboard.js';
import { create, job } from './support/instances.js';
import { sharedStores } from './support/stores.js';

const DAY = 86_400_000;

describe.each(sharedStores)('changes on $kind', ({ make, unavailable }) => {
  const open = async () => {
    const ductape = create({ store: await make(), worker: false });
    for (const id of ['a', 'b', 'c'])
      await ductape.features.dispatch(job('later', { job_id: id, schedule: { start_at: Date.now() + DAY } }));
    return { ductape, browser: await signIn(await serve(ductape)) };
  };

  it.skipIf(unavailable)('of named jobs count, and take back, those that were changed', async () => {
    const { ductape, browser } = await open();
    const bulk = async (action: string) => (await browser.post('/api/bulk', { action, ids: ['a', 'b', 'c'] })).json;
    expect(await bulk('resume')).toEqual({ count: 0, exact: true });
    await ductape.jobs.pause('a');
    expect(await bulk('pause')).toEqual({ count: 2, exact: true, undo: { action: 'resume', ids: ['b', 'c'] } });
    await ductape.jobs.cancel('b');
    expect((await bulk('cancel')).count).toBe(2);
    expect((await bulk('cancel')).count).toBe(0);
  });

  it.skipIf(unavailable)('that fail are told so by the audit log, and reasons are left to the job', async () => {
    const { ductape, browser } = await open();
    expect((await browser.post('/api/jobs/a/cancel', { reason: 'x'.repeat(30_000) })).status).toBe(400);
    expect((await browser.post('/api/jobs/b/cancel', { reason: 'card 4711' })).status).toBe(200);
    expect((await browser.post('/api/jobs/c/retry', {})).status).toBe(409);
    await browser.post('/api/bulk', { action: 'pause', ids: ['b', 'nothing'] });
    const { entries } = await ductape.jobs.audit();
    expect(entries.map(({ action, detail }) => [action, detail]).reverse()).toEqual([
      ['cancel', { id: 'a' }],
      ['cancel: failed', { id: 'a', code: 'VALIDATION_ERROR' }],
      ['cancel', { id: 'b' }],
      ['retry', { id: 'c' }],
      ['retry: failed', { id: 'c', code: 'CONFLICT' }],
      ['pause many', { jobs: 2, ids: ['b', 'nothing'] }],
      ['pause many: changed', { jobs: 0 }],
    ]);
  });
});
