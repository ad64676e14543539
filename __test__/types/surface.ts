// What the package exports and how its parts are typed, beyond the documented interfaces.
import Default, {
  type DashboardHandler,
  type DashboardNodeRequest,
  type ActionDispatchInputs,
  type DBActionDispatchInputs,
  type DBOperationDispatchInputs,
  type DispatchInput,
  type FeatureDispatchInputs,
  type GraphActionDispatchInputs,
  type GraphOperationDispatchInputs,
  type PublishDispatchInputs,
  type ScheduleInput,
  Ductape,
  DuctapeError,
  type DuctapeOptions,
  type ErrorCode,
  type IActionDispatchInput,
  type IDispatchResult,
  type IRescheduleResult,
  type IDispatchSchedule,
  type IDrainResult,
  type IJob,
  type IJobHistory,
  type IJobCount,
  type IJobList,
  type IJobOptions,
  type IJobStats,
  type NotificationDispatchInputs,
  type IScheduleOptions,
  type IStorageDispatchInput,
  type IStorageHandlerDispatchInput,
  type IStorageOperationDispatchInput,
  type IWebhook,
  type IWebhookInput,
  type IWebhookPayload,
  type WebhookEventName,
  literal,
} from 'ductape';
import type { Equals, Expect } from './equals.js';

/** The type that a namespace's `dispatch` takes. */
type Taken<Namespace extends { dispatch(input: never): Promise<IDispatchResult> }> = Parameters<
  Namespace['dispatch']
>[0];

export type Exports = [
  Expect<Equals<typeof Default, typeof Ductape>>,
  Expect<Equals<Default, Ductape>>,
  Expect<Equals<DuctapeError['code'], ErrorCode | (string & {})>>,
];

export type Namespaces = [
  Expect<Equals<Taken<Ductape['actions']>, DispatchInput<ActionDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['features']>, DispatchInput<FeatureDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['notifications']>, DispatchInput<NotificationDispatchInputs>>>,
  Expect<
    Equals<
      Taken<Ductape['storage']>,
      DispatchInput<IStorageDispatchInput | IStorageOperationDispatchInput | IStorageHandlerDispatchInput>
    >
  >,
  Expect<Equals<Taken<Ductape['events']>, DispatchInput<PublishDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['databases']['action']>, DispatchInput<DBActionDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['databases']>, DispatchInput<DBOperationDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['graphs']['action']>, DispatchInput<GraphActionDispatchInputs>>>,
  Expect<Equals<Taken<Ductape['graphs']>, DispatchInput<GraphOperationDispatchInputs>>>,
];

export type Aliases = [
  Expect<Equals<Ductape['api'], Ductape['actions']>>,
  Expect<Equals<Ductape['feature'], Ductape['features']>>,
  Expect<Equals<Ductape['workflows'], Ductape['features']>>,
  Expect<Equals<Ductape['database'], Ductape['databases']>>,
  Expect<Equals<Ductape['graph'], Ductape['graphs']>>,
];

export type Schedules = [
  Expect<Equals<IJobOptions['schedule'], ScheduleInput | string | undefined>>,
  Expect<IDispatchSchedule & IScheduleOptions extends ScheduleInput ? true : false>,
  Expect<Equals<keyof IDispatchSchedule & keyof IScheduleOptions, never>>,
];

export const options: DuctapeOptions = {
  accessKey: 'key',
  product: 'my-app',
  env: 'prd',
  store: 'memory:',
  worker: { concurrency: 4, namespaces: ['actions', 'databases.action'], products: ['my-app'], envs: ['prd'] },
  timezone: 'Europe/Berlin',
  clock: 'manual',
  retention: { completed: { age: 1_000, count: 10 }, failed: false, runs: { age: 1_000, count: 10 } },
  durability: 'relaxed',
  logger: console,
  maxInputBytes: 2 ** 20,
};

export const dispatchOnly: Ductape = new Default({ worker: false, retention: false });

