// plainjob on SQLite, with synchronous = NORMAL, as it sets itself. Adding is synchronous, a worker does one job at a time.
import Database from 'better-sqlite3';
import { better, defineQueue, defineWorker } from 'plainjob';

const TYPE = 'send_welcome_email';
const silent = { error() {}, warn() {}, info() {}, debug() {} };

export const plainjob = {
  connect(place) {
    const queue = defineQueue({ connection: better(new Database(place.file)), logger: silent });
    let worker;
    return {
      add: async (payload) => queue.add(TYPE, payload),
      addAt: async (payload, time) => queue.add(TYPE, payload, { delay: Math.max(0, time - Date.now()) }),
      async work(handler) {
        worker = defineWorker(TYPE, async (job) => handler(JSON.parse(job.data)), {
          queue,
          logger: silent,
          pollIntervall: 1,
        });
        worker.start().catch(() => {});
      },
      async close() {
        await worker?.stop();
        queue.close();
      },
    };
  },
};
