// Notifications by the APIs of providers: the documented configurations, each against a server that answers as the provider does.
// What each provider is sent in full, and what becomes of its errors, is tested in Rust.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { INotificationRequest, NotificationMessage } from './support/ductape.js';
import { create, env, product, rejection } from './support/instances.js';
import { mailServer } from './support/mail-server.js';

interface Received {
  line: string;
  headers: IncomingHttpHeaders;
  body: string;
}

type Answer = (request: Received) => [status: number, body: unknown, headers?: Record<string, string>];

/** A server that answers as a provider does. */
async function provider(answer: Answer) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const got = { line: `${request.method} ${request.url}`, headers: request.headers, body };
    received.push(got);
    const [status, json, headers = {}] = answer(got);
    response.writeHead(status, headers).end(JSON.stringify(json));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const messages: NotificationMessage[] = [
  {
    tag: 'm',
    email: { subject: 'Hello {{name}}', template: '<p>{{name}}</p>' },
    sms: 'Hello {{name}}',
    callback: { body: { name: '{{name}}' } },
    push_notification: { title: 'Hello {{name}}', body: 'Order {{order}}', data: { order: '{{order}}' } },
  },
];

const sender = (channels: object) =>
  create({
    secrets: { KEY: 'hunter2hunter2' },
    resources: {
      products: [{ tag: product, notifications: [{ tag: 'n', envs: [{ slug: env, ...channels }], messages }] }],
    } as never,
  });

const dispatch = async (ductape: ReturnType<typeof create>, input: INotificationRequest, more: object = {}) => {
  const retryConfig = { initialDelay: 1, maxDelay: 5 };
  return (await ductape.notifications.dispatch({ notification: 'n', event: 'm', input, retryConfig, ...more })).job_id;
};

const from = { sender_email: 'shop@example.com' };
const ann = { email: { recipients: ['ann@example.com'], subject: { name: 'Ann' }, template: { name: 'A & B' } } };

const mailProviders: [name: string, settings: object, line: string, answer: Answer][] = [
  ['sendgrid', { apiKey: '$Secret{KEY}' }, 'POST /v3/mail/send', () => [202, null, { 'x-message-id': 'id-1' }]],
  [
    'mailgun',
    { apiKey: '$Secret{KEY}', domain: 'd.example' },
    'POST /v3/d.example/messages',
    () => [200, { id: 'id-1' }],
  ],
  [
    'postmark',
    { serverToken: '$Secret{KEY}' },
    'POST /email/batch',
    () => [200, [{ ErrorCode: 0, MessageID: 'id-1' }]],
  ],
  ['brevo', { apiKey: '$Secret{KEY}', sender_name: 'Shop' }, 'POST /v3/smtp/email', () => [201, { messageId: 'id-1' }]],
  [
    'aws_ses',
    { region: 'eu-west-1', accessKeyId: 'AKID', secretAccessKey: '$Secret{KEY}' },
    'POST /v2/email/outbound-emails',
    () => [200, { MessageId: 'id-1' }],
  ],
];

