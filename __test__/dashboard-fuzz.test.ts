// The dashboard is asked for anything: parameters, paths, headers and bodies of a generator with a seed. It must never fail, never
// hand markup back, and answer what it is asked next. `DUCTAPE_TEST_SEED` repeats a run.
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { ask, serve, signIn } from './support/dashboard.js';
import { create, job, recordingLogger } from './support/instances.js';
import { sharedStores } from './support/stores.js';

const seed = Number(process.env.DUCTAPE_TEST_SEED ?? 20_24);
const ROUNDS = 600;

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function generator(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const paths = [
  '/api/session',
  '/api/overview',
  '/api/jobs',
  '/api/jobs/job-1',
  '/api/jobs/job-1/history',
  '/api/recurring',
  '/api/targets',
  '/api/processes',
  '/api/failures',
  '/api/webhooks',
  '/api/resources',
  '/api/audit',
  '/metrics',
  '/jobs',
];
const names = [
  ...[
    'product',
    'env',
    'namespace',
    'status',
    'recurring',
    'failing',
    'last_run',
    'tag',
    'from',
    'to',
    'limit',
    'cursor',
  ],
  ...[
    'search',
    'range',
    'target.app',
    'target.tag',
    'target.__proto__',
    'target',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...['hasOwnProperty', 'a[b]', '', '%', 'x'.repeat(300)],
];
const actions = [
  'cancel',
  'cancel-run',
  'pause',
  'resume',
  'retry',
  'run-now',
  'skip-next',
  'reschedule',
  'delete',
  'constructor',
];
const markup = '<script>alert(1)</script>';
const texts = [
  ...[
    markup,
    `"'><img src=x onerror=alert(1)>`,
    '',
    '0',
    '-1',
    '1',
    '200',
    '1e9',
    'NaN',
    'true',
    'false',
    'null',
    '1h',
    '7d',
    'failed',
  ],
  ...[
    'queued,failed',
    'features',
    'actions',
    '2030-01-01',
    '9'.repeat(400),
    '\u0000',
    'a\u0000b',
    '\ud83d\ude00',
    '\u202e',
    '../../etc/passwd',
  ],
  ...[
    '..',
    '.',
    '%00',
    "' OR 1=1 --",
    '$Secret{KEY}',
    '#{x}',
    '{"$gt":0}',
    '\r\nset-cookie: a=b',
    'x'.repeat(5_000),
    'job-1',
    '*',
  ],
];
const raw = ['%', '%zz', '%c0%af', '%ff', '%ed%a0%80', '%00', '+', '%2e%2e%2f', '&&==&', '=', '%5B%5D'];

function make(random: () => number) {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const text = () => (random() < 0.25 ? pick(raw) : encodeURIComponent(pick(texts)));
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth > 3 ? 5 : 8));
    if (kind === 0) return pick([null, true, false]);
    if (kind === 1) return pick([0, -1, 1.5, 1e308, 9_007_199_254_740_992, -0]);
    if (kind < 5) return pick([...texts, '\ud800']);
    if (kind === 5) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth + 1));
    const members = Array.from({ length: Math.floor(random() * 4) }, () => [
      pick([...names, ...texts.slice(0, 4)]),
      value(depth + 1),
    ]);
    return Object.fromEntries(members);
  };
  const query = () => {
    const pairs = Array.from(
      { length: Math.floor(random() * 5) },
      () => `${random() < 0.9 ? pick(names) : text()}=${text()}`,
    );
    return pairs.join('&').replaceAll(' ', '+');
  };
  const path = () => {
    if (random() < 0.7) return pick(paths);
    const parts = Array.from({ length: Math.floor(random() * 4) }, () =>
      random() < 0.4 ? pick(['api', 'jobs', 'assets']) : text(),
    );
    return `/${parts.join('/')}`;
  };
  const body = () => {
    if (random() < 0.1)
      return pick(['', 'null', '[]', '{', '"x"', '{"a":1}{', '[[[[', `{"__proto__":{"readOnly":false}}`]);
    const members: Record<string, unknown> = {};
    for (const name of [
      'action',
      'filter',
      'ids',
      'dry_run',
      'reason',
      'delay',
      'count',
      'changes',
      'product',
      'timeout',
    ]) {
      if (random() < 0.25) members[name] = value(0);
    }
    if (random() < 0.4) Object.assign(members, { action: pick(actions), filter: value(0) });
    return JSON.stringify(members);
  };
  return { pick, query, path, body };
}