/** A documented input, whole, is accepted as it is, and so is one made by a function that knows only its type. */
export async function documentedInput(ductape: Ductape, input: IActionDispatchInput): Promise<IDispatchResult[]> {
  return [
    await ductape.actions.dispatch(input),
    ...(await ductape.api.dispatchMany([input, { ...input, priority: 1 }])),
  ];
}

export async function allOptions(ductape: Ductape): Promise<IDispatchResult> {
  return ductape.storage.dispatch({
    storage: 'reports',
    event: 'upload',
    input: { fileName: 'a.txt', buffer: new Uint8Array([1]), path: 'daily', mimeType: 'text/plain' },
    retries: 2,
    job_id: 'daily-report',
    onConflict: 'replace',
    priority: -1,
    timeout: 60_000,
    retryConfig: {
      initialDelay: 100,
      maxDelay: 1_000,
      backoffMultiplier: 3,
      jitter: true,
      jitterPercent: 0.1,
      retryableErrors: ['TIMEOUT'],
      nonRetryableErrors: ['NOT_FOUND'],
    },
    tags: ['report'],
    unique: { key: 'daily', period: 60_000 },
    concurrency: { key: 'reports', limit: 2 },
    schedule: {
      cron: '0 9 * * *',
      tz: 'America/New_York',
      dst: { gap: 'skip', overlap: 'both' },
      misfire: 'all',
      ifRunning: 'allow',
      spread: 5_000,
    },
  });
}

/** The schedule of a job is one of a dispatch. */
export async function schedules(ductape: Ductape): Promise<number[]> {
  const { schedule = {} } = await ductape.jobs.get('report');
  await ductape.features.dispatch({ tag: 'report', input: {}, schedule });
  await ductape.jobs.reschedule('report', { interval: 'P1M', start_at: '2027-01-31', except: ['2027-12-31'] });
  return ductape.jobs.preview({ ...schedule, limit: 3 });
}

export async function backups(ductape: Ductape): Promise<void> {
  const copied: Promise<void> = ductape.backup('/srv/backup.db');
  await copied;
  const restored: Promise<void> = Ductape.restore({ from: '/srv/backup.db', to: 'sqlite:data/jobs.db' });
  return restored;
}

export async function jobs(ductape: Ductape, id: string): Promise<void> {
  const job: IJob = await ductape.jobs.get(id);
  const page: IJobList = await ductape.jobs.list({ status: ['failed', 'queued'], target: job.target, count: true });
  const next: IJobList = await ductape.jobs.list({
    status: 'failed',
    limit: 10,
    ...(page.next && { cursor: page.next }),
  });
  const sent: { id: number } = await ductape.jobs.wait<{ id: number }>(id, { timeout: 1_000 });
  const stats: IJobStats = await ductape.jobs.getStats({ namespace: job.namespace });
  const history: IJobHistory = await ductape.jobs.getHistory(id, { limit: sent.id });
  const older: IJobHistory = await ductape.jobs.getHistory(id, { ...(history.next && { cursor: history.next }) });
  const times: number[] = await ductape.jobs.preview({ every: 1_000, spread: 10 }, { from: '2026-01-01', count: 3 });
  const moved: IRescheduleResult = await ductape.jobs.reschedule(id, { every: 1_000, spread: 10 });
  const { count }: IJobCount = await ductape.jobs.cancelMany(
    { tags: ['a'], from: moved.scheduled_at },
    { reason: 'b' },
  );
  await ductape.jobs.retryMany({ all: true }, { delay: count });
  await ductape.jobs.cancelRun(id);
  await ductape.jobs.retry(id, { delay: 1 });
  for (const change of [ductape.jobs.pause, ductape.jobs.resume, ductape.jobs.delete]) await change(id);
  await ductape.jobs.cancel(id, {
    reason: `${stats.total} ${history.job_id} ${older.job_id} ${times.length} ${next.jobs.length}`,
  });
}

