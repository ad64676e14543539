// Notifications without handlers: e-mail by a real mail server, callbacks by a real HTTP server.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, createConnection } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DuctapeError, DuctapeOptions, INotificationRequest, NotificationMessage } from './support/ductape.js';
import { create, env, eventually, product, recordingLogger, rejection, temporaryStore } from './support/instances.js';
import { certificate, closedPort, mailServer, rawServer } from './support/mail-server.js';
import { script } from './support/processes.js';

const messages: NotificationMessage[] = [
  {
    tag: 'welcome',
    email: { subject: 'Welcome {{name}}', template: '<p>Hello {{name}}</p>', text: 'Hello {{name}}' },
    callback: { body: { text: 'Hello {{name}}' } },
  },
  {
    tag: 'plain',
    email: { subject: 'Plain', template: '<p>Plain</p>' },
    sms: 'Plain',
    push_notification: { title: 'x' },
  },
];

const smtp = (port: number, more: object = {}) => ({
  provider: 'smtp' as const,
  host: '127.0.0.1',
  port,
  security: 'none' as const,
  from: 'Shop <shop@example.com>',
  ...more,
});

/** The resources of one notification. */
const notifying = (channels: object) => ({
  products: [{ tag: product, notifications: [{ tag: 'orders', envs: [{ slug: env, ...channels }], messages }] }],
});

const fastRetry = { initialDelay: 1, maxDelay: 5 };

/** An instance that sends by these channels. */
const sender = (channels: object, options: DuctapeOptions = {}) =>
  create({ resources: notifying(channels) as never, ...options });

const send = async (ductape: ReturnType<typeof create>, input: INotificationRequest, more: object = {}) => {
  const dispatched = { notification: 'orders', event: 'welcome', input, retryConfig: fastRetry, ...more };
  const { job_id } = await ductape.notifications.dispatch(dispatched);
  return job_id;
};

const to = (...recipients: string[]): INotificationRequest => ({
  email: { recipients, subject: { name: 'Ann' }, template: { name: 'Ann' } },
});

/** The error of a job, and its number of attempts. */
async function failure(
  ductape: ReturnType<typeof create>,
  input: INotificationRequest,
  more: object = {},
): Promise<{ code: string; message: string; attempts: number }> {
  const id = await send(ductape, input, { retries: 1, ...more });
  const error: DuctapeError = await rejection(ductape.jobs.wait(id));
  const job = await ductape.jobs.get(id);
  expect(JSON.stringify(await ductape.jobs.getHistory(id))).not.toContain('hunter2hunter2');
  return { code: error.code, message: error.message, attempts: job.attempt };
}

interface ReceivedCall {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A server that receives callbacks. */
async function receiver(statuses: number[] = [], headers: Record<string, string> = {}) {
  const calls: ReceivedCall[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const { method = '', url = '' } = request;
    calls.push({ method, url, headers: request.headers, body });
    response.writeHead(statuses[calls.length - 1] ?? 204, headers).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

describe('an e-mail', () => {
  it('keeps places without a value', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port) });
    await ductape.jobs.wait(await send(ductape, { email: { recipients: ['a@example.com'], subject: { name: 'x' } } }));
    expect(server.emails[0]?.parsed.subject).toBe('Welcome x');
    expect(server.emails[0]?.parsed.text?.trim()).toBe('Hello {{name}}');
    expect(server.emails[0]?.parsed.html).toContain('<p>Hello {{name}}</p>');
  });

