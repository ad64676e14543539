// Webhooks: what is delivered, to whom and how often, with a real receiver that checks signatures as its users would.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Ductape, IWebhookPayload, WebhookEventName } from './support/ductape.js';
import {
  countJobs,
  create,
  deferred,
  env,
  eventually,
  job,
  problemPaths,
  product,
  recordingLogger,
  rejection,
  stopwatch,
  temporaryFolder,
  temporaryStore,
} from './support/instances.js';
import { program, script } from './support/processes.js';

const all: WebhookEventName[] = [
  'job.scheduled',
  'job.started',
  'job.completed',
  'job.failed',
  'job.cancelled',
  'job.paused',
  'job.resumed',
];
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

interface Delivery {
  id: string;
  headers: Record<string, string>;
  body: string;
  payload: IWebhookPayload;
}

interface Receiver {
  url: string;
  /** Requests so far, in order; each with a signature that was right. */
  deliveries: Delivery[];
  /** Events of these requests with the id of their job, sorted; a repeated delivery once. */
  told(): string[];
}

type Answer = (response: ServerResponse, number: number, request: IncomingMessage) => void;

/** A server that checks each delivery's signature as a user of the scheme's library does, then answers. */
async function receiver(answer: Answer = (response) => response.end(), key = new Webhook(secret)): Promise<Receiver> {
  const deliveries: Delivery[] = [];
  const wrong: unknown[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const headers = request.headers as Record<string, string>;
    try {
      const payload = key.verify(body, headers) as IWebhookPayload;
      deliveries.push({ id: headers['webhook-id'] as string, headers, body, payload });
    } catch (error) {
      wrong.push(error);
    }
    answer(response, deliveries.length, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    expect(wrong).toEqual([]);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/path-token`,
    deliveries,
    told: () => {
      const unique = new Map(deliveries.map(({ id, payload }) => [id, `${payload.event} ${payload.job.id}`]));
      return [...unique.values()].sort();
    },
  };
}

const status =
  (code: number, headers = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end();

const first = async (ductape: Ductape) => {
  const [webhook] = await ductape.jobs.listWebhooks();
  if (!webhook) expect.fail('there is no webhook');
  return webhook;
};

describe('a webhook', () => {
  it('receives data of programs unchanged', async () => {
    const ductape = create({ secrets: { KEY: 'value of the secret' }, inputSecrets: ['KEY'] });
    const { url, deliveries } = await receiver();
    await ductape.jobs.setWebhook({ url, events: ['job.failed'], secret });
    const text = '$Now() $Add( $Secret{KEY} $Session{user}{id} $$';
    ductape.features.define('fail', (run) => {
      throw Object.assign(new Error(`${text} ${(run.input as { key: string }).key}`), { code: 'FORBIDDEN' });
    });
    await ductape.features.dispatch(job('fail', { input: { key: '$Secret{KEY}' } }));
    await eventually(() => expect(deliveries).toHaveLength(1));
    expect(deliveries[0]?.payload.job.error?.message).toBe(`${text} [secret]`);
  });

  it('receives signed events of a job', async () => {
    const ductape = create();
    const { url, deliveries, told } = await receiver();
    await ductape.jobs.setWebhook({ url, events: all, secret });
    ductape.features.define('work', () => {});
    ductape.features.define('fail', () => {
      throw Object.assign(new Error('not yours'), { code: 'FORBIDDEN' });
    });
    const { job_id, scheduled_at } = await ductape.features.dispatch(job('work', { job_id: 'good' }));
    await ductape.features.dispatch(job('fail', { job_id: 'bad' }));
    await ductape.features.dispatch(job('work', { job_id: 'late', schedule: { start_at: Date.now() + 1e9 } }));
    await ductape.jobs.pause('late');
    await ductape.jobs.resume('late');
    await ductape.jobs.cancel('late', { reason: 'enough' });
    await eventually(() =>
      expect(told()).toEqual([
        'job.cancelled late',
        'job.completed good',
        'job.failed bad',
        'job.paused late',
        'job.resumed late',
        'job.scheduled bad',
        'job.scheduled good',
        'job.scheduled late',
        'job.started bad',
        'job.started good',
      ]),
    );
    const of = (event: string) => deliveries.find(({ payload }) => payload.event === event);
    const common = { namespace: 'features', product, env };
    expect(of('job.completed')?.payload).toEqual({
      event: 'job.completed',
      timestamp: expect.any(Number),
      job: { ...common, id: job_id, status: 'completed', scheduled_at, execution_count: 1 },
    });
    expect(of('job.failed')?.payload.job).toMatchObject({
      status: 'failed',
      error: { code: 'FORBIDDEN', message: 'not yours' },
    });
    expect(of('job.failed')?.payload.job.error).not.toHaveProperty('stack');
    const { headers } = of('job.cancelled') as Delivery;
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': expect.stringMatching(/^msg_[0-9a-f-]{36}$/),
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,/),
      'user-agent': expect.stringMatching(/^ductape\//),
    });
    // Ends when no delivery is left.
    await ductape.drain();
    expect(deliveries).toHaveLength(10);
  });

  it('receives only the events it subscribed to', async () => {
    const ductape = create();
    const [some, others] = [await receiver(), await receiver()];
    await ductape.jobs.setWebhook({ url: some.url, events: ['job.completed'], secret });
    await ductape.jobs.setWebhook({ url: others.url, events: ['job.started', 'job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work', { job_id: 'x' }));
    await eventually(() => expect(others.told()).toEqual(['job.completed x', 'job.started x']));
    await eventually(() => expect(some.told()).toEqual(['job.completed x']));
  });

  it('with a plain secret is signed with its bytes', async () => {
    const ductape = create();
    const plain = 'a plain text, 24 bytes or more';
    const { url, told } = await receiver(undefined, new Webhook(plain, { format: 'raw' }));
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret: plain });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work', { job_id: 'x' }));
    await eventually(() => expect(told()).toEqual(['job.scheduled x']));
  });

  it('is updated by setting its URL again, and keeps its id', async () => {
    const ductape = create();
    const { url } = await receiver();
    const made = await ductape.jobs.setWebhook({ url, events: ['job.failed', 'job.failed'], secret });
    const changed = await ductape.jobs.setWebhook({ url: `${url}#part`, events: ['job.completed'], secret });
    expect(made).toEqual({
      id: expect.stringMatching(/^wh_/),
      url,
      events: ['job.failed'],
      secret: 'whsec_****',
      status: 'enabled',
      failed_count: 0,
      created_at: expect.any(Number),
      updated_at: expect.any(Number),
    });
    expect(await ductape.jobs.listWebhooks()).toEqual([changed]);
    expect(changed).toMatchObject({ id: made.id, events: ['job.completed'], created_at: made.created_at });
  });

  it.each(['id', 'url'] as const)('deleted by its %s receives nothing', async (by) => {
    const ductape = create({ clock: 'manual' });
    const { url, deliveries } = await receiver(status(500));
    const webhook = await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(1);
    await ductape.jobs.deleteWebhook(webhook[by]);
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance('P2D');
    expect(deliveries).toHaveLength(1);
    expect(await ductape.jobs.listWebhooks()).toEqual([]);
    expect((await rejection(ductape.jobs.deleteWebhook(webhook[by]))).code).toBe('NOT_FOUND');
  });
});