export async function webhooks(ductape: Ductape): Promise<string[]> {
  const events: WebhookEventName[] = ['job.failed', 'job.scheduled'];
  const input: IWebhookInput = { url: 'https://example.com/', events, secret: 'a plain text of 24 bytes' };
  const made: IWebhook = await ductape.jobs.setWebhook(input);
  await ductape.jobs.setWebhook({ url: made.url, events: ['job.completed'] as const, secret: input.secret });
  const all: IWebhook[] = await ductape.jobs.listWebhooks();
  await ductape.jobs.deleteWebhook(made.id);
  return all.map(({ status, failed_count, last_error }) => `${status} ${failed_count} ${last_error ?? ''}`);
}

export const payloadText = ({ event, job }: IWebhookPayload): string =>
  `${event} ${job.status} ${job.execution_count ?? 0} ${job.error?.code ?? ''}`;

export async function lifecycle(ductape: Ductape): Promise<IDrainResult> {
  await ductape.start({ signals: false });
  await ductape.clock.advance(1_000);
  await ductape.clock.advance('P1D');
  await ductape.clock.set(new Date(ductape.clock.now()));
  const result = await ductape.drain({ timeout: 1_000 });
  await ductape.close({ timeout: 0 });
  return result;
}

export function failure(error: unknown): string {
  if (!(error instanceof DuctapeError)) throw new DuctapeError('STORE_ERROR', 'not ours', { cause: error });
  return `${error.code}: ${(error.details ?? []).map(({ path, message }) => `${path}: ${message}`).join(', ')}`;
}

export const versions: string[] = [new Ductape().version.package, new Ductape().version.tzdb];

/** A literal stands wherever its value can. */
export const literalInput: DispatchInput<IActionDispatchInput> = {
  app: 'a',
  event: 'e',
  input: literal({ body: { text: literal('$Now') } }),
  session: 'tag:token',
  expressions: false,
};

interface Order {
  id: number;
  lines: { sku: string }[];
}

/** Documented names, values of interfaces, and times as `Date`. */
export async function documentedForms(ductape: Ductape, order: Order): Promise<IJob[]> {
  const at = new Date();
  await ductape.workflows.dispatch({ workflow: 'ship', input: order, schedule: '0 2 * * *' });
  await ductape.features.dispatch({ feature: 'ship', input: order, schedule: { delay: 1_000 } });
  await ductape.features.dispatch({ tag: 'ship', input: order, options: { retries: 2, timeout: 1_000 } });
  await ductape.actions.dispatch({ app: 'shop', action: 'ship', input: { body: { id: 1 } }, schedule: { at } });
  await ductape.actions.dispatch({ app: 'shop', event: 'ship', input: order, schedule: { start_at: at } });
  await ductape.events.dispatch({ broker: 'b', event: 'e', input: { message: order } });
  await ductape.databases.action.dispatch({ database: 'd', action: 'a', input: order });
  await ductape.databases.dispatch({ database: 'd', action: 'insert', input: { table: 't', data: {} } });
  await ductape.graphs.action.dispatch({ graph: 'g', action: 'a', input: order });
  await ductape.notifications.dispatch({
    notification: 'n',
    event: 'e',
    input: {
      email: { to: 'a@b.example' },
      sms: { phone: '+1', message: 'Hello' },
      push_notification: { device_token: 't', title: 'Hello' },
    },
  });
  await ductape.jobs.list({ from: at, to: new Date() });
  await ductape.jobs.reschedule('a', { every: 1_000, timezone: 'UTC', endDate: at });
  await ductape.jobs.preview('0 2 * * *', { from: at });
  await ductape.jobs.pauseMany({});
  return [await ductape.jobs.pause('a'), await ductape.jobs.resume('a'), await ductape.jobs.cancel('a')];
}

/** One handler for all servers: what it gives depends on how it is called. */
export async function dashboards(
  ductape: Ductape,
  request: Request,
  node: DashboardNodeRequest & { user?: string },
): Promise<Response> {
  const dashboard: DashboardHandler = ductape.dashboard({
    authorize: async (asked: typeof node) => asked.user !== undefined && { user: asked.user, readOnly: true },
    basePath: '/admin/jobs',
    redact: ['input.password'],
  });
  const onNode: Promise<void> = dashboard(node, { writeHead: () => undefined, end: () => undefined });
  await onNode;
  return dashboard(request);
}
