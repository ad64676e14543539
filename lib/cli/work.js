'use strict';
// `work`: runs a worker from a file that exports handlers. The only command that takes part in the work.

const { escaped } = require('../text.js');
const { EXIT } = require('./exit-codes.js');
const { UsageError } = require('./failure.js');
const { errorText, targetText, timeText } = require('./format.js');
const { readHandlersFile } = require('./handlers-file.js');
const { DEFAULT_HOST, serveMetrics } = require('./metrics-server.js');
const { NAMESPACES } = require('./names.js');
const { checkStore, loadConfig, noteLogger, storeLabel, storeName, storeOption } = require('./store.js');
const { duration, integer, list } = require('./values.js');
const { WATCHED, watch } = require('./work-watch.js');

const STYLES = { completed: 'green', failed: 'red', retrying: 'yellow' };

/** Constructor options of the worker: those of the config, of the file, and of the command line. */
function workerOptions(values, config, fileOptions, out) {
  const { namespaces, concurrency, product, env } = values;
  const given = { logger: noteLogger(out), ...config, ...fileOptions };
  const worker = {
    ...(given.worker || undefined),
    ...(concurrency && { concurrency }),
    ...(namespaces && { namespaces }),
  };
  return { ...given, ...(product && { product }), ...(env && { env }), worker };
}

/** Tells of each end of an attempt. */
function tellEvents(jobs, out) {
  for (const name of ['completed', 'failed', 'retrying']) {
    jobs.on(`job.${name}`, (event) => {
      if (out.isJson) {
        out.jsonLine(event);
        return;
      }
      const { job, timestamp } = event;
      const error = job.error ? errorText(job.error) : '';
      const cells = [
        out.paint('dim', timeText(timestamp, out)),
        out.paint(STYLES[name], name),
        `${job.namespace} ${targetText(job.target)}`,
        escaped(job.id),
        `${job.run}.${job.attempt}`,
        escaped(error),
      ];
      out.line(cells.join(out.isTerminal ? '  ' : '\t').trimEnd());
    });
  }
}

/** Resolves with the exit code when a signal, or the process that watches, ends the worker. */
function untilStopped(ductape, { values, out, env }) {
  return new Promise((resolve) => {
    let isStopping = false;
    // A terminal sends its signal to the watching process, which says so, and to this one: both are the same request.
    let isToldTwice = false;
    const stop = (code, why) => {
      if (isStopping && !isToldTwice) process.exit(code);
      isToldTwice = false;
      if (isStopping) return;
      isStopping = true;
      if (!out.isJson) out.note(why);
      const { 'close-timeout': timeout } = values;
      ductape.close(timeout === undefined ? undefined : { timeout }).then(
        () => resolve(code),
        () => resolve(EXIT.FAILED),
      );
    };
    const patience = 'stopping: handlers may finish; once more to end at once';
    process.on('SIGINT', () => stop(EXIT.INTERRUPTED, patience));
    process.on('SIGTERM', () => stop(EXIT.TERMINATED, patience));
    if (env[WATCHED] && process.channel) {
      process.on('message', ({ stop: why }) => {
        if (!why || isStopping) return;
        stop(EXIT.DONE, why);
        isToldTwice = true;
      });
      process.on('disconnect', () => stop(EXIT.TERMINATED, 'the process that watches is gone'));
    }
  });
}

