// `ductape.metrics()`: its text by the account of promtool and Prometheus, what it tells, `work --metrics-port`, and what the documents
// say of it.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { command, start } from './support/command.js';
import { ask, byHeader, serve } from './support/dashboard.js';
import type { Ductape } from './support/ductape.js';
import { create, eventually, job, product, rejection, temporaryFolder, temporaryStore } from './support/instances.js';
import { postgresInstalled, startPostgres } from './support/postgres-server.js';
import { script } from './support/processes.js';
import { address } from './support/servers.js';
import { sharedStores } from './support/stores.js';

const promtool = address('DUCTAPE_TEST_PROMTOOL');
const prometheus = address('DUCTAPE_TEST_PROMETHEUS');
const docs = join(import.meta.dirname, '../docs');
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** Values of samples by the sample's name and labels as they are written. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const values = lines.map((line): [string, number] => {
    const at = line.lastIndexOf(' ');
    return [line.slice(0, at), Number(line.slice(at + 1))];
  });
  // No sample is there twice.
  expect(new Set(values.map(([name]) => name)).size).toBe(values.length);
  return new Map(values);
}

/** Names of families and their types, as the format of Prometheus has them. */
const families = (text: string) =>
  new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));

const labels = (target: string) => `namespace="features",product="${product}",env="test",target="${target}"`;

const outcomes = (values: Map<string, number>, target: string) =>
  Object.fromEntries(
    ['completed', 'failed', 'retried', 'snoozed', 'crashed', 'released'].map((outcome) => [
      outcome,
      values.get(`ductape_runs_total{${labels(target)},outcome="${outcome}"}`),
    ]),
  );
const none = { completed: 0, failed: 0, retried: 0, snoozed: 0, crashed: 0, released: 0 };

/** What promtool says against a text; it says nothing of one that is right. */
function lint(text: string): string {
  const { status, stderr, stdout } = spawnSync(promtool ?? '', ['check', 'metrics'], { input: text });
  return `${status}${stdout}${stderr}`;
}

const prometheusText = (ductape: Ductape) => ductape.metrics({ format: 'prometheus' });

