// The nine kinds of jobs, as members of an instance.

import type { DispatchInput, IDispatchResult, IDispatchStatement, IJobOptions } from './dispatches';
import type {
  Handler,
  HandlerOptions,
  IDBActionTarget,
  IDBOperationTarget,
  IFeatureTarget,
  IGraphActionTarget,
  IGraphOperationTarget,
  IHandlerTarget,
} from './handlers';
import type {
  DBActionDispatchInputs,
  DBOperationDispatchInputs,
  FeatureDispatchInputs,
  GraphActionDispatchInputs,
  GraphOperationDispatchInputs,
  IDbActionRequest,
} from './inputs';

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
