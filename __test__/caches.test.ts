// Caches: results that later jobs reuse, and values that the program stores.
import { describe, expect, it } from 'vitest';
import { type DispatchInput, Ductape, type DuctapeOptions, type IFeatureDispatchInput } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  problemPaths,
  product,
  rejection,
  temporaryStore,
} from './support/instances.js';

const hour = 3_600_000;

/** An instance whose handler counts its runs, and a way to dispatch to it and wait. */
function createRunCounter(options: DuctapeOptions = {}) {
  const ductape = create(options);
  let runs = 0;
  ductape.features.handle({ product: '*', env: '*' }, (run) => ({ run: ++runs, input: run.input }));
  const result = async (input: Record<string, unknown>, more: Partial<DispatchInput<IFeatureDispatchInput>> = {}) => {
    const { job_id } = await ductape.features.dispatch(job('f', { input, cache: 'c', ...more }));
    return (await ductape.jobs.wait<{ run: number }>(job_id, { timeout: 10_000 })).run;
  };
  return { ductape, result, runs: () => runs };
}

describe('a job with a cache', () => {
  it('completes with the cached result of a job with the same input, without running', async () => {
    const { ductape, result, runs } = createRunCounter();
    expect(await result({ a: 1, b: [1, { c: 2, d: 3 }] })).toBe(1);
    expect(await result({ b: [1, { d: 3, c: 2 }], a: 1 })).toBe(1);
    expect(runs()).toBe(1);
    const { job_id } = await ductape.features.dispatch(
      job('f', { input: { a: 1, b: [1, { c: 2, d: 3 }] }, cache: 'c' }),
    );
    await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', result: { run: 1 } });
  });

  it('runs when anything its cache key depends on differs', async () => {
    const { result } = createRunCounter();
    const runs = [
      await result({ a: 1 }),
      await result({ a: 2 }),
      await result({ a: '1' }),
      await result({ a: 1 }, { cache: 'd' }),
      await result({ a: 1 }, { tag: 'g' }),
      await result({ a: 1 }, { env: 'other' }),
      await result({ a: 1 }, { product: 'other' }),
      await result({ a: [1, 2] }),
      await result({ a: [2, 1] }),
    ];
    expect(new Set(runs).size).toBe(runs.length);
  });

  it('uses the resolved input for its cache key', async () => {
    const { result } = createRunCounter();
    expect(await result({ a: '$Add(1, 1)' })).toBe(1);
    expect(await result({ a: 2 })).toBe(1);
    expect(await result({ id: '$Var(job_id)' })).toBe(2);
    expect(await result({ id: '$Var(job_id)' })).toBe(3);
  });

  it('does not share results between users', async () => {
    const sessions = [{ tag: 'user', secret: 'a secret for sessions' }];
    const { ductape, result } = createRunCounter({ resources: { products: [{ tag: product, sessions }] } });
    const session = async (id: number) => (await ductape.sessions.start({ tag: 'user', data: { id } })).token;
    expect(await result({}, { session: await session(1) })).toBe(1);
    expect(await result({}, { session: await session(2) })).toBe(2);
    expect(await result({}, { session: await session(1) })).toBe(1);
  });

  it('keeps its result for the lifetime of the cache', async () => {
    const ductape = create({
      clock: 'manual',
      resources: { products: [{ tag: product, caches: [{ tag: 'c', expiry: 2 * hour }] }] },
    });
    let runs = 0;
    ductape.features.define('f', () => ++runs);
    const dispatch = async (cache: string) => {
      await ductape.features.dispatch(job('f', { cache }));
      await ductape.clock.advance(1);
      return runs;
    };
    expect([await dispatch('c'), await dispatch('default')]).toEqual([1, 2]);
    await ductape.clock.advance(hour - 10);
    expect([await dispatch('c'), await dispatch('default')]).toEqual([2, 2]);
    await ductape.clock.advance(20);
    expect([await dispatch('c'), await dispatch('default')]).toEqual([2, 3]);
    await ductape.clock.advance(hour);
    expect(await dispatch('c')).toBe(4);
  });

  it('does not cache failures', async () => {
    const ductape = create();
    let runs = 0;
    ductape.features.define('f', () => {
      if (++runs === 1) throw new Error('not yet');
      return runs;
    });
    const result = async () => {
      const { job_id } = await ductape.features.dispatch(job('f', { cache: 'c' }));
      return ductape.jobs.wait(job_id, { timeout: 10_000 });
    };
    await rejection(result());
    expect(await result()).toBe(2);
    expect(await result()).toBe(2);
  });

  it('waits for a running job with the same input, and runs itself when that fails', async () => {
    const ductape = create();
    const first = deferred();
    const started = deferred();
    let runs = 0;
    ductape.features.define('f', async () => {
      if (++runs > 1) return runs;
      started.resolve();
      await first.promise;
      throw new Error('the first one fails');
    });
    const jobs = await ductape.features.dispatchMany(Array.from({ length: 6 }, () => job('f', { cache: 'c' })));
    const ends = Promise.allSettled(jobs.map(({ job_id }) => ductape.jobs.wait(job_id, { timeout: 10_000 })));
    await started.promise;
    first.resolve();
    const results = (await ends).map((end) => (end.status === 'fulfilled' ? end.value : 'failed'));
    expect(results.filter((result) => result === 'failed')).toHaveLength(1);
    expect(results.filter((result) => result === 2)).toHaveLength(5);
    expect(runs).toBe(2);
  });

  it('can time out and be cancelled while it waits for another job', async () => {
    const ductape = create();
    const started = deferred();
    const end = deferred();
    ductape.features.define('f', async () => {
      started.resolve();
      await end.promise;
    });
    await ductape.features.dispatch(job('f', { cache: 'c' }));
    await started.promise;
    const slow = await ductape.features.dispatch(job('f', { cache: 'c', timeout: 50 }));
    expect((await rejection(ductape.jobs.wait(slow.job_id, { timeout: 10_000 }))).code).toBe('TIMEOUT');
    const waiting = await ductape.features.dispatch(job('f', { cache: 'c' }));
    await ductape.jobs.cancel(waiting.job_id);
    expect((await rejection(ductape.jobs.wait(waiting.job_id, { timeout: 10_000 }))).code).toBe('CANCELLED');
    end.resolve();
  });

  it('shares results between instances on one store', async () => {
    const store = await temporaryStore();
    const one = createRunCounter({ store });
    expect(await one.result({ a: 1 })).toBe(1);
    await one.ductape.close();
    const other = createRunCounter({ store });
    expect(await other.result({ a: 1 })).toBe(1);
    expect(other.runs()).toBe(0);
  });
});

