// Opening, draining and closing instances, and the files that they leave.
import { access, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Ductape } from './support/ductape.js';
import {
  countJobs,
  create,
  deferred,
  eventually,
  job,
  rejection,
  nextTurn,
  stopwatch,
  temporaryFolder,
  temporaryStore,
} from './support/instances.js';
import { script } from './support/processes.js';

const never = () => new Promise<never>(() => {});
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

describe('close', () => {
  it('waits for the handlers that run, and stores what they return', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    const started = deferred();
    const finish = deferred<string>();
    ductape.features.define('report', ({ signal }) => {
      started.resolve();
      return finish.promise.then((text) => ({ text, aborted: signal.aborted }));
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await started.promise;
    let closed = false;
    const closing = ductape.close({ dispatch: false }).then(() => {
      closed = true;
    });
    // By then the close is under way.
    await eventually(async () => {
      expect((await rejection(ductape.features.dispatch(job('report')))).code).toBe('CLOSED');
    });
    expect(closed).toBe(false);
    finish.resolve('done');
    await closing;
    const next = create({ store, worker: false });
    expect(await next.jobs.get(job_id)).toMatchObject({
      status: 'completed',
      result: { text: 'done', aborted: false },
    });
  });

  it('takes what running handlers dispatch, and begins nothing', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    const started = deferred();
    const finish = deferred();
    ductape.features.define('report', async () => {
      started.resolve();
      await finish.promise;
      const { job_id } = await ductape.features.dispatch(job('follow up'));
      return [job_id, (await ductape.jobs.get(job_id)).status];
    });
    ductape.features.define('follow up', () => {
      throw new Error('it began');
    });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await started.promise;
    const closing = ductape.close();
    for (const begin of [
      () => ductape.start(),
      () => ductape.drain(),
      async () => void ductape.features.define('late', () => {}),
    ]) {
      expect((await rejection(begin())).code).toBe('CLOSED');
    }
    finish.resolve();
    await closing;
    expect((await rejection(ductape.features.dispatch(job('report')))).code).toBe('CLOSED');
    const next = create({ store, worker: false });
    const { status, result } = await next.jobs.get(job_id);
    expect([status, result]).toEqual(['completed', [expect.any(String), 'queued']]);
    expect(await next.jobs.get((result as string[])[0] ?? '')).toMatchObject({ status: 'queued' });
  });

  it('refuses options that it does not know, and closes nothing then', async () => {
    const ductape = create();
    for (const [call, path] of [
      [() => ductape.close({ timout: 5 } as object), 'options.timout'],
      [() => ductape.close({ dispatch: 1 as unknown as boolean }), 'options.dispatch'],
      [() => ductape.start({ signal: false } as object), 'options.signal'],
      [() => ductape.start({ signals: 0 as unknown as boolean }), 'options.signals'],
      [() => ductape.start({ timeout: -1 }), 'options.timeout'],
      [() => ductape.start(null as unknown as object), 'options'],
    ] as const) {
      const { code, details } = await rejection(call());
      expect([code, details?.map((each) => each.path)]).toEqual(['VALIDATION_ERROR', [path]]);
    }
    await ductape.features.dispatch(job('report'));
  });

  it('takes other options while it closes', async () => {
    const ductape = create();
    const started = deferred();
    const finish = deferred();
    ductape.features.define('report', () => {
      started.resolve();
      return finish.promise;
    });
    await ductape.features.dispatch(job('report'));
    await started.promise;
    const closing = ductape.close();
    await ductape.features.dispatch(job('report'));
    expect((await rejection(ductape.close({ dispach: false } as object))).code).toBe('VALIDATION_ERROR');
    const again = ductape.close({ dispatch: false });
    await eventually(async () => {
      expect((await rejection(ductape.features.dispatch(job('report')))).code).toBe('CLOSED');
    });
    finish.resolve();
    await Promise.all([closing, again]);
  });

  it('refuses null and functions where options belong', async () => {
    const ductape = create();
    for (const wrong of [null, () => {}] as never[]) {
      for (const call of [
        () => ductape.start(wrong),
        () => ductape.close(wrong),
        () => ductape.drain(wrong),
        () => ductape.health(wrong),
        () => ductape.metrics(wrong),
        () => ductape.jobs.list(wrong),
        () => ductape.jobs.getStats(wrong),
        () => ductape.features.define('report', () => {}, wrong),
      ]) {
        expect((await rejection(Promise.resolve().then(() => call() as unknown))).message).toMatch(
          /must be an object, got (null|a function)/,
        );
      }
    }
    expect((await rejection(() => new Ductape([] as never))).message).toBe('options: must be an object, got a list');
  });

  it('starts no new runs while closing', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: { concurrency: 1 } });
    const started = deferred();
    const finish = deferred();
    const ran: unknown[] = [];
    ductape.features.define('report', async ({ input }) => {
      ran.push(input.index);
      started.resolve();
      await finish.promise;
    });
    for (let index = 0; index < 5; index++) await ductape.features.dispatch(job('report', { input: { index } }));
    await started.promise;
    const closing = ductape.close();
    finish.resolve();
    await closing;
    expect(ran).toEqual([0]);
    const next = create({ store, worker: false });
    expect(await next.jobs.getStats()).toMatchObject({ completed: 1, queued: 4, running: 0 });
  });

  it('aborts at its timeout and releases the run without spending an attempt', async () => {
    const store = await temporaryStore();
    const first = create({ store });
    const started = deferred();
    const reason = deferred<unknown>();
    first.features.define('report', ({ signal }) => {
      signal.addEventListener('abort', () => reason.resolve(signal.reason));
      started.resolve();
      return never();
    });
    const { job_id } = await first.features.dispatch(job('report'));
    await started.promise;
    const passed = stopwatch();
    await first.close({ timeout: 100 });
    expect(passed()).toBeGreaterThanOrEqual(90);
    expect(passed()).toBeLessThan(5_000);
    expect(await reason.promise).toMatchObject({ name: 'DuctapeError', code: 'CLOSED' });

    const second = create({ store });
    second.features.define('report', ({ attempt, run }) => ({ attempt, run }));
    expect(await second.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ attempt: 1, run: 1 });
    expect(await second.jobs.get(job_id)).toMatchObject({ attempt: 1, retry_count: 0 });
  });

  it('is not blocked by a handler that never ends during claims', async () => {
    // The moment of the close varies, and with it the state of the claims.
    for (let round = 0; round < 20; round++) {
      const ductape = create({ worker: { concurrency: 5 } });
      ductape.features.define('hang', never);
      await ductape.features.dispatchMany(Array.from({ length: 50 }, () => job('hang')));
      for (let turn = 0; turn < round * 5; turn++) await nextTurn();
      const passed = stopwatch();
      await ductape.close({ timeout: 0 });
      expect(passed()).toBeLessThan(1_000);
    }
  });

  it('rejects an invalid timeout', async () => {
    const ductape = new Ductape({ store: 'memory:' });
    expect((await rejection(ductape.close({ timeout: -1 }))).code).toBe('VALIDATION_ERROR');
    await ductape.close();
  });
});