describe('a delivery', () => {
  it('that fails is retried under the same id until it succeeds', async () => {
    const ductape = create({ clock: 'manual' });
    const answers: Answer[] = [
      status(500),
      status(429, { 'retry-after': '30' }),
      (_, __, request) => request.socket.destroy(),
      status(204),
    ];
    const { url, deliveries } = await receiver((response, number, request) =>
      answers[number - 1]?.(response, number, request),
    );
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(1);
    expect(await first(ductape)).toMatchObject({ last_error: 'the answer was HTTP 500', failed_count: 0 });
    // 5 s and up to a fifth more.
    await ductape.clock.advance(4_999);
    expect(deliveries).toHaveLength(1);
    await ductape.clock.advance(1_001);
    expect(deliveries).toHaveLength(2);
    // As the receiver asked.
    await ductape.clock.advance(28_000);
    expect(deliveries).toHaveLength(2);
    await ductape.clock.advance(2_000);
    expect(deliveries).toHaveLength(3);
    expect((await first(ductape)).last_error).toMatch(/^the connection broke/);
    await ductape.clock.advance(100_000);
    expect(deliveries).toHaveLength(4);
    await ductape.clock.advance('P2D');
    expect(deliveries).toHaveLength(4);
    expect(new Set(deliveries.map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
    const { last_delivered_at, last_failed_at, failed_count } = await first(ductape);
    expect(last_delivered_at).toBeGreaterThan(last_failed_at as number);
    expect(failed_count).toBe(0);
  });

  it('is not repeated at once where its receiver asks for no delay, or for one that is over', async () => {
    const ductape = create({ clock: 'manual' });
    const { url, deliveries } = await receiver((response, number) => {
      const over = number === 1 ? '0' : 'Sunday, 06-Nov-94 08:49:37 GMT';
      response.writeHead(503, { 'retry-after': over }).end();
    });
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    // 5 s and 20 s, and up to a fifth more of each.
    for (const [by, made] of [
      [4_999, 1],
      [1_001, 2],
      [18_900, 2],
      [5_200, 3],
    ] as const) {
      await ductape.clock.advance(by);
      expect(deliveries).toHaveLength(made);
    }
  });

  it('is given up after the last attempt, with a warning that names no secret and no path', async () => {
    const logger = recordingLogger();
    const ductape = create({ clock: 'manual', logger });
    const { url, deliveries } = await receiver(status(404));
    const { id } = await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance('P2D');
    expect(deliveries).toHaveLength(11);
    expect(await first(ductape)).toMatchObject({ failed_count: 1, last_error: 'the answer was HTTP 404' });
    const warnings = logger.messagesAt('warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`webhook ${id} (127.0.0.1): event msg_`);
    const shown = JSON.stringify([logger.lines, await ductape.jobs.listWebhooks()]);
    expect(shown).not.toContain(secret.slice('whsec_'.length));
    expect(logger.lines.join()).not.toContain('path-token');
  });

  it('does not follow redirects', async () => {
    const ductape = create({ clock: 'manual' });
    const elsewhere = await receiver();
    const { url, deliveries } = await receiver(status(307, { location: elsewhere.url }));
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(1);
    expect(elsewhere.deliveries).toEqual([]);
    expect((await first(ductape)).last_error).toMatch(/HTTP 307; redirects are not followed/);
  });

  it('to a receiver that is gone disables the webhook until it is set again', async () => {
    const ductape = create({ clock: 'manual' });
    let code = 410;
    const { url, deliveries } = await receiver((response) => response.writeHead(code).end());
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(await first(ductape)).toMatchObject({ status: 'disabled', failed_count: 1 });
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance('P2D');
    expect(deliveries).toHaveLength(1);
    code = 200;
    expect(await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret })).toMatchObject({
      status: 'enabled',
    });
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(2);
  });

  it('to a receiver that hangs times out and uses no slot of the jobs', { timeout: 30_000 }, async () => {
    const ductape = create({ worker: { concurrency: 1 } });
    const { url, deliveries } = await receiver(() => {});
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    for (let i = 0; i < 20; i++) await ductape.features.dispatch(job('work'));
    await eventually(() => expect(deliveries.length).toBe(10));
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(20), 5_000);
    await eventually(async () => expect((await first(ductape)).last_error).toBe('no answer within 10000 ms'), 20_000);
  });

  it('to a receiver that hangs keeps none from others', { timeout: 30_000 }, async () => {
    const ductape = create();
    const hanging = [await receiver(() => {}), await receiver(() => {})];
    const { url, deliveries } = await receiver();
    for (const { url } of hanging) await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    const since = stopwatch();
    await ductape.features.dispatchMany(Array.from({ length: 40 }, () => job('work')));
    await eventually(() => expect(deliveries).toHaveLength(40), 9_000);
    // Before the first of those that hang was given up.
    expect(since()).toBeLessThan(9_000);
    expect(hanging.map(({ deliveries }) => deliveries.length)).toEqual([10, 10]);
  });

  it('answered with 410 after the webhook was set again disables nothing and is retried', async () => {
    const ductape = create({ clock: 'manual' });
    const arrived = deferred<ServerResponse>();
    const { url, deliveries } = await receiver((response, number) => {
      if (number === 1) arrived.resolve(response);
      else response.end();
    });
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    const advanced = ductape.clock.advance(0);
    const response = await arrived.promise;
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    response.writeHead(410).end();
    await advanced;
    expect(await first(ductape)).toMatchObject({ status: 'enabled', failed_count: 0 });
    await ductape.clock.advance('PT10S');
    expect(deliveries).toHaveLength(2);
  });

  it('of an event that was taken off the list is not retried', async () => {
    const ductape = create({ clock: 'manual' });
    const { url, deliveries } = await receiver(status(500));
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled', 'job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    deliveries.splice(0);
    await ductape.clock.advance('PT10S');
    expect(deliveries.map(({ payload }) => payload.event)).toEqual(['job.completed']);
  });

  it('that `outbound` of the delivering process refuses is counted and warned of', async () => {
    const store = await temporaryStore();
    const { url, deliveries } = await receiver();
    await create({ store, worker: false }).jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    const logger = recordingLogger();
    const ductape = create({ store, logger, outbound: { privateAddresses: false } });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await eventually(async () => expect((await first(ductape)).failed_count).toBe(1));
    expect((await first(ductape)).last_error).toContain('which `outbound` of the constructor forbids');
    expect(logger.lines.filter((line) => line.includes('was not delivered: the host 127.0.0.1'))).toHaveLength(1);
    expect(deliveries).toEqual([]);
  });

  it('is made by an answer with many headers', async () => {
    const ductape = create();
    const headers = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`x-header-${n}`, 'value']));
    const { url, deliveries } = await receiver(status(200, headers));
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await eventually(async () => expect((await first(ductape)).last_delivered_at).toBeDefined());
    expect(deliveries).toHaveLength(1);
  });

  it('accepts responses of any length', async () => {
    const ductape = create({ clock: 'manual' });
    const { url, deliveries } = await receiver((response) => response.end('x'.repeat(5_000_000)));
    await ductape.jobs.setWebhook({ url, events: ['job.scheduled'], secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(1);
    expect(await first(ductape)).toHaveProperty('last_delivered_at');
  });

  it('is excluded from lists, statistics and bulk changes', async () => {
    const ductape = create({ clock: 'manual' });
    let code = 500;
    const { url, deliveries } = await receiver((response) => response.writeHead(code).end());
    await ductape.jobs.setWebhook({ url, events: ['job.completed'], secret });
    ductape.features.define('work', () => {});
    const { job_id } = await ductape.features.dispatch(job('work'));
    await ductape.clock.advance(0);
    expect(deliveries).toHaveLength(1);
    const { jobs, total } = await ductape.jobs.list({ count: true });
    expect([jobs.map(({ id }) => id), total]).toEqual([[job_id], 1]);
    expect(await ductape.jobs.getStats()).toMatchObject({ total: 1, completed: 1, scheduled: 0, avg_retry_count: 0 });
    const hidden = (deliveries[0] as Delivery).id.replace('msg_', 'job_');
    expect((await rejection(ductape.jobs.get(hidden))).code).toBe('NOT_FOUND');
    expect(await ductape.jobs.cancelMany({ all: true })).toEqual({ count: 0 });
    expect(await ductape.jobs.deleteMany({ all: true })).toEqual({ count: 1 });
    expect(await countJobs(ductape)).toBe(0);
    code = 200;
    await ductape.clock.advance(10_000);
    expect(deliveries).toHaveLength(2);
  });

  it('is made by a drain but not counted in its report', async () => {
    const ductape = create({ store: await temporaryStore() });
    const { url, told } = await receiver();
    await ductape.jobs.setWebhook({ url, events: all, secret });
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work', { job_id: 'x' }));
    expect(await ductape.drain()).toEqual({ completed: 1, failed: 0, retried: 0, released: 0, remaining: 0 });
    expect(told()).toEqual(['job.completed x', 'job.scheduled x', 'job.started x']);
  });
});

