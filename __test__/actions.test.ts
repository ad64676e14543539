// Actions without a handler: what goes over the wire, what comes back, and every way it can fail.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { AppAction, DuctapeOptions, IActionRequest } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  product,
  recordingLogger,
  rejection,
  stopwatch,
} from './support/instances.js';
import { runCall, closedPort, rawService, secureService, service, shop } from './support/services.js';

/** 12 MB in 12 kB. */
const bomb = gzipSync(Buffer.alloc(12_000_000));
const json = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

describe('a call', () => {
  it('sends the request of its action with the input and results in the response', async () => {
    const { url, requests } = await service((_, response) => {
      response.setHeader('content-type', 'application/problem+json; charset=utf-8');
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.statusCode = 201;
      response.end('{"id": 12345678901234567890, "price": 1.10}');
    });
    const action: Partial<AppAction> = {
      method: 'PUT',
      resource: '/orders/:id/items',
      headers: { 'X-Source': 'definition', 'X-Kept': '$Secret{KEPT}' },
      query: { expand: ['items', 'customer'], page: 1 },
      body: { currency: 'EUR', price: { net: '$99.99', vat: 19 } },
    };
    const job = await runCall(
      {
        ...shop(`${url}/v1/`, action, { auth: { type: 'basic', username: 'ann', password: '$Secret{PASSWORD}' } }),
        secrets: { KEPT: 'kept in a header', PASSWORD: 'hunter2hunter2' },
      },
      {
        params: { id: 'a/b ?#é' },
        query: { page: 2, filter: { state: ['open', 'paid'] } },
        headers: { 'X-Source': 'input' },
        body: { price: { vat: 7 }, lines: [{ sku: 1 }] },
      },
    );
    const [sent] = requests;
    expect(`${sent?.method} ${sent?.url}`).toBe(
      'PUT /v1/orders/a%2Fb%20%3F%23%C3%A9/items?expand=items&expand=customer&page=2&filter%5Bstate%5D=open&filter%5Bstate%5D=paid',
    );
    expect(sent?.headers).toMatchObject({
      authorization: `Basic ${btoa('ann:hunter2hunter2')}`,
      'content-type': 'application/json',
      'idempotency-key': `${job.id}/1`,
      'x-kept': 'kept in a header',
      'x-source': 'input',
    });
    expect(`${sent?.body}`).toBe('{"currency":"EUR","price":{"net":"$99.99","vat":7},"lines":[{"sku":1}]}');
    expect(job).toMatchObject({ status: 'completed', result: { status: 201, data: { price: 1.1 } } });
    expect(job.result.headers).toMatchObject({ 'set-cookie': ['a=1', 'b=2'] });
    expect(requests).toHaveLength(1);
  });

  it('accepts flat fields and fields with a prefix', async () => {
    const { url, requests } = await service();
    const flat = { id: 7, note: 'n', 'query:q': 1, 'headers:x-h': 2, 'body:id': 3 } as IActionRequest;
    expect((await runCall(shop(url, { resource: '/orders/:id' }), flat)).status).toBe('completed');
    expect(requests[0]).toMatchObject({ url: '/orders/7?q=1', headers: { 'x-h': '2' } });
    expect(`${requests[0]?.body}`).toBe('{"note":"n","id":3}');
    await runCall(shop(url, { method: 'DELETE', resource: '/orders/:id' }), { id: 7, note: 'n' } as IActionRequest);
    expect(requests[1]).toMatchObject({ method: 'DELETE', url: '/orders/7?note=n' });
    expect(requests[1]?.body).toHaveLength(0);
  });

  it('resolves expressions and leaves text that only resembles one', async () => {
    const { url, requests } = await service();
    const action = { query: { product: '$Var(product)x', at: '$Now()' }, body: { text: '$$5' } };
    await runCall(shop(url, action), { body: { double: '$Add(1, 1)', price: '$5' } });
    expect(`${requests[0]?.body}`).toBe('{"text":"$5","double":2,"price":"$5"}');
    expect(Number(new URL(`http://h${requests[0]?.url}`).searchParams.get('at'))).toBeGreaterThan(1_700_000_000_000);
  });

  it('sends forms, files and texts', async () => {
    const { url, requests } = await service();
    const sent = async (request_type: string, body: IActionRequest['body']) => {
      const job = await runCall(shop(url, { request_type }), { body } as IActionRequest);
      expect(job.error).toBeUndefined();
      const last = requests.at(-1);
      return new Response(new Uint8Array(last?.body ?? []), {
        headers: { 'content-type': last?.headers['content-type'] ?? '' },
      });
    };
    const form = await sent('application/x-www-form-urlencoded', { a: 'x&y=é +', list: [1, true], none: null });
    expect([...(await form.formData())]).toEqual([
      ['a', 'x&y=é +'],
      ['list', '1'],
      ['list', 'true'],
    ]);
    const bytes = Buffer.from([0, 13, 10, 45, 45, 255]);
    const file = { filename: 'ü "1".bin', content: bytes.toString('base64'), contentType: 'application/x-test' };
    const parts = await (await sent('multipart/form-data', { title: 'T', file, meta: { n: 1 } })).formData();
    expect(parts.get('title')).toBe('T');
    const got = parts.get('file') as File;
    expect([got.type, Buffer.from(await got.arrayBuffer())]).toEqual(['application/x-test', bytes]);
    expect(await (await sent('text/csv', { content: 'a,b\né,2\n' })).text()).toBe('a,b\né,2\n');
    const raw = await sent('application/octet-stream', { content: bytes.toString('base64'), encoding: 'base64' });
    expect(Buffer.from(await raw.arrayBuffer())).toEqual(bytes);
  });

  it.each([
    ['JSON as its value', 'application/json', '[1.50]', [1.5], undefined],
    ['nothing as null', 'application/json', '', null, undefined],
    ['JSON that is none as text', 'application/json', '{"a":', '{"a":', undefined],
    ['text in its charset', 'text/plain; charset=iso-8859-1', Buffer.from([0xe9]), 'é', undefined],
    ['bytes as base64', 'image/png', Buffer.from([0, 255]), 'AP8=', 'base64'],
  ])('gives %s', async (_, type, body, data, encoding) => {
    const { url } = await service((__, response) => void response.setHeader('content-type', type).end(body));
    const { result } = await runCall(shop(url));
    expect(result.data).toEqual(data);
    expect(result.encoding).toBe(encoding);
  });

  it('uses HTTP/2 where the server supports it and trusts the configured authority', async () => {
    const { url, ca, versions } = await secureService();
    expect((await runCall(shop(url, {}, { ca }))).result).toMatchObject({ status: 200, data: {} });
    expect(versions).toEqual(['2.0']);
    const refused = await runCall(shop(url));
    expect(refused.error).toMatchObject({ code: 'CONNECTION_ERROR', message: expect.stringMatching(/certificate/i) });
  });

  it('is run by a handler where there is one, and left to other processes where the action is undefined', async () => {
    const { url, requests } = await service();
    const ductape = create(shop(url));
    ductape.actions.handle({}, () => 'by hand');
    const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} });
    expect(await ductape.jobs.wait(job_id)).toBe('by hand');
    expect(requests).toHaveLength(0);
    const other = create(shop(url));
    const unknown = await other.actions.dispatch({ app: 'shop', event: 'other', input: {} });
    const known = await other.actions.dispatch({ app: 'shop', event: 'call', input: {} });
    await other.jobs.wait(known.job_id);
    expect((await other.jobs.get(unknown.job_id)).status).toBe('queued');
  });
});