async function work(context) {
  const { values, positionals, out, env } = context;
  const [file] = positionals;
  const { options: fileOptions, register } = await readHandlersFile(file);
  const config = await loadConfig(values, env);
  const options = workerOptions(values, config, fileOptions, out);
  const store = storeName(values, options, env);
  checkStore(store, true);
  const { Ductape } = require('../../index.js');
  const ductape = new Ductape({ ...options, ...storeOption(values, options) });
  let metrics;
  try {
    const served = await register(ductape);
    if (served.length === 0 && options.resources === undefined) {
      throw new UsageError(`${file}: exports no handlers`, 'as in: exports.features = { resize: async (job) => {} }');
    }
    const { 'metrics-port': port, 'metrics-host': host } = values;
    // Before anything runs: who counts on being watched does not want to run unwatched.
    if (port !== undefined) metrics = await serveMetrics(ductape, port, host);
    if (metrics && !out.isJson) out.note(`metrics at ${metrics.url}`);
    if (!values.quiet) tellEvents(ductape.jobs, out);
    if (values.drain) {
      const done = await ductape.drain(values.timeout === undefined ? undefined : { timeout: values.timeout });
      if (out.isJson) out.jsonLine({ drained: done });
      else
        out.note(
          Object.entries(done)
            .map(([name, count]) => `${count} ${name}`)
            .join(', '),
        );
      return EXIT.DONE;
    }
    const stopped = untilStopped(ductape, context);
    await ductape.start({ signals: false });
    if (!out.isJson) {
      out.note(`works on the store ${storeLabel(store)}`);
      for (const each of served) out.note(`  ${escaped(each)}`);
    }
    return await stopped;
  } finally {
    await ductape.close();
    metrics?.end();
  }
}

/** Ends by the signal itself, as a program that calls `start` does: supervisors take that for a clean end. */
function endWith(code) {
  const signal = { [EXIT.INTERRUPTED]: 'SIGINT', [EXIT.TERMINATED]: 'SIGTERM' }[code];
  // A signal that nobody listens to does not end the first process of a container.
  if (signal === undefined || process.pid === 1 || process.platform === 'win32') process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

module.exports = {
  name: 'work',
  summary: 'runs a worker from a file that exports handlers',
  about: 'Runs a worker from a file that exports handlers, until SIGINT or SIGTERM; then handlers have 10 s to finish.',
  usage: 'FILE [options]',
  arguments: { min: 1 },
  notes: [
    'The file exports handlers by namespace and target, or a function that is given the instance and registers them:',
    '  exports.features = { resize: async (job) => {} };',
    "  exports.actions = { 'email-service/send': { handler, concurrency: 5 } };",
    '  module.exports = (ductape) => ductape.features.define(…);',
    "Its export `options` has options of the constructor. A line tells of each run's end: time, how, target, id, run and attempt.",
  ],
  options: {
    watch: { type: 'boolean', about: 'starts the handlers anew when the file changes' },
    drain: { type: 'boolean', about: 'runs what is due, and ends' },
    timeout: {
      type: 'string',
      value: 'DURATION',
      read: duration,
      about: 'with --drain: what still runs then is given back',
    },
    concurrency: { type: 'string', value: 'N', read: integer(1), about: 'how many jobs run at once; default 10' },
    namespaces: {
      type: 'string',
      multiple: true,
      flatten: true,
      value: 'NAME,…',
      words: NAMESPACES,
      read: list,
      about: 'only jobs of these namespaces',
    },
    product: { type: 'string', value: 'NAME', about: 'product of handlers that name none' },
    env: { type: 'string', value: 'NAME', about: 'environment of handlers that name none' },
    'close-timeout': {
      type: 'string',
      value: 'DURATION',
      read: duration,
      about: 'how long handlers may finish; default 10s',
    },
    'metrics-port': {
      type: 'string',
      value: 'N',
      read: integer(0, 65_535),
      about: 'serves GET /metrics there, for Prometheus; 0: any free port',
    },
    'metrics-host': {
      type: 'string',
      value: 'ADDRESS',
      about: `with --metrics-port: listens there; default ${DEFAULT_HOST}`,
    },
    quiet: { type: 'boolean', about: "does not tell of each run's end" },
  },
  examples: [
    'ductape work handlers.js --concurrency 20',
    'ductape work handlers.mjs --watch',
    'ductape work handlers.js --drain --timeout 50s',
    'ductape work handlers.js --metrics-port 9464',
  ],
  ownsSignals: true,
  async run(context) {
    const { values, positionals } = context;
    if (values.watch && values.drain) throw new UsageError('--watch and --drain exclude each other');
    if (values.timeout !== undefined && !values.drain)
      throw new UsageError('--timeout: needs --drain', 'see also --close-timeout');
    if (values['metrics-host'] !== undefined && values['metrics-port'] === undefined)
      throw new UsageError('--metrics-host: needs --metrics-port');
    const code = await (values.watch ? watch(positionals[0], context) : work(context));
    // A handler that does not end must not keep the process.
    endWith(code);
  },
};
