// What a handler can do with the members of its job: copy them, take them out, reach them through a proxy.
import { inspect } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import type { JobContext } from './support/ductape.js';
import { create, deferred, job, nextTurn, rejection } from './support/instances.js';

/** A wrapper as observers and injectors make it: functions are called on the proxy. */
const wrapped = <T extends object>(target: T): T => new Proxy(target, {});

it.each<[string, (job: JobContext) => JobContext]>([
  ['the job itself', (job) => job],
  ['a copy', (job) => ({ ...job })],
  ['a copy by Object.assign', (job) => Object.assign({}, job)],
  ['a copy that was changed', ({ input, ...job }) => ({ ...job, input: { tenant: 'a', input } })],
  ['an object that inherits from it', (job) => Object.create(job)],
  ['a proxy', wrapped],
  ['a proxy of a copy', (job) => wrapped({ ...job })],
])('%s has all that a handler can do', async (_what, made) => {
  const ductape = create();
  const begun = deferred();
  const reason = deferred<unknown>();
  let runs = 0;
  ductape.features.define('report', async (given) => {
    const { log, progress, snooze, step, signal, id } = made(given);
    const mine = made(given);
    expect(mine.signal).toBe(signal);
    if (++runs === 1) {
      log('by a function of its own');
      mine.log('by a member');
      progress(1);
      mine.progress(2);
      expect(await step('a', () => 1)).toBe(1);
      expect(await mine.step('b', ({ signal: own }) => own === signal)).toBe(true);
      // Nothing of the first attempt but its steps is left.
      return runs % 2 ? snooze(0) : mine.snooze(0);
    }
    expect(await mine.step('a', () => 2)).toBe(1);
    signal.addEventListener('abort', () => reason.resolve(mine.signal.reason));
    begun.resolve();
    await reason.promise;
    return id;
  });
  const { job_id } = await ductape.features.dispatch(job('report'));
  await begun.promise;
  expect((await ductape.jobs.logs(job_id)).map(({ message }) => message)).toEqual([
    'by a function of its own',
    'by a member',
  ]);
  expect((await ductape.jobs.get(job_id)).progress).toBe(2);
  await ductape.jobs.cancel(job_id);
  expect(await reason.promise).toMatchObject({ code: 'CANCELLED' });
});

it('a copy of a job is complete, and has no signal made for it that nobody reads', async () => {
  const ductape = create();
  const names = deferred<string[][]>();
  ductape.features.define('report', (given) => names.resolve([Object.keys(given), Object.keys({ ...given })]));
  await ductape.features.dispatch(job('report'));
  const [own, copied] = await names.promise;
  expect(copied).toEqual(own);
  expect(own).toEqual(expect.arrayContaining(['log', 'progress', 'signal', 'snooze', 'step', 'input', 'id']));
});

it('a job is shown as its data, and the names of what can be done', async () => {
  const ductape = create();
  const shown = deferred<[string, string]>();
  ductape.features.define('report', (given) => shown.resolve([inspect(given), JSON.stringify(given)]));
  await ductape.features.dispatch(job('report', { input: { a: 1 } }));
  const [text, json] = await shown.promise;
  expect(text).toMatch(/input: \{ a: 1 \}/);
  expect(text).toMatch(/log: \[Function/);
  expect(text).not.toMatch(/Circular|bridge/i);
  expect(JSON.parse(json)).toMatchObject({ tag: 'report', input: { a: 1 }, attempt: 1 });
});

it('a member says what is wrong when it is taken out, too', async () => {
  const ductape = create();
  ductape.features.define('report', async ({ snooze, step }) => [
    (await rejection(() => snooze(-1))).message,
    (await rejection(step('', () => 1))).message,
  ]);
  const { job_id } = await ductape.features.dispatch(job('report'));
  expect(await ductape.jobs.wait(job_id)).toEqual([
    'snooze: must be a number of ms from 0 on, got -1',
    'step: the tag must be a text that is not empty',
  ]);
});

it('the signals of a job, its steps and their rollbacks take any number of listeners', async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on('warning', listener);
  onTestFinished(() => void process.off('warning', listener));
  const listenMuch = (signal: AbortSignal) => {
    for (let count = 0; count < 50; count++) signal.addEventListener('abort', () => {});
  };
  const ductape = create();
  ductape.features.define('report', async (given) => {
    listenMuch(given.signal);
    listenMuch({ ...given }.signal);
    await given.step('a', ({ signal }) => listenMuch(signal), {
      rollback: (_result, { signal }) => listenMuch(signal),
    });
    throw new Error('rolls back');
  });
  const { job_id } = await ductape.features.dispatch(job('report'));
  await rejection(ductape.jobs.wait(job_id));
  // Node.js warns in the next turn.
  await nextTurn();
  await nextTurn();
  expect(warnings).toEqual([]);
});
