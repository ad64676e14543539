// The dashboard.

import type { Ductape } from './instance';
import type { PlatformRequest, PlatformResponse } from './platform';

/** Who uses the dashboard. */
export interface DashboardUser {
  /** What the user is called in the audit log. */
  user: string;
  /** Whether the user may only look. Default false. */
  readOnly?: boolean | undefined;
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
  readOnly?: boolean | undefined;
  /**
   * The path that the dashboard is below, as the browser sees it: `'/admin/jobs'`. Default: what a framework that mounts handlers says, as
   * Express does with `app.use('/admin/jobs', dashboard)`; else `'/'`.
   */
  basePath?: string | undefined;
  /**
   * What never leaves the server, as paths: `input`, `result`, `error`, `logs`, `progress` or `steps`, or `*` for all of them, then names
   * between dots, where `*` is any member or entry, and `**` any number of levels: `'input.password'`, `'input.cards.*.number'`,
   * `'result.**.token'`, `'*.secret'`.
   */
  redact?: readonly string[] | undefined;
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
  (request: PlatformRequest): Promise<PlatformResponse>;
}
