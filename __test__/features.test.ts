// Features declared as data: a sequence of events of other targets, each of which runs once.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DuctapeOptions, FeatureResource, JobContext, Resources } from './support/ductape.js';
import { DuctapeError } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  nextTurn,
  product,
  rejection,
  temporaryFolder,
} from './support/instances.js';
import { readLines, script, tally } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const resourcesWith = (...features: FeatureResource[]): Resources => ({ products: [{ tag: product, features }] });
/** Returns its second argument; the first is evaluated for its effect. */
const andReturn = <T>(_: unknown, value: T): T => value;
const fastRetry = { initialDelay: 1, maxDelay: 5 };

const order: FeatureResource = {
  tag: 'order',
  input: { id: { type: 'integer', required: true }, email: { type: 'string' }, note: { default: 'none' } },
  sequence: [
    {
      tag: 'pay',
      events: [
        { type: 'action', app: 'bank', event: 'charge', input: { order: '$Input{id}', note: '$Input{note}' } },
        {
          type: 'database_action',
          database: 'main',
          event: 'save',
          input: { data: { charge: '$Sequence{pay}{charge}{id}' } },
        },
      ],
    },
    {
      tag: 'tell',
      events: [
        {
          type: 'notification',
          notification: 'mail',
          event: 'receipt',
          input: { text: 'Charge $Sequence{pay}{charge}{id}!' },
        },
      ],
    },
  ],
  output: { charge: '$Sequence{pay}{charge}', saved: '$Sequence{pay}{save}', at: '$Var(job_id)' },
};

/** An instance that serves the targets of `order` and records their calls. */
function shop(more: { charge?: (job: JobContext) => unknown } = {}, options: DuctapeOptions = {}) {
  const calls: [string, unknown][] = [];
  const ductape = create({ resources: resourcesWith(order), ...options });
  ductape.actions.handle({ app: 'bank', event: 'charge' }, (job) => {
    calls.push(['charge', job.input]);
    return more.charge ? more.charge(job) : { id: 'ch_1', text: '$Now() is no expression' };
  });
  ductape.databases.action.handle({ database: 'main' }, ({ event, input }) => andReturn(calls.push([event, input]), 7));
  ductape.notifications.handle({}, ({ event, input }) => void calls.push([event, input]));
  return { ductape, calls };
}

describe('a feature declared as data', () => {
  it('runs its events in order with earlier results and yields its output', async () => {
    const { ductape, calls } = shop();
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5, email: 'a@b.c' } }));
    expect(await ductape.jobs.wait(job_id)).toEqual({
      charge: { id: 'ch_1', text: '$Now() is no expression' },
      saved: 7,
      at: job_id,
    });
    expect(calls).toEqual([
      ['charge', { order: 5, note: 'none' }],
      ['save', { data: { charge: 'ch_1' } }],
      ['receipt', { text: 'Charge ch_1!' }],
    ]);
  });

  it('yields the result of its last event when it declares no output', async () => {
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [{ tag: 's', events: [{ type: 'action', app: 'a', event: 'e' }] }],
    };
    const ductape = create({ resources: resourcesWith(feature) });
    ductape.actions.handle({}, () => [1, 2]);
    const { job_id } = await ductape.features.dispatch(job('f'));
    expect(await ductape.jobs.wait(job_id)).toEqual([1, 2]);
  });

  it('runs without any handler when its events need none', async () => {
    const inner: FeatureResource = { tag: 'inner', sequence: [], output: { n: '$Length{$Input{list}}' } };
    const outer: FeatureResource = {
      tag: 'outer',
      sequence: [{ tag: 's', events: [{ type: 'feature', event: 'inner', input: { list: '$Input{list}' } }] }],
    };
    const ductape = create({ resources: resourcesWith(inner, outer) });
    const { job_id } = await ductape.features.dispatch(job('outer', { input: { list: [1, 2, 3] } }));
    expect(await ductape.jobs.wait(job_id, { timeout: 5_000 })).toEqual({ n: 3 });
  });

  it('rejects an input that does not match its declaration, with every problem', async () => {
    const { ductape, calls } = shop();
    const { job_id } = await ductape.features.dispatch(job('order', { retries: 3, input: { email: 5 } }));
    const error = await rejection(ductape.jobs.wait(job_id));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(error.message).toContain('input.id');
    expect(error.message).toContain('input.email');
    expect(calls).toEqual([]);
  });

  it('gives each event a key of its own, and the session of the job', async () => {
    const seen: Partial<JobContext>[] = [];
    const { ductape } = shop({
      charge: ({ id, part, run, namespace }) =>
        andReturn(seen.push({ id, part: part ?? '', run, namespace }), { id: 1 }),
    });
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5 } }));
    await ductape.jobs.wait(job_id);
    expect(seen).toEqual([{ id: job_id, part: 'pay/charge', run: 1, namespace: 'actions' }]);
  });

  it('is overridden by a handler', async () => {
    const { ductape } = shop();
    ductape.features.define('order', () => 'code');
    const { job_id } = await ductape.features.dispatch(job('order'));
    expect(await ductape.jobs.wait(job_id)).toBe('code');
  });

  it('runs features within features', async () => {
    const inner: FeatureResource = {
      tag: 'inner',
      sequence: [{ tag: 's', events: [{ type: 'action', app: 'a', event: 'e', input: { n: '$Input{n}' } }] }],
      output: { doubled: '$Sequence{s}{e}' },
    };
    const outer: FeatureResource = {
      tag: 'outer',
      sequence: [
        {
          tag: 's',
          events: [
            { type: 'feature', event: 'inner', input: { n: 4 } },
            { type: 'feature', event: 'code', input: { n: '$Sequence{s}{inner}{doubled}' } },
          ],
        },
      ],
    };
    const ductape = create({ resources: resourcesWith(inner, outer) });
    const parts: unknown[] = [];
    ductape.actions.handle({}, ({ input, part }) =>
      andReturn(parts.push(part), Number((input as { n: number }).n) * 2),
    );
    ductape.features.define('code', ({ input, part }) => andReturn(parts.push(part), Number(input.n) + 1));
    const { job_id } = await ductape.features.dispatch(job('outer'));
    expect(await ductape.jobs.wait(job_id)).toBe(9);
    expect(parts).toEqual(['s/inner/s/e', 's/code']);
  });

  it('that runs itself is refused at construction', async () => {
    const feature = (tag: string, event: string): FeatureResource => ({
      tag,
      sequence: [{ tag: 's', events: [{ type: 'feature', event }] }],
    });
    const error = await rejection(() => create({ resources: resourcesWith(feature('a', 'b'), feature('b', 'a')) }));
    expect(error.message).toContain('runs itself: a → b → a');
  });
});

