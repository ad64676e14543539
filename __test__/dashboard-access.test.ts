// Who is let in to the dashboard and what they may do: every route, by every kind of user, on each kind of store.
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type Answer, type Asked, ask, byHeader, listen, serve, signIn } from './support/dashboard.js';
import { create, job, nextTurn, problemPaths, recordingLogger, rejection } from './support/instances.js';
import { postgresStore, server, sharedStores } from './support/stores.js';

const reading = [
  '/',
  '/jobs',
  '/jobs/failed-1',
  '/api/session',
  '/api/overview',
  '/api/overview?range=7d',
  '/api/jobs',
  '/api/jobs?status=failed&search=card',
  '/api/jobs/failed-1',
  '/api/jobs/failed-1/history',
  '/api/recurring',
  '/api/targets?range=24h',
  '/api/processes',
  '/api/failures?range=24h',
  '/api/webhooks',
  '/api/resources',
  '/api/audit',
  '/api/live',
  '/metrics',
];
const changing: [string, string, Record<string, unknown>][] = [
  ['POST', '/api/jobs/ticks-1/pause', {}],
  ['POST', '/api/jobs/ticks-1/resume', {}],
  ['POST', '/api/jobs/ticks-1/run-now', {}],
  ['POST', '/api/jobs/ticks-1/cancel-run', { reason: 'too early' }],
  ['POST', '/api/jobs/ticks-1/skip-next', { count: 2 }],
  ['POST', '/api/jobs/ticks-1/reschedule', { changes: { every: 7_200_000 } }],
  ['POST', '/api/jobs/failed-1/retry', { delay: 3_600_000 }],
  ['POST', '/api/jobs/failed-1/cancel', { reason: 'no longer needed' }],
  ['POST', '/api/jobs/failed-1/delete', {}],
  ['POST', '/api/bulk', { action: 'pause', ids: ['ticks-1'] }],
  ['POST', '/api/bulk', { action: 'resume', filter: {}, dry_run: true }],
  ['POST', '/api/resources/check', {}],
];

/** What is in the store, as far as a change could show. */
const jobsOf = async (ductape: ReturnType<typeof create>) =>
  JSON.stringify([(await ductape.jobs.list()).jobs, await ductape.jobs.listWebhooks()]);

async function filled(store: string) {
  const ductape = create({ store });
  ductape.features.define('breaks', () => {
    throw Object.assign(new Error('no such card'), { code: 'VALIDATION_ERROR' });
  });
  await ductape.features.dispatch(job('breaks', { job_id: 'failed-1', input: { order: 456 } }));
  await ductape.drain();
  await ductape.features.dispatch(
    job('ticks', { job_id: 'ticks-1', schedule: { every: 3_600_000, start_at: Date.now() + 3_600_000 } }),
  );
  return ductape;
}

