'use strict';
// Recurring jobs with what they did and will do: so that a missed night is seen at a glance.

const { filterOf } = require('./parameters.js');
const { nextTimesOf, rowOf } = require('./job-pages.js');

const DAY_MS = 86_400_000;
const DEFAULT_JOBS = 25;
const MAX_JOBS = 50;
/** Attempts and times to come of one job that are looked at. */
const MAX_ATTEMPTS = 200;
const MAX_TIMES = 200;
/** Times of the last day: mostly there are few; a cron has at most one a minute. */
const FEW_TIMES = 50;
const MAX_PAST_TIMES = 1_500;
/** Histories hold results: so many are looked at together. */
const AT_ONCE = 5;

/**
 * The function that tells the last occurrence at or before a time of the last day; it gives `undefined` where there is none, or
 * none is known.
 */
async function occurrencesOf({ jobs }, { schedule }, from, now) {
  if (schedule === undefined) return () => undefined;
  const { every, start_at: start } = schedule;
  if (every !== undefined && typeof start === 'number') {
    return (at) => (at < start ? undefined : at - ((at - start) % every));
  }
  let times = [];
  try {
    for (const count of [FEW_TIMES, MAX_PAST_TIMES]) {
      times = await jobs.preview({ ...schedule, limit: undefined }, { from, count });
      if (times.length < count || times.at(-1) > now) break;
    }
  } catch {
    // A schedule that this version cannot compute.
  }
  return (at) => times.findLast((each) => each <= at);
}

/** Runs since then, the oldest first, each as its last attempt ended, and how late its first one began, as far as that is known. */
function pastOf(executions, occurrenceAt, from) {
  const runs = new Map();
  for (const each of executions) {
    const at = each.started_at ?? each.completed_at;
    if (at === undefined) continue;
    const run = runs.get(each.number);
    // Attempts come the newest first.
    if (run) run.at = at;
    else runs.set(each.number, { at, status: each.status });
  }
  const ordered = [...runs.values()].filter(({ at }) => at >= from).sort((a, b) => a.at - b.at);
  let taken;
  return ordered.map((run) => {
    const due = occurrenceAt(run.at);
    // Another run of the same occurrence is one on request.
    if (due === undefined || due === taken) return run;
    taken = due;
    return { ...run, late_ms: run.at - due };
  });
}

async function rowWithTimes(app, job, now) {
  const { jobs } = app.ductape;
  const from = now - DAY_MS;
  const [history, occurrenceAt, next] = await Promise.all([
    jobs.getHistory(job.id, { limit: MAX_ATTEMPTS }),
    occurrencesOf(app.ductape, job, from, now),
    nextTimesOf(app.ductape, job, { count: MAX_TIMES }),
  ]);
  const past = pastOf(history.executions, occurrenceAt, from);
  if (job.status === 'running' && job.started_at !== undefined)
    past.push({ at: job.started_at, status: 'running', late_ms: Math.max(0, job.started_at - job.scheduled_at) });
  const gaps = [...history.missed, ...history.skipped].filter(({ to }) => to >= from).sort((a, b) => a.from - b.from);
  return { job: rowOf(job, app.redaction), past, gaps, next: next.filter((at) => at <= now + DAY_MS) };
}

/** `GET /api/recurring` */
async function recurring({ app, query }) {
  const { jobs, clock } = app.ductape;
  const filter = { ...filterOf(query), recurring: true };
  const limit = query.integer('limit', 1, MAX_JOBS) ?? DEFAULT_JOBS;
  const cursor = query.text('cursor');
  query.done();
  const now = clock.now();
  const page = await jobs.list({ ...filter, limit, ...(cursor !== undefined && { cursor }) });
  const rows = [];
  for (let at = 0; at < page.jobs.length; at += AT_ONCE) {
    const some = page.jobs.slice(at, at + AT_ONCE);
    rows.push(...(await Promise.all(some.map((job) => rowWithTimes(app, job, now)))));
  }
  return { jobs: rows, ...(page.next !== undefined && { next: page.next }) };
}

module.exports = { pastOf, recurring };
