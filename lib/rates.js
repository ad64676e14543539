'use strict';
// How fast runs end, between two samples of a store's numbers.

/** Rates a second of what was counted since the sample before, `{ at, stats }` each; `stats` as `jobs.getStats`. */
function ratesOf(before, { at, stats }) {
  if (before === undefined) return { completed: 0, failed: 0 };
  const seconds = Math.max(0.001, (at - before.at) / 1_000);
  const completed = (of) => of.completed_first_try + of.completed_after_retry;
  // Numbers become less when jobs are deleted.
  const rate = (now, then) => Math.max(0, (now - then) / seconds);
  return {
    completed: rate(completed(stats), completed(before.stats)),
    failed: rate(stats.failed, before.stats.failed),
  };
}

module.exports = { ratesOf };
