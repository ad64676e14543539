'use strict';
// `stats`: how many jobs there are in each state.

const { STATUS_STYLES, countText } = require('./format.js');
const { FILTER_OPTIONS, conditionsOf } = require('./filters.js');
const { STATES } = require('./names.js');
const { withStore } = require('./store.js');
const { printTable } = require('./table.js');

module.exports = {
  name: 'stats',
  summary: 'counts jobs by state',
  about: 'Counts jobs by state, and how runs went; with --from and --to dispatches, and runs that ended between.',
  usage: '[options]',
  options: {
    product: FILTER_OPTIONS.product,
    env: FILTER_OPTIONS.env,
    namespace: FILTER_OPTIONS.namespace,
    from: { ...FILTER_OPTIONS.from, about: 'runs that ended since then: an ISO 8601 date, or how long ago, as in 24h' },
    to: { ...FILTER_OPTIONS.to, about: 'runs that ended until then' },
  },
  examples: ['ductape stats --product my-app', 'ductape stats --from 24h --json'],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, values } = context;
      const stats = await jobs.getStats(conditionsOf(values));
      if (out.isJson) {
        out.json(stats);
        return;
      }
      const number = (count) => (out.isTerminal ? countText(count) : count);
      const rows = [...STATES, 'total'].map((state) => [state, number(stats[state]), STATUS_STYLES[state]]);
      rows.push(
        ['failing', number(stats.failing), stats.failing > 0 ? 'red' : undefined],
        ['success rate', `${(stats.success_rate * 100).toFixed(1)} %`],
        ['completed at once', number(stats.completed_first_try)],
        ['completed after retries', number(stats.completed_after_retry)],
        ['retries on average', stats.avg_retry_count.toFixed(2)],
      );
      const columns = [
        { name: 'WHAT', of: ([name]) => name, style: ([, , style]) => style },
        { name: 'COUNT', of: ([, count]) => count, isNumber: true },
      ];
      printTable(columns, rows, out);
    }),
};
