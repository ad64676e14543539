// What the server answers with: docs/design/dashboard.md.
import type {
  IJob,
  IJobExecution,
  IJobExplanation,
  IJobGap,
  IJobHistory,
  IJobLogLine,
  IJobStats,
  IJobStep,
  IJobTarget,
  IMetrics,
  IMetricsFigures,
  IMetricsTimes,
  IProcess,
  IWebhook,
  JobNamespaceName,
  JobStatus,
} from '../index';

export type {
  IJob,
  IJobExecution,
  IJobError,
  IJobExplanation,
  IJobGap,
  IJobHistory,
  IJobLogLine,
  IJobStats,
  IJobStep,
  IJobTarget,
  IMetricsFigures,
  IMetricsTimes,
  IProcess,
  IProcessHandler,
  IWebhook,
  JobStatus,
} from '../index';

export type Range = '1h' | '24h' | '7d';

export interface Session {
  user: string | null;
  read_only: boolean;
  token: string;
  version: string;
  tzdb: string;
  store: 'sqlite' | 'postgres' | 'memory';
  base_path: string;
  now: number;
}

/** The handler of jobs that are alike. */
export interface Route {
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
}

export type StatusCounts = Record<JobStatus, number>;

export interface Depth extends Route, Partial<StatusCounts> {}

export interface Overview {
  at: number;
  range: Range;
  stats: IJobStats;
  figures: IMetrics;
  depth: Depth[];
  processes: IProcess[];
  lateness?: IMetricsTimes | null;
}

/** A job of a list, which comes without its input and result. */
export type ListedJob = Omit<IJob, 'input' | 'result'>;

export interface JobPage {
  jobs: ListedJob[];
  next?: string;
  total?: number;
  total_exact?: boolean;
  searched?: number;
  cut?: boolean;
}

export type Step = IJobStep;

export interface JobDetails {
  job: IJob;
  history: IJobHistory;
  logs: IJobLogLine[];
  explanation: IJobExplanation;
  next: number[];
  steps: Step[];
  can: JobAction[];
}

export type JobAction =
  | 'cancel'
  | 'cancel-run'
  | 'pause'
  | 'resume'
  | 'retry'
  | 'run-now'
  | 'skip-next'
  | 'reschedule'
  | 'delete';

export type BulkAction = 'cancel' | 'pause' | 'resume' | 'retry' | 'delete';

/** One attempt; a long result is left out, and its length told instead. */
export interface Attempt extends IJobExecution {
  result_chars?: number;
}

/** What takes a change of one job back. */
export interface Undo {
  action: JobAction;
  body: Record<string, unknown>;
}

export interface BulkAnswer {
  count: number;
  exact?: boolean;
  /** The bounds of one request were met: the body that goes on. */
  next?: object;
  undo?: { action: BulkAction; ids: string[] };
}

export interface RecurringRow {
  job: ListedJob;
  past: Array<{ at: number; status: string; late_ms?: number }>;
  gaps: IJobGap[];
  next: number[];
}

export interface TargetRow extends Route {
  counts: Partial<StatusCounts>;
  figures: IMetricsFigures | null;
  handled_here?: boolean;
  concurrency?: number;
}

export interface ProcessRow extends Omit<IProcess, 'is_this'> {
  /** Whether it is the one that serves the page. */
  here?: boolean;
}

export interface FailureGroup extends Route {
  code: string;
  recurring?: boolean;
  count: number;
  last_at: number;
  sample?: { id: string; message: string };
}

export type Webhook = IWebhook;

export interface Resource {
  product?: string;
  type: string;
  tag: string;
  name?: string;
  description?: string;
  kind?: string;
  envs: string[];
}

export interface ResourceCheck {
  product: string;
  env: string;
  type: string;
  tag: string;
  ok: boolean;
  duration_ms: number;
  calls: number;
  failures: number;
  error?: { code: string; message: string };
}

export interface AuditEntry {
  at: number;
  who: string | null;
  action: string;
  detail: unknown;
}

export interface Sample {
  at: number;
  stats: IJobStats;
  rates: { completed: number; failed: number };
  processes: IProcess[];
}
