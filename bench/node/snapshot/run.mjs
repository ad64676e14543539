// Queues on PostgreSQL while somebody keeps an old snapshot open, as a dump or a forgotten transaction does: what is deleted meanwhile
// stays in tables and indexes. Each queue dispatches and runs all the time, with and without such a snapshot; the rate of runs is taken
// once a second, for ductape also how long lists take. Prints a table; with --publish it also goes between its marks in
// docs/performance.md, and the chart to docs/snapshot.svg. Usage: node run.mjs [--seconds 150] [--only <part of a name>]
// [--out folder] [--publish]; DUCTAPE_TEST_POSTGRES names the server.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { versionOf } from '../peers/contenders.mjs';
import { quantile } from '../peers/measures.mjs';
import { publish } from '../peers/publish.mjs';
import { findPostgres } from '../peers/servers.mjs';
import { rateChart } from './chart.mjs';
import { BATCH, CONCURRENCY, LANES } from './load.mjs';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '150' },
    only: { type: 'string' },
    out: { type: 'string', default: join(import.meta.dirname, 'results') },
    publish: { type: 'boolean' },
  },
});
/** Seconds at either end whose rates are compared. */
const EDGE = 15;
const seconds = Number(options.seconds);
if (!(Number.isInteger(seconds) && seconds >= 2 * EDGE)) {
  throw new Error(`--seconds must be a whole number from ${2 * EDGE} on, got ${options.seconds}`);
}
if (options.publish && options.only) throw new Error('--publish is for all queues, without --only');
/** Lowest accepted ratio of the last rate to the first, and the longest accepted list, of ductape with a snapshot. */
const GOALS = { ratio: 0.8, list: 50 };
const NAMES = ['ductape, PostgreSQL', 'graphile-worker, local queue', 'pg-boss'].filter(
  (name) => !options.only || name.includes(options.only),
);

const server = await findPostgres();
if (!server) throw new Error('no PostgreSQL answers at the address in DUCTAPE_TEST_POSTGRES');

async function holdSnapshot() {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT 1');
  return client;
}

/** Samples of one queue. */
async function measure(name, held) {
  const place = { name: `ductape_snapshot_${process.pid}`, postgres: server.url };
  const holder = held ? await holdSnapshot() : undefined;
  try {
    const script = join(import.meta.dirname, 'case.mjs');
    const child = spawn(process.execPath, [script, name, String(seconds), JSON.stringify(place)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const samples = [];
    for await (const line of createInterface({ input: child.stdout })) samples.push(JSON.parse(line));
    if ((await ended) !== 0) throw new Error(`the process of ${name} failed`);
    return samples;
  } finally {
    await holder?.end();
    await server.drop(place.name);
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const perSecond = (rate) => `${Math.round(rate).toLocaleString('en')}/s`;

function figuresOf(samples) {
  const rates = samples.map(({ rate }) => rate);
  const [first, last] = [mean(rates.slice(0, EDGE)), mean(rates.slice(-EDGE))];
  const lists = samples.flatMap((sample) => Object.values(sample.lists));
  return { first, last, ratio: last / first, lists };
}

function row({ name, held, samples }) {
  const { first, last, ratio, lists } = figuresOf(samples);
  const list = lists.length === 0 ? '–' : `${quantile(lists, 0.5).toFixed(1)} / ${Math.max(...lists).toFixed(0)} ms`;
  return [
    `${name} ${versionOf(name)}`,
    held ? 'open' : 'none',
    perSecond(first),
    perSecond(last),
    ratio.toFixed(2),
    list,
  ];
}

const cases = [];
try {
  for (const name of NAMES) {
    for (const held of [false, true]) cases.push({ name, held, samples: await measure(name, held) });
  }
} finally {
  await server.stop();
}

const head = ['queue', 'snapshot', `runs, first ${EDGE} s`, `last ${EDGE} s`, 'ratio', 'list, p50 / longest'];
const table = [head, ['---', '---', '---:', '---:', '---:', '---:'], ...cases.map(row)]
  .map((cells) => `| ${cells.join(' | ')} |`)
  .join('\n');
const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}, PostgreSQL ${server.version}; ${seconds} s each, ${LANES} batches of ${BATCH} in flight, concurrency ${CONCURRENCY}.`;
const chart = rateChart(cases, seconds);
mkdirSync(options.out, { recursive: true });
writeFileSync(join(options.out, 'results.json'), `${JSON.stringify({ machine, cases }, null, 2)}\n`);
writeFileSync(join(options.out, 'snapshot.svg'), chart);
console.log(`${machine}\n\n${table}\n`);
for (const { name, samples } of cases.filter(({ name, held }) => held && name.startsWith('ductape'))) {
  const { ratio, lists } = figuresOf(samples);
  const verdict = (good, text) => console.log(`${good ? 'met' : 'MISSED'}: ${name} with a snapshot, ${text}`);
  verdict(ratio >= GOALS.ratio, `rate at the end: ${ratio.toFixed(2)} of that at first (≥ ${GOALS.ratio})`);
  verdict(Math.max(...lists) <= GOALS.list, `longest list: ${Math.max(...lists).toFixed(0)} ms (≤ ${GOALS.list} ms)`);
}
if (options.publish) {
  const picture = '![Runs per second over time, with and without an old snapshot](snapshot.svg)';
  publish('docs/performance.md', 'snapshot', `${picture}\n\n${machine}\n\n${table}`);
  writeFileSync(join(import.meta.dirname, '../../../docs/snapshot.svg'), chart);
}
