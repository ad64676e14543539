// ductape and other queues, in turn, on this machine: node run.mjs [--quick] [--rounds <n>] [--only <part of a name>] [--out <folder>]
// [--publish]
// Writes results.json, table.md and chart.svg into the folder (default: results) and prints the table; with --publish the
// table also goes between its marks in docs/performance.md, and the chart to docs/benchmark.svg. Takes twenty
// minutes, --quick three.
import { execFile } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { chart } from './chart.mjs';
import { CONTENDERS, versionOf } from './contenders.mjs';
import { MEASURES, quantile } from './measures.mjs';
import { publish } from './publish.mjs';
import { cpuOf, findServers } from './servers.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    rounds: { type: 'string' },
    only: { type: 'string' },
    out: { type: 'string', default: 'results' },
    publish: { type: 'boolean' },
  },
});
if (options.publish && options.only) throw new Error('--publish is for all contenders, without --only');
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a whole number, got ${options.rounds}`);
const LIMIT = 240_000;
/** Jobs of each measure: enough for a second or so of the fast ones; the slow ones get a share. */
const JOBS = options.quick
  ? {
      cold: 1,
      awaited: 500,
      dispatch: 20_000,
      batches: 20_000,
      run: 20_000,
      mixed: 20_000,
      latency: 200,
      lateness: 2_000,
    }
  : {
      cold: 1,
      awaited: 2_000,
      dispatch: 100_000,
      batches: 100_000,
      run: 100_000,
      mixed: 50_000,
      latency: 500,
      lateness: 3_000,
    };
/** Divisor of the number of jobs for a contender that would take minutes. */
const SHARES = {
  'graphile-worker': { dispatch: 20, batches: 5, run: 10, mixed: 20 },
  'graphile-worker, local queue': { dispatch: 20, batches: 5, run: 5, mixed: 20 },
  'pg-boss': { dispatch: 20, batches: 5, run: 50, mixed: 100, latency: 20 },
};

const execute = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'ductape-peers-'));
const servers = await findServers(folder);

function fsyncCost() {
  const file = openSync(join(folder, 'fsync'), 'w');
  const times = Array.from({ length: 200 }, () => {
    const start = performance.now();
    writeSync(file, Buffer.alloc(4096), 0, 4096, 0);
    fsyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  return quantile(times, 0.5);
}

const fsync = fsyncCost();
let places = 0;
function newPlace() {
  const name = `ductape_bench_${process.pid}_${places++}`;
  return { name, file: join(folder, `${name}.db`), redis: servers.redis?.url, postgres: servers.postgres?.url };
}

/** Figures of one round; of a measure that is about the process, from several. */
async function round(name, measure) {
  const { processes } = MEASURES[measure];
  if (!processes) return once(name, measure);
  const times = [];
  for (let n = 0; n < processes; n++) times.push((await once(name, measure))?.time);
  if (times.includes(undefined)) return null;
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

async function once(name, measure) {
  const { needs } = CONTENDERS[name];
  const place = newPlace();
  const jobs = JOBS[measure] / (SHARES[name]?.[measure] ?? 1);
  const before = cpuOf(needs);
  try {
    const args = ['measure.mjs', name, measure, String(jobs), JSON.stringify(place)];
    const { stdout } = await execute(process.execPath, args, { cwd: import.meta.dirname, timeout: LIMIT });
    const figures = JSON.parse(stdout.trim().split('\n').at(-1));
    return figures && { ...figures, serverCpu: (cpuOf(needs) - before) / jobs };
  } catch (error) {
    console.error(
      `${name}, ${measure}: ${String(error.stderr || error.message)
        .trim()
        .split('\n')
        .slice(-3)
        .join(' | ')}`,
    );
    return null;
  } finally {
    await servers.postgres?.drop(place.name);
  }
}

const median = (values) => quantile(values, 0.5);
function summary(runs) {
  const good = runs.filter(Boolean);
  if (good.length === 0) return null;
  return Object.fromEntries(Object.keys(good[0]).map((key) => [key, median(good.map((run) => run[key]))]));
}

const has = (need) => need === 'file' || servers[need] !== undefined;
const names = Object.keys(CONTENDERS).filter((name) => !options.only || name.includes(options.only));
for (const name of names.filter((each) => !has(CONTENDERS[each].needs))) {
  console.error(`${name} is left out: no ${CONTENDERS[name].needs} at the address it was looked for`);
}
const present = names.filter((name) => has(CONTENDERS[name].needs));

const results = {};
try {
  for (const measure of Object.keys(MEASURES)) {
    const runs = Object.fromEntries(present.map((name) => [name, []]));
    // Contenders take turns in each round, so that other load on the machine affects all of them.
    for (let turn = 0; turn < rounds; turn++) {
      for (const name of present) runs[name].push(await round(name, measure));
    }
    results[measure] = Object.fromEntries(present.map((name) => [name, summary(runs[name])]));
  }
} finally {
  servers.redis?.stop();
  await servers.postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}

function cell(measure, figures) {
  if (!figures) return '–';
  if (MEASURES[measure].unit === 'ms') return `p50 ${figures.p50.toFixed(2)}, p99 ${figures.p99.toFixed(1)}`;
  const cpu = figures.cpu + figures.serverCpu;
  return `${Math.round(figures.rate).toLocaleString('en')}/s, ${cpu.toFixed(0)} µs CPU`;
}

function table() {
  const measures = Object.keys(MEASURES);
  const titles = measures.map(
    (measure) => `${MEASURES[measure].title}${MEASURES[measure].unit === 'ms' ? ', ms' : ''}`,
  );
  const rows = present.map((name) => [
    `${name} ${versionOf(name)}`,
    CONTENDERS[name].durability,
    ...measures.map((measure) => cell(measure, results[measure][name])),
    `${Math.round(results.run[name]?.rss ?? 0)} MiB`,
  ]);
  return [
    ['queue', 'an added job is', ...titles, 'RSS while running'],
    ['---', '---', ...titles.map(() => '---'), '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** What ductape is compared with: its contender, and the other's. */
const RATIOS = [
  ['ductape, SQLite', 'BullMQ'],
  ['ductape, SQLite, relaxed', 'BullMQ'],
  ['ductape, PostgreSQL', 'graphile-worker, local queue'],
  ['ductape, PostgreSQL', 'pg-boss'],
];

/** How ductape compares, as a table; times are those at p50. */
function ratios() {
  const pairs = RATIOS.filter((pair) => pair.every((name) => present.includes(name)));
  if (pairs.length === 0) return '';
  const ratio = (measure, [own, other]) => {
    const [ours, theirs] = [results[measure][own], results[measure][other]];
    if (!ours || !theirs) return '–';
    return MEASURES[measure].unit === 'ms'
      ? `${(ours.p50 / theirs.p50).toFixed(2)} of its time`
      : `${(ours.rate / theirs.rate).toFixed(1)} ×`;
  };
  const rows = Object.entries(MEASURES).map(([measure, { title }]) => [
    title,
    ...pairs.map((pair) => ratio(measure, pair)),
  ]);
  return [['', ...pairs.map(([own, other]) => `${own} beside ${other}`)], ['---', ...pairs.map(() => '---')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}, one 4 KiB write with fsync ${fsync.toFixed(2)} ms, median of ${rounds}; CPU is that of the process and of its server, for each job.`;
const out = join(import.meta.dirname, options.out);
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'results.json'), `${JSON.stringify({ machine, jobs: JOBS, results }, null, 2)}\n`);
writeFileSync(join(out, 'table.md'), `${table()}\n`);
writeFileSync(join(out, 'chart.svg'), chart(results));
console.log(`${machine}\n\n${table()}\n\n${ratios()}`);
if (options.publish) {
  const text = `${machine}\n\n${table()}\n\n${ratios()}`;
  publish('docs/performance.md', 'peers', text);
  writeFileSync(join(import.meta.dirname, '../../../docs/benchmark.svg'), chart(results));
}
