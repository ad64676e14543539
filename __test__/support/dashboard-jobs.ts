// A dashboard over a real store, with jobs of all kinds that have really run.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DashboardOptions, Ductape } from './ductape.js';
import { DuctapeError } from './ductape.js';
import { eventually } from './instances.js';

/** Serves the dashboard of an instance on loopback; at a port that was free a moment ago, where one is given. */
export async function serveDashboard(ductape: Ductape, options: DashboardOptions = {}, at = 0) {
  const dashboard = ductape.dashboard(options);
  let streams = 0;
  const server = createServer((request, response) => {
    if (request.url?.endsWith('/api/live')) {
      streams += 1;
      response.on('close', () => {
        streams -= 1;
      });
    }
    void dashboard(request, response);
  });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${options.basePath ?? ''}/`,
    port,
    /** How many streams of events are open. */
    streams: () => streams,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Handlers for jobs of all kinds. `release` ends those that wait for it. */
export function handleJobs(ductape: Ductape) {
  const waiting = new Set<() => void>();
  ductape.actions.handle({ app: 'stripe', event: 'charge' }, async ({ input, attempt, log, step }) => {
    const { card } = input as { card?: string };
    log(`attempt ${attempt} of a charge`);
    await step('reserve', () => ({ reservation: 'r-1' }));
    if (card === 'declined') {
      throw new DuctapeError('FORBIDDEN', 'the card was declined', {
        cause: new Error('issuer answered 05', { cause: new TypeError('do not honour') }),
      });
    }
    if (card === 'flaky' && attempt < 3) throw new DuctapeError('CONNECTION_ERROR', 'the gateway hung up');
    return { charged: true, receipt: { number: 'R-1001', lines: [{ text: 'two tickets', amount: 4200 }] } };
  });
  ductape.features.define('report', async ({ progress, log, signal }) => {
    progress({ done: 3, total: 12 });
    log('three of twelve parts are done');
    await new Promise<void>((resolve) => {
      waiting.add(resolve);
      signal.addEventListener('abort', () => resolve());
    });
    return { parts: 12 };
  });
  ductape.features.define('heartbeat', () => ({ ok: true }));
  ductape.features.define('import', ({ input }) => {
    if (input.timeout) throw new DuctapeError('TIMEOUT', 'the file did not come in time');
    throw new RangeError('row 17 has no date');
  });
  ductape.notifications.handle({ notification: 'welcome' }, () => ({ sent: 1 }));
  return {
    release: () => {
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
  };
}

/** Dispatches jobs of all kinds, and waits until they have come to where they stay. */
export async function fillWithJobs(ductape: Ductape) {
  const { actions, features, notifications, jobs } = ductape;
  const quick = { initialDelay: 1, maxDelay: 5 };
  const charge = (job_id: string, card: string, more = {}) =>
    actions.dispatch({
      app: 'stripe',
      event: 'charge',
      job_id,
      input: { card, customer: { id: 71, name: 'Ada <b>Lovelace</b>', tags: ['new', 'vip'] }, amount: 4200 } as object,
      tags: ['billing'],
      ...more,
    });
  await charge('charge-good', 'good');
  await charge('charge-flaky', 'flaky', { retries: 3, retryConfig: quick });
  for (const n of [1, 2, 3]) await charge(`charge-declined-${n}`, 'declined', { retries: 1, retryConfig: quick });
  await features.dispatch({ tag: 'import', job_id: 'import-1', input: { file: 'customers.csv' } });
  await notifications.dispatch({
    notification: 'welcome',
    event: 'signup',
    job_id: 'welcome-1',
    input: { email: { recipients: ['ada@example.com'] } },
  });
  const far = Date.now() + 6 * 3_600_000;
  await features.dispatch({ tag: 'report', job_id: 'report-running', input: { month: '2026-10' } });
  await features.dispatch({ tag: 'report', job_id: 'report-later', input: {}, schedule: { start_at: far } });
  await features.dispatch({ tag: 'nobody', job_id: 'unhandled', input: {} });
  await features.dispatch({ tag: 'report', job_id: 'report-paused', input: {}, schedule: { start_at: far } });
  await jobs.pause('report-paused');
  await features.dispatch({ tag: 'report', job_id: 'report-cancelled', input: {}, schedule: { start_at: far } });
  await jobs.cancel('report-cancelled', { reason: 'the customer left' });
  await features.dispatch({ tag: 'heartbeat', job_id: 'heartbeat', input: {}, schedule: { every: 3_600_000 } });
  await features.dispatch({ tag: 'import', job_id: 'nightly-import', input: {}, schedule: '15 3 * * *' });
  await features.dispatch({
    tag: 'heartbeat',
    job_id: 'monthly',
    input: {},
    schedule: { interval: 'P1M', start_at: far },
  });
  for (const id of ['heartbeat', 'nightly-import']) {
    await jobs.runNow(id).catch((error) => {
      // It runs at its first time already.
      if (error.code !== 'CONFLICT') throw error;
    });
  }
  await jobs.setWebhook({
    url: 'http://127.0.0.1:9/hooks',
    events: ['job.failed'],
    secret: 'whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0',
  });
  await eventually(async () => {
    const stats = await jobs.getStats();
    if (stats.failed < 4 || stats.running < 1 || stats.completed < 3) throw new Error(JSON.stringify(stats));
    const [beat, nightly] = await Promise.all([jobs.get('heartbeat'), jobs.get('nightly-import')]);
    if (beat.execution_count < 1 || !nightly.failing) throw new Error('recurring jobs have not run yet');
  }, 20_000);
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Numbers from 0 to 1 that are the same each time. */
function generator(): () => number {
  let seed = 20_261_130;
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
}

/** Lives through a day on a manual clock: a worker that was away for a night, failures, jobs that come late. */
export async function fillWithHistory(ductape: Ductape) {
  const random = generator();
  const { actions, features, notifications, clock } = ductape;
  const now = clock.now() + 24 * HOUR;
  const fail = (part: number, code: 'CONNECTION_ERROR' | 'TIMEOUT', message: string) => {
    if (random() < part) throw new DuctapeError(code, message);
  };
  const crowd = () => [
    actions.handle({ app: 'stripe', event: 'charge' }, () => fail(0.04, 'CONNECTION_ERROR', 'the gateway hung up')),
    notifications.handle({ notification: 'receipt' }, () => ({ sent: 1 })),
    features.define('thumbnails', () => fail(0.02, 'TIMEOUT', 'the picture took too long')),
  ];
  let stopCrowd = crowd();
  features.define('daily-report', () => ({ rows: 4_812 }));
  features.define('sync-stock', () => fail(0.12, 'CONNECTION_ERROR', 'the warehouse does not answer'));
  const night = () => features.define('backup', () => ({ bytes: 81_920_000 }));
  let stopNight = night();
  features.define('monthly-invoices', () => ({ invoices: 310 }));
  const recurring = (tag: string, schedule: object | string) =>
    features.dispatch({ tag, job_id: tag, input: {}, schedule: schedule as never });
  await recurring('backup', { cron: '0 * * * *', grace: MINUTE });
  await recurring('sync-stock', { every: 30 * MINUTE });
  await recurring('daily-report', '30 6 * * *');
  await recurring('monthly-invoices', { interval: 'P1M', start_at: now + 9 * HOUR });
  await recurring('cleanup', { every: 2 * HOUR });
  await ductape.jobs.pause('cleanup');
  const spread = async (step: number, count: number) => {
    const at = clock.now();
    // Few different moments: the clock stops at each.
    const due = () => at + Math.floor(random() * 12) * (step / 12);
    const several = (n: number, make: (start_at: number) => object) =>
      Array.from({ length: Math.round(n * (0.6 + 0.8 * random())) }, () => make(due()));
    await Promise.all([
      actions.dispatchMany(
        several(count, (start_at) => ({ app: 'stripe', event: 'charge', input: {}, schedule: { start_at } })) as never,
      ),
      notifications.dispatchMany(
        several(count / 2, (start_at) => ({
          notification: 'receipt',
          event: 'paid',
          input: {},
          schedule: { start_at },
        })) as never,
      ),
      features.dispatchMany(
        several(count / 3, (start_at) => ({ tag: 'thumbnails', input: {}, schedule: { start_at } })) as never,
      ),
    ]);
    // At the end of each step nobody is there for some seconds, so that some jobs are late.
    const late = Math.floor(random() ** 3 * 15_000);
    await clock.advance(step - late, { timeout: 60_000 });
    for (const stop of stopCrowd) stop();
    await clock.advance(late, { timeout: 60_000 });
    stopCrowd = crowd();
  };
  for (let hour = 0; hour < 23; hour++) {
    if (hour === 9) stopNight();
    if (hour === 14) stopNight = night();
    await spread(HOUR, 220 + 130 * Math.sin((hour / 24) * Math.PI));
  }
  for (let minute = 0; minute < 60; minute++) await spread(MINUTE, 9 + 5 * Math.sin(minute / 9));
  // What waits now.
  const waiting = (tag: string, count: number) =>
    features.dispatchMany(Array.from({ length: count }, () => ({ tag, input: {} })));
  for (const [tag, count] of [
    ['render-video', 42],
    ['export', 17],
    ['reindex', 11],
    ['digest', 4],
  ] as const) {
    await waiting(tag, count);
  }
  await features.dispatchMany(
    Array.from({ length: 60 }, (_, n) => ({ tag: 'thumbnails', input: {}, schedule: { start_at: now + n * HOUR } })),
  );
  // Some of them are going, and do not end: the clock would wait for them.
  for (const tag of ['render-video', 'export']) {
    features.define(tag, ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)), {
      concurrency: 4,
    });
  }
  await clock.advance(1, { timeout: 300 }).catch((error) => {
    if (error.code !== 'TIMEOUT') throw error;
  });
}

/** Names of all pages, with the path of each. */
export const PAGES = [
  ['overview', ''],
  ['overview, live', '?range=live'],
  ['jobs', 'jobs'],
  ['a job that failed', 'jobs/charge-declined-1'],
  ['a job that runs', 'jobs/report-running'],
  ['a recurring job', 'jobs/nightly-import'],
  ['recurring jobs', 'recurring'],
  ['targets', 'targets'],
  ['processes', 'processes'],
  ['failures', 'failures'],
  ['webhooks', 'webhooks'],
  ['resources', 'resources'],
  ['audit', 'audit'],
] as const;
