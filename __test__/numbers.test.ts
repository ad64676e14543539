// Numbers that are not finite, and dates that are none. The options are taken out of the declared types, so that one that is
// added later is tried as well.
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript5';
import { describe, expect, it, test } from 'vitest';
import { Ductape } from './support/ductape.js';
import { countJobs, create, job, problemPaths, recordingLogger, rejection } from './support/instances.js';

/** One number or date that a function takes. */
interface Taken {
  /** As in `jobs.wait`; of the constructor `new`. */
  method: string;
  parameters: { name: string; takesFunction: boolean }[];
  /** Index of the parameter that holds it. */
  index: number;
  /** Members and indexes that lead to it. */
  path: (string | number)[];
}

/** Members of arguments that hold data, which follows the rules of JSON. */
const PAYLOADS = new Set(['input', 'data', 'value']);

/** What the functions of the package take, by its declarations. */
function takenNumbers(): Taken[] {
  const file = resolve(import.meta.dirname, '../index.d.ts');
  const program = ts.createProgram([file], { strict: true, target: ts.ScriptTarget.ES2022, types: ['node'] });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  if (!source) throw new Error(`no ${file}`);
  const node: ts.Node = source;
  const declarations = join(dirname(file), 'types');

  /** Paths of the numbers and dates within a type. */
  function paths(
    type: ts.Type,
    path: (string | number)[],
    within: ts.Type[],
    left: Set<string>,
  ): (string | number)[][] {
    if (type.isUnion()) return type.types.flatMap((part) => paths(part, path, within, left));
    if (type.flags & ts.TypeFlags.NumberLike || type.symbol?.name === 'Date') return [path];
    if (!(type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) || within.includes(type)) return [];
    if (type.getCallSignatures().length > 0 || type.symbol?.name === 'Uint8Array') return [];
    const inside = [...within, type];
    const entry = type.getNumberIndexType();
    if (entry && (checker.isArrayType(type) || checker.isTupleType(type)))
      return paths(entry, [...path, 0], inside, left);
    const named = type.getStringIndexType();
    const members = checker
      .getPropertiesOfType(type)
      .filter(({ name }) => !left.has(name))
      .flatMap((member) =>
        paths(checker.getTypeOfSymbolAtLocation(member, node), [...path, member.name], inside, new Set()),
      );
    return named ? [...members, ...paths(named, [...path, 'any'], inside, new Set())] : members;
  }

  function takenBy(method: string, signature: ts.Signature, left: Set<string>): Taken[] {
    const types = signature.getParameters().map((parameter) => checker.getTypeOfSymbolAtLocation(parameter, node));
    const parameters = signature.getParameters().map(({ name }, index) => ({
      name,
      takesFunction: (types[index]?.getCallSignatures().length ?? 0) > 0,
    }));
    return types.flatMap((type, index) => {
      const found = paths(checker.getNonNullableType(type), [], [], left);
      const unique = new Map(found.map((path) => [JSON.stringify(path), path]));
      return [...unique.values()].map((path) => ({ method, parameters, index, path }));
    });
  }

  /** What the methods of an object take, those of the objects that it holds included. */
  function takenByMembers(type: ts.Type, name: string): Taken[] {
    return checker.getPropertiesOfType(type).flatMap((member) => {
      const full = name === '' ? member.name : `${name}.${member.name}`;
      const own = checker.getTypeOfSymbolAtLocation(member, node);
      const signatures = own.getCallSignatures();
      if (signatures.length > 0) return signatures.flatMap((signature) => takenBy(full, signature, PAYLOADS));
      const isOurs = own.symbol?.declarations?.some((part) =>
        resolve(part.getSourceFile().fileName).startsWith(declarations),
      );
      return isOurs && full.split('.').length < 4 ? takenByMembers(own, full) : [];
    });
  }

  const exported = new Map(
    checker.getExportsOfModule(checker.getSymbolAtLocation(source) as ts.Symbol).map((symbol) => [symbol.name, symbol]),
  );
  const declared = (name: string) => exported.get(name) as ts.Symbol;
  const instance = checker.getDeclaredTypeOfSymbol(declared('Ductape'));
  const constructors = checker.getTypeOfSymbolAtLocation(declared('Ductape'), node).getConstructSignatures();
  const context = checker.getDeclaredTypeOfSymbol(declared('JobContext'));
  return [
    ...constructors.flatMap((signature) => takenBy('new', signature, new Set())),
    ...takenByMembers(instance, ''),
    ...takenByMembers(context, '').map((taken) => ({ ...taken, method: `job.${taken.method}` })),
  ];
}

const taken = takenNumbers();
const wrong = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, new Date('not a date')];

