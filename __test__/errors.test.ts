// Invalid input of any kind is rejected with an error of this package that names problem and path; nothing is stored.
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Ductape, DuctapeError, type DuctapeOptions, type ErrorCode } from './support/ductape.js';
import {
  countJobs,
  create,
  job,
  problemPaths,
  rejection,
  temporaryFolder,
  temporaryStore,
} from './support/instances.js';

const cycle: Record<string, unknown> = {};
cycle.self = cycle;
const hour = 3_600_000;
const action = { app: 'mail', event: 'send', input: {} };

interface InvalidCase {
  /** Replaces fields of a dispatch that would be accepted; `undefined` leaves one out. */
  change: Record<string, unknown>;
  code: ErrorCode;
  paths: string[];
  message: RegExp;
}

const invalid = (change: InvalidCase['change'], path: string, message: RegExp): InvalidCase => ({
  change,
  code: 'VALIDATION_ERROR',
  paths: [path],
  message,
});
const schedule = (schedule: unknown, code: ErrorCode, path: string, message: RegExp): InvalidCase => ({
  change: { schedule },
  code,
  paths: [`schedule.${path}`],
  message,
});

const invalidCases: Record<string, InvalidCase> = {
  'a missing app': invalid({ app: undefined }, 'app', /missing/),
  'null for an app': invalid({ app: null }, 'app', /missing/),
  'an empty app': invalid({ app: '' }, 'app', /empty/),
  'a number for env': invalid({ env: 5 }, 'env', /string.*number 5/),
  'a text of 2 MB where a tag is meant': invalid({ event: 'x'.repeat(2_000_000) }, 'event', /255/),
  'a tag with control characters': invalid({ app: 'a\nb' }, 'app', /control/),
  'no input': invalid({ input: undefined }, 'input', /missing/),
  'a text as input': invalid({ input: 'body' }, 'input', /object/),
  'a list as input': invalid({ input: [] }, 'input', /object/),
  'a documented part of the input of a wrong type': invalid({ input: { body: [1] } }, 'input.body', /object.*array/),
  'negative retries': invalid({ retries: -1 }, 'retries', /integer from 0 to 1000.*-1/),
  'a fraction of a retry': invalid({ retries: 1.5 }, 'retries', /integer.*1\.5/),
  'retries as text': invalid({ retries: '3' }, 'retries', /integer.*string/),
  'too many retries': invalid({ retries: 1001 }, 'retries', /1000/),
  'a priority that is no integer': invalid({ priority: 0.5 }, 'priority', /integer/),
  'a timeout of no time': invalid({ timeout: 0 }, 'timeout', /integer from 1/),
  'tags that are no list': invalid({ tags: 'a' }, 'tags', /list/),
  'a unique key that is a text': invalid({ unique: 'k' }, 'unique', /object.*string/),
  'unique without a key': invalid({ unique: { period: 5 } }, 'unique.key', /missing/),
  'an empty unique key': invalid({ unique: { key: '' } }, 'unique.key', /empty/),
  'a unique key of 256 characters': invalid({ unique: { key: 'x'.repeat(256) } }, 'unique.key', /255.*256/),
  'a unique key that is a number': invalid({ unique: { key: 7 } }, 'unique.key', /string.*number 7/),
  'a period of no time': invalid({ unique: { key: 'k', period: 0 } }, 'unique.period', /integer from 1.*0/),
  'a misspelt period': invalid({ unique: { key: 'k', peroid: 1 } }, 'unique.peroid', /`period`/),
  'a concurrency that is a number': invalid({ concurrency: 3 }, 'concurrency', /object.*number 3/),
  'a concurrency that is a list': invalid({ concurrency: [] }, 'concurrency', /object.*array/),
  'concurrency without a limit': invalid({ concurrency: { key: 'k' } }, 'concurrency.limit', /missing.*1 to 1000000/),
  'a limit of no runs at once': invalid({ concurrency: { key: 'k', limit: 0 } }, 'concurrency.limit', /from 1 to/),
  'a limit of half a run': invalid({ concurrency: { key: 'k', limit: 1.5 } }, 'concurrency.limit', /integer.*1\.5/),
  'too high a limit': invalid({ concurrency: { key: 'k', limit: 1e6 + 1 } }, 'concurrency.limit', /1000000/),
  'a concurrency key of 256 characters': invalid(
    { concurrency: { key: 'x'.repeat(256), limit: 1 } },
    'concurrency.key',
    /255/,
  ),
  'a misspelt limit': invalid({ concurrency: { key: 'k', limit: 1, limits: 2 } }, 'concurrency.limits', /`limit`/),
  'a tag that turns the direction of text': invalid({ tags: ['a\u202eb'] }, 'tags[0]', /marks of text direction/),
  'a tag with a separator of lines': invalid({ event: 'a\u2028b' }, 'event', /line separators/),
  'a job_id that steers a terminal': invalid({ job_id: '\u001b[2J' }, 'job_id', /printable.*\\u/),
  'a job_id that turns the direction of text': invalid({ job_id: 'a\u2066b' }, 'job_id', /printable.*\\u/),
  'an empty job_id': invalid({ job_id: '' }, 'job_id', /1 to 255/),
  'a job_id of 256 characters': invalid({ job_id: 'x'.repeat(256) }, 'job_id', /1 to 255/),
  'a job_id with a line break': invalid({ job_id: 'a\nb' }, 'job_id', /printable/),
  'an unknown way out of a conflict': invalid({ job_id: 'a', onConflict: 'ignore' }, 'onConflict', /'return'/),
  'a session without a token': invalid({ session: { tag: 's' } }, 'session.token', /missing/),
  'retryConfig with a misspelt key': invalid(
    { retryConfig: { initialDely: 1 } },
    'retryConfig.initialDely',
    /`initialDelay`/,
  ),
  'a misspelt option': invalid({ retires: 3 }, 'retires', /`retries`/),
  'an option of another spelling': invalid({ jobId: 'a' }, 'jobId', /`job_id`/),
  'a schedule that is a number': invalid({ schedule: 60 }, 'schedule', /object/),
  'a date that is none': schedule({ start_at: 'tomorrow' }, 'VALIDATION_ERROR', 'start_at', /tomorrow/),
  'a Date out of range': schedule({ start_at: 1e300 }, 'VALIDATION_ERROR', 'start_at', /date/),
  'a misspelt cron': schedule({ crom: '* * * * *' }, 'VALIDATION_ERROR', 'crom', /`cron`/),
  'cron and every together': schedule({ cron: '* * * * *', every: 1000 }, 'INVALID_SCHEDULE', 'every', /cron/),
  'a limit of nothing': schedule({ limit: 3 }, 'INVALID_SCHEDULE', 'limit', /`cron`, `every` or `interval`/),
  'an endDate of nothing': schedule({ endDate: 1 }, 'INVALID_SCHEDULE', 'endDate', /`cron`, `every` or `interval`/),
  'cron and interval together': schedule(
    { cron: '* * * * *', interval: 'P1D' },
    'INVALID_SCHEDULE',
    'interval',
    /cron/,
  ),
  'an interval of hours': schedule({ interval: 'PT1H' }, 'INVALID_SCHEDULE', 'interval', /`every`/),
  'an interval of nothing': schedule({ interval: 'P0D' }, 'INVALID_SCHEDULE', 'interval', /zero/),
  'an interval of the calendar in ms': schedule({ interval: 1000 }, 'INVALID_SCHEDULE', 'interval', /`every`/),
  'an interval that is a text': schedule({ interval: 'weekly' }, 'INVALID_SCHEDULE', 'interval', /`P2W`/),
  'except dates of nothing': schedule({ except: ['2026-12-25'] }, 'INVALID_SCHEDULE', 'except', /needs `cron`/),
  'an except date that is none': schedule(
    { every: 1000, except: ['2026-12-25', '2026-02-29'] },
    'INVALID_SCHEDULE',
    'except[1]',
    /2026-02-29/,
  ),
  'an except date that is no list': schedule(
    { every: 1000, except: '2026-12-25' },
    'INVALID_SCHEDULE',
    'except',
    /list/,
  ),
  'too many except dates': schedule(
    { every: 1000, except: Array.from({ length: 1_001 }, () => '2026-12-25') },
    'INVALID_SCHEDULE',
    'except',
    /1000/,
  ),
  'a dst of a job that runs once': schedule(
    { start_at: Date.now() + hour, dst: { gap: 'skip' } },
    'INVALID_SCHEDULE',
    'dst',
    /needs `cron`, `every` or `interval`/,
  ),
  'a grace of no time': schedule({ every: 1000, grace: 0 }, 'VALIDATION_ERROR', 'grace', /integer from 1/),
  'a limit of no runs': schedule({ every: 1000, limit: 0 }, 'INVALID_SCHEDULE', 'limit', /integer from 1/),
  'an interval of no time': schedule({ every: 0 }, 'INVALID_SCHEDULE', 'every', /integer from 1/),
  'an interval that is no integer': schedule({ every: 0.5 }, 'INVALID_SCHEDULE', 'every', /integer/),
  'an endDate before start_at': schedule(
    { every: 1000, start_at: Date.now() + hour, endDate: Date.now() },
    'INVALID_SCHEDULE',
    'endDate',
    /before/,
  ),
  'an unknown time zone': schedule(
    { cron: '0 9 * * *', tz: 'Europe/Berln' },
    'INVALID_TIMEZONE',
    'tz',
    /Europe\/Berlin/,
  ),
  'a cron of six fields': schedule({ cron: '0 0 9 * * *' }, 'INVALID_CRON', 'cron', /five|5/),
  'a cron that is none': schedule({ cron: 'every day' }, 'INVALID_CRON', 'cron', /./),
  'a cron with a minute too high': schedule({ cron: '60 * * * *' }, 'INVALID_CRON', 'cron', /59/),
  'a cron that never matches': schedule({ cron: '0 0 30 2 *' }, 'INVALID_SCHEDULE', 'cron', /0 0 30 2 \*/),
  'a cycle in the input': invalid({ input: { body: cycle } }, 'input', /JSON/),
  'a BigInt in the input': invalid({ input: { body: { n: 1n } } }, 'input', /BigInt/),
};

