// ductape on a store that the caller names.
import { Ductape } from '../../../../index.mjs';

const target = { app: 'email-service', event: 'send_welcome_email' };
const inputOf = (payload) => ({ ...target, input: { body: payload } });

/** A contender for each store and durability. */
export function ductape({ storeOf, durability }) {
  return {
    connect(place, { concurrency = 10 } = {}) {
      const queue = new Ductape({
        store: storeOf(place),
        product: 'shop',
        env: 'prd',
        worker: { concurrency },
        durability,
      });
      return {
        add: (payload) => queue.actions.dispatch(inputOf(payload)),
        addMany: (payloads) => queue.actions.dispatchMany(payloads.map(inputOf)),
        addAt: (payload, time) => queue.actions.dispatch({ ...inputOf(payload), schedule: { start_at: time } }),
        async work(handler) {
          queue.actions.handle(target, (job) => handler(job.input.body));
          await queue.start({ signals: false });
        },
        list: (filter) => queue.jobs.list(filter),
        close: () => queue.close(),
      };
    },
  };
}
