// HTTP services and their actions.

import type { Described } from './definitions';

/** An HTTP service and its actions. */
export interface AppResource extends Described {
  tag: string;
  /** What it is in each environment. */
  envs: readonly AppEnv[];
  /** What can be asked of it. */
  actions?: readonly AppAction[];
}

/** An HTTP service in one environment. */
export interface AppEnv extends Described {
  slug: string;
  /** What the resources of actions come after, as in `'https://api.example.com/v1'`. */
  base_url: string;
  /** Headers of every request. */
  headers?: Record<string, string>;
  /** Credentials of every request. */
  auth?: HttpAuth;
  /** Certificates of authorities in PEM, trusted beside the system's. */
  ca?: string;
}

/** Credentials of HTTP requests. */
export type HttpAuth =
  | { type: 'basic'; username: string; password: string }
  | { type: 'bearer'; token: string }
  | { type: 'header'; name: string; value: string };

/**
 * One request that can be made of a service. Strings in `headers`, `query`, `params` and `body` may hold expressions; what
 * a job's input gives is laid over them.
 */
export interface AppAction extends Described {
  tag: string;
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** Path below `base_url` with its parameters, as in `'/orders/:id'`. */
  resource: string;
  /**
   * Media type of the body. JSON, forms and multipart are written from the body's fields; of any other type the body is
   * `{ content }`, with `encoding: 'base64'` for bytes. Default `'application/json'`.
   */
  request_type?:
    | 'application/json'
    | 'application/x-www-form-urlencoded'
    | 'multipart/form-data'
    | 'text/plain'
    | (string & {});
  /** Longest attempt for jobs that set no `timeout`, in ms. Default 60,000. */
  timeout?: number;
  headers?: Record<string, string>;
  query?: Record<string, unknown>;
  params?: Record<string, unknown>;
  /** Merged with the input's, object by object. */
  body?: unknown;
}

/** The result of a job that a built-in connector made an HTTP request for. */
export interface IActionResult<Data = unknown> {
  /** 200 to 299; any other status is a failure. */
  status: number;
  /** Names in lower case; repeated ones are joined by commas, but `set-cookie` is a list. */
  headers: Record<string, string | string[]>;
  /** The value of JSON, a text, base64 of anything else (see `encoding`), or `null` for an empty body. */
  data: Data;
  /** Present when `data` is base64. */
  encoding?: 'base64';
}
