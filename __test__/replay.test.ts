// What a later attempt gets of steps that are finished, and what it passes on to those that are not.
import { describe, expect, it } from 'vitest';
import type { JobContext } from './support/ductape.js';
import { create, deferred, eventually, job, nextTurn } from './support/instances.js';
import { retryByHand, run } from './support/runs.js';

describe('a race of steps', () => {
  it('has the same winner in every attempt', async () => {
    const winners: string[] = [];
    await run(
      async ({ step }) => {
        const first = deferred();
        const winner = await Promise.race([
          step('slow', async () => {
            await first.promise;
            return 'slow';
          }),
          step('fast', () => 'fast').finally(() => first.resolve()),
          // The work of a new attempt begins behind what is known.
          ...(winners.length > 0 ? [step(`new ${winners.length}`, () => 'new')] : []),
        ]);
        winners.push(winner);
        await step(`after ${winner}`, () => 1);
        throw new Error('again');
      },
      { retries: 2 },
    );
    expect(winners).toEqual(['fast', 'fast', 'fast']);
  });

  it('of many steps resolves them in the order in which they were finished', async () => {
    const orders: string[][] = [];
    const tags = ['c', 'a', 'd', 'b'];
    await run(
      async ({ step }) => {
        const order: string[] = [];
        orders.push(order);
        const done = new Map(tags.map((tag) => [tag, deferred()]));
        const steps = tags.map((tag) => step(tag, () => done.get(tag)?.promise).then(() => order.push(tag)));
        for (const tag of ['b', 'a', 'd', 'c']) {
          done.get(tag)?.resolve();
          if (orders.length === 1) await eventually(() => expect(order).toContain(tag));
        }
        await Promise.all(steps);
        throw new Error('again');
      },
      { retries: 1 },
    );
    expect(orders).toEqual([
      ['b', 'a', 'd', 'c'],
      ['b', 'a', 'd', 'c'],
    ]);
  });
});

describe('a step inside a step', () => {
  it('is not repeated when the outer one is tried again, in this attempt or a later one', async () => {
    const calls: string[] = [];
    const { result } = await run(
      async ({ step, attempt }) =>
        step(
          'outer',
          async ({ attempt: tries }) => {
            const inner = await step('inner', () => calls.push('inner'));
            calls.push(`outer ${attempt}.${tries}`);
            if (attempt === 1 || tries === 1) throw new Error('not yet');
            return { inner };
          },
          { retries: 1 },
        ),
      { retries: 1 },
    );
    expect(calls).toEqual(['inner', 'outer 1.1', 'outer 1.2', 'outer 2.1', 'outer 2.2']);
    expect(result).toEqual({ inner: 1 });
  });

  it('that is still going when the outer one is tried again is the same', async () => {
    const calls: string[] = [];
    const go = deferred();
    const { result } = await run(async ({ step }) =>
      step(
        'outer',
        async ({ attempt }) => {
          const inner = step('inner', async () => {
            calls.push('inner');
            await go.promise;
            return 7;
          });
          if (attempt === 1) throw new Error('not yet');
          go.resolve();
          return inner;
        },
        { retries: 1 },
      ),
    );
    expect([result, calls]).toEqual([7, ['inner']]);
  });

  it('that failed is done again, and is rolled back once', async () => {
    const done: string[] = [];
    let tries = 0;
    await run(async ({ step }) => {
      const work = async () => {
        await step('first', () => void done.push('first'), { rollback: () => void done.push('-first') });
        await step('second', () => {
          if (++tries === 1) throw new Error('not yet');
          done.push('second');
        });
      };
      await step('outer', work, { retries: 1 });
      throw new Error('no');
    });
    expect(done).toEqual(['first', 'second', '-first']);
  });

  it('does not make a tag that is used twice right', async () => {
    const { error } = await run(async ({ step }) =>
      step('outer', async () => {
        await step('inner', nextTurn);
        await step('inner', nextTurn);
      }),
    );
    expect(error?.message).toMatch(/has a step 'inner' already/);
  });
});

describe('the idempotency key of a step', () => {
  const keysOf = (keys: string[], fails: () => unknown) => async (job: JobContext) => {
    await job.step('charge', ({ idempotency_key }) => {
      keys.push(idempotency_key);
      return fails();
    });
  };

  it('stays the same when a failed job is retried by hand, however often', async () => {
    const keys: string[] = [];
    const fails = () => keys.length < 5 && Promise.reject(new Error('connection lost'));
    const { ductape, job_id } = await run(keysOf(keys, fails), { retries: 1 });
    for (const runs of [2, 3]) await retryByHand(ductape, job_id, runs);
    expect(keys).toEqual(Array.from({ length: 5 }, () => `${job_id}/1/charge`));
  });

  it('stays the same when a job that timed out or was cancelled is retried by hand', async () => {
    const keys: string[] = [];
    const ductape = create();
    const begun = deferred();
    ductape.features.define(
      'f',
      keysOf(keys, () => {
        if (keys.length === 2) begun.resolve();
        return keys.length < 3 && new Promise(() => {});
      }),
    );
    const { job_id } = await ductape.features.dispatch(job('f', { timeout: 50 }));
    await ductape.jobs.wait(job_id).catch(() => {});
    await ductape.jobs.retry(job_id);
    await begun.promise;
    await ductape.jobs.cancel(job_id).catch(() => {});
    await ductape.jobs.retry(job_id);
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    expect(keys).toEqual(Array.from({ length: 3 }, () => `${job_id}/1/charge`));
  });

  it('is another one after the step was undone, and then stays the same', async () => {
    const keys: string[] = [];
    const undone: string[] = [];
    const { ductape, job_id } = await run(async ({ step, run }) => {
      const charge = ({ idempotency_key }: { idempotency_key: string }) => {
        keys.push(idempotency_key);
        if (run === 2) throw new Error('connection lost');
      };
      await step('charge', charge, { rollback: (_, { idempotency_key }) => void undone.push(idempotency_key) });
      if (run === 1) throw new Error('no');
    });
    for (const runs of [2, 3]) await retryByHand(ductape, job_id, runs);
    expect(undone).toEqual([`${job_id}/1/charge`]);
    expect(keys).toEqual([`${job_id}/1/charge`, `${job_id}/2/charge`, `${job_id}/2/charge`]);
  });

  it('is that of the failed run when a run of a recurring job is retried, and no other run has it', async () => {
    const keys: string[] = [];
    const ductape = create({ clock: 'manual' });
    ductape.features.define(
      'f',
      keysOf(keys, () => keys.length === 1 && Promise.reject(new Error('connection lost'))),
    );
    const { job_id } = await ductape.features.dispatch(job('f', { schedule: { every: 1000, limit: 2 } }));
    await ductape.clock.advance(1000);
    await ductape.jobs.retry(job_id);
    await ductape.clock.advance(5000);
    expect(keys.sort()).toEqual([`${job_id}/1/charge`, `${job_id}/1/charge`, `${job_id}/2/charge`]);
  });
});