describe('an event that fails', () => {
  it('fails the feature, whose next attempt resumes after the finished events', async () => {
    let tries = 0;
    const { ductape, calls } = shop();
    ductape.notifications.handle({ notification: 'mail' }, () => {
      tries++;
      if (tries < 3) throw new DuctapeError('TIMEOUT', 'slow');
    });
    const { job_id } = await ductape.features.dispatch(
      job('order', { input: { id: 5 }, retries: 2, retryConfig: fastRetry }),
    );
    await ductape.jobs.wait(job_id);
    expect([tries, calls.map(([name]) => name)]).toEqual([3, ['charge', 'save']]);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ attempt: 3 });
  });

  it('is named in the error', async () => {
    const { ductape } = shop({ charge: () => Promise.reject(new DuctapeError('FORBIDDEN', 'card refused')) });
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5 }, retries: 2 }));
    expect(await rejection(ductape.jobs.wait(job_id))).toMatchObject({
      code: 'FORBIDDEN',
      message: 'pay/charge: card refused',
    });
  });

  it('is retried within the attempt, and may fail if declared so', async () => {
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        {
          tag: 's',
          events: [
            { type: 'action', app: 'a', event: 'flaky', retries: 3 },
            { type: 'action', app: 'a', event: 'broken', retries: 1, allow_fail: true },
            { type: 'action', app: 'a', event: 'last', input: { broken: '$Sequence{s}{broken}' } },
          ],
        },
      ],
    };
    const ductape = create({ resources: resourcesWith(feature) });
    const calls: string[] = [];
    ductape.actions.handle({}, ({ event, input }) => {
      calls.push(event);
      if (event === 'broken' || (event === 'flaky' && calls.length < 4)) throw new Error(`${event}!`);
      return input;
    });
    const { job_id } = await ductape.features.dispatch(job('f', { retryConfig: fastRetry }));
    expect(await ductape.jobs.wait(job_id)).toEqual({ broken: null });
    expect(calls).toEqual(['flaky', 'flaky', 'flaky', 'flaky', 'broken', 'broken', 'last']);
    const lines = (await ductape.jobs.logs(job_id)).map(({ message }) => message);
    expect(lines).toContain('s/broken failed, and the feature goes on: Error: broken!');
    expect(await ductape.jobs.get(job_id)).toMatchObject({ attempt: 1 });
  });
});

