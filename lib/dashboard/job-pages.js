'use strict';
// Jobs in pages, and all about one.

const { pagesOf } = require('./job-looks.js');
const { filterOf } = require('./parameters.js');
const { search } = require('./search.js');

const DEFAULT_JOBS = 50;
const MAX_JOBS = 200;
const HISTORY_ATTEMPTS = 50;
const NEXT_TIMES = 5;
/** Longer results of attempts are left out of a history: there may be many. */
const MAX_RESULT_CHARS = 16 * 1024;
/** Of a message or of progress in a list. */
const MAX_ROW_CHARS = 1_000;
/** Conditions that counters know of, so that they count exactly and at once. */
const COUNTED = new Set(['status', 'product', 'env', 'namespace', 'target']);
/** As many targets `jobs.targets` tells at most. */
const MAX_TARGETS = 1_000;

/** A job as a row of a list: without what may be long. */
function rowOf(job, redaction) {
  const { input: _input, result: _result, error, last_error: lastError, progress, ...row } = redaction.job(job);
  const short = (text) => String(text).slice(0, MAX_ROW_CHARS);
  if (lastError !== undefined) row.last_error = short(lastError);
  if (error !== undefined) row.error = { code: short(error.code ?? 'Error'), message: short(error.message ?? error) };
  if (progress !== undefined && JSON.stringify(progress).length <= MAX_ROW_CHARS) row.progress = progress;
  return row;
}

/** `{ count, exact }` of the jobs that match: from the counters where they know, else to 10,000 exactly. */
async function countOf(jobs, filter) {
  const { status, ...others } = filter;
  if (Object.keys(filter).every((name) => COUNTED.has(name))) {
    const counts = others.target ? await jobs.targets(others) : [await jobs.getStats(others)];
    const states = status ?? ['total'];
    const count = counts.reduce((sum, each) => sum + states.reduce((part, state) => part + each[state], 0), 0);
    if (counts.length < MAX_TARGETS) return { count, exact: true };
  }
  const { total, total_exact: exact } = await jobs.list({ ...filter, limit: 1, count: true });
  return { count: total, exact };
}

/** `GET /api/jobs` */
async function listJobs({ app, query, request }) {
  const { jobs } = app.ductape;
  const filter = filterOf(query);
  const limit = query.integer('limit', 1, MAX_JOBS) ?? DEFAULT_JOBS;
  const cursor = query.text('cursor');
  const text = query.text('search');
  query.done();
  if (text !== undefined) {
    const { found, ...rest } = await search(app, { filter, limit, cursor, text, request });
    return { jobs: found.map((job) => rowOf(job, app.redaction)), ...rest };
  }
  const [page, counted] = await Promise.all([
    rowsOf(app, filter, { cursor, limit }),
    // To count recurring jobs, or those that are not, each job of the store is looked at.
    cursor === undefined && filter.recurring === undefined ? countOf(jobs, filter) : undefined,
  ]);
  return { ...page, ...(counted && { total: counted.count, total_exact: counted.exact }) };
}

/** A page of rows, `{ jobs, next? }`. Inputs and results come along and are let go: never many at a time. */
async function rowsOf({ ductape, redaction }, filter, { cursor, limit }) {
  const rows = [];
  let next;
  for await (const page of pagesOf(ductape.jobs, filter, { cursor, limit })) {
    for (const job of page.jobs) rows.push(rowOf(job, redaction));
    next = page.next;
  }
  return { jobs: rows, ...(next !== undefined && { next }) };
}

/** An attempt without a result that is long. */
function attemptOf(execution, redaction) {
  const { result, ...rest } = redaction.execution(execution);
  if (result === undefined) return rest;
  const chars = JSON.stringify(result).length;
  return chars > MAX_RESULT_CHARS ? { ...rest, result_chars: chars } : { ...rest, result };
}

function historyOf(history, redaction) {
  return { ...history, executions: history.executions.map((each) => attemptOf(each, redaction)) };
}

const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** Actions that the state of a job allows. */
function actionsOf(job) {
  const { status, recurring } = job;
  const [isOver, isRunning] = [ENDED.has(status), status === 'running'];
  const allowed = {
    cancel: !isOver,
    'cancel-run': recurring && (isRunning || status === 'queued'),
    pause: !isOver && status !== 'paused' && (recurring || !isRunning),
    resume: status === 'paused',
    retry: recurring
      ? status !== 'cancelled' && (job.failing !== undefined || job.last_run?.status === 'failed')
      : status === 'failed' || status === 'cancelled',
    'run-now': status === 'scheduled',
    'skip-next': recurring && job.next_run_at !== undefined,
    reschedule: !isOver && (recurring || !isRunning),
    delete: !isRunning,
  };
  return Object.keys(allowed).filter((action) => allowed[action]);
}

/** The next times of a job's schedule. */
async function nextTimesOf({ jobs }, job, { from = job.next_run_at, count = NEXT_TIMES } = {}) {
  if (job.next_run_at === undefined || job.schedule === undefined) return [];
  try {
    const left = job.limit === undefined ? count : Math.min(count, job.limit - job.execution_count);
    if (left <= 0) return [];
    return await jobs.preview(job.schedule, { from, count: left });
  } catch {
    // A schedule that this version cannot compute: what the store says is what is known.
    return [job.next_run_at];
  }
}

/** That this process does not work says nothing about those that do. */
const OF_THIS_PROCESS = 'WORKER_OFF';
const READY =
  'nothing in the store prevents it: it starts as soon as a worker with a handler for it has room; is one running?';

/** Why a job has not run, as far as that is so in every process, and as it may leave. */
function explanationOf({ status, reasons }, job, redaction) {
  const others = reasons
    .filter(({ code }) => code !== OF_THIS_PROCESS)
    .map(({ code, message }) => ({ code, message: redaction.sentence(message, job.error) }));
  return { status, reasons: others.length > 0 ? others : [{ code: 'READY', message: READY }] };
}

/** `GET /api/jobs/ID` */
async function oneJob({ app, query, params: [id], user }) {
  query.done();
  const { jobs } = app.ductape;
  const { redaction } = app;
  const job = await jobs.get(id);
  const [history, logs, explanation, next, { steps }] = await Promise.all([
    jobs.getHistory(id, { limit: HISTORY_ATTEMPTS }),
    jobs.logs(id),
    jobs.explain(id),
    nextTimesOf(app.ductape, job),
    jobs.steps(id),
  ]);
  return {
    job: redaction.job(job),
    history: historyOf(history, redaction),
    logs: redaction.logs(logs),
    explanation: explanationOf(explanation, job, redaction),
    next,
    steps: redaction.steps(steps),
    can: user.readOnly ? [] : actionsOf(job),
  };
}

/** `GET /api/jobs/ID/history` */
async function jobHistory({ app, query, params: [id] }) {
  const cursor = query.text('cursor');
  query.done();
  const options = { limit: HISTORY_ATTEMPTS, ...(cursor !== undefined && { cursor }) };
  return historyOf(await app.ductape.jobs.getHistory(id, options), app.redaction);
}

module.exports = { countOf, jobHistory, listJobs, nextTimesOf, oneJob, rowOf };
