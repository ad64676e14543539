'use strict';
// What `top` shows: counts, rates since the sample before, targets that have work, the last failures, processes.

const { ratesOf } = require('../rates.js');

const LOOKED_AT = 200;
const FAILURES = 50;

/** Running and queued jobs by namespace and target, those with the most work first. */
function targetsOf(running, queued) {
  const found = new Map();
  const add = (job, state) => {
    const key = JSON.stringify([job.namespace, job.target]);
    const entry = found.get(key) ?? { namespace: job.namespace, target: job.target, running: 0, queued: 0 };
    entry[state]++;
    if (state === 'queued') entry.oldest_due = Math.min(entry.oldest_due ?? job.scheduled_at, job.scheduled_at);
    found.set(key, entry);
  };
  for (const job of running) add(job, 'running');
  for (const job of queued) add(job, 'queued');
  return [...found.values()].sort((a, b) => b.running + b.queued - (a.running + a.queued));
}

/** Jobs that failed for good, and recurring ones whose last runs did: how often in a row. */
function failuresOf(failed, failing) {
  const once = failed.map(({ id, namespace, target, completed_at: at, error }) => ({
    id,
    namespace,
    target,
    at,
    error,
  }));
  const recurring = failing.map(({ id, namespace, target, last_run: last, failing: row }) => ({
    id,
    namespace,
    target,
    at: last?.ended_at,
    error: last?.error,
    in_a_row: row?.runs,
  }));
  return [...once, ...recurring]
    .sort((a, b) => (b.at ?? 0) - (a.at ?? 0))
    .slice(0, FAILURES)
    .map(({ error, ...each }) => ({ ...each, error: error && { code: error.code, message: error.message } }));
}

/** One look at the store. `before` is the sample before. */
async function takeSample({ jobs, clock }, filter, before) {
  const pageOf = async (those) => (await jobs.list({ ...filter, ...those, limit: LOOKED_AT })).jobs;
  const [stats, running, queued, failed, failing, processes] = await Promise.all([
    jobs.getStats(filter),
    pageOf({ status: 'running' }),
    pageOf({ status: 'queued' }),
    pageOf({ status: 'failed' }),
    pageOf({ failing: true }),
    jobs.processes(),
  ]);
  const at = clock.now();
  return {
    at,
    stats,
    rates: ratesOf(before, { at, stats }),
    targets: targetsOf(running, queued),
    // Not all of them were looked at.
    partial: stats.running > running.length || stats.queued > queued.length,
    failures: failuresOf(failed, failing),
    processes,
  };
}

module.exports = { takeSample };
