'use strict';
// `dashboard`: the jobs of a store in a browser of this machine.

const { serveUntilSignal } = require('./dashboard-server.js');
const { UsageError } = require('./failure.js');
const { loadConfig, storeLabel, storeName, withStore } = require('./store.js');
const { integer } = require('./values.js');

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

const SERVER_OPTIONS = {
  port: {
    type: 'string',
    value: 'N',
    read: integer(1, 65_535),
    about: 'port; default 4321, or another one if that is taken',
  },
  open: { type: 'boolean', about: 'opens the link in the browser of this machine' },
};

module.exports = {
  name: 'dashboard',
  summary: 'shows jobs in a browser, and changes them',
  about:
    'Serves the dashboard of a store on this machine until SIGINT or SIGTERM, and prints a link that signs one browser in, once.',
  usage: '[options]',
  notes: [
    'From another machine come by: ssh -L 4321:127.0.0.1:4321 HOST',
    'To serve it to others, mount it in a program, with a sign-in: docs/dashboard.md. With --json a line: { url }.',
  ],
  options: {
    ...SERVER_OPTIONS,
    'read-only': { type: 'boolean', about: 'changes nothing' },
    host: { type: 'string', value: 'HOST', about: 'address to listen on; default 127.0.0.1' },
    expose: {
      type: 'boolean',
      about: 'allows a --host that other machines reach: whoever reads along has the link, too',
    },
  },
  examples: ['ductape dashboard --open', 'ductape dashboard --store sqlite:data/jobs.db --read-only --port 8080'],
  ownsSignals: true,
  async run(context) {
    const { values, env } = context;
    const { host = '127.0.0.1' } = values;
    if (!LOOPBACK.has(host) && !values.expose) {
      throw new UsageError(
        `--host: ${host} is reached by other machines`,
        'without --host come by ssh -L 4321:127.0.0.1:4321 HOST; --expose allows it, unencrypted',
      );
    }
    const label = storeLabel(storeName(values, await loadConfig(values, env), env));
    return withStore(context, (ductape) =>
      serveUntilSignal(ductape, context, [
        `shows the store ${label}; the link signs one browser in, once`,
        ...(values.expose ? [`what is sent to and from ${host} is not encrypted`] : []),
      ]),
    );
  },
};

module.exports.SERVER_OPTIONS = SERVER_OPTIONS;
