// When jobs run.

/**
 * When a job runs. Without `cron`, `every` and `interval` it runs once: at `start_at`, or at once when that is absent or past.
 * `cron`, `every` and `interval` exclude each other.
 */
export interface IDispatchSchedule {
  /**
   * First time: ms since the epoch, or an ISO 8601 date. A date without an offset is read in `tz`, else in the
   * instance's `timezone`. With `cron`, `every` or `interval`, a past value sets the grid and the first run is the first
   * grid point from now on.
   */
  start_at?: number | string;
  /**
   * Five cron fields (minute, hour, day of month, month, day of week) or a macro such as `@daily`. When both day fields
   * are restricted, a day that matches either counts.
   */
  cron?: string;
  /** Interval in ms, an integer from 1. Runs fall on `start_at + k * every` and never drift. */
  every?: number;
  /** Total number of runs, an integer from 1; attempts do not count. Needs `cron`, `every` or `interval`. */
  limit?: number;
  /**
   * No run after this time, which is itself included: ms since the epoch or an ISO 8601 date. Needs `cron`, `every` or
   * `interval`.
   */
  endDate?: number | string;
  /**
   * IANA time zone of `cron`, `interval`, `except` and dates without an offset. Default: the instance's `timezone`. With `every`
   * it is kept for a `cron` or `interval` that `jobs.reschedule` puts in its place, as `dst` is.
   */
  tz?: string;
}

/** What a recurring job does at the edges of its schedule. Accepted inside `schedule`, next to {@link IDispatchSchedule}. */
export interface IScheduleOptions {
  /**
   * Steps of the calendar: an ISO 8601 duration of whole years, months, weeks and days such as `'P2W'` or `'P1M'`, up to 100
   * years. Run k is k times the months and then k times the days after `start_at` (else the dispatch), at its local time in
   * `tz`; a month that lacks the day has it on its last one, without drift.
   */
  interval?: string | undefined;
  /**
   * Local dates in `tz` on which the job does not run, as in `['2026-12-25']`; at most 1,000. A run's date is that of its time
   * without the `spread`.
   */
  except?: readonly string[] | undefined;
  /**
   * Fixed-time crons and `interval` when clocks change. `gap`: a time that the day lacks runs right after the gap (`'after'`, default)
   * or not at all. `overlap`: a time that the day has twice runs at its first (default), its last, or both.
   */
  dst?:
    | {
        gap?: 'after' | 'skip' | undefined;
        overlap?: 'first' | 'last' | 'both' | undefined;
      }
    | undefined;
  /** Runs missed while no process was up: one for all of them (default), none, or each (at most 1,000). */
  misfire?: 'once' | 'skip' | 'all' | undefined;
  /** An occurrence of which no run has begun for longer than this after its time, in ms, counts as missed. From 1, default 60,000. */
  grace?: number | undefined;
  /** A run that falls due while the one before is still going or waiting for a retry: leave it out (default) or start it. */
  ifRunning?: 'skip' | 'allow' | undefined;
  /**
   * Shifts all runs of the job by a fixed offset from 0 to this many ms, so that jobs with one schedule do not start together.
   * The offset follows from the job's id, also from one that is generated.
   */
  spread?: number | undefined;
}

/**
 * `T` whose optional members may also be undefined, which counts as absent: `exactOptionalPropertyTypes` tells the two apart. Options and
 * filters take it where what is meant by mistake does no harm; those of changes of many jobs, of keys, access and expressions do not.
 */
export type Undefinable<T> = {
  [Name in keyof T]: Record<never, never> extends Pick<T, Name> ? T[Name] | undefined : T[Name];
};

/** A time: ms since the epoch, an ISO 8601 date, or a `Date`. */
export type Time = number | string | Date;

/** A schedule as methods take it. */
export type ScheduleInput = Undefinable<Omit<IDispatchSchedule & IScheduleOptions, 'start_at' | 'endDate'>> & {
  /** As {@link IDispatchSchedule.start_at}. */
  start_at?: Time | undefined;
  /** The same as `start_at`. */
  at?: Time | undefined;
  /** Instead of `start_at`: ms from the dispatch. */
  delay?: number | undefined;
  /** As {@link IDispatchSchedule.endDate}. */
  endDate?: Time | undefined;
  /** The same as `tz`. */
  timezone?: string | undefined;
};

/** Changes of a schedule; `null` takes away. */
export type IScheduleChanges = { [Field in keyof ScheduleInput]?: ScheduleInput[Field] | null };