describe('drain', () => {
  it('that is not done when the instance is closed rejects', async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    ductape.features.define('slow', () => new Promise((resolve) => setTimeout(resolve, 100)));
    await ductape.start();
    await ductape.features.dispatchMany(Array.from({ length: 200 }, () => job('slow')));
    const drained = ductape.drain();
    const rejected = rejection(drained);
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBeGreaterThan(0));
    await ductape.close({ timeout: 10 });
    expect((await rejected).code).toBe('CLOSED');
  });

  it('runs what is due and reports it', async () => {
    const ductape = create();
    let ran = 0;
    const dispatches = [
      job('fine'),
      job('fine'),
      job('fine'),
      job('fails'),
      job('retries', { retries: 5, retryConfig: { initialDelay: 60_000 } }),
      job('unknown'),
      job('fine', { schedule: { start_at: Date.now() + 3_600_000 } }),
    ];
    await ductape.features.dispatchMany(dispatches);
    ductape.features.define('fine', () => ++ran);
    for (const tag of ['fails', 'retries']) {
      ductape.features.define(tag, () => {
        throw new Error('x');
      });
    }
    expect(await ductape.drain()).toEqual({ completed: 3, failed: 1, retried: 1, released: 0, remaining: 0 });
    expect(ran).toBe(3);
    expect(await ductape.jobs.getStats()).toMatchObject({
      completed: 3,
      failed: 1,
      // One waits for its retry, one for its start time.
      scheduled: 2,
      queued: 1,
      running: 0,
    });
  });

  it('reports nothing when there is nothing', async () => {
    const ductape = create();
    expect(await ductape.drain()).toEqual({ completed: 0, failed: 0, retried: 0, released: 0, remaining: 0 });
  });

  it('releases running and unstarted runs at its timeout', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: { concurrency: 1 } });
    const reason = deferred<unknown>();
    ductape.features.define('hang', ({ signal }) => {
      signal.addEventListener('abort', () => reason.resolve(signal.reason));
      return never();
    });
    await ductape.features.dispatchMany([job('hang'), job('hang'), job('hang')]);
    const passed = stopwatch();
    const report = await ductape.drain({ timeout: 100 });
    expect(passed()).toBeLessThan(5_000);
    expect(report).toEqual({ completed: 0, failed: 0, retried: 0, released: 1, remaining: 3 });
    expect(await reason.promise).toMatchObject({ code: 'CLOSED' });
    await ductape.close({ timeout: 0 });

    const next = create({ store });
    expect(await next.jobs.getStats()).toMatchObject({ queued: 3, running: 0 });
    next.features.define('hang', ({ attempt }) => attempt);
    expect(await next.drain()).toMatchObject({ completed: 3, remaining: 0 });
    const { jobs } = await next.jobs.list();
    expect(jobs.map(({ result }) => result)).toEqual([1, 1, 1]);
  });

  it('reports every run, whenever it ends', async () => {
    for (let round = 0; round < 20; round++) {
      const ductape = create();
      ductape.features.define('hang', never);
      ductape.features.define('fine', () => {});
      await ductape.features.dispatchMany([job('hang'), job('hang'), job('hang')]);
      expect(await ductape.drain({ timeout: 10 })).toMatchObject({ released: 3, remaining: 3 });
      await ductape.close({ timeout: 0 });

      const another = create();
      await another.features.dispatchMany(Array.from({ length: 50 }, () => job('fine')));
      another.features.define('fine', () => {});
      expect(await another.drain()).toMatchObject({ completed: 50, remaining: 0 });
      await another.close();
    }
  });

  it('works in an HTTP endpoint for jobs dispatched elsewhere', async () => {
    const store = await temporaryStore();
    const dispatcher = create({ store, worker: false });
    for (let round = 1; round <= 3; round++) {
      await dispatcher.features.dispatchMany([job('report'), job('report')]);
      const endpoint = new Ductape({ store, product: 'shop', env: 'test' });
      endpoint.features.define('report', () => 'done');
      expect(await endpoint.drain({ timeout: 10_000 })).toMatchObject({ completed: 2, remaining: 0 });
      await endpoint.close();
      expect((await dispatcher.jobs.getStats()).completed).toBe(2 * round);
    }
  });
});

