'use strict';
// Changes of many jobs: of those that are named, or of all that match. In slices, each a few transactions, so that dispatches and
// claims come between; bounded in jobs and time, and what is left is told, so that the same request goes on.

const { monotonicNow } = require('../timers.js');
const { countOf } = require('./job-pages.js');
const { nextTurn, pagesOf } = require('./job-looks.js');
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

/**
 * Calls `change` for a job in one of these states; `false`: it is in another one. To pause what is paused changes nothing, and must
 * not be taken back as if it had.
 */
const where = (statuses, change) => async (jobs, id) => {
  if (!statuses.includes((await jobs.get(id)).status)) return false;
  await change(jobs, id);
  return true;
};

/** By action: the states that it can change, those that it does change where none is named, and what takes it back. */
const ACTIONS = {
  cancel: {
    statuses: OPEN,
    one: where(OPEN, (jobs, id) => jobs.cancel(id, {})),
    many: (jobs, filter) => jobs.cancelMany(filter, {}),
  },
  pause: {
    statuses: ['scheduled', 'queued', 'running'],
    one: where(['scheduled', 'queued', 'running'], (jobs, id) => jobs.pause(id)),
    many: (jobs, filter) => jobs.pauseMany(filter),
    undo: 'resume',
  },
  resume: {
    statuses: ['paused'],
    one: where(['paused'], (jobs, id) => jobs.resume(id)),
    many: (jobs, filter) => jobs.resumeMany(filter),
    undo: 'pause',
  },
  retry: {
    statuses: ['failed', 'cancelled'],
    usual: ['failed'],
    one: (jobs, id) => jobs.retry(id),
    many: (jobs, filter) => jobs.retryMany(filter),
  },
  delete: {
    statuses: STATES.filter((status) => status !== 'running'),
    one: (jobs, id) => jobs.delete(id),
    many: (jobs, filter) => jobs.deleteMany(filter),
  },
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

/** Changes the jobs with these ids until the time is up. */
async function changeNamed(jobs, action, ids, until) {
  const changed = [];
  let at = 0;
  for (; at < ids.length && (at === 0 || monotonicNow() < until); at += AT_ONCE) {
    const group = ids.slice(at, at + AT_ONCE);
    const outcomes = await Promise.allSettled(group.map((id) => action.one(jobs, id)));
    for (const [index, { status, value }] of outcomes.entries()) {
      if (status === 'fulfilled' && value !== false) changed.push(group[index]);
    }
    const failed = outcomes.find(({ reason }) => reason && !PASSED_OVER.has(reason.code));
    if (failed) throw failed.reason;
    await nextTurn();
  }
  const left = ids.slice(at);
  return { count: changed.length, changed, left: left.length > 0 ? { ids: left } : undefined };
}

/** `{ id, at }` of the newest jobs that match, the newest first, and whether there are more. */
async function findJobs(jobs, filter) {
  const found = [];
  let isCut = false;
  for await (const page of pagesOf(jobs, filter, { limit: MAX_IDS })) {
    for (const { id, created_at: at } of page.jobs) found.push({ id, at });
    isCut = page.next !== undefined;
  }
  found.sort((a, b) => b.at - a.at);
  return { found, isCut };
}

/** Where the slice that begins there ends: jobs of one millisecond stay together, since a span of time names them all. */
function endOfSlice(found, begin) {
  let end = Math.min(begin + SLICE_JOBS, found.length);
  while (end < found.length && found[end].at === found[end - 1].at) end++;
  return end;
}

/** Changes the newest jobs that match, in spans of the times at which they were made, until the time is up. */
async function changeMatching(jobs, action, filter, until) {
  const { found, isCut } = await findJobs(jobs, filter);
  let [count, at] = [0, 0];
  while (at < found.length && (at === 0 || monotonicNow() < until)) {
    const end = endOfSlice(found, at);
    const span = { from: found[end - 1].at, to: found[at].at };
    count += (await action.many(jobs, { ...filter, ...span })).count;
    at = end;
    await nextTurn();
  }
  const changed = found.slice(0, at).map(({ id }) => id);
  // Where the change left some out that it cannot change, the same filter would find them again and again.
  const hasMore = at < found.length || (isCut && count > 0);
  return { count, changed, left: hasMore ? { filter } : undefined };
}

/** `POST /api/bulk` */
async function changeBulk({ app, query, request, user }) {
  query.done();
  const body = membersOf(await readJson(request, MAX_BODY_BYTES), '', ['action', 'filter', 'ids', 'dry_run']);
  const isKnown = typeof body.action === 'string' && Object.hasOwn(ACTIONS, body.action);
  const action = isKnown ? ACTIONS[body.action] : undefined;
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
  const until = monotonicNow() + MAX_MS;
  const changing = ids ? changeNamed(jobs, action, ids, until) : changeMatching(jobs, action, filter, until);
  const { count, changed, left } = await app.audit.watch(changing, user.name, `${body.action} many`, detail);
  // What was asked for is written down already: what became of it, where that is not the same.
  if (count !== matched.count) await app.audit.add(user.name, `${body.action} many: changed`, { jobs: count });
  return {
    count,
    exact: true,
    ...(left && { more: true, next: { action: body.action, ...left } }),
    ...(action.undo && count > 0 && { undo: { action: action.undo, ids: changed } }),
  };
}

module.exports = { changeBulk };