const shown = ({ method, parameters, index, path }: Taken) =>
  `${method}(${[parameters[index]?.name, ...path].join('.')})`;

/** A value that has `value` where `path` leads. */
function at(path: (string | number)[], value: unknown): unknown {
  return path.reduceRight((inner, name) => (typeof name === 'number' ? [inner] : { [name]: inner }), value);
}

function call(target: object, { parameters, index, path }: Taken, method: string, value: unknown): unknown {
  const args = parameters.map(({ takesFunction }, place) => {
    if (place === index) return at(path, value);
    return takesFunction ? () => {} : place < index ? 'a' : undefined;
  });
  if (parameters[0]?.name === 'target' && index > 0) args[0] = {};
  const names = method.split('.');
  const last = names.pop() as string;
  const owner = names.reduce((object, name) => (object as Record<string, object>)[name] as object, target);
  return (owner as Record<string, (...args: unknown[]) => unknown>)[last]?.(...args);
}

/** The end of the path that a problem with it has. */
const problemPath = ({ method, parameters, index, path }: Taken) => {
  if (path.length === 0) return method === 'job.snooze' ? 'snooze' : (parameters[index]?.name as string);
  return path.reduce<string>((text, name) => (typeof name === 'number' ? `${text}[${name}]` : `${text}.${name}`), '');
};

async function expectRefused(taken: Taken, value: unknown, act: () => unknown): Promise<void> {
  const error = await rejection((async () => act())());
  const what = `${shown(taken)} with ${String(value)}: ${error.message}`;
  expect(error.code, what).toBe('VALIDATION_ERROR');
  const expected = problemPath(taken);
  const isNamed = problemPaths(error).some((path) => `.${path}`.endsWith(expected) || path.endsWith(expected));
  expect(isNamed, what).toBe(true);
}

