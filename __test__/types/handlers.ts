// What a handler finds in its job, by namespace.
import type {
  Ductape,
  Handler,
  IActionRequest,
  IDbActionRequest,
  INotificationRequest,
  IPublishRequest,
  IStorageJobInput,
  JobContext,
} from 'ductape';
import type { Equals, Expect } from './equals.js';

interface Welcome {
  body: { userId: string };
}

/** Fails to compile unless `value` is exactly an `Expected`. */
function exactly<Expected>() {
  return <Actual>(_value: Actual & (Equals<Actual, Expected> extends true ? unknown : never)): void => {};
}

export function inputs(ductape: Ductape): Array<() => void> {
  return [
    ductape.actions.handle({ app: 'email-service' }, ({ input }) => exactly<IActionRequest>()(input)),
    ductape.features.handle({ tag: 'report' }, ({ input }) => exactly<Record<string, unknown>>()(input)),
    ductape.features.define('report', ({ input }) => exactly<Record<string, unknown>>()(input), { concurrency: 1 }),
    ductape.notifications.handle({}, ({ input }) => exactly<INotificationRequest>()(input)),
    ductape.storage.handle({ storage: '*' }, ({ input }) => exactly<IStorageJobInput>()(input)),
    ductape.events.handle({ broker: 'kafka' }, ({ input }) => exactly<IPublishRequest>()(input)),
    ductape.databases.action.handle({ database: 'db' }, ({ input }) => exactly<IDbActionRequest>()(input)),
    ductape.databases.handle({ operation: 'query' }, ({ input }) => exactly<Record<string, unknown>>()(input)),
    ductape.graphs.action.handle({ graph: 'g' }, ({ input }) => exactly<Record<string, unknown>>()(input)),
    ductape.graphs.handle({ operation: 'query' }, ({ input }) => exactly<Record<string, unknown>>()(input)),
  ];
}

/** The target's fields stand in the job as strings, whatever the handler was registered for. */
export function targets(ductape: Ductape): void {
  ductape.actions.handle({}, ({ app, event, product, env }) => exactly<string[]>()([app, event, product, env]));
  ductape.features.handle({}, ({ tag }) => exactly<string>()(tag));
  ductape.notifications.handle({}, ({ notification, event }) => exactly<string[]>()([notification, event]));
  ductape.storage.handle({}, ({ storage, event }) => exactly<string[]>()([storage, event]));
  ductape.events.handle({}, ({ broker, event }) => exactly<string[]>()([broker, event]));
  ductape.databases.action.handle({}, ({ database, event }) => exactly<string[]>()([database, event]));
  ductape.databases.handle({}, ({ database, operation }) => exactly<string[]>()([database, operation]));
  ductape.graphs.action.handle({}, ({ graph, event }) => exactly<string[]>()([graph, event]));
  ductape.graphs.handle({}, ({ graph, operation }) => exactly<string[]>()([graph, operation]));
}

/** Everything else a handler can use. */
export function context(ductape: Ductape): () => void {
  return ductape.actions.handle<Welcome, { sent: boolean }>(
    { app: 'email-service', event: 'send_welcome_email', product: '*', env: 'prd' },
    async (job) => {
      exactly<Welcome>()(job.input);
      exactly<AbortSignal>()(job.signal);
      exactly<unknown>()(job.session);
      job.log(`${job.id} ${job.namespace} run ${job.run}, attempt ${job.attempt}`);
      job.progress({ done: job.lateness + job.missed + job.scheduled_at });
      if (job.attempt > 1) job.snooze(1_000);
      return { sent: true };
    },
    { concurrency: 2, timeout: 1_000 },
  );
}

/** A handler written on its own fits every namespace, by its own input type or by the job's. */
export const standalone: Handler<Welcome, string> = (job) => job.input.body.userId;
export const annotated = (job: JobContext<Welcome>): string => job.input.body.userId;

export function registered(ductape: Ductape): void {
  ductape.actions.handle({ app: 'email-service' }, standalone);
  ductape.notifications.handle({ event: 'welcome' }, annotated);
}

export type Defaults = Expect<Equals<JobContext['input'], unknown>>;
