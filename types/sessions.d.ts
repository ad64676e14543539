// `ductape.sessions`.

/** Names a session resource. */
export interface SessionRequest {
  /** Default: the instance's `product`. */
  product?: string | undefined;
  /** Not needed; accepted for symmetry with dispatches. */
  env?: string | undefined;
  /** Tag of the session resource; a token that is `'tag:jwt'` names it too. */
  tag?: string | undefined;
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
  start(session: SessionRequest & { tag: string; data?: object | undefined }): Promise<IStartedSession>;
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
