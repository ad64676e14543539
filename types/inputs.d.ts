// The inputs of dispatches, for each kind of job.

import type { IDispatchOptions, IJobOptions } from './dispatches';

/** `T` with the member `Name` by another documented name. */
export type Renamed<T, Name extends keyof T, Other extends string> = T extends unknown
  ? Omit<T, Name> & Record<Other, T[Name]>
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
    device_tokens?: readonly string[] | string | undefined;
    device_token?: readonly string[] | string | undefined;
    tokens?: readonly string[] | string | undefined;
    title?: object | string | undefined;
    body?: object | string | undefined;
    data?: object | undefined;
  };
  email?: {
    recipients?: readonly string[] | string | undefined;
    to?: readonly string[] | string | undefined;
    subject?: object | undefined;
    template?: object | undefined;
  };
  sms?: {
    recipients?: readonly string[] | string | undefined;
    to?: readonly string[] | string | undefined;
    phones?: readonly string[] | string | undefined;
    phone?: readonly string[] | string | undefined;
    body?: object | string | undefined;
    message?: object | string | undefined;
  };
  callback?: {
    query?: object | undefined;
    headers?: object | undefined;
    params?: object | undefined;
    body?: object | undefined;
  };
}

/** What `ductape.notifications` takes. */
export type NotificationDispatchInputs =
  | INotificationDispatchInput
  | (Omit<INotificationDispatchInput, 'input'> & { input: INotificationAliases });

/** What `ductape.events` takes. */
export type PublishDispatchInputs =
  | IPublishDispatchInput
  | QualifiedPublishDispatchInput
  | (Omit<IPublishDispatchInput, 'input'> & { input: ObjectMessage })
  | (Omit<QualifiedPublishDispatchInput, 'input'> & { input: ObjectMessage });

/** A message that is a value of any interface. */
export type ObjectMessage = Omit<IPublishRequest, 'message'> & { message: object };

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