describe.each(mailProviders)('e-mail by %s', (name, settings, line, answer) => {
  it.each(['flat', 'nested'])('is sent with %s settings', async (form) => {
    const server = await provider(answer);
    const all = { ...settings, ...from, endpoint: server.url };
    const ductape = sender({ emails: { provider: name, ...(form === 'flat' ? all : { [name]: all }) } });
    const result = await ductape.jobs.wait(await dispatch(ductape, ann));
    expect(result).toEqual({ email: [{ recipient: 'ann@example.com', ok: true, message_id: 'id-1' }] });
    expect(server.received.map((one) => one.line)).toEqual([line]);
    const body = decodeURIComponent(server.received[0]?.body.replaceAll('+', ' ') ?? '');
    expect(body).toContain('Hello Ann');
    expect(body).toContain('<p>A &amp; B</p>');
    expect(body).toContain('shop@example.com');
  });

  it('is retried when the provider asks for it', async () => {
    let first = true;
    const server = await provider((request) => {
      if (!first) return answer(request);
      first = false;
      return [429, {}, { 'retry-after': '0' }];
    });
    const ductape = sender({ emails: { provider: name, ...settings, ...from, url: server.url } });
    await ductape.jobs.wait(await dispatch(ductape, ann, { retries: 2 }));
    expect(server.received).toHaveLength(2);
  });

  it('shows no secret when it is refused', async () => {
    const server = await provider(() => [401, { message: 'hunter2hunter2 is wrong' }]);
    const ductape = sender({ emails: { provider: name, ...settings, ...from, endpoint: server.url } });
    const id = await dispatch(ductape, ann, { retries: 2 });
    const { code, message } = await rejection(ductape.jobs.wait(id));
    expect(code).toBe('UNAUTHORIZED');
    expect(message).toContain('127.0.0.1: the answer was HTTP 401; check the credentials (not retried)');
    expect(JSON.stringify(await ductape.jobs.getHistory(id))).not.toContain('hunter2hunter2');
    expect(server.received).toHaveLength(1);
    const [found] = await ductape.resources.check();
    expect(found).toMatchObject({ ok: false, error: { code: 'UNAUTHORIZED' } });
  });
});

describe('an SMTP server', () => {
  const { user, pass } = { user: 'shop', pass: 'hunter2hunter2' };
  it.each([
    [
      'in an object of the provider',
      (port: string) => ({ provider: 'smtp', smtp: { host: '127.0.0.1', port, security: 'none', ...from } }),
    ],
    [
      'beside the provider',
      (port: string) => ({ provider: 'smtp', host: '127.0.0.1', port, security: 'none', ...from }),
    ],
    [
      'without a provider',
      (port: string) => ({ host: '127.0.0.1', port, security: 'none', sender: 'shop@example.com' }),
    ],
  ])('is described %s', async (_, emails) => {
    const server = await mailServer();
    const ductape = sender({ emails: emails(String(server.port)) });
    await ductape.jobs.wait(await dispatch(ductape, { email: { to: 'ann@example.com' } } as never));
    expect(server.emails[0]?.parsed.from?.text).toBe('shop@example.com');
    expect(server.emails[0]?.to).toBe('ann@example.com');
  });

  it.each([
    ['auth', { auth: { user, pass } }],
    ['user and pass', { user, pass }],
    ['username and password', { username: user, password: pass }],
  ])('is given credentials as %s, never in the clear', async (_, credentials) => {
    const server = await mailServer();
    const ductape = sender({ emails: { host: '127.0.0.1', port: server.port, ...credentials, ...from } });
    const { message } = await rejection(ductape.jobs.wait(await dispatch(ductape, ann)));
    expect(message).toContain('STARTTLS');
  });
});

describe('recipients', () => {
  it.each([
    ['to', { to: ['ann@example.com'] }],
    ['to, alone', { to: 'ann@example.com' }],
    ['recipients', { recipients: ['ann@example.com'] }],
  ])('of an e-mail are given as %s', async (_, email) => {
    const server = await provider(() => [202, null]);
    const ductape = sender({ emails: { provider: 'sendgrid', apiKey: 'k', ...from, endpoint: server.url } });
    const result = await ductape.jobs.wait(await dispatch(ductape, { email } as never));
    expect(result).toEqual({ email: [{ recipient: 'ann@example.com', ok: true }] });
  });

  it('cannot be given twice', async () => {
    const ductape = sender({ emails: { provider: 'sendgrid', apiKey: 'k', ...from, endpoint: 'http://127.0.0.1:9' } });
    const email = { to: 'ann@example.com', recipients: ['ann@example.com'] };
    const { details } = await rejection(dispatch(ductape, { email } as never));
    expect(details).toEqual([
      expect.objectContaining({ path: 'input.email.to', message: expect.stringContaining('is the same as') }),
    ]);
  });
});

