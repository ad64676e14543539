/**
 * The public contract of the package. Times are milliseconds since the Unix epoch (UTC) and durations are milliseconds
 * unless a comment says otherwise. "Now" is the clock of the instance: the system's, with PostgreSQL that of
 * its server, or the one set by {@link DuctapeOptions.clock}.
 *
 * Times are what a `Date` can hold: from -271821-04-20 to +275760-09-13, also as text. A number that is not finite, or an
 * invalid `Date`, is a `VALIDATION_ERROR` wherever it stands, but in `input`, `data` and `value`, where JSON makes it null.
 *
 * Every method that returns a promise reports failure by rejecting with a {@link DuctapeError}; it never throws.
 */

import type { ResourceChecks, Resources } from './resources';

export * from './resources';

// ---------------------------------------------------------------------------------------------------------------------
// Dispatch: when, how, and what
// ---------------------------------------------------------------------------------------------------------------------

/**
 * When a job runs. Without `cron`, `every` and `interval` it runs once: at `start_at`, or at once when that is absent or past.
 * `cron`, `every` and `interval` exclude each other.
 */
export interface IDispatchSchedule {
  /**
   * First time: ms since the epoch, or an ISO 8601 date. A date without an offset is read in `tz`, else in the
   * instance's `timezone`. With `cron`, `every` or `interval`, a past value sets the grid and the first run is the first
   * grid point from now on.
   */
  start_at?: number | string;
  /**
   * Five cron fields (minute, hour, day of month, month, day of week) or a macro such as `@daily`. When both day fields
   * are restricted, a day that matches either counts.
   */
  cron?: string;
  /** Interval in ms, an integer from 1. Runs fall on `start_at + k * every` and never drift. */
  every?: number;
  /** Total number of runs, an integer from 1; attempts do not count. Needs `cron`, `every` or `interval`. */
  limit?: number;
  /**
   * No run after this time, which is itself included: ms since the epoch or an ISO 8601 date. Needs `cron`, `every` or
   * `interval`.
   */
  endDate?: number | string;
  /**
   * IANA time zone of `cron`, `interval`, `except` and dates without an offset. Default: the instance's `timezone`. With `every`
   * it is kept for a `cron` or `interval` that `jobs.reschedule` puts in its place, as `dst` is.
   */
  tz?: string;
}

/** What a recurring job does at the edges of its schedule. Accepted inside `schedule`, next to {@link IDispatchSchedule}. */
export interface IScheduleOptions {
  /**
   * Steps of the calendar: an ISO 8601 duration of whole years, months, weeks and days such as `'P2W'` or `'P1M'`, up to 100
   * years. Run k is k times the months and then k times the days after `start_at` (else the dispatch), at its local time in
   * `tz`; a month that lacks the day has it on its last one, without drift.
   */
  interval?: string;
  /**
   * Local dates in `tz` on which the job does not run, as in `['2026-12-25']`; at most 1,000. A run's date is that of its time
   * without the `spread`.
   */
  except?: string[];
  /**
   * Fixed-time crons and `interval` when clocks change. `gap`: a time that the day lacks runs right after the gap (`'after'`, default)
   * or not at all. `overlap`: a time that the day has twice runs at its first (default), its last, or both.
   */
  dst?: {
    gap?: 'after' | 'skip';
    overlap?: 'first' | 'last' | 'both';
  };
  /** Runs missed while no process was up: one for all of them (default), none, or each (at most 1,000). */
  misfire?: 'once' | 'skip' | 'all';
  /** An occurrence of which no run has begun for longer than this after its time, in ms, counts as missed. From 1, default 60,000. */
  grace?: number;
  /** A run that falls due while the one before is still going or waiting for a retry: leave it out (default) or start it. */
  ifRunning?: 'skip' | 'allow';
  /**
   * Shifts all runs of the job by a fixed offset from 0 to this many ms, so that jobs with one schedule do not start together.
   * The offset follows from the job's id, also from one that is generated.
   */
  spread?: number;
}

/** A time: ms since the epoch, an ISO 8601 date, or a `Date`. */
export type Time = number | string | Date;

/** A schedule as methods take it. */
export type ScheduleInput = Omit<IDispatchSchedule & IScheduleOptions, 'start_at' | 'endDate'> & {
  /** As {@link IDispatchSchedule.start_at}. */
  start_at?: Time;
  /** The same as `start_at`. */
  at?: Time;
  /** Instead of `start_at`: ms from the dispatch. */
  delay?: number;
  /** As {@link IDispatchSchedule.endDate}. */
  endDate?: Time;
  /** The same as `tz`. */
  timezone?: string;
};

/** Changes of a schedule; `null` takes away. */
export type IScheduleChanges = { [Field in keyof ScheduleInput]?: ScheduleInput[Field] | null };

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
  initialDelay?: number;
  /** No delay is longer than this many ms, with jitter too. Default 300,000. */
  maxDelay?: number;
  /** Default 2. */
  backoffMultiplier?: number;
  /** Adds a random 0–50 % to each delay. Default false. */
  jitter?: boolean;
  /** Adds a random part of up to this fraction, 0 to 1, instead. */
  jitterPercent?: number;
  /** Only errors whose `code`, else `name`, is listed here are retried. */
  retryableErrors?: string[];
  /** Errors whose `code`, else `name`, is listed here are not retried. Wins over `retryableErrors`. */
  nonRetryableErrors?: string[];
}

/** Options beyond the documented ones, given in the same object as the dispatch input. */
export interface IJobOptions {
  /** The caller's own id, printable characters of 1–255 bytes in UTF-8: a second dispatch with it makes no second job. Default: a generated id. */
  job_id?: string;
  /**
   * What a dispatch with a known `job_id` does: return the job as it is, replace its schedule, input and options, or
   * reject with `CONFLICT`. Default `'return'` for one-off jobs and `'replace'` for recurring ones. A recurring job that
   * is dispatched with the schedule it has keeps its next run, also one that is overdue; an `every` without `start_at`
   * does not begin anew.
   */
  onConflict?: 'return' | 'replace' | 'error';
  /** Integer; of the jobs that are due, lower ones start first. Default 0. */
  priority?: number;
  /** Upper bound of the duration of an attempt in ms, after which it fails with `TIMEOUT`. Default: no bound. */
  timeout?: number;
  /** Delays between attempts; `retries` says how many there are. */
  retryConfig?: IRetryConfig;
  /** Labels to find jobs by. */
  tags?: string[];
  /**
   * `false`: the input holds no expressions, whatever it looks like, and reaches the handler byte for byte; `literal()`
   * does the same for a part of it. Without it, all texts may hold some but the names of files (`fileName`, `path`, `prefix`,
   * `mimeType`, cursors, and those in `file`) of storage jobs; `true`: those too.
   */
  expressions?: boolean;
  /** Session on whose behalf the job runs: its tag and its signed token, or both as `'tag:token'`. */
  session?: { tag: string; token: string } | string;
  /**
   * Makes the job the only one with this key of its target, product and environment: until it has ended, and for
   * `period` ms from its dispatch even if it has ended before, a dispatch with the key resolves with this job and makes
   * none. A known `job_id` goes first; a replacement whose key another job has rejects with `CONFLICT`. The key has 1–255
   * characters.
   */
  unique?: { key: string; period?: number };
  /**
   * At most `limit` (1–1,000,000) runs with this key at once, in all processes of the store, over all targets of the
   * product and environment. The limit dispatched last counts for all jobs with the key. The key has 1–255 characters.
   */
  concurrency?: { key: string; limit: number };
  /** When to run; a text is its `cron`. */
  schedule?: ScheduleInput | string;
  /** Another place for `retries` and `timeout`. */
  options?: { retries?: number; timeout?: number };
}

