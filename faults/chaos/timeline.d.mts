/** What a clock that is set now and then showed. */
export declare class Timeline {
  constructor(since: number, wall: number, lag: number);
  /** The clock was set at `since` to `wall`. */
  step(since: number, wall: number): void;
}
