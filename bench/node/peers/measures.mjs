// What is measured of a queue. Each measure gets a fresh place and checks that what it counts has happened.
import { setTimeout as delay } from 'node:timers/promises';

const IN_FLIGHT = 500;
const BATCH = 1000;
const CONCURRENCY = 100;
const payloadOf = (n) => ({ n, userId: 'user_123', email: 'john@example.com', template: 'welcome' });

export const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];

function deferred() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function addAll(queue, jobs) {
  let sent = 0;
  const lane = async () => {
    for (let n = sent++; n < jobs; n = sent++) await queue.add(payloadOf(n));
  };
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, jobs) }, lane));
}

async function addBatches(queue, jobs) {
  for (let from = 0; from < jobs; from += BATCH) {
    await queue.addMany(Array.from({ length: Math.min(BATCH, jobs - from) }, (_, k) => payloadOf(from + k)));
  }
}

/** Runs `jobs` waiting jobs; fails unless each runs exactly once. */
async function runAll(queue, jobs) {
  const seen = new Uint8Array(jobs);
  const all = deferred();
  let ran = 0;
  const start = performance.now();
  await queue.work(({ n }) => {
    seen[n]++;
    if (++ran === jobs) all.resolve();
  });
  await all.promise;
  const ms = performance.now() - start;
  // Time for a surplus run.
  await delay(200);
  if (seen.some((count) => count !== 1)) throw new Error('a job was not delivered exactly once');
  return ms;
}

/**
 * Each takes the contender, a place of its own, a number of jobs, and when the contender's module was asked for; it resolves
 * with figures and a means to clean up.
 */
export const MEASURES = {
  cold: {
    title: 'import → first job added, in a fresh process and place',
    unit: 'ms',
    processes: 5,
    async run(contender, place, _jobs, began) {
      const queue = await contender.connect(place);
      await queue.add(payloadOf(0));
      return { queue, figures: { time: performance.now() - began } };
    },
  },
  awaited: {
    title: 'add, each awaited before the next',
    unit: 'ms',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place);
      await queue.add(payloadOf(-1));
      const times = [];
      for (let n = 0; n < jobs; n++) {
        const from = performance.now();
        await queue.add(payloadOf(n));
        times.push(performance.now() - from);
      }
      return { queue, figures: { p50: quantile(times, 0.5), p99: quantile(times, 0.99) } };
    },
  },
  dispatch: {
    title: `add, ${IN_FLIGHT} in flight`,
    unit: 'jobs/s',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place);
      await queue.add(payloadOf(-1));
      const usage = startUsage();
      await addAll(queue, jobs);
      const figures = usage.stop(jobs);
      return { queue, figures };
    },
  },
  batches: {
    title: `add in batches of ${BATCH.toLocaleString('en')}`,
    unit: 'jobs/s',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place);
      if (!queue.addMany) return { queue, figures: undefined };
      await queue.addMany([payloadOf(-1)]);
      const usage = startUsage();
      await addBatches(queue, jobs);
      return { queue, figures: usage.stop(jobs) };
    },
  },
  run: {
    title: `run a no-op handler, concurrency ${CONCURRENCY}`,
    unit: 'jobs/s',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place, { concurrency: CONCURRENCY });
      await (queue.addMany ? addBatches(queue, jobs) : addAll(queue, jobs));
      const usage = startUsage();
      const ms = await runAll(queue, jobs);
      return { queue, figures: { ...usage.stop(jobs), rate: (jobs / ms) * 1000 } };
    },
  },
  mixed: {
    title: `add and run in one process, ${CONCURRENCY} in flight`,
    unit: 'jobs/s',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place, { concurrency: CONCURRENCY });
      const waiting = new Map();
      const seen = new Uint8Array(jobs);
      await queue.work(({ n }) => {
        seen[n]++;
        waiting.get(n)?.();
        waiting.delete(n);
      });
      const usage = startUsage();
      let sent = 0;
      const lane = async () => {
        for (let n = sent++; n < jobs; n = sent++) {
          const { promise, resolve } = deferred();
          waiting.set(n, resolve);
          await Promise.all([promise, queue.add(payloadOf(n))]);
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, lane));
      const figures = usage.stop(jobs);
      await delay(200);
      if (seen.some((count) => count !== 1)) throw new Error('a job was not delivered exactly once');
      return { queue, figures };
    },
  },
  latency: {
    title: 'add → handler starts, one at a time',
    unit: 'ms',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place);
      let started;
      await queue.work(() => started?.(performance.now()));
      await delay(200);
      const times = [];
      for (let n = 0; n < jobs; n++) {
        const { promise, resolve } = deferred();
        started = resolve;
        const from = performance.now();
        const [at] = await Promise.all([promise, queue.add(payloadOf(n))]);
        times.push(at - from);
        await delay(2);
      }
      return { queue, figures: { p50: quantile(times, 0.5), p99: quantile(times, 0.99) } };
    },
  },
  lateness: {
    title: 'lateness of scheduled jobs, 1,000/s',
    unit: 'ms',
    async run(contender, place, jobs) {
      const queue = await contender.connect(place, { concurrency: CONCURRENCY });
      const late = [];
      const all = deferred();
      await queue.work(({ due }) => {
        late.push(Date.now() - due);
        if (late.length === jobs) all.resolve();
      });
      const first = Date.now() + 3_000;
      const due = Array.from({ length: jobs }, (_, n) => first + n);
      for (let from = 0; from < jobs; from += IN_FLIGHT) {
        await Promise.all(due.slice(from, from + IN_FLIGHT).map((time) => queue.addAt({ due: time }, time)));
      }
      await all.promise;
      return { queue, figures: { p50: quantile(late, 0.5), p99: quantile(late, 0.99) } };
    },
  },
};

function startUsage() {
  const cpu = process.cpuUsage();
  const start = performance.now();
  return {
    stop(jobs) {
      const ms = performance.now() - start;
      const { user, system } = process.cpuUsage(cpu);
      return { rate: (jobs / ms) * 1000, cpu: (user + system) / jobs, rss: process.memoryUsage.rss() / 2 ** 20 };
    },
  };
}