/** `T` with the member `Name` by another documented name. */
export type Renamed<T, Name extends keyof T, Other extends string> = T extends unknown
  ? Omit<T, Name> & Record<Other, T[Name]>
  : never;

/** Inputs that hold what the program likes: values of any interface, too. */
type InputOf<Input> = string extends keyof Input ? object : Input;

/**
 * What `dispatch` takes: the documented input `T`, of which `env` and `product` may be left out when the instance was
 * given them, plus {@link IJobOptions}.
 */
export type DispatchInput<T extends { env: string; product: string }> = T extends unknown
  ? Omit<T, 'env' | 'product' | 'session' | 'schedule' | 'input'> &
      Partial<Pick<T, 'env' | 'product'>> &
      (T extends { input: infer Input } ? { input: InputOf<Input> } : unknown) &
      IJobOptions
  : never;

/** What `ductape.actions` takes: the parts of the request, or its values side by side. */
export type ActionDispatchInputs =
  | IActionDispatchInput
  | Renamed<IActionDispatchInput, 'event', 'action'>
  | (Omit<IActionDispatchInput, 'input'> & { input: object })
  | (Renamed<Omit<IActionDispatchInput, 'input'>, 'event', 'action'> & { input: object });

/** What `ductape.features` takes. */
export type FeatureDispatchInputs =
  | IFeatureDispatchInput
  | Renamed<IFeatureDispatchInput, 'tag', 'feature'>
  | Renamed<IFeatureDispatchInput, 'tag', 'workflow'>;

/**
 * Content of a notification by the other documented names: one recipient may stand for a list of them, and a literal text for the values
 * of a template.
 */
export interface INotificationAliases {
  push_notification?: {
    device_tokens?: string[] | string;
    device_token?: string[] | string;
    tokens?: string[] | string;
    title?: Record<string, unknown> | string;
    body?: Record<string, unknown> | string;
    data?: Record<string, unknown>;
  };
  email?: {
    recipients?: string[] | string;
    to?: string[] | string;
    subject?: Record<string, unknown>;
    template?: Record<string, unknown>;
  };
  sms?: {
    recipients?: string[] | string;
    to?: string[] | string;
    phones?: string[] | string;
    phone?: string[] | string;
    body?: Record<string, unknown> | string;
    message?: Record<string, unknown> | string;
  };
  callback?: INotificationRequest['callback'];
}

/** What `ductape.notifications` takes. */
export type NotificationDispatchInputs =
  | INotificationDispatchInput
  | (Omit<INotificationDispatchInput, 'input'> & { input: INotificationAliases });

/** What `ductape.events` takes. */
export type PublishDispatchInputs =
  | IPublishDispatchInput
  | QualifiedPublishDispatchInput
  | (Omit<IPublishDispatchInput, 'input'> & { input: { message: object } });

/** What `ductape.databases.action` takes. */
export type DBActionDispatchInputs =
  | IDBActionDispatchInput
  | QualifiedDispatchInput<IDBActionDispatchInput, 'database'>
  | Renamed<IDBActionDispatchInput, 'event', 'action'>;

/** What `ductape.databases` takes. */
export type DBOperationDispatchInputs =
  | IDBOperationDispatchInput
  | Renamed<IDBOperationDispatchInput, 'operation', 'action'>;

/** What `ductape.graphs.action` takes. */
export type GraphActionDispatchInputs =
  | IGraphActionDispatchInput
  | QualifiedDispatchInput<IGraphActionDispatchInput, 'graph'>
  | Renamed<IGraphActionDispatchInput, 'event', 'action'>;

/** What `ductape.graphs` takes. */
export type GraphOperationDispatchInputs =
  | IGraphOperationDispatchInput
  | Renamed<IGraphOperationDispatchInput, 'operation', 'action'>;

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

/** Parts of the request that an app action sends. */
export interface IActionRequest {
  query?: Record<string, unknown>;
  params?: Record<string, unknown>;
  body?: Record<string, unknown>;
  headers?: Record<string, unknown>;
}

/** Content of a notification, by channel. Each channel that is present is sent; the records fill its template. */
export interface INotificationRequest {
  push_notification?: {
    device_tokens: string[];
    title?: Record<string, unknown>;
    body?: Record<string, unknown>;
    data?: Record<string, unknown>;
  };
  email?: {
    recipients: string[];
    subject?: Record<string, unknown>;
    template?: Record<string, unknown>;
  };
  sms?: {
    recipients: string[];
    body?: Record<string, unknown>;
  };
  callback?: {
    query?: Record<string, unknown>;
    headers?: Record<string, unknown>;
    params?: Record<string, unknown>;
    body?: Record<string, unknown>;
  };
}

/** A file for a storage operation. */
export interface IStorageRequest {
  /** Its name; what is before a `/` in it are folders. Text, not an expression: see {@link IJobOptions.expressions}. */
  fileName: string;
  /** Content: base64 text, or bytes (a `Buffer` too), which are stored as base64. At most 32 MiB. */
  buffer?: string | Uint8Array;
  /**
   * In the place of `buffer`: a file of the machine that runs the job, in the folder that the storage's `sources` name, or a URL.
   * It is read while it is written, so that it can be large: up to `maxBytes` of the event, 5 GiB where that is not set.
   */
  file?: { path: string } | { url: string };
  /** Folder inside the storage. */
  path?: string;
  mimeType?: string;
  /** Of events that list or count files: what names begin with, with folders before it; `fileName` is the same of those that list. */
  prefix?: string;
  /** Of events that list files: at most so many, up to 1,000. Default 100. */
  limit?: number;
  /** Of events that list or count files: `next` of the result before. */
  cursor?: string;
  /** The same as `cursor`. */
  continuationToken?: string;
  /** Of events that sign URLs: what others may do by it. Default `'read'`. */
  action?: 'read' | 'write';
  /** Of events that sign URLs: for how long, in s, up to 604,800. Default 3,600. */
  expiresIn?: number;
}

/** A message for a broker. */
export interface IPublishRequest {
  message: Record<string, unknown>;
  /**
   * Messages with the same key are in one order: a partition of Kafka, a message group of SQS, an ordering key of Pub/Sub, a
   * session of Service Bus. Others have no keys.
   */
  key?: string;
}

/** Values for a database action's templates: by name, or in these parts. */
export interface IDbActionRequest {
  query?: Record<string, unknown>;
  data?: Record<string, unknown>;
  filter?: Record<string, unknown>;
  [value: string]: unknown;
}

/** Runs an action of an app. */
export interface IActionDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  app: string;
  event: string;
  input: IActionRequest;
}

/** Runs a feature. */
export interface IFeatureDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  tag: string;
  input: Record<string, unknown>;
}

/** Sends a notification. */
export interface INotificationDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  notification: string;
  event: string;
  input: INotificationRequest;
}

/** Runs a storage operation. */
export interface IStorageDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  storage: string;
  event: string;
  input: IStorageRequest;
}

/** What a storage can do. */
export type StorageOperation =
  | 'upload'
  | 'download'
  | 'read'
  | 'remove'
  | 'delete'
  | 'listFiles'
  | 'list'
  | 'stats'
  | 'getSignedUrl';

/** Runs a storage operation that is named instead of an event; `read`, `delete` and `list` are `download`, `remove` and `listFiles`. */
export interface IStorageOperationDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  storage: string;
  operation: StorageOperation;
  input: Partial<IStorageRequest>;
}

