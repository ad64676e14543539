// Forms that values may have beyond those of the documented interfaces: lists that are readonly, interfaces, dates, codes, loggers.
import { defineResources, Ductape, DuctapeError } from 'ductape';
import type { IFeatureDispatchInput, IRunError, Resources } from 'ductape';

/** Unlike a type alias, an interface is no `Record<string, unknown>`. */
interface Order {
  id: string;
  total: number;
}

export async function interfaces(ductape: Ductape, order: Order): Promise<void> {
  await ductape.features.dispatch({ tag: 'order', input: order });
  await ductape.actions.dispatch({ app: 'shop', event: 'order', input: order });
  await ductape.actions.dispatch({ app: 'shop', event: 'order', input: { body: order, query: order } });
  await ductape.notifications.dispatch({
    notification: 'order',
    event: 'placed',
    input: {
      email: { recipients: ['a@example.com'], subject: order, template: order },
      push_notification: { device_tokens: ['x'], data: order, title: order, body: order },
      sms: { recipients: ['1'], body: order },
      callback: { body: order, headers: order, params: order, query: order },
    },
  });
  await ductape.storage.dispatch({ storage: 'files', event: 'own', input: order });
  await ductape.events.dispatch({ broker: 'bus', event: 'orders', input: { message: order, key: order.id } });
  await ductape.events.dispatch({ event: 'bus:orders', input: { message: order, key: order.id } });
  await ductape.databases.dispatch({ database: 'db', operation: 'own', input: order });
  await ductape.databases.action.dispatch({ database: 'db', event: 'add', input: order });
  await ductape.databases.action.dispatch({ database: 'db', event: 'add', input: { data: order } });
  await ductape.graphs.dispatch({ graph: 'g', operation: 'own', input: order });
  await ductape.graphs.action.dispatch({ graph: 'g', event: 'add', input: order });
  await ductape.sessions.start({ tag: 'user', data: order });
  await ductape.caches.set({ tag: 'orders', key: order.id, value: order });
  ductape.features.define<Order, Order>('order', ({ input }) => input);
  const { id }: Order = await ductape.jobs.wait<Order>('a');
  await ductape.caches.get<Order>({ tag: 'orders', key: id });
}

/** A documented input takes a copy of it. */
export const documented = (order: Order): IFeatureDispatchInput => ({
  env: 'prd',
  product: 'shop',
  tag: 'order',
  input: { ...order },
});

export async function readonlyLists(ductape: Ductape): Promise<void> {
  const options = {
    tags: ['a', 'b'],
    retryConfig: { retryableErrors: ['TIMEOUT'], nonRetryableErrors: ['NOT_FOUND'] },
    schedule: { cron: '@daily', except: ['2026-12-25'] },
  } as const;
  await ductape.features.dispatch({ tag: 'report', input: {}, ...options });
  await ductape.features.dispatchMany([{ tag: 'report', input: { list: [1, 2] }, ...options }] as const);
  await ductape.jobs.preview(options.schedule);
  await ductape.jobs.reschedule('a', options.schedule);
  await ductape.jobs.list({ status: ['failed', 'queued'], tags: options.tags } as const);
  const people = ['a@example.com'] as const;
  await ductape.notifications.dispatch({
    notification: 'n',
    event: 'e',
    input: { email: { recipients: people }, sms: { recipients: people }, push_notification: { device_tokens: people } },
  });
  await ductape.jobs.setWebhook({ url: 'https://example.com', secret: 's', events: ['job.failed'] } as const);
  new DuctapeError('VALIDATION_ERROR', 'text', { details: [{ path: 'a', message: 'b' }] as const });
}

