'use strict';
// `stats`: how many jobs there are in each state.

const { STATUS_STYLES, countText } = require('./format.js');
const { NAMESPACES, STATES } = require('./names.js');
const { withStore } = require('./store.js');
const { printTable } = require('./table.js');

module.exports = {
  name: 'stats',
  summary: 'counts jobs by state',
  about: 'Counts jobs by state, and how runs went.',
  usage: '[options]',
  options: {
    product: { type: 'string', value: 'NAME', about: 'of this product' },
    env: { type: 'string', value: 'NAME', about: 'of this environment' },
    namespace: { type: 'string', value: 'NAME', words: NAMESPACES, about: 'of this kind: actions, features, …' },
  },
  examples: ['ductape stats --product my-app', 'ductape stats --json'],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, values } = context;
      const { product, env, namespace } = values;
      const stats = await jobs.getStats({
        ...(product && { product }),
        ...(env && { env }),
        ...(namespace && { namespace }),
      });
      if (out.isJson) {
        out.json(stats);
        return;
      }
      const number = (count) => (out.isTerminal ? countText(count) : count);
      const rows = [...STATES, 'total'].map((state) => [state, number(stats[state]), STATUS_STYLES[state]]);
      rows.push(
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