describe('several processes', () => {
  it('share webhooks: events of one are delivered by another', { timeout: 30_000 }, async () => {
    const store = await temporaryStore();
    const web = create({ store, worker: false });
    const { url, told } = await receiver();
    const worker = program('worker', [store, `${await temporaryFolder()}/log`]);
    await worker.waitForLine('ready');
    await web.jobs.setWebhook({ url, events: ['job.scheduled', 'job.completed', 'job.cancelled'], secret });
    await web.features.dispatch(job('count', { job_id: 'x' }));
    await web.features.dispatch(job('nobody', { job_id: 'y' }));
    await web.jobs.cancel('y');
    await eventually(() =>
      expect(told()).toEqual(['job.cancelled y', 'job.completed x', 'job.scheduled x', 'job.scheduled y']),
    );
  });

  it('lose no event when killed between change and delivery', { timeout: 60_000 }, async () => {
    const store = await temporaryStore();
    const held = deferred();
    const { url, deliveries, told } = await receiver((response, number) => {
      // The process that made the first deliveries dies before it has their answers.
      if (number > 3) return response.end();
      held.resolve();
    });
    const web = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: '${store}', product: 'shop', env: 'test', worker: false });
       await ductape.jobs.setWebhook({ url: '${url}', events: ['job.scheduled'], secret: '${secret}' });
       await ductape.features.dispatchMany([1, 2, 3].map((n) => ({ tag: 'nobody', job_id: 'j' + n, input: {} })));
       process.kill(process.pid, "SIGKILL");`,
    );
    expect(await web.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(deliveries).toEqual([]);
    const log = `${await temporaryFolder()}/log`;
    const worker = program('worker', [store, log]);
    await held.promise;
    worker.process.kill('SIGKILL');
    await worker.ended;
    const before = deliveries.length;
    await program('worker', [store, log]).waitForLine('ready');
    await eventually(() => {
      expect(deliveries.length).toBeGreaterThan(before);
      expect(new Set(deliveries.slice(-3).map(({ id }) => id)).size).toBe(3);
    }, 40_000);
    expect(told()).toEqual(['job.scheduled j1', 'job.scheduled j2', 'job.scheduled j3']);
  });

  it('that only dispatch exit at once despite pending deliveries', { timeout: 30_000 }, async () => {
    const store = await temporaryStore();
    const { url, deliveries } = await receiver();
    const sinceStart = stopwatch();
    const { ended, stderr } = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: '${store}', product: 'shop', env: 'test' });
       await ductape.jobs.setWebhook({ url: '${url}', events: ['job.scheduled'], secret: '${secret}' });
       await ductape.features.dispatch({ tag: 'nobody', input: {} });`,
    );
    expect(await ended).toMatchObject({ code: 0 });
    expect(stderr()).toBe('');
    expect(sinceStart()).toBeLessThan(8_000);
    expect(deliveries).toEqual([]);
  });
});

