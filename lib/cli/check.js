'use strict';
// `check`: whether what `resources` describe can be reached.

const { performance } = require('node:perf_hooks');
const { EXIT } = require('./exit-codes.js');
const { UsageError } = require('./failure.js');
const { durationText } = require('./format.js');
const { Progress, withProgress } = require('./progress.js');
const { loadConfig, withoutStore } = require('./store.js');
const { printTable } = require('./table.js');
const { duration } = require('./values.js');

const columns = [
  { name: 'TYPE', of: (check) => check.type },
  { name: 'TAG', of: (check) => check.tag },
  { name: 'PRODUCT', of: (check) => check.product, spare: 2 },
  { name: 'ENV', of: (check) => check.env, spare: 1 },
  {
    name: 'RESULT',
    of: (check) => (check.ok ? 'ok' : check.error.code),
    style: (check) => (check.ok ? 'green' : 'red'),
  },
  { name: 'TOOK', of: (check) => durationText(check.duration_ms), isNumber: true, spare: 3 },
  { name: 'ERROR', of: (check) => check.error?.message, canCut: true },
];

module.exports = {
  name: 'check',
  summary: 'connects to every resource',
  about:
    'Connects to every resource in every environment, authenticates, and changes nothing. The exit code is 1 when one cannot be used.',
  usage: '[options]',
  options: {
    resources: { type: 'string', value: 'FILE', about: 'JSON file of resources; default: those of the config' },
    product: { type: 'string', value: 'NAME', about: 'of this product' },
    env: { type: 'string', value: 'NAME', about: 'of this environment' },
    tag: { type: 'string', multiple: true, value: 'TAG', about: 'with this tag; may be repeated' },
    timeout: { type: 'string', value: 'DURATION', read: duration, about: 'how long one may take; default 10s' },
  },
  examples: ['ductape check --config ductape.config.mjs', 'ductape check --resources resources.json --tag reports'],
  async run(context) {
    const { values, out, env } = context;
    const { resources = (await loadConfig(values, env)).resources, product, timeout } = values;
    if (resources === undefined)
      throw new UsageError('check: there are no resources', 'name them with --resources or --config');
    const filter = {
      ...(product && { product }),
      ...(values.env && { env: values.env }),
      ...(timeout !== undefined && { timeout }),
    };
    const begun = performance.now();
    const elapsed = async () => Math.floor((performance.now() - begun) / 1_000);
    const progress = new Progress(out, 'checking resources', { unit: 'seconds' });
    const found = await withoutStore(
      context,
      (ductape) =>
        withProgress(progress, context, elapsed, async () => {
          const tags = values.tag ?? [undefined];
          return (
            await Promise.all(tags.map((tag) => ductape.resources.check({ ...filter, ...(tag && { tag }) })))
          ).flat();
        }),
      { resources },
    );
    if (out.isJson) out.json({ resources: found });
    else if (found.length > 0) printTable(columns, found, out);
    else out.note('no resource matches');
    if (found.length === 0) return EXIT.NOT_FOUND;
    return found.every(({ ok }) => ok) ? EXIT.DONE : EXIT.FAILED;
  },
};
