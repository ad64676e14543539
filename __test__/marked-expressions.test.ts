// `expressions: 'marked'`: no text of an input is an expression unless the program says so.
import { describe, expect, it } from 'vitest';
import { expr, literal } from '../index.js';
import { Ductape } from './support/ductape.js';
import { create, job, rejection } from './support/instances.js';

/** What the handler of a job with this input gets, and what is stored. */
async function given(input: Record<string, unknown>, more: object = {}, options: object = { expressions: 'marked' }) {
  const ductape = create(options);
  ductape.features.define('echo', (run) => run.input);
  const { job_id } = await ductape.features.dispatch({ ...job('echo', { input }), ...more });
  const got = await ductape.jobs.wait(job_id, { timeout: 10_000 });
  return { got, stored: (await ductape.jobs.get(job_id)).input };
}

/** What users of a program may write. */
const HOSTILE = {
  secret: '$Secret{API_KEY}',
  broken: '$Add(',
  now: '$Now()',
  dollars: '$$ $$Now()',
  quote: 'a " \\ $Input{secret}',
  literal: { $literal: '$Now()' },
  object: { $literal: { $literal: 1 } },
  list: ['$Session{user}{email}', { '$Now()': '$Now()' }],
  $Now: 5,
};

describe('where expressions are marked', () => {
  it('text is text, whatever it looks like', async () => {
    const { got, stored } = await given(HOSTILE);
    expect(got).toEqual(HOSTILE);
    expect(stored).toEqual(HOSTILE);
  });

  it('and stays so beside expressions', async () => {
    const input = {
      ...HOSTILE,
      at: expr('$DateAdd($Now(), 1, "days")'),
      greeting: expr('Hello $Input{name}'),
      name: '$Now()',
    };
    const { got } = await given(input);
    expect(got).toEqual({ ...HOSTILE, name: '$Now()', greeting: 'Hello $Now()', at: expect.any(Number) });
  });

  it('literals are unwrapped, and hold no expressions', async () => {
    const { got } = await given({ a: literal(HOSTILE), b: literal({ c: expr('$Now()') }), d: expr('$Add(1, 2)') });
    expect(got).toEqual({ a: HOSTILE, b: { c: '$Now()' }, d: 3 });
    expect((await given({ a: literal('$Add(') })).got).toEqual({ a: '$Add(' });
    expect((await given(literal(HOSTILE))).got).toEqual(HOSTILE);
  });

  it('what looks like a marked text after a round of JSON is data', async () => {
    // What a stranger sees of a mark: what is stored, and what a handler gets.
    const first = await given({ a: expr('$Now()'), b: '$Now()', c: literal({ d: 1 }) });
    const again = JSON.parse(JSON.stringify(first.stored));
    expect((await given(again)).got).toEqual(again);
    const copied = JSON.parse(JSON.stringify({ a: expr('$Now()'), b: literal('$Now()') }));
    expect((await given(copied)).got).toEqual({ a: '$Now()', b: { $literal: '$Now()' } });
  });

  it('a dispatch can ask for the other ways', async () => {
    const input = { sum: '$Add(1, 2)', marked: expr('$Add(1, 2)'), kept: literal('$Add(1, 2)') };
    expect((await given(input, { expressions: true })).got).toEqual({ sum: 3, marked: 3, kept: '$Add(1, 2)' });
    expect((await given(input, { expressions: false })).got).toEqual({
      sum: '$Add(1, 2)',
      marked: '$Add(1, 2)',
      kept: { $literal: '$Add(1, 2)' },
    });
  });

  it('lists, names of files and statements are read alike', async () => {
    const ductape = create({ expressions: { mode: 'marked', maxDepth: 5 } });
    ductape.features.define('echo', (run) => run.input);
    ductape.storage.handle({}, (run) => run.input);
    const results = await ductape.features.dispatchMany([
      job('echo', { input: { a: '$Add(' } }),
      job('echo', { input: { a: '$Add(', b: expr('$Add(1, 1)') } }),
    ]);
    const got = await Promise.all(results.map(({ job_id }) => ductape.jobs.wait(job_id, { timeout: 10_000 })));
    expect(got).toEqual([{ a: '$Add(' }, { a: '$Add(', b: 2 }]);
    const file = {
      storage: 'files',
      event: 'upload',
      input: { fileName: expr('$Concat(["a", "b"])'), buffer: Buffer.from('c'), mimeType: '$Now()' },
    };
    const { job_id } = await ductape.storage.dispatch(file);
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({
      fileName: 'ab',
      buffer: 'Yw==',
      mimeType: '$Now()',
    });
  });

  it('an expression that is wrong rejects, by its path', async () => {
    const ductape = create({ expressions: 'marked' });
    const dispatch = (input: unknown) => ductape.features.dispatch({ ...job('echo'), input } as never);
    const wrong = await rejection(dispatch({ text: '$Add(', a: { b: expr('$Add(') } }));
    expect([wrong.code, wrong.details?.map(({ path }) => path)]).toEqual(['INVALID_EXPRESSION', ['input.a.b']]);
    const whole = await rejection(dispatch(expr('$Now()')));
    expect(whole.message).toBe('input: must be an object, got a string');
    for (const value of [5, null, undefined]) {
      expect((await rejection(() => expr(value as never))).message).toMatch(/^expression: must be a string, got /);
    }
    // In a text it would not be one.
    expect((await rejection(() => `${expr('$Now()')}!`)).message).toMatch(/cannot be put into a text/);
  });

  it('secrets are found in expressions alone', async () => {
    const secrets = { API_KEY: 'the key' };
    const { got } = await given(
      { a: '$Secret{API_KEY}', b: expr('$Secret{API_KEY}') },
      {},
      { expressions: 'marked', secrets, inputSecrets: ['API_KEY'] },
    );
    expect(got).toEqual({ a: '$Secret{API_KEY}', b: 'the key' });
  });
});

it('elsewhere a marked expression is its text', async () => {
  expect((await given({ a: expr('$Add(1, 2)'), b: '$Add(1, 2)' }, {}, {})).got).toEqual({ a: 3, b: 3 });
  expect(JSON.stringify([expr('$Now()'), literal(1)])).toBe('["$Now()",{"$literal":1}]');
});

it('the constructor knows two ways', async () => {
  const make = (expressions: unknown) => () =>
    new Ductape({ store: 'memory:', product: 'shop', env: 'test', expressions } as never);
  expect((await rejection(make('mark'))).message).toMatch(/^options\.expressions: .*marked/);
  expect((await rejection(make({ mode: 5 }))).message).toMatch(/^options\.expressions\.mode: /);
  expect((await given({ a: '$Add(1, 2)' }, {}, { expressions: 'everywhere' })).got).toEqual({ a: 3 });
});
