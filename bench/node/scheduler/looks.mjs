// How long looks take on a store of a million jobs of all kinds, in the process that has it open: lists, statistics, metrics, a sample
// of `top`, pages of the dashboard. Usage: node bench/node/scheduler/looks.mjs [--jobs 1000000] [--store sqlite:FILE | postgres://…] [--keep] [--times 20]
// A store that has jobs is looked at as it is.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import pg from 'pg';
import { quantile } from './figures.mjs';

const { takeSample } = createRequire(import.meta.url)('../../../lib/cli/samples.js');

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000000' },
    store: { type: 'string' },
    times: { type: 'string', default: '20' },
  },
});
const [jobs, times] = [Number(values.jobs), Number(values.times)];
const [HOUR, DAY, BATCH] = [3_600_000, 86_400_000, 10_000];
const TARGETS = 20;
const folder = mkdtempSync(join(tmpdir(), 'ductape-looks-'));
const store = values.store ?? `sqlite:${join(folder, 'jobs.db')}`;
const quiet = { debug() {}, info() {}, warn() {}, error: console.error };
const options = { store, product: 'shop', env: 'prd', durability: 'relaxed', logger: quiet };

async function dispatch(ductape, count, job) {
  for (let n = 0; n < count; n += BATCH) {
    await ductape.features.dispatchMany(Array.from({ length: Math.min(BATCH, count - n) }, (_, k) => job(n + k)));
  }
}

/**
 * Of a hundred jobs 39 have ended, two of them by failing, one is a recurring job whose runs fail, 30 are scheduled and 30 wait for a
 * worker: the oldest have ended, the newest are scheduled, as where work has piled up.
 */
async function fill() {
  const ductape = new Ductape({ ...options, worker: { concurrency: 200 }, retention: false });
  const tag = (n) => `report-${n % TARGETS}`;
  const input = (n) => ({ n, text: 'x'.repeat(60) });
  try {
    const started = performance.now();
    await dispatch(ductape, jobs * 0.39, (n) => ({ tag: tag(n), input: input(n), retries: 0 }));
    await dispatch(ductape, jobs * 0.01, (n) => ({
      tag: 'failing',
      input: input(n),
      retries: 0,
      schedule: { every: 30 * DAY, start_at: Date.now() + 100 },
    }));
    for (let n = 0; n < TARGETS; n++)
      ductape.features.define(`report-${n}`, (job) => {
        if (job.input.n % 20 === 0) throw new Error('broken');
      });
    ductape.features.define('failing', () => {
      throw new Error('broken');
    });
    await ductape.drain();
    await dispatch(ductape, jobs * 0.3, (n) => ({ tag: `waiting-${n % TARGETS}`, input: input(n) }));
    await dispatch(ductape, jobs * 0.3, (n) => ({
      tag: tag(n),
      input: input(n),
      schedule: { start_at: Date.now() + DAY + n * 100 },
    }));
    await ductape.close();
    await fillFigures();
    console.log(`filled in ${((performance.now() - started) / 1_000).toFixed(0)} s`);
  } finally {
    await ductape.close();
  }
}

/** Figures of the last minute of each target as those of 48 hours of minutes and 90 days of hours. Needs `sqlite3` on the path. */
async function fillFigures() {
  const spans = [
    [0, 48 * 60, 60_000],
    [1, 90 * 24, HOUR],
  ];
  if (store.startsWith('sqlite:')) {
    const copies = spans.map(
      ([span, count, ms]) => `WITH RECURSIVE back(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM back WHERE n < ${count})
        INSERT OR IGNORE INTO figures SELECT ${span}, last - n * ${ms}, route, figures
        FROM back, (SELECT max(at) AS last, route, figures FROM figures WHERE span = ${span} GROUP BY route);`,
    );
    const { status, stderr } = spawnSync('sqlite3', [store.slice('sqlite:'.length), copies.join('\n')], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`sqlite3: ${stderr}`);
    return;
  }
  const schema = new URL(store).searchParams.get('schema') ?? 'ductape';
  const client = new pg.Client({ connectionString: store });
  await client.connect();
  for (const [span, count, ms] of spans)
    await client.query(`INSERT INTO "${schema}".figures SELECT ${span}, last.at - n::bigint * ${ms}, last.route, last.figures
      FROM generate_series(1, ${count}) AS n,
        (SELECT DISTINCT ON (route) at, route, figures FROM "${schema}".figures WHERE span = ${span} ORDER BY route, at DESC) AS last
      ON CONFLICT DO NOTHING`);
  await client.query(`ANALYZE "${schema}".figures`);
  await client.end();
}

