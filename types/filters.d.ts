// Which jobs are meant, and how many there are.

import type { JobNamespaceName } from './handlers';
import type { IJob, IJobLastRun, IJobTarget, JobStatus } from './job';
import type { Jobs } from './jobs';
import type { Time } from './schedules';

/** The jobs that are counted; an omitted field means all. */
export interface IJobFilter {
  product?: string;
  env?: string;
  namespace?: JobNamespaceName;
  /** Recurring jobs whose last run ended like this. In `getStats` the numbers of jobs are then of these; those of runs stay the same. */
  last_run?: IJobLastRun['status'];
  /** Recurring jobs that are {@link IJob.failing}, or that are not. In `getStats` as `last_run`. */
  failing?: boolean;
}

/** Which jobs and runs {@link Jobs.getStats} counts. */
export interface IJobStatsFilter extends IJobFilter {
  /**
   * The beginning of a span of time. With it, or with `to`, `total` counts dispatches within the span, and `completed`, `failed` and what
   * follows from them count runs that ended within it; the others say how it is now. To the minute; to the hour in ranges above 48 hours or
   * older than the minutes that are kept.
   */
  from?: Time;
  /** The end of that span; default now. */
  to?: Time;
}

/** How many jobs a target has, by state. */
export interface IJobTargetCounts extends Pick<IJobStats, 'total' | JobStatus> {
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
  /** Whether this instance works on it: it has a handler for it, and is a worker. */
  handled_here: boolean;
}

/** Conditions for jobs; all of them must hold. */
export interface IJobConditions extends IJobFilter {
  /** One status or several. An empty list is refused by what changes jobs; in `list` it is no condition, as with `tags`. */
  status?: JobStatus | readonly JobStatus[];
  recurring?: boolean;
  /** Jobs whose target has these fields. */
  target?: IJobTarget;
  /** Jobs that have all of these tags. */
  tags?: readonly string[];
  /** Created at or after: ms since the epoch or an ISO 8601 date. */
  from?: Time;
  /** Created at or before: ms since the epoch or an ISO 8601 date. */
  to?: Time;
}

/** Which jobs to change together. At least one condition is needed, or `all`. */
export interface IJobManyFilter extends IJobConditions {
  /** `true`: a filter without conditions, and so every job of the store, is meant. */
  all?: boolean;
}

/** What a change of many jobs did. */
export interface IJobCount {
  /** How many jobs were changed. Those in a state that forbids the change were passed over. */
  count: number;
}

/** Which jobs to list; all conditions must hold. */
export interface IJobListFilter extends IJobConditions {
  /** Page size. Default 100. */
  limit?: number;
  /** {@link IJobList.next} of the page before. Excludes `offset`. */
  cursor?: string;
  /** How many jobs to leave out first. Excludes `cursor`. */
  offset?: number;
  /** Whether to count all jobs that match. Default false. */
  count?: boolean;
}

/** A page of jobs, newest first. */
export interface IJobList {
  jobs: IJob[];
  /** Cursor of the next page; absent on the last one. */
  next?: string;
  /** How many jobs match; present when `count` was asked for. */
  total?: number;
  /** Whether `total` is exact, which it is up to 10,000; a larger one is an estimate. */
  total_exact?: boolean;
}

/** Jobs by status, and how runs went. */
export interface IJobStats {
  total: number;
  scheduled: number;
  queued: number;
  running: number;
  completed: number;
  failed: number;
  cancelled: number;
  paused: number;
  /** Recurring jobs that are {@link IJob.failing}; each is also in the number of its status. */
  failing: number;
  /** From 0 to 1. */
  success_rate: number;
  completed_first_try: number;
  completed_after_retry: number;
  avg_retry_count: number;
}
