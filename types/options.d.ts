// Options of an instance.

import type { expr } from './dispatches';
import type { JobNamespaceName } from './handlers';
import type { Ductape } from './instance';
import type { Jobs } from './jobs';
import type { MetricsOptions } from './metrics';
import type { Resources } from './resources/definitions';
import type { Time } from './schedules';

/** Which work this process does. */
export interface WorkerOptions {
  /** How many jobs run at once. Default 10. */
  concurrency?: number | undefined;
  /** Only jobs of these namespaces. Default: all. */
  namespaces?: readonly JobNamespaceName[] | undefined;
  /** Only jobs of these products. Default: all. */
  products?: readonly string[] | undefined;
  /** Only jobs of these environments. Default: all. */
  envs?: readonly string[] | undefined;
}

/** How long ended work is kept. */
export interface RetentionRule {
  /** In ms since it ended. Default: no bound; at least one of the two is needed. */
  age?: number | undefined;
  /** At most this many; the oldest go first. Default: no bound. */
  count?: number | undefined;
}

/** How long ended jobs are kept, by how they ended; `false` keeps them for ever. */
export interface RetentionOptions {
  /** Default 7 days. */
  completed?: RetentionRule | false | undefined;
  /** Default 30 days. */
  failed?: RetentionRule | false | undefined;
  /** Default 30 days. */
  cancelled?: RetentionRule | false | undefined;
  /** Runs of a recurring job. Default 7 days and 1,000 runs. */
  runs?: RetentionRule | false | undefined;
}

/**
 * Takes messages about what happens in the background: `console`, pino, winston; Nest's is a {@link LogLogger}. Of a failure, pino and loggers like it (`child`,
 * `trace`, `fatal`) get `(fields, message)`; others, but for the console, `(message, fields)`.
 */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/** A logger as Nest has it: `log` is the level `info`. It gets the message alone. */
export interface LogLogger {
  debug?(message: string): unknown;
  log(message: string): unknown;
  warn(message: string): unknown;
  error(message: string): unknown;
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
  accessKey?: string | undefined;
  workspace_id?: string | undefined;
  user_id?: string | undefined;
  public_key?: string | undefined;
  private_key?: string | undefined;
  redis_url?: string | undefined;
  /** Product of dispatches and handlers that name none. */
  product?: string | undefined;
  /** Environment of dispatches and handlers that name none. */
  env?: string | undefined;
  /**
   * Where jobs live: `sqlite:PATH`, `memory:`, `memory:NAME` (shared within the process), or
   * `postgres://user:password@host/database` for several machines. A relative path is resolved
   * at construction. Default: the environment variable `DUCTAPE_STORE`, else `sqlite:.ductape/jobs.db`.
   */
  store?: string | undefined;
  /** What this process works on; `false` makes it only dispatch. Default: everything it has handlers for. */
  worker?: WorkerOptions | false | undefined;
  /** IANA zone of crons and of dates without an offset, where the schedule has no `tz`. Default `'UTC'`. */
  timezone?: string | undefined;
  /**
   * `'manual'`: time stands still until {@link Ductape.clock} moves it; memory stores only. It begins now, or at another time:
   * `{ manual: true, at: '2020-01-01' }`. Default `'system'`.
   */
  clock?: 'system' | 'manual' | ManualClockOptions | undefined;
  /** How long ended jobs are kept; `false` = for ever. */
  retention?: RetentionOptions | false | undefined;
  /**
   * Whether dispatches and runs are counted, for {@link Jobs.metrics} and {@link Ductape.metrics}, and for how long those over time are
   * kept. Default `true`: minutes for 48 hours, hours for 90 days.
   */
  metrics?: boolean | MetricsOptions | undefined;
  /**
   * What a resolved dispatch has survived: a crash of the machine (`'full'`, default) or only one of the process
   * (`'relaxed'`, faster).
   */
  durability?: 'full' | 'relaxed' | undefined;
  /**
   * Longest wait of a call for a lock of the SQLite file that another process or program holds, in ms (100 to 600,000);
   * then it rejects with `STORE_ERROR`, whose message names the process. Default 10,000.
   */
  storeTimeout?: number | undefined;
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
  logger?: Logger | LogLogger | undefined;
  /** Largest input of one job in bytes of JSON. Default 1,048,576 (1 MiB). */
  maxInputBytes?: number | undefined;
  /** Definitions of what jobs use, or the path of a JSON file that holds them. */
  resources?: Resources | string | undefined;
  /**
   * Values of secrets, or a function that gives one when a run needs it; it may return a promise, and `undefined` for a
   * key it does not know. Default: the environment variables `DUCTAPE_SECRET_` and the key. Never stored.
   */
  secrets?:
    | Readonly<Record<string, string>>
    | ((key: string) => string | undefined | Promise<string | undefined>)
    | undefined;
  /** Keys of secrets that inputs may use as `$Secret{KEY}`. Default: none. */
  inputSecrets?: readonly string[] | undefined;
  /**
   * `'marked'`: no text of an input is an expression unless it is written as {@link expr}, or the dispatch says
   * `expressions: true`. Default `'everywhere'`: all texts with a `$` may be, but for literals. An object also says how much
   * the expressions of one input may cost.
   */
  expressions?: 'marked' | 'everywhere' | ExpressionOptions;
  /** Where HTTP requests may go: those of actions, of notifications and of webhooks. Default: anywhere. */
  outbound?: OutboundOptions | undefined;
  /**
   * Whether dispatches, attempts and steps are spans of the program's OpenTelemetry, and jobs are part of the trace that
   * dispatched them. Needs the package `@opentelemetry/api`, and shows nothing until the program registers an SDK. Default: `false`.
   */
  telemetry?: boolean | undefined;
}

/** A clock that is moved by hand, from a time of its own. */
export interface ManualClockOptions {
  manual: true;
  /** Where it begins: ms since the epoch or an ISO 8601 date, in the instance's `timezone` if without an offset. Default: now. */
  at?: Time | undefined;
}

/** Where HTTP requests may go. What is refused fails as `FORBIDDEN` and is not retried. */
export interface OutboundOptions {
  /** Names of hosts, as in `'api.example.com'`; `'*.example.com'` is every name below it. Default: any host. */
  hosts?: readonly string[] | undefined;
  /**
   * `false`: no address of this machine or of a private network is connected to, whatever name it has; proxies of the
   * environment are not used then, since they resolve names themselves. Default true.
   */
  privateAddresses?: boolean | undefined;
}

/** Which texts are expressions, and bounds of those of one input. */
export interface ExpressionOptions extends ExpressionLimits {
  /** Default `'everywhere'`. */
  mode?: 'marked' | 'everywhere';
}

/** Bounds of the expressions of one input. */
export interface ExpressionLimits {
  /** Calls, lists and objects within each other: 1 to 200. Default 32. */
  maxDepth?: number | undefined;
  /** Steps: one for each value computed, each element of a list handled and each KiB of text made. Default 100,000. */
  maxSteps?: number | undefined;
  /** Bytes of JSON that expressions yield, together. Default 1,048,576 (1 MiB). */
  maxOutputBytes?: number | undefined;
}
