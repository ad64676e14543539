'use strict';
// Targets with their counts and figures, and the processes that run them.

const os = require('node:os');
const { FRESH_MS, figuresOf, targetCounts } = require('./overview.js');

const keyOf = ({ namespace, product, env, target }) =>
  JSON.stringify([namespace, product, env, Object.entries(target).sort(([a], [b]) => (a < b ? -1 : 1))]);

const isTaken = (wanted, value) => wanted === undefined || wanted === '*' || wanted === value;

/** Whether a handler of this process takes jobs of this target. */
function takes(handler, { namespace, product, env, target }) {
  const { product: itsProduct, env: itsEnv, ...fields } = handler.target;
  return (
    handler.namespace === namespace &&
    isTaken(itsProduct, product) &&
    isTaken(itsEnv, env) &&
    Object.entries(fields).every(([name, value]) => isTaken(value, target[name]))
  );
}

async function targetsOf({ ductape, looks, inside }, range) {
  const [counts, figures] = await Promise.all([targetCounts({ looks, inside }), figuresOf(ductape, range)]);
  const rows = new Map();
  for (const { namespace, product, env, target, handled_here, ...states } of counts) {
    const row = { namespace, product, env, target, counts: states, handled_here };
    rows.set(keyOf(row), row);
  }
  for (const { namespace, product, env, target, ...numbers } of figures.targets) {
    const key = keyOf({ namespace, product, env, target });
    // Of a target whose jobs are gone there are figures alone.
    const row = rows.get(key) ?? { namespace, product, env, target, handled_here: false };
    rows.set(key, { ...row, figures: numbers });
  }
  const served = inside.served();
  const targets = [...rows.values()].map((row) => {
    const concurrency = served.find((each) => each.concurrency !== undefined && takes(each, row))?.concurrency;
    return { ...row, ...(concurrency !== undefined && { concurrency }) };
  });
  return { at: ductape.clock.now(), range, targets };
}

/** `GET /api/targets` */
function targets({ app, query }) {
  const range = query.range();
  query.done();
  return app.looks.get(`targets ${range}`, FRESH_MS, () => targetsOf(app, range));
}

/** `GET /api/processes` */
async function processes({ app, query }) {
  query.done();
  const { ductape, inside, looks } = app;
  const all = await looks.get('processes', FRESH_MS, () => ductape.jobs.processes());
  const here = ({ pid, host }) => pid === process.pid && host === os.hostname();
  const own = {
    here: true,
    version: ductape.version.package,
    node: process.versions.node,
    handlers: inside.served().map(({ namespace, target, concurrency }) => ({
      namespace,
      target,
      ...(concurrency !== undefined && { concurrency }),
    })),
  };
  return { at: ductape.clock.now(), processes: all.map((each) => (here(each) ? { ...each, ...own } : each)) };
}

module.exports = { processes, targets };
