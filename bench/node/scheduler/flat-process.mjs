// One process on a store in which so many jobs wait already: node flat-process.mjs <file> <jobs>. Prints its figures as JSON.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';
import { quantile, withResolvers } from './figures.mjs';

const JOBS = 100_000;
const ROUNDS = 3;
const IN_FLIGHT = 500;
const LATENCY_SAMPLES = 500;
const input = { body: { userId: 'user_123', email: 'john@example.com', template: 'welcome' } };
const target = { app: 'email-service', event: 'send_welcome_email' };
const single = { app: 'email-service', event: 'one_by_one' };

const rss = { open: 0, most: 0 };
const sampleRss = () => {
  rss.most = Math.max(rss.most, process.memoryUsage.rss());
};
const rssSampler = setInterval(sampleRss, 50);

/** Wall time and CPU time of this process for each job, in µs. */
async function measurePerJob(work) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wall = ((performance.now() - start) * 1000) / JOBS;
  const { user, system } = process.cpuUsage(cpu);
  sampleRss();
  return { wall, cpu: (user + system) / JOBS };
}

function dispatchAll(ductape) {
  let sent = 0;
  const lane = async () => {
    while (sent++ < JOBS) await ductape.actions.dispatch({ ...target, input });
  };
  return Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** Runs the jobs that are due. */
async function runAll(ductape) {
  const all = withResolvers();
  let done = 0;
  const leave = ductape.actions.handle(target, () => {
    if (++done === JOBS) all.resolve();
  });
  await all.promise;
  leave();
}

/** 99th percentile of the delay of the event loop, ms. */
async function withLoopDelay(work) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const result = await work();
  loop.disable();
  return { result, delay: loop.percentile(99) / 1e6 };
}

async function latency(ductape) {
  let started;
  ductape.actions.handle(single, () => started(performance.now()));
  const times = [];
  for (let n = 0; n < LATENCY_SAMPLES; n++) {
    const start = new Promise((resolve) => {
      started = resolve;
    });
    const from = performance.now();
    const [at] = await Promise.all([start, ductape.actions.dispatch({ ...single, input })]);
    times.push(at - from);
    await delay(1);
  }
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Median time, ms. */
async function median(work, times = 9) {
  const all = [];
  for (let n = 0; n < times; n++) {
    const from = performance.now();
    await work();
    all.push(performance.now() - from);
  }
  return quantile(all, 0.5);
}

/** Pages of 100 of the jobs that wait: the first, that in the middle by its offset, and the one behind it by its cursor. */
async function lists(ductape, middle) {
  const page = (where) => ductape.jobs.list({ namespace: 'features', limit: 100, ...where });
  const { next } = await page({ offset: middle });
  return {
    first: await median(() => page({})),
    cursor: await median(() => page({ cursor: next })),
    offset: await median(() => page({ offset: middle }), 3),
  };
}

const opening = performance.now();
const ductape = new Ductape({
  store: `sqlite:${process.argv[2]}`,
  product: 'shop',
  env: 'prd',
  worker: { concurrency: 100 },
  logger: { debug() {}, info() {}, warn() {}, error: console.error },
});
await ductape.actions.dispatch({ app: 'other', event: 'warm-up', input });
const opened = performance.now() - opening;
rss.open = process.memoryUsage.rss();
await ductape.start();
const idle = await withLoopDelay(() => delay(1_000));
const rounds = [];
for (let n = 0; n < ROUNDS; n++) {
  const dispatch = await measurePerJob(() => dispatchAll(ductape));
  const { result: run, delay: loop } = await withLoopDelay(() => measurePerJob(() => runAll(ductape)));
  rounds.push({ dispatch, run, loop });
}
const times = await latency(ductape);
sampleRss();
clearInterval(rssSampler);
const pages = await lists(ductape, Math.floor(Number(process.argv[3]) / 2));
// Other programs share the machine: the best of some rounds is nearest to the cost of the work.
const best = (read) => Math.min(...rounds.map(read));
process.stdout.write(
  JSON.stringify({
    dispatch: 1e6 / best(({ dispatch }) => dispatch.wall),
    dispatchCpu: best(({ dispatch }) => dispatch.cpu),
    run: 1e6 / best(({ run }) => run.wall),
    runCpu: best(({ run }) => run.cpu),
    latency: times,
    opened,
    pages,
    loop: { idle: idle.delay, busy: rounds.map(({ loop }) => loop) },
    rss,
  }),
);
await ductape.close();