describe('a dispatch', () => {
  it.each(Object.entries(invalidCases))('with %s is refused', async (_name, { change, code, paths, message }) => {
    const ductape = create({ worker: false });
    const input = { ...action, ...change };
    let promise: Promise<unknown> | undefined;
    // It must return a promise: a caller's `catch` would miss a throw.
    expect(() => {
      promise = ductape.actions.dispatch(input as never);
    }).not.toThrow();
    const error = await rejection(promise as Promise<unknown>);
    expect(error.code).toBe(code);
    expect(problemPaths(error)).toEqual(paths);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(paths[0]);
    expect(error.message.length).toBeLessThan(500);
    expect(error.stack).not.toBe('');
    expect(await countJobs(ductape)).toBe(0);
    // The instance still works.
    await ductape.actions.dispatch(action);
    expect(await countJobs(ductape)).toBe(1);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'send'],
    ['a list', []],
    ['a function', () => {}],
  ])('of %s is refused', async (_name, input) => {
    const ductape = create({ worker: false });
    const error = await rejection(ductape.actions.dispatch(input as never));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(error.message).toMatch(/object/);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('with several problems lists all of them', async () => {
    const ductape = create({ worker: false });
    const error = await rejection(
      ductape.actions.dispatch({
        app: 7,
        retries: -1,
        input: {},
        schedule: { cron: 'x', every: 0, tz: 'Mars' },
      } as never),
    );
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error).sort()).toEqual(
      ['app', 'event', 'retries', 'schedule.cron', 'schedule.every', 'schedule.every', 'schedule.tz'].sort(),
    );
    for (const { path, message } of error.details ?? []) expect(error.message).toContain(`${path}: ${message}`);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('without product and env names both', async () => {
    const ductape = new Ductape({ store: 'memory:', worker: false });
    const error = await rejection(ductape.features.dispatch(job('report')));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual(['product', 'env']);
    await ductape.close();
  });

  it('whose input has a getter that throws is refused', async () => {
    const ductape = create({ worker: false });
    const input = {
      get buffer(): never {
        throw new Error('no such file');
      },
    };
    for (const promise of [
      ductape.features.dispatch(job('report', { input })),
      ductape.storage.dispatch({ storage: 'files', event: 'upload', input: input as never }),
    ]) {
      const error = await rejection(promise);
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toContain('no such file');
    }
    expect(await countJobs(ductape)).toBe(0);
  });

  it('of more than 1 MiB names its size and the option to raise', async () => {
    const ductape = create({ worker: false });
    const input = { text: 'x'.repeat(1024 * 1024) };
    const error = await rejection(ductape.features.dispatch(job('report', { input })));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual(['input']);
    expect(error.message).toContain(String(JSON.stringify(input).length));
    expect(error.message).toContain('maxInputBytes');
    expect(await countJobs(ductape)).toBe(0);
  });

  it('is refused by size as maxInputBytes says, in bytes of UTF-8', async () => {
    const ductape = create({ worker: false, maxInputBytes: 100 });
    const fits = { text: 'x'.repeat(100 - '{"text":""}'.length) };
    await ductape.features.dispatch(job('report', { input: fits }));
    // As many characters, but two bytes each.
    const error = await rejection(
      ductape.features.dispatch(job('report', { input: { text: fits.text.replaceAll('x', 'é') } })),
    );
    expect(problemPaths(error)).toEqual(['input']);
    expect(await countJobs(ductape)).toBe(1);
  });
});

describe('dispatchMany', () => {
  it('of 10,001 is refused', async () => {
    const ductape = create({ worker: false });
    const error = await rejection(ductape.features.dispatchMany(Array.from({ length: 10_001 }, () => job('report'))));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(error.message).toMatch(/10,?000.*10,?001/);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('with one invalid entry names it and writes nothing', async () => {
    const ductape = create({ worker: false });
    const list = [job('a'), job('b'), job('c', { retries: -1 }), job('d')];
    const error = await rejection(ductape.features.dispatchMany(list));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual(['[2].retries']);
    expect(await countJobs(ductape)).toBe(0);
  });

  it('of anything but a list is refused', async () => {
    const ductape = create({ worker: false });
    for (const input of [undefined, null, {}, 'x']) {
      const error = await rejection(ductape.features.dispatchMany(input as never));
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toMatch(/list/);
    }
  });
});

describe('a store that cannot be opened rejects the calls that need it', () => {
  const cases: Record<string, { make: (folder: string) => Promise<string>; code: ErrorCode }> = {
    'because its path is a folder': {
      make: async (folder) => {
        await mkdir(join(folder, 'jobs.db'));
        return join(folder, 'jobs.db');
      },
      code: 'STORE_ERROR',
    },
    'because its path leads through a file': {
      make: async (folder) => {
        await writeFile(join(folder, 'file'), '');
        return join(folder, 'file', 'jobs.db');
      },
      code: 'STORE_ERROR',
    },
    'because it is no database': {
      make: async (folder) => {
        await writeFile(join(folder, 'jobs.db'), 'This is a letter to my aunt, and not a database. '.repeat(200));
        return join(folder, 'jobs.db');
      },
      code: 'STORE_CORRUPT',
    },
  };
  it.each(Object.entries(cases))('%s', async (_name, { make, code }) => {
    const folder = await temporaryFolder();
    const path = await make(folder);
    const ductape = create({ store: `sqlite:${path}`, worker: false });
    for (const call of [
      () => ductape.features.dispatch(job('report')),
      () => ductape.jobs.list(),
      () => ductape.features.dispatchMany([job('report')]),
    ]) {
      const error = await rejection(call());
      expect(error.code).toBe(code);
      expect(error.message).toContain(folder);
    }
    await ductape.close();
    // Nothing is left beside what is no store.
    expect(await readdir(folder)).toHaveLength(1);
  });

  it.runIf(process.platform === 'linux')('or is refused at once, where a pipe is in place of a file', async () => {
    const pipe = join(await temporaryFolder(), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const error = await rejection(() => create({ resources: pipe }));
    expect(problemPaths(error)).toEqual(['options.resources']);
    expect(error.message).toContain('it is no regular file');
    const store = create({ store: `sqlite:${pipe}`, worker: false });
    expect((await rejection(store.jobs.list())).message).toContain('not a regular file');
    const restored = Ductape.restore({ from: pipe, to: `sqlite:${pipe}-restored` });
    expect((await rejection(restored)).message).toContain('is no file');
  });

  it('until the cause is removed', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'jobs.db'));
    const ductape = create({ store: `sqlite:${join(folder, 'jobs.db')}`, worker: false });
    await rejection(ductape.features.dispatch(job('report')));
    await rmdir(join(folder, 'jobs.db'));
    await ductape.features.dispatch(job('report'));
    expect(await countJobs(ductape)).toBe(1);
  });
});

describe('after close', () => {
  it('every method rejects with CLOSED, close itself resolves again', async () => {
    const ductape = create({ store: await temporaryStore() });
    await ductape.features.dispatch(job('report'));
    await ductape.close();
    await ductape.close();
    await ductape.close({ timeout: 1 });
    const calls: Record<string, () => Promise<unknown>> = {
      dispatch: () => ductape.features.dispatch(job('report')),
      dispatchMany: () => ductape.features.dispatchMany([job('report')]),
      get: () => ductape.jobs.get('x'),
      list: () => ductape.jobs.list(),
      wait: () => ductape.jobs.wait('x'),
      cancel: () => ductape.jobs.cancel('x'),
      pause: () => ductape.jobs.pause('x'),
      deleteMany: () => ductape.jobs.deleteMany({ all: true }),
      reschedule: () => ductape.jobs.reschedule('x', {}),
      getStats: () => ductape.jobs.getStats(),
      getHistory: () => ductape.jobs.getHistory('x'),
      preview: () => ductape.jobs.preview({ cron: '* * * * *' }),
      start: () => ductape.start(),
      drain: () => ductape.drain(),
    };
    for (const [name, call] of Object.entries(calls)) {
      expect((await rejection(call())).code, name).toBe('CLOSED');
    }
    expect((await rejection(() => ductape.features.handle({}, () => {}))).code).toBe('CLOSED');
  });

  it('an instance that opened nothing counts as closed', async () => {
    const ductape = new Ductape({ store: 'memory:' });
    await ductape.close();
    expect((await rejection(ductape.jobs.list())).code).toBe('CLOSED');
  });

  it('a wait that was pending has been rejected', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    const waiting = rejection(ductape.jobs.wait(job_id));
    await ductape.close();
    expect((await waiting).code).toBe('CLOSED');
  });

  it('a dispatch made just before it has been stored', async () => {
    const store = await temporaryStore();
    const first = create({ store, worker: false });
    const dispatched = Array.from({ length: 50 }, () => first.features.dispatch(job('report')));
    await first.close();
    await Promise.all(dispatched);
    expect(await countJobs(create({ store, worker: false }))).toBe(50);
  });
});