const expected = new Set([200, 400, 403, 404, 405, 409, 413]);

/** Figures for programs are a text, pages are the same for every question, all else is JSON. */
const typeOf = (asked: string) => {
  if (/^\/metrics\?/.test(asked)) return /^text\/plain/;
  return asked.startsWith('/api/') ? /^application\/json/ : /^text\/html/;
};

describe.each(sharedStores)('a dashboard of $kind', ({ unavailable, make: makeStore }) => {
  it.skipIf(unavailable)('answers whatever it is asked for', { timeout: 180_000 }, async () => {
    const logger = recordingLogger();
    const ductape = create({ store: await makeStore(), logger });
    for (let at = 0; at < 5; at++)
      await ductape.features.dispatch(job('waits', { job_id: `job-${at}`, input: { text: markup } }));
    const url = await serve(ductape);
    const { headers } = await signIn(url);
    const { pick, query, path, body } = make(generator(seed));
    for (let round = 0; round < ROUNDS; round++) {
      const isChange = round % 3 === 0;
      const target = isChange
        ? pick([`/api/jobs/job-${round % 7}/${pick(actions)}`, '/api/bulk', '/api/bulk', '/api/resources/check'])
        : path();
      const asked = isChange
        ? { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: body() }
        : { method: pick(['GET', 'GET', 'GET', 'HEAD', 'PUT', 'OPTIONS']), headers: {} };
      const whole = `${target}?${query()}`.slice(0, 15_000);
      const answer = await ask(url, isChange ? target : whole, asked);
      const what = [seed, round, asked.method, isChange ? target : whole, asked.body];
      expect([...what, answer.status]).toEqual([
        ...what,
        expected.has(answer.status) ? answer.status : 'an expected status',
      ]);
      expect([...what, answer.headers['content-type'] ?? 'application/json']).toEqual([
        ...what,
        expect.stringMatching(answer.status === 200 ? typeOf(isChange ? target : whole) : /^application\/json/),
      ]);
      expect(answer.headers['set-cookie']?.length ?? 0).toBeLessThanOrEqual(1);
    }
    expect(logger.messagesAt('error')).toEqual([]);
    expect(Object.prototype).not.toHaveProperty('readOnly');
    expect((await ask(url, '/api/session')).status).toBe(200);
  });
});

