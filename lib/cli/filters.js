'use strict';
// Options that choose jobs, and jobs that they choose. Conditions of `jobs.list` are passed on; `--search` and `--input` are
// looked at here, page by page, since no store has an index of inputs.

const { UsageError } = require('./failure.js');
const { NAMESPACES, STATES } = require('./names.js');
const { list, pair, timeOrAgo } = require('./values.js');

const PAGE_JOBS = 1_000;
const LAST_RUNS = ['completed', 'failed', 'cancelled'];

const FILTER_OPTIONS = {
  status: {
    type: 'string',
    multiple: true,
    flatten: true,
    value: 'STATUS,…',
    words: STATES,
    read: list,
    about: 'in one of these states',
  },
  namespace: { type: 'string', value: 'NAME', words: NAMESPACES, about: 'of this kind: actions, features, …' },
  product: { type: 'string', value: 'NAME', about: 'of this product' },
  env: { type: 'string', value: 'NAME', about: 'of this environment' },
  target: {
    type: 'string',
    multiple: true,
    value: 'FIELD=VALUE',
    read: pair,
    about: 'whose target has this field, as in app=email-service; may be repeated',
  },
  tag: { type: 'string', multiple: true, value: 'TAG', about: 'that have this tag; may be repeated' },
  recurring: { type: 'boolean', about: 'that recur' },
  once: { type: 'boolean', about: 'that run once' },
  failing: { type: 'boolean', about: 'that recur and whose last runs failed' },
  'last-run': { type: 'string', value: 'STATUS', words: LAST_RUNS, about: 'that recur and whose last run ended so' },
  from: {
    type: 'string',
    value: 'TIME',
    read: timeOrAgo,
    about: 'created at or after: an ISO 8601 date, or how long ago, as in 2h',
  },
  to: { type: 'string', value: 'TIME', read: timeOrAgo, about: 'created at or before' },
  search: {
    type: 'string',
    value: 'TEXT',
    about: 'with this text in id, target, tags, input, progress, result or last error; case does not matter',
  },
  input: {
    type: 'string',
    multiple: true,
    value: 'PATH=VALUE',
    read: pair,
    about: 'whose input has this value, as in body.order=456; may be repeated',
  },
};

/** Conditions of `jobs.list` that the options name. */
function conditionsOf(values) {
  if (values.recurring && values.once) throw new UsageError('--recurring and --once exclude each other');
  const conditions = {};
  for (const name of ['status', 'namespace', 'product', 'env', 'from', 'to']) {
    if (values[name] !== undefined) conditions[name] = values[name];
  }
  if (values.failing) conditions.failing = true;
  if (values['last-run'] !== undefined) conditions.last_run = values['last-run'];
  if (values.target) conditions.target = Object.fromEntries(values.target);
  if (values.tag) conditions.tags = values.tag;
  if (values.recurring || values.once) conditions.recurring = values.recurring === true;
  return conditions;
}

/** Whether `value` at the end of the path, or an element of a list on the way, is written like `text`. */
function hasValue(value, path, text) {
  if (Array.isArray(value) && !Object.hasOwn(value, path[0])) return value.some((each) => hasValue(each, path, text));
  if (path.length > 0) {
    const [name, ...rest] = path;
    const isObject = value !== null && typeof value === 'object';
    return isObject && Object.hasOwn(value, name) && hasValue(value[name], rest, text);
  }
  if (value === undefined) return false;
  return typeof value === 'string' ? value === text : JSON.stringify(value) === text;
}

/** A job's texts that `--search` looks into. */
const searchedText = (job) =>
  JSON.stringify([job.id, job.target, job.tags, job.input, job.progress, job.result, job.last_error]).toLowerCase();

const isFound = (text, needles) => needles.some((needle) => text.includes(needle));

/** The test that the store cannot make; `undefined`: there is none. */
function predicateOf(values) {
  // A piece of JSON, or a text as JSON writes it: with its quotes and line breaks.
  const { search } = values;
  const needles =
    search === undefined ? [] : [search, JSON.stringify(search).slice(1, -1)].map((text) => text.toLowerCase());
  const inputs = (values.input ?? []).map(([path, text]) => [path.split('.'), text]);
  if (search === undefined && inputs.length === 0) return undefined;
  const test = (job) => {
    if (job.input?.$encrypted !== undefined) test.unread++;
    return (
      (search === undefined || isFound(searchedText(job), needles)) &&
      inputs.every(([path, text]) => hasValue(job.input, path, text))
    );
  };
  /** How many inputs were encrypted, so that nothing was found in them. */
  test.unread = 0;
  return test;
}

/** Tells that inputs could not be searched. */
function tellUnread(predicate, out) {
  if (!predicate?.unread || out.isJson) return;
  const inputs = predicate.unread === 1 ? '1 input is' : `${predicate.unread} inputs are`;
  out.note(`${inputs} encrypted and could not be searched; give encryptionKeys with --config`);
}

/** All jobs that match, newest first. `onPage(found, seen)` is told after each page. */
async function* matchingJobs(jobs, conditions, predicate, onPage = () => {}) {
  let [cursor, found, seen] = [undefined, 0, 0];
  do {
    const page = await jobs.list({ ...conditions, limit: PAGE_JOBS, ...(cursor !== undefined && { cursor }) });
    for (const job of page.jobs) {
      seen++;
      if (predicate && !predicate(job)) continue;
      found++;
      yield job;
    }
    onPage(found, seen);
    cursor = page.next;
  } while (cursor !== undefined);
}

module.exports = { FILTER_OPTIONS, conditionsOf, matchingJobs, predicateOf, tellUnread };