const retried = { retries: 1, retryConfig: { initialDelay: 1 } };

describe('a call that fails', () => {
  const answers = (head: string) => () => rawService((socket) => socket.end(head));
  const status = (line: string) =>
    answers(`HTTP/1.1 ${line} X\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret`);

  it.each<[string, () => Promise<{ url: string }>, string, boolean]>([
    ['nobody listens', async () => ({ url: `http://127.0.0.1:${await closedPort()}` }), 'CONNECTION_ERROR', true],
    ['a host that does not exist', async () => ({ url: 'http://nowhere.invalid' }), 'CONNECTION_ERROR', true],
    ['a server that hangs up', () => rawService((socket) => socket.destroy()), 'CONNECTION_ERROR', true],
    ['a server of another kind', answers('220 smtp.example.com ESMTP\r\n'), 'CONNECTION_ERROR', true],
    ['an answer that breaks off', answers(`${json}content-length: 9\r\n\r\n{"a"`), 'CONNECTION_ERROR', true],
    ['chunks that are none', answers(`${json}transfer-encoding: chunked\r\n\r\nzz\r\n`), 'CONNECTION_ERROR', true],
    ['gzip that is none', answers(`${json}content-encoding: gzip\r\n\r\nnot gzip at all`), 'CONNECTION_ERROR', true],
    ['an answer of a gigabyte', answers(`${json}content-length: 1000000000\r\n\r\n`), 'VALIDATION_ERROR', false],
    ['400', status('400'), 'VALIDATION_ERROR', false],
    ['401', status('401'), 'UNAUTHORIZED', false],
    ['403', status('403'), 'FORBIDDEN', false],
    ['404', status('404'), 'NOT_FOUND', false],
    ['408', status('408'), 'TIMEOUT', true],
    ['410', status('410'), 'NOT_FOUND', false],
    ['422', status('422'), 'VALIDATION_ERROR', false],
    ['429', status('429'), 'RATE_LIMITED', true],
    ['500', status('500'), 'SERVICE_UNAVAILABLE', true],
    ['503', status('503'), 'SERVICE_UNAVAILABLE', true],
    ['a redirect to another scheme', answers('HTTP/1.1 302 X\r\nlocation: https://h/\r\n\r\n'), 'FORBIDDEN', false],
    [
      'redirects without end',
      answers('HTTP/1.1 307 X\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
      'HTTP_ERROR',
      true,
    ],
  ])('by %s', async (_, start, code, again) => {
    const { url } = await start();
    const job = await runCall(shop(`${url}/token-in-path`), { body: { card: 'payload' } }, retried);
    expect(job.status).toBe('failed');
    expect(job.error?.code).toBe(code);
    expect(job.attempt, 'attempts').toBe(again ? 2 : 1);
    expect(job.error?.message).toContain(new URL(url).hostname);
    expect(JSON.stringify(job.error)).not.toMatch(/token-in-path|payload|secret/);
  });

  it('stops reading an endless response, compressed or not', async () => {
    const closed = deferred();
    const endless = await rawService((socket) => {
      socket.write(`${json}\r\n`);
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1 << 20, 32)));
      };
      socket.on('drain', more).on('close', () => closed.resolve());
      more();
    });
    expect((await runCall(shop(endless.url))).error).toMatchObject({
      code: 'VALIDATION_ERROR',
      message: '127.0.0.1: the answer is larger than 10485760 bytes',
    });
    await closed.promise;
    const packed = await service((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(bomb);
    });
    expect((await runCall(shop(packed.url))).error?.code).toBe('VALIDATION_ERROR');
  });

  it('is retried after the delay the service asks for', async () => {
    const elapsed = stopwatch();
    let first = true;
    const { url, requests } = await service((_, response) => {
      response.writeHead(first ? 429 : 200, first ? { 'retry-after': '1' } : {}).end();
      first = false;
    });
    expect((await runCall(shop(url), {}, retried)).status).toBe('completed');
    expect(elapsed()).toBeGreaterThan(950);
    const keys = requests.map((request) => request.headers['idempotency-key']);
    expect(new Set(keys).size, 'one key for all attempts').toBe(1);
    expect(keys).toHaveLength(2);
  });

  it.each([
    ['before its answer', '', {}],
    ['within its headers', 'HTTP/1.1 200 OK\r\nx: ', {}],
    ['within its body', `${json}content-length: 9\r\n\r\n{`, {}],
    ['and the action has a timeout', '', { timeout: 60_000 }],
  ])('times out and closes the connection when the server stalls %s', async (_, text, action) => {
    const closed = deferred();
    const { url } = await rawService((socket) => {
      socket.on('close', () => closed.resolve());
      socket.write(text);
    });
    const job = await runCall(shop(url, action), {}, { timeout: 2_000 });
    expect(job.error?.code).toBe('TIMEOUT');
    await closed.promise;
  });

  it('times out after the timeout of its action', async () => {
    const { url } = await rawService(() => {});
    expect((await runCall(shop(url, { timeout: 100 }))).error?.code).toBe('TIMEOUT');
  });

  it('is aborted when its job is cancelled', async () => {
    const [asked, closed] = [deferred(), deferred()];
    const { url } = await rawService((socket) => {
      socket.on('close', () => closed.resolve());
      asked.resolve();
    });
    const ductape = create(shop(url));
    const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} });
    await asked.promise;
    await ductape.jobs.cancel(job_id);
    await closed.promise;
    await eventually(async () => expect((await ductape.jobs.get(job_id)).status).toBe('cancelled'));
  });

  it.each<[string, object, RegExp]>([
    ['a parameter that is missing', {}, /params\.id: is missing/],
    ['a parameter that climbs', { params: { id: '..' } }, /params\.id/],
    ['a header in two lines', { params: { id: 1 }, headers: { 'x-a': 'a\r\nx-b: payload' } }, /headers\.x-a/],
    ['a name of a header that is none', { params: { id: 1 }, headers: { 'x a': 'payload' } }, /headers\.x a/],
    ['a header of the connection', { params: { id: 1 }, headers: { Host: 'payload' } }, /headers\.Host/],
    ['a query that is a text', { id: 1, 'query:a': { b: { c: 1 } }, headers: { a: [] } }, /headers\.a/],
  ])('by %s sends nothing', async (_, input, message) => {
    const { url, requests } = await service();
    const job = await runCall(shop(url, { resource: '/orders/:id' }), input, retried);
    expect(job.error).toMatchObject({ code: 'VALIDATION_ERROR', message: expect.stringMatching(message) });
    expect(job.error?.message).not.toContain('payload');
    expect(job.attempt).toBe(1);
    expect(requests).toHaveLength(0);
  });

  it('names the secret that is missing or makes an invalid URL', async () => {
    const cases: [string, DuctapeOptions['secrets'], RegExp][] = [
      ['$Secret{BASE}', {}, /BASE/],
      ['$Secret{BASE}', { BASE: 'not a URL' }, /app shop .*base_url/],
      ['$Secret{BASE}', { BASE: 'ftp://example.com' }, /base_url/],
      ['$Secret{BASE}', { BASE: 'https://ann:hunter2@example.com' }, /auth/],
    ];
    for (const [base, secrets, message] of cases) {
      const { error } = await runCall({ ...shop(base), ...(secrets && { secrets }) });
      expect(error).toMatchObject({ code: 'VALIDATION_ERROR', message: expect.stringMatching(message) });
      expect(error?.message).not.toContain('hunter2');
    }
  });
});

