'use strict';
// Failures by target and code, so that one cause is one row.

const { RANGES } = require('./parameters.js');
const { pagesOf } = require('./job-looks.js');

const MAX_JOBS = 500;
const FIRST_JOBS = 500;
const MAX_GROUPS = 200;
const MAX_MESSAGE_CHARS = 500;
const FRESH_MS = 2_000;

/** What a job failed with, and when; of a recurring one its last run. */
function failureOf(job) {
  if (job.recurring) return { at: job.last_run?.ended_at, error: job.last_run?.error ?? job.error };
  return { at: job.completed_at, error: job.error };
}

class Groups {
  #groups = new Map();
  #redaction;

  constructor(redaction) {
    this.#redaction = redaction;
  }

  add(job, { at, error }) {
    const { namespace, product, env, target, id } = job;
    const safe = error && this.#redaction.part('error', error);
    const code = String(safe?.code ?? 'Error');
    const key = JSON.stringify([namespace, product, env, target, code, job.recurring]);
    const group = this.#groups.get(key) ?? {
      namespace,
      product,
      env,
      target,
      code,
      recurring: job.recurring,
      count: 0,
      last_at: 0,
    };
    group.count++;
    if (at >= group.last_at) {
      group.last_at = at;
      group.sample = { id, message: String(safe?.message ?? job.last_error ?? '').slice(0, MAX_MESSAGE_CHARS) };
    }
    this.#groups.set(key, group);
  }

  list() {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count || b.last_at - a.last_at);
  }
}

async function failuresOf({ ductape, redaction }, range) {
  const { jobs, clock } = ductape;
  const now = clock.now();
  const from = now - RANGES[range];
  const groups = new Groups(redaction);
  let cut = false;
  const look = async (filter) => {
    let seen = 0;
    for await (const page of pagesOf(jobs, filter, { limit: MAX_JOBS, first: FIRST_JOBS })) {
      for (const job of page.jobs) {
        const failure = failureOf(job);
        if (failure.at !== undefined && failure.at >= from) groups.add(job, failure);
      }
      seen += page.jobs.length;
      if (seen >= MAX_JOBS && page.next !== undefined) cut = true;
    }
  };
  await Promise.all([look({ status: 'failed' }), look({ failing: true })]);
  const all = groups.list();
  return { at: now, range, groups: all.slice(0, MAX_GROUPS), cut: cut || all.length > MAX_GROUPS };
}

/** `GET /api/failures` */
function failures({ app, query }) {
  const range = query.range();
  query.done();
  return app.looks.get(`failures ${range}`, FRESH_MS, () => failuresOf(app, range));
}

module.exports = { failures };
