// Events without a handler, through the package, on real brokers. What arrives at Redis and NATS is read over plain sockets;
// `src/connector/brokers/tests` reads it everywhere. DUCTAPE_TEST_RABBITMQ, _REDIS, _NATS, _MQTT and
// _KAFKA name the servers.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { BrokerEnvironment, BrokerTopic, Resources } from './support/ductape.js';
import { create, env, eventually, product, recordingLogger, rejection } from './support/instances.js';
import { address } from './support/servers.js';

type Type = 'RABBITMQ' | 'REDIS' | 'NATS' | 'MQTT' | 'KAFKA';

const addresses: Record<Type, string | undefined> = {
  RABBITMQ: address('DUCTAPE_TEST_RABBITMQ'),
  REDIS: address('DUCTAPE_TEST_REDIS'),
  NATS: address('DUCTAPE_TEST_NATS'),
  MQTT: address('DUCTAPE_TEST_MQTT'),
  KAFKA: address('DUCTAPE_TEST_KAFKA'),
};
let number = 0;
const unique = () => `ductape_js_${process.pid}_${number++}`;

function broker(type: Type, url: string, topics?: BrokerTopic[]): Resources {
  const here = { slug: env, type, config: { url } } as BrokerEnvironment;
  return { products: [{ tag: product, brokers: [{ tag: 'bus', envs: [here], ...(topics && { topics }) }] }] };
}

/** A conversation in lines with a server. */
async function openConnection(url: string): Promise<{ socket: Socket; received: () => string }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.setEncoding('utf8').on('data', (text) => {
    received += text;
  });
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  return { socket, received: () => received };
}

describe.skipIf(!addresses.REDIS)('on Redis', () => {
  it('a message is appended to a stream as it was dispatched', async () => {
    const url = addresses.REDIS as string;
    const stream = unique();
    const ductape = create({ resources: broker('REDIS', url, [{ tag: 'orders', stream }]) });
    const { job_id } = await ductape.events.dispatch({
      broker: 'bus',
      event: 'bus:orders',
      input: { message: { z: 1, a: 'ü', total: 1.5 } },
    });
    const result = await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(result).toEqual({ message_id: `${job_id}/1`, stream, id: expect.stringMatching(/^\d+-\d+$/) });
    const { socket, received } = await openConnection(url);
    socket.write(`XRANGE ${stream} - +\r\nDEL ${stream}\r\n`);
    await eventually(() => expect(received()).toMatch(/:1\r\n$/));
    expect(received()).toContain('{"z":1,"a":"ü","total":1.5}');
    expect(received()).toContain(`${job_id}/1`);
    expect(await ductape.resources.check()).toMatchObject([{ type: 'broker', tag: 'bus', ok: true, calls: 1 }]);
  });

  it('failures have a code and the reason of the server, and never contain the message', async () => {
    const url = addresses.REDIS as string;
    const logger = recordingLogger();
    const ductape = create({ logger, resources: broker('REDIS', url) });
    const key = unique();
    const { socket, received } = await openConnection(url);
    socket.write(`SET ${key} text\r\n`);
    await eventually(() => expect(received()).toContain('+OK'));
    const wrong = await ductape.events.dispatch({
      broker: 'bus',
      event: key,
      input: { message: { card: 'a very secret number' } },
      retries: 3,
    });
    await expect(ductape.jobs.wait(wrong.job_id, { timeout: 10_000 })).rejects.toMatchObject({
      code: 'VALIDATION_ERROR',
      message: expect.stringContaining('WRONGTYPE'),
    });
    expect(await ductape.jobs.getHistory(wrong.job_id)).toMatchObject({ total_executions: 1 });
    const history = JSON.stringify(await ductape.jobs.getHistory(wrong.job_id));
    expect(history + logger.lines.join('\n')).not.toContain('very secret');
    socket.write(`DEL ${key}\r\n`);
  });
});

