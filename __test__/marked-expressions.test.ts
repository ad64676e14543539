// `expressions: 'marked'`: no text of an input is an expression unless the program says so.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
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

  it('nobody sees what marks an expression', async () => {
    const ductape = create({ expressions: 'marked' });
    const marks = [expr('one'), literal('one')];
    const seen: string[] = [];
    const told = async (call: () => unknown) => {
      const { code, message, details } = await rejection(Promise.resolve().then(call));
      expect(code).toBe('VALIDATION_ERROR');
      seen.push(message, JSON.stringify(details));
    };
    for (const mark of marks) {
      for (const more of [
        { tags: [mark] },
        { job_id: mark },
        { tag: mark },
        { unique: { key: mark } },
        { schedule: { cron: mark } },
        { schedule: { start_at: mark } },
        { schedule: mark },
        { retries: mark },
        { x: mark },
      ]) {
        await told(() => ductape.features.dispatch({ ...job('echo'), ...more } as never));
        await told(() => ductape.features.dispatchMany([{ ...job('echo'), ...more }] as never));
        await told(() => ductape.features.statement({ ...job('echo'), ...more } as never));
      }
      await told(() => ductape.features.dispatch(mark as never));
      await told(() => ductape.features.dispatchMany(mark as never));
      await told(() =>
        ductape.features.dispatch({ ...job('echo'), input: mark === marks[0] ? mark : literal([1]) } as never),
      );
    }
    await told(() => ductape.features.dispatch(literal(job('echo')) as never));
    // A part of an input that is JSON of the program's own, in a text.
    const nested = { toJSON: () => JSON.stringify([expr('$Now()'), literal(1)]) };
    const stored = await given({ nested, '': expr('$Now()') });
    seen.push(JSON.stringify(stored));
    for (const text of seen) expect(text).not.toMatch(/[0-9a-f]{32}/);
    expect(stored.got).toMatchObject({ '': expect.any(Number) });
  });

  it('expressions and literals of another copy of the package are known, and those behind a proxy', async () => {
    const file = createRequire(import.meta.url).resolve('../lib/marks.js');
    const copy = { exports: {} as { expr: typeof expr; literal: typeof literal } };
    const load = new Function('require', 'module', await readFile(file, 'utf8'));
    load(createRequire(file), copy);
    const other = copy.exports;
    expect(other.expr).not.toBe(expr);
    const { got } = await given({
      a: other.expr('$Add(1, 2)'),
      b: other.literal('$Add('),
      c: new Proxy(expr('$Add(1, 2)') as object, {}),
    });
    expect(got).toEqual({ a: 3, b: '$Add(', c: 3 });
  });

  it('a job says whether its input can be dispatched again as it is', async () => {
    const ductape = create({ expressions: 'marked', worker: false });
    for (const input of [{ a: '$5 off' }, { a: '$5 off', b: expr('$Add(1, 2)') }, { a: 1 }]) {
      const { job_id } = await ductape.features.dispatch(job('echo', { input }));
      const first = await ductape.jobs.get(job_id);
      const again = await ductape.features.dispatch({
        ...job('echo', { input: first.input as object }),
        expressions: first.expressions ?? true,
      });
      const second = await ductape.jobs.get(again.job_id);
      expect([second.input, second.expressions]).toEqual([first.input, first.expressions]);
    }
  });

  it('an input is as long as it was written', async () => {
    const ductape = create({ expressions: 'marked', maxInputBytes: 10_000 });
    const input = { a: Array.from({ length: 1_500 }, () => '$5'), b: expr('$Add(1, 2)') };
    await ductape.features.dispatch(job('echo', { input }));
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
