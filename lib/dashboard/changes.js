'use strict';
// Changes of one job. Each is written down before it is made.

const { given, membersOf, readJson } = require('./parameters.js');
const { Problem, wrong } = require('./problem.js');

const MAX_BODY_BYTES = 64 * 1024;

/** What a change has added to a schedule, as members that take it away again. */
function takenAway(changes, schedule) {
  const added = Object.keys(changes).filter((name) => name !== 'delay' && !Object.hasOwn(schedule, name));
  return Object.fromEntries(added.map((name) => [name, null]));
}

/** By action: members of the body, the change, and what takes it back, told by the job as it was. */
const ACTIONS = {
  cancel: {
    members: ['reason'],
    make: (jobs, id, { reason }) => jobs.cancel(id, given({ reason })),
    // A recurring job that is cancelled does not come back.
    undo: ({ recurring, status, scheduled_at: due }, now) =>
      !recurring && (status === 'scheduled' || status === 'queued')
        ? { action: 'retry', body: { delay: Math.max(0, due - now) } }
        : undefined,
  },
  'cancel-run': { members: ['reason'], make: (jobs, id, { reason }) => jobs.cancelRun(id, given({ reason })) },
  pause: {
    members: [],
    make: (jobs, id) => jobs.pause(id),
    undo: ({ status }) => (status === 'paused' ? undefined : { action: 'resume', body: {} }),
  },
  resume: {
    members: [],
    make: (jobs, id) => jobs.resume(id),
    undo: ({ status }) => (status === 'paused' ? { action: 'pause', body: {} } : undefined),
  },
  retry: { members: ['delay'], make: (jobs, id, { delay }) => jobs.retry(id, given({ delay })) },
  'run-now': { members: [], make: (jobs, id) => jobs.runNow(id) },
  'skip-next': { members: ['count'], make: (jobs, id, { count }) => jobs.skipNext(id, given({ count })) },
  reschedule: {
    members: ['changes'],
    make: (jobs, id, { changes }) => jobs.reschedule(id, changes),
    undo: ({ schedule }, _now, { changes }) =>
      schedule && typeof changes === 'object'
        ? { action: 'reschedule', body: { changes: { ...takenAway(changes, schedule), ...schedule } } }
        : undefined,
  },
  delete: { members: [], make: (jobs, id) => jobs.delete(id) },
};

/** `POST /api/jobs/ID/ACTION` */
async function changeJob({ app, query, request, params: [id, name], user }) {
  query.done();
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    throw new Problem(404, 'NOT_FOUND', `there is no such action; known are ${Object.keys(ACTIONS).join(', ')}`);
  }
  const body = membersOf(await readJson(request, MAX_BODY_BYTES), '', action.members);
  const { jobs, clock } = app.ductape;
  if (name === 'reschedule' && body.changes === undefined) throw wrong('changes', 'is missing');
  // What there is not needs no entry.
  const before = await jobs.get(id);
  // A reason may be as secret as an input, and is with the job.
  const { reason: _reason, ...said } = body;
  const detail = { id, ...said };
  await app.audit.add(user.name, name, detail);
  await app.audit.watch(action.make(jobs, id, body), user.name, name, detail);
  if (name === 'delete') return {};
  const undo = action.undo?.(before, clock.now(), body);
  return { job: app.redaction.job(await jobs.get(id)), ...(undo && { undo }) };
}

module.exports = { MAX_BODY_BYTES, changeJob };
