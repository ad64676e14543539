// The class `Ductape`.

import './platform';
import type { Caches } from './caches';
import type { Clock } from './clock';
import type { DashboardHandler, DashboardOptions } from './dashboard';
import type { IActionTarget, INotificationTarget, IPublishTarget, IStorageJobInput, IStorageTarget } from './handlers';
import type {
  ActionDispatchInputs,
  IActionRequest,
  INotificationRequest,
  IPublishRequest,
  IStorageDispatchInput,
  IStorageHandlerDispatchInput,
  IStorageOperationDispatchInput,
  NotificationDispatchInputs,
  PublishDispatchInputs,
} from './inputs';
import type { Jobs } from './jobs';
import type { DatabasesNamespace, FeaturesNamespace, GraphsNamespace, JobNamespace } from './namespaces';
import type { DuctapeOptions } from './options';
import type { ResourceChecks } from './resources/checks';
import type { Sessions } from './sessions';
import type { IDrainResult, IMoveOptions, IMovePlan, IMoveResult, IStoreHealth } from './stores';

/** A durable job scheduler: jobs go in by `dispatch` and are done by handlers, in this process or another on the same store. */
export declare class Ductape {
  /**
   * Opens nothing: the store is opened by the first call that needs it, which rejects when that fails.
   *
   * @throws {DuctapeError} `VALIDATION_ERROR` for a wrong option
   */
  constructor(options?: DuctapeOptions);

  /** App actions. */
  readonly actions: JobNamespace<ActionDispatchInputs, IActionTarget, IActionRequest>;
  /** Features. */
  readonly features: FeaturesNamespace;
  /** Notifications. */
  readonly notifications: JobNamespace<NotificationDispatchInputs, INotificationTarget, INotificationRequest>;
  /** Storage operations. */
  readonly storage: JobNamespace<
    IStorageDispatchInput | IStorageOperationDispatchInput | IStorageHandlerDispatchInput,
    IStorageTarget,
    IStorageJobInput
  >;
  /** Message broker publishes. */
  readonly events: JobNamespace<PublishDispatchInputs, IPublishTarget, IPublishRequest>;
  /** Database operations and actions. */
  readonly databases: DatabasesNamespace;
  /** Graph operations and actions. */
  readonly graphs: GraphsNamespace;

  /** The same object as `actions`. */
  readonly api: Ductape['actions'];
  /** The same object as `features`. */
  readonly feature: Ductape['features'];
  /** The same object as `features`. */
  readonly workflows: Ductape['features'];
  /** The same object as `databases`. */
  readonly database: Ductape['databases'];
  /** The same object as `graphs`. */
  readonly graph: Ductape['graphs'];

  /** Looks at jobs and changes them. */
  readonly jobs: Jobs;
  /** Starts, checks, renews and ends sessions. */
  readonly sessions: Sessions;
  /** Values that are kept for a time. */
  readonly caches: Caches;
  /** What `resources` describe. */
  readonly resources: ResourceChecks;
  /** The instance's time; a test moves it with `clock: 'manual'`. */
  readonly clock: Clock;
  /** Versions of the package and of the built-in time zone database (such as `'2026a'`). */
  readonly version: { readonly package: string; readonly tzdb: string };

  /**
   * Makes this process a worker that stays up: it keeps the event loop alive until `close`. With `signals` (default
   * true), `SIGTERM` and `SIGINT` stop its work as `close` does, then close it and end the process; a second one ends it at
   * once. Where the program listens for the signal too, the end is left to the program: dispatches are taken until `close`.
   * `timeout`: how long running handlers have after a signal, ms (default 10,000). A later call changes both.
   */
  start(options?: { signals?: boolean | undefined; timeout?: number | undefined }): Promise<void>;
  /**
   * Stops claiming, lets running handlers finish for up to `timeout` ms (default 10,000), aborts the rest without
   * spending an attempt, and releases the store. Calls after the first give its promise, and a `timeout` of theirs takes the
   * place of the first's. Dispatches are taken until the handlers have ended, so that theirs succeed; with `dispatch: false`
   * they are refused from the call on. Then all methods reject with `CLOSED`; `start`, `drain` and `handle` do so from the
   * call on.
   */
  close(options?: { timeout?: number | undefined; dispatch?: boolean | undefined }): Promise<void>;
  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * Runs what is due and leaves nothing running: for serverless functions and cron endpoints. Nothing more is claimed until
   * the next `drain`, unless `start` was called. After `timeout` ms
   * (default: no bound) what still runs is aborted and given back.
   */
  drain(options?: { timeout?: number | undefined }): Promise<IDrainResult>;
  /**
   * Copies what is committed by now into a new file at `path`, while this process and others go on. The file is complete and
   * synced when the promise resolves; until then it is `path` with `.partial` behind it. Rejects with `STORE_ERROR` when
   * `path` is there already, and for a store that is not in a file: for PostgreSQL use `pg_dump`.
   */
  backup(path: string): Promise<void>;
  /**
   * Plain facts about the store, for whoever looks after it. It opens the store by a connection of its own, which changes nothing: a
   * store of an older version of this package is not migrated by that. What reads much ends after `limit` ms, default 5,000. Rejects
   * with `STORE_ERROR` when there is no store.
   */
  health(options?: { limit?: number | undefined }): Promise<IStoreHealth>;
  /**
   * A handler for the program's own web server, with pages that show jobs and change them: see `docs/dashboard.md`. Streams to browsers
   * end with {@link close}; the server is the program's.
   *
   * @throws {DuctapeError} `VALIDATION_ERROR` for a wrong option
   */
  dashboard(options?: DashboardOptions): DashboardHandler;
  /**
   * How this process and its store stand, as text for Prometheus: jobs by state and target, runs by outcome and target, histograms of
   * how long they took and how late they began, of the store's transactions and batches, slots, age of the lease, delay of the event
   * loop, which is measured from the first call on. Counters are those of this process since it began, and never become less.
   * `docs/metrics.md` lists all.
   *
   * `format` is `'openmetrics'` (default), to be served as `application/openmetrics-text; version=1.0.0; charset=utf-8`, or
   * `'prometheus'`, as `text/plain; version=0.0.4; charset=utf-8`. When the store does not answer within 2 s, the metrics of the process
   * are told without those of the store. Rejects with `VALIDATION_ERROR` in an instance that was made with `metrics: false`.
   */
  metrics(options?: { format?: 'openmetrics' | 'prometheus' | undefined }): Promise<string>;
  /**
   * Puts a backup in the place of the store `to` (as in `store`: `'sqlite:data/jobs.db'`), which no process may have open, and
   * removes the log of the old one. Whatever `to` held is gone. Rejects with `STORE_ERROR` when the store is open or cannot be
   * written, with `STORE_CORRUPT` when `from` is damaged or not a store; `to` is then as it was.
   */
  static restore(options: { from: string; to: string }): Promise<void>;
  /**
   * Moves all jobs, runs, histories, steps, cached values, webhooks and figures from one store to another, of the other kind or of the same
   * (both as in `store`). No process may work on `from`; from the first row on it takes no work any more, and says where all is.
   * `to` must be new, and takes work once all is there and has been compared. Rejects with `STORE_ERROR` when a process works on
   * one of them, `to` holds something, or the copies differ. Whatever interrupts it, the same call goes on; a move that is done
   * resolves again.
   */
  static move(options: IMoveOptions & { dryRun: true }): Promise<IMovePlan>;
  static move(options: IMoveOptions & { giveUp: true }): Promise<{ status: 'given_up' }>;
  static move(options: IMoveOptions): Promise<IMoveResult>;
}
