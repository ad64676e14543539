// Size of a PostgreSQL database while jobs are dispatched, run and swept: tables, indexes and dead rows after each quarter.
// Usage: DUCTAPE_TEST_POSTGRES=postgres://… node bench/node/scheduler/sizes.mjs [jobs] [kept]
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';
import pg from 'pg';

const server = process.env.DUCTAPE_TEST_POSTGRES;
if (!server) throw new Error('DUCTAPE_TEST_POSTGRES names no server');
const jobs = Number(process.argv[2] ?? 1_000_000);
const kept = Number(process.argv[3] ?? 10_000);
const BATCH = 1_000;
/** Upper bound of the waiting jobs, so that dispatches and runs overlap. */
const WAITING = 20_000;
const schema = `ductape_sizes_${process.pid}`;
const url = new URL(server);
url.searchParams.set('schema', schema);

const client = new pg.Client(server);
await client.connect();
const mib = (bytes) => (Number(bytes) / 2 ** 20).toFixed(1);

async function print(done) {
  // The statistics collector is up to date by then.
  await delay(2_000);
  const { rows } = await client.query(
    `SELECT relname AS name, pg_table_size(oid) AS heap, pg_indexes_size(oid) AS indexes,
            pg_stat_get_live_tuples(oid) AS live, pg_stat_get_dead_tuples(oid) AS dead,
            pg_stat_get_autovacuum_count(oid) AS vacuums
     FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND pg_table_size(oid) > 65536
     ORDER BY pg_total_relation_size(oid) DESC`,
    [schema],
  );
  const all = rows.reduce((sum, row) => sum + Number(row.heap) + Number(row.indexes), 0);
  console.log(`\nafter ${done.toLocaleString('en')} jobs: ${mib(all)} MiB\n`);
  console.log('| table | heap, MiB | indexes, MiB | rows | dead rows | vacuums |\n|---|---|---|---|---|---|');
  for (const { name, heap, indexes, live, dead, vacuums } of rows) {
    console.log(`| \`${name}\` | ${mib(heap)} | ${mib(indexes)} | ${live} | ${dead} | ${vacuums} |`);
  }
}

const ductape = new Ductape({
  store: url.href,
  product: 'shop',
  env: 'prd',
  worker: { concurrency: 100 },
  retention: { completed: { count: kept } },
});
try {
  let ran = 0;
  ductape.actions.handle({ app: 'shop', event: 'made' }, () => {
    ran++;
  });
  await ductape.start({ signals: false });
  const began = performance.now();
  for (let sent = 0; sent < jobs; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, n) => ({
      app: 'shop',
      event: 'made',
      input: { n: sent + n, userId: 'user_123', email: 'john@example.com', template: 'welcome' },
    }));
    await ductape.actions.dispatchMany(batch);
    while (ran < sent + BATCH - WAITING) await delay(5);
    if ((sent + BATCH) % (jobs / 4) === 0) {
      while (ran < sent + BATCH) await delay(5);
      await print(sent + BATCH);
    }
  }
  console.log(`\n${Math.round((jobs / (performance.now() - began)) * 1000)} jobs/s, dispatched, run and swept`);
  const { rows } = await client.query(`SELECT count(*) AS n FROM "${schema}".jobs`);
  console.log(`${rows[0].n} jobs are kept`);
} finally {
  await ductape.close();
  await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  await client.end();
}