/** Runs an event of a storage that a handler serves, with an input of its own. */
export interface IStorageHandlerDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  storage: string;
  event: string;
  input: Record<string, unknown>;
}

/** Publishes to a message broker. */
export interface IPublishDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  broker: string;
  event: string;
  input: IPublishRequest;
}

/** Publishes to a message broker that the event names. */
export type QualifiedPublishDispatchInput = Omit<IPublishDispatchInput, 'broker' | 'event'> & {
  broker?: undefined;
  /** As in `'bus:orders'`. */
  event: `${string}:${string}`;
};

/** Runs a predefined database action. */
export interface IDBActionDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  database: string;
  event: string;
  input: IDbActionRequest;
}

/** A dispatch whose event names its resource too. */
export type QualifiedDispatchInput<Input, Resource extends string> = Omit<Input, Resource | 'event'> & {
  [name in Resource]?: undefined;
} & {
  /** As in `'inventory-db:low'`. */
  event: `${string}:${string}`;
};

/** Runs a database operation. */
export interface IDBOperationDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  database: string;
  operation: string;
  input: Record<string, unknown>;
}

/** Runs a predefined graph action. */
export interface IGraphActionDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  graph: string;
  event: string;
  input: Record<string, unknown>;
}

/** Runs a graph operation. */
export interface IGraphOperationDispatchInput extends IDispatchOptions {
  env: string;
  product: string;
  graph: string;
  operation: string;
  input: Record<string, unknown>;
}

/** The `id` or the `elementId` of a node or a relationship in a result. */
export type GraphId = number | string;

/** A node in results of graphs. */
export interface IGraphNode {
  /** Beyond 2⁵³ − 1 a string. */
  id: GraphId;
  elementId: string;
  labels: string[];
  properties: Record<string, unknown>;
}

/** A relationship in results of graphs. */
export interface IGraphRelationship {
  id: GraphId;
  elementId: string;
  type: string;
  startNodeId: GraphId;
  endNodeId: GraphId;
  startNodeElementId: string;
  endNodeElementId: string;
  properties: Record<string, unknown>;
}

/** A path in results of graphs: relationship `n` is between the nodes `n` and `n + 1`. */
export interface IGraphPath {
  nodes: IGraphNode[];
  relationships: IGraphRelationship[];
  length: number;
}

/** Values and operators by property, as in `{ age: { $gte: 18 } }`; groups as in `{ $or: [{ a: 1 }, { b: 2 }] }`. */
export type GraphFilter = Record<string, unknown>;

/** Values by property. */
export type GraphProperties = Record<string, unknown>;

/** Which nodes. */
export interface GraphNodes {
  labels?: string | readonly string[];
  label?: string;
  where?: GraphFilter;
  filter?: GraphFilter;
}

/** What is read of all that is found. */
export interface GraphPage {
  orderBy?: string | Record<string, 'asc' | 'desc' | 'ASC' | 'DESC'> | readonly (string | Record<string, string>)[];
  limit?: number;
  skip?: number;
  offset?: number;
}

/** The nodes at both ends of a relationship or a path, each by one of its names. */
export interface GraphEnds {
  startNodeId?: GraphId;
  fromId?: GraphId;
  from?: GraphId;
  endNodeId?: GraphId;
  toId?: GraphId;
  to?: GraphId;
}

/** Relationships that are followed. */
export interface GraphSteps {
  relationshipTypes?: string | readonly string[];
  types?: string | readonly string[];
  type?: string | readonly string[];
  direction?: 'OUTGOING' | 'INCOMING' | 'BOTH' | 'outgoing' | 'incoming' | 'both';
  minDepth?: number;
  maxDepth?: number;
  depth?: number;
}

/** What is set where something is found, and where it is created. */
export interface GraphMerge {
  matchProperties?: GraphProperties;
  matchProps?: GraphProperties;
  onCreate?: GraphProperties;
  onMatch?: GraphProperties;
  setProperties?: GraphProperties;
  setProps?: GraphProperties;
}

/** Properties, by each of their names. */
export interface GraphChanges {
  properties?: GraphProperties;
  props?: GraphProperties;
  data?: GraphProperties;
}

/** Inputs of the operations that run without a handler, by operation. */
export interface GraphOperationInputs {
  createNode: Pick<GraphNodes, 'labels' | 'label'> & GraphChanges;
  findNodes: GraphNodes & GraphPage;
  findNodeById: { id?: GraphId; nodeId?: GraphId };
  updateNode: GraphNodes & GraphChanges & { id?: GraphId; nodeId?: GraphId; all?: boolean };
  updateNodes: GraphOperationInputs['updateNode'];
  deleteNode: GraphNodes & { id?: GraphId; nodeId?: GraphId; detach?: boolean; all?: boolean };
  deleteNodes: GraphOperationInputs['deleteNode'];
  mergeNode: Pick<GraphNodes, 'labels' | 'label'> & GraphMerge;
  addLabels: { id?: GraphId; nodeId?: GraphId; labels: string | readonly string[] };
  removeLabels: GraphOperationInputs['addLabels'];
  setLabels: GraphOperationInputs['addLabels'];
  createRelationship: GraphEnds & GraphChanges & { type: string };
  findRelationships: GraphEnds &
    Pick<GraphNodes, 'where' | 'filter'> &
    GraphPage &
    Omit<GraphSteps, 'minDepth' | 'maxDepth' | 'depth'>;
  updateRelationship: GraphOperationInputs['deleteRelationship'] & GraphChanges;
  deleteRelationship: GraphEnds &
    Pick<GraphNodes, 'where' | 'filter'> &
    Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'> & {
      id?: GraphId;
      relationshipId?: GraphId;
      all?: boolean;
    };
  mergeRelationship: GraphEnds & GraphMerge & { type: string };
  traverse: Pick<GraphEnds, 'startNodeId' | 'fromId' | 'from'> &
    GraphSteps & { nodeFilter?: GraphNodes; relationshipFilter?: Pick<GraphNodes, 'where' | 'filter'>; limit?: number };
  shortestPath: GraphEnds & Omit<GraphSteps, 'minDepth'> & { weightProperty?: string; directed?: boolean };
  allPaths: GraphEnds & GraphSteps & { directed?: boolean; limit?: number };
  getNeighborhood: Omit<GraphSteps, 'minDepth'> & {
    nodeId?: GraphId;
    id?: GraphId;
    startNodeId?: GraphId;
    nodeFilter?: GraphNodes;
  };
  findConnectedComponents: Pick<GraphNodes, 'labels' | 'label'> &
    Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'>;
  countNodes: GraphNodes;
  countRelationships: Pick<GraphNodes, 'where' | 'filter'> & Pick<GraphSteps, 'type' | 'types' | 'relationshipTypes'>;
  getStatistics: Record<string, never>;
  fullTextSearch: {
    indexName?: string;
    index?: string;
    label?: string;
    properties?: string | readonly string[];
    query: string;
    limit?: number;
  };
  vectorSearch: { indexName?: string; index?: string; vector: readonly number[]; topK?: number; limit?: number };
  query: { query?: string; cypher?: string; text?: string; params?: object; parameters?: object; autoCommit?: boolean };
  createNodeIndex: GraphIndex & { label: string };
  createRelationshipIndex: GraphIndex & { relationshipType: string };
  createNodeConstraint: GraphConstraint & { label: string };
  createRelationshipConstraint: GraphConstraint & { relationshipType: string };
  listIndexes: Record<string, never>;
  listConstraints: Record<string, never>;
  dropIndex: { name: string };
  dropConstraint: { name: string };
}

