'use strict';
// Looks for a text in jobs. No store has an index of inputs: it walks through them, bounded in jobs, time and memory.

const { monotonicNow } = require('../timers.js');
const { nextTurn, pagesOf } = require('./job-looks.js');
const { Problem } = require('./problem.js');

const MAX_JOBS = 10_000;
const MAX_MS = 2_000;
/** ms after which the event loop has a turn: handlers of the program's may run in this process. */
const TURN_MS = 8;
/** How many go on at once, and how many more wait. */
const AT_ONCE = 2;
const MAX_WAITING = 20;

/** Lets so many through at once. */
class Gate {
  #inside = 0;
  #waiting = [];

  async pass(act) {
    if (this.#inside >= AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new Problem(503, 'SERVICE_UNAVAILABLE', 'too many searches are going on: try again in a moment');
      }
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    this.#inside++;
    try {
      return await act();
    } finally {
      this.#inside--;
      this.#waiting.shift()?.();
    }
  }
}

/** Texts of a job that are looked into, as they may leave. */
function textOf(job, redaction) {
  const { id, input, result, error } = redaction.job(job);
  return `${id}\n${JSON.stringify([input, result, error && [error.code, error.message]])}`.toLowerCase();
}

/** `{ found, next?, searched, cut }` */
async function look({ ductape, redaction }, { filter, limit, cursor, text }) {
  // As JSON writes it, with its quotes and line breaks.
  const needles = [text, JSON.stringify(text).slice(1, -1)].map((each) => each.toLowerCase());
  const until = monotonicNow() + MAX_MS;
  const found = [];
  let searched = 0;
  let turn = monotonicNow();
  for await (const page of pagesOf(ductape.jobs, filter, { cursor, limit: MAX_JOBS })) {
    for (const [at, job] of page.jobs.entries()) {
      searched++;
      const whole = textOf(job, redaction);
      if (needles.some((needle) => whole.includes(needle))) found.push(withoutPayload(job));
      if (monotonicNow() - turn > TURN_MS) {
        await nextTurn();
        turn = monotonicNow();
      }
      const isFull = found.length === limit;
      if (!isFull && monotonicNow() < until) continue;
      const isLast = at === page.jobs.length - 1;
      const next = isLast ? page.next : await cursorAfter(ductape.jobs, filter, page.cursor, at + 1);
      return { found, searched, cut: !isFull && next !== undefined, ...(next !== undefined && { next }) };
    }
    if (searched >= MAX_JOBS || monotonicNow() >= until) {
      return { found, searched, cut: page.next !== undefined, ...(page.next !== undefined && { next: page.next }) };
    }
  }
  return { found, searched, cut: false };
}

/** Found jobs are kept without what may be long. */
const withoutPayload = ({ input: _input, result: _result, ...job }) => job;

/** The cursor behind so many jobs of a page. */
async function cursorAfter(jobs, filter, cursor, count) {
  return (await jobs.list({ ...filter, limit: count, ...(cursor !== undefined && { cursor }) })).next;
}

function search(app, asked) {
  return app.searches.pass(() => look(app, asked));
}

module.exports = { Gate, search };
