'use strict';
// The commands that change jobs: one, several, or all that match.

const { changeCommand } = require('./change.js');
const { UsageError } = require('./failure.js');
const { MEMBERS, SCHEDULE_OPTIONS, scheduleOf } = require('./schedule-options.js');
const { duration, oneOf } = require('./values.js');

/** What `--clear` takes away. */
const CLEARABLE = Object.keys(SCHEDULE_OPTIONS).filter((name) => name !== 'delay');

const delayOf = ({ delay }) => (delay === undefined ? undefined : { delay });
const reasonOf = ({ reason }) => (reason === undefined ? undefined : { reason });

/** What `reschedule` is given: members to set, and those to take away as null. */
function scheduleChanges(values) {
  const cleared = (values.clear ?? []).map((name) => [MEMBERS[name] ?? name, null]);
  return { ...scheduleOf(values), ...Object.fromEntries(cleared) };
}

/** Members of the result of a change of times. */
const timesOf = (result) => ({
  status: result.status,
  scheduled_at: result.scheduled_at,
  next_run_at: result.next_run_at,
});
const statusOf = (job) => (job === undefined ? {} : { status: job.status });

const commands = [
  {
    name: 'retry',
    summary: 'runs failed jobs again',
    about:
      'Runs jobs that failed or were cancelled again, with all their retries; of a recurring job that is named, or chosen by ' +
      '--failing or --last-run, its last failed run.',
    done: 'retried',
    doing: 'retrying',
    statuses: ['failed', 'cancelled'],
    usual: ['failed'],
    options: { delay: { type: 'string', value: 'DURATION', read: duration, about: 'waits so long first' } },
    one: (jobs, id, values) => jobs.retry(id, delayOf(values)),
    many: (jobs, filter, values) => jobs.retryMany(filter, delayOf(values)),
    examples: [
      'ductape retry --all',
      'ductape retry --target app=email-service --from 24h --dry-run',
      'ductape retry --failing',
      'ductape retry --search TIMEOUT --yes',
    ],
  },
  {
    name: 'cancel',
    summary: 'ends jobs',
    about: 'Ends jobs, recurring ones with all future runs; runs that are going are aborted.',
    done: 'cancelled',
    doing: 'cancelling',
    statuses: ['scheduled', 'queued', 'running', 'paused'],
    options: {
      reason: { type: 'string', value: 'TEXT', about: 'shown with the job' },
      run: { type: 'boolean', about: 'of a recurring job that is named only the current run; the job goes on' },
    },
    check({ values, positionals }) {
      if (values.run && positionals.length === 0) throw new UsageError('--run: needs the id of a job');
    },
    one: (jobs, id, values) => (values.run ? jobs.cancelRun(id, reasonOf(values)) : jobs.cancel(id, reasonOf(values))),
    many: (jobs, filter, values) => jobs.cancelMany(filter, reasonOf(values)),
    resultOf: statusOf,
    examples: [
      "ductape cancel daily-report --reason 'no longer needed'",
      'ductape cancel --tag import --status queued',
    ],
  },
  {
    name: 'pause',
    summary: 'lets jobs start no run until they are resumed',
    about: 'Lets jobs start no run until they are resumed. Runs that are going end by themselves.',
    done: 'paused',
    doing: 'pausing',
    statuses: ['scheduled', 'queued', 'running'],
    one: (jobs, id) => jobs.pause(id),
    many: (jobs, filter) => jobs.pauseMany(filter),
    resultOf: statusOf,
    examples: ['ductape pause daily-report', 'ductape pause --recurring --target app=email-service'],
  },
  {
    name: 'resume',
    summary: 'lets paused jobs go on',
    about: 'Lets paused jobs go on: recurring ones with their next time, others when they are due.',
    done: 'resumed',
    doing: 'resuming',
    statuses: ['paused'],
    one: (jobs, id) => jobs.resume(id),
    many: (jobs, filter) => jobs.resumeMany(filter),
    resultOf: statusOf,
    examples: ['ductape resume daily-report', 'ductape resume --all'],
  },
  {
    name: 'run-now',
    summary: 'runs waiting jobs now',
    about: 'Runs jobs now that wait for their time; recurring ones besides their schedule, which stays as it is.',
    done: 'due now',
    doing: 'making due',
    statuses: ['scheduled'],
    one: (jobs, id) => jobs.runNow(id),
    resultOf: timesOf,
    examples: ['ductape run-now daily-report'],
  },
  {
    name: 'reschedule',
    summary: 'gives jobs another time or schedule',
    about: 'Gives jobs another time, or changes what is named of the schedule of recurring ones; all else stays.',
    done: 'rescheduled',
    doing: 'rescheduling',
    statuses: ['scheduled', 'queued', 'running', 'paused'],
    options: {
      ...SCHEDULE_OPTIONS,
      clear: {
        type: 'string',
        multiple: true,
        value: 'OPTION',
        read: oneOf(CLEARABLE),
        words: CLEARABLE,
        about: 'takes this away from the schedule, as in end-date; may be repeated',
      },
    },
    check({ values }) {
      if (Object.keys(scheduleChanges(values)).length === 0) {
        throw new UsageError(
          'reschedule: needs a time or a part of the schedule',
          'as in: ductape reschedule ID --delay 1h',
        );
      }
    },
    one: (jobs, id, values) => jobs.reschedule(id, scheduleChanges(values)),
    resultOf: timesOf,
    afterInterruption: 'what was changed stays changed; the same command begins anew',
    examples: [
      'ductape reschedule follow-up --at 2030-01-01T09:00:00Z',
      "ductape reschedule daily-report --cron '0 8 * * *' --clear end-date",
    ],
  },
  {
    name: 'delete',
    summary: 'deletes jobs with their history',
    about: 'Deletes jobs that are not running, with history, log and results.',
    done: 'deleted',
    doing: 'deleting',
    statuses: ['scheduled', 'queued', 'completed', 'failed', 'cancelled', 'paused'],
    one: (jobs, id) => jobs.delete(id),
    many: (jobs, filter) => jobs.deleteMany(filter),
    examples: ['ductape delete --status completed --to 30d --dry-run', 'ductape delete old-report'],
  },
];

module.exports = { changes: commands.map(changeCommand) };
