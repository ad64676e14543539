// Traces, with the real OpenTelemetry SDK: what spans there are, which belong to which, and what crosses to other servers.
import { type Context, context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  ParentBasedSampler,
  type ReadableSpan,
  SimpleSpanProcessor,
  AlwaysOnSampler,
} from '@opentelemetry/sdk-trace-node';
import { AsyncLocalStorage } from 'node:async_hooks';
import { tracingChannel } from 'node:diagnostics_channel';
import type { IncomingMessage, RequestListener } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Resources } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  product,
  recordingLogger,
  temporaryStore,
} from './support/instances.js';
import { node, script } from './support/processes.js';
import { address } from './support/servers.js';
import { service, shop } from './support/services.js';
import { postgresStore, server as postgres } from './support/stores.js';

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({
  sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
  spanProcessors: [new SimpleSpanProcessor(exporter)],
});
provider.register();
const tracer = trace.getTracer('the program');

beforeEach(() => exporter.reset());
afterAll(() => provider.shutdown());

const spans = () => exporter.getFinishedSpans();
const named = (name: string) => spans().filter((span) => span.name === name);

/** The spans of that name, once there are so many. */
const untilNamed = (name: string, count = 1) =>
  eventually(() => {
    expect(named(name)).toHaveLength(count);
    return named(name) as [ReadableSpan, ...ReadableSpan[]];
  });

const isChild = (child: ReadableSpan | undefined, parent: ReadableSpan | undefined) => {
  expect(child?.spanContext().traceId).toBe(parent?.spanContext().traceId);
  expect(child?.parentSpanContext?.spanId).toBe(parent?.spanContext().spanId);
};

/** Serves each request within a span that continues the trace in its headers. */
function serving(name: string, work: (request: IncomingMessage) => Promise<unknown>): RequestListener {
  return (request, response) => {
    const from = propagation.extract(ROOT_CONTEXT, request.headers);
    tracer.startActiveSpan(name, { kind: SpanKind.SERVER }, from, async (span) => {
      await work(request);
      span.end();
      response.end('{}');
    });
  };
}

/** Runs `work` in a span of the program's, which it returns. */
async function within<T>(name: string, work: () => Promise<T>, from: Context = ROOT_CONTEXT): Promise<T> {
  return tracer.startActiveSpan(name, {}, from, async (span) => {
    try {
      return await work();
    } finally {
      span.end();
    }
  });
}