/** The metrics of an instance in which something of everything has happened. */
async function everyMetric(store?: string): Promise<[Ductape, string]> {
  const ductape = create(store ? { store } : {});
  ductape.features.define('report', () => 'done');
  ductape.features.define('import', ({ attempt }) => {
    if (attempt < 3) throw new Error('not yet');
  });
  ductape.features.define('broken', () => {
    throw new Error('never');
  });
  await ductape.start({ signals: false });
  await ductape.metrics();
  await ductape.features.dispatchMany([
    ...Array.from({ length: 20 }, () => job('report')),
    job('import', { retries: 5, retryConfig: { initialDelay: 1 } }),
    job('broken'),
    job('report', { schedule: { start_at: Date.now() + 3_600_000 } }),
  ]);
  await eventually(
    async () => expect(await ductape.jobs.getStats()).toMatchObject({ completed: 21, failed: 1 }),
    20_000,
  );
  await eventually(async () => expect(await ductape.metrics()).toContain('event_loop'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  return [ductape, await prometheusText(ductape)];
}

describe.each(sharedStores)('the metrics of a worker on $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('are exact, and never become less', { timeout: 60_000 }, async () => {
    const [ductape, text] = await everyMetric(await make());
    const before = samples(text);
    expect(outcomes(before, 'report')).toEqual({ ...none, completed: 20 });
    expect(outcomes(before, 'import')).toEqual({ ...none, completed: 1, retried: 2 });
    expect(outcomes(before, 'broken')).toEqual({ ...none, failed: 1 });
    expect(before.get(`ductape_dispatches_total{${labels('report')}}`)).toBe(21);
    expect(before.get(`ductape_run_duration_seconds_count{${labels('import')}}`)).toBe(3);
    expect(before.get(`ductape_run_lateness_seconds_bucket{${labels('report')},le="+Inf"}`)).toBe(20);
    expect(before.get('ductape_store_up')).toBe(1);
    const jobs = (target: string, state: string) => before.get(`ductape_jobs{${labels(target)},state="${state}"}`);
    expect([jobs('report', 'completed'), jobs('report', 'scheduled'), jobs('report', 'queued')]).toEqual([20, 1, 0]);
    expect([jobs('broken', 'failed'), jobs('import', 'failed')]).toEqual([1, 0]);
    expect([before.get('ductape_slots'), before.get('ductape_slots_busy')]).toEqual([10, 0]);
    expect(before.get('ductape_lease_seconds')).toBe(10);
    expect(before.get('ductape_lease_age_seconds')).toBeLessThan(10);
    // Dispatches and ends of attempts.
    expect(before.get('ductape_store_batch_jobs_sum')).toBe(23 + 24);
    expect(before.get('ductape_store_batch_jobs_bucket{le="1000.0"}')).toBe(
      before.get('ductape_store_batch_jobs_count'),
    );
    expect(before.get('ductape_store_transaction_seconds_sum')).toBeGreaterThan(0);
    // Hands all that was counted to the store.
    await ductape.jobs.metrics();
    expect(outcomes(samples(await ductape.metrics()), 'import')).toEqual(outcomes(before, 'import'));
    await ductape.features.dispatch(job('report'));
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(22));
    const after = samples(await prometheusText(ductape));
    expect(outcomes(after, 'report')).toEqual({ ...none, completed: 21 });
    const isCounted = (name: string) => /_(total|count|sum|bucket)(\{|$)/.test(name);
    for (const [name, value] of before) {
      if (isCounted(name)) expect([name, after.get(name)]).toEqual([name, expect.toSatisfy((now) => now >= value)]);
    }
  });

  it.skipIf(unavailable || !promtool)('pass promtool check metrics', { timeout: 60_000 }, async () => {
    const [, text] = await everyMetric(await make());
    expect(lint(text)).toBe('0');
    // It does find what is wrong.
    expect(lint(text.replaceAll('ductape_runs_total', 'ductape_runs'))).toContain('counter metrics should have');
  });
});

