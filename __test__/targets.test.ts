// Numbers of jobs by target, the audit log, and what processes say of themselves.
import { describe, expect, it } from 'vitest';
import { create, eventually, job } from './support/instances.js';
import { sharedStores } from './support/stores.js';

describe.each(sharedStores)('on $kind', ({ make, unavailable }) => {
  it.skipIf(unavailable)('jobs are counted by target, those with work first', async () => {
    const store = await make();
    const ductape = create({ store });
    ductape.features.define('good', () => 1);
    ductape.features.define('bad', () => {
      throw new Error('broken');
    });
    await ductape.features.dispatchMany([job('good'), job('good'), job('bad'), job('nobody')]);
    await eventually(async () => expect(await ductape.jobs.getStats()).toMatchObject({ completed: 2, failed: 1 }));
    const told = await ductape.jobs.targets();
    expect(told).toHaveLength(3);
    expect(told[0]).toMatchObject({ target: { tag: 'nobody' }, queued: 1, total: 1, handled_here: false });
    const good = told.find(({ target }) => target.tag === 'good');
    expect(good).toMatchObject({ namespace: 'features', completed: 2, failed: 0, total: 2, handled_here: true });
    expect(await ductape.jobs.targets({ target: { tag: 'bad' } })).toEqual([told.find((each) => each.failed === 1)]);
    expect(await ductape.jobs.targets({ namespace: 'actions' })).toEqual([]);
    // @ts-expect-error: a name that is wrong
    await expect(ductape.jobs.targets({ product_tag: 'x' })).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });

  it.skipIf(unavailable)('processes say which version they are and what they handle', async () => {
    const store = await make();
    const worker = create({ store, worker: { concurrency: 3 } });
    worker.actions.handle({ app: 'shop', event: 'pay', env: 'prd' }, () => 1, { concurrency: 2 });
    worker.features.define('report', () => 1);
    await worker.start({ signals: false });
    const [handlers, mine] = [
      [
        { namespace: 'actions', env: 'prd', target: { app: 'shop', event: 'pay' }, concurrency: 2, built_in: false },
        { namespace: 'features', target: { tag: 'report' }, built_in: false },
      ],
      { version: worker.version.package, is_this: true },
    ];
    await eventually(async () => expect(await worker.jobs.processes()).toMatchObject([{ ...mine, handlers }]));
    const looking = create({ store, worker: false });
    const [seen] = await looking.jobs.processes();
    expect(seen).toMatchObject({ handlers, is_this: false });
    const remove = worker.features.define('later', () => 1);
    await eventually(async () => expect((await looking.jobs.processes())[0]?.handlers).toHaveLength(3));
    remove();
    await eventually(async () => expect((await looking.jobs.processes())[0]?.handlers).toHaveLength(2));
  });

  it.skipIf(unavailable)('an empty audit log is a page without entries; wrong options are refused', async () => {
    const ductape = create({ store: await make(), worker: false });
    expect(await ductape.jobs.audit()).toEqual({ entries: [] });
    for (const options of [{ limit: 0 }, { limit: 1_001 }, { cursor: 'x' }])
      await expect(ductape.jobs.audit(options)).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });
});
