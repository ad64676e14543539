'use strict';
// The public classes. What they do is in `lib/`, and all else in Rust, behind the native class `Ductape`.

const { DuctapeError } = require('./lib/errors.js');
const { expr, literal } = require('./lib/marks.js');
const { prototypeNamespaces } = require('./lib/method-names.js');
require('./lib/timers.js');

/** What instances are made of: loaded with the first one, so that importing the package costs next to nothing. */
let parts;
const loadParts = () => {
  parts ??= {
    ...require('./lib/bridge.js'),
    ...require('./lib/json.js'),
    ...require('./lib/native.js'),
    ...require('./lib/namespaces.js'),
    ...require('./lib/signals.js'),
    version: require('./package.json').version,
  };
  return parts;
};

const METHODS = ['start', 'drain', 'backup', 'health', 'dashboard', 'metrics', 'close'];

/** Makes a member that is not listed. */
const define = (object, name, value) =>
  Object.defineProperty(object, name, { value, writable: true, configurable: true });

const withAliases = (made) => ({
  ...made,
  api: made.actions,
  feature: made.features,
  workflows: made.features,
  database: made.databases,
  graph: made.graphs,
});

class Ductape {
  #bridge;
  /** Dashboards that browsers listen to: they end with the instance. */
  #streams = new Set();
  /** Measures the event loop from the first `metrics` on. */
  #eventLoop;
  /** The promise of `close`, once that was called. */
  #closed;
  /** What a signal does with this instance. */
  #worker = {
    timeout: undefined,
    stopWork: async () => {
      await this.#bridge.call('stopWork', { options: { timeout: this.#worker.timeout } });
      this.#bridge.hold(false);
    },
    close: () => this.close(),
  };

  constructor(options = {}) {
    if (options === null || typeof options !== 'object' || Array.isArray(options)) {
      const got = options === null ? 'null' : Array.isArray(options) ? 'a list' : typeof options;
      throw new DuctapeError('VALIDATION_ERROR', `options: must be an object, got ${got}`);
    }
    const { Bridge, caches, clock, jobs, loadNative, namespaces, resources, sessions, version } = loadParts();
    const bridge = new Bridge(options);
    this.#bridge = bridge;
    Object.assign(this, withAliases(namespaces(bridge)));
    this.jobs = jobs(bridge);
    this.sessions = sessions(bridge);
    this.resources = resources(bridge);
    this.caches = caches(bridge);
    this.clock = clock(bridge);
    this.version = Object.freeze({ package: version, tzdb: loadNative().Ductape.tzdbVersion() });
    // Private members are out of reach of a method that is called on a proxy of the instance, as containers and observers make them.
    for (const name of METHODS) define(this, name, this[name].bind(this));
  }

  async start(options) {
    // A signal that comes while it starts counts, too.
    const listens = options?.signals !== false && !this.#closed && parts.stopOnSignal(this.#worker);
    try {
      await this.#bridge.call('start', { options });
    } catch (error) {
      if (listens) parts.forgetOnSignal(this.#worker);
      throw error;
    }
    if (options?.timeout !== undefined) this.#worker.timeout = options.timeout;
    this.#bridge.hold(true);
    if (options?.signals === false || this.#closed) parts.forgetOnSignal(this.#worker);
  }

  drain(options) {
    return this.#bridge.call('drain', { options });
  }

  backup(path) {
    return this.#bridge.call('backup', { path });
  }

  health(options) {
    return this.#bridge.call('health', { options });
  }

  dashboard(options) {
    // Loaded with the first one: most programs have none.
    const { makeDashboard } = require('./lib/dashboard/handler.js');
    return makeDashboard(this, { ...this.#bridge.inside, streams: this.#streams }, options);
  }

  metrics(options) {
    this.#eventLoop ??= new (require('./lib/event-loop.js').EventLoop)();
    return this.#bridge.call('metrics', { options, eventLoop: this.#closed ? null : this.#eventLoop.read() });
  }

  static async restore(options) {
    return require('./lib/whole-stores.js').restore(options);
  }

  static async move(options) {
    return require('./lib/whole-stores.js').move(options);
  }

  close(options) {
    // While it closes, other options take the place of the first.
    if (this.#closed && options !== undefined && !this.#bridge.ended) {
      return this.#bridge.call('close', { options }).then(() => this.#closed);
    }
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options) {
    for (const stream of this.#streams) stream.end();
    let closed = true;
    try {
      await this.#bridge.call('close', { options });
    } catch (error) {
      // A wrong argument closes nothing; the caller may try again.
      closed = error.code !== 'VALIDATION_ERROR';
      throw error;
    } finally {
      if (closed) {
        this.#eventLoop?.end();
        parts.forgetOnSignal(this.#worker);
        await this.#bridge.end();
      } else {
        this.#closed = undefined;
      }
    }
  }
}

for (const [name, made] of Object.entries(withAliases(prototypeNamespaces()))) define(Ductape.prototype, name, made);
// For `await using`; the first releases of Node.js 20 have no such symbol.
if (Symbol.asyncDispose) {
  define(Ductape.prototype, Symbol.asyncDispose, function dispose() {
    return this.close();
  });
}

/** Returns what it is given: it gives types to resources that stand in a file of their own. */
const defineResources = (resources) => resources;

// The class is the module, for `new (require('ductape'))()`, and has the rest as statics, for imports by name. `default` and
// `__esModule` are for imports that a compiler or a bundler has turned into require().
module.exports = Ductape;
module.exports.Ductape = Ductape;
module.exports.DuctapeError = DuctapeError;
module.exports.defineResources = defineResources;
module.exports.expr = expr;
module.exports.literal = literal;
module.exports.default = Ductape;
Object.defineProperty(module.exports, '__esModule', { value: true });