describe('metrics()', () => {
  it('gives OpenMetrics unless it is asked for the older format', async () => {
    const ductape = create();
    const [open, older] = [await ductape.metrics(), await prometheusText(ductape)];
    expect(open).toMatch(/^# HELP ductape_store_up /);
    expect(open).toMatch(/\n# EOF\n$/);
    expect(open).toContain(
      '# TYPE ductape_store_transaction_seconds histogram\n# UNIT ductape_store_transaction_seconds seconds\n',
    );
    expect(older).not.toMatch(/EOF|UNIT/);
    expect(await ductape.metrics({ format: 'openmetrics' })).toMatch(/# EOF\n$/);
    // Nobody works here, and there is no file.
    expect(older).not.toMatch(/lease|file|log/);
  });

  it('puts whatever names a target into labels', async () => {
    const ductape = create();
    const names: [string, string][] = [
      ['with "quotes"', 'with \\"quotes\\"'],
      ['back\\slash', 'back\\\\slash'],
      ['a,b="c"} 5', 'a,b=\\"c\\"} 5'],
      ['grüße 😀', 'grüße 😀'],
    ];
    for (const [name] of names) await ductape.features.dispatch(job(name));
    const values = samples(await prometheusText(ductape));
    for (const [, label] of names) expect(values.get(`ductape_dispatches_total{${labels(label)}}`)).toBe(1);
    // Line breaks name none.
    expect((await rejection(ductape.features.dispatch(job('two\nlines')))).code).toBe('VALIDATION_ERROR');
    const parts = [
      { app: 'mail/a', event: 'b' },
      { app: 'mail', event: 'a/b' },
    ];
    for (const part of parts) await ductape.actions.dispatch({ ...part, input: {} });
    const text = await prometheusText(ductape);
    expect(
      samples(text).get('ductape_dispatches_total{namespace="actions",product="shop",env="test",target="mail/a/b"}'),
    ).toBe(1);
    expect(text).toContain('target="mail%2Fa/b"');
    if (promtool) expect(lint(text)).toBe('0');
  });

  it('tells the first 1,000 targets apart, and all others together', { timeout: 60_000 }, async () => {
    const ductape = create();
    ductape.features.define('*', () => {});
    const tags = Array.from({ length: 1_200 }, (_, n) => `t${n}`);
    for (let at = 0; at < tags.length; at += 400) {
      await ductape.features.dispatchMany(tags.slice(at, at + 400).map((tag) => job(tag)));
    }
    await ductape.metrics();
    await ductape.drain();
    const values = samples(await prometheusText(ductape));
    const rest = 'namespace="",product="",env="",target=""';
    const of = (metric: string) => [...values].filter(([name]) => name.startsWith(`${metric}{`));
    const sum = (found: [string, number][]) => found.reduce((all, [, value]) => all + value, 0);
    expect(of('ductape_dispatches_total')).toHaveLength(1_001);
    expect(sum(of('ductape_dispatches_total'))).toBe(1_200);
    expect(values.get(`ductape_dispatches_total{${rest}}`)).toBe(200);
    expect(values.get(`ductape_runs_total{${rest},outcome="completed"}`)).toBe(200);
    expect(of('ductape_jobs').filter(([name]) => name.includes('state="completed"'))).toHaveLength(1_001);
    expect(sum(of('ductape_jobs'))).toBe(1_200);
    expect(values.get(`ductape_jobs{${rest},state="completed"}`)).toBe(200);
    expect(of('ductape_run_duration_seconds_count')).toHaveLength(101);
    expect(sum(of('ductape_run_duration_seconds_count'))).toBe(1_200);
    expect(values.get(`ductape_run_duration_seconds_count{${rest}}`)).toBe(1_100);
    if (promtool) expect(lint(await prometheusText(ductape))).toBe('0');
  });

  it('counts attempts that are handed back, and those that put themselves off', async () => {
    const ductape = create();
    ductape.features.define('late', (work) => work.snooze(3_600_000));
    ductape.features.define('hangs', ({ signal }) => {
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    await ductape.features.dispatchMany([job('late'), job('hangs')]);
    const drained = ductape.drain({ timeout: 300 });
    await eventually(async () => expect(samples(await ductape.metrics()).get('ductape_slots_busy')).toBe(1));
    await drained;
    const values = samples(await ductape.metrics());
    expect(outcomes(values, 'late')).toEqual({ ...none, snoozed: 1 });
    expect(outcomes(values, 'hangs')).toEqual({ ...none, released: 1 });
  });

  it('measures the event loop from the first call on', async () => {
    const ductape = create();
    expect(await ductape.metrics()).not.toContain('event_loop');
    const max = async () => samples(await ductape.metrics()).get('ductape_event_loop_delay_max_seconds');
    await eventually(async () => expect(await max()).toBeLessThan(0.1));
    // A look of Node's after the last call, from which it measures.
    await new Promise((resolve) => setTimeout(resolve, 60));
    const until = performance.now() + 250;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const delay = await max();
    expect(delay).toBeGreaterThan(0.15);
    expect(delay).toBeLessThan(5);
  });

  it('refuses what it does not know, and when metrics are off', async () => {
    const ductape = create();
    const refused = async (options: object) => {
      const { code, message } = await rejection(ductape.metrics(options as never));
      return `${code}: ${message}`;
    };
    expect(await refused({ format: 'json' })).toBe(
      "VALIDATION_ERROR: options.format: must be one of 'openmetrics', 'prometheus', got 'json'",
    );
    expect(await refused({ from: 1 })).toContain('options.from: is not a known option');
    const off = create({ metrics: false });
    expect((await rejection(off.metrics())).message).toContain('`metrics: false`');
    await ductape.close();
    expect((await rejection(ductape.metrics())).code).toBe('CLOSED');
  });

  it.skipIf(!postgresInstalled)(
    'tells of the process while the store does not answer',
    { timeout: 90_000 },
    async () => {
      const server = await startPostgres();
      const ductape = create({ store: server.url });
      ductape.features.define('report', () => 'done');
      await ductape.start({ signals: false });
      const { job_id } = await ductape.features.dispatch(job('report'));
      await ductape.jobs.wait(job_id);
      await server.stop();
      const begun = Date.now();
      const values = samples(await ductape.metrics());
      // Less than the 10 s that Prometheus waits.
      expect(Date.now() - begun).toBeLessThan(8_000);
      expect(values.get('ductape_store_up')).toBe(0);
      expect(outcomes(values, 'report')).toEqual({ ...none, completed: 1 });
      expect([...values.keys()].filter((name) => name.startsWith('ductape_jobs'))).toEqual([]);
      const age = values.get('ductape_lease_age_seconds') ?? 0;
      await eventually(async () => {
        expect(samples(await ductape.metrics()).get('ductape_lease_age_seconds')).toBeGreaterThan(age + 4);
      }, 30_000);
    },
  );

  it('lets the process end', async () => {
    const { ended } = script(`
      import Ductape from 'ductape';
      const ductape = new Ductape({ store: 'memory:', product: 'shop', env: 'test' });
      await ductape.metrics();
      await ductape.metrics();
    `);
    expect((await ended).code).toBe(0);
  });
});

async function handlersFile(): Promise<string> {
  const file = join(await temporaryFolder(), 'handlers.js');
  await writeFile(
    file,
    `exports.options = { product: '${product}', env: 'test' };
     exports.features = { report: async () => 'done' };`,
  );
  return file;
}

/** A worker on this port, once it works, and the URL of its metrics. */
async function worker(store: string, args: string[] = ['--metrics-port', '0']) {
  const session = start(['work', await handlersFile(), ...args], { store });
  await session.see('features report');
  const url = /metrics at (\S+)/.exec(session.output())?.[1] ?? '';
  return { session, url };
}

describe('work --metrics-port', () => {
  it('serves metrics in the format that is asked for, and nothing else, until the worker ends', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false });
    await ductape.features.dispatchMany([job('report'), job('report')]);
    const { session, url } = await worker(store);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(2), 20_000);
    const plain = await fetch(url);
    expect([plain.status, plain.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    const text = await plain.text();
    expect(outcomes(samples(text), 'report')).toEqual({ ...none, completed: 2 });
    expect(samples(text).get('ductape_store_file_bytes')).toBeGreaterThan(0);
    expect(samples(text).get('ductape_store_log_bytes')).toBeGreaterThan(0);
    const accept =
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const open = await fetch(`${url}?any=1`, { headers: { accept } });
    expect([open.status, open.headers.get('content-type')]).toEqual([200, OPEN_METRICS]);
    expect(await open.text()).toMatch(/# EOF\n$/);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const path of ['/', '/metrics/', '/metricsx', '/Metrics']) {
      expect((await fetch(new URL(path, url))).status).toBe(404);
    }
    const posted = await fetch(url, { method: 'POST', body: 'x' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    // A connection that is kept alive does not keep the worker.
    const agent = new http.Agent({ keepAlive: true });
    await new Promise((resolve) => http.get(url, { agent }, (response) => response.resume().on('end', resolve)));
    session.process.kill('SIGTERM');
    expect((await session.ended).code).toBe(143);
    agent.destroy();
    await expect(fetch(url)).rejects.toThrow();
  });

  it('listens where it is told to, and says so', async () => {
    const { url } = await worker(await temporaryStore(), ['--metrics-port', '0', '--metrics-host', '0.0.0.0']);
    expect(url).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/metrics$/);
    expect((await fetch(url.replace('0.0.0.0', '127.0.0.1'))).status).toBe(200);
  });

  it('runs nothing when the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const outcome = await command(['work', await handlersFile(), '--metrics-port', `${port}`], {
      store: await temporaryStore(),
    });
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: --metrics-port: 127.0.0.1:${port} is taken\nhint: another process listens there; give another port, or 0 for any that is free\n`,
    });
  });

  it.each([
    [['--metrics-port', '65536'], "metrics-port: must be an integer from 0 to 65535, got '65536'"],
    [['--metrics-host', '0.0.0.0'], '--metrics-host: needs --metrics-port'],
    [['--metrics-port', '0', '--metrics-host', '192.0.2.1'], '192.0.2.1:0 is not an address of this machine'],
  ])('refuses %j', async (args, message) => {
    const outcome = await command(['work', await handlersFile(), ...args], { store: await temporaryStore() });
    expect(outcome.code).toBeGreaterThan(0);
    expect(outcome.stderr).toContain(message);
  });

  it('answers 503 where metrics are off', async () => {
    const file = join(await temporaryFolder(), 'off.js');
    await writeFile(
      file,
      "exports.options = { metrics: false, product: 'p', env: 'e' }; exports.features = { a() {} };",
    );
    const session = start(['work', file, '--metrics-port', '0'], { store: await temporaryStore() });
    await session.see('features a');
    const answer = await fetch(/metrics at (\S+)/.exec(session.output())?.[1] ?? '');
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('`metrics: false`')]);
  });

  it.skipIf(!prometheus)(
    'is read by Prometheus as OpenMetrics, with the values that it tells',
    { timeout: 60_000 },
    async () => {
      const store = await temporaryStore();
      const ductape = create({ store, worker: false });
      await ductape.features.dispatchMany(Array.from({ length: 30 }, () => job('report')));
      const { url } = await worker(store);
      const name = `test-${process.pid}-${Date.now()}`;
      const file = join(process.env.DUCTAPE_TEST_PROMETHEUS_TARGETS ?? '', `${name}.json`);
      await writeFile(`${file}.new`, JSON.stringify([{ targets: [new URL(url).host], labels: { test: name } }]));
      await rename(`${file}.new`, file);
      onTestFinished(() => rm(file, { force: true }));
      const ask = async (query: string) => {
        const answer = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`);
        const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
        return data.result.map(({ value }) => Number(value[1]));
      };
      const runs = `ductape_runs_total{test="${name}",target="report",outcome="completed"}`;
      await eventually(async () => expect(await ask(runs)).toEqual([30]), 40_000);
      expect(await ask(`up{test="${name}"}`)).toEqual([1]);
      expect(await ask(`ductape_run_duration_seconds_count{test="${name}"}`)).toEqual([30]);
      expect(await ask(`histogram_quantile(1, ductape_run_duration_seconds_bucket{test="${name}"})`)).toEqual([
        expect.toSatisfy((quantile) => quantile > 0 && quantile < 10),
      ]);
      const targets = (await (
        await fetch(`${prometheus}/api/v1/targets/metadata?match_target={test="${name}"}`)
      ).json()) as {
        data: { metric: string; type: string; unit: string }[];
      };
      // The format of Prometheus knows no units.
      expect(targets.data).toContainEqual(
        expect.objectContaining({ metric: 'ductape_run_duration_seconds', unit: 'seconds' }),
      );
    },
  );
});