describe('the constructor throws at once', () => {
  const wrong: Array<[string, unknown, string, RegExp]> = [
    ['an unknown option', { stor: 'memory:' }, 'options.stor', /`store`/],
    ['a concurrency of none', { worker: { concurrency: 0 } }, 'options.worker.concurrency', /integer from 1/],
    ['an unknown option of the worker', { worker: { concurency: 1 } }, 'options.worker.concurency', /`concurrency`/],
    ['a namespace that is none', { worker: { namespaces: ['action'] } }, 'options.worker.namespaces', /actions/],
    ['a worker that is a number', { worker: 5 }, 'options.worker', /object/],
    ['a time zone that is none', { timezone: 'America/New_Yrok' }, 'options.timezone', /America\/New_York/],
    ['a store of an unknown kind', { store: 'mysql://user:secret@host/db' }, 'options.store', /sqlite:PATH/],
    ['a store that is a number', { store: 5 }, 'options.store', /string/],
    ['a SQLite store without a path', { store: 'sqlite:' }, 'options.store', /path/],
    ['a durability that is none', { durability: 'maybe' }, 'options.durability', /'full', 'relaxed'/],
    ['a product that is a list', { product: [] }, 'options.product', /string/],
    ['a retention without a rule', { retention: { completed: {} } }, 'options.retention.completed.age', /age/],
    ['a negative age', { retention: { failed: { age: -1 } } }, 'options.retention.failed.age', /integer/],
    ['a limit of input that is a text', { maxInputBytes: '1 MB' }, 'options.maxInputBytes', /integer/],
    ['a manual clock on a file', { clock: 'manual', store: 'sqlite:x.db' }, 'options.clock', /memory/],
  ];
  it.each(wrong)('for %s', async (_name, options, path, message) => {
    const error = await rejection(() => new Ductape(options as DuctapeOptions));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual([path]);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('secret');
  });

  it.each([null, 'sqlite:jobs.db', 5])('for %j as its options', async (options) => {
    const error = await rejection(() => new Ductape(options as never));
    expect(error.code).toBe('VALIDATION_ERROR');
  });

  it('for an invalid logger', async () => {
    for (const logger of [{ warn() {} }, 'console', 5]) {
      const error = await rejection(() => new Ductape({ store: 'memory:', logger: logger as never }));
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toContain('logger');
    }
  });
});