const resources = {
  products: [
    {
      tag: 'shop',
      apps: [{ tag: 'mail', envs: [{ slug: 'prd', base_url: 'https://example.com' }], actions: [] }],
      storage: [{ tag: 'files', envs: [{ slug: 'prd', type: 'local', config: { root: '/srv' } }] }],
      caches: [{ tag: 'orders', expiry: 1_000 }],
    },
  ],
} as const;
export const taken: Resources = resources;
export const defined = new Ductape({
  resources: defineResources(resources),
  worker: { namespaces: ['features'], products: ['shop'], envs: ['prd'] },
  outbound: { hosts: ['example.com'] },
  inputSecrets: ['KEY'],
} as const);

export async function dates(ductape: Ductape): Promise<void> {
  const date = new Date();
  await ductape.features.dispatch({ tag: 'report', input: {}, schedule: { start_at: date } });
  await ductape.features.dispatch({ tag: 'report', input: {}, schedule: { at: date } });
  await ductape.features.dispatch({
    tag: 'report',
    input: {},
    schedule: { every: 1_000, start_at: date, endDate: date },
  });
  await ductape.jobs.reschedule('a', { start_at: date });
  await ductape.jobs.reschedule('a', { endDate: date });
  await ductape.jobs.preview({ cron: '@daily', start_at: date, endDate: date }, { from: date });
  await ductape.jobs.list({ from: date, to: date });
  await ductape.jobs.cancelMany({ from: date, to: date });
  await ductape.jobs.getStats({ from: date, to: date });
  await ductape.jobs.metrics({ from: date, to: date });
  await ductape.clock.set(date);
  new Ductape({ clock: { manual: true, at: date } });
}

/** A handler's own codes are told from those of the package without a cast, and those are still offered by editors. */
export function codes(error: DuctapeError): string {
  if (error.code === 'CARD_DECLINED') throw new DuctapeError('CARD_EXPIRED', 'ask for another card', { cause: error });
  switch (error.code) {
    case 'TIMEOUT':
      return 'late';
    case 'CARD_STOLEN':
      return 'gone';
    default:
      return error.code.toLowerCase();
  }
}

export const failedRun = (error: IRunError): DuctapeError['code'] => error.code;

/** As `LoggerService` of Nest is declared. */
interface NestLogger {
  // biome-ignore lint/suspicious/noExplicitAny: so it is there
  log(message: any, ...optionalParams: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: so it is there
  error(message: any, ...optionalParams: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: so it is there
  warn(message: any, ...optionalParams: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: so it is there
  debug?(message: any, ...optionalParams: any[]): any;
}

export const logged = (logger: NestLogger): Ductape => new Ductape({ logger });

/** What is undefined counts as absent; `exactOptionalPropertyTypes` tells the two apart. */
export async function undefinedMembers(
  ductape: Ductape,
  given: { text: string | undefined; count: number | undefined; flag: boolean | undefined; date: Date | undefined },
): Promise<void> {
  const { text, count, flag, date } = given;
  new Ductape({ product: text, store: text, worker: { concurrency: count }, retention: { runs: { age: count } } });
  await ductape.features.dispatch({
    tag: 'report',
    input: {},
    product: text,
    job_id: text,
    retries: count,
    cache: text,
    schedule: { cron: text, tz: text, every: count, start_at: date, endDate: date, dst: undefined },
    retryConfig: { initialDelay: count, jitter: flag },
    unique: { key: 'a', period: count },
  });
  ductape.features.define('a', ({ step }) => step('b', () => 1, { retries: count }), { timeout: count });
  ductape.features.handle({ tag: 'a', product: text }, () => {});
  await ductape.jobs.list({ product: text, status: undefined, from: date, limit: count, cursor: text });
  await ductape.jobs.getStats({ env: text, from: date });
  await ductape.jobs.metrics({ from: date });
  await ductape.jobs.wait('a', { timeout: count });
  await ductape.jobs.getHistory('a', { limit: count, cursor: text });
  await ductape.jobs.preview({ cron: '@daily', tz: text }, { from: date, count });
  await ductape.start({ signals: flag });
  await ductape.close({ timeout: count });
}
