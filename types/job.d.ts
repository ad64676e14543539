// Jobs as they are stored, and what is known of their runs.

import type { JobContext, JobNamespaceName } from './handlers';
import type { IDispatchSchedule, IScheduleOptions } from './schedules';

/** Status of a job. A recurring job between two runs, and a job that waits for a retry, are `'scheduled'`. */
export type JobStatus = 'scheduled' | 'queued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'paused';

/** What a job runs: the fields that its namespace documents, `app` and `event` for an action. */
export interface IJobTarget {
  app?: string;
  event?: string;
  tag?: string;
  notification?: string;
  storage?: string;
  broker?: string;
  database?: string;
  graph?: string;
  operation?: string;
}

/** Why an attempt failed. */
export interface IJobError {
  /** The error's `code`, else its `name`. */
  code: string;
  message: string;
  stack?: string;
  /** Its `cause`. Up to five levels and 16 errors are kept, with 1,000 characters of each message and 2,000 of each stack. */
  cause?: IJobError;
  /** Its `errors`, as of an `AggregateError`. */
  errors?: IJobError[];
}

/** How the last run of a recurring job ended. */
export interface IJobLastRun {
  status: 'completed' | 'failed' | 'cancelled';
  ended_at: number;
  /** Why it failed or was cancelled, while the store keeps its history. */
  error?: IJobError;
}

/** That the runs of a recurring job fail. */
export interface IJobFailing {
  /** When the first of them failed. */
  since: number;
  /** How many failed in a row. */
  runs: number;
}

/** A stored job. */
export interface IJob {
  id: string;
  status: JobStatus;
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
  /** When the current or next run is due, or the last one was. */
  scheduled_at: number;
  /** When the current or last run was started. */
  started_at?: number;
  /** When the job ended. */
  completed_at?: number;
  recurring: boolean;
  cron?: string;
  /** In ms. */
  every?: number;
  /** ISO 8601 duration. */
  interval?: string;
  tz?: string;
  /** Present exactly when the job is recurring and a run is to come. */
  next_run_at?: number;
  /** How many runs have ended. */
  execution_count: number;
  limit?: number;
  end_date?: number;
  /**
   * The whole schedule: `dispatch`, `reschedule` and `preview` take it as it is, and give the same occurrences again. An
   * interval that was dispatched without `start_at` has its first occurrence there, a job that runs once its `scheduled_at`.
   * Options that have their default values are left out. Absent when a newer version of the package made the schedule.
   */
  schedule?: IDispatchSchedule & IScheduleOptions;
  priority: number;
  tags: string[];
  /** Retries allowed per run. */
  retries: number;
  /** Retries spent by the current or last run. */
  retry_count: number;
  /** Attempts started of the current or last run. */
  attempt: number;
  /** Message of the last failed attempt. */
  last_error?: string;
  /** The last failed attempt in full. */
  error?: IJobError;
  /** Of a recurring job: the last run that has ended. */
  last_run?: IJobLastRun;
  /** Of a recurring job: present while its runs fail, from the first failed run until one completes. Cancelled runs do not count. */
  failing?: IJobFailing;
  /** Last value that the handler reported. */
  progress?: unknown;
  cancel_reason?: string;
  /** As it was stored. It can be dispatched again with `expressions: job.expressions ?? true`. */
  input: unknown;
  /** `false`: no text of the input is an expression, whatever it looks like. */
  expressions?: false;
  /** Result of the last completed run. */
  result?: unknown;
  created_at: number;
  updated_at: number;
}

/** A step that a run has finished: a later attempt of the run does not repeat it. */
export interface IJobStep {
  /** Within a feature that `resources` declare, behind the name of the part and a slash. */
  tag: string;
  /** `'undone'`: its rollback was done. */
  status: 'finished' | 'undone';
  /** What it returned. */
  result?: unknown;
}

/** The steps of one run. */
export interface IJobSteps {
  /** Number of the run, from 1; 0 when there was none yet. */
  run: number;
  /** In the order in which they were finished. */
  steps: IJobStep[];
}