describe('a dashboard', () => {
  it.each([
    ['/api/jobs?limit=201', 'limit'],
    ['/api/jobs?limit=0', 'limit'],
    ['/api/jobs?limit=1&limit=2', 'limit'],
    ['/api/jobs?status=gone', 'status'],
    ['/api/jobs?status=failed,gone', 'status'],
    ['/api/jobs?namespace=constructor', 'namespace'],
    ['/api/jobs?recurring=1', 'recurring'],
    ['/api/jobs?from=yesterday', 'from'],
    ['/api/jobs?cursor=%21', 'cursor'],
    ['/api/jobs?target.__proto__=x', 'target.__proto__'],
    ['/api/jobs?__proto__=x', '__proto__'],
    ['/api/jobs?a=%', 'query'],
    ['/api/jobs?%ff=1', 'query'],
    ['/api/overview?range=1y', 'range'],
    ['/api/overview?range=constructor', 'range'],
    ['/api/audit?limit=abc', 'limit'],
    [`/api/jobs?search=${'x'.repeat(1_001)}`, 'search'],
    ['/api/jobs/%', 'path'],
    ['/jobs/%e0%a4', 'path'],
  ])('refuses a wrong parameter by its name: %s', async (path, name) => {
    const { status, json } = await ask(await serve(create()), path);
    expect([status, json.error.code, json.error.path]).toEqual([400, 'VALIDATION_ERROR', name]);
  });

  it.each([
    ['/api/bulk', { action: 'constructor', filter: {} }, 400],
    ['/api/bulk', { action: 'retry' }, 400],
    ['/api/bulk', { action: 'retry', filter: {}, ids: ['a'] }, 400],
    ['/api/bulk', { action: 'retry', ids: [] }, 400],
    ['/api/bulk', { action: 'retry', ids: [1] }, 400],
    ['/api/bulk', { action: 'retry', filter: { input: {} } }, 400],
    ['/api/bulk', { action: 'retry', filter: { status: ['gone'] } }, 400],
    ['/api/bulk', { action: 'retry', filter: { target: { password: 'x' } } }, 400],
    ['/api/bulk', { action: 'retry', filter: [], dry_run: 1 }, 400],
    ['/api/bulk', [], 400],
    ['/api/jobs/job-1/reschedule', {}, 400],
    ['/api/jobs/job-1/reschedule', { changes: { cron: 'never' } }, 400],
    ['/api/jobs/job-1/cancel', { reason: 1 }, 400],
    ['/api/jobs/job-1/cancel', { because: 'x' }, 400],
    ['/api/jobs/job-1/retry', { delay: -1 }, 400],
    ['/api/jobs/job-1/retry', {}, 409],
    ['/api/jobs/none/retry', {}, 404],
    ['/api/jobs/job-1/toString', {}, 404],
    ['/api/bulk', { action: 'retry', ids: Array.from({ length: 10_001 }, (_, at) => `${at}`) }, 400],
    ['/api/bulk', { action: 'retry', ids: ['x'.repeat(1_100_000)] }, 413],
    ['/api/jobs/job-1/cancel', { reason: 'x'.repeat(70_000) }, 413],
  ])('refuses a wrong body: %s', async (path, body, status) => {
    const ductape = create();
    await ductape.features.dispatch(job('waits', { job_id: 'job-1' }));
    const ann = await signIn(await serve(ductape));
    expect((await ann.post(path, body)).status).toBe(status);
    expect((await ductape.jobs.get('job-1')).status).toBe('queued');
  });

  it('bounds paths, and bodies of no declared length', async () => {
    const ductape = create();
    const url = await serve(ductape);
    expect((await ask(url, `/jobs/${'x'.repeat(9_000)}`)).status).toBe(413);
    const { headers } = await signIn(url);
    const { hostname, port } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    const head = [
      'POST /api/bulk HTTP/1.1',
      'host: localhost',
      'content-type: application/json',
      'transfer-encoding: chunked',
    ];
    for (const [name, value] of Object.entries(headers)) head.push(`${name}: ${value}`);
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let at = 0; at < 20; at++) socket.write(chunk);
    socket.on('error', () => {});
    const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it('takes requests as they come on the wire', async () => {
    const url = await serve(create());
    const { hostname, port } = new URL(url);
    const send = (text: string) =>
      new Promise<string>((resolve) => {
        const socket = net.connect(Number(port), hostname, () => socket.write(text));
        let answer = '';
        socket.on('data', (data) => {
          answer += data;
        });
        socket.on('error', () => resolve('reset'));
        socket.on('close', () => resolve(answer));
      });
    const statusOf = async (target: string) =>
      Number(
        /^HTTP\/1\.1 (\d+)/.exec(
          await send(`GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`),
        )?.[1],
      );
    expect(await statusOf('http://evil.example/api/processes')).toBe(200);
    expect(await statusOf('//evil.example/api/processes')).toBe(404);
    expect(await statusOf('/api//processes')).toBe(404);
    expect(await statusOf('/api/processes/')).toBe(200);
    expect(await statusOf('/assets/../../../package.json')).toBe(404);
    expect(await statusOf('/assets/..%2f..%2f..%2fpackage.json')).toBe(404);
    expect(await statusOf('/assets/%2e%2e/index.html')).toBe(404);
    expect(await statusOf('/assets/constructor')).toBe(404);
    expect(await statusOf('*')).toBe(404);
  });
});
