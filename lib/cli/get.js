'use strict';
// `get`: all about one job.

const { escaped } = require('../text.js');
const {
  distanceText,
  durationText,
  errorText,
  STATUS_STYLES,
  scheduleText,
  targetText,
  timeText,
} = require('./format.js');
const { withStore } = require('./store.js');
const { printPairs, printTable } = require('./table.js');
const { integer } = require('./values.js');

const DEFAULT_ATTEMPTS = 10;

const jsonText = (value) => (value === undefined ? undefined : escaped(JSON.stringify(value)));

function jobPairs(job, out, now) {
  const at = (ms) => {
    if (ms === undefined) return undefined;
    return out.isTerminal ? `${timeText(ms, out)} (${distanceText(ms, now)})` : timeText(ms, out);
  };
  return [
    ['id', escaped(job.id)],
    ['status', out.paint(STATUS_STYLES[job.status], job.status)],
    ['namespace', job.namespace],
    ['target', targetText(job.target)],
    ['product', escaped(job.product)],
    ['env', escaped(job.env)],
    ['schedule', escaped(scheduleText(job))],
    ['due', at(job.scheduled_at)],
    ['next run', at(job.next_run_at)],
    ['started', at(job.started_at)],
    ['ended', at(job.completed_at)],
    ['created', at(job.created_at)],
    ['runs', job.limit === undefined ? String(job.execution_count) : `${job.execution_count} of ${job.limit}`],
    ['attempt', job.attempt > 0 ? `${job.attempt}, ${job.retry_count} of ${job.retries} retries spent` : undefined],
    ['priority', job.priority === 0 ? undefined : String(job.priority)],
    ['tags', escaped(job.tags.join(', '))],
    ['cancelled for', job.cancel_reason && escaped(job.cancel_reason)],
    ['error', job.error && out.paint('red', escaped(errorText(job.error)))],
    ['progress', jsonText(job.progress)],
    ['input', jsonText(job.input)],
    ['result', jsonText(job.result)],
  ];
}

const attemptColumns = (out) => [
  { name: 'RUN', of: (each) => each.number, isNumber: true },
  { name: 'ATTEMPT', of: (each) => each.attempt, isNumber: true },
  { name: 'STATUS', of: (each) => each.status, style: (each) => STATUS_STYLES[each.status] },
  { name: 'STARTED', of: (each) => timeText(each.started_at, out) },
  { name: 'TOOK', of: (each) => durationText(each.duration_ms), isNumber: true },
  {
    name: 'ERROR',
    of: (each) => each.error && errorText(each.error),
    canCut: true,
    style: () => 'red',
  },
];

const gapColumns = (out) => [
  { name: 'NOT RUN', of: (gap) => gap.reason },
  { name: 'COUNT', of: (gap) => gap.count, isNumber: true },
  { name: 'FROM', of: (gap) => timeText(gap.from, out) },
  { name: 'TO', of: (gap) => timeText(gap.to, out) },
];

module.exports = {
  name: 'get',
  summary: 'shows a job with its last attempts',
  about: 'Shows a job: state, schedule, input, result, error and its last attempts.',
  usage: 'ID [options]',
  arguments: { min: 1 },
  options: {
    history: {
      type: 'string',
      value: 'N',
      read: integer(0, 1_000),
      about: `shows so many attempts; default ${DEFAULT_ATTEMPTS}`,
    },
    stack: { type: 'boolean', about: 'shows the stack of the last error' },
  },
  examples: ['ductape get daily-report', 'ductape get daily-report --history 100 --json'],
  run: (context) =>
    withStore(context, async ({ jobs, clock }) => {
      const { out, values, positionals } = context;
      const [id] = positionals;
      const { history: limit = DEFAULT_ATTEMPTS } = values;
      const job = await jobs.get(id);
      const history = limit > 0 ? await jobs.getHistory(id, { limit }) : undefined;
      if (out.isJson) {
        out.json({ ...job, ...(history && { history }) });
        return;
      }
      printPairs(jobPairs(job, out, clock.now()), out);
      if (values.stack && job.error?.stack) out.line(`\n${job.error.stack.split('\n').map(escaped).join('\n')}`);
      if (history?.executions.length > 0) {
        out.line();
        printTable(attemptColumns(out), history.executions, out);
        if (history.next !== undefined) out.note('there are earlier attempts; show them with --history');
      }
      const gaps = [...(history?.missed ?? []), ...(history?.skipped ?? [])].sort((a, b) => b.from - a.from);
      if (gaps.length > 0) {
        out.line();
        printTable(gapColumns(out), gaps, out);
      }
    }),
};