const smsProviders: [name: string, settings: object, line: string, answer: Answer][] = [
  [
    'twilio',
    { accountSid: 'AC1', authToken: '$Secret{KEY}' },
    'POST /2010-04-01/Accounts/AC1/Messages.json',
    () => [201, { sid: 'id-1' }],
  ],
  [
    'nexmo',
    { apiKey: 'k', apiSecret: '$Secret{KEY}' },
    'POST /sms/json',
    () => [200, { messages: [{ status: '0', 'message-id': 'id-1' }] }],
  ],
  [
    'plivo',
    { authId: 'MA1', authToken: '$Secret{KEY}' },
    'POST /v1/Account/MA1/Message/',
    () => [202, { message_uuid: ['id-1'] }],
  ],
  [
    'plivo',
    { apiKey: 'MA1', apiSecret: '$Secret{KEY}' },
    'POST /v1/Account/MA1/Message/',
    () => [202, { message_uuid: ['id-1'] }],
  ],
];

describe.each(smsProviders)('a text message by %s', (name, settings, line, answer) => {
  it.each(['flat', 'nested'])('is sent with %s settings', async (form) => {
    const server = await provider(answer);
    const all = { ...settings, sender: '+15005550006', endpoint: server.url };
    const ductape = sender({ sms: { provider: name, ...(form === 'flat' ? all : { [name]: all }) } });
    const result = await ductape.jobs.wait(
      await dispatch(ductape, { sms: { recipients: ['+49 170 1234567'], body: { name: 'Ann' } } }),
    );
    expect(result).toEqual({ sms: [{ recipient: '+49 170 1234567', ok: true, id: 'id-1' }] });
    expect(server.received.map((one) => one.line)).toEqual([line]);
    expect(decodeURIComponent(server.received[0]?.body.replaceAll('+', ' ') ?? '')).toContain('Hello Ann');
  });
});

it.each([
  ['recipients and body', { recipients: ['+491701234567'], body: { name: 'Ann' } }, 'Hello Ann'],
  ['to and body', { to: ['+491701234567'], body: { name: 'Ann' } }, 'Hello Ann'],
  ['phones and message', { phones: ['+491701234567'], message: { name: 'Ann' } }, 'Hello Ann'],
  ['phone and message', { phone: '+491701234567', message: 'Good morning' }, 'Good morning'],
])('a text message is given %s', async (_, sms, text) => {
  const server = await provider(() => [202, { message_uuid: ['id-1'] }]);
  const account = { authId: 'MA1', authToken: 'x', sender: '1', url: server.url };
  const ductape = sender({ sms: { provider: 'plivo', ...account } });
  await ductape.jobs.wait(await dispatch(ductape, { sms } as never));
  expect(JSON.parse(server.received[0]?.body ?? '')).toEqual({ src: '1', dst: '+491701234567', text });
});

