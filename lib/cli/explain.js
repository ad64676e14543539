'use strict';
// `explain`: why a job has not run.

const { escaped } = require('../text.js');
const { STATUS_STYLES, targetText } = require('./format.js');
const { withStore } = require('./store.js');

/** A command never runs jobs, which says nothing about the processes that do. */
const OF_THIS_COMMAND = 'WORKER_OFF';

/** The explanation without what holds for this command only. */
function withoutThisCommand({ status, reasons }, job) {
  const others = reasons.filter(({ code }) => code !== OF_THIS_COMMAND);
  if (others.length > 0) return { status, reasons: others };
  const target = `${job.namespace} ${targetText(job.target)} (${job.product}, ${job.env})`;
  const message = `nothing in the store prevents it: it starts as soon as a worker with a handler for ${target} has room for it; is one running?`;
  return { status, reasons: [{ code: 'READY', message }] };
}

module.exports = {
  name: 'explain',
  summary: 'says why a job has not run',
  about: 'Says why a job has not run, or how it ended. What handlers other processes have cannot be seen from here.',
  usage: 'ID [options]',
  arguments: { min: 1 },
  options: {},
  examples: ['ductape explain daily-report'],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, positionals } = context;
      const [id] = positionals;
      const explanation = withoutThisCommand(await jobs.explain(id), await jobs.get(id));
      if (out.isJson) {
        out.json(explanation);
        return;
      }
      out.line(out.paint(STATUS_STYLES[explanation.status], explanation.status));
      for (const { code, message } of explanation.reasons) out.line(`${out.paint('bold', code)}  ${escaped(message)}`);
    }),
};
