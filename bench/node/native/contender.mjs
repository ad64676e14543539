// One measurement in a process of its own: jobs that call a service, by the package itself or by a handler with `fetch`.
// Usage: node contender.mjs native|fetch URL JOBS CONCURRENCY; prints its figures as JSON.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Ductape } from 'ductape';

const [kind, url, jobsText, concurrencyText] = process.argv.slice(2);
const [jobs, concurrency] = [Number(jobsText), Number(concurrencyText)];
const target = { app: 'echo', event: 'call' };
const input = { body: { userId: 'user_123', email: 'john@example.com', template: 'welcome' } };
const MILLION = 1e6;

const apps = [
  {
    tag: 'echo',
    envs: [{ slug: 'prd', base_url: url }],
    actions: [{ tag: 'call', method: 'POST', resource: '/v1/messages' }],
  },
];
const ductape = new Ductape({
  store: 'memory:',
  product: 'shop',
  env: 'prd',
  worker: { concurrency },
  ...(kind === 'native' && { resources: { products: [{ tag: 'shop', apps }] } }),
});

/** A handler that does the work of the connector. */
async function byFetch(job) {
  const response = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': `${job.id}/${job.run}` },
    body: JSON.stringify(job.input.body),
    signal: job.signal,
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return { status: response.status, headers: Object.fromEntries(response.headers), data: await response.json() };
}
if (kind === 'fetch') ductape.actions.handle(target, byFetch);

/** Stores jobs, then measures their runs until the last has ended. */
async function round(count) {
  const start_at = Date.now() + 1_000 + count / 20;
  for (let left = count; left > 0; left -= 1_000) {
    const some = { length: Math.min(left, 1_000) };
    await ductape.actions.dispatchMany(Array.from(some, () => ({ ...target, input, schedule: { start_at } })));
  }
  await delay(Math.max(0, start_at - Date.now() - 50));
  const before = await ductape.jobs.getStats();
  if (before.completed !== done) throw new Error('jobs began before they were all stored');
  await delay(Math.max(0, start_at - Date.now()));
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let stats = before; stats.completed < done + count; ) {
    await delay(20);
    stats = await ductape.jobs.getStats();
    if (stats.failed > 0) throw new Error(`${stats.failed} jobs failed`);
  }
  const ms = performance.now() - start;
  loop.disable();
  const { user, system } = process.cpuUsage(cpu);
  done += count;
  return {
    ms,
    cpu: (user + system) / count,
    delay50: loop.percentile(50) / MILLION,
    delay99: loop.percentile(99) / MILLION,
    delayMost: loop.max / MILLION,
  };
}

let done = 0;
await round(Math.min(2_000, jobs));
const figures = await round(jobs);
await ductape.close();
process.send?.({ ...figures, rss: process.memoryUsage.rss() });
process.disconnect?.();
