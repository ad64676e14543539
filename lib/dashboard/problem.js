'use strict';
// What a request is refused with: a status, and an error as JSON. Knows how codes of the package become statuses.

/** Statuses of codes of the package. What is not here is a mistake of the program, and says nothing about itself. */
const STATUSES = {
  VALIDATION_ERROR: 400,
  INVALID_SCHEDULE: 400,
  INVALID_CRON: 400,
  INVALID_TIMEZONE: 400,
  INVALID_EXPRESSION: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  CLOSED: 503,
  CONNECTION_ERROR: 503,
  SERVICE_UNAVAILABLE: 503,
  STORE_CORRUPT: 503,
  STORE_ERROR: 503,
  TIMEOUT: 503,
};

/** A refusal of a request. */
class Problem extends Error {
  constructor(status, code, message, { path, headers } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.path = path;
    this.headers = headers;
  }
}

/** The parameter `path` is wrong. */
const wrong = (path, message) => new Problem(400, 'VALIDATION_ERROR', `${path}: ${message}`, { path });

/** Whatever was thrown, as a `Problem`; `undefined`: nobody but the log should be told. */
function problemOf(error) {
  if (error instanceof Problem) return error;
  const status = Object.hasOwn(STATUSES, error?.code) ? STATUSES[error.code] : undefined;
  if (status === undefined) return undefined;
  const message =
    error.code === 'CLOSED' ? 'this Ductape instance is closed: the program ends, or has closed it' : error.message;
  return new Problem(status, error.code, message, { path: error.details?.[0]?.path });
}

/** The body of an answer that refuses. */
const problemBody = ({ code, message, path }) => ({ error: { code, message, ...(path && { path }) } });

module.exports = { Problem, problemBody, problemOf, wrong };
