// Steps: what a handler has finished is not done again, and is undone when the job fails for good.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobContext } from './support/ductape.js';
import { DuctapeError } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  product,
  nextTurn,
  recordingLogger,
  rejection,
  temporaryFolder,
} from './support/instances.js';
import { readLines, script, tally } from './support/processes.js';
import { run } from './support/runs.js';
import { sharedStores } from './support/stores.js';

/** The second of two values: for what is done beside it. */
const andReturn = <T>(_: unknown, value: T): T => value;
describe('a finished step', () => {
  it('is not repeated when the job is retried', async () => {
    const calls: string[] = [];
    const { result } = await run(
      async ({ step, attempt }) => {
        const a = await step('a', () => andReturn(calls.push('a'), { at: new Date(0), attempt }));
        const b = await step('b', () => andReturn(calls.push('b'), undefined));
        const c = await step('c', () => {
          calls.push('c');
          if (attempt < 3) throw new Error('not yet');
          return 12345678901234567890n.toString();
        });
        return { a, b: b === undefined, c };
      },
      { retries: 3 },
    );
    expect(calls).toEqual(['a', 'b', 'c', 'c', 'c']);
    // What JSON gives back, the first time as well as later.
    expect(result).toEqual({ a: { at: '1970-01-01T00:00:00.000Z', attempt: 1 }, b: true, c: '12345678901234567890' });
  });

  it('yields its result as JSON round-trips it, also the first time', async () => {
    const { result } = await run(async ({ step }) => typeof (await step('a', () => new Date(0) as unknown)));
    expect(result).toBe('string');
  });

  it('is not repeated after a snooze', async () => {
    let calls = 0;
    let snoozed = false;
    const { result } = await run(async ({ step, snooze }) => {
      const n = await step('a', () => ++calls);
      if (!snoozed) {
        snoozed = true;
        return snooze(1);
      }
      return n;
    });
    expect([result, calls]).toEqual([1, 1]);
  });

  it('is not repeated when a failed job is retried by hand', async () => {
    let calls = 0;
    let broken = true;
    const { ductape, job_id, error } = await run(async ({ step }) => {
      await step('a', () => ++calls);
      if (broken) throw new Error('broken');
      return calls;
    });
    expect(error?.message).toBe('broken');
    expect(await ductape.jobs.steps(job_id)).toEqual({ run: 1, steps: [{ tag: 'a', status: 'finished', result: 1 }] });
    broken = false;
    await ductape.jobs.retry(job_id);
    await eventually(async () =>
      expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', result: 1 }),
    );
    // What has completed needs them no more.
    expect((await ductape.jobs.steps(job_id)).steps).toEqual([]);
    await expect(ductape.jobs.steps('nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('belongs to its run and is repeated in the next run of a recurring job', async () => {
    const ductape = create({ clock: 'manual' });
    let calls = 0;
    ductape.features.define('f', async ({ step }) => step('a', () => ++calls));
    const { job_id } = await ductape.features.dispatch(job('f', { schedule: { every: 1000, limit: 3 } }));
    await ductape.clock.advance(5000);
    expect(calls).toBe(3);
    expect((await ductape.jobs.get(job_id)).result).toBe(3);
  });
});

describe('steps', () => {
  it('may run in parallel', async () => {
    const [first, second] = [deferred(), deferred()];
    const { result } = await run(async ({ step }) =>
      Promise.all([
        step('a', async () => {
          second.resolve();
          await first.promise;
          return 1;
        }),
        step('b', async () => {
          await second.promise;
          first.resolve();
          return 2;
        }),
      ]),
    );
    expect(result).toEqual([1, 2]);
  });

  it('are awaited when the handler does not', async () => {
    const order: string[] = [];
    await run(({ step }) => {
      void step('a', async () => {
        await nextTurn();
        order.push('a');
      });
      order.push('handler');
    });
    expect(order).toEqual(['handler', 'a']);
  });

  it('that fail without being awaited do not crash the process', async () => {
    const { result } = await run(({ step }) => {
      void step('a', () => Promise.reject(new Error('alone')));
      return 'done';
    });
    expect(result).toBe('done');
  });

  it('are retried within the attempt according to retryConfig', async () => {
    const tries: number[] = [];
    const { ductape, job_id, result } = await run(async ({ step, attempt }) =>
      step(
        'a',
        ({ attempt: of }) => {
          tries.push(of);
          if (of < 4) throw new DuctapeError('TIMEOUT', 'slow');
          return attempt;
        },
        { retries: 5 },
      ),
    );
    expect([result, tries]).toEqual([1, [1, 2, 3, 4]]);
    await eventually(async () => {
      const lines = (await ductape.jobs.logs(job_id)).map(({ message }) => message);
      expect(lines).toHaveLength(3);
      expect(lines[0]).toMatch(/^step 'a' failed and is tried again in 1 ms: TIMEOUT: slow$/);
    });
    tries.length = 0;
    const refused = await run(async ({ step }) =>
      step('a', ({ attempt: of }) => andReturn(tries.push(of), Promise.reject(new DuctapeError('NOT_FOUND', 'gone'))), {
        retries: 5,
      }),
    );
    expect([refused.error?.code, tries]).toEqual(['NOT_FOUND', [1]]);
  });

  it('have an idempotency key that is stable across attempts', async () => {
    const keys: string[] = [];
    const { job_id } = await run(
      async ({ step }) =>
        step('a', ({ idempotency_key }) => {
          keys.push(idempotency_key);
          if (keys.length < 2) throw new Error('again');
        }),
      { retries: 1 },
    );
    expect(keys).toEqual([`${job_id}/1/a`, `${job_id}/1/a`]);
  });

  it.each<[string, (job: JobContext) => Promise<unknown>, RegExp]>([
    [
      'a tag that is used twice',
      ({ step }) => step('a', () => 1).then(() => step('a', () => 2)),
      /has a step 'a' already/,
    ],
    ['a tag that is none', ({ step }) => step(7 as unknown as string, () => 1), /must be a text/],
    ['a tag that is too long', ({ step }) => step('x'.repeat(201), () => 1), /at most 200 bytes/],
    ['a tag of the package', ({ step }) => step('ductape:x', () => 1), /must not begin with 'ductape:'/],
    ['work that is no function', ({ step }) => step('a', 1 as unknown as () => 1), /must be a function, got number/],
    ['unknown options', ({ step }) => step('a', () => 1, { retry: 1 } as object), /no option 'retry'/],
    ['retries that are none', ({ step }) => step('a', () => 1, { retries: -1 }), /options.retries: must be an integer/],
    [
      'a rollback that is none',
      ({ step }) => step('a', () => 1, { rollback: 1 } as object),
      /rollback must be a function/,
    ],
    ['a result that is no JSON', ({ step }) => step('a', () => 1n), /cannot be stored as JSON/],
    ['a result that is too large', ({ step }) => step('a', () => 'x'.repeat(1 << 20)), /at most 1048576 are kept/],
  ])('refuse %s', async (_, handler, message) => {
    const { error } = await run(handler, { retries: 1 });
    expect(error?.code).toBe('VALIDATION_ERROR');
    expect(error?.message).toMatch(message);
  });

  it('reject once the job is cancelled, and store nothing', async () => {
    const [begun, seen] = [deferred(), deferred<unknown>()];
    const ductape = create();
    ductape.features.define('f', async ({ step, signal }) => {
      const going = step('a', async () => {
        begun.resolve();
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return 1;
      });
      await going.catch((error) => seen.resolve(error));
      expect(signal.aborted).toBe(true);
      await expect(step('b', () => 2)).rejects.toMatchObject({ code: 'CANCELLED' });
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await begun.promise;
    await ductape.jobs.cancel(job_id);
    expect(await seen.promise).toMatchObject({ code: 'CANCELLED' });
  });
});

describe('rollbacks', () => {
  const saga =
    (done: string[], more: { fails?: () => void; rollback?: (tag: string) => void } = {}) =>
    async ({ step }: JobContext) => {
      for (const tag of ['a', 'b', 'c']) {
        await step(tag, () => andReturn(done.push(tag), { tag }), {
          retries: 2,
          rollback: (result) => {
            expect(result).toEqual({ tag });
            more.rollback?.(tag);
            done.push(`-${tag}`);
          },
        });
      }
      more.fails?.();
      throw Object.assign(new Error('sold out'), { code: 'NO_STOCK' });
    };

  it('undo finished steps in reverse order when no attempt follows', async () => {
    const done: string[] = [];
    const { error } = await run(saga(done), { retries: 1 });
    expect(error).toMatchObject({ code: 'NO_STOCK', message: 'sold out' });
    expect(done).toEqual(['a', 'b', 'c', '-c', '-b', '-a']);
  });

  it('run at once after an error that is not retried', async () => {
    const done: string[] = [];
    const fails = () => {
      throw new DuctapeError('FORBIDDEN', 'no');
    };
    const { error, ductape, job_id } = await run(saga(done, { fails }), { retries: 5 });
    expect([error?.code, done]).toEqual(['FORBIDDEN', ['a', 'b', 'c', '-c', '-b', '-a']]);
    expect((await ductape.jobs.get(job_id)).attempt).toBe(1);
  });

  it('clear the steps, so that a retry by hand starts over', async () => {
    const done: string[] = [];
    const { ductape, job_id } = await run(saga(done));
    const undone = ['a', 'b', 'c'].map((tag) => expect.objectContaining({ tag, status: 'undone' }));
    expect((await ductape.jobs.steps(job_id)).steps).toEqual(undone);
    await ductape.jobs.retry(job_id);
    await eventually(() => expect(done).toHaveLength(12));
    expect(done.slice(6)).toEqual(['a', 'b', 'c', '-c', '-b', '-a']);
  });

  it('that fail are retried, then logged, and the others still run', async () => {
    const done: string[] = [];
    let tries = 0;
    const logger = recordingLogger();
    const rollback = (tag: string) => {
      if (tag === 'b') {
        tries++;
        throw new Error('stuck');
      }
    };
    const { ductape, job_id, error } = await run(saga(done, { rollback }), {}, { logger });
    expect(error?.code).toBe('NO_STOCK');
    expect([tries, done]).toEqual([3, ['a', 'b', 'c', '-c', '-a']]);
    expect(logger.messagesAt('error').join()).toMatch(
      /the rollback of step 'b' of job .* failed, and is not tried again: Error: stuck/,
    );
    await eventually(async () =>
      expect((await ductape.jobs.logs(job_id)).map(({ message }) => message)).toContain(
        "the rollback of step 'b' failed: Error: stuck",
      ),
    );
  });

  it('are not called when the handler does not fail', async () => {
    const undone: string[] = [];
    const { result } = await run(async ({ step }) => {
      await step('a', () => 1, { rollback: () => undone.push('a') });
      await step('b', () => Promise.reject(new Error('no')), { rollback: () => undone.push('b') }).catch(() => {});
      return 'fine';
    });
    expect([result, undone]).toEqual(['fine', []]);
  });

  it('include a step that was still running when the handler failed', async () => {
    const undone: string[] = [];
    const { error } = await run(async ({ step }) => {
      const slow = step('slow', nextTurn, {
        rollback: () => undone.push('slow'),
      });
      await Promise.all([slow, step('fast', () => Promise.reject(new Error('no')))]);
    });
    expect([error?.message, undone]).toEqual(['no', ['slow']]);
  });

  it('store no secret of the causing error', async () => {
    const secret = 'do-not-store-this-value';
    const ductape = create({ secrets: { KEY: secret } });
    let kept = '';
    ductape.features.define('f', async ({ step }) => {
      await step('a', () => 1, { rollback: () => Promise.reject(new Error(`rollback ${secret}`)) });
      throw new Error(`failed with ${secret}`);
    });
    const { job_id } = await ductape.features.dispatch(job('f', { input: { key: '$Now()' } }));
    await rejection(ductape.jobs.wait(job_id)).then((error) => {
      kept += error.message;
    });
    expect(kept).toContain('failed with');
    await eventually(async () => {
      const logs = JSON.stringify(await ductape.jobs.logs(job_id));
      expect(logs).toContain('rollback');
      expect(logs).not.toContain(secret);
    });
  });
});

describe.each(sharedStores)('on $kind, a process that is killed', ({ unavailable, make }) => {
  const worker = (store: string, log: string, hang: string) =>
    script(
      `import { appendFileSync } from 'node:fs';
       import Ductape, { DuctapeError } from 'ductape';
       const ductape = new Ductape({ store: ${JSON.stringify(store)}, product: '${product}', env: '${env}' });
       const log = (line) => appendFileSync(${JSON.stringify(log)}, line + '\\n');
       const at = async (place) => {
         if (place !== ${JSON.stringify(hang)}) return;
         console.log('hangs');
         await new Promise(() => {});
       };
       ductape.features.define('f', async ({ step, input }) => {
         const sum = [];
         for (const tag of ['a', 'b', 'c']) {
           sum.push(await step(tag, async () => {
             await at('in ' + tag);
             log(tag);
             return tag + tag;
           }, { rollback: async (result) => { await at('undoing ' + tag); log('-' + result); } }));
         }
         await at('end');
         if (input.fails) {
           log('fails');
           throw Object.assign(new Error('sold out'), { code: 'NO_STOCK' });
         }
         return sum.join();
       });
       await ductape.start();`,
    );

  it.skipIf(unavailable)('repeats no finished step', { timeout: 60_000 }, async () => {
    const store = await make();
    const log = join(await temporaryFolder(), 'calls');
    appendFileSync(log, '');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('f'));
    for (const hang of ['in b', 'in c', 'end']) {
      const first = worker(store, log, hang);
      await first.waitForLine('hangs');
      first.process.kill('SIGKILL');
      await first.ended;
    }
    worker(store, log, '');
    expect(await ductape.jobs.wait(job_id, { timeout: 50_000 })).toBe('aa,bb,cc');
    expect(tally(await readLines(log))).toEqual(
      new Map([
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ]),
    );
  });

  it.skipIf(unavailable)('resumes its rollbacks and runs nothing else', { timeout: 60_000 }, async () => {
    const store = await make();
    const log = join(await temporaryFolder(), 'calls');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('f', { input: { fails: true } }));
    const first = worker(store, log, 'undoing b');
    await first.waitForLine('hangs');
    first.process.kill('SIGKILL');
    await first.ended;
    worker(store, log, '');
    const error = await rejection(ductape.jobs.wait(job_id, { timeout: 50_000 }));
    expect(error).toMatchObject({ code: 'NO_STOCK', message: 'sold out' });
    const lines = (await readLines(log)).filter((line) => line !== 'fails');
    expect(lines).toEqual(['a', 'b', 'c', '-cc', '-bb', '-aa']);
  });
});
