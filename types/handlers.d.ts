// Handlers, and what they are called with.

import type { IStorageRequest } from './inputs';
import type { Ductape } from './instance';
import type { IJob } from './job';
import type { Jsonified } from './json';
import type { PlatformAbortSignal } from './platform';

/**
 * Which jobs a handler takes. An omitted field, or `'*'`, means any; the most specific handler wins. One that is `undefined` is
 * refused, but for `product` and `env`: it mostly should have been something.
 */
export interface IHandlerTarget {
  /** Default: the instance's `product`, else any. */
  product?: string | undefined;
  /** Default: the instance's `env`, else any. */
  env?: string | undefined;
}

/** Target of `actions.handle`. */
export interface IActionTarget extends IHandlerTarget {
  app?: string;
  event?: string;
}

/** Target of `features.handle`. */
export interface IFeatureTarget extends IHandlerTarget {
  tag?: string;
}

/** Target of `notifications.handle`. */
export interface INotificationTarget extends IHandlerTarget {
  notification?: string;
  event?: string;
}

/** Target of `storage.handle`. */
export interface IStorageTarget extends IHandlerTarget {
  storage?: string;
  event?: string;
}

/** Target of `events.handle`. */
export interface IPublishTarget extends IHandlerTarget {
  broker?: string;
  event?: string;
}

/** Target of `databases.action.handle`. */
export interface IDBActionTarget extends IHandlerTarget {
  database?: string;
  event?: string;
}

/** Target of `databases.handle`. */
export interface IDBOperationTarget extends IHandlerTarget {
  database?: string;
  operation?: string;
}

/** Target of `graphs.action.handle`. */
export interface IGraphActionTarget extends IHandlerTarget {
  graph?: string;
  event?: string;
}

/** Target of `graphs.handle`. */
export interface IGraphOperationTarget extends IHandlerTarget {
  graph?: string;
  operation?: string;
}

/** A storage job's input as its handler sees it: bytes have become base64 text. */
export interface IStorageJobInput extends IStorageRequest {
  buffer?: string;
}

/** The names of the nine kinds of jobs, as {@link Ductape} spells them. */
export type JobNamespaceName =
  | 'actions'
  | 'features'
  | 'notifications'
  | 'storage'
  | 'events'
  | 'databases.action'
  | 'databases'
  | 'graphs.action'
  | 'graphs';

/**
 * One attempt of one run, as its handler sees it. In a handler the fields of the target (`app` and `event` for an
 * action) stand here too.
 *
 * All members are the object's own: `{ ...job }` has them too, and functions that are taken out of it (`const { log } = job`) work. A
 * worker thread takes no functions: hand it `input`, and of the others what it needs.
 *
 * @typeParam Input shape of `input`; it is declared, not checked.
 */
export interface JobContext<Input = unknown> {
  /** The job's id. */
  readonly id: string;
  readonly namespace: JobNamespaceName;
  readonly product: string;
  readonly env: string;
  /** The dispatched input, as JSON gives it back, with its expressions resolved. */
  readonly input: Input;
  /** Claims of the job's session, if it has one whose resource is known here. */
  readonly session?: unknown;
  /** Number of the run, from 1; a one-off job has only run 1. */
  readonly run: number;
  /** Sequence and event, as in `'main/charge'`, when the job is a feature that is declared as data; it is one event of it. */
  readonly part?: string;
  /** Number of the attempt of this run, from 1. */
  readonly attempt: number;
  /** When the run was due, in ms since the epoch. */
  readonly scheduled_at: number;
  /** How many ms after it was due (first attempt: `scheduled_at`) this attempt was started. */
  readonly lateness: number;
  /** How many missed runs this one stands for; 0 for a run in time. */
  readonly missed: number;
  /** Aborts on timeout, cancellation, shutdown, and when the process lost the run to another one. */
  readonly signal: PlatformAbortSignal;
  /** Records how far the run is: any value that JSON can hold, shown as {@link IJob.progress}. */
  progress(value: unknown): void;
  /** Adds a line to the job's log. */
  log(message: string): void;
  /**
   * Does a part of the work once: its result is stored when it is finished, and a later attempt of the run gets that result
   * without the work being done again, after a failure, a crash, or in another process. Results that are known resolve in
   * the order in which they were stored. Between the end of the work and the moment it is stored a process may die, so the
   * work can happen twice: hand `idempotency_key` on where that matters.
   *
   * Resolves with the result as JSON gives it back (at most 1 MiB), and so is its type: a `Date` is a string. Rejects with what the work failed with, with
   * `VALIDATION_ERROR` for a tag that this attempt has used or a result that cannot be stored, and with the signal's reason
   * once the attempt is given up. Await it: an attempt ends when all its steps have.
   *
   * @param tag Its name, one for each step of a run: at most 200 bytes.
   */
  step<Result>(
    tag: string,
    work: (step: StepContext) => Result | Promise<Result>,
    options?: StepOptions<Jsonified<Result>>,
  ): Promise<Jsonified<Result>>;
  /**
   * Ends this attempt without spending it and runs the handler again after `ms`; what the handler returns is not kept.
   *
   * @throws {DuctapeError} `VALIDATION_ERROR` for a time that a `Date` cannot hold
   */
  snooze(ms: number): void;
}

/** One try of a step, as its work and its rollback see it. */
export interface StepContext {
  /** Number of the try within this attempt of the job, from 1. */
  readonly attempt: number;
  /**
   * The same for every try of the step in its run, and for no other step. A run that was retried by hand keeps it, unless
   * the step was undone.
   */
  readonly idempotency_key: string;
  /** The job's signal; a rollback's aborts after 10 minutes, too. */
  readonly signal: PlatformAbortSignal;
}

/** Options of one step. */
export interface StepOptions<Result = unknown> {
  /** How often its work is tried again before the step fails, with the delays of the job's `retryConfig`. Default 0. */
  retries?: number | undefined;
  /**
   * Undoes the step, given its result, when the handler fails and no further attempt follows. The rollbacks of all finished
   * steps that the last attempt came to are called one after the other, the last step's first; one that fails is tried again
   * `retries` times, and the others follow. The job's `timeout` does not count; each call has 10 minutes. A step that is not
   * undone is named in the job's log, and a manual retry does not repeat it.
   */
  rollback?(result: Result, step: StepContext): unknown;
}

/**
 * Does the work of a job. What it returns, as JSON, becomes the run's result; a throw or a rejection fails the attempt.
 * The error's `code`, else its `name`, decides whether it is retried (of a `DOMException`, as by `AbortSignal.timeout()`,
 * its `name`); a number in its `retryAfter` is the delay in ms.
 * An `AsyncLocalStorage` holds what it held where the handler was registered; what one call enters, no other sees.
 */
export type Handler<Input = unknown, Result = unknown, Target = unknown> = (
  job: JobContext<Input> & Readonly<Required<Target>>,
) => Result | Promise<Result>;

/** Options of one handler. */
export interface HandlerOptions {
  /** How many jobs it runs at once in this process. Default: the worker's `concurrency`. */
  concurrency?: number | undefined;
  /** Longest time in ms of one attempt, for jobs that set none. Default: no bound. */
  timeout?: number | undefined;
}