describe('a wrong argument', () => {
  const good = { url: 'https://example.com/hooks', events: ['job.failed'] as const, secret };

  it.each([
    ['a missing url', { url: undefined }, 'url', /is missing/],
    ['no url', { url: '/hooks' }, 'url', /is no URL/],
    ['another scheme', { url: 'ftp://example.com' }, 'url', /http:\/\/ or https:\/\//],
    ['a password', { url: 'https://me:hunter2@example.com' }, 'url', /must not hold a user or a password/],
    ['missing events', { events: undefined }, 'events', /is missing/],
    ['no events', { events: [] }, 'events', /must not be empty/],
    ['an unknown event', { events: ['job.complete'] }, 'events[0]', /did you mean 'job.completed'/],
    ['an event of this process only', { events: ['job.retrying'] }, 'events[0]', /is no event of webhooks/],
    ['a missing secret', { secret: undefined }, 'secret', /is missing/],
    ['an empty secret', { secret: '' }, 'secret', /at most 256 bytes.* got 0/],
    ['a malformed secret', { secret: 'whsec_*' }, 'secret', /not Base64/],
    ['an unknown option', { event: ['job.failed'] }, 'event', /did you mean `events`/],
  ])('is refused: %s', async (_, change, path, message) => {
    const ductape = create();
    const error = await rejection(ductape.jobs.setWebhook({ ...good, ...change } as never));
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(problemPaths(error)).toEqual([path]);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('hunter2');
    expect(await ductape.jobs.listWebhooks()).toEqual([]);
  });

  it('is a host that `outbound` forbids, by its name or by what it resolves to', async () => {
    for (const [outbound, url] of [
      [{ hosts: ['other.example'] }, good.url],
      [{ privateAddresses: false }, 'http://127.0.0.1/'],
      [{ privateAddresses: false }, 'http://localhost:8080/hooks'],
    ] as const) {
      const ductape = create({ outbound } as never);
      const error = await rejection(ductape.jobs.setWebhook({ ...good, url }));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['url']]);
      expect(error.message).toContain('which `outbound` of the constructor forbids');
    }
  });

  it('is reported with all others', async () => {
    const error = await rejection(create().jobs.setWebhook({ url: '', events: [], secret: '' }));
    expect(problemPaths(error)).toEqual(['url', 'events', 'secret']);
  });

  it('rejects one webhook too many', async () => {
    const ductape = create();
    for (let i = 0; i < 50; i++) await ductape.jobs.setWebhook({ ...good, url: `https://example.com/${i}` });
    const error = await rejection(ductape.jobs.setWebhook(good));
    expect([error.code, error.message]).toEqual(['CONFLICT', expect.stringMatching(/50 webhooks.*deleteWebhook/)]);
    await ductape.jobs.setWebhook({ ...good, url: 'https://example.com/7' });
  });

  it('rejects an unknown webhook', async () => {
    const ductape = create();
    expect((await rejection(ductape.jobs.deleteWebhook('https://example.com/'))).code).toBe('NOT_FOUND');
    expect((await rejection(ductape.jobs.deleteWebhook(7 as never))).code).toBe('VALIDATION_ERROR');
  });
});