describe.skipIf(!addresses.NATS)('on NATS', () => {
  it('a message reaches subscribers with its id', async () => {
    const url = addresses.NATS as string;
    const subject = unique();
    const { socket, received } = await openConnection(url);
    socket.write(`CONNECT {"verbose":false,"headers":true}\r\nSUB ${subject} 1\r\nPING\r\n`);
    await eventually(() => expect(received()).toContain('PONG'));
    const ductape = create({ resources: broker('NATS', url) });
    const { job_id } = await ductape.events.dispatch({
      broker: 'bus',
      event: subject,
      input: { message: { b: 1, a: 2 } },
    });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ message_id: `${job_id}/1`, subject });
    await eventually(() => expect(received()).toContain('{"b":1,"a":2}\r\n'));
    expect(received()).toContain(`Nats-Msg-Id: ${job_id}/1\r\n`);
  });
});

describe.skipIf(!addresses.RABBITMQ)('on RabbitMQ', () => {
  it('an unroutable message fails as NOT_FOUND unless that is allowed', async () => {
    const topics = [{ tag: unique() }, { tag: unique(), mandatory: false }] as const;
    const ductape = create({ resources: broker('RABBITMQ', addresses.RABBITMQ as string, [...topics]) });
    const publish = async (event: string) => {
      const { job_id } = await ductape.events.dispatch({ broker: 'bus', event, input: { message: {} }, retries: 2 });
      return ductape.jobs.wait(job_id, { timeout: 10_000 });
    };
    await expect(publish(topics[0].tag)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await publish(topics[1].tag)).toMatchObject({ exchange: '', routing_key: topics[1].tag });
    expect(await ductape.resources.check()).toMatchObject([{ ok: true, calls: 2, failures: 1 }]);
  });

  it('an error about a wrong password does not contain it', async () => {
    const url = new URL(addresses.RABBITMQ as string);
    url.password = 'not-this-password';
    const logger = recordingLogger();
    const ductape = create({ logger, resources: broker('RABBITMQ', url.href) });
    const { job_id } = await ductape.events.dispatch({ broker: 'bus', event: 'x', input: { message: {} }, retries: 2 });
    await expect(ductape.jobs.wait(job_id, { timeout: 20_000 })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    const shown = [logger.lines, await ductape.jobs.getHistory(job_id), await ductape.resources.check()];
    expect(JSON.stringify(shown)).not.toContain('not-this-password');
  });
});

describe.skipIf(!addresses.MQTT)('on MQTT', () => {
  it.each([0, 1, 2] as const)('a message is acknowledged with QoS %i', async (qos) => {
    const topic = unique();
    const ductape = create({
      resources: broker('MQTT', addresses.MQTT as string, [{ tag: 't', name: topic, qos }]),
    });
    const { job_id } = await ductape.events.dispatch({ broker: 'bus', event: 't', input: { message: {} } });
    const result = await ductape.jobs.wait(job_id, { timeout: 10_000 });
    expect(result).toEqual({ message_id: `${job_id}/1`, topic, qos, retain: false });
    expect(await ductape.resources.check()).toMatchObject([{ ok: true }]);
  });
});

/** Makes a topic, by the second version of the request for it. */
async function makeKafkaTopic(url: string, topic: string) {
  const text = (value: string) => {
    const length = Buffer.alloc(2);
    length.writeInt16BE(value.length);
    return Buffer.concat([length, Buffer.from(value)]);
  };
  // CreateTopics is 19. Three partitions with a replica each, neither assignments nor settings, within 5 s, not only checked.
  const head = Buffer.from('0013000200000007ffff00000001', 'hex');
  const body = Buffer.concat([head, text(topic), Buffer.from('000000030001000000000000000000001388' + '00', 'hex')]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  socket.write(Buffer.concat([length, body]));
  await once(socket, 'data');
}

describe.skipIf(!addresses.KAFKA)('on Kafka', () => {
  it('a documented broker publishes without a handler, by key, as broker:topic', async () => {
    const url = addresses.KAFKA as string;
    const name = unique();
    await makeKafkaTopic(url, name);
    const config = { brokers: [new URL(url).host], clientId: 'shop', groupId: 'orders', ssl: false };
    const topics = [{ tag: 'bus:orders', name, description: 'of the shop', sample: { order: 1 } }];
    const envs: BrokerEnvironment[] = [{ slug: env, type: 'kafka', config }];
    const ductape = create({ resources: { products: [{ tag: product, brokers: [{ tag: 'bus', envs, topics }] }] } });
    const partitions = new Set<unknown>();
    for (const dispatch of [
      { broker: 'bus', event: 'orders' },
      { broker: 'bus', event: 'bus:orders' },
      { event: 'bus:orders' as const },
    ]) {
      const { job_id } = await ductape.events.dispatch({ ...dispatch, input: { message: { order: 1 }, key: 'bob' } });
      const result = (await ductape.jobs.wait(job_id, { timeout: 10_000 })) as { partition: number };
      expect(result).toEqual({
        message_id: `${job_id}/1`,
        topic: name,
        partition: expect.any(Number),
        offset: expect.any(Number),
      });
      partitions.add(result.partition);
    }
    expect(partitions.size).toBe(1);
    const tombstone = { message: null as unknown as Record<string, unknown>, key: 'bob' };
    const { job_id } = await ductape.events.dispatch({ event: 'bus:orders', input: tombstone });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toMatchObject({ topic: name });
    expect(await ductape.resources.check()).toMatchObject([{ type: 'broker', tag: 'bus', ok: true, calls: 4 }]);
  });

  it('a topic that is not there fails as NOT_FOUND', async () => {
    const ductape = create({ resources: broker('KAFKA', addresses.KAFKA as string) });
    const { job_id } = await ductape.events.dispatch({ broker: 'bus', event: unique(), input: { message: {} } });
    await expect(ductape.jobs.wait(job_id, { timeout: 20_000 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

const sqs = address('DUCTAPE_TEST_SQS');

describe.skipIf(!sqs)('on Amazon SQS', () => {
  /** What the server says to an operation. It checks no signature. */
  async function ask(operation: string, request: object): Promise<Record<string, unknown>> {
    const credential = 'Credential=a/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=a';
    const response = await fetch(sqs as string, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': `AmazonSQS.${operation}`,
        authorization: `AWS4-HMAC-SHA256 ${credential}`,
      },
      body: JSON.stringify(request),
    });
    return (await response.json()) as Record<string, unknown>;
  }

  it('a documented broker sends to the queue of its environment', async () => {
    const QueueName = `${unique()}.fifo`;
    const { QueueUrl } = await ask('CreateQueue', { QueueName, Attributes: { FifoQueue: 'true' } });
    const config = {
      region: 'us-east-1',
      accessKeyId: 'id',
      secretAccessKey: '$Secret{AWS}',
      endpoint: sqs as string,
    };
    const queueUrls = [{ env_slug: env, url: QueueUrl as string }];
    const topics = [{ tag: 'bus:orders', sample: { order: 1 }, queueUrls }];
    const envs: BrokerEnvironment[] = [{ slug: env, type: 'aws_sqs', config }];
    const resources = { products: [{ tag: product, brokers: [{ tag: 'bus', envs, topics }] }] };
    const ductape = create({ resources, secrets: { AWS: 's3cret' } });
    const input = { message: { z: 1, a: 'ü' }, key: 'customer-7' };
    const { job_id } = await ductape.events.dispatch({ broker: 'bus', event: 'orders', input });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({
      message_id: `${job_id}/1`,
      queue: QueueName,
      id: expect.any(String),
      sequence_number: expect.any(String),
    });
    const { Messages } = await ask('ReceiveMessage', { QueueUrl, AttributeNames: ['All'] });
    expect(Messages).toMatchObject([
      {
        Body: '{"z":1,"a":"ü"}',
        Attributes: { MessageGroupId: 'customer-7', MessageDeduplicationId: `${job_id}/1` },
      },
    ]);
    expect(await ductape.resources.check()).toMatchObject([{ type: 'broker', tag: 'bus', ok: true, calls: 1 }]);
    await ask('DeleteQueue', { QueueUrl });
  });
});

describe('a documented configuration', () => {
  const parts = (url: string) => {
    const { hostname, port, host } = new URL(url);
    return { host: hostname, port: Number(port), both: host };
  };
  const table: [Type, (url: string) => object, object][] = [
    ['REDIS', (url) => ({ host: parts(url).host, port: parts(url).port, channel: 'news' }), { channel: 'news' }],
    ['REDIS', (url) => ({ connection_url: url, tls: false }), { stream: 'orders' }],
    ['NATS', (url) => ({ servers: [parts(url).both], name: 'shop', reconnectTimeWait: 2_000 }), { subject: 'orders' }],
    ['NATS', (url) => ({ servers: `${parts(url).both}, ${parts(url).both}` }), { subject: 'orders' }],
    [
      'RABBITMQ',
      (url) => {
        const { host, port } = parts(url);
        return { host, port, username: 'guest', password: 'guest', queue: 'no-queue', mandatory: false };
      },
      { exchange: '', routing_key: 'no-queue' },
    ],
    ['MQTT', (url) => ({ host: parts(url).host, port: parts(url).port }), { topic: 'orders' }],
  ];
  it.skipIf(table.some(([type]) => !addresses[type]))('of each type is tried', () => {});
  it.each(table.filter(([type]) => addresses[type]))('of %s reaches it', async (type, configOf, expected) => {
    const url = addresses[type] as string;
    const envs = [{ slug: env, type, config: configOf(url) }] as BrokerEnvironment[];
    const resources = { products: [{ tag: product, brokers: [{ tag: 'bus', envs }] }] };
    const ductape = create({ resources });
    const { job_id } = await ductape.events.dispatch({ event: 'bus:orders', input: { message: {} } });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toMatchObject(expected);
    expect(await ductape.resources.check()).toMatchObject([{ ok: true }]);
  });
});

describe('a dispatch of an event', () => {
  it('names its broker, by itself or in the event', async () => {
    const ductape = create();
    const { job_id } = await ductape.events.dispatch({ event: 'bus:orders', input: { message: {} } });
    expect(await ductape.jobs.get(job_id)).toMatchObject({ target: { broker: 'bus', event: 'bus:orders' } });
    for (const event of ['orders', ':orders', 'bus:']) {
      const dispatch = { event, input: { message: {} } } as unknown as { event: 'a:b'; input: { message: object } };
      const error = await rejection(ductape.events.dispatch(dispatch as never));
      expect(error).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: 'broker' }] });
    }
    const empty = { message: null } as never;
    const error = await rejection(ductape.events.dispatch({ event: 'bus:orders', input: empty }));
    expect(error).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: 'input.message' }] });
  });
});

