'use strict';
// `metrics`: what happened over time, by target or by minute or hour.

const { UsageError } = require('./failure.js');
const { FILTER_OPTIONS, conditionsOf } = require('./filters.js');
const { countText, durationText, targetText, timeText } = require('./format.js');
const { withStore } = require('./store.js');
const { printTable } = require('./table.js');

const { namespace, product, env, target, from, to } = FILTER_OPTIONS;
const VIEWS = ['target', 'time'];

/** Columns of figures, behind those that say what they are of. */
function figureColumns(out) {
  const number = (count) => (out.isTerminal ? countText(count) : count);
  const time = (ms) => (out.isTerminal ? durationText(ms) : ms);
  const counter = (name, field, extra) => ({ name, of: (row) => number(row[field]), isNumber: true, ...extra });
  const quantile = (name, field, extra) => ({ name, of: (row) => time(row[field]?.p95), isNumber: true, ...extra });
  return [
    counter('DISPATCHED', 'dispatched', { spare: 4 }),
    counter('COMPLETED', 'completed'),
    counter('FAILED', 'failed', { style: (row) => (row.failed > 0 ? 'red' : undefined) }),
    counter('RETRIED', 'retried', { spare: 2 }),
    counter('CRASHED', 'crashed', { spare: 3, style: (row) => (row.crashed > 0 ? 'red' : undefined) }),
    quantile('P95 TIME', 'duration', { spare: 1 }),
    quantile('P95 LATE', 'lateness', { spare: 1 }),
  ];
}

module.exports = {
  name: 'metrics',
  summary: 'what happened over time, by target',
  about:
    'Tells of dispatches, how runs went, how long they took and how late they began: by target, or by minute or hour. ' +
    'Processes write what they did once a minute.',
  usage: '[options]',
  options: {
    by: {
      type: 'string',
      value: 'VIEW',
      words: VIEWS,
      about: 'a line for each target (default), or for each point of time',
    },
    namespace,
    product,
    env,
    target,
    from: { ...from, about: 'since then: an ISO 8601 date, or how long ago, as in 24h; default an hour' },
    to: { ...to, about: 'until then; default now' },
    resolution: { type: 'string', value: 'SPAN', words: ['minute', 'hour'], about: 'what a point of time stands for' },
  },
  examples: ['ductape metrics --from 24h', 'ductape metrics --by time --target app=email-service --json'],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, values } = context;
      const view = values.by ?? 'target';
      if (!VIEWS.includes(view))
        throw new UsageError(`--by: there is no view '${view}'`, `known are ${VIEWS.join(', ')}`);
      const { resolution } = values;
      const metrics = await jobs.metrics({ ...conditionsOf(values), ...(resolution && { resolution }) });
      if (out.isJson) {
        out.json(metrics);
        return;
      }
      const of =
        view === 'time'
          ? [{ name: metrics.resolution.toUpperCase(), of: ({ at }) => timeText(at, out) }]
          : [
              { name: 'NAMESPACE', of: (row) => row.namespace, spare: 5 },
              { name: 'TARGET', of: (row) => targetText(row.target), canCut: true },
            ];
      const rows = view === 'time' ? metrics.points : metrics.targets;
      if (rows.length === 0) {
        out.note('nothing happened in this time');
        return;
      }
      printTable([...of, ...figureColumns(out)], rows, out);
    }),
};