describe('credentials', () => {
  it('that are rejected are fetched again, and appear in no error, log or history', async () => {
    const [old, fresh] = ['an old secret key', 'a fresh secret key'];
    let value = old;
    const { url, requests } = await service((request, response) => {
      const right = request.headers.authorization === `Bearer ${fresh}`;
      response.writeHead(right ? 200 : 401).end(request.headers.authorization);
    });
    const logger = recordingLogger();
    const ductape = create({
      ...shop(url, {}, { auth: { type: 'bearer', token: '$Secret{KEY}' } }),
      secrets: () => value,
      logger,
    });
    const call = async () => {
      const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} });
      const answer = await ductape.jobs.wait(job_id).catch((error: unknown) => error);
      const history = await ductape.jobs.getHistory(job_id);
      return { answer, texts: JSON.stringify([await ductape.jobs.get(job_id), history]) };
    };
    const refused = await call();
    expect(refused.answer).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(`${String(refused.answer)}${refused.texts}${logger.lines}`).not.toContain(old);
    value = fresh;
    expect((await call()).answer).toMatchObject({ status: 200 });
    expect(requests.map((request) => request.headers.authorization)).toEqual([`Bearer ${old}`, `Bearer ${fresh}`]);
  });

  it('are not sent to another host by a redirect', async () => {
    const target = await service();
    const { url } = await service((_, response) => {
      response.writeHead(307, { location: `http://localhost:${target.port}/next` }).end();
    });
    const auth = { type: 'header', name: 'X-Api-Key', value: 'hunter2' } as const;
    const { status } = await runCall(shop(url, {}, { auth }), { body: { a: 1 } });
    expect(status).toBe('completed');
    expect(target.requests[0]).toMatchObject({ method: 'POST', url: '/next' });
    expect(`${target.requests[0]?.body}`).toBe('{"a":1}');
    expect(JSON.stringify(target.requests[0]?.headers)).not.toContain('hunter2');
  });
});

