'use strict';
// Walks through many jobs: in pages whose length follows that of the jobs, so that memory is bounded whatever they hold, and with a
// turn of the event loop between.

const { setImmediate } = require('../timers.js');

const FIRST_JOBS = 50;
const MAX_JOBS = 500;
/** About so much JSON is held at a time. */
const PAGE_CHARS = 2 * 1024 * 1024;

/** About how long the jobs of a page are: by some of them. */
function averageChars(page) {
  const step = Math.max(1, Math.floor(page.length / 5));
  let [chars, count] = [0, 0];
  for (let at = 0; at < page.length; at += step) {
    chars += JSON.stringify(page[at]).length;
    count++;
  }
  return count === 0 ? 1 : chars / count;
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Yields `{ jobs, cursor, next }` for each page of at most `limit` jobs in all, `first` of them at first. */
async function* pagesOf(jobs, filter, { cursor, limit = Number.POSITIVE_INFINITY, first = FIRST_JOBS } = {}) {
  let [size, seen] = [first, 0];
  let from = cursor;
  do {
    const wanted = Math.min(size, limit - seen);
    const page = await jobs.list({ ...filter, limit: wanted, ...(from !== undefined && { cursor: from }) });
    seen += page.jobs.length;
    yield { jobs: page.jobs, cursor: from, next: page.next };
    size = Math.max(1, Math.min(MAX_JOBS, 2 * size, Math.floor(PAGE_CHARS / averageChars(page.jobs))));
    from = page.next;
    await nextTurn();
  } while (from !== undefined && seen < limit);
}

module.exports = { nextTurn, pagesOf };
