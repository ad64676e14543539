// The package on PostgreSQL: what its users do, and several processes. `DUCTAPE_TEST_POSTGRES` names the database;
// without it these tests are skipped.
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ductape } from './support/ductape.js';
import {
  create,
  eventually,
  job,
  waitForFirstRun,
  recordingLogger,
  rejection,
  temporaryFolder,
} from './support/instances.js';
import { readLines, type Program, program, script, tally } from './support/processes.js';
import { address } from './support/servers.js';

const server = address('DUCTAPE_TEST_POSTGRES');
let number = 0;

/** The address of a schema of this test's own, dropped when the test ends. */
function schema(): string {
  const url = new URL(server ?? 'postgres://localhost/test');
  const name = `ductape_js_${process.pid}_${number++}`;
  url.searchParams.set('schema', name);
  // Registered first, so it runs when whatever used it is closed.
  onTestFinished(async () => {
    const client = new pg.Client(server);
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`);
    await client.end();
  });
  return url.href;
}

async function stop(child: Program) {
  child.sendLine('stop');
  expect(await child.ended).toMatchObject({ code: 0, signal: null });
}

describe.skipIf(!server)('on PostgreSQL', () => {
  it('jobs are dispatched, run and listed', async () => {
    const ductape = create({ store: schema() });
    const seen: unknown[] = [];
    ductape.features.define('report', ({ input, attempt }) => {
      seen.push([input, attempt]);
      return { pages: 3 };
    });
    const { job_id, status } = await ductape.features.dispatch(
      job('report', { input: { b: 1, a: '"ü\u0000' }, tags: ['x'] }),
    );
    expect(status).toBe('queued');
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ pages: 3 });
    expect(seen).toEqual([[{ b: 1, a: '"ü\u0000' }, 1]]);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', result: { pages: 3 }, tags: ['x'] });
    expect((await ductape.jobs.list({ tags: ['x'] })).jobs).toHaveLength(1);
    expect(await ductape.jobs.getStats()).toMatchObject({ total: 1, completed: 1, completed_first_try: 1 });
    expect(await ductape.jobs.getHistory(job_id)).toMatchObject({ total_executions: 1, successful_executions: 1 });
  });

  it('retries, recurring jobs, keys and changes work as on other stores', async () => {
    const ductape = create({ store: schema() });
    let calls = 0;
    ductape.features.define('flaky', () => {
      if (++calls === 1) throw new Error('once');
      return 'well';
    });
    ductape.features.define('tick', ({ run }) => run);
    const retryConfig = { initialDelay: 10 };
    const flaky = await ductape.features.dispatch(job('flaky', { retries: 2, retryConfig }));
    expect(await ductape.jobs.wait(flaky.job_id, { timeout: 10_000 })).toBe('well');
    const tick = await ductape.features.dispatch(job('tick', { job_id: 'tick', schedule: { every: 50, limit: 3 } }));
    await eventually(async () =>
      expect(await ductape.jobs.get(tick.job_id)).toMatchObject({ status: 'completed', execution_count: 3 }),
    );
    const later = await ductape.features.dispatch(job('flaky', { schedule: { start_at: Date.now() + 3_600_000 } }));
    await ductape.jobs.pause(later.job_id);
    expect(await ductape.jobs.get(later.job_id)).toMatchObject({ status: 'paused' });
    await ductape.jobs.resume(later.job_id);
    await ductape.jobs.cancel(later.job_id, { reason: 'no longer' });
    expect(await ductape.jobs.get(later.job_id)).toMatchObject({ status: 'cancelled', cancel_reason: 'no longer' });
    const unique = { key: 'one' };
    const first = await ductape.features.dispatch(job('unserved', { unique }));
    expect((await ductape.features.dispatch(job('unserved', { unique }))).job_id).toBe(first.job_id);
    expect(await ductape.jobs.cancelMany({ status: 'queued' })).toEqual({ count: 1 });
  });

  it('10,000 jobs of one process run in others, once each', { timeout: 90_000 }, async () => {
    const store = schema();
    const folder = await temporaryFolder();
    const options = JSON.stringify({ worker: { concurrency: 50 } });
    const logs = [1, 2].map((name) => join(folder, `calls-${name}`));
    const workers = logs.map((log) => program('worker', [store, log, options]));
    await Promise.all(workers.map((worker) => worker.waitForLine('ready')));
    const ductape = create({ store, worker: false });
    const results = [];
    for (let batch = 0; batch < 8; batch++) {
      results.push(...(await ductape.features.dispatchMany(Array.from({ length: 1_000 }, () => job('count')))));
    }
    results.push(...(await Promise.all(Array.from({ length: 2_000 }, () => ductape.features.dispatch(job('count'))))));
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(10_000), 60_000);
    const calls = tally((await Promise.all(logs.map((log) => readLines(log)))).flat());
    expect(calls.size).toBe(10_000);
    expect([...calls].filter(([, count]) => count !== 1)).toEqual([]);
    expect(results.filter(({ job_id }) => !calls.has(job_id))).toEqual([]);
    for (const worker of workers) await stop(worker);
  });

  it('a running job is cancelled from another process', async () => {
    const store = schema();
    const options = JSON.stringify({ worker: { concurrency: 1 } });
    const worker = program('worker', [store, join(await temporaryFolder(), 'calls'), options]);
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('hang'));
    await worker.waitForLine('hangs');
    await ductape.jobs.cancel(job_id, { reason: 'from afar' });
    // The slot it held, the only one, becomes free.
    const next = await ductape.features.dispatch(job('count'));
    await ductape.jobs.wait(next.job_id, { timeout: 20_000 });
    await stop(worker);
  });

  it('a job whose process was killed is taken over after its lease, and spends no retry', {
    timeout: 60_000,
  }, async () => {
    const store = schema();
    const victim = program('worker', [store, join(await temporaryFolder(), 'calls')]);
    const ductape = create({ store });
    await victim.waitForLine('ready');
    const { job_id } = await ductape.features.dispatch(job('hang'));
    await victim.waitForLine('hangs');
    ductape.features.define('hang', () => 'done');
    victim.process.kill('SIGKILL');
    expect(await ductape.jobs.wait(job_id, { timeout: 30_000 })).toBe('done');
    expect(await ductape.jobs.get(job_id)).toMatchObject({ attempt: 2, retry_count: 0 });
  });

  it('a dispatching script exits at once after its last await', async () => {
    const source = `
      import Ductape from 'ductape';
      const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test', worker: false });
      console.log('status', (await ductape.features.dispatch({ tag: 'report', input: {} })).status);
    `;
    const child = script(source, [schema()]);
    expect(await child.waitForLine('status')).toBe('queued');
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(child.stderr()).toBe('');
  });

  it('a dispatch in a transaction of the caller takes effect with its commit', async () => {
    const ductape = create({ store: schema() });
    const ran: string[] = [];
    ductape.features.define('report', ({ id }) => void ran.push(id));
    const client = new pg.Client(server);
    await client.connect();
    onTestFinished(() => client.end());
    const dispatched = async (end: string, input = job('report', { input: { a: '\u0000ü' }, tags: ['x'] })) => {
      const statement = await ductape.features.statement(input);
      await client.query('BEGIN');
      const { rows } = await client.query<{ job_id: string; status: string }>(statement);
      await client.query(end);
      return rows[0];
    };
    const undone = await dispatched('ROLLBACK');
    const done = await dispatched('COMMIT');
    expect(done).toMatchObject({ status: 'queued' });
    await eventually(() => expect(ran).toEqual([done?.job_id]), 5_000);
    expect((await rejection(ductape.jobs.get(undone?.job_id ?? ''))).code).toBe('NOT_FOUND');
    expect(await ductape.jobs.get(done?.job_id ?? '')).toMatchObject({ input: { a: '\u0000ü' }, tags: ['x'] });
    const later = job('report', { job_id: 'mine', schedule: { start_at: Date.now() + 3_600_000 } });
    expect(await dispatched('COMMIT', later)).toMatchObject({ job_id: 'mine', status: 'scheduled' });
    expect(await dispatched('COMMIT', later)).toMatchObject({ job_id: 'mine', status: 'scheduled' });
    const refused = await rejection(ductape.features.statement(job('report', { unique: { key: 'k' } })));
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR' });
    expect(refused.message).toMatch(/unique: /);
    const elsewhere = create();
    expect((await rejection(elsewhere.features.statement(job('report')))).message).toMatch(/PostgreSQL/);
  });

  it('a recurring job is dispatched in a transaction of the caller, and warned of as by a dispatch', async () => {
    const logger = recordingLogger();
    const ductape = create({ store: schema(), worker: false, logger });
    const client = new pg.Client(server);
    await client.connect();
    onTestFinished(() => client.end());
    const day = 86_400_000;
    const ids = [];
    for (const named of [{}, { job_id: 'mine', onConflict: 'return' as const }]) {
      const statement = await ductape.features.statement(job('report', { schedule: { every: day }, ...named }));
      const { rows } = await client.query<{ job_id: string; recurring: boolean }>(statement);
      expect(rows[0]).toMatchObject({ recurring: true });
      ids.push(rows[0]?.job_id ?? '');
    }
    expect(ids).toEqual([expect.stringMatching(/^job_/), 'mine']);
    for (const id of ids) expect(await ductape.jobs.get(id)).toMatchObject({ recurring: true, every: day });
    const replacing = job('report', { job_id: 'mine', schedule: { every: day } });
    const refused = await rejection(ductape.features.statement(replacing));
    expect([refused.code, refused.message]).toEqual([
      'VALIDATION_ERROR',
      expect.stringMatching(/^onConflict: .*'return'/),
    ]);
    expect(logger.messagesAt('warn')).toEqual([]);
    await ductape.features.statement(job('report', { job_id: 'early', schedule: { start_at: 1_800_000_000 } }));
    expect(logger.messagesAt('warn')).toEqual([
      expect.stringMatching(
        /^ductape: job early \(features report \(shop, test\)\): schedule.start_at: 1800000000 is 1970-01-21/,
      ),
    ]);
  });

  it('the same calls work through a pooler', async () => {
    const ductape = create({ store: `${schema()}&pgbouncer=true&connections=2` });
    ductape.features.define('report', () => 1);
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect((await waitForFirstRun(ductape, job_id)).status).toBe('completed');
  });

  it('a call rejects and names a missing database', async () => {
    const url = new URL(server ?? '');
    url.pathname = '/no_such_database';
    const ductape = create({ store: url.href, worker: false });
    const error = await rejection(ductape.features.dispatch(job('report')));
    expect(error.code).toBe('CONNECTION_ERROR');
    expect(error.message).toContain('no_such_database');
  });
});

describe('an address of PostgreSQL', () => {
  it('is validated at construction, without its password in messages', async () => {
    for (const store of [
      'postgres://me:s3cret@h/d?sslmode=maybe',
      'postgres://me:s3cret@:x/d',
      'postgres://me:s3cret@h/d?schema=a.b',
    ]) {
      const error = await rejection(() => new Ductape({ store, product: 'shop', env: 'test' }));
      expect(error.code).toBe('VALIDATION_ERROR');
      expect(error.message).toMatch(/store: /);
      expect(error.message).not.toContain('s3cret');
    }
  });

  it('that does not respond rejects with CONNECTION_ERROR and blocks nothing', { timeout: 40_000 }, async () => {
    const began = Date.now();
    const ductape = create({ store: 'postgres://me:s3cret@127.0.0.1:1/d', worker: false, logger: recordingLogger() });
    expect(Date.now() - began).toBeLessThan(2_000);
    const error = await rejection(ductape.features.dispatch(job('report')));
    expect(error.code).toBe('CONNECTION_ERROR');
    expect(error.message).not.toContain('s3cret');
  });
});
