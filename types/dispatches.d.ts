// What a dispatch takes besides its target and input, and what it resolves with.

import type { JobStatus } from './job';
import type { Jobs } from './jobs';
import type { IDispatchSchedule, ScheduleInput, Undefinable } from './schedules';

/** What every dispatch input may hold besides its target and `input`. */
export interface IDispatchOptions {
  /** How many further attempts follow a failed first one: an integer from 0 to 1,000. Default 0. */
  retries?: number;
  /** When to run. Default: once, at once. */
  schedule?: IDispatchSchedule;
  /** Session on whose behalf the job runs. */
  session?: {
    /** Tag of the session definition. */
    tag: string;
    /** The session's signed token. */
    token: string;
  };
  /** Tag of the cache that keeps and serves the job's result. */
  cache?: string;
}

/** How long to wait between attempts, and after which errors. The delay before retry k is `initialDelay * backoffMultiplier ** (k - 1)`. */
export interface IRetryConfig {
  /** Delay in ms before the first retry. Default 1,000. */
  initialDelay?: number | undefined;
  /** No delay is longer than this many ms, with jitter too. Default 300,000. */
  maxDelay?: number | undefined;
  /** Default 2. */
  backoffMultiplier?: number | undefined;
  /** Adds a random 0–50 % to each delay. Default false. */
  jitter?: boolean | undefined;
  /** Adds a random part of up to this fraction, 0 to 1, instead. */
  jitterPercent?: number | undefined;
  /** Only errors whose `code`, else `name`, is listed here are retried. */
  retryableErrors?: readonly string[] | undefined;
  /** Errors whose `code`, else `name`, is listed here are not retried. Wins over `retryableErrors`. */
  nonRetryableErrors?: readonly string[] | undefined;
}

/** Options beyond the documented ones, given in the same object as the dispatch input. */
export interface IJobOptions {
  /** The caller's own id, printable characters of 1–255 bytes in UTF-8: a second dispatch with it makes no second job. Default: a generated id. */
  job_id?: string | undefined;
  /**
   * What a dispatch with a known `job_id` does: return the job as it is, replace its schedule, input and options, or
   * reject with `CONFLICT`. Default `'return'` for one-off jobs and `'replace'` for recurring ones. A recurring job that
   * is dispatched with the schedule it has keeps its next run, also one that is overdue; an `every` without `start_at`
   * does not begin anew.
   */
  onConflict?: 'return' | 'replace' | 'error' | undefined;
  /** Integer; of the jobs that are due, lower ones start first. Default 0. */
  priority?: number | undefined;
  /** Upper bound of the duration of an attempt in ms, after which it fails with `TIMEOUT`. Default: no bound. */
  timeout?: number | undefined;
  /** Delays between attempts; `retries` says how many there are. */
  retryConfig?: IRetryConfig | undefined;
  /** Labels to find jobs by. */
  tags?: readonly string[] | undefined;
  /**
   * `false`: the input holds no expressions, whatever it looks like, and reaches the handler byte for byte; `literal()`
   * does the same for a part of it. Without it, all texts may hold some but the names of files (`fileName`, `path`, `prefix`,
   * `mimeType`, cursors, and those in `file`) of storage jobs; `true`: those too.
   */
  expressions?: boolean;
  /** Session on whose behalf the job runs: its tag and its signed token, or both as `'tag:token'`. */
  session?: { tag: string; token: string } | string | undefined;
  /**
   * Makes the job the only one with this key of its target, product and environment: until it has ended, and for
   * `period` ms from its dispatch even if it has ended before, a dispatch with the key resolves with this job and makes
   * none. A known `job_id` goes first; a replacement whose key another job has rejects with `CONFLICT`. The key has 1–255
   * characters.
   */
  unique?: { key: string; period?: number | undefined } | undefined;
  /**
   * At most `limit` (1–1,000,000) runs with this key at once, in all processes of the store, over all targets of the
   * product and environment. The limit dispatched last counts for all jobs with the key. The key has 1–255 characters.
   */
  concurrency?: { key: string; limit: number } | undefined;
  /** When to run; a text is its `cron`. */
  schedule?: ScheduleInput | string | undefined;
  /** Another place for `retries` and `timeout`. */
  options?: { retries?: number | undefined; timeout?: number | undefined } | undefined;
}

/**
 * What `dispatch` takes: the documented input `T`, of which `env` and `product` may be left out when the instance was
 * given them, plus {@link IJobOptions}.
 */
export type DispatchInput<T extends { env: string; product: string }> = T extends unknown
  ? Undefinable<Omit<T, 'env' | 'product' | 'session' | 'schedule' | 'input'>> &
      Undefinable<Partial<Pick<T, 'env' | 'product'>>> &
      // Inputs that hold what the program likes may also be values of any interface.
      (T extends { input: infer Input } ? { input: string extends keyof Input ? object : Input } : unknown) &
      IJobOptions
  : never;

/** What `dispatch` resolves with, once the job is committed to the store. */
export interface IDispatchResult {
  /** The id given, else `job_` and a UUID. */
  job_id: string;
  /**
   * `'queued'` when the job was due at dispatch, else `'scheduled'`; also for a recurring job that its `endDate` leaves no
   * run, or that was there and has had the runs of its `limit`: it has no `next_run_at`, {@link Jobs.get} calls it `'completed'`, and
   * a warning is logged.
   */
  status: 'scheduled' | 'queued';
  /** Time of the first run; for a job due at once, the time of the dispatch. */
  scheduled_at: number;
  /** Whether the job has `cron`, `every` or `interval`. */
  recurring: boolean;
  /** Time of the next run; present exactly when the job is recurring and a run is to come. */
  next_run_at?: number;
}

/** What a change of a job's times resolves with: as a dispatch, with the status that the job has after it. */
export interface IRescheduleResult extends Omit<IDispatchResult, 'status'> {
  /** `'completed'`: no run is to come, and none is going on; a warning says why after `reschedule`. */
  status: JobStatus;
}

/** SQL with its parameters, as `client.query(statement)` of `pg` takes it. */
export interface IDispatchStatement {
  /** The statement. */
  text: string;
  /** Values of its parameters. */
  values: string[];
}

/**
 * Marks a value of an input as it is: no text in it is read as an expression, and it reaches the handler unwrapped. Use it
 * for whatever comes from users. In JSON it is `{ "$literal": value }`, which is also what it returns; it is typed as the
 * value, so that it can stand wherever that can.
 */
export declare function literal<T>(value: T): T;

/**
 * Marks a text of an input whose expressions are to be evaluated, as in `expr('$DateAdd($Now(), -30, "days")')`, for instances
 * with `expressions: 'marked'`; elsewhere it is the text. It is typed as `any`, since an expression can yield any value.
 */
// biome-ignore lint/suspicious/noExplicitAny: it can stand wherever its value can
export declare function expr(text: string): any;
