// pg-boss on PostgreSQL. It has no concurrency of its own: a batch of that size is taken at each poll, by each of `pollers`.
import PgBoss from 'pg-boss';

const QUEUE = 'send_welcome_email';

export const pgBoss = {
  async connect(place, { concurrency = 10, pollers = 1 } = {}) {
    const boss = new PgBoss({
      connectionString: place.postgres,
      schema: place.name,
      supervise: false,
      schedule: false,
    });
    boss.on('error', () => {});
    await boss.start();
    await boss.createQueue(QUEUE);
    return {
      add: (payload) => boss.send(QUEUE, payload),
      addMany: (payloads) => boss.insert(payloads.map((data) => ({ name: QUEUE, data }))),
      addAt: (payload, time) => boss.sendAfter(QUEUE, payload, {}, new Date(time)),
      async work(handler) {
        for (let poller = 0; poller < pollers; poller++) {
          await boss.work(QUEUE, { batchSize: concurrency, pollingIntervalSeconds: 0.5 }, (jobs) =>
            Promise.all(jobs.map((job) => handler(job.data))),
          );
        }
      },
      close: () => boss.stop({ graceful: false, wait: true }),
    };
  },
};
