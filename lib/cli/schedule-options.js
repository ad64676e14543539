'use strict';
// Options that make a schedule, with names as in `schedule` of a dispatch.

const { duration, integer, time } = require('./values.js');

const SCHEDULE_OPTIONS = {
  cron: { type: 'string', value: 'CRON', about: "recurs by a cron expression, as in '0 9 * * MON-FRI'" },
  every: {
    type: 'string',
    value: 'DURATION',
    read: duration,
    about: 'recurs after so much time: ms, or as in 30s, 5m, 2h, 1d',
  },
  interval: { type: 'string', value: 'DURATION', about: 'recurs by the calendar: an ISO 8601 duration, as in P1M' },
  at: { type: 'string', value: 'TIME', read: time, about: 'first time: an ISO 8601 date, or ms since 1970' },
  delay: { type: 'string', value: 'DURATION', read: duration, about: 'first time, from now' },
  tz: { type: 'string', value: 'ZONE', about: 'time zone, as in Europe/Berlin' },
  'end-date': { type: 'string', value: 'TIME', read: time, about: 'no run after this' },
  runs: { type: 'string', value: 'N', read: integer(1), about: 'so many runs in all' },
  except: { type: 'string', multiple: true, value: 'DATE', about: 'no run on this date; may be repeated' },
  misfire: { type: 'string', value: 'HOW', words: ['once', 'skip', 'all'], about: 'missed runs: once, skip or all' },
  grace: {
    type: 'string',
    value: 'DURATION',
    read: duration,
    about: 'how late a run may begin before it counts as missed',
  },
  'if-running': {
    type: 'string',
    value: 'HOW',
    words: ['skip', 'allow'],
    about: 'a run that falls due during another: skip or allow',
  },
  spread: { type: 'string', value: 'DURATION', read: duration, about: 'shifts the runs by an offset of at most this' },
};

/** Members of a schedule by the names of their options. */
const MEMBERS = { at: 'start_at', 'end-date': 'endDate', runs: 'limit', 'if-running': 'ifRunning' };

/** The schedule that the options make; `undefined`: they name none of it. */
function scheduleOf(values) {
  const named = Object.keys(SCHEDULE_OPTIONS).filter((name) => values[name] !== undefined);
  if (named.length === 0) return undefined;
  return Object.fromEntries(named.map((name) => [MEMBERS[name] ?? name, values[name]]));
}

module.exports = { MEMBERS, SCHEDULE_OPTIONS, scheduleOf };