describe('the store', () => {
  const report = `
    import Ductape from 'ductape';
    const ductape = new Ductape({ product: 'shop', env: 'test', worker: false });
    await ductape.features.dispatch({ tag: 'report', input: {} }).then(
      ({ status }) => console.log('status', status),
      ({ code, message }) => console.log('refused', code, message),
    );
  `;

  it('is .ductape/jobs.db in the working folder by default, kept out of git', async () => {
    const cwd = await temporaryFolder();
    const child = script(report, [], { cwd });
    expect(await child.waitForLine('status')).toBe('queued');
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(await readFile(join(cwd, '.ductape/.gitignore'), 'utf8')).toBe('*\n');
    expect(await countJobs(create({ store: `sqlite:${join(cwd, '.ductape/jobs.db')}`, worker: false }))).toBe(1);
  });

  it('is taken from DUCTAPE_STORE', async () => {
    const cwd = await temporaryFolder();
    const child = script(report, [], { cwd, env: { DUCTAPE_STORE: 'sqlite:elsewhere/mine.db' } });
    expect(await child.waitForLine('status')).toBe('queued');
    await child.ended;
    expect(await exists(join(cwd, '.ductape'))).toBe(false);
    // A folder that the program chose is left alone.
    expect(await exists(join(cwd, 'elsewhere/.gitignore'))).toBe(false);
    expect(await countJobs(create({ store: `sqlite:${join(cwd, 'elsewhere/mine.db')}`, worker: false }))).toBe(1);
  });

  it('is taken from the option before DUCTAPE_STORE', async () => {
    const cwd = await temporaryFolder();
    const child = script(report.replace('{ product', `{ store: 'sqlite:option.db', product`), [], {
      cwd,
      env: { DUCTAPE_STORE: 'sqlite:variable.db' },
    });
    await child.ended;
    expect(await exists(join(cwd, 'option.db'))).toBe(true);
    expect(await exists(join(cwd, 'variable.db'))).toBe(false);
  });

  it('has its relative path resolved when the instance is made', async () => {
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, 'other'));
    const child = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: 'sqlite:jobs.db', product: 'shop', env: 'test', worker: false });
       process.chdir('other');
       await ductape.features.dispatch({ tag: 'report', input: {} });`,
      [],
      { cwd },
    );
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(await exists(join(cwd, 'jobs.db'))).toBe(true);
    expect(await readdir(join(cwd, 'other'))).toEqual([]);
  });

  it.each([
    ['AWS_LAMBDA_FUNCTION_NAME', 'Lambda'],
    ['VERCEL', 'Vercel'],
    ['K_SERVICE', 'Cloud Run'],
  ])('is refused with a remedy where %s indicates an ephemeral disk', async (variable, name) => {
    const cwd = await temporaryFolder();
    const child = script(report, [], { cwd, env: { [variable]: 'x' } });
    const refused = await child.waitForLine('refused');
    expect(refused).toMatch(/^STORE_ERROR /);
    expect(refused).toContain(name);
    expect(refused).toMatch(/store: 'sqlite:/);
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(await readdir(cwd)).toEqual([]);
  });

  it('is accepted there when given explicitly', async () => {
    const cwd = await temporaryFolder();
    const env = { AWS_LAMBDA_FUNCTION_NAME: 'x', DUCTAPE_STORE: 'sqlite:mnt/jobs.db' };
    expect(await script(report, [], { cwd, env }).waitForLine('status')).toBe('queued');
  });

  it('is readable by its owner alone', async () => {
    const store = await temporaryStore();
    const path = store.slice('sqlite:'.length);
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('report'));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    // The WAL file holds the same data.
    if (await exists(`${path}-wal`)) expect((await stat(`${path}-wal`)).mode & 0o777).toBe(0o600);
  });

  it('creates missing folders', async () => {
    const folder = await temporaryFolder();
    const ductape = create({ store: `sqlite:${join(folder, 'a/b/c/jobs.db')}`, worker: false });
    await ductape.features.dispatch(job('report'));
    expect(await exists(join(folder, 'a/b/c/jobs.db'))).toBe(true);
  });

  it('is not opened before the first call that needs it', async () => {
    const folder = await temporaryFolder();
    const ductape = create({ store: `sqlite:${join(folder, 'jobs.db')}` });
    expect(ductape.version.package).toMatch(/^\d+\.\d+\.\d+/);
    expect(ductape.version.tzdb).toMatch(/^\d{4}[a-z]$/);
    await ductape.jobs.preview({ cron: '* * * * *' });
    expect(await readdir(folder)).toEqual([]);
    // A registered handler starts the worker: jobs may wait for it.
    ductape.features.define('report', () => {});
    await eventually(async () => expect(await readdir(folder)).toContain('jobs.db'));
  });

  it('persists everything for the next instance', async () => {
    const store = await temporaryStore();
    const first = create({ store });
    first.features.define('report', () => ({ pages: 3 }));
    const { job_id } = await first.features.dispatch(
      job('report', { input: { a: 1 }, tags: ['x', 'y'], priority: 4, retries: 2 }),
    );
    await first.jobs.wait(job_id, { timeout: 10_000 });
    const before = await first.jobs.get(job_id);
    const history = await first.jobs.getHistory(job_id);
    await first.close();
    const second = create({ store, worker: false });
    expect(await second.jobs.get(job_id)).toEqual(before);
    expect(await second.jobs.getHistory(job_id)).toEqual(history);
    expect(before).toMatchObject({ tags: ['x', 'y'], priority: 4, retries: 2, result: { pages: 3 } });
  });
});