describe('ductape.caches', () => {
  it('stores values of the program until they expire', async () => {
    const { caches, clock } = create({ clock: 'manual' });
    const entry = { tag: 'c', key: 'k' };
    expect(await caches.get(entry)).toBeUndefined();
    await caches.set({ ...entry, value: { a: [1, null] } });
    expect(await caches.get(entry)).toEqual({ a: [1, null] });
    await caches.set({ ...entry, value: null, expiry: 10 });
    expect(await caches.get(entry)).toBeNull();
    await clock.advance(10);
    expect(await caches.get(entry)).toBeUndefined();
    await caches.set({ ...entry, value: 1 });
    await caches.clear(entry);
    expect(await caches.get(entry)).toBeUndefined();
    await caches.set({ ...entry, value: 1, product: 'other' });
    expect(await caches.get(entry)).toBeUndefined();
    expect(await caches.get({ ...entry, product: 'other', env })).toBe(1);
  });

  it('clears results cached by jobs', async () => {
    const { ductape, result } = createRunCounter();
    expect([await result({ a: 1 }), await result({ a: 1 })]).toEqual([1, 1]);
    await ductape.caches.set({ tag: 'c', key: 'k', value: 1 });
    expect(await ductape.caches.clearAll({ tag: 'c' })).toEqual({ count: 2 });
    expect(await result({ a: 1 })).toBe(2);
  });

  it('clears what a run that is going on works out, also for other processes', async () => {
    const store = await temporaryStore();
    const gate = deferred<void>();
    let runs = 0;
    const ductape = create({ store });
    ductape.features.define('work', async () => {
      runs += 1;
      await gate.promise;
      return runs;
    });
    const other = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch({ tag: 'work', input: {}, cache: 'c' });
    await eventually(() => expect(runs).toBe(1));
    expect(await other.caches.clearAll({ tag: 'c' })).toEqual({ count: 0 });
    gate.resolve();
    expect(await ductape.jobs.wait(job_id)).toBe(1);
    const again = () => ductape.features.dispatch({ tag: 'work', input: {}, cache: 'c' });
    expect(await ductape.jobs.wait((await again()).job_id)).toBe(2);
    expect(await ductape.jobs.wait((await again()).job_id)).toBe(2);
  });

  it('refuses what has no value, and many bytes before they are made numbers', async () => {
    const { caches } = create();
    for (const value of [undefined, () => 1, Symbol('value'), new Uint8Array(300_000), Buffer.alloc(2 ** 26)]) {
      const error = await rejection(caches.set({ tag: 'c', key: 'k', value }));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['value']]);
    }
    const missing = await rejection(caches.set({ tag: 'c', key: 'k' } as never));
    expect(problemPaths(missing)).toEqual(['value']);
  });

  it('rejects invalid arguments', async () => {
    const { caches } = new Ductape({ store: 'memory:', product });
    const error = await rejection(caches.set({ key: 1, valu: 1, expiry: 0 } as never));
    expect(problemPaths(error).sort()).toEqual(['env', 'expiry', 'key', 'tag', 'valu', 'value']);
    const large = { env, tag: 'c', key: 'k', value: 'x'.repeat(300_000) };
    expect(problemPaths(await rejection(caches.set(large)))).toEqual(['value']);
  });
});
