'use strict';
// A change of jobs: of those that are named by their ids, or of all that match. The latter are counted first, and the change can
// be ended at any time: what was changed does not match any more, so that the same command goes on.

const { readFileSync } = require('node:fs');
const { EXIT, exitCodeOf } = require('./exit-codes.js');
const { isConfirmed } = require('./confirm.js');
const { UsageError, described, report } = require('./failure.js');
const { FILTER_OPTIONS, conditionsOf, matchingJobs, predicateOf, tellUnread } = require('./filters.js');
const { jobColumns, jobsText } = require('./format.js');
const { STATES } = require('./names.js');
const { Progress, withProgress } = require('./progress.js');
const { withStore } = require('./store.js');
const { printTable } = require('./table.js');
const { integer } = require('./values.js');

/** Changes by ids that are made at once. */
const CONCURRENT_CHANGES = 200;
/** Jobs that a dry run shows. */
const SHOWN_JOBS = 10;
/** Errors that say that a job is not in a state to be changed any more. */
const PASSED_OVER = new Set(['CONFLICT', 'NOT_FOUND']);

const CHANGE_OPTIONS = {
  ...FILTER_OPTIONS,
  all: { type: 'boolean', about: 'all jobs, where no option chooses some' },
  limit: { type: 'string', value: 'N', read: integer(1), about: 'at most so many jobs, newest first' },
  'dry-run': { type: 'boolean', about: 'counts and shows the jobs, and changes nothing' },
  yes: { type: 'boolean', short: 'y', about: 'does not ask' },
};

/** Ids of the arguments; `-` stands for those on standard input. */
const idsOf = (positionals) =>
  positionals.flatMap((id) => (id === '-' ? readFileSync(0, 'utf8').split(/\s+/).filter(Boolean) : [id]));

/** Changes the jobs with these ids, one after the other; each failure is told. */
async function changeNamed(context, ductape, change, ids) {
  const { out, values } = context;
  const results = [];
  let code = EXIT.DONE;
  for (const id of ids) {
    try {
      const found = values['dry-run'] ? await ductape.jobs.get(id) : await change.one(ductape.jobs, id, values);
      results.push({ id, ...change.resultOf?.(found) });
      if (!out.isJson) out.line(values['dry-run'] ? `${id} would be ${change.done}` : `${id} ${change.done}`);
    } catch (error) {
      if (code === EXIT.DONE) code = exitCodeOf(error);
      const { remedy: _, ...failure } = described(error);
      results.push({ id, error: failure });
      if (!out.isJson) report(error, out);
    }
  }
  const failed = results.filter((each) => each.error).length;
  if (out.isJson) {
    out.json({
      count: values['dry-run'] ? 0 : ids.length - failed,
      failed,
      dry_run: values['dry-run'] === true,
      results,
    });
  }
  return code;
}

/** Conditions that `getStats` counts by, exactly and at once. */
const COUNTED = new Set(['status', 'product', 'env', 'namespace']);

/** How many jobs match; `undefined`: that cannot be told without looking at each. */
async function countOf(jobs, filter) {
  const { status, ...others } = filter;
  if (Object.keys(others).every((name) => COUNTED.has(name))) {
    const stats = await jobs.getStats(others);
    return status.reduce((sum, each) => sum + (stats[each] ?? 0), 0);
  }
  const { total, total_exact: isExact } = await jobs.list({ ...filter, limit: 1, count: true });
  return isExact ? total : undefined;
}

/** What is to be changed, how many that are, and the first of them. */
async function select(context, { jobs }, change) {
  const { values, out } = context;
  const conditions = conditionsOf(values);
  const predicate = predicateOf(values);
  if (Object.keys(conditions).length === 0 && !predicate && !values.all) {
    const remedy = `--all means all jobs; see: ductape ${change.name} --help`;
    throw new UsageError(`${change.name}: needs ids, or options that choose jobs`, remedy);
  }
  // Of recurring jobs a run is changed, whatever their own state; and they match until another run has ended.
  const isOfRuns = change.usual !== undefined && (conditions.failing || conditions.last_run !== undefined);
  const asked = values.status ?? change.usual ?? change.statuses;
  const status = asked.filter((each) => !change.passed.includes(each));
  if (status.length === 0 && !isOfRuns)
    return { matched: 0, why: `jobs that are ${asked.join(' or ')} cannot be ${change.done}` };
  const filter = isOfRuns ? conditions : { ...conditions, status };
  if (change.many && !isOfRuns && !predicate && values.limit === undefined) {
    // Also refuses conditions that are wrong.
    const { jobs: shown } = await jobs.list({ ...filter, limit: SHOWN_JOBS });
    const matched = await countOf(jobs, filter);
    if (matched !== undefined) return { filter, matched, shown };
  }
  const ids = [];
  const shown = [];
  const progress = new Progress(out, 'looking at jobs');
  try {
    for await (const job of matchingJobs(jobs, filter, predicate, (_, seen) => progress.update(seen))) {
      if (ids.push(job.id) <= SHOWN_JOBS) shown.push(job);
      if (ids.length === values.limit) break;
    }
  } finally {
    progress.end();
  }
  tellUnread(predicate, out);
  return { ids, matched: ids.length, shown };
}

