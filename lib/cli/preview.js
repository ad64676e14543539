'use strict';
// `preview`: when a schedule would run.

const { EXIT } = require('./exit-codes.js');
const { UsageError } = require('./failure.js');
const { distanceText, timeText } = require('./format.js');
const { SCHEDULE_OPTIONS, scheduleOf } = require('./schedule-options.js');
const { withStore, withoutStore } = require('./store.js');
const { printTable } = require('./table.js');
const { integer, time } = require('./values.js');

/** The time in a zone; empty for one that this Node does not know. */
function zonedText(ms, timeZone) {
  try {
    return new Date(ms).toLocaleString('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  } catch {
    return '';
  }
}

/** The schedule that is meant: of options, of an argument, or of a job. */
function givenSchedule({ values, positionals }) {
  const [cron] = positionals;
  if (cron !== undefined && values.cron !== undefined)
    throw new UsageError('--cron: the argument is a cron expression already');
  const schedule = scheduleOf({ ...values, ...(cron !== undefined && { cron }) });
  if (values.job !== undefined && schedule)
    throw new UsageError('--job: takes the schedule of the job; leave the other options out');
  if (values.job === undefined && !schedule) {
    throw new UsageError('preview: needs a schedule', "as in: ductape preview '0 9 * * *' --tz Europe/Berlin");
  }
  return schedule;
}

module.exports = {
  name: 'preview',
  summary: 'shows when a schedule would run',
  about: 'Shows when a schedule would run, without making a job. Needs no store, but for --job.',
  usage: '[CRON] [options]',
  arguments: { min: 0, max: 1 },
  options: {
    ...SCHEDULE_OPTIONS,
    job: { type: 'string', value: 'ID', about: 'the schedule of this job' },
    from: { type: 'string', value: 'TIME', read: time, about: 'times from then on; default: now' },
    count: { type: 'string', value: 'N', read: integer(1), about: 'so many times; default 5' },
  },
  examples: [
    "ductape preview '0 2 * * *' --tz Europe/Berlin --from 2027-03-27",
    'ductape preview --every 90m --count 3',
    'ductape preview --job daily-report',
  ],
  async run(context) {
    const { values, out } = context;
    const { job: id, from, count } = values;
    const given = givenSchedule(context);
    const [times, tz, now] = await (id === undefined ? withoutStore : withStore)(context, async ({ jobs, clock }) => {
      const schedule = given ?? (await jobs.get(id)).schedule;
      if (schedule === undefined)
        throw new UsageError(`--job: a newer version of the package made the schedule of ${id}`, 'update ductape');
      const options = { ...(from !== undefined && { from }), ...(count !== undefined && { count }) };
      return [await jobs.preview(schedule, options), schedule.tz, clock.now()];
    });
    if (out.isJson) {
      out.json({ times });
    } else if (times.length === 0) {
      out.note('it has no run to come');
    } else {
      const columns = [
        { name: 'TIME', of: (ms) => timeText(ms, out) },
        { name: tz ?? 'UTC', of: (ms) => zonedText(ms, tz ?? 'UTC') },
        { name: 'WHEN', of: (ms) => distanceText(ms, now) },
      ];
      printTable(columns, times, out);
    }
    return times.length > 0 ? EXIT.DONE : EXIT.NOT_FOUND;
  },
};