describe('one trace', () => {
  it('goes from a request through dispatch, run and connector to the server that is called', async () => {
    const receiver = await service(serving('receiver', async () => {}));
    const ductape = create({ telemetry: true, ...shop(receiver.url) });
    const ended = deferred<string>();
    const front = await service(
      serving('front', async () => {
        const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: { body: { a: 1 } } });
        ended.resolve(job_id);
      }),
    );
    await within('client', async () => {
      const headers: Record<string, string> = {};
      propagation.inject(context.active(), headers);
      await fetch(front.url, { headers });
    });
    const id = await ended.promise;
    await ductape.jobs.wait(id);
    const [process] = await untilNamed('process actions/shop/call');
    const [client, frontSpan, dispatch] = ['client', 'front', 'dispatch actions/shop/call'].map(
      (name) => named(name)[0],
    );
    const [post, receiverSpan] = [named('POST')[0], named('receiver')[0]];
    isChild(frontSpan, client);
    isChild(dispatch, frontSpan);
    isChild(process, dispatch);
    isChild(post, process);
    isChild(receiverSpan, post);
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(dispatch).toMatchObject({
      kind: SpanKind.PRODUCER,
      attributes: {
        'messaging.system': 'ductape',
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'dispatch',
        'messaging.destination.name': 'actions/shop/call',
        'messaging.message.id': id,
        'ductape.product': product,
        'ductape.env': env,
      },
    });
    expect(process).toMatchObject({
      kind: SpanKind.CONSUMER,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'messaging.operation.type': 'process',
        'messaging.message.id': id,
        'ductape.run': 1,
        'ductape.attempt': 1,
      },
    });
    expect(process.links.map((link) => link.context.spanId)).toEqual([dispatch?.spanContext().spanId]);
    expect(post).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'server.address': '127.0.0.1',
      },
    });
    expect(post?.duration[0]).toBeLessThan(10);
  });

  it('covers what a handler does, and continues where another process runs the job', async () => {
    const store = await temporaryStore();
    const [dispatching, working] = [
      create({ store, telemetry: true, worker: false }),
      create({ store, telemetry: true }),
    ];
    working.features.define('f', () => within('inner', async () => 'done', context.active()));
    const { job_id } = await within('outer', () => dispatching.features.dispatch(job('f')));
    expect(await working.jobs.wait(job_id)).toBe('done');
    const [process] = await untilNamed('process features/f');
    isChild(named('dispatch features/f')[0], named('outer')[0]);
    isChild(process, named('dispatch features/f')[0]);
    isChild(named('inner')[0], process);
  });

  it('has the trace state of its beginning', async () => {
    const ductape = create({ telemetry: true });
    const from = propagation.extract(ROOT_CONTEXT, {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=a value,other=1',
    });
    let seen: string | undefined;
    ductape.features.define('f', () => {
      seen = trace.getActiveSpan()?.spanContext().traceState?.serialize();
    });
    const { job_id } = await context.with(from, () => ductape.features.dispatch(job('f')));
    await ductape.jobs.wait(job_id);
    expect(seen).toBe('vendor=a value,other=1');
    expect(spans().map((span) => span.spanContext().traceId)).toEqual(
      Array.from({ length: 2 }, () => '0af7651916cd43dd8448eb211c80319c'),
    );
  });

  it('is not recorded anywhere when its beginning is not', async () => {
    const receiver = await service();
    const ductape = create({ telemetry: true, ...shop(receiver.url) });
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    const from = propagation.extract(ROOT_CONTEXT, { traceparent: parent });
    const call = { app: 'shop', event: 'call', input: {} };
    const { job_id } = await context.with(from, () => ductape.actions.dispatch(call));
    await ductape.jobs.wait(job_id);
    expect(receiver.requests[0]?.headers.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    expect(spans()).toEqual([]);
  });
});

