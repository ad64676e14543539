// Figures over time.

import type { IJobFilter } from './filters';
import type { JobNamespaceName } from './handlers';
import type { IJobTarget } from './job';
import type { Jobs } from './jobs';
import type { Time } from './schedules';

/** How long figures over time are kept, in ms. */
export interface MetricsOptions {
  /** Those of minutes; default 48 hours. */
  keepMinutes?: number | undefined;
  /** Those of hours; default 90 days. */
  keepHours?: number | undefined;
}

/** Which figures {@link Jobs.metrics} tells; an omitted field means all. */
export interface IMetricsOptions extends Pick<IJobFilter, 'product' | 'env' | 'namespace'> {
  /** Jobs whose target has these fields. */
  target?: IJobTarget | undefined;
  /** The first minute or hour; default an hour before `to`. */
  from?: Time | undefined;
  /** The last one; default now. */
  to?: Time | undefined;
  /** What a point stands for; default a minute in ranges up to six hours, else an hour. At most 2,880 points. */
  resolution?: 'minute' | 'hour' | undefined;
}

/** Times in ms: exact, but for the percentiles, which are off by at most an eighth. */
export interface IMetricsTimes {
  count: number;
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** What happened to jobs in a span of time. */
export interface IMetricsFigures {
  /** Dispatches that made a job, or replaced one. */
  dispatched: number;
  /** Runs that completed. */
  completed: number;
  /** Runs that failed for good. */
  failed: number;
  /** Attempts that failed and were to be tried again. */
  retried: number;
  /** Attempts that put themselves off. */
  snoozed: number;
  /** Attempts that ended with their process. */
  crashed: number;
  /** How long attempts took; `null`: none ended. */
  duration: IMetricsTimes | null;
  /** How much later than due attempts began; `null`: none ended. */
  lateness: IMetricsTimes | null;
}

/** The answer of {@link Jobs.metrics}. */
export interface IMetrics {
  /** Beginning of the first point that was asked for, ms. */
  from: number;
  /** Beginning of the last one, ms. */
  to: number;
  resolution: 'minute' | 'hour';
  total: IMetricsFigures;
  /** The minutes or hours in which something happened, in their order; `at` is the beginning, ms. */
  points: Array<IMetricsFigures & { at: number }>;
  /** By target, at most 1,000, those with the most attempts first. */
  targets: Array<
    IMetricsFigures & { namespace: JobNamespaceName; product: string; env: string; target: Record<string, string> }
  >;
}
