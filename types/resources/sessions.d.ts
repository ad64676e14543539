// Sessions and caches.

import type { Described } from './definitions';

/** How tokens are signed. */
export type SessionAlgorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'EdDSA';

/** Whose tokens are taken. One of `secret`, `publicKey` and `jwks` is the key; `$Secret{KEY}` in a text is replaced. */
export interface SessionResource extends Described {
  tag: string;
  /** The one algorithm that tokens may have. Default `'HS256'`. */
  algorithm?: SessionAlgorithm;
  /** Shared secret of the HS algorithms, at least 16 bytes. */
  secret?: string;
  /** Public key in PEM (`BEGIN PUBLIC KEY`). */
  publicKey?: string;
  /** Key set, or the path of a JSON file that holds it. */
  jwks?: { keys: readonly object[] } | string;
  /** Private key in PEM (PKCS#8) that `sessions.start` signs with; a shared secret needs none. */
  privateKey?: string;
  /** How long a token that `sessions.start` issues is valid, in `period`. Default one hour. */
  expiry?: number;
  /** Unit of `expiry`; a month is 30 days, a year 365. Default `'milliseconds'`. */
  period?: 'milliseconds' | 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks' | 'months' | 'years';
  /** `false`: claims are taken from tokens that nobody checks. Default true. */
  verify?: boolean;
}

/** A cache. */
export interface CacheResource extends Described {
  tag: string;
  /** How long a value is kept, in ms. Default one hour. */
  expiry?: number;
}
