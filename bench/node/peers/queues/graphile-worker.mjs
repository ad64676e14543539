// graphile-worker on PostgreSQL, with or without its local queue and batched completions.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';

const silent = new Logger(() => () => {});
const TASK = 'send_welcome_email';

export function graphileWorker({ localQueue }) {
  return {
    async connect(place, { concurrency = 10 } = {}) {
      const common = { connectionString: place.postgres, schema: place.name, logger: silent };
      const utils = await makeWorkerUtils(common);
      await utils.migrate();
      let runner;
      return {
        add: (payload) => utils.addJob(TASK, payload),
        addMany: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: TASK, payload }))),
        addAt: (payload, time) => utils.addJob(TASK, payload, { runAt: new Date(time) }),
        async work(handler) {
          const worker = localQueue
            ? { localQueue: { size: 5 * concurrency }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
            : {};
          runner = await run({
            ...common,
            concurrency,
            noHandleSignals: true,
            preset: { worker },
            taskList: { [TASK]: (payload) => handler(payload) },
          });
        },
        async close() {
          await runner?.stop();
          await utils.release();
        },
      };
    },
  };
}
