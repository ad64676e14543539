// Rollbacks over several attempts and runs: what is undone, what stays finished, and what names it.
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Ductape, JobContext } from './support/ductape.js';
import { create, deferred, eventually, job, recordingLogger, rejection, temporaryStore } from './support/instances.js';
import { script } from './support/processes.js';
import { retryByHand, run } from './support/runs.js';

/** A handler with steps of these tags, each with a rollback, which says in `done` what it does. */
function saga(tags: string[], done: string[], before: (tag: string, job: JobContext) => void = () => {}) {
  return async (job: JobContext) => {
    for (const tag of tags) {
      before(tag, job);
      await job.step(tag, () => void done.push(tag), { rollback: () => void done.push(`-${tag}`) });
    }
    before('end', job);
  };
}

const fail = () => {
  throw Object.assign(new Error('sold out'), { code: 'NO_STOCK' });
};

/** The lines of the job's log, once one of them matches. */
const logLines = (ductape: Ductape, id: string, match: RegExp) =>
  eventually(async () => {
    const lines = (await ductape.jobs.logs(id)).map(({ message }) => message);
    expect(lines.join('\n')).toMatch(match);
    return lines;
  });

describe('the last attempt undoes', () => {
  it('what it came past, and leaves and names the rest', async () => {
    const done: string[] = [];
    const logger = recordingLogger();
    let failsEarly = true;
    const handler = saga(['a', 'b', 'c', 'd'], done, (tag, { attempt }) => {
      if (failsEarly && attempt === 1 && tag === 'd') fail();
      if (failsEarly && attempt === 2 && tag === 'b') fail();
    });
    const { ductape, job_id, error } = await run(handler, { retries: 1 }, { logger });
    expect([error?.code, done]).toEqual(['NO_STOCK', ['a', 'b', 'c', '-a']]);
    const lines = await logLines(ductape, job_id, /not rolled back/);
    expect(lines).toContain(
      "these finished steps were not rolled back, since the last attempt did not come to them: 'b', 'c'",
    );
    expect(logger.messagesAt('error').join()).toContain(
      `finished steps of job ${job_id} were not rolled back, since the last attempt did not come to them: 'b', 'c'`,
    );
    // What was undone is done again, and nothing else.
    failsEarly = false;
    expect(await retryByHand(ductape, job_id, 2)).toMatchObject({ status: 'completed' });
    expect(done).toEqual(['a', 'b', 'c', '-a', 'a', 'd']);
  });

  it('nothing when it failed before its first step, and names all', async () => {
    const done: string[] = [];
    let failsEarly = true;
    const handler = saga(['a', 'b'], done, (tag, { attempt }) => {
      if (failsEarly && tag === (attempt === 1 ? 'end' : 'a')) fail();
    });
    const { ductape, job_id } = await run(handler, { retries: 1 });
    await logLines(ductape, job_id, /did not come to them: 'a', 'b'$/);
    failsEarly = false;
    await retryByHand(ductape, job_id, 2);
    expect(done).toEqual(['a', 'b']);
  });

  it('all finished steps, also those of a run before that was retried by hand', async () => {
    const done: string[] = [];
    let failsAt = 'b';
    const handler = saga(['a', 'b', 'c'], done, (tag) => {
      if (tag === failsAt) fail();
    });
    const ductape = create();
    // Cancelled, so that what is finished is not undone.
    const [reached, go] = [deferred(), deferred()];
    ductape.features.define('f', async (job) => {
      await job.step('first', () => void done.push('first'), { rollback: () => void done.push('-first') });
      if (job.run === 1) {
        reached.resolve();
        await go.promise;
      }
      return handler(job);
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await reached.promise;
    await ductape.jobs.cancel(job_id);
    go.resolve();
    failsAt = 'end';
    await ductape.jobs.retry(job_id);
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('failed'));
    expect(done).toEqual(['first', 'a', 'b', 'c', '-c', '-b', '-a', '-first']);
  });

  it('a saga of 600 steps', { timeout: 60_000 }, async () => {
    const done: string[] = [];
    const tags = Array.from({ length: 600 }, (_, n) => `step ${n}`);
    let fails = true;
    const { ductape, job_id } = await run(
      saga(tags, done, (tag) => {
        if (fails && tag === 'end') fail();
      }),
    );
    expect(done.slice(600)).toEqual([...tags].reverse().map((tag) => `-${tag}`));
    fails = false;
    done.length = 0;
    expect(await retryByHand(ductape, job_id, 2)).toMatchObject({ status: 'completed' });
    expect(done).toEqual(tags);
  });
});

describe('a manual retry', () => {
  it('does not repeat a step whose rollback failed', async () => {
    const done: string[] = [];
    let fails = true;
    const { ductape, job_id } = await run(async ({ step }) => {
      for (const tag of ['a', 'b', 'c']) {
        const rollback = () => {
          if (tag === 'b') throw new Error('stuck');
          done.push(`-${tag}`);
        };
        await step(tag, () => void done.push(tag), { rollback });
      }
      if (fails) fail();
    });
    expect(done).toEqual(['a', 'b', 'c', '-c', '-a']);
    await logLines(ductape, job_id, /^the rollback of step 'b' failed: Error: stuck$/m);
    fails = false;
    await retryByHand(ductape, job_id, 2);
    expect(done.slice(5)).toEqual(['a', 'c']);
  });

  it('does not repeat a step without a rollback, which is not named', async () => {
    const done: string[] = [];
    let fails = true;
    const { ductape, job_id } = await run(async ({ step, log }) => {
      await step('id', () => void done.push('id'));
      await step('a', () => void done.push('a'), { rollback: () => void done.push('-a') });
      log('here');
      if (fails) fail();
    });
    fails = false;
    await retryByHand(ductape, job_id, 2);
    expect(done).toEqual(['id', 'a', '-a', 'a']);
    expect(await logLines(ductape, job_id, /here/)).toEqual(['here', 'here']);
  });

  it('undoes again what it did again', async () => {
    const done: string[] = [];
    const { ductape, job_id } = await run(saga(['a', 'b', 'end'], done, (tag) => tag === 'end' && fail()));
    for (const runs of [2, 3]) await retryByHand(ductape, job_id, runs);
    const once = ['a', 'b', '-b', '-a'];
    expect(done).toEqual([...once, ...once, ...once]);
  });
});

describe('rollbacks that take longer than the timeout', () => {
  it('are not cut off, and not repeated by a manual retry', async () => {
    const done: string[] = [];
    const timeout = 100;
    const { ductape, job_id, error } = await run(
      async ({ step }) => {
        await step('charge', () => void done.push('charge'), {
          // Spends more time than the attempt has: that is the subject.
          rollback: async (_, { signal }) => {
            await delay(timeout * 3);
            done.push(signal.aborted ? 'aborted' : 'refund');
          },
        });
        fail();
      },
      { timeout },
    );
    expect([error?.code, done]).toEqual(['NO_STOCK', ['charge', 'refund']]);
    expect(await retryByHand(ductape, job_id, 2)).toMatchObject({ status: 'failed', error: { code: 'NO_STOCK' } });
    expect(done).toEqual(['charge', 'refund', 'charge', 'refund']);
  });

  it('have ten minutes each, after which the others follow', async () => {
    const program = script(
      `import { createRequire } from 'node:module';
       const timers = createRequire(import.meta.url)('node:timers');
       const { setTimeout } = timers;
       // Time flies.
       timers.setTimeout = (act, ms) => setTimeout(act, ms >= 60_000 ? 1 : ms);
       const { Ductape } = await import('ductape');
       const ductape = new Ductape({ store: 'memory:', product: 'p', env: 'e', logger: { debug() {}, info() {}, warn() {}, error() {} } });
       ductape.features.define('f', async ({ step }) => {
         await step('a', () => 1, { rollback: () => console.log('undone a') });
         await step('b', () => 2, {
           rollback: (_, { signal }) => new Promise(() => {
             signal.addEventListener('abort', () => console.log('aborted', signal.reason.code));
           }),
         });
         throw new Error('no');
       });
       const { job_id } = await ductape.features.dispatch({ tag: 'f', input: {} });
       await ductape.jobs.wait(job_id).catch((error) => console.log('failed', error.message));
       const logs = await ductape.jobs.logs(job_id);
       console.log('log', logs.map(({ message }) => message).join());
       await ductape.close();`,
    );
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.lines.slice(0, 3)).toEqual(['aborted TIMEOUT', 'undone a', 'failed no']);
  });
});

