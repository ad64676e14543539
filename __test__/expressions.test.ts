// Expressions from end to end: dispatch, store, handler.
import { describe, expect, it } from 'vitest';
import { Ductape, type DuctapeOptions, literal } from './support/ductape.js';
import { create, env, job, problemPaths, product, rejection } from './support/instances.js';

const day = 86_400_000;

/** The resolved input that the handler gets. */
async function receivedInput(
  input: Record<string, unknown>,
  more = {},
  options: DuctapeOptions = {},
): Promise<unknown> {
  const ductape = create(options);
  ductape.features.define('f', (run) => run.input as object);
  const { job_id } = await ductape.features.dispatch(job('f', { input, ...more }));
  return ductape.jobs.wait(job_id, { timeout: 10_000 });
}

describe('expressions', () => {
  it('are resolved when the run starts, and stored as they were dispatched', async () => {
    const ductape = create({ clock: 'manual' });
    const seen: unknown[] = [];
    ductape.features.define('f', (run) => void seen.push(run.input));
    const input = { at: '$Now()', text: 'Hello $Input{name}', name: 'Ann', $lt: { n: '$Add(1, 2)' } };
    const start = Date.UTC(2031, 0, 1);
    await ductape.clock.set(start);
    const { job_id } = await ductape.features.dispatch(job('f', { input, schedule: { start_at: start + day } }));
    expect((await ductape.jobs.get(job_id)).input).toEqual(input);
    await ductape.clock.advance('P2D');
    expect(seen).toEqual([{ at: start + day, text: 'Hello Ann', name: 'Ann', $lt: { n: 3 } }]);
    expect((await ductape.jobs.get(job_id)).input).toEqual(input);
  });

  it('of the documented database example yield the date thirty days before each run', async () => {
    const ductape = create({ clock: 'manual' });
    const seen: { at: number; before: number }[] = [];
    ductape.databases.handle({ database: 'logs-db', operation: 'deleteMany' }, (run) => {
      const { filter } = run.input as { filter: { createdAt: { $lt: number } } };
      seen.push({ at: run.scheduled_at, before: filter.createdAt.$lt });
    });
    await ductape.clock.set('2031-01-31T12:00:00Z');
    await ductape.databases.dispatch({
      env,
      product,
      database: 'logs-db',
      operation: 'deleteMany',
      input: { filter: { createdAt: { $lt: '$DateAdd($Now(), -30, "days")' } } },
      schedule: { cron: '0 3 * * *' },
    });
    await ductape.clock.advance('P40D');
    expect(seen).toHaveLength(40);
    expect(new Date(seen.at(-1)?.at as number).toISOString()).toBe('2031-03-12T03:00:00.000Z');
    for (const { at, before } of seen) expect(before).toBe(at - 30 * day);
  });

  it('are formatted in the zone of the schedule', async () => {
    const ductape = create({ clock: 'manual' });
    const seen: unknown[] = [];
    ductape.features.define('f', (run) => void seen.push(run.input));
    await ductape.clock.set('2030-01-01T00:00:00Z');
    const input = { at: "$Format($Now(), 'YYYY-MM-DD HH:mm')" };
    await ductape.features.dispatch(job('f', { input, schedule: { cron: '0 9 * * *', tz: 'Asia/Tokyo', limit: 1 } }));
    await ductape.features.dispatch(job('f', { input, schedule: { start_at: '2030-01-01T09:00:00Z' } }));
    await ductape.clock.advance('P1D');
    // The same text for instants that are nine hours apart.
    expect(seen).toEqual([{ at: '2030-01-01 09:00' }, { at: '2030-01-02 09:00' }]);
  });

  it('can refer to facts about the run', async () => {
    const ductape = create();
    ductape.features.define('f', (run) => {
      if (run.attempt === 1) throw new Error('again');
      return run.input as object;
    });
    const input = {
      a: '$Var(attempt)',
      id: '$Var(job_id)',
      where: '$Var(product)/$Var(env)',
      n: '$Var(execution_count)',
    };
    const { job_id } = await ductape.features.dispatch(
      job('f', { input, retries: 1, retryConfig: { initialDelay: 1 } }),
    );
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({
      a: 2,
      id: job_id,
      where: `${product}/${env}`,
      n: 0,
    });
  });

  it('that are malformed reject the dispatch, each with its path and position', async () => {
    const ductape = create();
    const input = {
      a: '$Session{user',
      b: ["$DateAdd($Now(), 1, 'fortnights')"],
      c: { d: "$Add('1', 2)" },
      e: `${'$Trim('.repeat(10_000)}'x'${')'.repeat(10_000)}`,
    };
    const error = await rejection(ductape.features.dispatch(job('f', { input })));
    expect(error.code).toBe('INVALID_EXPRESSION');
    expect(problemPaths(error)).toEqual(['input.a', 'input.b[0]', 'input.c.d', 'input.e']);
    expect(error.details?.map(({ message }) => message)).toEqual([
      expect.stringContaining(
        'at character 1: the braces of $Session{…} are not balanced; it is $Session{user}{email}',
      ),
      expect.stringContaining('must be a unit such as milliseconds'),
      expect.stringContaining('argument 1 of $Add must be a number; it is $Add(number, number, …)'),
      expect.stringContaining('is nested more than 32 deep'),
    ]);
    expect((await ductape.jobs.list()).jobs).toEqual([]);
    const many = await rejection(ductape.features.dispatchMany([job('f'), job('f', { input: { x: '$Add(1)' } })]));
    expect([many.code, problemPaths(many)]).toEqual(['INVALID_EXPRESSION', ['[1].input.x']]);
    const mixed = await rejection(ductape.features.dispatch(job('f', { input: { x: '$Add(1)' }, retries: -1 })));
    expect(mixed.code).toBe('VALIDATION_ERROR');
  });

  it.each([
    ['a missing value', { a: '$Input{b}{c}' }, '$Input{b}{c} is missing'],
    ['a missing resource', { a: '$Variable{app}{key}' }, '$Variable{app}{key} is missing'],
    ['arithmetic on a text', { a: '$Add($Input{b}, 1)', b: 'x' }, 'argument 1 of $Add must be a number, got a string'],
    ['an index out of range', { a: '$Pick($Input{b}, 5)', b: [1] }, 'index 5 is out of range'],
    ['too much work', { a: "$Split($Input{b}, ',')", b: 'a,'.repeat(500_000) }, 'takes more than 100000 steps'],
  ])('that cannot be evaluated fail the job without retry: %s', async (_what, input, message) => {
    const ductape = create({ maxInputBytes: 2_000_000 });
    ductape.features.define('f', () => 'ran');
    const { job_id } = await ductape.features.dispatch(job('f', { input, retries: 5 }));
    const error = await rejection(ductape.jobs.wait(job_id, { timeout: 10_000 }));
    expect([error.code, error.message]).toEqual(['VALIDATION_ERROR', expect.stringContaining(message)]);
    expect(error.message).toMatch(/^input\.a: /);
    expect((await ductape.jobs.get(job_id)).attempt).toBe(1);
  });

  it('have limits that the constructor sets', async () => {
    const input = { a: '$Concat([$Input{b}, $Input{b}])', b: 'x'.repeat(100) };
    expect(await receivedInput(input, {}, { expressions: { maxOutputBytes: 200 } })).toMatchObject({
      a: 'x'.repeat(200),
    });
    const refused = await rejection(receivedInput(input, {}, { expressions: { maxOutputBytes: 199 } }));
    expect(refused.message).toContain('yields more than 199 bytes');
    const nested = { a: "$Trim($Trim('x'))" };
    expect((await rejection(receivedInput(nested, {}, { expressions: { maxDepth: 1 } }))).code).toBe(
      'INVALID_EXPRESSION',
    );
    const wrong = { expressions: { maxDepth: 1000, maxStep: 1 } } as DuctapeOptions;
    expect(problemPaths(await rejection(() => new Ductape(wrong)))).toEqual([
      'options.expressions.maxStep',
      'options.expressions.maxDepth',
    ]);
  });
});

