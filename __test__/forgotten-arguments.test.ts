// Arguments that are missing or misspelt: refused before anything happens, since what is left out mostly means all or nothing.
import { describe, expect, it } from 'vitest';
import type { Ductape } from './support/ductape.js';
import { create, job, problemPaths, rejection } from './support/instances.js';

const nothing = () => {};

describe('a handler is not registered for all jobs by mistake', () => {
  it.each<[string, (ductape: Ductape) => unknown, string[]]>([
    ['a feature without a tag', ({ features }) => features.define(undefined as never, nothing), ['tag']],
    ['a feature that is null', ({ features }) => features.define(null as never, nothing), ['tag']],
    ['a feature that is empty', ({ features }) => features.define('', nothing), ['target.tag']],
    ['a feature that is an object', ({ features }) => features.define({ tag: 'a' } as never, nothing), ['tag']],
    ['no target', ({ actions }) => actions.handle(undefined as never, nothing), ['target']],
    ['a target that is null', ({ graphs }) => graphs.action.handle(null as never, nothing), ['target']],
    [
      'a part that is undefined',
      ({ features }) => features.handle({ tag: undefined as never }, nothing),
      ['target.tag'],
    ],
    [
      'parts that are',
      ({ actions }) => actions.handle({ app: undefined, event: null } as never, nothing),
      ['target.app', 'target.event'],
    ],
    [
      'a part that is inherited',
      ({ events }) => events.handle(Object.create({ broker: undefined }), nothing),
      ['target.broker'],
    ],
  ])('%s', async (_what, register, paths) => {
    const ductape = create();
    const error = await rejection(() => register(ductape));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', paths]);
    // Nothing takes the jobs.
    const { job_id } = await ductape.features.dispatch(job('report'));
    const { reasons } = await ductape.jobs.explain(job_id);
    expect(reasons.map(({ code }) => code)).toContain('NO_HANDLER');
  });

  it('and is for all of them, or those of the instance, when that is said', async () => {
    const ductape = create();
    ductape.features.handle({ product: undefined as never, env: undefined as never }, () => 'any');
    ductape.actions.handle({ app: '*', event: '*' }, () => 'all');
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id)).toBe('any');
    const { job_id: other } = await ductape.actions.dispatch({ app: 'a', event: 'b', input: {} });
    expect(await ductape.jobs.wait(other)).toBe('all');
  });
});

it('a step that is not whole is refused, and does nothing', async () => {
  const ductape = create();
  let worked = 0;
  const work = () => ++worked;
  ductape.features.define('report', async ({ step }) => {
    const calls = [
      () => step('a', null as never),
      () => step('a', undefined as never),
      () => step('a', work, null as never),
      () => step('a', work, 'twice' as never),
      () => step('a', work, { retry: 1 } as never),
      () => step('a', work, { retries: null } as never),
      () => step('a', work, { rollback: null } as never),
      () => step(null as never, work),
    ];
    const messages: string[] = [];
    for (const call of calls) messages.push((await rejection(call())).message);
    return messages;
  });
  const { job_id } = await ductape.features.dispatch(job('report'));
  expect(await ductape.jobs.wait(job_id)).toEqual([
    "step: the work of 'a' must be a function, got null",
    "step: the work of 'a' must be a function, got undefined",
    'options: must be an object, got null',
    'options: must be an object, got string',
    "step: there is no option 'retry', only retries and rollback",
    'options.retries: must be an integer from 0 to 1000, got null',
    'step: rollback must be a function, got null',
    'step: the tag must be a text that is not empty',
  ]);
  expect(worked).toBe(0);
});