  it('is sent to each recipient separately, with its templates filled', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port, { replyTo: 'help@example.com' }) });
    const name = `<b>Zoë</b> & "Söhne" '🎉'`;
    const input = {
      email: { recipients: ['ann@example.com', 'Bob Müller <bob@example.com>'], subject: { name }, template: { name } },
    };
    const id = await send(ductape, input);
    const result = (await ductape.jobs.wait(id)) as { email: { recipient: string; ok: boolean; message_id: string }[] };
    expect(server.emails.map((letter) => letter.to).sort()).toEqual(['ann@example.com', 'bob@example.com']);
    for (const { parsed, raw, to: recipient } of server.emails) {
      expect(parsed.subject).toBe(`Welcome ${name}`);
      expect(parsed.html).toContain('<p>Hello &lt;b&gt;Zoë&lt;/b&gt; &amp; &quot;Söhne&quot; &#39;🎉&#39;</p>');
      expect(parsed.text?.trim()).toBe(`Hello ${name}`);
      expect(parsed.from?.text).toBe('"Shop" <shop@example.com>');
      expect(parsed.replyTo?.text).toBe('help@example.com');
      // No recipient sees the others, and the message is ASCII.
      const others = recipient.startsWith('ann') ? 'bob@' : 'ann@';
      expect(raw).not.toContain(others);
      expect(Buffer.byteLength(raw)).toBe(raw.length);
      const told = result.email.find((one) => one.recipient.includes(recipient));
      expect(told).toEqual({ recipient: told?.recipient, ok: true, message_id: parsed.messageId });
    }
    expect(result.email.map((one) => one.recipient)).toEqual(input.email.recipients);
  });

  it('without a text part gets none', async () => {
    const server = await mailServer();
    const id = await send(sender({ emails: smtp(server.port) }), to('a@example.com'), { event: 'plain' });
    await eventually(() => expect(server.emails).toHaveLength(1));
    expect(server.emails[0]?.parsed.headers.get('content-type')).toMatchObject({ value: 'text/html' });
    expect(id).toBeTruthy();
  });

  it.each(['starttls', 'tls'] as const)('is sent by %s to a server with a configured authority', async (security) => {
    const { key, cert } = certificate('IP:127.0.0.1,DNS:localhost');
    const secured = { key, cert, secure: security === 'tls', hideSTARTTLS: false, allowInsecureAuth: false };
    const login = { user: 'shop', password: 'hunter2hunter2' };
    const server = await mailServer({ login, server: secured });
    const credentials = { username: 'shop', password: '$Secret{MAIL}' };
    const secrets = { MAIL: 'hunter2hunter2', CA: cert };
    const ductape = sender({ emails: smtp(server.port, { security, ca: '$Secret{CA}', ...credentials }) }, { secrets });
    await ductape.jobs.wait(await send(ductape, to('a@example.com')));
    expect(server.countFor('a@example.com')).toBe(1);
    expect(await ductape.resources.check()).toMatchObject([{ type: 'notification', tag: 'orders', ok: true }]);
    // It is not trusted without the authority, nor under another name.
    const strange = await failure(sender({ emails: smtp(server.port, { security }) }), to('a@example.com'));
    expect(strange).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    expect(strange.message).toContain('`ca`');
    const other = certificate('DNS:other.example');
    const misnamed = await mailServer({ server: { ...secured, ...other } });
    const wrong = sender({ emails: smtp(misnamed.port, { security, ca: other.cert }) });
    expect(await failure(wrong, to('a@example.com'))).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    expect(misnamed.emails).toEqual([]);
  });

  it('is never sent in the clear by a server that lacks STARTTLS', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port, { security: 'starttls' }) });
    const refused = await failure(ductape, to('a@example.com'));
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('STARTTLS');
    expect(server.emails).toEqual([]);
  });

  it('is not sent when the input has what nobody reads', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port), callbacks: { url: 'http://127.0.0.1:9/' } });
    const { email } = to('a@example.com');
    for (const [input, path] of [
      [{ email: { ...email, cc: ['b@example.com'] } }, 'input.email.cc'],
      [{ email: { ...email, bcc: 'b@example.com' } }, 'input.email.bcc'],
      [{ email: { ...email, from: 'ceo@example.com' } }, 'input.email.from'],
      [{ email: { ...email, replyTo: 'x@example.com' } }, 'input.email.replyTo'],
      [{ email: { ...email, headers: { Bcc: 'x@example.com' } } }, 'input.email.headers'],
      [{ email, emails: email }, 'input.emails'],
      [{ email, callback: { url: 'http://127.0.0.1/' } as object }, 'input.callback.url'],
    ] as const) {
      const refused = await failure(ductape, input as INotificationRequest);
      expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
      expect(refused.message).toContain(`${path}: is not`);
    }
    expect(server.emails).toEqual([]);
  });

  it('is not sent when replies were injected before TLS', async () => {
    const slipped = '220 go\r\n250 fake\r\n250 fake\r\n250 fake\r\n250 fake\r\n354 fake\r\n250 fake\r\n';
    let heard = '';
    const server = await rawServer((socket) => {
      socket.write('220 hello\r\n');
      socket.on('data', (data) => {
        const text = data.toString('latin1');
        heard += text;
        if (text.startsWith('EHLO')) socket.write('250-hello\r\n250 STARTTLS\r\n');
        else if (text === 'STARTTLS\r\n') socket.write(slipped);
      });
    });
    const ductape = sender({ emails: smtp(server.port, { security: 'starttls' }) });
    expect(await failure(ductape, to('a@example.com'))).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    expect(heard).not.toContain('MAIL FROM');
  });

  it('with wrong credentials fails for good without revealing the password', async () => {
    const login = { user: 'shop', password: 'right' };
    const server = await mailServer({ login });
    const logger = recordingLogger();
    const credentials = { username: 'shop', password: 'hunter2hunter2' };
    const ductape = sender({ emails: smtp(server.port, credentials) }, { logger });
    const refused = await failure(ductape, to('a@example.com', 'b@example.com'));
    expect(refused).toMatchObject({ code: 'UNAUTHORIZED', attempts: 1 });
    const [checked] = await ductape.resources.check();
    expect(checked).toMatchObject({ ok: false, error: { code: 'UNAUTHORIZED' } });
    expect(JSON.stringify([refused, checked, logger.lines])).not.toMatch(/hunter2|aHVudGVyM/);
    expect(server.emails).toEqual([]);
  });

  it('fails with a clear error where the server supports no authentication', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port, { username: 'u', password: 'p' }) });
    expect(await failure(ductape, to('a@example.com'))).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
  });
});