describe('the spans of', () => {
  it('attempts are one each, with the failure of those that failed', async () => {
    const ductape = create({ telemetry: true, secrets: { KEY: 'a secret value' }, inputSecrets: ['KEY'] });
    ductape.features.define('f', ({ attempt, snooze }) => {
      if (attempt === 1) throw Object.assign(new Error('not with a secret value'), { code: 'E_FIRST' });
      if (attempt === 2) return Promise.reject(new TypeError('second'));
      if (!named('snoozed').length) {
        tracer.startSpan('snoozed').end();
        snooze(1);
      }
    });
    const input = { key: '$Secret{KEY}' };
    const { job_id } = await ductape.features.dispatch(
      job('f', { input, retries: 2, retryConfig: { initialDelay: 1 } }),
    );
    await ductape.jobs.wait(job_id);
    const attempts = await untilNamed('process features/f', 4);
    for (const attempt of attempts) isChild(attempt, named('dispatch features/f')[0]);
    expect(attempts.map((span) => span.attributes['error.type'])).toEqual([
      'E_FIRST',
      'TypeError',
      undefined,
      undefined,
    ]);
    expect(attempts.map((span) => span.status.code)).toEqual([2, 2, 0, 0]);
    expect(attempts[0].events).toMatchObject([{ name: 'exception', attributes: { 'exception.type': 'E_FIRST' } }]);
    expect(attempts[0].status.message).toBe('E_FIRST: not with [secret]');
    expect(JSON.stringify(attempts[0].events)).not.toContain('a secret value');
  });

  it('an attempt that is given up end then, as failed', async () => {
    const ductape = create({ telemetry: true });
    const forever = deferred();
    ductape.features.define('f', () => forever.promise);
    const { job_id } = await ductape.features.dispatch(job('f', { timeout: 20 }));
    await ductape.jobs.wait(job_id).catch(() => {});
    const [attempt] = await untilNamed('process features/f');
    expect(attempt.attributes['error.type']).toBe('TIMEOUT');
    forever.resolve();
  });

  it('steps are within their attempt, one for each try, and none for what is recalled', async () => {
    const ductape = create({ telemetry: true });
    let charges = 0;
    ductape.features.define('f', async ({ step, attempt }) => {
      await step('reserve', () => 'r', { rollback: () => tracer.startSpan('release').end() });
      await step(
        'charge:7',
        () => {
          if (++charges === 1) throw new Error('declined');
        },
        { retries: 1 },
      );
      if (attempt === 1) throw new Error('again');
      throw Object.assign(new Error('no'), { code: 'VALIDATION_ERROR' });
    });
    const retryConfig = { initialDelay: 1 };
    const { job_id } = await ductape.features.dispatch(job('f', { retries: 2, retryConfig }));
    await ductape.jobs.wait(job_id).catch(() => {});
    const [first, second] = await untilNamed('process features/f', 2);
    expect(named('step reserve')).toHaveLength(1);
    isChild(named('step reserve')[0], first);
    const tries = named('step charge');
    for (const each of tries) isChild(each, first);
    expect(tries.map((span) => [span.kind, span.status.code, span.attributes])).toEqual([
      [SpanKind.INTERNAL, 2, { 'ductape.step': 'charge:7', 'ductape.step.attempt': 1, 'error.type': 'Error' }],
      [SpanKind.INTERNAL, 0, { 'ductape.step': 'charge:7', 'ductape.step.attempt': 2 }],
    ]);
    isChild(named('rollback reserve')[0], second);
    isChild(named('release')[0], named('rollback reserve')[0]);
  });

  // A long list crosses in parts.
  it.each([3, 600])('a list of %i dispatches are one, which all its jobs are part of', async (length) => {
    const ductape = create({ telemetry: true });
    ductape.features.define('f', () => {});
    const jobs = await ductape.features.dispatchMany(Array.from({ length }, () => job('f')));
    await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    const attempts = await untilNamed('process features/f', length);
    const [dispatch] = named('dispatch features/f');
    expect(dispatch?.attributes['messaging.batch.message_count']).toBe(length);
    for (const attempt of attempts) isChild(attempt, dispatch);
  });

  it('a dispatch that is refused say why', async () => {
    const ductape = create({ telemetry: true });
    await ductape.features.dispatch(job('f', { retries: -1 })).catch(() => {});
    expect(named('dispatch features/f')[0]).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'VALIDATION_ERROR' },
    });
  });

  it('runs of a recurring job are traces of their own with a link to its dispatch', async () => {
    const ductape = create({ telemetry: true, clock: 'manual' });
    ductape.features.define('f', () => {});
    await within('outer', () => ductape.features.dispatch(job('f', { schedule: { every: 1000 } })));
    await ductape.clock.advance(2500);
    const runs = await untilNamed('process features/f', 3);
    const [dispatch] = named('dispatch features/f');
    const traces = [dispatch, ...runs].map((span) => span?.spanContext().traceId);
    expect(new Set(traces).size).toBe(4);
    for (const run of runs) {
      expect(run.parentSpanContext).toBeUndefined();
      expect(run.links.map((link) => link.context.spanId)).toEqual([dispatch?.spanContext().spanId]);
    }
  });

  it('a feature that is declared as data hold those of its parts', async () => {
    const receiver = await service(serving('receiver', async () => {}));
    const { resources } = shop(receiver.url);
    const feature = {
      tag: 'order',
      sequence: [
        {
          tag: 's',
          events: [
            { tag: 'a', type: 'action', app: 'shop', event: 'call', input: {} },
            { tag: 'b', type: 'feature', event: 'own', input: {} },
          ],
        },
      ],
    };
    const [shopProduct] = (resources as Resources).products ?? [];
    const ductape = create({
      telemetry: true,
      resources: { products: [{ ...shopProduct, tag: product, features: [feature] }] } as Resources,
    });
    ductape.features.define('own', () => within('own work', async () => {}, context.active()));
    const { job_id } = await ductape.features.dispatch(job('order'));
    await ductape.jobs.wait(job_id);
    const [process] = await untilNamed('process features/order');
    const [action] = named('process actions/shop/call');
    const [own] = named('process features/own');
    isChild(action, process);
    isChild(named('POST')[0], action);
    isChild(named('receiver')[0], named('POST')[0]);
    isChild(own, process);
    isChild(named('own work')[0], own);
    expect(action).toMatchObject({ kind: SpanKind.INTERNAL, links: [], attributes: { 'ductape.part': 's/a' } });
  });

  it('a call that fails say so, and each attempt has one', async () => {
    const receiver = await service((_, response) => response.writeHead(503).end());
    const ductape = create({ telemetry: true, ...shop(receiver.url) });
    const call = { app: 'shop', event: 'call', input: {}, retries: 1, retryConfig: { initialDelay: 1 } };
    const { job_id } = await ductape.actions.dispatch(call);
    await ductape.jobs.wait(job_id).catch(() => {});
    const attempts = await untilNamed('process actions/shop/call', 2);
    expect(attempts.map((span) => span.attributes['ductape.attempt'])).toEqual([1, 2]);
    for (const span of [...attempts, ...named('POST')]) {
      expect(span).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'SERVICE_UNAVAILABLE' } });
    }
    expect(named('POST').map((span) => span.attributes['http.response.status_code'])).toEqual([503, 503]);
  });

  it('a database say which kind and operation', async () => {
    const databases = [
      { tag: 'db', type: 'sqlite' as const, envs: [{ slug: env, connection_url: `${await temporaryStore()}.other` }] },
    ];
    const ductape = create({
      telemetry: true,
      resources: { products: [{ tag: product, databases }] } as unknown as Resources,
    });
    const { job_id } = await ductape.databases.dispatch({ database: 'db', operation: 'find', input: { table: 't' } });
    await ductape.jobs.wait(job_id).catch(() => {});
    await untilNamed('process databases/db/find');
    expect(named('sqlite db/find')[0]).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: { 'db.system.name': 'sqlite', 'db.operation.name': 'find' },
    });
  });

  it('a delivery to a webhook reach its receiver', async () => {
    const receiver = await service(serving('receiver', async () => {}));
    const ductape = create({ telemetry: true });
    await ductape.jobs.setWebhook({
      url: receiver.url,
      events: ['job.completed'],
      secret: `whsec_${'A'.repeat(32)}`,
    });
    ductape.features.define('f', () => {});
    await ductape.features.dispatch(job('f'));
    await untilNamed('POST');
    const [process] = spans().filter((span) => span.name.startsWith('process webhooks/'));
    isChild(named('POST')[0], process);
    isChild(named('receiver')[0], named('POST')[0]);
  });
});