describe('an event', () => {
  it('is aborted with the job, by a timeout and by a cancellation', async () => {
    const aborted: unknown[] = [];
    const begun = [deferred(), deferred()];
    const { ductape } = shop({
      charge: ({ signal }) => {
        begun.shift()?.resolve();
        return new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason.code)));
      },
    });
    const [first, second] = [...begun];
    const late = await ductape.features.dispatch(job('order', { input: { id: 5 }, timeout: 50 }));
    await first?.promise;
    expect(await rejection(ductape.jobs.wait(late.job_id))).toMatchObject({ code: 'TIMEOUT' });
    const cancelled = await ductape.features.dispatch(job('order', { input: { id: 6 } }));
    await second?.promise;
    await ductape.jobs.cancel(cancelled.job_id);
    await eventually(() => expect(aborted).toEqual(['TIMEOUT', 'CANCELLED']));
  });

  it('has the timeout of its handler, and a late result is not taken for that of the retry', async () => {
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [{ tag: 's', events: [{ type: 'action', app: 'a', event: 'e', retries: 1 }] }],
    };
    const ductape = create({ resources: resourcesWith(feature) });
    let tries = 0;
    const late = deferred();
    ductape.actions.handle(
      {},
      async () => {
        if (++tries === 1) {
          await late.promise;
          return 'late';
        }
        late.resolve();
        // The late answer has crossed by then.
        await nextTurn();
        return 'in time';
      },
      { timeout: 60 },
    );
    const { job_id } = await ductape.features.dispatch(job('f', { retryConfig: fastRetry }));
    expect(await ductape.jobs.wait(job_id)).toBe('in time');
  });

  it('may have steps and log lines, and no rollbacks', async () => {
    let tries = 0;
    let charged = 0;
    const { ductape } = shop({
      charge: async ({ step, log }) => {
        log('charging');
        const id = await step('charge', () => ++charged);
        if (++tries === 1) throw new Error('again');
        await expect(step('b', () => 1, { rollback: () => {} })).rejects.toThrow('which is not undone');
        return { id };
      },
    });
    const { job_id } = await ductape.features.dispatch(
      job('order', { input: { id: 5 }, retries: 1, retryConfig: fastRetry }),
    );
    expect(await ductape.jobs.wait(job_id)).toMatchObject({ charge: { id: 1 } });
    await eventually(async () =>
      expect((await ductape.jobs.logs(job_id)).filter(({ message }) => message === 'charging')).toHaveLength(2),
    );
  });

  it('may snooze, and finished events are kept', async () => {
    let snoozed = false;
    const { ductape, calls } = shop();
    ductape.notifications.handle({ notification: 'mail' }, ({ snooze }) => {
      if (snoozed) return;
      snoozed = true;
      snooze(1);
    });
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5 } }));
    await ductape.jobs.wait(job_id);
    expect(calls.map(([name]) => name)).toEqual(['charge', 'save']);
  });
});

describe('a feature with unserved events', () => {
  it('is not claimed until a process serves all of it', async () => {
    const ductape = create({ resources: resourcesWith(order) });
    ductape.actions.handle({}, () => ({ id: 1 }));
    ductape.databases.action.handle({}, () => 7);
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5 } }));
    // Dispatched later, and claimed: the feature could have been claimed before.
    ductape.features.define('later', () => {});
    await ductape.jobs.wait((await ductape.features.dispatch(job('later'))).job_id);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'queued', attempt: 0 });
    ductape.notifications.handle({}, () => {});
    expect(await ductape.jobs.wait(job_id)).toMatchObject({ saved: 7 });
  });
});

describe.each(sharedStores)('on $kind, a process that is killed within a feature', ({ unavailable, make }) => {
  it.skipIf(unavailable)('repeats no finished event', { timeout: 60_000 }, async () => {
    const store = await make();
    const log = join(await temporaryFolder(), 'calls');
    const worker = (hang: string) =>
      script(
        `import { appendFileSync } from 'node:fs';
         import Ductape from 'ductape';
         const ductape = new Ductape({
           store: ${JSON.stringify(store)}, product: '${product}', env: '${env}', resources: ${JSON.stringify(resourcesWith(order))},
         });
         const called = async (event, result) => {
           if (event === ${JSON.stringify(hang)}) {
             console.log('hangs');
             await new Promise(() => {});
           }
           appendFileSync(${JSON.stringify(log)}, event + '\\n');
           return result;
         };
         ductape.actions.handle({}, () => called('charge', { id: 'ch_1' }));
         ductape.databases.action.handle({}, () => called('save', 7));
         ductape.notifications.handle({}, () => called('receipt'));
         await ductape.start();`,
      );
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('order', { input: { id: 5 } }));
    for (const hang of ['save', 'receipt']) {
      const first = worker(hang);
      await first.waitForLine('hangs');
      first.process.kill('SIGKILL');
      await first.ended;
    }
    worker('');
    expect(await ductape.jobs.wait(job_id, { timeout: 50_000 })).toMatchObject({ charge: { id: 'ch_1' }, saved: 7 });
    expect(tally(await readLines(log))).toEqual(
      new Map([
        ['charge', 1],
        ['save', 1],
        ['receipt', 1],
      ]),
    );
  });
});