describe('a recipient', () => {
  it('that is rejected for good is reported, the others are served, and nothing is retried', async () => {
    const refuse = (address: string) =>
      address.startsWith('no') ? { code: 550, text: `5.1.1 <${address}> is nobody here` } : undefined;
    const server = await mailServer({ refuse });
    const ductape = sender({ emails: smtp(server.port) });
    const refused = await failure(ductape, to('a@example.com', 'no@example.com', 'b@example.com'));
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('email: 1 of 3 failed: recipients[1]: 550 5.1.1 … is nobody here (not retried)');
    expect(refused.message).not.toContain('@example');
    expect([server.countFor('a@example.com'), server.countFor('b@example.com')]).toEqual([1, 1]);
  });

  it('that is deferred is retried alone', async () => {
    const refuse = (address: string, times: number) => {
      if (address.startsWith('no')) return { code: 550 };
      return address.startsWith('later') && times < 3 ? { code: 451, text: '4.3.0 greylisted' } : undefined;
    };
    const server = await mailServer({ refuse });
    const ductape = sender({ emails: smtp(server.port) });
    const recipients = ['a@example.com', 'later@example.com', 'b@example.com'];
    await ductape.jobs.wait(await send(ductape, to(...recipients), { retries: 5 }));
    expect(recipients.map((recipient) => server.countFor(recipient))).toEqual([1, 1, 1]);
    expect(server.recipientAttempts.get('later@example.com')).toBe(3);
    expect(server.recipientAttempts.get('a@example.com')).toBe(1);
    // A recipient refused for good is left out when another one is retried.
    const mixed = await failure(ductape, to('no@example.com', 'later2@example.com'), { retries: 5 });
    expect(mixed).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 3 });
    expect(server.recipientAttempts.get('no@example.com')).toBe(1);
    expect(server.countFor('later2@example.com')).toBe(1);
  });

  it('that was rejected is retried alone when the job is retried by hand', async () => {
    let known = false;
    const refuse = (address: string) => (address.startsWith('new') && !known ? { code: 550 } : undefined);
    const server = await mailServer({ refuse });
    const ductape = sender({ emails: smtp(server.port) });
    const id = await send(ductape, to('a@example.com', 'new@example.com'));
    await rejection(ductape.jobs.wait(id));
    known = true;
    await ductape.jobs.retry(id);
    await eventually(async () => expect((await ductape.jobs.get(id)).status).toBe('completed'));
    expect([server.countFor('a@example.com'), server.countFor('new@example.com')]).toEqual([1, 1]);
  });

  it('whose message is rejected is reported like a rejected address', async () => {
    const refuseData = (address: string) => ({ code: address.startsWith('no') ? 554 : 452 });
    const ductape = sender({ emails: smtp((await mailServer({ refuseData })).port) });
    expect(await failure(ductape, to('no@example.com'))).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(await failure(ductape, to('full@example.com'))).toMatchObject({ code: 'SERVICE_UNAVAILABLE', attempts: 2 });
  });

  it('that is listed twice gets one e-mail with a stable id', async () => {
    const taken = await mailServer();
    const ductape = sender({ emails: smtp(taken.port) });
    await ductape.jobs.wait(await send(ductape, to('a@example.com', 'A <a@example.com>', 'a@EXAMPLE.com')));
    expect(taken.emails).toHaveLength(1);
    expect(taken.emails[0]?.parsed.messageId).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
  });

  it('is one of at most 490, who share few connections', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port) });
    const recipients = Array.from({ length: 205 }, (_, index) => `a${index}@example.com`);
    await ductape.jobs.wait(await send(ductape, to(...recipients)));
    expect(new Set(server.emails.map((letter) => letter.to)).size).toBe(205);
    expect(server.emails).toHaveLength(205);
    expect(server.connections()).toBeLessThanOrEqual(8);
    const many = Array.from({ length: 491 }, (_, index) => `a${index}@example.com`);
    expect((await failure(ductape, to(...many))).message).toContain('at most 490');
    expect(server.emails).toHaveLength(205);
  });
});

