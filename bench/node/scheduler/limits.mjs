// How near the package comes to the bare limit of this machine: the same rows in transactions as large and as durable, by bare SQLite and
// bare PostgreSQL (`bench/rust/limits/`). Usage: node bench/node/scheduler/limits.mjs [jobs [rounds]]; of PostgreSQL if
// DUCTAPE_TEST_POSTGRES names a server, which should sync its commits.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

const [jobs = 100_000, rounds = 3] = process.argv.slice(2).map(Number);
const postgres = process.env.DUCTAPE_TEST_POSTGRES;
const stores = postgres ? ['SQLite', 'PostgreSQL'] : ['SQLite'];
/** Of the store: the measure of the package (`bench/node/peers/measures.mjs`). */
const VERBS = { insert: 'dispatch', run: 'run' };
const PACKAGE = 'package';
const folder = mkdtempSync(join(tmpdir(), 'ductape-limits-'));
const figures = {};
const add = (store, verb, who, rate) => {
  figures[`${store} ${verb} ${who}`] ??= [];
  figures[`${store} ${verb} ${who}`].push(rate);
};
const median = (values) => values?.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function measureRust() {
  const args = ['bench', '--no-default-features', '--bench', 'limits', '--', String(jobs), '1'];
  const text = execFileSync('cargo', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  for (const line of text.split('\n')) {
    const [, store, verb, who, rate] = /^(\w+), (\w+), (.+): (\d+)\/s$/.exec(line) ?? [];
    if (store) add(store, verb, who, Number(rate));
    else if (line.startsWith('PostgreSQL')) console.log(line);
  }
}

async function measurePackage(store, verb, round) {
  const name = `ductape_limits_${process.pid}_${verb}_${round}`;
  const place = JSON.stringify({ name, file: join(folder, `${name}.db`), postgres });
  const args = ['measure.mjs', `ductape, ${store}`, VERBS[verb], String(jobs), place];
  const cwd = join(import.meta.dirname, '../peers');
  const text = execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  add(store, verb, PACKAGE, JSON.parse(text.trim().split('\n').at(-1)).rate);
  if (store !== 'PostgreSQL') return;
  const client = new pg.Client({ connectionString: postgres });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`);
  await client.end();
}

try {
  for (let round = 0; round < rounds; round++) {
    measureRust();
    for (const store of stores) for (const verb of Object.keys(VERBS)) await measurePackage(store, verb, round);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const WHO = ['bare, row by row', 'bare', 'ours', PACKAGE];
console.log(`${jobs.toLocaleString('en')} jobs, median of ${rounds}\n`);
console.log(
  `| store | | ${['bare, row by row', 'bare', 'store without Node', 'package', 'package ÷ bare'].join(' | ')} |`,
);
console.log('|---|---|---:|---:|---:|---:|---:|');
for (const store of stores) {
  for (const verb of Object.keys(VERBS)) {
    const of = (who) => median(figures[`${store} ${verb} ${who}`]);
    const rates = WHO.map((who) => (of(who) ? `${Math.round(of(who)).toLocaleString('en')}/s` : '–'));
    const ratio = (of(PACKAGE) / of('bare')).toFixed(2);
    console.log(
      `| ${store} | ${verb === 'insert' ? 'insert' : 'claim, run, complete'} | ${rates.join(' | ')} | ${ratio} |`,
    );
  }
}