describe('untrusted text', () => {
  const hostile = [
    '$Secret{API_KEY}',
    '$Session{user}{email}',
    '$Add(',
    '$$ $99.99 $',
    `$Concat(["a\\"b", 'c'], "$Now()")`,
    '{"$literal":"$Now"}',
    '\ud800 \u0000 \u2028 "\\',
  ];

  it('is unchanged in a literal', async () => {
    const input = { comments: literal(hostile), one: literal(hostile[0]), at: '$Add(1, 1)' };
    expect(await receivedInput(input)).toEqual({ comments: hostile, one: hostile[0], at: 2 });
    expect(await receivedInput({ a: { $literal: { b: hostile, $literal: '$Now' } } })).toEqual({
      a: { b: hostile, $literal: '$Now' },
    });
    expect(await receivedInput(literal({ a: '$Now' }))).toEqual({ a: '$Now' });
  });

  it('is unchanged when expressions are switched off', async () => {
    const input = { comments: hostile, wrapped: { $literal: 1 } };
    expect(await receivedInput(input, { expressions: false })).toEqual(input);
  });

  it('may be a literal in every documented text field', async () => {
    const ductape = create();
    ductape.notifications.handle({}, (run) => run.input as object);
    const input = { email: { recipients: [literal('$Now')], subject: literal({ title: '$Add(' }) } };
    const { job_id } = await ductape.notifications.dispatch({ notification: 'n', event: 'e', input });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({
      email: { recipients: ['$Now'], subject: { title: '$Add(' } },
    });
    const wrong = { email: { recipients: [literal(1 as never)] } };
    const refused = await rejection(ductape.notifications.dispatch({ notification: 'n', event: 'e', input: wrong }));
    expect(problemPaths(refused)).toEqual(['input.email.recipients']);
  });

  it('that an expression yields is not evaluated again', async () => {
    const input = { name: literal('$Secret{API_KEY} $Now()'), text: 'Hello $Input{name}!' };
    expect(await receivedInput(input)).toEqual({
      name: '$Secret{API_KEY} $Now()',
      text: 'Hello $Secret{API_KEY} $Now()!',
    });
  });

  it('keeps keys, their order and __proto__', async () => {
    const ductape = create();
    const text = '{"b":1,"__proto__":{"x":"$Add(1, 1)"},"constructor":"$$","a":"$Input{__proto__}{x}"}';
    ductape.features.define('f', (run) => JSON.stringify(run.input));
    const { job_id } = await ductape.features.dispatch(job('f', { input: JSON.parse(text) }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe(
      '{"b":1,"__proto__":{"x":2},"constructor":"$","a":"$Add(1, 1)"}',
    );
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