describe('outbound', () => {
  const refused = { code: 'FORBIDDEN', message: expect.stringMatching(/outbound/) };

  it.each([
    ['an address', 'http://127.0.0.1'],
    ['an address in disguise', 'http://0x7f000001'],
    ['a name', 'http://localhost'],
  ])('blocks calls to private networks: %s', async (_, host) => {
    const { port, requests } = await service();
    const options = { ...shop(`${host}:${port}`), outbound: { privateAddresses: false } };
    const job = await runCall(options, {}, retried);
    expect(job).toMatchObject({ attempt: 1, error: refused });
    expect(requests).toHaveLength(0);
  });

  it('limits calls and redirects to the listed hosts', async () => {
    const { url, port, requests } = await service((request, response) => {
      const elsewhere = `http://localhost:${port}/`;
      response.writeHead(request.url === '/away' ? 302 : 200, { location: elsewhere }).end();
    });
    const outbound = { hosts: ['127.0.0.1', '*.example.com'] };
    expect((await runCall({ ...shop(url), outbound })).status).toBe('completed');
    expect((await runCall({ ...shop('http://example.com'), outbound })).error).toMatchObject(refused);
    expect((await runCall({ ...shop(url, { resource: '/away' }), outbound })).error).toMatchObject(refused);
    expect(requests.map((request) => request.url)).toEqual(['/', '/away']);
  });

  it('applies to webhooks', async () => {
    const ductape = create({ outbound: { hosts: ['hooks.example.com'], privateAddresses: false } });
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    for (const url of ['https://example.com/', 'http://10.0.0.1/']) {
      const error = await rejection(ductape.jobs.setWebhook({ url, events: ['job.failed'], secret }));
      expect(error.details?.[0]).toMatchObject({ path: 'url', message: expect.stringMatching(/outbound/) });
    }
    await ductape.jobs.setWebhook({ url: 'https://hooks.example.com/', events: ['job.failed'], secret });
  });

  it('is validated', async () => {
    const outbound = { hosts: ['https://a.example'], private: false } as never;
    const error = await rejection(() => create({ outbound }));
    const paths = error.details?.map((problem) => problem.path);
    expect(paths).toEqual(['options.outbound.private', 'options.outbound.hosts[0]']);
  });
});