/** An index to be created. */
export interface GraphIndex {
  name?: string;
  type?: 'RANGE' | 'BTREE' | 'TEXT' | 'POINT' | 'FULLTEXT' | 'VECTOR';
  properties: string | readonly string[];
  /** VECTOR: how many numbers each vector has. */
  dimensions?: number;
  /** VECTOR. Default `'cosine'`. */
  similarity?: 'cosine' | 'euclidean';
}

/** A constraint to be created. */
export interface GraphConstraint {
  name?: string;
  type?: 'UNIQUE' | 'EXISTS' | 'NODE_KEY' | 'RELATIONSHIP_KEY';
  properties: string | readonly string[];
}

// ---------------------------------------------------------------------------------------------------------------------
// Handlers: who does the work
// ---------------------------------------------------------------------------------------------------------------------

/** Which jobs a handler takes. An omitted field, or `'*'`, means any; the most specific handler wins. */
export interface IHandlerTarget {
  /** Default: the instance's `product`, else any. */
  product?: string;
  /** Default: the instance's `env`, else any. */
  env?: string;
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
  readonly signal: AbortSignal;
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
   * Resolves with the result as JSON gives it back (at most 1 MiB). Rejects with what the work failed with, with
   * `VALIDATION_ERROR` for a tag that this attempt has used or a result that cannot be stored, and with the signal's reason
   * once the attempt is given up. Await it: an attempt ends when all its steps have.
   *
   * @param tag Its name, one for each step of a run: at most 200 bytes.
   */
  step<Result>(
    tag: string,
    work: (step: StepContext) => Result | Promise<Result>,
    options?: StepOptions<Result>,
  ): Promise<Result>;
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
  readonly signal: AbortSignal;
}

/** Options of one step. */
export interface StepOptions<Result = unknown> {
  /** How often its work is tried again before the step fails, with the delays of the job's `retryConfig`. Default 0. */
  retries?: number;
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
  concurrency?: number;
  /** Longest time in ms of one attempt, for jobs that set none. Default: no bound. */
  timeout?: number;
}

// ---------------------------------------------------------------------------------------------------------------------
// Namespaces
// ---------------------------------------------------------------------------------------------------------------------

/** SQL with its parameters, as `client.query(statement)` of `pg` takes it. */
export interface IDispatchStatement {
  /** The statement. */
  text: string;
  /** Values of its parameters. */
  values: string[];
}

/**
 * One kind of job.
 *
 * @typeParam Input documented dispatch input
 * @typeParam Target fields that a handler can be registered for
 * @typeParam Payload what a handler finds in `job.input`
 */
export interface JobNamespace<Input extends { env: string; product: string }, Target extends IHandlerTarget, Payload> {
  /**
   * Stores a job. Resolves once it is committed at the instance's `durability`. The input is taken at the call, as
   * `JSON.stringify` sees it.
   *
   * Rejects with `VALIDATION_ERROR`, `INVALID_SCHEDULE`, `INVALID_CRON`, `INVALID_TIMEZONE`, `INVALID_EXPRESSION` or, for
   * a session that is not let in, `UNAUTHORIZED`, whose `details` list
   * every problem; nothing is stored then. `CONFLICT`: see {@link IJobOptions.onConflict}.
   */
  dispatch(input: DispatchInput<Input>): Promise<IDispatchResult>;
  /**
   * Stores up to 10,000 jobs, of at most 64 MiB of JSON, in one transaction: all, with the results in order, or none. Rejects as
   * `dispatch` does.
   */
  dispatchMany(inputs: readonly DispatchInput<Input>[]): Promise<IDispatchResult[]>;
  /**
   * PostgreSQL only: the dispatch as one SQL statement, for a transaction and a driver of your own. Nothing is stored
   * before you execute it and commit; its row is the {@link IDispatchResult}. The job is found within a second.
   *
   * Rejects as `dispatch` does, and with `VALIDATION_ERROR` for what one statement cannot do: `unique`, and
   * `onConflict: 'replace'`, which is the default of a recurring job with a `job_id`: say `'return'` or `'error'`. The limit of `concurrency` counts
   * from the call on.
   */
  statement(input: DispatchInput<Input>): Promise<IDispatchStatement>;
  /**
   * Registers a handler for the jobs that match `target` and makes this process work on them, unless `worker` is `false`.
   *
   * @returns a function that removes the handler
   * @throws {DuctapeError} `VALIDATION_ERROR` for a wrong argument
   */
  handle<JobInput = Payload, Result = unknown>(
    target: Target,
    handler: Handler<JobInput, Result, Target>,
    options?: HandlerOptions,
  ): () => void;
}

/** `ductape.features` */
export interface FeaturesNamespace
  extends JobNamespace<FeatureDispatchInputs, IFeatureTarget, Record<string, unknown>> {
  /** Short for `handle({ tag }, handler, options)`. */
  define<JobInput = Record<string, unknown>, Result = unknown>(
    tag: string,
    handler: Handler<JobInput, Result, IFeatureTarget>,
    options?: HandlerOptions,
  ): () => void;
}

/** `ductape.databases`: operations, and predefined actions under `action`. */
export interface DatabasesNamespace
  extends JobNamespace<DBOperationDispatchInputs, IDBOperationTarget, Record<string, unknown>> {
  readonly action: JobNamespace<DBActionDispatchInputs, IDBActionTarget, IDbActionRequest>;
}

/** `ductape.graphs`: operations, and predefined actions under `action`. */
export interface GraphsNamespace
  extends JobNamespace<GraphOperationDispatchInputs, IGraphOperationTarget, Record<string, unknown>> {
  readonly action: JobNamespace<GraphActionDispatchInputs, IGraphActionTarget, Record<string, unknown>>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Jobs: looking at them and changing them
// ---------------------------------------------------------------------------------------------------------------------

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
  input: unknown;
  /** Result of the last completed run. */
  result?: unknown;
  created_at: number;
  updated_at: number;
}

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

/** How long figures over time are kept, in ms. */
export interface MetricsOptions {
  /** Those of minutes; default 48 hours. */
  keepMinutes?: number;
  /** Those of hours; default 90 days. */
  keepHours?: number;
}

