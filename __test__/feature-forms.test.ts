// Features declared as data in the forms of the public documentation: types of inputs, sequences that are done at the same time,
// caches, and results that are returned.
import { describe, expect, it } from 'vitest';
import type { DuctapeOptions, FeatureResource, FeatureSequence, JobContext, Resources } from './support/ductape.js';
import { create, deferred, eventually, job, problemPaths, product, rejection } from './support/instances.js';

const resourcesWith = (...features: FeatureResource[]): Resources => ({ products: [{ tag: product, features }] });

/** An instance with this feature, whose events are actions of the app `a`. */
function instance(feature: FeatureResource, handler: (job: JobContext) => unknown, options: DuctapeOptions = {}) {
  const ductape = create({ resources: resourcesWith(feature), ...options });
  ductape.actions.handle({ app: 'a' }, (job) => handler(job as JobContext));
  const run = async (input: object = {}) => {
    const { job_id } = await ductape.features.dispatch({ tag: feature.tag, input });
    return ductape.jobs.wait(job_id, { timeout: 10_000 });
  };
  return { ductape, run };
}

/** The name of the event that a handler is called for. */
const named = (job: JobContext) => (job as unknown as { event: string }).event;

/** A sequence of actions with these events. */
const sequence = (tag: string, events: string[], more: Partial<FeatureSequence> = {}): FeatureSequence => ({
  tag,
  events: events.map((event) => ({ type: 'action', app: 'a', event })),
  ...more,
});

const refusal = (feature: FeatureResource) => rejection(() => create({ resources: resourcesWith(feature) }));

describe('the input of a feature', () => {
  const cases: [string, unknown[], unknown[]][] = [
    ['STRING', ['', 'a'], [1, null]],
    ['EMAIL_STRING', ['a@b.c', 'a+b@c'], ['', 'a', '@b', 'a@', 'a@b@c', 'a @b', 5]],
    ['NOSPACES_STRING', ['', 'ab'], ['a b', 'a\n', 1]],
    ['NUMBER_STRING', ['1', '-1.5e3'], ['', 'one', 'Infinity', 1]],
    ['DATE_STRING', ['2026-01-01', '2026-01-01T00:00:00Z'], ['tomorrow', '2026-13-01', 0]],
    ['UUID', ['0190b6c5-1f8e-7c7a-b1c8-111111111111'], ['0190b6c51f8e7c7ab1c8111111111111', 'x', 1]],
    ['INTEGER', [1, -1, 1.0], [1.5, '1']],
    ['FLOAT', [1, 1.5], ['1.5', true]],
    ['BOOLEAN', [true, false], ['true', 1]],
    ['ARRAY', [[], [1, 'a']], [{}, 'a']],
    ['OBJECT', [{}, { a: 1 }], [[], 'a']],
    ['STRING_ARRAY', [[], ['a']], [[1], 'a']],
    ['INTEGER_ARRAY', [[1]], [[1.5], ['1']]],
    ['FLOAT_ARRAY', [[1, 1.5]], [['a']]],
    ['BOOLEAN_ARRAY', [[true]], [[0]]],
    ['UUID_ARRAY', [['0190b6c5-1f8e-7c7a-b1c8-111111111111']], [['x']]],
  ];

  it.each(cases)('of the type %s', async (type, right, wrong) => {
    for (const name of [type, type.toLowerCase()] as never[]) {
      const feature = {
        tag: 'f',
        input_type: 'JSON',
        input: { v: { type: name, required: true } },
        sequence: [],
        output: '$Input{v}',
      };
      const { run } = instance(feature as FeatureResource, () => {});
      for (const value of right) expect(await run({ v: value })).toEqual(value);
      for (const value of wrong) {
        const error = await rejection(run({ v: value }));
        expect([error.code, JSON.stringify(value)]).toEqual(['VALIDATION_ERROR', JSON.stringify(value)]);
        expect(error.message).toContain(`'${type.toLowerCase()}'`);
      }
    }
  });

  it('has a length', async () => {
    const text = { type: 'STRING', minlength: 2, maxlength: 3 } as const;
    const list = { type: 'array', minLength: 1, maxLength: 2 } as never;
    const feature: FeatureResource = { tag: 'f', input: { text, list }, sequence: [], output: '$Input{text}' };
    const { run } = instance(feature, () => {});
    // In characters, not in bytes.
    expect(await run({ text: 'äöü', list: [1] })).toBe('äöü');
    expect(await run({})).toBeNull();
    expect((await rejection(run({ text: 'a' }))).message).toContain('at least 2, got 1');
    expect((await rejection(run({ text: 'abcd' }))).message).toContain('at most 3, got 4');
    expect((await rejection(run({ list: [1, 2, 3] }))).message).toContain(
      'input.list: must have a length of at most 2',
    );
    const wrong = { tag: 'f', input: { a: { ...text, default: 'abcd' } }, sequence: [] };
    expect(problemPaths(await refusal(wrong))).toEqual(['resources.products[0].features[0].input.a.default']);
  });

  it('of a type or form that is not known is refused', async () => {
    const type = await refusal({ tag: 'f', input: { a: { type: 'TEXT' as never } }, sequence: [] });
    expect(problemPaths(type)).toEqual(['resources.products[0].features[0].input.a.type']);
    const form = await refusal({ tag: 'f', input_type: 'XML' as never, sequence: [] });
    expect(problemPaths(form)).toEqual(['resources.products[0].features[0].input_type']);
  });
});

