// Stores as a whole: health, drains, moves.

import type { Ductape } from './instance';

/** Plain facts about a store, as {@link Ductape.health} finds them. One of `file`, `server` and `memory` is there. */
export interface IStoreHealth {
  /** The version of its schema; 0: there is none yet. */
  schema_version: number;
  /** The version that this package makes of it, when a call other than `health` opens the store. */
  known_schema_version: number;
  /** Why it takes no work, when it is moved to another store or from one, or was. */
  moved?: string;
  /** Jobs by the counters, from which `getStats` is told, and by the table: they must agree. Missing: to count them took too long. */
  jobs?: { counted: number; stored: number };
  file?: {
    bytes: number;
    /** Of these, in pages that are free to be used again. */
    free_bytes: number;
    /** Length of the write-ahead log. */
    log_bytes: number;
    /** Whether its pages are sound (`PRAGMA quick_check`); `unknown`: they could not be read in time. */
    integrity: 'sound' | 'damaged' | 'unknown';
    /** What is wrong with them, the first of it. */
    damage?: string[];
    /** Whether it could be locked for writing within a second. */
    is_writable: boolean;
    /** Who kept it from that, where that can be known. */
    locked_by?: string;
  };
  server?: {
    /** As in 150004. */
    version: number;
    is_replica: boolean;
    /** Connections of clients, and how many there may be, without those that are reserved. */
    connections: number;
    max_connections: number;
    /** Length of tables and indexes of the schema. */
    bytes: number;
    /** Rows that wait for a vacuum, by the server's statistics. */
    dead_rows: number;
    /** Settings that matter to jobs, as they are for the role and the database. */
    settings: Record<string, string>;
    /** Transactions that have been open for more than a minute, the oldest first, at most five. */
    long_transactions: Array<{ pid: number; user?: string; application: string; state?: string; open_ms: number }>;
  };
  memory?: Record<string, never>;
}

/** What {@link Ductape.drain} did. */
export interface IDrainResult {
  /** Runs that completed. */
  completed: number;
  /** Runs that failed for good. */
  failed: number;
  /** Attempts that failed and will be retried. */
  retried: number;
  /** Runs given back unfinished at the timeout. */
  released: number;
  /** Runs still due that this process could have run, with those that wait for their `concurrency` key. */
  remaining: number;
}

/** What {@link Ductape.move} takes. */
export interface IMoveOptions {
  /** The store that all is taken from. */
  from: string;
  /** A new store: a file or a schema that is not there, or empty. */
  to: string;
  /** Tells what would be moved, and moves nothing. A schema of an older version is migrated all the same. */
  dryRun?: boolean | undefined;
  /** Gives a move up that has not come to its end: `from` takes work again, and what has been copied to `to` may be deleted. */
  giveUp?: boolean | undefined;
  /** Called about ten times a second. What it throws is passed over. */
  onProgress?: ((progress: IMoveProgress) => void) | undefined;
}

/** How far a move has come. */
export interface IMoveProgress {
  /** It waits for processes that are gone; copies; compares. */
  phase: 'preparing' | 'copying' | 'verifying';
  /** Rows of tables that this phase has come to; 0 while it prepares. */
  done: number;
  /** Rows that it has to come to. */
  total: number;
}

/** What {@link Ductape.move} has done. */
export interface IMoveResult {
  status: 'moved';
  /** Jobs that were moved, and deliveries to webhooks, which are jobs of the package's own. */
  jobs: number;
  /** Rows of tables in all, of this call and of those before it. */
  rows: number;
  /** Whether an earlier call had begun it. */
  resumed: boolean;
}

/** What {@link Ductape.move} would do. */
export interface IMovePlan {
  /** `'begun'`: an earlier call was interrupted; `'moved'`: all was moved there already. */
  status: 'new' | 'begun' | 'moved';
  /** Jobs, and deliveries to webhooks, which are jobs of the package's own. */
  jobs: number;
  rows: number;
  /** Processes that work on `from`, or died lately: they are to be stopped first. */
  processes: number;
}