describe('a broker', () => {
  it('that never answers fails jobs, which are retried and can be cancelled', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const ductape = create({ resources: broker('NATS', `nats://127.0.0.1:${port}`) });
    const late = await ductape.events.dispatch({
      broker: 'bus',
      event: 'x',
      input: { message: {} },
      timeout: 100,
      retries: 1,
      retryConfig: { initialDelay: 1 },
    });
    await expect(ductape.jobs.wait(late.job_id, { timeout: 10_000 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(await ductape.jobs.get(late.job_id)).toMatchObject({ attempt: 2 });
    const stuck = await ductape.events.dispatch({ broker: 'bus', event: 'x', input: { message: {} } });
    await eventually(async () => expect(await ductape.jobs.get(stuck.job_id)).toMatchObject({ status: 'running' }));
    await ductape.jobs.cancel(stuck.job_id);
    await eventually(async () => expect(await ductape.jobs.get(stuck.job_id)).toMatchObject({ status: 'cancelled' }));
    await eventually(() => expect(sockets.every((socket) => socket.readableEnded || socket.destroyed)).toBe(true));
  });

  it('gives precedence to a handler', async () => {
    const ductape = create({ resources: broker('MQTT', 'mqtt://127.0.0.1:1') });
    ductape.events.handle({ broker: 'bus', event: '*' }, (job) => job.input.message);
    const { job_id } = await ductape.events.dispatch({ broker: 'bus', event: 'x', input: { message: { a: 1 } } });
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ a: 1 });
  });
});