describe('a line separator', () => {
  const hostile = ['a\r\nBcc: x@evil.example', 'a\nb', 'a\rb', 'a\0b', 'a\u0085b'];

  it.each(hostile)('is refused in a subject: %j', async (name) => {
    const server = await mailServer();
    const input = { email: { recipients: ['a@example.com'], subject: { name }, template: { name: 'x' } } };
    const refused = await failure(sender({ emails: smtp(server.port) }), input);
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('input.email.subject.name');
    expect(server.connections()).toBe(0);
  });

  it.each([
    'a@example.com\r\nRCPT TO:<x@evil.example>',
    'A\r\nBcc: x@evil.example <a@example.com>',
    'a@example.com> SIZE=1',
    'a@example.com, x@evil.example',
    '"a\r\n"@example.com',
    'a b@example.com',
    '"<x@evil.example>" <a@example.com>',
    'nobody',
    '',
  ])('is refused in a recipient: %j', async (recipient) => {
    const server = await mailServer();
    const refused = await failure(sender({ emails: smtp(server.port) }), to('fine@example.com', recipient));
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('input.email.recipients[1]');
    expect(refused.message).not.toContain('evil');
    // Nothing is sent to the others either.
    expect(server.connections()).toBe(0);
  });

  it.each(['\r\n.\r\nMAIL FROM:<x@evil.example>\r\n', '\n.\n', '\r.\r', '\n.\r\nQUIT\r\n'])(
    'ends no e-mail by its text: %j',
    async (text) => {
      const server = await mailServer();
      const ductape = sender({ emails: smtp(server.port) });
      const name = `before${text}after`;
      const input = { email: { recipients: ['a@example.com'], subject: { name: 'x' }, template: { name } } };
      await ductape.jobs.wait(await send(ductape, input));
      await ductape.jobs.wait(await send(ductape, to('b@example.com')));
      expect(server.emails.map((letter) => letter.to)).toEqual(['a@example.com', 'b@example.com']);
      const lines = (value: string | false | undefined) =>
        String(value)
          .replace(/\r\n|\r/g, '\n')
          .trim();
      expect(lines(server.emails[0]?.parsed.text)).toBe(lines(`Hello ${name}`));
    },
  );
});

