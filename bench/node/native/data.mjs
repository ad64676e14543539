// Jobs that read and write databases and graphs without a handler: rate, CPU and memory at a concurrency of 100, on SQLite and on
// each server that a DUCTAPE_TEST_… variable names. Each kind of data has a process of its own.
// Usage: node bench/node/native/data.mjs [jobs]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';
import { mib, rate, row } from '../scheduler/figures.mjs';

const CONCURRENCY = 100;
const KINDS = ['sqlite', 'postgresql', 'mysql', 'mongodb', 'dynamodb', 'neo4j'];
const TABLE = 'ductape_bench';
const VARIABLES = { postgresql: 'POSTGRES', mysql: 'MYSQL', mongodb: 'MONGODB', dynamodb: 'DYNAMODB', neo4j: 'NEO4J' };
const SQL = `CREATE TABLE ${TABLE} (id INTEGER PRIMARY KEY, note VARCHAR(100))`;
const NOTE = 'a note of some forty characters, not more';

const addressOf = (kind, folder) =>
  kind === 'sqlite' ? `sqlite:${join(folder, 'data.db')}` : process.env[`DUCTAPE_TEST_${VARIABLES[kind]}`];

/** What jobs are dispatched with: a read and a write by key, and what prepares and removes the data. */
function jobsOf(kind) {
  if (kind === 'neo4j') {
    const of = (operation, input) => ({ graph: 'data', operation, input });
    const labels = [TABLE];
    return {
      namespace: 'graphs',
      write: (id) => of('createNode', { labels, properties: { id, note: NOTE } }),
      read: (id) => of('findNodes', { labels, where: { id }, limit: 1 }),
      prepare: [],
      remove: [of('deleteNodes', { labels, all: true })],
    };
  }
  const of = (operation, input) => ({ database: 'data', operation, input });
  const sql = ['sqlite', 'postgresql', 'mysql'].includes(kind);
  const KeySchema = [{ AttributeName: 'id', KeyType: 'HASH' }];
  const AttributeDefinitions = [{ AttributeName: 'id', AttributeType: 'N' }];
  const params = { TableName: TABLE, KeySchema, AttributeDefinitions, BillingMode: 'PAY_PER_REQUEST' };
  const indexes = [{ key: { id: 1 }, name: 'id' }];
  const tables = {
    dynamodb: [
      of('raw', { operation: 'CreateTable', params }),
      of('raw', { operation: 'DeleteTable', params: { TableName: TABLE } }),
    ],
    mongodb: [of('raw', { command: { createIndexes: TABLE, indexes } }), of('raw', { command: { drop: TABLE } })],
  };
  const bySql = [of('raw', { sql: SQL }), of('raw', { sql: `DROP TABLE ${TABLE}` })];
  const [create, drop] = sql ? bySql : tables[kind];
  return {
    namespace: 'databases',
    write: (id) => of('insert', { data: { id, note: NOTE } }),
    read: (id) => of('findOne', { where: { id } }),
    prepare: [create],
    remove: [drop],
  };
}

async function measure(kind, address, count) {
  const jobs = jobsOf(kind);
  const envs = [{ slug: 'prd', connection_url: address }];
  const resource = { tag: 'data', type: kind, envs, ...(kind !== 'neo4j' && { table: TABLE }) };
  const ductape = new Ductape({
    store: 'memory:',
    product: 'shop',
    env: 'prd',
    worker: { concurrency: CONCURRENCY },
    resources: { products: [{ tag: 'shop', [jobs.namespace]: [resource] }] },
  });
  const namespace = ductape[jobs.namespace];
  const alone = async (job) => ductape.jobs.wait((await namespace.dispatch(job)).job_id, { timeout: 30_000 });
  /** Stores jobs, then measures their runs until the last has ended. */
  const round = async (make, from, number) => {
    const { completed } = await ductape.jobs.getStats();
    const start_at = Date.now() + 1_000 + number / 20;
    const ids = Array.from({ length: number }, (_, index) => from + index);
    while (ids.length > 0) {
      await namespace.dispatchMany(ids.splice(0, 1_000).map((id) => ({ ...make(id), schedule: { start_at } })));
    }
    await delay(Math.max(0, start_at - Date.now()));
    const [cpu, start] = [process.cpuUsage(), performance.now()];
    for (let stats = { completed }; stats.completed < completed + number; ) {
      await delay(10);
      stats = await ductape.jobs.getStats();
      if (stats.failed > 0) {
        const [job] = (await ductape.jobs.list({ status: 'failed', limit: 1 })).jobs;
        throw new Error(`a job failed: ${JSON.stringify(job.error)}`);
      }
    }
    const { user, system } = process.cpuUsage(cpu);
    return { ms: performance.now() - start, cpu: (user + system) / number };
  };
  try {
    for (const job of jobs.remove) await alone(job).catch(() => {});
    await ductape.jobs.deleteMany({ status: 'failed' });
    for (const job of jobs.prepare) await alone(job);
    await round(jobs.write, 0, 200);
    const write = await round(jobs.write, 1_000, count);
    const read = await round(jobs.read, 1_000, count);
    return { write, read, rss: process.memoryUsage.rss() };
  } finally {
    for (const job of jobs.remove) await alone(job).catch(() => {});
    await ductape.close();
  }
}

if (process.send) {
  const [kind, address, count] = process.argv.slice(2);
  process.send(await measure(kind, address, Number(count)));
  process.disconnect();
} else {
  const [count = 5_000] = process.argv.slice(2).map(Number);
  const folder = mkdtempSync(join(tmpdir(), 'ductape-bench-'));
  console.log(
    `${count} jobs, ${CONCURRENCY} at once; Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`,
  );
  row('', 'insert', 'CPU each', 'read by key', 'CPU each', 'RSS');
  row('---', '---', '---', '---', '---', '---');
  for (const kind of KINDS) {
    const address = addressOf(kind, folder);
    if (!address) {
      console.log(`| ${kind} | not measured: DUCTAPE_TEST_${VARIABLES[kind]} names no server |`);
      continue;
    }
    const child = fork(import.meta.filename, [kind, address, String(count)]);
    const ended = once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`${kind}: the process ended with ${code}`)),
    );
    const [{ write, read, rss }] = await Promise.race([once(child, 'message'), ended]);
    ended.catch(() => {});
    const cpu = (figures) => `${figures.cpu.toFixed(0)} µs`;
    row(kind, rate(count, write.ms), cpu(write), rate(count, read.ms), cpu(read), mib(rss));
  }
  rmSync(folder, { recursive: true, force: true });
}
