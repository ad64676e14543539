'use strict';
// Targets with their counts and figures, and the processes that run them.

const { FRESH_MS, figuresOf, targetCounts } = require('./overview.js');

const keyOf = ({ namespace, product, env, target }) =>
  JSON.stringify([namespace, product, env, Object.entries(target).sort(([a], [b]) => (a < b ? -1 : 1))]);

/** How much a handler says of the jobs that it takes; -1: it does not take these. */
function fitOf(handler, { namespace, product, env, target }) {
  if (handler.namespace !== namespace) return -1;
  const wanted = { ...handler.target, '': handler.product, ' ': handler.env };
  const having = { ...target, '': product, ' ': env };
  const named = Object.keys(wanted).filter((name) => wanted[name] !== undefined);
  return named.every((name) => wanted[name] === having[name]) ? named.length : -1;
}

/** How many attempts all live processes make at once of a target's jobs, as far as their handlers say so. */
function concurrencyOf(row, processes) {
  let sum = 0;
  for (const { handlers = [] } of processes) {
    let [best, bound] = [-1, 0];
    for (const handler of handlers) {
      const fit = fitOf(handler, row);
      if (fit > best) [best, bound] = [fit, handler.concurrency ?? 0];
    }
    sum += bound;
  }
  return sum;
}

const lookAtProcesses = ({ ductape, looks }) => looks.get('processes', FRESH_MS, () => ductape.jobs.processes());

async function targetsOf(app, range) {
  const { ductape } = app;
  const [counts, figures, processes] = await Promise.all([
    targetCounts(app),
    figuresOf(ductape, range),
    lookAtProcesses(app),
  ]);
  const alive = processes.filter(({ state }) => state === 'alive');
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
  const targets = [...rows.values()].map((row) => {
    const concurrency = concurrencyOf(row, alive);
    return { ...row, ...(concurrency > 0 && { concurrency }) };
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
  const processes = await lookAtProcesses(app);
  return {
    at: app.ductape.clock.now(),
    processes: processes.map(({ is_this: here, ...each }) => ({ ...each, ...(here && { here }) })),
  };
}

module.exports = { processes, targets };
