// A database that loses what it has committed, or is emptied or restored under running processes: no job may come to the
// handler of another target for that.
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Ductape } from './support/ductape.js';
import { create, env, eventually } from './support/instances.js';
import { postgresInstalled, startPostgres } from './support/postgres-server.js';
import { postgresStore, server } from './support/stores.js';

const dispatch = (ductape: Ductape, product: string, tag: string) =>
  ductape.features.dispatch({ product, env, tag, input: { for: `${product}/${tag}` } });

/** Handles both targets; each run is noted as the handler that it came to and what it was meant for. */
function worker(store: string): { ductape: Ductape; runs: string[] } {
  const ductape = create({ store });
  const runs: string[] = [];
  const note = (product: string, tag: string) =>
    ductape.features.handle({ product, tag }, ({ input }) => void runs.push(`${product}/${tag} did ${input.for}`));
  note('shop', 'charge_card');
  note('forum', 'delete_account');
  return { ductape, runs };
}

const [CHARGED, DELETED] = ['shop/charge_card did shop/charge_card', 'forum/delete_account did forum/delete_account'];

async function rows(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const result = await client.query(text).finally(() => client.end());
  return result.rows;
}

describe('jobs come to their own handlers', () => {
  it.skipIf(!postgresInstalled)(
    'when a server crashes that acknowledges before it writes',
    { timeout: 60_000 },
    async () => {
      const database = await startPostgres();
      const shop = create({ store: database.url, worker: false, durability: 'relaxed' });
      const forum = create({ store: database.url, worker: false });
      await forum.jobs.getStats();
      await rows(database.url, 'CHECKPOINT');
      // Nobody writes in the background what commits did not wait for.
      const [writer] = await rows(database.url, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
      process.kill((writer as { pid: number }).pid, 'SIGSTOP');
      await dispatch(shop, 'shop', 'charge_card');
      await database.crash();
      // Where a job goes is on the disk, whatever becomes of the job.
      const known = "SELECT target FROM ductape.routes WHERE product = 'shop'";
      expect(await rows(database.url, known)).toEqual([{ target: '["charge_card"]' }]);
      await dispatch(forum, 'forum', 'delete_account');
      await dispatch(shop, 'shop', 'charge_card');
      const { ductape, runs } = worker(database.url);
      await ductape.start({ signals: false });
      await eventually(() => expect(new Set(runs)).toEqual(new Set([CHARGED, DELETED])), 20_000);
      expect(runs).toEqual(expect.arrayContaining([DELETED]));
      // Acknowledged before the crash without being written: it may be lost, and then it is as if it had never been.
      expect(runs.filter((run) => run === CHARGED).length).toBeLessThanOrEqual(2);
      expect((await ductape.jobs.list({})).jobs.length).toBe(runs.length);
    },
  );

  it.skipIf(!postgresInstalled)('when a replica that lags becomes the primary', { timeout: 90_000 }, async () => {
    const primary = await startPostgres('wal_level=replica', 'hot_standby=on');
    const shop = create({ store: primary.url, worker: false });
    await shop.jobs.getStats();
    const replica = await primary.replica();
    const hosts = `${primary.address},${replica.address}`;
    const either = `postgres://tester@${hosts}/postgres?target_session_attrs=read-write`;
    const dispatcher = create({ store: either, worker: false });
    const { ductape, runs } = worker(either);
    await ductape.start({ signals: false });
    // From now on it receives nothing.
    await rows(replica.url, "ALTER SYSTEM SET primary_conninfo = ''");
    await rows(replica.url, 'SELECT pg_reload_conf()');
    await eventually(async () => expect(await rows(primary.url, 'SELECT 1 FROM pg_stat_replication')).toEqual([]));
    await dispatch(dispatcher, 'shop', 'charge_card');
    await eventually(() => expect(runs).toEqual([CHARGED]));
    await primary.stop();
    await replica.promote();
    const other = create({ store: replica.url, worker: false });
    await dispatch(other, 'forum', 'delete_account');
    await dispatch(dispatcher, 'shop', 'charge_card');
    await eventually(() => expect([...runs].sort()).toEqual([DELETED, CHARGED, CHARGED]), 40_000);
  });

  const name = `when all tables are emptied under processes that go on${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`;
  it.skipIf(!server)(name, { timeout: 60_000 }, async () => {
    const { store, schema } = await postgresStore();
    const dispatcher = create({ store, worker: false });
    const { ductape, runs } = worker(store);
    await ductape.start({ signals: false });
    await dispatch(dispatcher, 'shop', 'charge_card');
    await eventually(() => expect(runs).toEqual([CHARGED]));
    await rows(
      server ?? '',
      `DO $$ DECLARE name text; BEGIN
         FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = '${schema}' AND tablename <> 'versions' LOOP
           EXECUTE format('TRUNCATE %I.%I', '${schema}', name);
         END LOOP;
       END $$`,
    );
    const other = create({ store, worker: false });
    await dispatch(other, 'forum', 'delete_account');
    const again = await dispatch(dispatcher, 'shop', 'charge_card');
    await ductape.jobs.wait(again.job_id, { timeout: 30_000 });
    await eventually(() => expect(runs).toEqual(expect.arrayContaining([CHARGED, DELETED])), 20_000);
    expect(runs.filter((run) => run !== CHARGED && run !== DELETED)).toEqual([]);
    onTestFinished(() => ductape.close({ timeout: 1_000 }));
  });
});