describe('a push notification', () => {
  const expo: Answer = ({ line, body }) =>
    line.endsWith('getReceipts')
      ? [200, { data: { 'id-1': { status: 'ok' } } }]
      : [
          200,
          {
            data: (JSON.parse(body) as { to: string }[]).map(({ to }) =>
              to === 'gone'
                ? { status: 'error', message: 'gone', details: { error: 'DeviceNotRegistered' } }
                : { status: 'ok', id: 'id-1' },
            ),
          },
        ];

  it.each([
    ['device_tokens', { device_tokens: ['token-1'] }],
    ['device_token', { device_token: 'token-1' }],
    ['tokens', { tokens: ['token-1'] }],
  ])('is given %s', async (_, tokens) => {
    const server = await provider(expo);
    const ductape = sender({ push_notifications: { type: 'EXPO', endpoint: server.url } });
    const push_notification = { ...tokens, title: { name: 'Ann' }, body: 'Good morning', data: { order: 7, more: 1 } };
    const result = await ductape.jobs.wait(await dispatch(ductape, { push_notification } as never));
    expect(result).toEqual({ push_notification: [{ recipient: 'token-1', ok: true, id: 'id-1' }] });
    expect(JSON.parse(server.received[0]?.body ?? '')).toEqual([
      { to: 'token-1', title: 'Hello Ann', body: 'Good morning', data: { order: 7, more: 1 } },
    ]);
  });

  it('reports devices that are gone, and fails only when all are', async () => {
    const server = await provider(expo);
    const ductape = sender({ push_notifications: { type: 'EXPO', endpoint: server.url } });
    const push = (...device_tokens: string[]) =>
      dispatch(ductape, { push_notification: { device_tokens, data: { order: 1 } } }, { retries: 2 });
    expect(await ductape.jobs.wait(await push('token-1', 'gone'))).toEqual({
      push_notification: [
        { recipient: 'token-1', ok: true, id: 'id-1' },
        {
          recipient: 'gone',
          ok: false,
          code: 'DeviceNotRegistered',
          error: 'EXPO: DeviceNotRegistered gone',
          dead: true,
        },
      ],
    });
    const { code, message } = await rejection(ductape.jobs.wait(await push('gone')));
    expect([code, message]).toEqual([
      'VALIDATION_ERROR',
      'push_notification: device_tokens[0]: EXPO: DeviceNotRegistered gone (not retried)',
    ]);
  });
});

it('a callback carries credentials as parts of the request, which jobs cannot replace', async () => {
  const server = await provider(() => [200, null]);
  const auth = {
    headers: { 'x-key': '$Secret{KEY}' },
    query: { key: '$Secret{KEY}' },
    body: { secret: '$Secret{KEY}' },
    params: { account: 'a-1' },
  };
  const ductape = sender({ callbacks: { url: `${server.url}/:account/:id`, auth } });
  const callback = {
    headers: { 'x-other': '1' },
    query: { page: 2 },
    body: { name: 'Ann' },
    params: { id: 'i-1' },
  };
  for (const [part, value] of [
    ['headers', { 'X-Key': 'mine' }],
    ['query', { key: 'mine' }],
    ['body', { secret: 'mine' }],
    ['params', { account: 'mine', id: 'i-1' }],
  ] as const) {
    const job = await dispatch(ductape, { callback: { ...callback, [part]: value } });
    const { code, message } = await rejection(ductape.jobs.wait(job));
    expect(code).toBe('VALIDATION_ERROR');
    expect(message).toContain(`input.callback.${part}.${Object.keys(value)[0]}: holds credentials`);
  }
  expect(server.received).toEqual([]);
  await ductape.jobs.wait(await dispatch(ductape, { callback }));
  const [got] = server.received;
  expect(got?.line).toBe('POST /a-1/i-1?page=2&key=hunter2hunter2');
  expect(got?.headers).toMatchObject({ 'x-key': 'hunter2hunter2', 'x-other': '1' });
  expect(JSON.parse(got?.body ?? '')).toEqual({ name: 'Ann', secret: 'hunter2hunter2' });
});

it('a callback keeps its bearer token, whatever headers a job gives', async () => {
  const server = await provider(() => [200, null]);
  const auth = { type: 'bearer', token: '$Secret{KEY}' } as const;
  const ductape = sender({ callbacks: { url: server.url, auth } });
  const callback = { body: { name: 'Ann' } };
  for (const name of ['Authorization', 'authorization', 'AUTHORIZATION']) {
    const job = await dispatch(ductape, { callback: { ...callback, headers: { [name]: 'Bearer mine' } } });
    const { code, message } = await rejection(ductape.jobs.wait(job));
    expect([code, message]).toEqual(['VALIDATION_ERROR', expect.stringContaining(`input.callback.headers.${name}: `)]);
  }
  await ductape.jobs.wait(await dispatch(ductape, { callback: { ...callback, headers: { 'x-a': '1' } } }));
  expect(server.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer hunter2hunter2']);
});