describe('a check', () => {
  it.each([
    [200, undefined],
    [404, undefined],
    [302, undefined],
    [405, undefined],
    [501, undefined],
    [401, 'UNAUTHORIZED'],
    [403, 'FORBIDDEN'],
    [500, 'SERVICE_UNAVAILABLE'],
    [503, 'SERVICE_UNAVAILABLE'],
  ])('reports for status %i: %s', async (status, code) => {
    const { url, requests } = await service(
      (_, response) => void response.writeHead(status, { location: '/login' }).end(),
    );
    const found = await create(shop(`${url}/v1`)).resources.check();
    expect(found).toMatchObject([{ product, env, type: 'app', tag: 'shop', ok: code === undefined }]);
    expect(found[0]?.error?.code).toBe(code);
    expect(requests).toMatchObject([{ method: 'HEAD', url: '/v1' }]);
  });

  it('reports that nothing is listening', async () => {
    const [found] = await create(shop(`http://127.0.0.1:${await closedPort()}`)).resources.check();
    expect(found?.error?.code).toBe('CONNECTION_ERROR');
    const { url } = await rawService(() => {});
    const [stalled] = await create(shop(url)).resources.check({ timeout: 100 });
    expect(stalled?.error?.code).toBe('TIMEOUT');
  });
});
