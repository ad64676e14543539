// `ductape dashboard` and `ductape demo`: a link that signs one browser in, once, on loopback.
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type CommandOptions, command, filledStore, start } from './support/command.js';
import { ask, signIn } from './support/dashboard.js';
import { create, eventually, temporaryFolder } from './support/instances.js';

/** Starts the command; resolves with its link in parts. */
async function open(args: string[], options: CommandOptions = {}) {
  const session = start(args, options);
  await session.see(/http:\/\/\S+\n/);
  const [link = ''] = /http:\/\/\S+/.exec(session.output()) ?? [];
  const { origin, pathname, search } = new URL(link);
  return { session, link, url: origin, path: pathname + search };
}

/** Uses the link; resolves with the headers of a browser that is signed in. */
async function enter(url: string, path: string): Promise<Record<string, string>> {
  const { status, headers } = await ask(url, path);
  expect(status).toBe(200);
  return { cookie: headers['set-cookie']?.[0]?.split(';')[0] ?? '' };
}

/** A browser with the cookie of the link besides that of its token. */
async function signInWith(url: string, own: Record<string, string>) {
  const browser = await signIn(url, own);
  browser.headers.cookie = `${own.cookie}; ${browser.headers.cookie}`;
  return browser;
}

describe('dashboard', () => {
  it('shows the store to the one browser that comes by the link', async () => {
    const { url, path } = await open(['dashboard'], { store: await filledStore() });
    expect((await ask(url, '/api/jobs')).status).toBe(401);
    expect((await ask(url, '/?key=wrong')).status).toBe(403);
    expect((await ask(url, `/?key=${'x'.repeat(43)}`)).status).toBe(403);
    const first = await ask(url, path);
    expect([first.status, first.headers['set-cookie'], first.text]).toEqual([
      200,
      [expect.stringMatching(/^ductape_session_\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)],
      expect.stringContaining('url=/'),
    ]);
    expect(first.headers['content-security-policy']).toMatch(/^default-src 'none'/);
    const again = await ask(url, path);
    expect([again.status, again.headers['set-cookie'], again.text]).toEqual([
      403,
      undefined,
      expect.stringContaining('used'),
    ]);
    const cookie = first.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    expect((await ask(url, path, { headers: { cookie } })).status).toBe(200);
    const browser = await signInWith(url, { cookie });
    expect((await browser.get('/api/session')).json).toMatchObject({
      read_only: false,
      store: 'sqlite',
      base_path: '',
    });
    expect((await browser.get('/api/jobs')).json.jobs).toHaveLength(3);
    expect((await ask(url, '/api/jobs', { headers: { cookie: `${cookie}x` } })).status).toBe(401);
  });

  it('changes jobs in the name of the user of this machine, and runs none', async () => {
    const store = await filledStore();
    const { session, url, path } = await open(['dashboard'], { store });
    const browser = await signInWith(url, await enter(url, path));
    expect((await browser.post('/api/jobs/failed-1/retry')).status).toBe(200);
    const { entries } = (await browser.get('/api/audit')).json;
    expect(entries).toMatchObject([{ action: 'retry', detail: { id: 'failed-1' } }]);
    expect(entries[0].who).toMatch(/./);
    expect((await browser.get('/api/processes')).json.processes).toEqual([]);
    session.process.kill('SIGINT');
    expect((await session.ended).code).toBe(130);
    const ductape = create({ store });
    expect((await ductape.jobs.get('failed-1')).status).toBe('queued');
  });

  it('changes nothing with --read-only', async () => {
    const store = await filledStore();
    const { url, path } = await open(['dashboard', '--read-only'], { store });
    const browser = await signInWith(url, await enter(url, path));
    expect((await browser.get('/api/session')).json.read_only).toBe(true);
    expect((await browser.post('/api/jobs/failed-1/retry')).status).toBe(403);
  });

  it('answers to no name that anybody could point to this machine', async () => {
    const { url, path } = await open(['dashboard'], { store: await filledStore() });
    for (const host of ['evil.example', 'localhost.evil.example', '192.0.2.1']) {
      expect((await ask(url, path, { headers: { host } })).status).toBe(403);
    }
    // Nor was the link used by that.
    await enter(url, path);
  });

  it('listens elsewhere only when that is said to be meant', async () => {
    const store = await filledStore();
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.com']) {
      expect(await command(['dashboard', '--host', host], { store })).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/--host: \S+ is reached by other machines\n.*--expose/),
      });
    }
    const { session, path } = await open(['dashboard', '--host', '0.0.0.0', '--expose'], { store });
    await session.see('is not encrypted');
    expect(path).toMatch(/^\/\?key=/);
  });

  it('takes another port than a busy one, unless that was asked for', async () => {
    const store = await filledStore();
    const busy = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => busy.once('listening', resolve));
    onTestFinished(() => void busy.close());
    const { port } = busy.address() as { port: number };
    const { code, stderr } = await command(['dashboard', '--port', String(port)], { store });
    expect([code, stderr]).toEqual([1, expect.stringContaining('name another one with --port')]);
    const [first, second] = [await open(['dashboard'], { store }), await open(['dashboard'], { store })];
    expect(first.url).not.toBe(second.url);
  });

  it('says its link as JSON', async () => {
    const session = start(['dashboard', '--json'], { store: await filledStore() });
    await session.see('\n');
    expect([JSON.parse(session.output()), session.stderr()]).toEqual([
      { url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/\?key=[\w-]{43}$/) },
      '',
    ]);
  });

  it('fails where there is no store', async () => {
    const store = `sqlite:${join(await temporaryFolder(), 'none.db')}`;
    expect(await command(['dashboard'], { store })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no store'),
    });
  });
});

describe('demo', () => {
  it('has jobs of every kind at once, of which some fail, and leaves nothing', async () => {
    const cwd = await temporaryFolder();
    const { session, url, path } = await open(['demo'], { cwd });
    const browser = await signInWith(url, await enter(url, path));
    await eventually(async () => {
      const { stats } = (await browser.get('/api/overview')).json;
      for (const state of ['scheduled', 'running', 'queued', 'completed', 'failed', 'failing', 'paused'])
        expect([state, stats[state] > 0]).toEqual([state, true]);
      const { targets } = (await browser.get('/api/targets')).json;
      const namespaces = new Set(targets.map(({ namespace }: { namespace: string }) => namespace));
      expect(namespaces.size).toBe(8);
      expect(targets.some(({ figures }: { figures?: { retried: number } }) => (figures?.retried ?? 0) > 0)).toBe(true);
    }, 20_000);
    const waiting = (await browser.get('/api/jobs/translate-catalogue')).json;
    expect(waiting.explanation.reasons[0].code).toBe('NO_HANDLER');
    expect((await browser.get('/api/recurring')).json.jobs.length).toBeGreaterThanOrEqual(6);
    session.process.kill('SIGTERM');
    expect((await session.ended).code).toBe(143);
    expect(await readdir(cwd)).toEqual([]);
  });
});