describe('sequences', () => {
  it('with parents are done when these have ended, others at the same time', async () => {
    const gates = { left: deferred<void>(), right: deferred<void>() };
    const begun: string[] = [];
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        { ...sequence('join', ['join']), parents: ['left', 'right'] },
        { ...sequence('left', ['left']), parents: 'first' },
        { ...sequence('right', ['right']), parents: ['first'] },
        { ...sequence('first', ['first']), parents: [] },
      ],
      output: { left: '$Sequence{left}{left}', join: '$Sequence{join}{join}' },
    };
    const { run } = instance(feature, async (job) => {
      const name = named(job);
      begun.push(name);
      if (name === 'left' || name === 'right') await gates[name].promise;
      return name;
    });
    const done = run();
    await eventually(() => expect([...begun].sort()).toEqual(['first', 'left', 'right']));
    gates.left.resolve();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(begun).not.toContain('join');
    gates.right.resolve();
    expect(await done).toEqual({ left: 'left', join: 'join' });
    expect(begun[0]).toBe('first');
  });

  it('of one level are done at the same time', async () => {
    const going = new Set<string>();
    let most = 0;
    const ended: string[] = [];
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        sequence('a', ['a1', 'a2'], { level: 1 }),
        sequence('b', ['b'], { level: 1 }),
        sequence('c', ['c'], { level: 2 }),
      ],
    };
    const { run } = instance(feature, async (job) => {
      going.add(named(job));
      most = Math.max(most, going.size);
      await new Promise((resolve) => setTimeout(resolve, 100));
      going.delete(named(job));
      ended.push(named(job));
    });
    await run();
    expect(most).toBe(2);
    expect(ended.at(-1)).toBe('c');
    expect(ended.indexOf('a1')).toBeLessThan(ended.indexOf('a2'));
  });

  it('refer to what has ended before them, and to nothing else', async () => {
    const using = (of: string) => [
      { type: 'action' as const, app: 'a', event: 'x', input: { v: `$Sequence{${of}}{e}` } },
    ];
    const feature = (of: string): FeatureResource => ({
      tag: 'f',
      sequence: [
        { tag: 'late', parents: ['early'], events: using(of) },
        sequence('beside', ['e'], { parents: [] }),
        sequence('early', ['e'], { parents: [] }),
      ],
    });
    const { run } = instance(feature('early'), (job) => (named(job) === 'e' ? 7 : job.input));
    expect(await run()).toBe(7);
    const error = await refusal(feature('beside'));
    expect(problemPaths(error)).toEqual(['resources.products[0].features[0].sequence[0].events[0].input']);
    expect(error.message).toContain('refers to no event that has ended before');
  });

  it('that can never begin are refused', async () => {
    const circle = await refusal({
      tag: 'f',
      sequence: [sequence('a', ['e'], { parents: ['b'] }), sequence('b', ['e'], { parents: ['a'] })],
    });
    expect(problemPaths(circle)).toEqual([0, 1].map((n) => `resources.products[0].features[0].sequence[${n}].parents`));
    const unknown = await refusal({ tag: 'f', sequence: [sequence('first', ['e'], { parents: ['frist'] })] });
    expect(unknown.message).toContain("'frist' is no sequence of the feature; did you mean 'first'?");
  });

  it('end what they are at when another fails, and later attempts do not repeat it', async () => {
    const calls: string[] = [];
    const gate = deferred<void>();
    let fails = true;
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        sequence('bad', ['bad'], { level: 1 }),
        sequence('slow', ['slow', 'next'], { level: 1 }),
        sequence('last', ['last'], { level: 2 }),
      ],
    };
    const { ductape } = instance(feature, async (job) => {
      calls.push(named(job));
      if (named(job) === 'slow') await gate.promise;
      if (named(job) === 'bad' && fails) throw new Error('not yet');
      return named(job);
    });
    const { job_id } = await ductape.features.dispatch(job('f', { retries: 1, retryConfig: { initialDelay: 1 } }));
    await eventually(() => expect([...calls].sort()).toEqual(['bad', 'slow']));
    fails = false;
    gate.resolve();
    expect(await ductape.jobs.wait(job_id)).toBe('last');
    expect([...calls].sort()).toEqual(['bad', 'bad', 'last', 'next', 'slow']);
    expect(calls.at(-1)).toBe('last');
  });

  it('are all aborted with the job', async () => {
    const reasons: unknown[] = [];
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [sequence('a', ['a'], { level: 1 }), sequence('b', ['b'], { level: 1 })],
    };
    let begun = 0;
    const { ductape } = instance(feature, (job) => {
      begun += 1;
      return new Promise((_, reject) =>
        job.signal.addEventListener('abort', () => {
          reasons.push(named(job));
          reject(job.signal.reason);
        }),
      );
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await eventually(() => expect(begun).toBe(2));
    await ductape.jobs.cancel(job_id);
    await eventually(() => expect([...reasons].sort()).toEqual(['a', 'b']));
  });
});

