// Messages to Kafka at a concurrency of 100, each acknowledged by all replicas in sync: jobs that the package itself does, jobs
// whose handler publishes with kafkajs, and kafkajs alone, without jobs. Each is a process of its own; they take turns, and each
// figure is the median of its rounds. DUCTAPE_TEST_KAFKA names the server.
// Usage: node bench/node/native/kafka.mjs [messages] [rounds]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';
import { mib, quantile, rate, row } from '../scheduler/figures.mjs';

const CONCURRENCY = 100;
const WARM_UP = 500;
const KINDS = {
  native: 'jobs, by `resources`',
  handler: 'jobs, a handler with kafkajs',
  alone: 'kafkajs without jobs',
};
const MESSAGE = {
  order: 17,
  customer: 'customer_123',
  total: '99.50',
  note: 'a note of some forty characters, not more',
};

function connect(url) {
  const { Kafka, logLevel } = createRequire(join(import.meta.dirname, '../peers/package.json'))('kafkajs');
  const client = new Kafka({ clientId: 'bench', brokers: [new URL(url).host], logLevel: logLevel.ERROR });
  return { admin: client.admin(), producer: client.producer({ allowAutoTopicCreation: false, idempotent: false }) };
}

async function measureAlone(producer, topic, count) {
  const value = JSON.stringify(MESSAGE);
  let left = count;
  const one = async () => {
    while (left-- > 0) await producer.send({ topic, acks: -1, messages: [{ value }] });
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, one));
}

async function measureJobs(ductape, topic, count) {
  const { completed } = await ductape.jobs.getStats();
  const start_at = Date.now() + 1_000 + count / 20;
  for (let left = count; left > 0; left -= 1_000) {
    const job = { broker: 'bus', event: topic, input: { message: MESSAGE }, schedule: { start_at } };
    await ductape.events.dispatchMany(Array.from({ length: Math.min(left, 1_000) }, () => job));
  }
  await delay(Math.max(0, start_at - Date.now()));
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  for (let stats = { completed }; stats.completed < completed + count; ) {
    await delay(10);
    stats = await ductape.jobs.getStats();
    if (stats.failed > 0) {
      const [job] = (await ductape.jobs.list({ status: 'failed', limit: 1 })).jobs;
      throw new Error(`a job failed: ${JSON.stringify(job.error)}`);
    }
  }
  return { start, cpu };
}

async function measure(kind, url, topic, count) {
  const { producer } = kind === 'native' ? {} : connect(url);
  await producer?.connect();
  let start = performance.now();
  let cpu = process.cpuUsage();
  let ended = start;
  if (kind === 'alone') {
    await measureAlone(producer, topic, WARM_UP);
    [cpu, start] = [process.cpuUsage(), performance.now()];
    await measureAlone(producer, topic, count);
    ended = performance.now();
  } else {
    const envs = [{ slug: 'prd', type: 'KAFKA', config: { url } }];
    const products = [{ tag: 'shop', brokers: [{ tag: 'bus', envs }] }];
    const ductape = new Ductape({
      store: 'memory:',
      product: 'shop',
      env: 'prd',
      worker: { concurrency: CONCURRENCY },
      ...(kind === 'native' && { resources: { products } }),
    });
    if (kind === 'handler') {
      ductape.events.handle({ broker: 'bus' }, async ({ input }) => {
        await producer.send({ topic, acks: -1, messages: [{ value: JSON.stringify(input.message) }] });
      });
    }
    await measureJobs(ductape, topic, WARM_UP);
    ({ start, cpu } = await measureJobs(ductape, topic, count));
    ended = performance.now();
    await ductape.close();
  }
  const { user, system } = process.cpuUsage(cpu);
  await producer?.disconnect();
  return { ms: ended - start, cpu: (user + system) / count, rss: process.memoryUsage.rss() };
}

if (process.send) {
  const [kind, url, topic, count] = process.argv.slice(2);
  process.send(await measure(kind, url, topic, Number(count)));
  process.disconnect();
} else {
  const [count = 10_000, rounds = 3] = process.argv.slice(2).map(Number);
  const url = process.env.DUCTAPE_TEST_KAFKA;
  if (!url) throw new Error('DUCTAPE_TEST_KAFKA names no server');
  const topic = `ductape_bench_${process.pid}`;
  const { admin } = connect(url);
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true });
  const figures = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, []]));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const kind of Object.keys(KINDS)) {
        const child = fork(import.meta.filename, [kind, url, topic, String(count)]);
        const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${kind} ended with ${code}`)));
        const [answer] = await Promise.race([once(child, 'message'), ended]);
        ended.catch(() => {});
        figures[kind].push(answer);
      }
    }
  } finally {
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  }
  console.log(
    `${count} messages, ${CONCURRENCY} at once, ${rounds} rounds; Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`,
  );
  row('', 'messages', 'CPU each', 'RSS');
  row('---', '---', '---', '---');
  for (const [kind, name] of Object.entries(KINDS)) {
    const median = (figure) =>
      quantile(
        figures[kind].map((round) => round[figure]),
        0.5,
      );
    row(name, rate(count, median('ms')), `${median('cpu').toFixed(0)} µs`, mib(median('rss')));
  }
}
