// Mistakes that must not compile. An expectation that meets no error is an error itself.
import type { Ductape, IDispatchSchedule } from 'ductape';
import { DuctapeError, Ductape as Scheduler } from 'ductape';

const action = { env: 'prd', product: 'p', app: 'a', event: 'e', input: {} };

export function dispatches(ductape: Ductape): void {
  // @ts-expect-error `crom` is no schedule option
  void ductape.actions.dispatch({ ...action, schedule: { crom: '0 9 * * *' } });
  // @ts-expect-error nor is it one next to a known option
  void ductape.actions.dispatch({ ...action, schedule: { tz: 'UTC', crom: '0 9 * * *' } });
  // @ts-expect-error `misfires` is no schedule option
  void ductape.actions.dispatch({ ...action, schedule: { every: 1, misfires: 'once' } });
  // @ts-expect-error `gaps` is no clock change
  void ductape.actions.dispatch({ ...action, schedule: { cron: '* * * * *', dst: { gaps: 'skip' } } });
  // @ts-expect-error an interval is a number
  void ductape.actions.dispatch({ ...action, schedule: { every: '1h' } });
  // @ts-expect-error a date is ms, text or a `Date`
  void ductape.actions.dispatch({ ...action, schedule: { start_at: true } });
  // @ts-expect-error an action has an app
  void ductape.actions.dispatch({ env: 'prd', product: 'p', event: 'e', input: {} });
  // @ts-expect-error an environment is text
  void ductape.actions.dispatch({ ...action, env: 1 });
  // @ts-expect-error `priorty` is no option
  void ductape.actions.dispatch({ ...action, priorty: 1 });
  // @ts-expect-error an operation belongs to a database, not to an action
  void ductape.actions.dispatch({ ...action, operation: 'deleteMany' });
  // @ts-expect-error retries are a number
  void ductape.actions.dispatch({ ...action, retries: '3' });
  // @ts-expect-error a session needs its token
  void ductape.actions.dispatch({ ...action, session: { tag: 'user-session' } });
  // @ts-expect-error `onConflict` has three values
  void ductape.actions.dispatch({ ...action, job_id: 'x', onConflict: 'ignore' });
  // @ts-expect-error a unique key is an object
  void ductape.actions.dispatch({ ...action, unique: 'x' });
  // @ts-expect-error a concurrency key has a limit
  void ductape.actions.dispatch({ ...action, concurrency: { key: 'x' } });
  // @ts-expect-error `initialDelai` is no retry option
  void ductape.actions.dispatch({ ...action, retryConfig: { initialDelai: 1 } });
  // @ts-expect-error an input is an object
  void ductape.actions.dispatch({ ...action, input: 'body' });
  // @ts-expect-error every input of several is checked
  void ductape.actions.dispatchMany([action, { ...action, schedule: { crom: '' } }]);
  // @ts-expect-error retries are no event of webhooks
  void ductape.jobs.setWebhook({ url: '', secret: '', events: ['job.retrying'] });
  // @ts-expect-error a feature is named
  void ductape.features.dispatch({ env: 'prd', product: 'p', event: 'f', input: {} });
  // @ts-expect-error a preview takes a schedule
  void ductape.jobs.preview({ crom: '0 9 * * *' });
}

// @ts-expect-error the documented interface has exactly the documented members
export const schedule: IDispatchSchedule = { every: 1, misfire: 'once' };

export function handlers(ductape: Ductape): void {
  // @ts-expect-error `evnt` is no part of an action
  ductape.actions.handle({ app: 'a', evnt: 'e' }, () => {});
  // @ts-expect-error an action has no database
  ductape.actions.handle({ app: 'a' }, (job) => job.database);
  // @ts-expect-error a handler is a function
  ductape.actions.handle({ app: 'a' }, 'send');
  // @ts-expect-error the result is the declared one
  ductape.actions.handle<unknown, number>({ app: 'a' }, async () => 'text');
  // @ts-expect-error `concurency` is no handler option
  ductape.actions.handle({ app: 'a' }, () => {}, { concurency: 1 });
  ductape.actions.handle({ app: 'a' }, (job) => {
    // @ts-expect-error a job is read-only
    job.attempt = 2;
  });
}

export function instances(): void {
  // @ts-expect-error `stor` is no option
  new Scheduler({ stor: 'memory:' });
  // @ts-expect-error a worker is off or has options
  new Scheduler({ worker: true });
  // @ts-expect-error `action` is no namespace
  new Scheduler({ worker: { namespaces: ['action'] } });
  // @ts-expect-error a clock is the system's or manual
  new Scheduler({ clock: 'fake' });
  // @ts-expect-error a code is a string
  new DuctapeError(42, 'text');
}