describe('an event', () => {
  it('names its resource beside its event', async () => {
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        {
          tag: 's',
          events: [
            { type: 'database_action', event: 'main:save' },
            { type: 'notification', event: 'mail:receipt' },
            { type: 'storage', event: 'files:upload' },
            { type: 'graph_action', event: 'people:add' },
            { type: 'publish', event: 'bus:topic' },
          ],
        },
      ],
      output: { saved: '$Sequence{s}{save}' },
    };
    const ductape = create({ resources: resourcesWith(feature) });
    const seen: string[] = [];
    ductape.databases.action.handle({ database: 'main', event: 'save' }, () => seen.push('save'));
    ductape.notifications.handle({ notification: 'mail', event: 'receipt' }, () => seen.push('receipt'));
    ductape.storage.handle({ storage: 'files', event: 'upload' }, () => seen.push('upload'));
    ductape.graphs.action.handle({ graph: 'people', event: 'add' }, () => seen.push('add'));
    ductape.events.handle({ broker: 'bus', event: 'topic' }, () => seen.push('topic'));
    const { job_id } = await ductape.features.dispatch(job('f'));
    expect(await ductape.jobs.wait(job_id)).toEqual({ saved: 1 });
    expect(seen).toEqual(['save', 'receipt', 'upload', 'add', 'topic']);
  });

  it('with a cache is done once for an input', async () => {
    let calls = 0;
    const feature: FeatureResource = {
      tag: 'f',
      sequence: [
        { tag: 's', events: [{ type: 'action', app: 'a', event: 'e', input: { n: '$Input{n}' }, cache: 'kept' }] },
      ],
    };
    const { ductape, run } = instance(feature, () => ++calls);
    expect([await run({ n: 1 }), await run({ n: 1 }), await run({ n: 2 }), await run({ n: 1 })]).toEqual([1, 1, 2, 1]);
    expect(await ductape.caches.clearAll({ tag: 'kept' })).toEqual({ count: 2 });
    expect(await run({ n: 1 })).toBe(3);
    // At the same time, too.
    expect(await Promise.all([run({ n: 5 }), run({ n: 5 })])).toEqual([4, 4]);
  });

  it('with `return` gives the feature its result', async () => {
    const events = ['a', 'b', 'c'].map((event) => ({
      type: 'action' as const,
      app: 'a',
      event,
      return: event !== 'c',
    }));
    const { run } = instance({ tag: 'f', sequence: [{ tag: 's', events }] }, named);
    expect(await run()).toBe('b');
  });
});
