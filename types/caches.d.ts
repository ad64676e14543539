// `ductape.caches`.

import type { IJobCount } from './filters';

/** Names a cache. */
export interface CacheRequest {
  /** Default: the instance's `product`. */
  product?: string | undefined;
  /** Default: the instance's `env`. */
  env?: string | undefined;
  /** Tag of the cache; one that `resources` does not define keeps values for an hour. */
  tag: string;
}

/** `ductape.caches`: values of the program's own, in all processes that share the store. */
export interface Caches {
  /** The value under a key, or `undefined`. */
  get<Value = unknown>(entry: CacheRequest & { key: string }): Promise<Value | undefined>;
  /** Keeps a value, as JSON of at most 256 KiB, for `expiry` ms, else as long as the cache says. */
  set(entry: CacheRequest & { key: string; value: unknown; expiry?: number | undefined }): Promise<void>;
  /** Takes a value away. */
  clear(entry: CacheRequest & { key: string }): Promise<void>;
  /** Takes all values of a cache away, the results that jobs keep there too. */
  clearAll(cache: CacheRequest): Promise<IJobCount>;
}