describe('the headers of a trace', () => {
  it.each([
    ['of the input', {}, { headers: { Traceparent: 'my own' } }, { traceparent: 'my own' }],
    ['of the action', { headers: { traceparent: 'my own' } }, {}, { traceparent: 'my own' }],
    ['of the input that takes them away', {}, { headers: { traceparent: null } }, {}],
  ])('are not put over those %s', async (_, action, input, expected) => {
    const receiver = await service();
    const ductape = create({ telemetry: true, ...shop(receiver.url, action as never) });
    const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: input as never });
    await ductape.jobs.wait(job_id);
    const { traceparent, tracestate } = receiver.requests[0]?.headers ?? {};
    expect({ ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) }).toEqual(expected);
  });

  it('are those of the propagator of the program, as far as they can be headers', async () => {
    propagation.disable();
    const written = { 'X-Vendor-Trace': 'Root=1-a', 'bad name': 'a', 'bad-value': 'a\nb', long: 'x'.repeat(20_000) };
    propagation.setGlobalPropagator({
      inject: (_, carrier) => void Object.assign(carrier as object, written),
      extract: (from) => from,
      fields: () => Object.keys(written),
    });
    onTestFinished(() => {
      propagation.disable();
      provider.register();
    });
    const receiver = await service();
    const ductape = create({ telemetry: true, ...shop(receiver.url) });
    const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} });
    await ductape.jobs.wait(job_id);
    const headers = receiver.requests[0]?.headers;
    expect(headers?.['x-vendor-trace']).toBe('Root=1-a');
    for (const name of ['traceparent', 'bad name', 'bad-value', 'long']) expect(headers).not.toHaveProperty([name]);
  });

  it('are not waited for when the event loop is busy', async () => {
    const receiver = await service();
    const ductape = create({ telemetry: true, ...shop(receiver.url) });
    const call = { app: 'shop', event: 'call', input: {} };
    // The connector is open.
    await ductape.jobs.wait((await ductape.actions.dispatch(call)).job_id);
    const { job_id } = await ductape.actions.dispatch({ ...call, schedule: { start_at: Date.now() + 1_000 } });
    // From before it is due until after the attempt has waited long enough.
    const until = performance.now() + 3_500;
    while (performance.now() < until);
    await ductape.jobs.wait(job_id);
    expect(receiver.requests.map(({ headers }) => headers.traceparent !== undefined)).toEqual([true, false]);
    // The spans are there all the same.
    expect(await untilNamed('POST', 2)).toHaveLength(2);
  });

  it.skipIf(!address('DUCTAPE_TEST_NATS'))('go with messages to brokers', async () => {
    const url = address('DUCTAPE_TEST_NATS') as string;
    const subject = `ductape_trace_${process.pid}`;
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    onTestFinished(() => void socket.destroy());
    let received = '';
    socket.setEncoding('utf8').on('data', (text) => {
      received += text;
    });
    socket.write(`CONNECT {"verbose":false,"headers":true}\r\nSUB ${subject} 1\r\nPING\r\n`);
    await eventually(() => expect(received).toContain('PONG'));
    const brokers = [{ tag: 'bus', envs: [{ slug: env, type: 'NATS', config: { url } }] }];
    const ductape = create({
      telemetry: true,
      resources: { products: [{ tag: product, brokers }] } as unknown as Resources,
    });
    await ductape.events.dispatch({ broker: 'bus', event: subject, input: { message: {} } });
    const [send] = await untilNamed(`send ${subject}`);
    expect(send).toMatchObject({
      kind: SpanKind.PRODUCER,
      attributes: { 'messaging.system': 'nats', 'messaging.operation.type': 'send' },
    });
    const { traceId, spanId } = send.spanContext();
    await eventually(() => expect(received).toContain(`traceparent: 00-${traceId}-${spanId}-01\r\n`));
  });
});

