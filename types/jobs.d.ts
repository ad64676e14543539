// `ductape.jobs`.

import type { IRescheduleResult } from './dispatches';
import type { IRunError } from './errors';
import type { IJobEvents, IWebhook, IWebhookInput, JobEventName } from './events';
import type {
  IJobCount,
  IJobFilter,
  IJobList,
  IJobListFilter,
  IJobManyFilter,
  IJobStats,
  IJobStatsFilter,
  IJobTargetCounts,
} from './filters';
import type { IJob, IJobExplanation, IJobHistory, IJobLogLine, IJobSteps, IJobTarget } from './job';
import type { IMetrics, IMetricsOptions } from './metrics';
import type { IAuditLog, IProcess } from './processes';
import type { IScheduleChanges, ScheduleInput, Time, Undefinable } from './schedules';

/** `ductape.jobs`. An unknown id rejects with `NOT_FOUND`, a change that the job's state forbids with `CONFLICT`. */
export interface Jobs {
  get(id: string): Promise<IJob>;
  list(filter?: Undefinable<IJobListFilter>): Promise<IJobList>;
  /**
   * Waits for the run that ends next and resolves with its result; a job that has ended already answers at once.
   * Rejects with the run's error ({@link IRunError}), with `CANCELLED` when the job was cancelled, and with `TIMEOUT` after `timeout` ms
   * (default: no bound).
   */
  wait<Result = unknown>(id: string, options?: { timeout?: number | undefined }): Promise<Result>;
  /**
   * Ends a job, a recurring one with all its future runs. A run that is going has its `signal` aborted. Resolves with the job, also with
   * one that is cancelled already.
   */
  cancel(id: string, options?: { reason?: string | undefined }): Promise<IJob>;
  /**
   * Ends only the run of a recurring job that is going, else the oldest that waits; the job goes on. Rejects with
   * `CONFLICT` when there is none. For a one-off job the same as `cancel`.
   */
  cancelRun(id: string, options?: { reason?: string | undefined }): Promise<void>;
  /** Cancels all jobs that match and have not ended, as `cancel` does. */
  cancelMany(filter: IJobManyFilter, options?: { reason?: string | undefined }): Promise<IJobCount>;
  /**
   * Lets no attempt of a waiting or recurring job start until it is resumed. An attempt of a recurring job that is going
   * ends by itself. A one-off job that is running cannot be paused. Resolves with the job, also with one that is paused.
   */
  pause(id: string): Promise<IJob>;
  /** Pauses all jobs that match, as `pause` does; `{}`: all jobs. */
  pauseMany(filter: IJobManyFilter): Promise<IJobCount>;
  /**
   * Lets a paused job go on: a recurring one with its first occurrence from now on, those it has missed are not made
   * up for; a one-off job when it is due, which may be at once. Resolves with the job, also with one that is not paused.
   */
  resume(id: string): Promise<IJob>;
  /** Resumes all jobs that match, as `resume` does; `{}`: all jobs. */
  resumeMany(filter: IJobManyFilter): Promise<IJobCount>;
  /**
   * Gives a job that has not ended another time, or changes the schedule of a recurring one: what is named changes, `null` takes
   * it away, all else stays. `cron`, `every`, `interval` and `start_at` take the place of each other: when one of them is named,
   * those that are not go. With the same occurrences the job keeps its place in them; otherwise what is overdue is dealt with by the old schedule
   * first. History and counts stay, a run that is going goes on, a paused job stays paused. A job that has had the runs of its new
   * `limit`, or has no time before its new `endDate`, is completed. A one-off job that is running cannot be rescheduled. Rejects as
   * `dispatch` does, and with `INVALID_SCHEDULE` when a one-off job is given `cron`, `every` or `interval`, or a recurring one is left
   * without.
   */
  reschedule(id: string, changes: IScheduleChanges | string): Promise<IRescheduleResult>;
  /**
   * Runs a job now that waits for its time. A recurring one makes a run besides those of its schedule, which stays as it is; the
   * run does not count towards `limit`. Rejects with `CONFLICT` for a job that is paused or has ended, and for a recurring one
   * with a run that has not ended, unless its schedule says `ifRunning: 'allow'`.
   */
  runNow(id: string): Promise<IRescheduleResult>;
  /**
   * Passes over the next occurrences of a recurring job: `count` of them, from 1 (default) to 1,000. History shows them as
   * skipped, with the reason `request`. Rejects with `CONFLICT` when none is to come.
   */
  skipNext(id: string, options?: { count?: number | undefined }): Promise<IRescheduleResult>;
  /**
   * Runs a one-off job that failed or was cancelled again, as its next run and with all its retries; of a recurring job
   * the last run that failed, which does not count towards its `limit`. `delay` is in ms, default 0.
   */
  retry(id: string, options?: { delay?: number | undefined }): Promise<void>;
  /** Retries all jobs that match, as `retry` does. */
  retryMany(filter: IJobManyFilter, options?: { delay?: number | undefined }): Promise<IJobCount>;
  /** Deletes a job that is not running, with its history, log and results. */
  delete(id: string): Promise<void>;
  /** Deletes all jobs that match, as `delete` does. */
  deleteMany(filter: IJobManyFilter): Promise<IJobCount>;
  /** Counts jobs as they stand now, or runs within a span of time. */
  getStats(filter?: Undefinable<IJobStatsFilter>): Promise<IJobStats>;
  /**
   * What happened over time: dispatches, how runs went, how long they took, how late they began. Each process adds up what it does
   * and writes it once a minute and when it closes; this one does so before it answers. The last minute of a process that was killed
   * is missing.
   */
  metrics(options?: IMetricsOptions): Promise<IMetrics>;
  /**
   * The processes that run jobs of this store, the oldest registration first: every instance that works is one, until it has closed, or
   * its runs have been taken over.
   */
  processes(): Promise<IProcess[]>;
  /**
   * How many jobs each target has, by state: at most 1,000 targets, those with the most jobs that have not ended first. It reads counters,
   * however many jobs there are.
   */
  targets(
    filter?: Pick<IJobFilter, 'product' | 'env' | 'namespace'> & { target?: IJobTarget | undefined },
  ): Promise<IJobTargetCounts[]>;
  /** What was changed by the dashboard, and by whom, newest first; `limit` up to 1,000, default 100. The newest 10,000 entries are kept. */
  audit(options?: { limit?: number | undefined; cursor?: string | undefined }): Promise<IAuditLog>;
  /**
   * The steps that are kept of the job's last run, which has them until it completes: of one that is going, waits for a retry, or failed. A run
   * that has completed has none.
   */
  steps(id: string): Promise<IJobSteps>;
  /** What the job's handler logged, oldest line first; the last 1,000 lines are kept. */
  logs(id: string): Promise<IJobLogLine[]>;
  /**
   * The last `limit` attempts, default 100; with a `cursor`, the {@link IJobHistory.next} of an earlier answer, those before. An
   * answer ends early when its results come to 64 MiB. `missed` and `skipped` stand in the one without a cursor only.
   */
  getHistory(id: string, options?: { limit?: number | undefined; cursor?: string | undefined }): Promise<IJobHistory>;
  /**
   * When a schedule would run, without making a job: the first `count` times (default 5) from `from` (default now), in
   * ms since the epoch. A `spread` is left out: it depends on the job. Rejects as `dispatch` does.
   */
  preview(
    schedule: ScheduleInput | string,
    options?: { from?: Time | undefined; count?: number | undefined },
  ): Promise<number[]>;
  /**
   * Says why a job has not run, or how it ended. It knows the store and this instance; which handlers other processes have,
   * {@link Jobs.processes} tells.
   */
  explain(id: string): Promise<IJobExplanation>;
  /**
   * Has events of all jobs of the store, whichever process they happen in, delivered to a URL from now on; a webhook with
   * this URL gets these events and this secret in place of its own. Rejects with `CONFLICT` when the store has 50 webhooks.
   */
  setWebhook(webhook: IWebhookInput): Promise<IWebhook>;
  /** All webhooks of the store, oldest first, without their secrets. */
  listWebhooks(): Promise<IWebhook[]>;
  /** Removes a webhook, by its id or its URL; pending deliveries are dropped. */
  deleteWebhook(idOrUrl: string): Promise<void>;
  /**
   * Calls `listener` for what this instance does from now on: dispatches committed, attempts started and ended, jobs
   * cancelled here. What other processes and other instances do is not seen. Events of one job come in the order of its
   * changes, each once; nothing is kept for later. A listener that throws or rejects is logged and does no other harm.
   *
   * Listeners do not keep the process running. When they fall behind by more than 10,000 events, or 64 MiB of them,
   * further events are dropped and a warning is logged.
   *
   * An `AsyncLocalStorage` holds in a listener what it held where `on` was called.
   *
   * @returns a function that removes the listener
   * @throws {DuctapeError} `VALIDATION_ERROR` for an unknown event
   */
  on<Name extends JobEventName>(event: Name, listener: (event: IJobEvents[Name]) => unknown): () => void;
  /** As `on`, for one event only. */
  once<Name extends JobEventName>(event: Name, listener: (event: IJobEvents[Name]) => unknown): () => void;
  /** Removes a listener; one that was added more than once loses its last addition. */
  off<Name extends JobEventName>(event: Name, listener: (event: IJobEvents[Name]) => unknown): void;
}
