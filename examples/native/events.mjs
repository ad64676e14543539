// Events without a handler: messages that NATS has acknowledged, how an event that is no topic fails, and the same with Kafka.

/** Names the server that this part needs, as in nats://127.0.0.1:4222. */
export const address = 'DUCTAPE_TEST_NATS';

export function resources() {
  return {
    brokers: [
      {
        tag: 'bus',
        envs: [{ slug: 'prd', type: 'NATS', config: { url: process.env[address] ?? 'nats://127.0.0.1:4222' } }],
        topics: [{ tag: 'order-placed', subject: 'shop.orders.placed', headers: { 'x-source': 'example' } }],
      },
      {
        tag: 'open-bus',
        envs: [{ slug: 'prd', type: 'NATS', config: { url: process.env[address] ?? 'nats://127.0.0.1:4222' } }],
      },
      kafkaBroker,
    ],
  };
}

/** Names a Kafka, as in kafka://127.0.0.1:9092; without it that part is left out. */
const kafka = process.env.DUCTAPE_TEST_KAFKA;

/** A broker as Kafka's own clients are configured; its topic must be there. */
export const kafkaBroker = {
  tag: 'kafka-broker',
  envs: [
    {
      slug: 'prd',
      type: 'KAFKA',
      config: { brokers: [new URL(kafka ?? 'kafka://127.0.0.1:9092').host], clientId: 'example' },
    },
  ],
  topics: [{ tag: 'kafka-broker:user-events', name: 'user-events', sample: { type: 'signup', userId: 'user_123' } }],
};

/** @param {import('ductape').Ductape} ductape @param {(line: string) => void} log */
export async function run(ductape, log) {
  const placed = await ductape.events.dispatch({
    broker: 'bus',
    event: 'order-placed',
    input: { message: { order: 17, total: '99.50' } },
  });
  log(`a topic: ${JSON.stringify(await ductape.jobs.wait(placed.job_id))}`);

  const any = await ductape.events.dispatch({
    broker: 'open-bus',
    event: 'shop.anything',
    input: { message: { at: '$Now' } },
  });
  log(`any event: ${JSON.stringify(await ductape.jobs.wait(any.job_id))}`);

  const wrong = await ductape.events.dispatch({ broker: 'open-bus', event: 'shop.*', input: { message: {} } });
  await ductape.jobs.wait(wrong.job_id).catch((error) => log(`a wildcard: ${error.code}, ${error.message}`));

  if (!kafka) return;
  const event = await ductape.events.dispatch({
    broker: 'kafka-broker',
    event: 'user-events',
    input: { message: { type: 'signup', userId: 'user_123' }, key: 'user_123' },
  });
  await ductape.jobs.wait(event.job_id).then(
    (result) => log(`Kafka: ${JSON.stringify(result)}`),
    (error) => log(`Kafka: ${error.code}, ${error.message}`),
  );
}