describe.skipIf(!postgres)('on PostgreSQL', () => {
  it('a trace goes from one process to another, also through a statement', async () => {
    const { store } = await postgresStore();
    const ductape = create({ store, telemetry: true, worker: false });
    await within('outer', async () => {
      await ductape.features.dispatch(job('f'));
      const statement = await ductape.features.statement(job('f'));
      const client = new pg.Client({ connectionString: store.replace(/[?&]schema=[^&]*/, '') });
      await client.connect();
      await client.query(statement);
      await client.end();
    });
    const worker = script(
      `import Ductape from 'ductape';
       import { trace } from '@opentelemetry/api';
       import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
       const exporter = new InMemorySpanExporter();
       new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
       const ductape = new Ductape({ store: process.argv[1], product: '${product}', env: '${env}', telemetry: true });
       ductape.features.define('f', () => {});
       await ductape.drain();
       for (const span of exporter.getFinishedSpans()) {
         console.log('span', JSON.stringify([span.name, span.spanContext().traceId, span.parentSpanContext?.spanId]));
       }
       await ductape.close();`,
      [store],
      { cwd: process.cwd() },
    );
    expect(await worker.ended).toMatchObject({ code: 0 });
    const dispatches = named('dispatch features/f').map((span) => span.spanContext());
    const expected = dispatches.map(({ traceId, spanId }) => ['process features/f', traceId, spanId]);
    const found = worker.lines.map((line) => JSON.parse(line.slice('span '.length)));
    expect(found.sort()).toEqual(expected.sort());
    expect(expected).toHaveLength(2);
    expect(named('dispatch features/f')[1]?.attributes['messaging.operation.type']).toBe('create');
  });
});