describe('handle throws at once', () => {
  const ductape = new Ductape({ store: 'memory:', worker: false });
  const handler = () => {};
  const wrong: Array<[string, () => unknown, RegExp]> = [
    ['without a handler', () => ductape.features.handle({ tag: 'a' }, undefined as never), /function/],
    ['for a handler that is a text', () => ductape.features.define('a', 'send' as never), /function.*string/],
    ['for a field of another namespace', () => ductape.features.handle({ app: 'a' } as never, handler), /app/],
    ['for a target that is a text', () => ductape.actions.handle('mail' as never, handler), /object/],
    ['for an empty tag', () => ductape.features.define('', handler), /empty/],
    ['for a tag that is a number', () => ductape.features.define(5 as never, handler), /string/],
    ['for a concurrency of none', () => ductape.features.define('a', handler, { concurrency: 0 }), /concurrency/],
    ['for an unknown option', () => ductape.features.define('a', handler, { timout: 5 } as never), /`timeout`/],
  ];
  it.each(wrong)('%s', async (_name, call, message) => {
    const error = await rejection(call);
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(error.message).toMatch(message);
    expect(error.details?.length).toBeGreaterThan(0);
  });
});

describe('ductape.jobs rejects', () => {
  it('an unknown id with NOT_FOUND', async () => {
    const ductape = create({ worker: false });
    const { get, wait, cancel, getHistory } = ductape.jobs;
    for (const call of [get, wait, cancel, getHistory]) {
      for (const id of ['job_unknown', '', 'x'.repeat(300)]) {
        const error = await rejection(call(id));
        expect(error.code).toBe('NOT_FOUND');
      }
    }
  });

  it('an id that is not a string with VALIDATION_ERROR', async () => {
    const ductape = create({ worker: false });
    for (const id of [undefined, null, 5, {}]) {
      expect((await rejection(ductape.jobs.get(id as never))).code).toBe('VALIDATION_ERROR');
    }
  });

  it('wrong filters with the path of each problem', async () => {
    const ductape = create({ worker: false });
    const error = await rejection(
      ductape.jobs.list({ status: 'done', limit: 0, namespace: 'x', statsu: 1, offset: 1, cursor: '5' } as never),
    );
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error).sort()).toEqual(['limit', 'namespace', 'offset', 'statsu', 'status']);
    expect(error.message).toMatch(/`status`/);
    expect((await rejection(ductape.jobs.getStats({ status: 'failed' } as never))).code).toBe('VALIDATION_ERROR');
  });

  it('a cancel of a job that has ended with CONFLICT', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await ductape.jobs.cancel(job_id, { reason: 'not needed' });
    expect((await rejection(ductape.jobs.pause(job_id))).code).toBe('CONFLICT');
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'cancelled', cancel_reason: 'not needed' });
    const waited = await rejection(ductape.jobs.wait(job_id));
    expect(waited.code).toBe('CANCELLED');
    expect(waited.message).toContain('not needed');
  });

  it('a wait that takes too long with TIMEOUT', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect((await rejection(ductape.jobs.wait(job_id, { timeout: 20 }))).code).toBe('TIMEOUT');
  });

  it('an invalid preview with the error of its dispatch', async () => {
    const ductape = create({ worker: false });
    for (const { change, code, paths } of Object.values(invalidCases)) {
      if (typeof change.schedule !== 'object') continue;
      const error = await rejection(ductape.jobs.preview(change.schedule as never));
      expect(error.code).toBe(code);
      expect(problemPaths(error)).toEqual(paths);
    }
  });
});

describe('a DuctapeError', () => {
  it('is made with a code, details and a cause', () => {
    const cause = new Error('underneath');
    const details = [{ path: 'a', message: 'b' }];
    const error = new DuctapeError('NOT_FOUND', 'there is none', { details, cause });
    expect(error).toBeInstanceOf(DuctapeError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'DuctapeError', code: 'NOT_FOUND', message: 'there is none', details });
    expect(error.cause).toBe(cause);
    expect(new DuctapeError('TIMEOUT', 'x')).not.toHaveProperty('details');
  });

  it('is nothing else', () => {
    for (const other of [new Error('x'), { code: 'TIMEOUT' }, null, undefined, 'TIMEOUT']) {
      expect(other instanceof DuctapeError).toBe(false);
    }
  });
});