describe('the dashboard', () => {
  it('serves metrics in the format that is asked for, to whom it lets in', async () => {
    const ductape = create();
    await ductape.features.dispatch(job('report'));
    const url = await serve(ductape, { authorize: byHeader });
    const get = (headers: Record<string, string>, method = 'GET') => ask(url, '/metrics', { headers, method });
    expect((await get({})).status).toBe(401);
    const older = await get({ 'x-user': 'bob' });
    expect([older.status, older.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(samples(older.text).get(`ductape_dispatches_total{${labels('report')}}`)).toBe(1);
    expect(families(older.text).get('ductape_dispatches_total')).toBe('counter');
    const open = await get({ 'x-user': 'bob', accept: 'application/openmetrics-text; version=1.0.0,*/*;q=0.1' });
    expect([open.status, open.headers['content-type']]).toEqual([200, OPEN_METRICS]);
    expect(open.text).toMatch(/# EOF\n$/);
    const off = await serve(create({ metrics: false }), { authorize: byHeader });
    const refused = await ask(off, '/metrics', { headers: { 'x-user': 'bob' } });
    expect([refused.status, refused.json.error.message]).toEqual([400, expect.stringContaining('`metrics: false`')]);
  });
});

describe('the documents', () => {
  /** Names of metrics in a text, histograms by their family. */
  const named = (text: string) => {
    const names = [...text.matchAll(/\bductape_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''));
    return new Set(names);
  };

  it('name every metric that there is, with its type, and no other', async () => {
    const [, text] = await everyMetric(await temporaryStore());
    const known = families(text);
    expect(known.size).toBeGreaterThan(17);
    const page = await readFile(join(docs, 'metrics.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(ductape_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => [name, type]);
    expect(new Map(rows as [string, string][])).toEqual(known);
    for (const file of ['alerts.yml', 'alerts.test.yml', 'grafana-dashboard.json', 'metrics.md']) {
      const used = named(await readFile(join(docs, file), 'utf8'));
      expect(used.size).toBeGreaterThan(5);
      expect([file, [...used].filter((name) => !known.has(name))]).toEqual([file, []]);
    }
    // Nothing is told that nobody sees.
    const shown = named(await readFile(join(docs, 'grafana-dashboard.json'), 'utf8'));
    expect([...known.keys()].filter((name) => !shown.has(name ?? ''))).toEqual([]);
  });

  it('name every alert', async () => {
    const alerts = await readFile(join(docs, 'alerts.yml'), 'utf8');
    const page = await readFile(join(docs, 'metrics.md'), 'utf8');
    const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name);
    const defined = names(alerts, /alert: (\w+)/g);
    expect(defined.length).toBeGreaterThan(9);
    expect(names(page, /^\| `(Ductape\w+)` \|/gm).sort()).toEqual([...defined].sort());
    const tested = new Set(names(await readFile(join(docs, 'alerts.test.yml'), 'utf8'), /alertname: (\w+)/g));
    expect(defined.filter((name) => !tested.has(name))).toEqual([]);
  });

  it('have panels that lie beside each other, each with a query', async () => {
    const { panels } = JSON.parse(await readFile(join(docs, 'grafana-dashboard.json'), 'utf8')) as {
      panels: {
        id: number;
        type: string;
        gridPos: { x: number; y: number; w: number; h: number };
        targets?: { expr: string }[];
      }[];
    };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = new Set<string>();
    for (const { type, gridPos, targets } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      if (type !== 'row') expect(targets?.length).toBeGreaterThan(0);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x},${y}`)).toBe(false);
          cells.add(`${x},${y}`);
        }
      }
    }
  });

  it.skipIf(!promtool)('have alerts that promtool takes, and that are raised when they should be', () => {
    const run = (...args: string[]) =>
      execFileSync(promtool ?? '', args, { cwd: docs, encoding: 'utf8', stdio: 'pipe' });
    expect(run('check', 'rules', 'alerts.yml')).toContain('SUCCESS: 11 rules found');
    expect(run('test', 'rules', 'alerts.test.yml')).toContain('SUCCESS');
  });

  it.skipIf(!promtool)('have queries that Prometheus can read', async () => {
    const { panels } = JSON.parse(await readFile(join(docs, 'grafana-dashboard.json'), 'utf8')) as {
      panels: { targets?: { expr: string }[] }[];
    };
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const rules = queries.map((expr, n) => ({
      record: `panel:query:${n}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = join(await temporaryFolder(), 'rules.json');
    await writeFile(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    const said = execFileSync(promtool ?? '', ['check', 'rules', file], { encoding: 'utf8' });
    expect(said).toContain(`SUCCESS: ${queries.length} rules found`);
  });
});