/** Changes the chosen jobs in groups; returns how many were. */
async function changeEach(context, { jobs }, change, ids) {
  const progress = new Progress(context.out, change.doing, { total: ids.length });
  const end = () => progress.end();
  context.restorers.add(end);
  let changed = 0;
  try {
    for (let at = 0; at < ids.length; at += CONCURRENT_CHANGES) {
      const group = ids.slice(at, at + CONCURRENT_CHANGES);
      const outcomes = await Promise.allSettled(group.map((id) => change.one(jobs, id, context.values)));
      changed += outcomes.filter(({ status }) => status === 'fulfilled').length;
      const failed = outcomes.find(({ reason }) => reason && !PASSED_OVER.has(reason.code));
      if (failed) throw failed.reason;
      progress.update(at + group.length);
    }
  } finally {
    end();
    context.restorers.delete(end);
  }
  return changed;
}

/** Changes all that match by the verb for many; returns how many were. */
async function changeAll(context, { jobs }, change, { filter, matched }) {
  const progress = new Progress(context.out, change.doing, { total: matched });
  const measure = async () => matched - ((await countOf(jobs, filter)) ?? matched);
  const { count } = await withProgress(progress, context, measure, () => change.many(jobs, filter, context.values));
  return count;
}

function tellDryRun({ out }, change, { matched, shown, why }) {
  if (out.isJson) {
    out.json({ count: 0, matched, dry_run: true });
    return;
  }
  if (shown?.length > 0) printTable(jobColumns(out), shown, out);
  if (matched > SHOWN_JOBS) out.note('…');
  out.note(why ?? `${jobsText(matched)} would be ${change.done}`);
}

async function changeMatching(context, ductape, change) {
  const { out, values } = context;
  const selection = await select(context, ductape, change);
  const { matched, ids, why } = selection;
  if (values['dry-run']) {
    tellDryRun(context, change, selection);
    return EXIT.DONE;
  }
  if (matched > 0 && !(await isConfirmed(`${change.name} ${jobsText(matched)}`, context))) {
    out.note('nothing was changed');
    return EXIT.FAILED;
  }
  let count = 0;
  if (matched > 0)
    count = await (ids ? changeEach(context, ductape, change, ids) : changeAll(context, ductape, change, selection));
  if (out.isJson) {
    out.json({ count, matched, dry_run: false });
  } else if (matched === 0) {
    out.note(why ?? 'no job matches');
  } else {
    out.line(`${jobsText(count)} ${change.done}`);
    if (count < matched) out.note(`${jobsText(matched - count)} passed over: their state does not allow it`);
  }
  return EXIT.DONE;
}

/**
 * The command of a change: `{ name, done, doing, statuses, usual?, one, many?, options?, check?, … }`. `statuses` are those that
 * it can change, `usual` those that it does where no status is named.
 */
function changeCommand(change) {
  // What no status is must be refused by the package, not passed over here.
  const full = { ...change, passed: STATES.filter((status) => !change.statuses.includes(status)) };
  return {
    name: change.name,
    summary: change.summary,
    about: change.about,
    usage: 'ID… | OPTIONS',
    arguments: { min: 0, max: Number.POSITIVE_INFINITY },
    notes: [
      'Without ids, changes all jobs that match, and asks before; - reads ids from standard input.',
      ...(change.usual ? [`Without --status, jobs that are ${change.usual.join(' or ')}.`] : []),
    ],
    options: { ...change.options, ...CHANGE_OPTIONS },
    examples: change.examples,
    afterInterruption: change.afterInterruption ?? 'what was changed stays changed; the same command goes on',
    run(context) {
      const { values, positionals } = context;
      const chosen = Object.keys({ ...FILTER_OPTIONS, all: 0, limit: 0 }).filter((name) => values[name] !== undefined);
      if (positionals.length > 0 && chosen.length > 0) {
        throw new UsageError(`${change.name}: takes ids, or options that choose jobs, not both: --${chosen[0]}`);
      }
      change.check?.(context);
      const ids = idsOf(positionals);
      if (positionals.length > 0 && ids.length === 0) return noIds(context);
      return withStore(context, (ductape) =>
        ids.length > 0 ? changeNamed(context, ductape, full, ids) : changeMatching(context, ductape, full),
      );
    },
  };
}

/** What comes out of a pipe may be nothing. */
function noIds({ out, values }) {
  if (out.isJson) out.json({ count: 0, failed: 0, dry_run: values['dry-run'] === true, results: [] });
  else out.line('no ids on standard input');
  return EXIT.DONE;
}

module.exports = { changeCommand };
