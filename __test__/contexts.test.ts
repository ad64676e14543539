// `AsyncLocalStorage` in what the package calls: it holds what it held where the function was given.
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { create, deferred, job, nextTurn, recordingLogger } from './support/instances.js';

describe('the store of an AsyncLocalStorage that a handler enters', () => {
  it('is not seen by the handlers of other jobs', async () => {
    const storage = new AsyncLocalStorage<string>();
    const ductape = create();
    const seen: Array<string | undefined> = [];
    const enter = ({ id }: { id: string }) => {
      seen.push(storage.getStore());
      storage.enterWith(id);
      return nextTurn().then(() => expect(storage.getStore()).toBe(id));
    };
    ductape.features.define('f', enter);
    ductape.actions.handle({}, enter);
    const features = await ductape.features.dispatchMany(Array.from({ length: 50 }, () => job('f')));
    const action = await ductape.actions.dispatch({ app: 'a', event: 'b', input: {} });
    await Promise.all([...features, action].map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(seen).toEqual(Array.from({ length: 51 }, () => undefined));
  });

  it('is not seen by a handler of a later turn, nor by another instance', async () => {
    const storage = new AsyncLocalStorage<string>();
    const [one, other] = [create(), create()];
    const seen: Array<string | undefined> = [];
    for (const ductape of [one, other]) {
      ductape.features.define('f', () => {
        seen.push(storage.getStore());
        storage.enterWith('entered');
      });
    }
    for (const ductape of [one, one, other]) {
      const { job_id } = await ductape.features.dispatch(job('f'));
      await ductape.jobs.wait(job_id);
    }
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  it('is not seen by the next handler when a listener of the signal entered it', async () => {
    const storage = new AsyncLocalStorage<string>();
    const ductape = create();
    const [began, heard] = [deferred(), deferred()];
    ductape.features.define('f', async ({ signal, input }) => {
      // A call that leaves an entry without a value does not hide one with a value.
      if (!(input as { waits: boolean }).waits) return storage.run('inner', () => '') + String(storage.getStore());
      signal.addEventListener('abort', () => {
        storage.enterWith('listener');
        heard.resolve();
      });
      began.resolve();
      await heard.promise;
      return 'aborted';
    });
    const first = await ductape.features.dispatch(job('f', { input: { waits: true } }));
    await began.promise;
    await ductape.jobs.cancel(first.job_id);
    await heard.promise;
    for (let round = 0; round < 3; round++) {
      const { job_id } = await ductape.features.dispatch(job('f', { input: { waits: false } }));
      expect(await ductape.jobs.wait(job_id)).toBe('undefined');
    }
  });

  it('is not seen by listeners, the logger, the function of secrets and settled promises', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = new Map<string, string | undefined>();
    const see = (what: string) => seen.set(what, storage.getStore());
    const logged = deferred();
    const logger = {
      ...recordingLogger(),
      error: () => {
        see('logger');
        logged.resolve();
      },
    };
    const ductape = create({
      logger,
      inputSecrets: ['KEY'],
      secrets: async () => {
        see('secrets');
        return 'value';
      },
    });
    ductape.features.define('f', () => storage.enterWith('entered'));
    ductape.jobs.on('job.completed', () => {
      see('listener');
      storage.enterWith('listener');
      throw new Error('for the logger');
    });
    ductape.jobs.on('job.completed', () => see('second listener'));
    const first = await ductape.features.dispatch(job('f'));
    await ductape.jobs.wait(first.job_id);
    see('promise');
    const second = await ductape.features.dispatch(job('f', { input: { key: '$Secret{KEY}' } }));
    await ductape.jobs.wait(second.job_id);
    await logged.promise;
    expect([...seen.keys()].sort()).toEqual(['listener', 'logger', 'promise', 'second listener', 'secrets']);
    expect([...seen.values()]).toEqual(Array.from({ length: 5 }, () => undefined));
  });
});

describe('an AsyncLocalStorage holds what it held', () => {
  it('where a handler or a listener was registered', async () => {
    const storage = new AsyncLocalStorage<string>();
    const ductape = create();
    const heard = deferred<string | undefined>();
    storage.run('handler', () => ductape.features.define('f', () => storage.getStore()));
    storage.run('listener', () => ductape.jobs.on('job.completed', () => heard.resolve(storage.getStore())));
    const { job_id } = await storage.run('dispatch', () => ductape.features.dispatch(job('f')));
    expect(await storage.run('wait', () => ductape.jobs.wait(job_id))).toBe('handler');
    expect(await heard.promise).toBe('listener');
  });

  it('in the handler, for the listeners of its signal', async () => {
    const storage = new AsyncLocalStorage<string>();
    const ductape = create();
    const [began, heard] = [deferred(), deferred<string | undefined>()];
    ductape.features.define('f', ({ signal }) => {
      storage.enterWith('job');
      signal.addEventListener('abort', () => heard.resolve(storage.getStore()));
      began.resolve();
      return heard.promise;
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await began.promise;
    await ductape.jobs.cancel(job_id);
    expect(await heard.promise).toBe('job');
  });

  it('where a step was begun, for its work and its rollback', async () => {
    const storage = new AsyncLocalStorage<string>();
    const ductape = create();
    const seen: Array<string | undefined> = [];
    const see = () => seen.push(storage.getStore());
    ductape.features.define('f', async ({ step }) => {
      await storage.run('a', () => step('a', see, { rollback: see }));
      await storage.run('b', () => step('b', see, { rollback: see }));
      throw new Error('no');
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await ductape.jobs.wait(job_id).catch(() => {});
    expect(seen).toEqual(['a', 'b', 'b', 'a']);
  });
});
