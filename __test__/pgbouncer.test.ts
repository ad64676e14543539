// Through a PgBouncer in transaction mode, where no connection is the package's own. `DUCTAPE_TEST_PGBOUNCER` names a
// database behind one; without it these tests are skipped. CONTRIBUTING.md says how to start one.
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { create, eventually, job } from './support/instances.js';
import { address } from './support/servers.js';

const pooler = address('DUCTAPE_TEST_PGBOUNCER');
let number = 0;

/** The address of a schema of this test's own, dropped when the test ends. */
function schema(): string {
  const url = new URL(pooler ?? 'postgres://localhost/test');
  const name = `ductape_pooled_${process.pid}_${number++}`;
  url.searchParams.set('schema', name);
  url.searchParams.set('pgbouncer', 'true');
  // Registered first, so it runs when whatever used it is closed.
  onTestFinished(async () => {
    const client = new pg.Client(pooler);
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`);
    await client.end();
  });
  return url.href;
}

describe.skipIf(!pooler)('through PgBouncer in transaction mode', () => {
  it('jobs are dispatched, run, repeated, retried, cancelled and listed', { timeout: 60_000 }, async () => {
    const ductape = create({ store: schema() });
    let calls = 0;
    ductape.features.define('flaky', () => {
      if (++calls === 1) throw new Error('once');
      return 'well';
    });
    ductape.features.define('tick', ({ run }) => run);
    const retryConfig = { initialDelay: 10 };
    const { job_id } = await ductape.features.dispatch(job('flaky', { retries: 2, retryConfig, tags: ['x'] }));
    expect(await ductape.jobs.wait(job_id, { timeout: 20_000 })).toBe('well');
    await ductape.features.dispatch(job('tick', { job_id: 'tick', schedule: { every: 50, limit: 3 } }));
    await eventually(async () =>
      expect(await ductape.jobs.get('tick')).toMatchObject({ status: 'completed', execution_count: 3 }),
    );
    const later = await ductape.features.dispatch(job('flaky', { schedule: { start_at: Date.now() + 3_600_000 } }));
    await ductape.jobs.cancel(later.job_id, { reason: 'no longer' });
    expect(await ductape.jobs.get(later.job_id)).toMatchObject({ status: 'cancelled', cancel_reason: 'no longer' });
    expect((await ductape.jobs.list({ tags: ['x'] })).jobs).toHaveLength(1);
  });

  it('jobs of another process are found without LISTEN', { timeout: 60_000 }, async () => {
    const store = schema();
    const worker = create({ store });
    const seen: number[] = [];
    worker.features.define('count', ({ input }) => void seen.push(Number(input.n)));
    await worker.start({ signals: false });
    const other = create({ store, worker: false });
    const began = Date.now();
    await other.features.dispatch(job('count', { input: { n: 1 } }));
    await eventually(() => expect(seen).toEqual([1]));
    // It looks four times a second; the rest is the machine's.
    expect(Date.now() - began).toBeLessThan(5_000);
    const many = Array.from({ length: 2_000 }, (_, n) => job('count', { input: { n } }));
    await other.features.dispatchMany(many);
    await eventually(() => expect(seen).toHaveLength(2_001));
    expect(new Set(seen).size).toBe(2_000);
  });
});
