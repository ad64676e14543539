// `ductape.clock`.

import type { Time } from './schedules';

/** `ductape.clock`, the instance's time. */
export interface Clock {
  /** Now, in ms since the epoch. */
  now(): number;
  /**
   * Moves a manual clock forward by ms or by an ISO 8601 duration such as `'P1D'`, runs in order all that falls due, and
   * resolves when it has settled. Rejects with `CONFLICT` on the system clock, and with `TIMEOUT`, naming the jobs, when
   * the work of one moment takes longer than `timeout` ms of real time (default 5,000).
   */
  advance(by: number | string, options?: { timeout?: number | undefined }): Promise<void>;
  /** Moves a manual clock forward to a time, as `advance` does. */
  set(date: Time, options?: { timeout?: number | undefined }): Promise<void>;
}
