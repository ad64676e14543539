// BullMQ on Redis, ended jobs removed but for the last thousand, as its guide advises for production.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const OPTIONS = { removeOnComplete: 1000, removeOnFail: 1000 };

export const bullmq = {
  connect(place, { concurrency = 10 } = {}) {
    const connection = new Redis(place.redis, { maxRetriesPerRequest: null });
    const queue = new Queue(place.name, { connection });
    let worker;
    return {
      add: (payload) => queue.add('send_welcome_email', payload, OPTIONS),
      addMany: (payloads) =>
        queue.addBulk(payloads.map((data) => ({ name: 'send_welcome_email', data, opts: OPTIONS }))),
      addAt: (payload, time) =>
        queue.add('send_welcome_email', payload, { ...OPTIONS, delay: Math.max(0, time - Date.now()) }),
      async work(handler) {
        worker = new Worker(place.name, async (job) => handler(job.data), { connection, concurrency });
        await worker.waitUntilReady();
      },
      async close() {
        await worker?.close();
        await queue.close();
      },
      async destroy() {
        await new Queue(place.name, { connection }).obliterate({ force: true });
        connection.disconnect();
      },
    };
  },
};