describe('without', () => {
  it('an SDK nothing breaks, and nothing is stored', async () => {
    const store = await temporaryStore();
    const child = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: process.argv[1], product: '${product}', env: '${env}', telemetry: true });
       ductape.features.define('ran', async ({ step }) => step('a', () => 1));
       const { job_id } = await ductape.features.dispatch({ tag: 'ran', input: {} });
       console.log('result', await ductape.jobs.wait(job_id));
       await ductape.features.dispatch({ tag: 'left', input: {} });
       await ductape.close();`,
      [store],
    );
    expect(await child.ended).toMatchObject({ code: 0 });
    expect(child.lines).toContain('result 1');
    const ductape = create({ store, telemetry: true });
    ductape.features.define('left', () => {});
    const [attempt] = await untilNamed('process features/left');
    expect(attempt.parentSpanContext).toBeUndefined();
    expect(attempt.links).toEqual([]);
  });

  it('the API the constructor says what to install', async () => {
    const hook = `
      const Module = require('node:module');
      const resolve = Module._resolveFilename;
      Module._resolveFilename = (name, ...rest) => {
        if (name.startsWith('@opentelemetry/')) throw Object.assign(new Error('not there'), { code: 'MODULE_NOT_FOUND' });
        return resolve(name, ...rest);
      };
      const { Ductape } = require(process.argv[1]);
      new Ductape({ store: 'memory:' }).close();
      try {
        new Ductape({ store: 'memory:', telemetry: true });
      } catch (error) {
        console.log('error', error.code, error.message);
      }`;
    const child = node(['--eval', hook, '--', join(import.meta.dirname, '../index.js')]);
    expect(await child.waitForLine('error')).toBe(
      'VALIDATION_ERROR options.telemetry: needs the package @opentelemetry/api, which is not there: npm install @opentelemetry/api',
    );
    await child.ended;
  });

  it('the option a stored trace is left alone, and no header is sent', async () => {
    const receiver = await service();
    const store = await temporaryStore();
    const tracing = create({ store, telemetry: true, worker: false });
    const call = { app: 'shop', event: 'call', input: {} };
    const { job_id } = await within('outer', () => tracing.actions.dispatch(call));
    const plain = create({ store, ...shop(receiver.url) });
    await plain.jobs.wait(job_id);
    expect(receiver.requests[0]?.headers).not.toHaveProperty('traceparent');
    expect(spans().map((span) => span.name)).toEqual(['dispatch actions/shop/call', 'outer']);
  });

  it.each(['yes', 1, {}])('a right value of it (%j) the constructor refuses it', (telemetry) => {
    expect(() => create({ telemetry: telemetry as never })).toThrow('options.telemetry: must be true or false');
  });

  it('a sound exporter jobs go on', async () => {
    const logger = recordingLogger();
    const failing = new NodeTracerProvider({
      spanProcessors: [
        {
          onStart: () => {
            throw new Error('no disk');
          },
          onEnd: () => {},
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    });
    trace.disable();
    failing.register();
    onTestFinished(() => {
      trace.disable();
      trace.setGlobalTracerProvider(provider);
    });
    const receiver = await service();
    const ductape = create({ telemetry: true, logger, ...shop(receiver.url) });
    ductape.features.define('f', ({ step }) => step('a', () => 'done'));
    const { job_id } = await ductape.features.dispatch(job('f'));
    expect(await ductape.jobs.wait(job_id)).toBe('done');
    const called = await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} });
    await ductape.jobs.wait(called.job_id);
    expect(logger.messagesAt('warn')).toEqual(['ductape: telemetry failed, and jobs go on without it: no disk']);
  });
});

it('neither a span nor a store of one job is seen by another', async () => {
  const ductape = create({ telemetry: true, worker: { concurrency: 20 } });
  const storage = new AsyncLocalStorage<string>();
  const seen: Array<[string | undefined, string | undefined]> = [];
  const stores: Array<string | undefined> = [];
  ductape.features.define('f', async ({ id }) => {
    const before = trace.getActiveSpan()?.spanContext().spanId;
    stores.push(storage.getStore());
    storage.enterWith(id);
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(storage.getStore()).toBe(id);
    seen.push([before, trace.getActiveSpan()?.spanContext().spanId]);
  });
  const jobs = await ductape.features.dispatchMany(Array.from({ length: 50 }, () => job('f')));
  await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
  for (const [before, after] of seen) expect(before).toBe(after);
  expect(new Set(seen.map(([before]) => before)).size).toBe(50);
  expect(stores).toEqual(Array.from({ length: 50 }, () => undefined));
  expect(trace.getActiveSpan()).toBeUndefined();
});

describe('the channels of diagnostics_channel', () => {
  type Told = Record<string, unknown>;

  /** What a channel tells meanwhile, as `[phase, message]`. */
  function listenTo(name: string): Array<[string, Told]> {
    const told: Array<[string, Told]> = [];
    const tell = (phase: string) => (message: unknown) => void told.push([phase, { ...(message as Told) }]);
    const subscribers = {
      start: tell('start'),
      end: tell('end'),
      asyncStart: tell('asyncStart'),
      asyncEnd: tell('asyncEnd'),
      error: tell('error'),
    };
    const channel = tracingChannel(name);
    channel.subscribe(subscribers);
    onTestFinished(() => void channel.unsubscribe(subscribers));
    return told;
  }

  it('tell of dispatches and of runs of handlers, without telemetry', async () => {
    const [dispatches, runs] = [listenTo('ductape:dispatch'), listenTo('ductape:run')];
    const ductape = create();
    ductape.features.define('f', () => 'done');
    const input = job('f', { input: { card: 1 } });
    const { job_id } = await ductape.features.dispatch(input);
    await ductape.jobs.wait(job_id);
    const phases = ['start', 'end', 'asyncStart', 'asyncEnd'];
    expect(dispatches.map(([phase]) => phase)).toEqual(phases);
    expect(dispatches.at(-1)?.[1]).toMatchObject({
      namespace: 'features',
      input,
      many: false,
      result: { job_id, status: 'queued' },
    });
    expect(runs.map(([phase]) => phase)).toEqual(phases);
    expect(runs.at(-1)?.[1]).toMatchObject({
      job: { id: job_id, namespace: 'features', tag: 'f', product, env, run: 1, attempt: 1 },
      result: 'done',
    });
    expect(runs.at(-1)?.[1].job).not.toHaveProperty('input');
  });

  it('tell of failures, which stay the same', async () => {
    const [dispatches, runs] = [listenTo('ductape:dispatch'), listenTo('ductape:run')];
    const ductape = create();
    ductape.features.define('thrown', () => {
      throw new Error('at once');
    });
    ductape.features.define('rejected', async () => Promise.reject(new Error('later')));
    for (const tag of ['thrown', 'rejected']) {
      const { job_id } = await ductape.features.dispatch(job(tag));
      await expect(ductape.jobs.wait(job_id)).rejects.toThrow(/at once|later/);
    }
    await expect(ductape.features.dispatch(job('f', { retries: -1 }))).rejects.toThrow('retries');
    await expect(
      ductape.features.dispatch({
        get tag(): string {
          throw new Error('read');
        },
        input: {},
      }),
    ).rejects.toThrow('read');
    const errors = (told: Array<[string, Told]>) =>
      told.flatMap(([phase, { error }]) => (phase === 'error' ? [(error as Error).message] : []));
    expect(errors(runs)).toEqual(['at once', 'later']);
    expect(errors(dispatches)).toHaveLength(2);
  });

  it('hand a store to the handler alone', async () => {
    const storage = new AsyncLocalStorage<string>();
    const channel = tracingChannel('ductape:run');
    channel.start.bindStore(storage, (message) => (message as { job: { id: string } }).job.id);
    onTestFinished(() => void channel.start.unbindStore(storage));
    const ductape = create();
    const seen: Array<[string, string | undefined]> = [];
    ductape.features.define('f', async ({ id }) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.push([id, storage.getStore()]);
    });
    const jobs = await ductape.features.dispatchMany([job('f'), job('f'), job('f')]);
    await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(seen).toHaveLength(3);
    for (const [id, stored] of seen) expect(stored).toBe(id);
    expect(storage.getStore()).toBeUndefined();
  });
});
