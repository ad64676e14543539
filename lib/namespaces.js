'use strict';
// What an instance offers under its names. Each method passes its arguments on; Rust reads and checks them.

const { refuse } = require('./errors.js');
const { featureTarget } = require('./handler-target.js');
const { reported } = require('./json.js');
const { StepRecords } = require('./step-records.js');

/** As `MAX_VALUE_BYTES` in `src/api/caches.rs`. */
const MAX_CACHED_BYTES = 256 * 1024;

const NAMESPACES = [
  'actions',
  'features',
  'notifications',
  'storage',
  'events',
  'databases',
  'databases.action',
  'graphs',
  'graphs.action',
];

const namespace = (bridge, name) => ({
  dispatch: (input, more) => bridge.dispatch(name, input, false, more),
  dispatchMany: (inputs, more) => bridge.dispatch(name, inputs, true, more),
  statement: (input) => bridge.statement(name, input),
  handle: (target, handler, options) => bridge.handle(name, target, handler, options),
});

/** The namespaces that jobs are dispatched in. */
function namespaces(bridge) {
  const made = Object.fromEntries(NAMESPACES.map((name) => [name, namespace(bridge, name)]));
  return {
    actions: made.actions,
    features: {
      ...made.features,
      define: (tag, handler, options) => bridge.handle('features', featureTarget(tag), handler, options),
    },
    notifications: made.notifications,
    storage: made.storage,
    events: made.events,
    databases: { ...made.databases, action: made['databases.action'] },
    graphs: { ...made.graphs, action: made['graphs.action'] },
  };
}

/** The steps of a run, from what is recorded of them. */
function stepsOfRun(run, records) {
  const known = new StepRecords(records, run);
  return {
    run,
    steps: known.all().map(({ tag, text, isUndone }) => ({
      tag,
      status: isUndone ? 'undone' : 'finished',
      ...(text !== undefined && { result: JSON.parse(text) }),
    })),
  };
}

const jobs = (bridge) => ({
  get: (id) => bridge.call('jobs.get', { id }),
  list: (filter) => bridge.call('jobs.list', { '': filter }),
  wait: (id, options) => bridge.call('jobs.wait', { id, options }),
  cancel: (id, options) => bridge.call('jobs.cancel', { id, options }),
  cancelRun: (id, options) => bridge.call('jobs.cancelRun', { id, options }),
  cancelMany: (filter, options) => bridge.call('jobs.cancelMany', { filter, options }),
  pause: (id) => bridge.call('jobs.pause', { id }),
  pauseMany: (filter) => bridge.call('jobs.pauseMany', { filter: allIfEmpty(filter) }),
  resume: (id) => bridge.call('jobs.resume', { id }),
  resumeMany: (filter) => bridge.call('jobs.resumeMany', { filter: allIfEmpty(filter) }),
  reschedule: (id, schedule) => bridge.call('jobs.reschedule', { id, schedule }),
  runNow: (id) => bridge.call('jobs.runNow', { id }),
  skipNext: (id, options) => bridge.call('jobs.skipNext', { id, options }),
  retry: (id, options) => bridge.call('jobs.retry', { id, options }),
  retryMany: (filter, options) => bridge.call('jobs.retryMany', { filter, options }),
  delete: (id) => bridge.call('jobs.delete', { id }),
  deleteMany: (filter) => bridge.call('jobs.deleteMany', { filter }),
  getStats: (filter) => bridge.call('jobs.getStats', { '': filter }),
  metrics: (options) => bridge.call('jobs.metrics', { '': options }),
  processes: () => bridge.call('jobs.processes'),
  steps: async (id) => stepsOfRun(...(await bridge.call('jobs.steps', { id }))),
  targets: (filter) => bridge.call('jobs.targets', { '': filter }),
  audit: (options) => bridge.call('jobs.audit', { options }),
  logs: (id) => bridge.call('jobs.logs', { id }),
  getHistory: (id, options) => bridge.call('jobs.getHistory', { id, options }),
  preview: (schedule, options) => bridge.call('jobs.preview', { schedule, options }),
  explain: (id) => bridge.call('jobs.explain', { id }),
  setWebhook: (webhook) => bridge.call('jobs.setWebhook', { '': webhook }),
  listWebhooks: () => bridge.call('jobs.listWebhooks'),
  deleteWebhook: (idOrUrl) => bridge.call('jobs.deleteWebhook', { idOrUrl }),
  on: (event, listener) => bridge.listeners.add(event, listener, false),
  once: (event, listener) => bridge.listeners.add(event, listener, true),
  off: (event, listener) => bridge.listeners.remove(event, listener),
});

const sessions = (bridge) => ({
  start: (session) => bridge.call('sessions.start', { '': session }),
  verify: (session) => bridge.call('sessions.verify', { '': session }),
  refresh: (session) => bridge.call('sessions.refresh', { '': session }),
  revoke: (session) => bridge.call('sessions.revoke', { '': session }),
});

/**
 * A filter that is written as `{}` means all jobs where that can be taken back. One whose values are undefined does not: it is
 * mostly a mistake.
 */
function allIfEmpty(filter) {
  const isWritten = typeof filter === 'object' && filter !== null && Object.getPrototypeOf(filter) === Object.prototype;
  return isWritten && Reflect.ownKeys(filter).length === 0 ? { all: true } : filter;
}

/** Refuses many bytes before each of them is made a number of a JSON list. */
function withoutManyBytes(entry) {
  const value = reported('value', () => entry?.value);
  if (ArrayBuffer.isView(value) && value.byteLength > MAX_CACHED_BYTES) {
    refuse('value', `is ${value.byteLength} bytes, the limit of a value is ${MAX_CACHED_BYTES} bytes of JSON`);
  }
  return entry;
}

const caches = (bridge) => ({
  get: (entry) => bridge.call('caches.get', { '': entry }),
  set: async (entry) => bridge.call('caches.set', { '': withoutManyBytes(entry) }),
  clear: (entry) => bridge.call('caches.clear', { '': entry }),
  clearAll: (cache) => bridge.call('caches.clearAll', { '': cache }),
});

const clock = (bridge) => ({
  now: () => bridge.now,
  advance: (by, options) => bridge.call('clock.advance', { by, options }),
  set: (date, options) => bridge.call('clock.set', { date, options }),
});

const resources = (bridge) => ({ check: (options) => bridge.call('resources.check', { options }) });

module.exports = { NAMESPACES, namespaces, jobs, sessions, caches, clock, resources };
