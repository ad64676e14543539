// The dashboard in the frameworks that docs/dashboard.md mounts it in: the programs are those of that page.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, link, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ask, byHeader, listen, readEvents, signIn } from './support/dashboard.js';
import { create, eventually, job, temporaryFolder } from './support/instances.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const page = await readFile(join(root, 'docs/dashboard.md'), 'utf8');
const fixture = join(import.meta.dirname, 'fixtures/next');

/** The program of the page that has this text. */
function programOf(text: string): string {
  const blocks = [...page.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = '']) => code);
  const found = blocks.filter((code) => code.includes(text));
  expect(found).toHaveLength(1);
  return found[0] ?? '';
}

/** Stands in for the reader's own module: `ann` may write, `bob` may read. */
const signInModule = `
const nameOf = ({ headers }) => (typeof headers.get === 'function' ? headers.get('x-user') : headers['x-user']);
export async function userOf(request) {
  const user = nameOf(request);
  return user === 'ann' || user === 'bob' ? { user, readOnly: user === 'bob' } : undefined;
}
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Starts a program and waits until it listens. It is ended with the test. */
async function start(args: string[], cwd: string, store: string, own: Record<string, string> = {}): Promise<string> {
  const port = await freePort();
  const env = {
    ...process.env,
    PORT: String(port),
    DUCTAPE_STORE: store,
    NODE_OPTIONS: '',
    NODE_ENV: undefined,
    ...own,
  };
  const child: ChildProcess = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (output += data));
  const ended = new Promise((resolve) => child.once('close', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
    await ask(url, '/nowhere');
  }, 60_000);
  return url;
}

/** A folder in which the program finds the package, the frameworks and the module for signing in; and a store with a job. */
async function prepared(): Promise<{ folder: string; store: string }> {
  const folder = await temporaryFolder();
  const store = `sqlite:${join(folder, 'jobs.db')}`;
  const ductape = create({ store });
  await ductape.features.dispatch(job('waits', { job_id: 'job-1' }));
  await ductape.close();
  await writeFile(join(folder, 'sign-in.mjs'), signInModule);
  return { folder, store };
}

/** What must hold wherever the dashboard is mounted. */
async function expectDashboard(url: string, base: string) {
  const ann = await signIn(url, { 'x-user': 'ann' }, base);
  const bob = await signIn(url, { 'x-user': 'bob' }, base);
  expect((await ann.get('/api/session')).json).toMatchObject({ user: 'ann', read_only: false, base_path: base });
  expect((await ann.get('/api/jobs/job-1')).json.job.status).toBe('queued');
  expect((await ann.get('/api/jobs?status=queued&limit=1')).json.jobs).toHaveLength(1);
  for (const path of ['/api/jobs', '/api/session', '', '/jobs/job-1']) {
    expect([path, (await ask(url, base + path)).status]).toEqual([path, 401]);
  }
  expect((await bob.post('/api/jobs/job-1/pause')).status).toBe(403);
  expect((await ann.post('/api/jobs/job-1/pause', {}, { 'x-ductape-token': 'x' })).status).toBe(403);
  expect((await ann.post('/api/jobs/job-1/pause')).json.job.status).toBe('paused');
  expect((await ann.post('/api/jobs/job-1/cancel', { reason: 'no longer needed' })).json.job).toMatchObject({
    status: 'cancelled',
    cancel_reason: 'no longer needed',
  });
  expect((await ann.post('/api/bulk', { action: 'delete', ids: ['job-1'] })).json.count).toBe(1);
  expect((await ann.delete('/api/webhooks/none')).status).toBe(404);
  expect((await ann.get('/api/audit')).json.entries).toHaveLength(3);
  const { headers } = await ann.get('/api/none');
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'/);
  const isSample = ({ event }: { event: string }) => event === 'sample';
  const heard = await readEvents(url, `${base}/api/live`, { 'x-user': 'ann' }, (events) => events.some(isSample));
  expect(heard.events.find(isSample)?.data).toMatchObject({ stats: { total: 0 } });
}

describe('the dashboard, mounted as its page shows', () => {
  it.each([
    ['Express', "from 'express'"],
    ['Fastify', "from 'fastify'"],
    ['Koa', "from 'koa'"],
    ['Hono', "from 'hono'"],
  ])('answers in %s', { timeout: 60_000 }, async (_name, text) => {
    const { folder, store } = await prepared();
    await mkdir(join(folder, 'node_modules/@hono'), { recursive: true });
    await symlink(root, join(folder, 'node_modules/ductape'), 'junction');
    for (const name of ['express', 'fastify', 'koa', 'hono', '@hono/node-server']) {
      await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
    }
    await writeFile(join(folder, 'program.mjs'), programOf(text));
    const url = await start([join(folder, 'program.mjs')], folder, store);
    await expectDashboard(url, '/admin/jobs');
  });

  it('answers in Next', { timeout: 240_000 }, async () => {
    const { folder: made, store } = await prepared();
    const next = await installedNext();
    const folder = await mkdtemp(join(next, 'run-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const route = join(folder, 'app/admin/jobs/[[...path]]');
    await mkdir(route, { recursive: true });
    await cp(fixture, folder, { recursive: true });
    await writeFile(join(route, 'route.js'), programOf('globalThis.ductape'));
    await cp(join(made, 'sign-in.mjs'), join(route, 'sign-in.mjs'));
    await copyPackage(join(folder, 'node_modules/ductape'));
    const own = { NEXT_TELEMETRY_DISABLED: '1' };
    const bin = join(next, 'node_modules/next/dist/bin/next');
    const env = { ...process.env, ...own, DUCTAPE_STORE: store, NODE_ENV: undefined };
    await run(process.execPath, [bin, 'build'], { cwd: folder, env });
    const url = await start([bin, 'start', '--hostname', '127.0.0.1'], folder, store, own);
    await expectDashboard(url, '/admin/jobs');
  });
});

/** The package as it would be installed: a bundler follows no link out of its folder. */
async function copyPackage(to: string) {
  const { files } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { files: string[] };
  const binaries = (await readdir(root)).filter((name) => name.endsWith('.node'));
  await mkdir(to, { recursive: true });
  for (const name of ['package.json', ...files.filter((each) => !each.startsWith('!') && !each.includes('*'))]) {
    await cp(join(root, name), join(to, name), { recursive: true });
  }
  for (const name of binaries)
    await link(join(root, name), join(to, name)).catch(() => cp(join(root, name), join(to, name)));
}

/** Next with what it needs, in a folder outside of the clone: it is larger than all else that tests need together. */
async function installedNext(): Promise<string> {
  const wanted = await readFile(join(fixture, 'package.json'), 'utf8');
  const cache = process.env.DUCTAPE_TEST_CACHE ?? join(homedir(), '.cache/ductape-tests');
  const folder = join(cache, `next-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`);
  const isThere = await readFile(join(folder, 'package.json')).catch(() => undefined);
  if (isThere) return folder;
  const making = `${folder}-${process.pid}`;
  await mkdir(making, { recursive: true });
  await writeFile(join(making, 'package.json'), wanted);
  await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
    cwd: making,
    shell: process.platform === 'win32',
  });
  await rename(making, folder).catch(() => rm(making, { recursive: true, force: true }));
  return folder;
}

describe('the dashboard in Express', () => {
  it('takes a body that was parsed before, and says so when it was thrown away', async () => {
    const ductape = create();
    await ductape.features.dispatch(job('waits', { job_id: 'job-1' }));
    const app = express();
    app.use('/parsed', express.json(), ductape.dashboard({ authorize: byHeader }));
    app.use('/raw', express.raw({ type: '*/*' }), ductape.dashboard({ authorize: byHeader }));
    app.use('/text', express.text({ type: '*/*' }), ductape.dashboard({ authorize: byHeader }));
    const lose: express.RequestHandler = (request, _response, next) => {
      request.resume().on('end', () => next());
    };
    app.use('/lost', lose, ductape.dashboard({ authorize: byHeader }));
    const url = await listen(app);
    const pause = async (base: string, body?: unknown) => {
      const ann = await signIn(url, { 'x-user': 'ann' }, base);
      const { status, json } = await ann.post('/api/jobs/job-1/cancel', body);
      return [status, json.error?.message ?? json.job.status];
    };
    expect(await pause('/lost')).toEqual([400, 'body: was read before the dashboard came to it, and not kept']);
    for (const base of ['/parsed', '/raw', '/text']) {
      expect([base, await pause(base, { because: 'x' })]).toEqual([base, [400, expect.stringContaining('because')]]);
      expect([base, await pause(base, { reason: 'x' })]).toEqual([base, [200, 'cancelled']]);
    }
  });

  it('finds out where it is mounted, at any depth, and believes basePath first', async () => {
    const ductape = create();
    const inner = express.Router();
    inner.use('/jobs', ductape.dashboard({ authorize: byHeader }));
    const app = express();
    app.use('/admin', inner);
    app.use('/public', ductape.dashboard({ authorize: byHeader, basePath: '/other' }));
    app.use(ductape.dashboard({ authorize: byHeader }));
    const url = await listen(app);
    const headers = { 'x-user': 'ann' };
    const baseOf = async (path: string) => (await ask(url, path, { headers })).json?.base_path;
    expect(await baseOf('/admin/jobs/api/session')).toBe('/admin/jobs');
    expect(await baseOf('/api/session')).toBe('');
    expect((await ask(url, '/public/api/session', { headers })).status).toBe(404);
    const cookie = (await ask(url, '/admin/jobs/api/session', { headers })).headers['set-cookie'];
    expect(cookie?.[0]).toContain('; Path=/admin/jobs;');
  });

  it('has its own headers whatever a middleware sets', async () => {
    const app = express();
    app.use((_request, response, next) => {
      response.setHeader('content-security-policy', "default-src * 'unsafe-inline'");
      response.setHeader('cache-control', 'public');
      next();
    });
    app.use(create().dashboard());
    const { headers } = await ask(await listen(app), '/api/session');
    expect([headers['content-security-policy'], headers['cache-control']]).toEqual([
      expect.stringMatching(/^default-src 'none'/),
      'no-store',
    ]);
  });
});
