// Errors.

/** Every `code` of the errors that this package makes. */
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
  constructor(
    code: ErrorCode | (string & {}),
    message: string,
    options?: { details?: readonly IErrorDetail[]; cause?: unknown },
  );
  /** One of those of this package, or a handler's own. */
  readonly code: ErrorCode | (string & {});
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