describe('a mail server', () => {
  it('that is unreachable or unknown is a connection error', async () => {
    const refused = await failure(sender({ emails: smtp(await closedPort()) }), to('a@example.com'));
    expect(refused).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    expect(refused.message).toContain('127.0.0.1');
    const unknown = sender({ emails: smtp(25, { host: 'mail.ductape.invalid' }) });
    expect(await failure(unknown, to('a@example.com'))).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    expect(await unknown.resources.check()).toMatchObject([{ ok: false, error: { code: 'CONNECTION_ERROR' } }]);
  });

  it.each([
    [
      'greets with garbage',
      (write: (text: string) => void) => write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'CONNECTION_ERROR',
    ],
    ['closes at once', (_: unknown, end: () => void) => end(), 'CONNECTION_ERROR'],
    ['greets without end', (write: (text: string) => void) => write('220-'.padEnd(600_000, 'x')), 'CONNECTION_ERROR'],
    ['takes no connections', (write: (text: string) => void) => write('421 4.3.2 too busy\r\n'), 'SERVICE_UNAVAILABLE'],
  ])('that %s is reported', async (_, serve, code) => {
    const server = await rawServer((socket) =>
      serve(
        (text) => socket.write(text),
        () => socket.end(),
      ),
    );
    expect(await failure(sender({ emails: smtp(server.port) }), to('a@example.com'))).toMatchObject({
      code,
      attempts: 2,
    });
  });

  it('that never answers makes the job time out and the connection close', async () => {
    const server = await rawServer(() => {});
    const stalled = await failure(sender({ emails: smtp(server.port) }), to('a@example.com'), { timeout: 200 });
    expect(stalled).toMatchObject({ code: 'TIMEOUT', attempts: 2 });
    await eventually(() => expect(server.sockets.size).toBe(0));
  });

  it('that dies during delivery is retried without sending twice to served recipients', async () => {
    let cut = () => {};
    let deliveries = 0;
    const server = await mailServer({
      beforeReply: async (address) => {
        if (address === 'dies@example.com' && ++deliveries === 1) cut();
      },
    });
    // A proxy to the server that can be cut.
    const proxy = await rawServer((socket) => {
      const onward = createConnection(server.port, '127.0.0.1');
      onward.on('error', () => {});
      socket.pipe(onward).pipe(socket);
    });
    cut = () => {
      for (const socket of proxy.sockets) socket.destroy();
    };
    const ductape = sender({ emails: smtp(proxy.port) });
    await ductape.jobs.wait(await send(ductape, to('first@example.com'), { retries: 3 }));
    await ductape.jobs.wait(await send(ductape, to('dies@example.com'), { retries: 3 }));
    expect(server.countFor('first@example.com')).toBe(1);
    // The answer got lost: the e-mail is sent again, with the same id.
    const twice = server.emails.filter((letter) => letter.to === 'dies@example.com');
    expect(twice).toHaveLength(2);
    expect(new Set(twice.map((letter) => letter.parsed.messageId)).size).toBe(1);
  });

  it('is disconnected when the job is cancelled', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await mailServer({ beforeReply: () => held });
    const ductape = sender({ emails: smtp(server.port) });
    const id = await send(ductape, to('a@example.com'));
    await eventually(() => expect(server.emails).toHaveLength(1));
    await ductape.jobs.cancel(id);
    release();
    expect((await ductape.jobs.get(id)).status).toBe('cancelled');
    // The connection was in the middle of an exchange: the next e-mail uses another one.
    await ductape.jobs.wait(await send(ductape, to('b@example.com')));
    expect(server.connections()).toBe(2);
  });

  it('is reused over a live connection by the next job', async () => {
    const server = await mailServer();
    const ductape = sender({ emails: smtp(server.port) });
    for (const name of ['a', 'b', 'c']) await ductape.jobs.wait(await send(ductape, to(`${name}@example.com`)));
    expect(server.connections()).toBe(1);
    expect(server.emails).toHaveLength(3);
  });
});