describe('rollbacks that were interrupted', () => {
  it('are ended by the next attempt, even if its handler begins no step and succeeds', async () => {
    const store = await temporaryStore();
    const [one, other] = [create({ store }), create({ store })];
    const undoing = deferred();
    one.features.define('f', async ({ step, attempt }) => {
      if (attempt === 1) fail();
      await step('a', () => 1, {
        rollback: () => {
          undoing.resolve();
          return new Promise(() => {});
        },
      });
      fail();
    });
    const { job_id } = await one.features.dispatch(job('f', { retries: 1, retryConfig: { initialDelay: 1 } }));
    await undoing.promise;
    await one.close({ timeout: 0 });
    other.features.define('f', () => 'fine');
    expect(await rejection(other.jobs.wait(job_id))).toMatchObject({ code: 'NO_STOCK', message: 'sold out' });
  });

  it('by a cancellation leave the rest finished, and a manual retry goes on from there', async () => {
    const done: string[] = [];
    const undoing = deferred();
    const ductape = create();
    let fails = true;
    ductape.features.define('f', async ({ step }) => {
      for (const tag of ['a', 'b', 'c']) {
        await step(tag, () => void done.push(tag), {
          rollback: (_, { signal }) => {
            done.push(`-${tag}`);
            if (tag !== 'b') return;
            undoing.resolve();
            return new Promise((resolve) => signal.addEventListener('abort', resolve));
          },
        });
      }
      if (fails) fail();
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await undoing.promise;
    await ductape.jobs.cancel(job_id);
    fails = false;
    await ductape.jobs.retry(job_id);
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('completed'));
    // Of `b` nobody knows whether it is undone.
    expect(done).toEqual(['a', 'b', 'c', '-c', '-b', 'c']);
  });
});
