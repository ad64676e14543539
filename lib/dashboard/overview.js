'use strict';
// The first page: how it is now, and what happened in a range of time.

const { RANGES } = require('./parameters.js');

const SHOWN_TARGETS = 20;
/** How old an overview may be that another browser has asked for. */
const FRESH_MS = 1_000;

/** Figures of a range, as `jobs.metrics` tells them. */
function figuresOf({ jobs, clock }, range) {
  const now = clock.now();
  return jobs.metrics({ from: now - RANGES[range], to: now, resolution: range === '1h' ? 'minute' : 'hour' });
}

/** Targets with the most due jobs. */
const byDepth = (targets) =>
  targets
    .filter(({ queued, running }) => queued + running > 0)
    .sort((a, b) => b.queued - a.queued || b.running - a.running)
    .slice(0, SHOWN_TARGETS);

/** Counts of each target, as `jobs.targets` tells them. */
const targetCounts = ({ ductape, looks }) => looks.get('targets', FRESH_MS, () => ductape.jobs.targets());

async function overviewOf({ ductape, looks }, range) {
  const { jobs, clock } = ductape;
  const [stats, figures, targets, processes] = await Promise.all([
    jobs.getStats(),
    figuresOf(ductape, range),
    targetCounts({ ductape, looks }),
    jobs.processes(),
  ]);
  return {
    at: clock.now(),
    range,
    stats,
    figures: { ...figures, targets: figures.targets.slice(0, SHOWN_TARGETS) },
    depth: byDepth(targets),
    processes,
    lateness: figures.total.lateness,
  };
}

/** `GET /api/overview` */
function overview({ app, query }) {
  const range = query.range();
  query.done();
  return app.looks.get(`overview ${range}`, FRESH_MS, () => overviewOf(app, range));
}

module.exports = { FRESH_MS, figuresOf, overview, targetCounts };
