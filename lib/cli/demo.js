'use strict';
// `demo`: a dashboard over jobs of every kind, on a store in memory that is gone at the end.

const { serveUntilSignal } = require('./dashboard-server.js');
const { SERVER_OPTIONS } = require('./dashboard.js');
const { registerHandlers, dispatchFirst, dispatchNext } = require('./demo-jobs.js');

/** Between two jobs. */
const NEXT_JOB_MS = 300;
/** The memory that ended jobs take is bounded. */
const KEPT = { count: 5_000 };

/** Failures are shown by the dashboard: here they would hide the link. */
const silent = { debug() {}, info() {}, warn() {}, error() {} };

module.exports = {
  name: 'demo',
  summary: 'shows the dashboard with jobs that are made up',
  about:
    'Serves a dashboard over a store in memory, with jobs of every kind that run, wait, fail and are retried, until SIGINT or SIGTERM. ' +
    'Nothing is written to disk, and nothing is left.',
  usage: '[options]',
  notes: ['The link signs one browser in, once. With --json a line: { url }.'],
  options: SERVER_OPTIONS,
  examples: ['ductape demo --open'],
  ownsSignals: true,
  async run(context) {
    const { Ductape } = require('../../index.js');
    const ductape = new Ductape({
      store: 'memory:',
      product: 'shop',
      env: 'demo',
      logger: silent,
      worker: { concurrency: 8 },
      retention: { completed: KEPT, failed: KEPT, cancelled: KEPT, runs: KEPT },
    });
    let timer;
    try {
      registerHandlers(ductape);
      await ductape.start({ signals: false });
      await dispatchFirst(ductape);
      timer = setInterval(() => dispatchNext(ductape).catch(() => {}), NEXT_JOB_MS);
      return await serveUntilSignal(ductape, context, [
        'jobs of every kind run, wait and fail now, in memory; the link signs one browser in, once',
      ]);
    } finally {
      clearInterval(timer);
      await ductape.close({ timeout: 0 });
    }
  },
};