async function look(name, question) {
  const took = [];
  for (let n = 0; n < times + 1; n++) {
    const started = performance.now();
    await question();
    // The first prepares statements and reads pages.
    if (n > 0) took.push(performance.now() - started);
  }
  const [p50, most] = [quantile(took, 0.5), Math.max(...took)].map((ms) => `${ms.toFixed(1)} ms`);
  console.log(`| ${name} | ${p50} | ${most} |`);
}

const ductape = new Ductape({ ...options, worker: false, retention: false });
try {
  if ((await ductape.jobs.getStats()).total === 0) await fill();
  const { jobs: api } = ductape;
  const { total } = await api.getStats();
  console.log(
    `\n${store.replace(/:.*/, '')}, ${total.toLocaleString('en')} jobs\n\n| look | p50 | most |\n| --- | ---: | ---: |`,
  );
  const oldest = await api.list({ offset: total - 150, limit: 1 });
  const now = Date.now();
  await look('`list`', () => api.list());
  for (const status of ['queued', 'scheduled', 'completed', 'failed', 'running', 'cancelled'])
    await look(`\`list({ status: '${status}' })\``, () => api.list({ status }));
  await look('`list` by target', () => api.list({ target: { tag: 'report-7' } }));
  await look('`list` by target and state', () => api.list({ target: { tag: 'report-7' }, status: 'completed' }));
  await look('`list({ failing: true })`', () => api.list({ failing: true }));
  await look("`list({ last_run: 'failed' })`", () => api.list({ last_run: 'failed' }));
  await look('`list`, the last page by its cursor', () => api.list({ cursor: oldest.next }));
  await look('`getStats()`', () => api.getStats());
  await look('`getStats` of a namespace', () => api.getStats({ namespace: 'features', product: 'shop', env: 'prd' }));
  await look('`getStats({ from })`, an hour', () => api.getStats({ from: now - HOUR }));
  await look('`metrics`, an hour', () => api.metrics({ from: now - HOUR }));
  await look('`metrics`, 47 hours of minutes', () => api.metrics({ from: now - 47 * HOUR, resolution: 'minute' }));
  await look('`metrics`, 90 days of hours', () => api.metrics({ from: now - 90 * DAY, resolution: 'hour' }));
  await look('a sample of `top`', () => takeSample(ductape, {}));
  const ids = (await api.list({ status: 'failed', limit: 1 })).jobs.map(({ id }) => id);
  const pages = [
    'overview',
    'overview?range=7d',
    'jobs',
    'jobs?status=failed',
    'jobs?target.tag=report-7',
    `jobs/${ids[0]}`,
  ];
  pages.push('recurring', 'targets', 'processes', 'failures', 'failures?range=7d', 'webhooks', 'audit', 'session');
  for (const page of pages) {
    await look(`dashboard: \`${page.replace(ids[0], 'ID')}\``, async () => {
      // A new one each time: what one has looked up it keeps for a second.
      const answer = await ductape.dashboard({ authorize: () => true })(new Request(`http://localhost/api/${page}`));
      if (answer.status !== 200) throw new Error(await answer.text());
    });
  }
} finally {
  await ductape.close();
  rmSync(folder, { recursive: true, force: true });
}