/** Occurrences of a recurring job that were not run, from the first to the last of them. */
export interface IJobGap {
  from: number;
  to: number;
  count: number;
  /**
   * Why. Missed: `down`, nobody was there in time, and a later run stands in for them; `misfire`, the same, and `misfire` makes no
   * run of them. Skipped: `overlap`, a run was still being done; `paused`, the job was; `rescheduled`, they waited for a run to end
   * when the schedule was replaced; `except`, their date is one of `except`; `request`, {@link IJobs.skipNext}.
   */
  reason: 'down' | 'misfire' | 'overlap' | 'paused' | 'rescheduled' | 'except' | 'request';
}

/** One attempt that ended. */
export interface IJobExecution {
  /** Number of the run, from 1. */
  number: number;
  /** Number of the attempt within the run, from 1; 0 for a run that was cancelled before it started. */
  attempt: number;
  /** Absent when it never started. */
  started_at?: number;
  completed_at?: number;
  duration_ms?: number;
  /** `'retried'`, `'snoozed'` and `'crashed'`: the run went on with another attempt, after `'crashed'` without a retry spent. */
  status: 'completed' | 'failed' | 'cancelled' | 'retried' | 'snoozed' | 'crashed';
  error?: IJobError;
  result?: unknown;
}

/** Runs of one job. */
export interface IJobHistory {
  job_id: string;
  total_executions: number;
  successful_executions: number;
  failed_executions: number;
  /** Attempts, newest first. */
  executions: IJobExecution[];
  /** Occurrences that no process ran in time, newest first, at most `limit` ranges: with the reasons `down` and `misfire`. */
  missed: IJobGap[];
  /** Occurrences that were passed over for another reason, newest first, at most `limit` ranges. */
  skipped: IJobGap[];
  /** Cursor of the attempts before these; absent when there are none. */
  next?: string;
}

/** A line that a handler wrote with {@link JobContext.log}. */
export interface IJobLogLine {
  run: number;
  attempt: number;
  /** In ms since the epoch. */
  at: number;
  message: string;
}

/** Why a job has not run, for programs. */
export type JobReasonCode =
  /** It is not due yet. */
  | 'NOT_DUE'
  /** An attempt failed, or its process died in it; the next one waits for its time. */
  | 'WAITING_FOR_RETRY'
  /** Its handler asked to be called again later, or a process put it back: it cannot read the input, has no handler for all of it, or its clock is behind. */
  | 'SNOOZED'
  /** Besides one of the above: this machine's clock is wrong by more than a second, by that of the PostgreSQL server. */
  | 'CLOCK_SKEW'
  /** It is paused. */
  | 'PAUSED'
  /** This version of the package does not know its time zone, or cannot compute its schedule otherwise; other processes may. */
  | 'INCOMPUTABLE'
  /** This instance only dispatches, or does not claim jobs now. */
  | 'WORKER_OFF'
  /** This instance has no handler for it, or may not work on it; other processes may. */
  | 'NO_HANDLER'
  /** Its handler runs as many jobs as its `concurrency` allows. */
  | 'HANDLER_BUSY'
  /** Attempts of its resource found no connection: they are made one at a time here until one does. */
  | 'NO_CONNECTION'
  /** This instance runs as many jobs as the worker's `concurrency` allows. */
  | 'NO_FREE_SLOT'
  /** As many runs with its `concurrency` key are going, in any process, as its limit allows. */
  | 'CONCURRENCY_LIMIT'
  /** Its process died in it three times or more: it runs once nothing else runs in a process, and alone. */
  | 'RUNS_ALONE'
  | 'ANOTHER_RUNS_ALONE'
  /** Due runs of the same target come before it. */
  | 'BEHIND_OTHERS'
  /** It is running, here or elsewhere. */
  | 'LEASE_HELD'
  /** It has ended. */
  | 'ENDED'
  /** A recurring job has had its last run. */
  | 'SERIES_OVER'
  /** Nothing prevents it: it is about to start. */
  | 'READY';

/** Why a job has not run. */
export interface IJobExplanation {
  status: JobStatus;
  /** At least one, in the order in which they apply. */
  reasons: { code: JobReasonCode; message: string }[];
}
