'use strict';
// `dispatch`: stores jobs from options, or from JSON on standard input; checked as in code.

const { readFileSync } = require('node:fs');
const { UsageError } = require('./failure.js');
const { jobsText, timeText } = require('./format.js');
const { NAMESPACES } = require('./names.js');
const { nearName } = require('./near-name.js');
const { SCHEDULE_OPTIONS, scheduleOf } = require('./schedule-options.js');
const { withStore, withoutStore } = require('./store.js');
const { printTable } = require('./table.js');
const { duration, integer, json, oneOf, pair } = require('./values.js');

/** Remedy for a job that does not say whose it is. */
const NAMED = 'name them with --product and --env, or in a --config';

const JOB_OPTIONS = {
  target: {
    type: 'string',
    multiple: true,
    value: 'FIELD=VALUE',
    read: pair,
    about: 'a field of the target, as in app=email-service; may be repeated',
  },
  input: { type: 'string', value: 'JSON', read: json, about: 'the input; @FILE reads it from a file; default {}' },
  'job-id': { type: 'string', value: 'ID', about: 'your own id: a second dispatch with it makes no second job' },
  'on-conflict': {
    type: 'string',
    value: 'HOW',
    read: oneOf(['return', 'replace', 'error']),
    words: ['return', 'replace', 'error'],
    about: 'for an id that is there: return, replace or error',
  },
  retries: { type: 'string', value: 'N', read: integer(0), about: 'further attempts after a failed first one' },
  timeout: { type: 'string', value: 'DURATION', read: duration, about: 'time limit of an attempt' },
  priority: {
    type: 'string',
    value: 'N',
    read: integer(Number.MIN_SAFE_INTEGER),
    about: 'of the jobs that are due, lower ones start first',
  },
  unique: { type: 'string', value: 'KEY', about: 'makes no second job with this key until the first has ended' },
  session: { type: 'string', value: 'TAG:TOKEN', about: 'the session on whose behalf the job runs' },
  cache: { type: 'string', value: 'TAG', about: 'the cache that keeps and serves the result' },
  ...SCHEDULE_OPTIONS,
};

const COMMON_OPTIONS = {
  product: { type: 'string', value: 'NAME', about: 'product of jobs that name none' },
  env: { type: 'string', value: 'NAME', about: 'environment of jobs that name none' },
  tag: { type: 'string', multiple: true, value: 'TAG', about: 'a label to find the job by; may be repeated' },
  'dry-run': { type: 'boolean', about: 'checks the jobs and stores nothing' },
};

/** The job that the options describe. */
function jobOf(values) {
  const schedule = scheduleOf(values);
  const same = ['retries', 'timeout', 'priority', 'session', 'cache'].filter((name) => values[name] !== undefined);
  return {
    ...Object.fromEntries(values.target ?? []),
    input: values.input ?? {},
    ...Object.fromEntries(same.map((name) => [name, values[name]])),
    ...(values['job-id'] !== undefined && { job_id: values['job-id'] }),
    ...(values['on-conflict'] && { onConflict: values['on-conflict'] }),
    ...(values.unique !== undefined && { unique: { key: values.unique } }),
    ...(values.tag && { tags: values.tag }),
    ...(schedule && { schedule }),
  };
}

/** One job or a list of them from standard input. */
function jobsOfInput() {
  if (process.stdin.isTTY) {
    throw new UsageError(
      'dispatch: needs --target, or JSON on standard input',
      "as in: ductape dispatch features --target tag=resize --input '{}'",
    );
  }
  const text = readFileSync(0, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    const problem =
      text.trim() === '' ? 'is empty; give a job as JSON, or --target and --input' : `is not JSON: ${error.message}`;
    throw new UsageError(`standard input: ${problem}`);
  }
}

function namespaceOf(ductape, name) {
  const [first, second] = name.split('.');
  return second ? ductape[first][second] : ductape[first];
}

const columns = (out) => [
  { name: 'ID', of: (job) => job.job_id },
  { name: 'STATUS', of: (job) => job.status },
  { name: 'DUE', of: (job) => timeText(job.next_run_at ?? job.scheduled_at, out) },
];

function print(result, isDryRun, out) {
  const results = [result].flat();
  if (isDryRun) {
    out.isJson
      ? out.json({ dry_run: true, count: results.length })
      : out.line(`${jobsText(results.length)} would be stored`);
  } else if (out.isJson) {
    out.json(result);
  } else {
    printTable(columns(out), results, out);
  }
}

module.exports = {
  name: 'dispatch',
  summary: 'stores a job, or several',
  about:
    'Stores a job from options, or jobs from JSON on standard input: an object as `dispatch` takes it, or a list of them.',
  usage: 'NAMESPACE [options]',
  words: NAMESPACES,
  arguments: { min: 1 },
  notes: [`NAMESPACE is one of ${NAMESPACES.join(', ')}.`, 'Standard input is read when no option describes a job.'],
  options: { ...JOB_OPTIONS, ...COMMON_OPTIONS },
  examples: [
    'ductape dispatch features --target tag=resize --input \'{"width":80}\' --delay 10m',
    "ductape dispatch actions --target app=email-service --target event=send --cron '0 9 * * *' --job-id daily",
    'ductape dispatch features < jobs.json',
  ],
  async run(context) {
    const { values, positionals, out } = context;
    const [name] = positionals;
    if (!NAMESPACES.includes(name)) {
      const near = nearName(name, NAMESPACES);
      throw new UsageError(
        `dispatch: there is no namespace '${name}'`,
        near ? `did you mean ${near}?` : `there are ${NAMESPACES.join(', ')}`,
      );
    }
    const isDescribed = Object.keys({ ...JOB_OPTIONS, tag: 0 }).some((option) => values[option] !== undefined);
    const input = isDescribed ? jobOf(values) : jobsOfInput();
    const act = async (ductape) => {
      const namespace = namespaceOf(ductape, name);
      try {
        return await (Array.isArray(input) ? namespace.dispatchMany(input) : namespace.dispatch(input));
      } catch (error) {
        if (error.details?.some(({ path }) => /(^|\.)(product|env)$/.test(path))) error.remedy = NAMED;
        throw error;
      }
    };
    const options = { ...(values.product && { product: values.product }), ...(values.env && { env: values.env }) };
    const isDryRun = values['dry-run'] === true;
    const result = isDryRun
      ? await withoutStore(context, act, options)
      : await withStore(context, act, { mayCreate: true, options });
    print(result, isDryRun, out);
  },
};