describe('a callback', () => {
  it('sends a request built from the definition and the input', async () => {
    const { base, calls } = await receiver();
    const auth = { type: 'basic', username: 'shop', password: '$Secret{HOOK}' };
    const callbacks = { url: `${base}/hooks/:id?v=1`, auth, headers: { 'x-from': 'shop' } };
    const ductape = sender({ callbacks }, { secrets: { HOOK: 'hunter2hunter2' } });
    const callback = {
      params: { id: 'a/b c' },
      query: { q: 'ü' },
      headers: { 'x-more': 'yes' },
      body: { name: 'Ann', n: 1 },
    };
    const id = await send(ductape, { callback });
    expect(await ductape.jobs.wait(id)).toEqual({ callback: { ok: true } });
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({ method: 'POST', url: '/hooks/a%2Fb%20c?v=1&q=%C3%BC' });
    expect(calls[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('shop:hunter2hunter2').toString('base64')}`,
      'content-type': 'application/json',
      'idempotency-key': `${id}/1`,
      'x-from': 'shop',
      'x-more': 'yes',
    });
    expect(JSON.parse(calls[0]?.body ?? '')).toEqual({ text: 'Hello Ann', n: 1 });
  });

  it.each([
    [400, 'VALIDATION_ERROR', 1],
    [401, 'UNAUTHORIZED', 1],
    [403, 'FORBIDDEN', 1],
    [404, 'NOT_FOUND', 1],
    [408, 'TIMEOUT', 2],
    [429, 'RATE_LIMITED', 2],
    [500, 'SERVICE_UNAVAILABLE', 2],
  ])('answered with %i fails as %s', async (status, code, attempts) => {
    const { base, calls } = await receiver([status, status]);
    const input = { callback: { body: { name: 'payload' } } };
    const failed = await failure(sender({ callbacks: { url: `${base}/token` } }), input);
    expect(failed).toMatchObject({ code, attempts });
    expect(calls).toHaveLength(attempts);
    expect(failed.message).not.toMatch(/token|payload/);
  });

  it('is validated before anything is sent', async () => {
    const server = await mailServer();
    const { base, calls } = await receiver();
    const ductape = sender({ emails: smtp(server.port), callbacks: { url: `${base}/:id` } });
    const both = { ...to('a@example.com'), callback: { body: { name: 'x' } } };
    const refused = await failure(ductape, both);
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('params.id');
    expect([server.connections(), calls.length]).toEqual([0, 0]);
  });
});

describe('several channels', () => {
  const both = (...recipients: string[]) => ({ ...to(...recipients), callback: { body: { name: 'Ann' } } });

  it('are all sent, and only failed ones are retried', async () => {
    const refuse = (_: string, times: number) => (times < 3 ? { code: 451 } : undefined);
    const server = await mailServer({ refuse });
    const { base, calls } = await receiver();
    const ductape = sender({ emails: smtp(server.port), callbacks: { url: base } });
    const result = await ductape.jobs.wait(await send(ductape, both('a@example.com'), { retries: 4 }));
    expect(result).toMatchObject({ email: [{ recipient: 'a@example.com', ok: true }], callback: { ok: true } });
    expect([calls.length, server.countFor('a@example.com')]).toEqual([1, 1]);
  });

  it('are named in the error when one fails', async () => {
    const server = await mailServer();
    const { base } = await receiver([503, 503]);
    const ductape = sender({ emails: smtp(server.port), callbacks: { url: base } });
    const failed = await failure(ductape, both('a@example.com'));
    expect(failed).toMatchObject({ code: 'SERVICE_UNAVAILABLE', attempts: 2 });
    expect(failed.message).toMatch(/^callback: 127\.0\.0\.1: .*503.* \(retried\)/);
    expect(server.countFor('a@example.com')).toBe(1);
  });

  it('are not repeated by another process once sent', async () => {
    const server = await mailServer();
    const { base, calls } = await receiver([503]);
    const store = await temporaryStore();
    const resources = notifying({ emails: smtp(server.port), callbacks: { url: base } });
    const first = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test', resources: JSON.parse(process.argv[2]) });
       const { job_id } = await ductape.notifications.dispatch(JSON.parse(process.argv[3]));
       for (;;) {
         const job = await ductape.jobs.get(job_id);
         if (job.retry_count > 0 || job.last_error) break;
         // Pause between looks.
         await new Promise((resolve) => setTimeout(resolve, 20));
       }
       console.log('failed', job_id);
       setInterval(() => {}, 1000);`,
      [
        store,
        JSON.stringify(resources),
        JSON.stringify({
          notification: 'orders',
          event: 'welcome',
          input: both('a@example.com'),
          retries: 3,
          retryConfig: { initialDelay: 1_000 },
        }),
      ],
    );
    const id = await first.waitForLine('failed');
    first.process.kill('SIGKILL');
    await first.ended;
    expect([server.countFor('a@example.com'), calls.length]).toEqual([1, 1]);
    const second = create({ store, resources: resources as never });
    await second.start({ signals: false });
    expect(await second.jobs.wait(id)).toMatchObject({ callback: { ok: true } });
    expect([server.countFor('a@example.com'), calls.length]).toEqual([1, 2]);
    expect(calls[0]?.headers['idempotency-key']).toBe(calls[1]?.headers['idempotency-key']);
  });
});