describe.each(sharedStores)('a dashboard of $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('answers nothing to whom authorize refuses, on any route', async () => {
    const ductape = await filled(await make());
    const url = await serve(ductape, { authorize: byHeader });
    const session = (await signIn(url, { 'x-user': 'ann' })).headers;
    const before = await jobsOf(ductape);
    for (const path of reading) {
      const { status, json, text } = await ask(url, path, { headers: session });
      expect([path, status, json?.error.code]).toEqual([path, 401, 'UNAUTHORIZED']);
      expect(text).not.toContain('failed-1');
    }
    for (const [method, path, body] of changing) {
      const headers = { ...session, 'content-type': 'application/json' };
      const { status } = await ask(url, path, { method, headers, body: JSON.stringify(body) });
      expect([path, status]).toEqual([path, 401]);
    }
    expect((await ask(url, '/api/webhooks/x', { method: 'DELETE', headers: session })).status).toBe(401);
    expect(await jobsOf(ductape)).toBe(before);
    expect((await (await signIn(url, { 'x-user': 'bob' })).get('/api/audit')).json.entries).toEqual([]);
  });

  it.skipIf(unavailable)('lets who may read look at everything and change nothing', async () => {
    const ductape = await filled(await make());
    const url = await serve(ductape, { authorize: byHeader });
    const bob = await signIn(url, { 'x-user': 'bob' });
    const before = await jobsOf(ductape);
    for (const path of reading.filter((each) => each.startsWith('/api') && each !== '/api/live')) {
      expect([path, (await bob.get(path)).status]).toEqual([path, 200]);
    }
    expect((await bob.get('/api/session')).json).toMatchObject({ user: 'bob', read_only: true });
    expect((await bob.get('/api/jobs/failed-1')).json.can).toEqual([]);
    for (const [method, path, body] of changing) {
      const { status, json } = await bob.post(path, body, {}, method);
      expect([path, status, json.error.code]).toEqual([path, 403, 'FORBIDDEN']);
    }
    expect((await bob.delete('/api/webhooks/x')).status).toBe(403);
    expect(await jobsOf(ductape)).toBe(before);
    expect((await bob.get('/api/audit')).json.entries).toEqual([]);
  });

  it.skipIf(unavailable)(
    'lets who may write change what the state of a job allows, and writes down who it was',
    async () => {
      const ductape = await filled(await make());
      const url = await serve(ductape, { authorize: byHeader });
      const ann = await signIn(url, { 'x-user': 'ann' });
      for (const [method, path, body] of changing) {
        const { status, text } = await ann.post(path, body, {}, method);
        expect([path, status, text]).toEqual([path, 200, expect.anything()]);
      }
      const { entries } = (await ann.get('/api/audit')).json;
      expect(entries.map(({ who, action }: { who: string; action: string }) => `${who}: ${action}`).reverse()).toEqual([
        'ann: pause',
        'ann: resume',
        'ann: run-now',
        'ann: cancel-run',
        'ann: skip-next',
        'ann: reschedule',
        'ann: retry',
        'ann: cancel',
        'ann: delete',
        'ann: pause many',
        'ann: check resources',
      ]);
      // A reason is with the job alone.
      expect(entries.at(-4).detail).toEqual({ id: 'ticks-1' });
      expect((await ductape.jobs.get('ticks-1')).status).toBe('paused');
      expect((await rejection(ductape.jobs.get('failed-1'))).code).toBe('NOT_FOUND');
    },
  );

  it.skipIf(unavailable)('changes nothing for who may write when the request may be forged', async () => {
    const ductape = await filled(await make());
    const url = await serve(ductape, { authorize: byHeader });
    const ann = await signIn(url, { 'x-user': 'ann' });
    const other = randomBytes(32).toString('base64url');
    const { cookie = '', 'x-ductape-token': token = '' } = ann.headers;
    const right = { 'x-user': 'ann', 'content-type': 'application/json', cookie, 'x-ductape-token': token };
    const host = new URL(url).host;
    const forged: Record<string, [Record<string, string | undefined>, number]> = {
      'no token': [{ 'x-ductape-token': undefined }, 403],
      'no cookie': [{ cookie: undefined }, 403],
      'another token': [{ 'x-ductape-token': other }, 403],
      'another cookie': [{ cookie: `ductape_token=${other}` }, 403],
      'a short token in both': [{ cookie: 'ductape_token=x', 'x-ductape-token': 'x' }, 403],
      'an empty token in both': [{ cookie: 'ductape_token=', 'x-ductape-token': '' }, 403],
      'a foreign origin': [{ origin: 'https://evil.example' }, 403],
      'an origin of another port': [{ origin: 'http://127.0.0.1:1' }, 403],
      'an opaque origin': [{ origin: 'null' }, 403],
      'another site, by the browser': [{ 'sec-fetch-site': 'cross-site' }, 403],
      'a sister site, by the browser': [{ 'sec-fetch-site': 'same-site' }, 403],
      'a form': [{ 'content-type': 'application/x-www-form-urlencoded' }, 400],
      'plain text': [{ 'content-type': 'text/plain' }, 400],
      'no type': [{ 'content-type': undefined }, 400],
    };
    const before = await jobsOf(ductape);
    const send = (headers: Record<string, string | undefined>): Promise<Answer> => {
      const given = Object.entries({ ...right, ...headers }).filter(([, value]) => value !== undefined);
      const asked = { method: 'POST', headers: Object.fromEntries(given), body: '{}' };
      return ask(url, '/api/jobs/ticks-1/pause', asked as Asked);
    };
    for (const [name, [headers, status]] of Object.entries(forged)) {
      expect([name, (await send(headers)).status]).toEqual([name, status]);
    }
    expect(await jobsOf(ductape)).toBe(before);
    expect((await ann.get('/api/audit')).json.entries).toEqual([]);
    expect((await send({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });
});

describe('a change that cannot be written down', () => {
  it.skipIf(!server)('is not made', async () => {
    const { store, schema } = await postgresStore();
    const ductape = await filled(store);
    const ann = await signIn(await serve(ductape, { authorize: byHeader }), { 'x-user': 'ann' });
    const before = await jobsOf(ductape);
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(`DROP TABLE "${schema}".audit`);
    await client.end();
    for (const [method, path, body] of changing.filter(([, , { dry_run: isDry }]) => !isDry)) {
      expect([path, (await ann.post(path, body, {}, method)).status]).toEqual([path, 503]);
    }
    expect(await jobsOf(ductape)).toBe(before);
  });
});

describe('without authorize', () => {
  it('serves loopback alone, by its names and without a proxy', async () => {
    const url = await serve(create());
    const { port } = new URL(url);
    const status = async (headers: Record<string, string>) => (await ask(url, '/api/session', { headers })).status;
    for (const host of ['localhost', '127.0.0.1', '[::1]', 'LOCALHOST', '127.9.8.7']) {
      expect([host, await status({ host: `${host}:${port}` }), await status({ host })]).toEqual([host, 200, 200]);
    }
    for (const host of [
      'evil.example',
      '10.0.0.1',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'localhost@evil',
    ]) {
      expect([host, await status({ host })]).toEqual([host, 403]);
    }
    for (const name of [
      'forwarded',
      'x-forwarded',
      'x-forwarded-for',
      'X-Forwarded-Proto',
      'x-real-ip',
      'Via',
      'cf-connecting-ip',
      'true-client-ip',
      'x-client-ip',
      'x-cluster-client-ip',
      'fly-client-ip',
      'fastly-client-ip',
      'x-envoy-external-address',
      'x-original-host',
      'x-original-forwarded-for',
      'cdn-loop',
      'x-azure-clientip',
      'x-appengine-user-ip',
      'x-proxyuser-ip',
    ]) {
      expect([name, await status({ [name]: '127.0.0.1' })]).toEqual([name, 403]);
    }
  });

  it('serves no page that the browser knows by another name', async () => {
    const url = await serve(create());
    const { host, port } = new URL(url);
    const status = async (headers: Record<string, string>) =>
      (await ask(url, '/api/session', { headers: { host, 'sec-fetch-site': 'same-origin', ...headers } })).status;
    for (const origin of [
      'https://jobs.example',
      'http://127.0.0.1.evil.example',
      'http://127.0.0.1:1',
      `http://localhost:${port}`,
      'null',
      '',
    ]) {
      expect([origin, await status({ origin })]).toEqual([origin, 403]);
    }
    for (const referer of ['https://jobs.example/jobs', 'http://localhost@evil.example/', 'null', '']) {
      expect([referer, await status({ referer })]).toEqual([referer, 403]);
    }
    expect(await status({ origin: url, referer: `${url}/jobs` })).toBe(200);
    expect(await status({ referer: 'http://[::1]:8080/start' })).toBe(200);
    expect(await status({ host: `LocalHost:${port}`, origin: `http://localhost:${port}` })).toBe(200);
    const headers = {
      host,
      'sec-fetch-site': 'same-origin',
      origin: 'https://jobs.example',
      referer: 'https://jobs.example/',
    };
    // With `authorize` a proxy may give the host another name.
    expect((await ask(await serve(create(), { authorize: () => 'ann' }), '/api/session', { headers })).status).toBe(
      200,
    );
  });

  it('does not serve HTTP/1.0, by which a proxy that adds no header shows, however it is called', async () => {
    const plain = create().dashboard();
    const fastify = create().dashboard();
    const koa = create().dashboard();
    const authorized = create().dashboard({ authorize: () => 'ann' });
    const urls = {
      node: await listen(plain),
      fastify: await listen((raw, res) => {
        const request = { raw, headers: raw.headers, body: undefined };
        void fastify(request as never, { raw: res, hijack() {} } as never);
      }),
      koa: await listen((req, res) => void koa({ req, res } as never)),
      authorized: await listen(authorized),
    };
    const statusOf = (url: string, version: string) =>
      new Promise((resolve, reject) => {
        const { host, hostname, port } = new URL(url);
        const socket = connect(Number(port), hostname);
        let text = '';
        socket.setEncoding('utf8').on('data', (data: string) => {
          text += data;
        });
        socket.on('error', reject).on('close', () => resolve(text.split(' ', 2)[1]));
        socket.write(`GET /api/session HTTP/${version}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      });
    for (const [how, url] of Object.entries(urls)) {
      const statuses = [await statusOf(url, '1.0'), await statusOf(url, '1.1')];
      expect([how, ...statuses]).toEqual([how, how === 'authorized' ? '200' : '403', '200']);
    }
  });

  it('serves no peer that is elsewhere, and no Request', async () => {
    const dashboard = create().dashboard();
    const peers = {
      '10.1.2.3': 403,
      '::ffff:10.1.2.3': 403,
      '': 403,
      '1127.0.0.1': 403,
      '::1': 200,
      '::ffff:127.0.0.1': 200,
    };
    for (const [remoteAddress, expected] of Object.entries(peers)) {
      const url = await listen((req, res) => {
        Object.defineProperty(req.socket, 'remoteAddress', { value: remoteAddress || undefined });
        void dashboard(req, res);
      });
      expect([remoteAddress, (await ask(url, '/api/session')).status]).toEqual([remoteAddress, expected]);
    }
    const answer = await dashboard(new Request('http://127.0.0.1/api/session'));
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('give `authorize`')]);
  });
});

describe('authorize', () => {
  it.each([
    ['a name', 'ann', 200, { user: 'ann', read_only: false }],
    ['a user', { user: 'ann' }, 200, { user: 'ann', read_only: false }],
    ['a reader', { user: 'ann', readOnly: true }, 200, { user: 'ann', read_only: true }],
    ['a right that is no boolean', { user: 'ann', readOnly: 'no' }, 200, { user: 'ann', read_only: true }],
    ['true', true, 200, { user: 'unnamed', read_only: false }],
    ['false', false, 401, undefined],
    ['nothing', undefined, 401, undefined],
    ['null', null, 401, undefined],
    ['an empty name', '', 401, undefined],
    ['zero', 0, 401, undefined],
    ['what is no number', Number.NaN, 401, undefined],
    ['a user with an empty name', { user: '', readOnly: false }, 401, undefined],
    ['a user with no name', { user: undefined }, 401, undefined],
    ['a user with a number', { user: 1 }, 500, undefined],
    ['a whole record', { user: 'ann', id: 7, read: true, readOnlyUntil: 1 }, 200, { user: 'ann', read_only: false }],
    ['a direction', { user: 'ann\u202e\u200f\u2066' }, 200, { user: 'ann\\u202e\\u200f\\u2066' }],
    ['a second line', 'ann\n\0\u2028', 200, { user: 'ann\\n\\u0000\\u2028' }],
    ['a long name', '\u202e'.repeat(1_000), 200, { user: '\\u202e'.repeat(34).slice(0, 200) }],
    ['an object without a name', { readOnly: true }, 500, undefined],
    ['a number', 1, 500, undefined],
  ])('may give %s', async (_name, given, status, session) => {
    const url = await serve(create(), { authorize: async () => given as string });
    const answer = await ask(url, '/api/session');
    expect(answer.status).toBe(status);
    if (session) expect(answer.json).toMatchObject(session);
  });

  it.each(['readonly', 'read_only', 'READ_ONLY', 'read-only', 'ReadOnly', 'read_Only'])(
    'lets nobody in by a user with %s, which is not readOnly',
    async (name) => {
      const logger = recordingLogger();
      const given = [
        { user: 'ann', [name]: true },
        { user: 'ann', readOnly: false, [name]: true },
      ];
      for (const user of [...given, Object.assign(Object.create({ [name]: true }), { user: 'ann' })]) {
        const url = await serve(create({ logger }), { authorize: () => user });
        expect((await ask(url, '/api/session')).status).toBe(500);
      }
      await nextTurn();
      expect(logger.messagesAt('error')).toHaveLength(3);
      expect(logger.messagesAt('error')[0]).toContain(`${name}, which must be called readOnly`);
    },
  );

  it('names who changes something so that no entry of the audit log looks like another', async () => {
    const ann = await signIn(await serve(create(), { authorize: () => 'ann\u202e\n' }));
    expect((await ann.post('/api/resources/check')).status).toBe(200);
    expect((await ann.get('/api/audit')).json.entries).toMatchObject([{ who: 'ann\\u202e\\n' }]);
  });

  it('lets nobody in when it throws, and tells the log alone why', async () => {
    const logger = recordingLogger();
    const authorize = async () => {
      // The code is one that the dashboard's own answers have a status for.
      throw Object.assign(new Error('the directory is gone: ldap://secret'), { code: 'NOT_FOUND' });
    };
    const url = await serve(create({ logger }), { authorize });
    const { status, text } = await ask(url, '/api/jobs');
    expect([status, text]).toEqual([500, expect.not.stringContaining('ldap')]);
    await nextTurn();
    expect(logger.messagesAt('error')).toEqual([expect.stringContaining('ldap://secret')]);
  });

  it('may refuse by an error of the package', async () => {
    const ductape = create({
      resources: { products: [{ tag: 'shop', sessions: [{ tag: 'staff', secret: 'x'.repeat(32) }] }] },
    });
    const authorize = (request: IncomingMessage) =>
      ductape.sessions.verify({ tag: 'staff', token: String(request.headers['x-token']) } as never).then(() => 'ann');
    const { status, json } = await ask(await serve(ductape, { authorize }), '/api/jobs', {
      headers: { 'x-token': 'a.b.c' },
    });
    expect([status, json.error.code]).toEqual([401, 'UNAUTHORIZED']);
  });

  it('cannot give a right that the option readOnly takes away', async () => {
    const url = await serve(create(), { readOnly: true, authorize: () => ({ user: 'ann', readOnly: false }) });
    const ann = await signIn(url);
    expect((await ann.get('/api/session')).json.read_only).toBe(true);
    expect((await ann.post('/api/bulk', { action: 'pause', filter: {} })).status).toBe(403);
  });

  it('is asked for every request with what the framework gives', async () => {
    const asked: unknown[] = [];
    const dashboard = create().dashboard({ authorize: (request) => asked.push(request) > 1 && 'ann' });
    const request = new Request('http://example.com/api/session');
    expect([(await dashboard(request)).status, (await dashboard(request)).status]).toEqual([401, 200]);
    expect(asked).toEqual([request, request]);
  });
});

describe('options', () => {
  it.each([
    [null, 'options'],
    ['yes', 'options'],
    [{ authorise: () => true }, 'options.authorise'],
    [{ authorize: undefined }, 'options.authorize'],
    [{ authorize: true }, 'options.authorize'],
    [{ readOnly: 'no' }, 'options.readOnly'],
    [{ basePath: 'admin' }, 'options.basePath'],
    [{ basePath: '//evil.example' }, 'options.basePath'],
    [{ basePath: '/a/../b' }, 'options.basePath'],
    [{ basePath: '/a"b' }, 'options.basePath'],
    [{ basePath: '/a?b' }, 'options.basePath'],
    [{ basePath: '/a;Domain=b' }, 'options.basePath'],
    [{ redact: 'input.password' }, 'options.redact'],
    [{ redact: ['password'] }, 'options.redact[0]'],
    [{ redact: ['input.ok', 'input..x'] }, 'options.redact[1]'],
    [{ redact: ['input.pass*'] }, 'options.redact[0]'],
    [{ redact: ['input.cards[0].number'] }, 'options.redact[0]'],
    [{ redact: ['input.**'] }, 'options.redact[0]'],
    [{ redact: [1] }, 'options.redact[0]'],
  ])('that are wrong are refused by name: %j', async (options, path) => {
    const error = await rejection(() => create().dashboard(options as never));
    if (path === 'options')
      expect([error.code, error.message]).toEqual(['VALIDATION_ERROR', expect.stringContaining('options: ')]);
    else expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', [path]]);
  });
});

describe('every answer', () => {
  it('has headers of safety, whatever it is', async () => {
    const url = await serve(create());
    for (const path of ['/api/session', '/api/jobs/none', '/nowhere', '/api/jobs?x=1', '/assets/none.js', '/']) {
      const { headers } = await ask(url, path);
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|https?:|data:/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
    expect((await ask(url, '/api/session')).headers['set-cookie']).toEqual([
      expect.stringMatching(/^ductape_token=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/),
    ]);
  });

  it('to a method that a path does not take names those that it does', async () => {
    const url = await serve(create());
    const allowed = async (method: string, path: string) => {
      const { status, headers } = await ask(url, path, { method });
      return [status, headers.allow];
    };
    expect(await allowed('PUT', '/api/jobs')).toEqual([405, 'GET, HEAD']);
    expect(await allowed('OPTIONS', '/api/bulk')).toEqual([405, 'POST']);
    expect(await allowed('GET', '/api/bulk')).toEqual([405, 'POST']);
    expect(await allowed('POST', '/jobs')).toEqual([405, 'GET, HEAD']);
    expect(await allowed('DELETE', '/nowhere')).toEqual([404, undefined]);
  });
});
