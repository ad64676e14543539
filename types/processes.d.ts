// Processes that run jobs, and the audit log.

import type { JobNamespaceName } from './handlers';
import type { IJobTarget } from './job';

/**
 * A process that runs jobs. Times are ms since the epoch; one is missing when it was before the machine started, or when an older version
 * of this package registered the process.
 */
export interface IProcess {
  /** Of its registration, which lasts until the process closes. */
  id: string;
  /** What the machine or container calls itself. */
  host?: string;
  /** The number of the process there. */
  pid?: number;
  /**
   * `silent`: it has not renewed its lease in time, since it hangs, is stopped, cannot reach the store, or has died. `dead`: it has ended,
   * which is known of processes on a SQLite file alone. The runs of both are taken over by processes that are `alive`.
   */
  state: 'alive' | 'silent' | 'dead';
  registered_at?: number;
  /** When it last renewed its lease, which it does every 3 seconds. */
  seen_at?: number;
  /** When its lease ends, or has ended. */
  lease_ends_at?: number;
  /** How many attempts it runs at once: its `concurrency`, and a few of the package's own work. */
  slots?: number;
  /** Runs that it has claimed: those that are `running`, and those that are `prefetched` and wait for a slot of it. */
  claimed: number;
  running: number;
  prefetched: number;
  /** The version of this package that it runs. It and `handlers` are missing until a second or so after its start. */
  version?: string;
  /** Its handlers, at most 200: what they leave open is missing. */
  handlers?: IProcessHandler[];
  /** Whether it is the instance that was asked. */
  is_this: boolean;
}

/** A handler of a process: which jobs it takes. */
export interface IProcessHandler {
  namespace: JobNamespaceName;
  product?: string;
  env?: string;
  target?: IJobTarget;
  /** How many attempts it makes at once. */
  concurrency?: number;
  /** Whether `resources` define what is done, not a function of the program. */
  built_in: boolean;
}

/** A change that somebody made, in the audit log. */
export interface IAuditEntry {
  /** When it was asked for, in ms since the epoch. */
  at: number;
  /** By whom: the `user` that `authorize` of the dashboard gave. */
  who: string;
  /** What: `'cancel'`, `'retry many'`, … */
  action: string;
  /** Of what: ids, filters, counts. It holds nothing of inputs and results. */
  detail: unknown;
}

/** A page of the audit log, newest first. */
export interface IAuditLog {
  entries: IAuditEntry[];
  /** Cursor of the next page; absent on the last one. */
  next?: string;
}