describe('a missing or unsupported definition', () => {
  it.each([
    ['nothing', {}, 'welcome', 'names nobody'],
    ['a text message', { sms: { recipients: ['1'] } }, 'plain', 'input.sms: the environment has no `sms`'],
    [
      'a push notification',
      { push_notification: { device_tokens: ['1'] } },
      'plain',
      'the environment has no `push_notifications`',
    ],
    ['a channel that the message lacks', { callback: {} }, 'plain', 'the message has no `callback`'],
    ['a channel that the environment lacks', { callback: { body: { name: 'x' } } }, 'welcome', 'has no `callbacks`'],
    ['a recipient', { email: { recipients: [] } }, 'plain', 'input.email.recipients'],
    ['an e-mail beside a text message', { ...to('a@b.example'), sms: { recipients: ['1'] } }, 'plain', 'has no `sms`'],
  ])('%s is reported before anything is sent', async (_, input, event, told) => {
    const server = await mailServer();
    const refused = await failure(sender({ emails: smtp(server.port) }), input as INotificationRequest, { event });
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain(told);
    expect(server.connections()).toBe(0);
  });

  it('is overridden by a handler', async () => {
    const account = { accountSid: 'AC1', authToken: 'x', sender: '1', endpoint: 'http://127.0.0.1:9' };
    const ductape = sender({ sms: { provider: 'twilio', ...account } });
    ductape.notifications.handle({ notification: 'orders' }, () => 'by hand');
    expect(await ductape.jobs.wait(await send(ductape, { sms: { recipients: ['1'] } }, { event: 'plain' }))).toBe(
      'by hand',
    );
  });
});
