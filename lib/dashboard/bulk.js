'use strict';
// Changes of many jobs: of those that are named, or of all that match. In slices, each a few transactions, so that dispatches and
// claims come between; bounded in jobs and time, and what is left is told, so that the same request goes on.

const { monotonicNow } = require('../timers.js');
const { countOf } = require('./job-pages.js');
const { pagesOf } = require('./job-looks.js');
const { STATES, filterOfBody, membersOf, readJson } = require('./parameters.js');
const { wrong } = require('./problem.js');

/** Ids take more room than other bodies. */
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_IDS = 10_000;
const MAX_ID_CHARS = 1_000;
const SLICE_JOBS = 500;
/** Changes that are on their way at once; the store makes one transaction of what waits. */
const AT_ONCE = 100;
const MAX_MS = 20_000;
/** As many ids an entry of the audit log names. */
const NAMED_IDS = 20;
/** Errors that say that a job is not in a state to be changed any more. */
const PASSED_OVER = new Set(['CONFLICT', 'NOT_FOUND']);

const OPEN = ['scheduled', 'queued', 'running', 'paused'];

/** By action: the states that it can change, those that it does change where none is named, and what takes it back. */
const ACTIONS = {
  cancel: { statuses: OPEN, make: (jobs, id) => jobs.cancel(id, {}) },
  pause: { statuses: ['scheduled', 'queued', 'running'], make: (jobs, id) => jobs.pause(id), undo: 'resume' },
  resume: { statuses: ['paused'], make: (jobs, id) => jobs.resume(id), undo: 'pause' },
  retry: { statuses: ['failed', 'cancelled'], usual: ['failed'], make: (jobs, id) => jobs.retry(id) },
  delete: { statuses: STATES.filter((status) => status !== 'running'), make: (jobs, id) => jobs.delete(id) },
};

function idsOf(ids) {
  if (!Array.isArray(ids) || ids.length === 0) throw wrong('ids', 'must be a list of at least one id');
  if (ids.length > MAX_IDS) throw wrong('ids', `are ${ids.length}, the limit is ${MAX_IDS}`);
  if (ids.some((id) => typeof id !== 'string' || id.length > MAX_ID_CHARS)) throw wrong('ids', 'must be texts');
  return [...new Set(ids)];
}

/** The filter of the jobs that the action can change; `undefined`: there are none such. */
function narrowed(action, filter) {
  // Of recurring jobs a failed run is retried, whatever their own state.
  if (action === ACTIONS.retry && (filter.failing || filter.last_run !== undefined)) return filter;
  const asked = filter.status ?? action.usual ?? action.statuses;
  const status = asked.filter((each) => action.statuses.includes(each));
  return status.length === 0 ? undefined : { ...filter, status };
}

/** Slices of ids that are to be changed. */
async function* slicesOf(jobs, { ids, filter }) {
  if (ids) {
    for (let at = 0; at < ids.length; at += SLICE_JOBS) yield ids.slice(at, at + SLICE_JOBS);
  } else {
    for await (const page of pagesOf(jobs, filter)) yield page.jobs.map(({ id }) => id);
  }
}

/** Changes these; adds the ids of those that were. */
async function changeSlice(jobs, action, ids, changed) {
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const group = ids.slice(at, at + AT_ONCE);
    const outcomes = await Promise.allSettled(group.map((id) => action.make(jobs, id)));
    for (const [index, { status }] of outcomes.entries()) if (status === 'fulfilled') changed.push(group[index]);
    const failed = outcomes.find(({ reason }) => reason && !PASSED_OVER.has(reason.code));
    if (failed) throw failed.reason;
  }
}

/** `{ changed, seen, more }` */
async function changeMany(jobs, action, asked) {
  const until = monotonicNow() + MAX_MS;
  const changed = [];
  let seen = 0;
  for await (const slice of slicesOf(jobs, asked)) {
    if (seen > 0 && (monotonicNow() >= until || seen >= MAX_IDS)) return { changed, seen, more: true };
    await changeSlice(jobs, action, slice, changed);
    seen += slice.length;
  }
  return { changed, seen, more: false };
}

/** `POST /api/bulk` */
async function changeBulk({ app, query, request, user }) {
  query.done();
  const body = membersOf(await readJson(request, MAX_BODY_BYTES), '', ['action', 'filter', 'ids', 'dry_run']);
  const action = Object.hasOwn(ACTIONS, String(body.action)) ? ACTIONS[body.action] : undefined;
  if (action === undefined) throw wrong('action', `must be one of ${Object.keys(ACTIONS).join(', ')}`);
  const isDry = body.dry_run ?? false;
  if (typeof isDry !== 'boolean') throw wrong('dry_run', 'must be true or false');
  if ((body.filter === undefined) === (body.ids === undefined)) throw wrong('filter', 'name either a filter or ids');
  const { jobs } = app.ductape;
  const ids = body.ids === undefined ? undefined : idsOf(body.ids);
  const filter = ids ? undefined : narrowed(action, filterOfBody(body.filter, 'filter'));
  if (!ids && !filter) return { count: 0, exact: true };
  const matched = ids ? { count: ids.length, exact: true } : await countOf(jobs, filter);
  if (isDry || matched.count === 0) return matched;
  const detail = ids ? { jobs: ids.length, ids: ids.slice(0, NAMED_IDS) } : { jobs: matched.count, filter };
  await app.audit.add(user.name, `${body.action} many`, detail);
  const { changed, more } = await changeMany(jobs, action, { ids, filter });
  const undo = action.undo && changed.length > 0 && !more ? { action: action.undo, ids: changed } : undefined;
  return { count: changed.length, exact: true, ...(more && { more }), ...(undo && { undo }) };
}

module.exports = { changeBulk };
