// A dashboard over a real store, with jobs of all kinds that have really run.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DashboardOptions, Ductape } from './ductape.js';
import { DuctapeError } from './ductape.js';
import { eventually } from './instances.js';

/** Serves the dashboard of an instance on loopback. */
export async function serveDashboard(ductape: Ductape, options: DashboardOptions = {}) {
  const dashboard = ductape.dashboard(options);
  const server = createServer(dashboard);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${options.basePath ?? ''}/`,
    port,
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
  ductape.features.define('import', () => {
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