/** Which figures {@link Jobs.metrics} tells; an omitted field means all. */
export interface IMetricsOptions extends Pick<IJobFilter, 'product' | 'env' | 'namespace'> {
  /** Jobs whose target has these fields. */
  target?: IJobTarget;
  /** The first minute or hour; default an hour before `to`. */
  from?: Time;
  /** The last one; default now. */
  to?: Time;
  /** What a point stands for; default a minute in ranges up to six hours, else an hour. At most 2,880 points. */
  resolution?: 'minute' | 'hour';
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

/**
 * A process that runs jobs. Times are ms since the epoch; one is missing when it was before the machine started, or when an older version
 * of this package registered the process.
 */
export interface IProcess {
  /** Of its registration, which lasts until the process closes. */
  id: string;
  /** What the machine or container calls itself. */
  host?: string;
  /** The number of the process there. */
  pid?: number;
  /**
   * `silent`: it has not renewed its lease in time, since it hangs, is stopped, cannot reach the store, or has died. `dead`: it has ended,
   * which is known of processes on a SQLite file alone. The runs of both are taken over by processes that are `alive`.
   */
  state: 'alive' | 'silent' | 'dead';
  registered_at?: number;
  /** When it last renewed its lease, which it does every 3 seconds. */
  seen_at?: number;
  /** When its lease ends, or has ended. */
  lease_ends_at?: number;
  /** How many attempts it runs at once: its `concurrency`, and a few of the package's own work. */
  slots?: number;
  /** Runs that it has claimed: those that are `running`, and those that are `prefetched` and wait for a slot of it. */
  claimed: number;
  running: number;
  prefetched: number;
  /** The version of this package that it runs. It and `handlers` are missing until a second or so after its start. */
  version?: string;
  /** Its handlers, at most 200: what they leave open is missing. */
  handlers?: IProcessHandler[];
  /** Whether it is the instance that was asked. */
  is_this: boolean;
}

/** A handler of a process: which jobs it takes. */
export interface IProcessHandler {
  namespace: JobNamespaceName;
  product?: string;
  env?: string;
  target?: IJobTarget;
  /** How many attempts it makes at once. */
  concurrency?: number;
  /** Whether `resources` define what is done, not a function of the program. */
  built_in: boolean;
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

/** How many jobs a target has, by state. */
export interface IJobTargetCounts extends Pick<IJobStats, 'total' | JobStatus> {
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
  /** Whether this instance works on it: it has a handler for it, and is a worker. */
  handled_here: boolean;
}

/** A change that somebody made, in the audit log. */
export interface IAuditEntry {
  /** When it was asked for, in ms since the epoch. */
  at: number;
  /** By whom: the `user` that `authorize` of the dashboard gave. */
  who: string;
  /** What: `'cancel'`, `'retry many'`, … */
  action: string;
  /** Of what: ids, filters, counts. It holds nothing of inputs and results. */
  detail: unknown;
}

/** A page of the audit log, newest first. */
export interface IAuditLog {
  entries: IAuditEntry[];
  /** Cursor of the next page; absent on the last one. */
  next?: string;
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

/** What {@link Jobs.on} can listen to, with what happened. */
export interface IJobEvents {
  /** A dispatch was committed: a new job, or one that replaced the schedule of a known `job_id`. */
  'job.scheduled': IJobEvent<'job.scheduled'>;
  /** An attempt starts here. */
  'job.started': IJobEvent<'job.started'>;
  /** A run completed here; a recurring job goes on. */
  'job.completed': IJobEvent<'job.completed'>;
  /** A run failed here for good; a recurring job goes on. */
  'job.failed': IJobEvent<'job.failed'>;
  /** An attempt failed here and another one follows: `error` says why, `scheduled_at` when. */
  'job.retrying': IJobEvent<'job.retrying'>;
  /** The job was cancelled here. */
  'job.cancelled': IJobEvent<'job.cancelled'>;
  /** The job was paused here. */
  'job.paused': IJobEvent<'job.paused'>;
  /** The job was resumed here. */
  'job.resumed': IJobEvent<'job.resumed'>;
}

/** Name of an event. */
export type JobEventName = keyof IJobEvents;

/** Something that happened to a job. */
export interface IJobEvent<Name extends JobEventName = JobEventName> {
  event: Name;
  /** When it happened, in ms since the epoch. */
  timestamp: number;
  job: IJobEventJob;
}

/** The job of an event, as the event left it. */
export interface IJobEventJob {
  id: string;
  /** State of the job, which for a recurring one goes on after a run. */
  status: JobStatus;
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
  /** When the run is or was due; with `'job.retrying'` the next attempt. */
  scheduled_at: number;
  /** Number of the run, from 1; of events about an attempt or a run. */
  run?: number;
  /** Number of the attempt, from 1; of events about an attempt or a run. */
  attempt?: number;
  /** How many runs have ended; of `'job.cancelled'`, `'job.paused'` and `'job.resumed'`. */
  execution_count?: number;
  /** Of `'job.failed'` and `'job.retrying'`. */
  error?: IJobError;
  /** Of `'job.cancelled'`, when one was given. */
  cancel_reason?: string;
  /** Of `'job.completed'`, when there is one. */
  result?: unknown;
}

/** Events that can be delivered to a webhook. */
export type WebhookEventName = Exclude<JobEventName, 'job.retrying'>;

/** A webhook to set. */
export interface IWebhookInput {
  /** Where events are delivered: `https://` or `http://`, without user and password. One URL is one webhook. */
  url: string;
  /** Which events; at least one. */
  events: readonly WebhookEventName[];
  /**
   * What the receiver checks signatures with, a key of 24 to 256 bytes (shorter ones are warned of): `'whsec_'` and the key in Base64, or a text whose
   * UTF-8 bytes are the key.
   */
  secret: string;
}

/** A webhook, and how its deliveries went. */
export interface IWebhook {
  id: string;
  url: string;
  events: WebhookEventName[];
  /** Only its kind: `'whsec_****'` or `'****'`. */
  secret: string;
  /** `'disabled'`: the receiver answered 410, and nothing is delivered until the webhook is set again. */
  status: 'enabled' | 'disabled';
  /** How many events were given up after the last attempt. */
  failed_count: number;
  /** When an event last arrived, in ms since the epoch. */
  last_delivered_at?: number;
  /** When an attempt to deliver last failed. Later than `last_delivered_at`: it is failing. */
  last_failed_at?: number;
  /** Why that attempt failed. */
  last_error?: string;
  created_at: number;
  updated_at: number;
}

/** What is delivered to a webhook, as the body of a POST. */
export interface IWebhookPayload<Name extends WebhookEventName = WebhookEventName> {
  event: Name;
  /** When it happened, in ms since the epoch. */
  timestamp: number;
  job: {
    id: string;
    /** State of the job after the change. */
    status: JobStatus;
    namespace: JobNamespaceName;
    product: string;
    env: string;
    /** When the run of the event is or was due; of an event without a run as {@link IJob.scheduled_at}. */
    scheduled_at: number;
    /** How many runs of the job had ended. */
    execution_count?: number;
    /** Of `'job.failed'`. */
    error?: { code: string; message: string };
  };
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

/** `ductape.jobs`. An unknown id rejects with `NOT_FOUND`, a change that the job's state forbids with `CONFLICT`. */
export interface Jobs {
  get(id: string): Promise<IJob>;
  list(filter?: IJobListFilter): Promise<IJobList>;
  /**
   * Waits for the run that ends next and resolves with its result; a job that has ended already answers at once.
   * Rejects with the run's error ({@link IRunError}), with `CANCELLED` when the job was cancelled, and with `TIMEOUT` after `timeout` ms
   * (default: no bound).
   */
  wait<Result = unknown>(id: string, options?: { timeout?: number }): Promise<Result>;
  /**
   * Ends a job, a recurring one with all its future runs. A run that is going has its `signal` aborted. Resolves with the job, also with
   * one that is cancelled already.
   */
  cancel(id: string, options?: { reason?: string }): Promise<IJob>;
  /**
   * Ends only the run of a recurring job that is going, else the oldest that waits; the job goes on. Rejects with
   * `CONFLICT` when there is none. For a one-off job the same as `cancel`.
   */
  cancelRun(id: string, options?: { reason?: string }): Promise<void>;
  /** Cancels all jobs that match and have not ended, as `cancel` does. */
  cancelMany(filter: IJobManyFilter, options?: { reason?: string }): Promise<IJobCount>;
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
  skipNext(id: string, options?: { count?: number }): Promise<IRescheduleResult>;
  /**
   * Runs a one-off job that failed or was cancelled again, as its next run and with all its retries; of a recurring job
   * the last run that failed, which does not count towards its `limit`. `delay` is in ms, default 0.
   */
  retry(id: string, options?: { delay?: number }): Promise<void>;
  /** Retries all jobs that match, as `retry` does. */
  retryMany(filter: IJobManyFilter, options?: { delay?: number }): Promise<IJobCount>;
  /** Deletes a job that is not running, with its history, log and results. */
  delete(id: string): Promise<void>;
  /** Deletes all jobs that match, as `delete` does. */
  deleteMany(filter: IJobManyFilter): Promise<IJobCount>;
  /** Counts jobs as they stand now, or runs within a span of time. */
  getStats(filter?: IJobStatsFilter): Promise<IJobStats>;
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
    filter?: Pick<IJobFilter, 'product' | 'env' | 'namespace'> & { target?: IJobTarget },
  ): Promise<IJobTargetCounts[]>;
  /** What was changed by the dashboard, and by whom, newest first; `limit` up to 1,000, default 100. The newest 10,000 entries are kept. */
  audit(options?: { limit?: number; cursor?: string }): Promise<IAuditLog>;
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
  getHistory(id: string, options?: { limit?: number; cursor?: string }): Promise<IJobHistory>;
  /**
   * When a schedule would run, without making a job: the first `count` times (default 5) from `from` (default now), in
   * ms since the epoch. A `spread` is left out: it depends on the job. Rejects as `dispatch` does.
   */
  preview(schedule: ScheduleInput | string, options?: { from?: Time; count?: number }): Promise<number[]>;
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

// ---------------------------------------------------------------------------------------------------------------------
// The dashboard
// ---------------------------------------------------------------------------------------------------------------------

/** Who uses the dashboard. */
export interface DashboardUser {
  /** What the user is called in the audit log. */
  user: string;
  /** Whether the user may only look. Default false. */
  readOnly?: boolean;
}

/** Options of {@link Ductape.dashboard}. */
export interface DashboardOptions {
  /**
   * Says who asks: a user, a name, or `true` for one without a name; anything empty refuses. It is asked for every request, with what the
   * handler was called with: the `req` of Node.js and Express, Fastify's request, Koa's context, or the `Request`. When it throws,
   * or gives another spelling of `readOnly`, nobody is let in. A stream of events ends after a minute, so that it is asked again.
   *
   * Without it, only this machine is served: a peer on loopback, by a name of loopback, and not through a proxy.
   */
  authorize?: (
    // biome-ignore lint/suspicious/noExplicitAny: each framework has a type of its own, with what its plugins add
    request: any,
  ) => DashboardVerdict | Promise<DashboardVerdict>;
  /** Whether nobody may change anything. Default false. */
  readOnly?: boolean;
  /**
   * The path that the dashboard is below, as the browser sees it: `'/admin/jobs'`. Default: what a framework that mounts handlers says, as
   * Express does with `app.use('/admin/jobs', dashboard)`; else `'/'`.
   */
  basePath?: string;
  /**
   * What never leaves the server, as paths: `input`, `result`, `error`, `logs`, `progress` or `steps`, or `*` for all of them, then names
   * between dots, where `*` is any member or entry, and `**` any number of levels: `'input.password'`, `'input.cards.*.number'`,
   * `'result.**.token'`, `'*.secret'`.
   */
  redact?: readonly string[];
}

/** What {@link DashboardOptions.authorize} answers. */
export type DashboardVerdict = DashboardUser | string | boolean | null | undefined;

/** A request of a Node.js server, as far as the dashboard looks at it. */
export interface DashboardNodeRequest {
  method?: string | undefined;
  url?: string | undefined;
  headers: Record<string, string | string[] | undefined>;
}

/** A response of a Node.js server, as far as the dashboard uses it. */
export interface DashboardNodeResponse {
  writeHead(status: number, headers: Record<string, string | string[]>): unknown;
  end(): unknown;
}

/** What {@link Ductape.dashboard} gives: one function for all servers. It answers every request itself. */
export interface DashboardHandler {
  /** For servers of Node.js: `http`, Express, Nest. */
  (request: DashboardNodeRequest, response: DashboardNodeResponse): Promise<void>;
  /** For Fastify. */
  (request: { raw: DashboardNodeRequest }, reply: { raw: DashboardNodeResponse; hijack(): unknown }): Promise<void>;
  /** For Koa. */
  (context: { req: DashboardNodeRequest; res: DashboardNodeResponse }): Promise<void>;
  /** For Hono, Next, Bun, Deno, and all else that has the web's `Request` and `Response`. It names no peer, so it needs `authorize`. */
  (request: Request): Promise<Response>;
}

// ---------------------------------------------------------------------------------------------------------------------
// The instance
// ---------------------------------------------------------------------------------------------------------------------

/** Which work this process does. */
export interface WorkerOptions {
  /** How many jobs run at once. Default 10. */
  concurrency?: number;
  /** Only jobs of these namespaces. Default: all. */
  namespaces?: readonly JobNamespaceName[];
  /** Only jobs of these products. Default: all. */
  products?: readonly string[];
  /** Only jobs of these environments. Default: all. */
  envs?: readonly string[];
}

/** How long ended work is kept. */
export interface RetentionRule {
  /** In ms since it ended. Default: no bound; at least one of the two is needed. */
  age?: number;
  /** At most this many; the oldest go first. Default: no bound. */
  count?: number;
}

/** How long ended jobs are kept, by how they ended; `false` keeps them for ever. */
export interface RetentionOptions {
  /** Default 7 days. */
  completed?: RetentionRule | false;
  /** Default 30 days. */
  failed?: RetentionRule | false;
  /** Default 30 days. */
  cancelled?: RetentionRule | false;
  /** Runs of a recurring job. Default 7 days and 1,000 runs. */
  runs?: RetentionRule | false;
}

/**
 * Takes messages about what happens in the background: `console`, pino, winston. Of a failure, pino and loggers like it (`child`,
 * `trace`, `fatal`) get `(fields, message)`; others, but for the console, `(message, fields)`.
 */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/** A key of {@link DuctapeOptions.encryptionKeys}. */
export interface EncryptionKey {
  /** What it is called, for ever: 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`. Stored with what it encrypts. */
  id: string;
  /** 32 random bytes, as Base64 or hex (`openssl rand -base64 32`), or as they are. */
  key: string | Uint8Array;
}

/** Options of {@link Ductape}. */
export interface DuctapeOptions {
  /** As `workspace_id` and the other options of the hosted service: accepted so that existing code runs unchanged; not used. */
  accessKey?: string;
  workspace_id?: string;
  user_id?: string;
  public_key?: string;
  private_key?: string;
  redis_url?: string;
  /** Product of dispatches and handlers that name none. */
  product?: string;
  /** Environment of dispatches and handlers that name none. */
  env?: string;
  /**
   * Where jobs live: `sqlite:PATH`, `memory:`, `memory:NAME` (shared within the process), or
   * `postgres://user:password@host/database` for several machines. A relative path is resolved
   * at construction. Default: the environment variable `DUCTAPE_STORE`, else `sqlite:.ductape/jobs.db`.
   */
  store?: string;
  /** What this process works on; `false` makes it only dispatch. Default: everything it has handlers for. */
  worker?: WorkerOptions | false;
  /** IANA zone of crons and of dates without an offset, where the schedule has no `tz`. Default `'UTC'`. */
  timezone?: string;
  /**
   * `'manual'`: time stands still until {@link Ductape.clock} moves it; memory stores only. It begins now, or at another time:
   * `{ manual: true, at: '2020-01-01' }`. Default `'system'`.
   */
  clock?: 'system' | 'manual' | ManualClockOptions;
  /** How long ended jobs are kept; `false` = for ever. */
  retention?: RetentionOptions | false;
  /**
   * Whether dispatches and runs are counted, for {@link Jobs.metrics} and {@link Ductape.metrics}, and for how long those over time are
   * kept. Default `true`: minutes for 48 hours, hours for 90 days.
   */
  metrics?: boolean | MetricsOptions;
  /**
   * What a resolved dispatch has survived: a crash of the machine (`'full'`, default) or only one of the process
   * (`'relaxed'`, faster).
   */
  durability?: 'full' | 'relaxed';
  /**
   * Longest wait of a call for a lock of the SQLite file that another process or program holds, in ms (100 to 600,000);
   * then it rejects with `STORE_ERROR`, whose message names the process. Default 10,000.
   */
  storeTimeout?: number;
  /**
   * Encrypts payloads in the store: inputs, results, errors, logs, progress, steps, session tokens, cached values. The first
   * key encrypts, or the newest that any process of the store has in front, and all of them decrypt. A list, or a function
   * that is called once before the store is opened. Default: payloads are stored as they are. See `docs/encryption.md` for
   * what stays readable, and how to change keys.
   */
  encryptionKeys?: readonly EncryptionKey[] | (() => readonly EncryptionKey[] | Promise<readonly EncryptionKey[]>);
  /**
   * Default: `console`, from `warn` on. A message is one line, but for the frames of a stack; control characters and marks of text
   * direction in it are escaped.
   */
  logger?: Logger;
  /** Largest input of one job in bytes of JSON. Default 1,048,576 (1 MiB). */
  maxInputBytes?: number;
  /** Definitions of what jobs use, or the path of a JSON file that holds them. */
  resources?: Resources | string;
  /**
   * Values of secrets, or a function that gives one when a run needs it; it may return a promise, and `undefined` for a
   * key it does not know. Default: the environment variables `DUCTAPE_SECRET_` and the key. Never stored.
   */
  secrets?: Readonly<Record<string, string>> | ((key: string) => string | undefined | Promise<string | undefined>);
  /** Keys of secrets that inputs may use as `$Secret{KEY}`. Default: none. */
  inputSecrets?: readonly string[];
  /**
   * `'marked'`: no text of an input is an expression unless it is written as {@link expr}, or the dispatch says
   * `expressions: true`. Default `'everywhere'`: all texts with a `$` may be, but for literals. An object also says how much
   * the expressions of one input may cost.
   */
  expressions?: 'marked' | 'everywhere' | ExpressionOptions;
  /** Where HTTP requests may go: those of actions, of notifications and of webhooks. Default: anywhere. */
  outbound?: OutboundOptions;
  /**
   * Whether dispatches, attempts and steps are spans of the program's OpenTelemetry, and jobs are part of the trace that
   * dispatched them. Needs the package `@opentelemetry/api`, and shows nothing until the program registers an SDK. Default: `false`.
   */
  telemetry?: boolean;
}

/** A clock that is moved by hand, from a time of its own. */
export interface ManualClockOptions {
  manual: true;
  /** Where it begins: ms since the epoch or an ISO 8601 date, in the instance's `timezone` if without an offset. Default: now. */
  at?: Time;
}

/** Where HTTP requests may go. What is refused fails as `FORBIDDEN` and is not retried. */
export interface OutboundOptions {
  /** Names of hosts, as in `'api.example.com'`; `'*.example.com'` is every name below it. Default: any host. */
  hosts?: readonly string[];
  /**
   * `false`: no address of this machine or of a private network is connected to, whatever name it has; proxies of the
   * environment are not used then, since they resolve names themselves. Default true.
   */
  privateAddresses?: boolean;
}

/** Which texts are expressions, and bounds of those of one input. */
export interface ExpressionOptions extends ExpressionLimits {
  /** Default `'everywhere'`. */
  mode?: 'marked' | 'everywhere';
}

/** Bounds of the expressions of one input. */
export interface ExpressionLimits {
  /** Calls, lists and objects within each other: 1 to 200. Default 32. */
  maxDepth?: number;
  /** Steps: one for each value computed, each element of a list handled and each KiB of text made. Default 100,000. */
  maxSteps?: number;
  /** Bytes of JSON that expressions yield, together. Default 1,048,576 (1 MiB). */
  maxOutputBytes?: number;
}

/** Names a session resource. */
export interface SessionRequest {
  /** Default: the instance's `product`. */
  product?: string;
  /** Not needed; accepted for symmetry with dispatches. */
  env?: string;
  /** Tag of the session resource; a token that is `'tag:jwt'` names it too. */
  tag?: string;
}

/** What `sessions.start` and `refresh` give. */
export interface IStartedSession {
  /** `'tag:jwt'`, as the `session` of a dispatch takes it. */
  token: string;
  /** Gives the next token; good once, for 30 days. */
  refresh_token: string;
  /** When the token ends, in ms since the epoch. */
  expires_at: number;
}

/** What `sessions.verify` finds. */
export interface IVerifiedSession {
  tag: string;
  /** The token's claims. */
  data: Record<string, unknown>;
  /** When the token ends, in ms since the epoch. */
  expires_at?: number;
}

/** `ductape.sessions`: sessions of resources that have a signing key, in all processes that share the store. */
export interface Sessions {
  /**
   * Issues a token with `data` as its claims, at most 16 KiB. Rejects with `NOT_FOUND` for an unknown resource, and with
   * `VALIDATION_ERROR` for one without a signing key or data with a reserved claim (`exp`, `iat`, `nbf`, `jti`, `sid`).
   */
  start(session: SessionRequest & { tag: string; data?: Record<string, unknown> }): Promise<IStartedSession>;
  /** Checks a token: signature, time, and whether it was revoked. Rejects with `UNAUTHORIZED`. */
  verify(session: SessionRequest & { token: string }): Promise<IVerifiedSession>;
  /** Gives a new token and a new refresh token of the same session. Rejects with `UNAUTHORIZED` for one that was used. */
  refresh(session: SessionRequest & { tag: string; refresh_token: string }): Promise<IStartedSession>;
  /**
   * Ends a session: none of its tokens is taken any more, nor its refresh token, in any process. With both, the sessions of
   * both. Rejects with `UNAUTHORIZED` for a refresh token alone that is not known, as after it was used.
   */
  revoke(session: SessionRequest & ({ token: string } | { tag: string; refresh_token: string })): Promise<void>;
}

/** Names a cache. */
export interface CacheRequest {
  /** Default: the instance's `product`. */
  product?: string;
  /** Default: the instance's `env`. */
  env?: string;
  /** Tag of the cache; one that `resources` does not define keeps values for an hour. */
  tag: string;
}

/** `ductape.caches`: values of the program's own, in all processes that share the store. */
export interface Caches {
  /** The value under a key, or `undefined`. */
  get<Value = unknown>(entry: CacheRequest & { key: string }): Promise<Value | undefined>;
  /** Keeps a value, as JSON of at most 256 KiB, for `expiry` ms, else as long as the cache says. */
  set(entry: CacheRequest & { key: string; value: unknown; expiry?: number }): Promise<void>;
  /** Takes a value away. */
  clear(entry: CacheRequest & { key: string }): Promise<void>;
  /** Takes all values of a cache away, the results that jobs keep there too. */
  clearAll(cache: CacheRequest): Promise<IJobCount>;
}

/** `ductape.clock`, the instance's time. */
export interface Clock {
  /** Now, in ms since the epoch. */
  now(): number;
  /**
   * Moves a manual clock forward by ms or by an ISO 8601 duration such as `'P1D'`, runs in order all that falls due, and
   * resolves when it has settled. Rejects with `CONFLICT` on the system clock, and with `TIMEOUT`, naming the jobs, when
   * the work of one moment takes longer than `timeout` ms of real time (default 5,000).
   */
  advance(by: number | string, options?: { timeout?: number }): Promise<void>;
  /** Moves a manual clock forward to a time, as `advance` does. */
  set(date: Time, options?: { timeout?: number }): Promise<void>;
}

/** Plain facts about a store, as {@link Ductape.health} finds them. One of `file`, `server` and `memory` is there. */
export interface IStoreHealth {
  /** The version of its schema; 0: there is none yet. */
  schema_version: number;
  /** The version that this package makes of it, when a call other than `health` opens the store. */
  known_schema_version: number;
  /** Why it takes no work, when it is moved to another store or from one, or was. */
  moved?: string;
  /** Jobs by the counters, from which `getStats` is told, and by the table: they must agree. Missing: to count them took too long. */
  jobs?: { counted: number; stored: number };
  file?: {
    bytes: number;
    /** Of these, in pages that are free to be used again. */
    free_bytes: number;
    /** Length of the write-ahead log. */
    log_bytes: number;
    /** Whether its pages are sound (`PRAGMA quick_check`); `unknown`: they could not be read in time. */
    integrity: 'sound' | 'damaged' | 'unknown';
    /** What is wrong with them, the first of it. */
    damage?: string[];
    /** Whether it could be locked for writing within a second. */
    is_writable: boolean;
    /** Who kept it from that, where that can be known. */
    locked_by?: string;
  };
  server?: {
    /** As in 150004. */
    version: number;
    is_replica: boolean;
    /** Connections of clients, and how many there may be, without those that are reserved. */
    connections: number;
    max_connections: number;
    /** Length of tables and indexes of the schema. */
    bytes: number;
    /** Rows that wait for a vacuum, by the server's statistics. */
    dead_rows: number;
    /** Settings that matter to jobs, as they are for the role and the database. */
    settings: Record<string, string>;
    /** Transactions that have been open for more than a minute, the oldest first, at most five. */
    long_transactions: Array<{ pid: number; user?: string; application: string; state?: string; open_ms: number }>;
  };
  memory?: Record<string, never>;
}

/** What {@link Ductape.drain} did. */
export interface IDrainResult {
  /** Runs that completed. */
  completed: number;
  /** Runs that failed for good. */
  failed: number;
  /** Attempts that failed and will be retried. */
  retried: number;
  /** Runs given back unfinished at the timeout. */
  released: number;
  /** Runs still due that this process could have run, with those that wait for their `concurrency` key. */
  remaining: number;
}

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
   * `timeout`: how long running handlers have after a signal, ms (default 10,000).
   */
  start(options?: { signals?: boolean; timeout?: number }): Promise<void>;
  /**
   * Stops claiming, lets running handlers finish for up to `timeout` ms (default 10,000), aborts the rest without
   * spending an attempt, and releases the store. Calls after the first give its promise, and a `timeout` of theirs takes the
   * place of the first's. Dispatches are taken until the handlers have ended, so that theirs succeed; with `dispatch: false`
   * they are refused from the call on. Then all methods reject with `CLOSED`; `start`, `drain` and `handle` do so from the
   * call on.
   */
  close(options?: { timeout?: number; dispatch?: boolean }): Promise<void>;
  /**
   * Runs what is due and leaves nothing running: for serverless functions and cron endpoints. Nothing more is claimed until
   * the next `drain`, unless `start` was called. After `timeout` ms
   * (default: no bound) what still runs is aborted and given back.
   */
  drain(options?: { timeout?: number }): Promise<IDrainResult>;
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
  health(options?: { limit?: number }): Promise<IStoreHealth>;
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
  metrics(options?: { format?: 'openmetrics' | 'prometheus' }): Promise<string>;
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

/** What {@link Ductape.move} takes. */
export interface IMoveOptions {
  /** The store that all is taken from. */
  from: string;
  /** A new store: a file or a schema that is not there, or empty. */
  to: string;
  /** Tells what would be moved, and moves nothing. A schema of an older version is migrated all the same. */
  dryRun?: boolean;
  /** Gives a move up that has not come to its end: `from` takes work again, and what has been copied to `to` may be deleted. */
  giveUp?: boolean;
  /** Called about ten times a second. What it throws is passed over. */
  onProgress?: (progress: IMoveProgress) => void;
}

/** How far a move has come. */
export interface IMoveProgress {
  /** It waits for processes that are gone; copies; compares. */
  phase: 'preparing' | 'copying' | 'verifying';
  /** Rows of tables that this phase has come to; 0 while it prepares. */
  done: number;
  /** Rows that it has to come to. */
  total: number;
}

/** What {@link Ductape.move} has done. */
export interface IMoveResult {
  status: 'moved';
  /** Jobs that were moved, and deliveries to webhooks, which are jobs of the package's own. */
  jobs: number;
  /** Rows of tables in all, of this call and of those before it. */
  rows: number;
  /** Whether an earlier call had begun it. */
  resumed: boolean;
}

/** What {@link Ductape.move} would do. */
export interface IMovePlan {
  /** `'begun'`: an earlier call was interrupted; `'moved'`: all was moved there already. */
  status: 'new' | 'begun' | 'moved';
  /** Jobs, and deliveries to webhooks, which are jobs of the package's own. */
  jobs: number;
  rows: number;
  /** Processes that work on `from`, or died lately: they are to be stopped first. */
  processes: number;
}

// ---------------------------------------------------------------------------------------------------------------------
// Errors
// ---------------------------------------------------------------------------------------------------------------------

/** Every `code` of a {@link DuctapeError}. */
export type ErrorCode =
  | 'VALIDATION_ERROR'
  | 'INVALID_SCHEDULE'
  | 'INVALID_CRON'
  | 'INVALID_TIMEZONE'
  | 'INVALID_EXPRESSION'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'TIMEOUT'
  | 'RATE_LIMITED'
  | 'SERVICE_UNAVAILABLE'
  | 'CONNECTION_ERROR'
  | 'STORE_ERROR'
  | 'STORE_CORRUPT'
  | 'LEASE_LOST'
  | 'CRASHED'
  | 'CANCELLED'
  | 'CLOSED';

/** One problem of several. */
export interface IErrorDetail {
  /** Path of the value, such as `'schedule.cron'`. */
  path: string;
  message: string;
}

/** The error of this package. A handler may throw one too: its code decides whether the attempt is retried. */
export declare class DuctapeError extends Error {
  constructor(code: ErrorCode, message: string, options?: { details?: IErrorDetail[]; cause?: unknown });
  readonly code: ErrorCode;
  /** Every problem found, where there can be several. */
  readonly details?: IErrorDetail[];
  /** The error underneath. */
  readonly cause?: unknown;
  /** Set by a handler: ms until the next attempt. What is no finite number does not count, and a warning is logged. */
  retryAfter?: number;
}

/** What a run failed with and named as its cause: an error again. */
export interface IRunErrorCause extends Error {
  /** Absent when the error had none: then `name` is its own. */
  readonly code?: string;
  readonly cause?: IRunErrorCause;
  /** Of an `AggregateError`. */
  readonly errors?: readonly IRunErrorCause[];
}

/**
 * What `jobs.wait` rejects with when the run failed: a `DuctapeError` that says what the handler threw.
 *
 *     const error = reason as IRunError;
 *     console.error(error.code, error.stack, error.cause?.message);
 */
export interface IRunError extends Omit<DuctapeError, 'code' | 'cause'> {
  /** The handler's own code, else the name of its error. */
  readonly code: ErrorCode | (string & {});
  /** The stack of what the handler threw: where it was, not where `wait` was called. */
  readonly stack?: string;
  readonly cause?: IRunErrorCause;
  /** Of an `AggregateError`. */
  readonly errors?: readonly IRunErrorCause[];
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

export default Ductape;
