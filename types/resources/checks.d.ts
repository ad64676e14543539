// `ductape.resources`.

/** Which resources `resources.check` connects to; what is left out is any. */
export interface ResourceCheckOptions {
  product?: string;
  env?: string;
  /** Tag of the resource. */
  tag?: string;
  /** How long one may take, in ms. Default 10,000. */
  timeout?: number;
}

/** What `resources.check` found of one resource in one environment. */
export interface IResourceCheck {
  product: string;
  env: string;
  type: 'app' | 'notification' | 'storage' | 'broker' | 'database' | 'graph';
  tag: string;
  /** Whether it answered and took the credentials. */
  ok: boolean;
  /** How long that took, in ms. */
  duration_ms: number;
  /** Attempts of jobs that it has ended in this process. */
  calls: number;
  /** How many of them failed. */
  failures: number;
  /** Why it cannot be used. */
  error?: { code: string; message: string };
}

/** `ductape.resources`. */
export interface ResourceChecks {
  /**
   * Connects to every resource in every environment, authenticates, and changes nothing. A resource that cannot be used is
   * told in its `error`; the promise rejects with `VALIDATION_ERROR` only for wrong options.
   */
  check(options?: ResourceCheckOptions): Promise<IResourceCheck[]>;
}