describe('a number that is not finite, or an invalid date,', () => {
  const ofJobs = taken.filter(({ method }) => method.startsWith('job.'));
  const ofConstructor = taken.filter(({ method }) => method === 'new');
  const ofMethods = taken.filter((one) => !ofJobs.includes(one) && !ofConstructor.includes(one));

  it('is looked for in all that the package takes', () => {
    const names = taken.map(shown);
    for (const name of [
      'new(options.storeTimeout)',
      'new(options.worker.concurrency)',
      'new(options.retention.runs.age)',
      'new(options.clock.at)',
      'features.dispatch(input.schedule.start_at)',
      'features.dispatch(input.unique.period)',
      'features.dispatchMany(inputs.0.retryConfig.maxDelay)',
      'databases.action.handle(options.timeout)',
      'jobs.cancelMany(filter.to)',
      'jobs.preview(options.from)',
      'caches.set(entry.expiry)',
      'clock.advance(by)',
      'clock.set(date)',
      'close(options.timeout)',
      'job.snooze(ms)',
      'job.step(options.retries)',
    ]) {
      expect(names).toContain(name);
    }
    expect(ofConstructor.filter(({ path }) => path[0] === 'resources').length).toBeGreaterThan(10);
    expect(taken.length).toBeGreaterThan(200);
  });

  it('is refused in every argument of a method, with its path', async () => {
    const ductape = create({ clock: 'manual', worker: false });
    for (const one of ofMethods) {
      for (const value of wrong) await expectRefused(one, value, () => call(ductape, one, one.method, value));
    }
    expect(await countJobs(ductape)).toBe(0);
  });

  it('is refused in every option of the constructor, with its path', async () => {
    for (const one of ofConstructor) {
      for (const value of wrong) {
        const options = at(one.path, value) as object;
        await expectRefused(one, value, () => new Ductape({ store: 'memory:', ...options }));
      }
    }
  });

  it('is refused in what a handler asks for, with its path', async () => {
    const ductape = create();
    ductape.features.define('report', async (context) => {
      for (const one of ofJobs) {
        for (const value of wrong)
          await expectRefused(one, value, () => call({ job: context }, one, one.method, value));
      }
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.jobs.wait(job_id);
  });
});

test('a date that did not parse neither runs a job at once nor lets it run for ever', async () => {
  const ductape = create();
  const day = 86_400_000;
  for (const [schedule, paths] of [
    [{ start_at: Date.parse('tomorrow') }, ['schedule.start_at']],
    [{ every: day / 0 }, ['schedule.every']],
    [{ every: Number.NaN }, ['schedule.every']],
    [{ every: day, limit: Number.NaN, endDate: new Date('x') as never }, ['schedule.limit', 'schedule.endDate']],
  ] as const) {
    const error = await rejection(ductape.features.dispatch(job('report', { schedule })));
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', paths]);
  }
  const many = await rejection(
    ductape.features.dispatchMany([job('report'), job('report', { retries: Number.NaN, priority: 1 / 0 })]),
  );
  expect(problemPaths(many)).toEqual(['[1].retries', '[1].priority']);
  expect(many.message).toBe(
    '[1].retries: must be a finite number, got NaN; [1].priority: must be a finite number, got Infinity',
  );
  expect(await countJobs(ductape)).toBe(0);
});

test('a number that is none in one job of a list hides no mistake in another', async () => {
  const ductape = create();
  const mixed = await rejection(
    ductape.features.dispatchMany([
      job('report', { schedule: { every: 1_000, except: ['2026-13-01'] } as object }),
      // Without its `every` the schedule would have further faults that nobody has made.
      job('report', { schedule: { every: Number.NaN, limit: 3 } }),
      job('report', { retries: -1 }),
    ]),
  );
  expect(problemPaths(mixed)).toEqual(['[0].schedule.except[0]', '[1].schedule.every', '[2].retries']);
  expect([mixed.code, mixed.message]).toEqual(['VALIDATION_ERROR', expect.stringContaining('got NaN; [2].retries: ')]);
  const last = Array.from({ length: 600 }, () => job('report'));
  last.push(job('report', { priority: Number.NaN }), job('report', { priority: 0.5 }));
  expect(problemPaths(await rejection(ductape.features.dispatchMany(last)))).toEqual([
    '[600].priority',
    '[601].priority',
  ]);
  expect(await countJobs(ductape)).toBe(0);
});

test('a bound of a filter that did not parse changes no job', async () => {
  const ductape = create({ worker: false });
  const { job_id } = await ductape.features.dispatch(job('report'));
  const call = (filter: object) => rejection(ductape.jobs.cancelMany(filter));
  expect(problemPaths(await call({ to: Number.NaN }))).toEqual(['filter.to']);
  expect(problemPaths(await call({ recurring: false, from: new Date('x') }))).toEqual(['filter.from']);
  expect((await ductape.jobs.get(job_id)).status).toBe('queued');
});

test('a list without an entry in the filter of a change means no job, and is refused', async () => {
  const ductape = create({ worker: false });
  const { job_id } = await ductape.features.dispatch(job('report'));
  const { jobs } = ductape;
  for (const change of [jobs.cancelMany, jobs.pauseMany, jobs.resumeMany, jobs.retryMany, jobs.deleteMany]) {
    for (const [filter, path] of [
      [{ status: [], all: true }, 'filter.status'],
      [{ tags: [], recurring: false }, 'filter.tags'],
      [{ tags: [] }, 'filter.tags'],
    ] as const) {
      const error = await rejection(change(filter));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', expect.arrayContaining([path])]);
      expect(error.message).toContain('is an empty list, which means no job');
    }
  }
  expect((await jobs.get(job_id)).status).toBe('queued');
  expect((await jobs.list({ tags: [] })).jobs).toHaveLength(1);
});

test('the data of a job, a cache, a session and a step stays what JSON makes of it', async () => {
  const ductape = create();
  const data = { n: Number.NaN, list: [1 / 0], at: new Date('x') };
  const asJson = { n: null, list: [null], at: null };
  ductape.features.define('report', async (context) => {
    context.progress(data);
    return [context.input, await context.step('a', () => data)];
  });
  const { job_id } = await ductape.features.dispatch({ tag: 'report', input: data });
  expect(await ductape.jobs.wait(job_id)).toEqual([asJson, asJson]);
  expect((await ductape.jobs.get(job_id)).progress).toEqual(asJson);
  const [listed] = await ductape.features.dispatchMany([{ tag: 'report', input: data }]);
  expect((await ductape.jobs.get(listed?.job_id as string)).input).toEqual(asJson);
  await ductape.caches.set({ tag: 'c', key: 'k', value: data });
  expect(await ductape.caches.get({ tag: 'c', key: 'k' })).toEqual(asJson);
});

test('a retryAfter that is no number is said to the logger, and the delays of the job count', async () => {
  const logger = recordingLogger();
  const ductape = create({ logger, clock: 'manual' });
  ductape.features.define('report', ({ attempt }) => {
    if (attempt === 1) throw Object.assign(new Error('busy'), { retryAfter: Number.NaN });
  });
  const { job_id } = await ductape.features.dispatch(job('report', { retries: 1 }));
  await ductape.clock.advance(1_000);
  expect((await ductape.jobs.get(job_id)).status).toBe('completed');
  expect(logger.messagesAt('warn')).toEqual([
    `ductape: the error of job ${job_id} has the retryAfter NaN, which is no number of ms; it does not count`,
  ]);
});
