import type { Timeline } from './timeline.mjs';

/** Reads the log of a round. */
export declare function readLog(text: string): object;

/** What is wrong with the account of all series. */
export declare function examine(series: readonly object[], log: object, timeline: Timeline, end: number): string[];
