'use strict';
// `move`: all of a store goes to another one.

const { existsSync } = require('node:fs');
const { performance } = require('node:perf_hooks');
const { isConfirmed } = require('./confirm.js');
const { EXIT } = require('./exit-codes.js');
const { CommandError, UsageError } = require('./failure.js');
const { countText, durationText } = require('./format.js');
const { Progress } = require('./progress.js');
const { storeFile, storeLabel } = require('./store.js');

const LABELS = { preparing: 'waiting for processes that are gone', copying: 'copying', verifying: 'comparing' };

/** Shows each phase as work of its own. */
class Phases {
  #context;
  #progress;
  #phase;
  #from = 0;

  constructor(context) {
    this.#context = context;
  }

  show({ phase, done, total }) {
    if (phase !== this.#phase) {
      this.end();
      this.#phase = phase;
      const what = phase === 'preparing' ? { unit: 'seconds' } : { total, unit: 'rows' };
      this.#progress = new Progress(this.#context.out, LABELS[phase], what);
      this.#from = performance.now();
    }
    const seconds = Math.round((performance.now() - this.#from) / 1_000);
    this.#progress.update(phase === 'preparing' ? seconds : done);
  }

  end() {
    this.#progress?.end();
  }
}

/** The store that an argument names. */
function storeOf(name, text, env) {
  const variable = /^env:(.+)$/.exec(text)?.[1];
  const store = variable === undefined ? text : (env[variable] ?? '');
  if (/^(sqlite|postgres(ql)?):./.test(store)) return store;
  const what = variable === undefined ? 'must be a store' : `${variable} holds no store`;
  throw new UsageError(`move: ${name}: ${what}, as in sqlite:jobs.db or postgres://host/database`);
}

/** What to do after a move that failed. */
const remedyOf = ({ code }) =>
  code === 'STORE_ERROR' || code === 'CONNECTION_ERROR' || code === 'CONFLICT'
    ? 'nothing is lost: when the cause is mended, the same command goes on; --give-up gives a move up that has begun'
    : undefined;

async function planned({ out }, { from, to }, plan) {
  if (out.isJson) out.json({ dry_run: true, ...plan });
  else {
    const begun = { new: 'would be', begun: 'would be, as begun,', moved: 'were' }[plan.status];
    out.line(
      `${countText(plan.jobs)} jobs in ${countText(plan.rows)} rows ${begun} moved from ${storeLabel(from)} to ${storeLabel(to)}`,
    );
    if (plan.processes > 0) {
      const are = plan.processes === 1 ? '1 process is' : `${plan.processes} processes are`;
      out.note(`${are} registered: stop what runs first`);
    }
  }
  return EXIT.DONE;
}

module.exports = {
  name: 'move',
  summary: 'moves all of a store to another one, also to PostgreSQL and back',
  about:
    'Moves jobs, runs, histories, steps, cached values, webhooks and figures to a store that is new. The old one takes no work from the\n' +
    'first row on; the new one takes work once all is there and has been compared. Stop all processes first.',
  usage: 'FROM TO [options]',
  arguments: { min: 2, max: 2 },
  notes: [
    'Stores are as in the option `store`: sqlite:FILE or postgres://…; env:NAME is the store that a variable of the environment names,\n' +
      'so that no password stands in the command line, where others can see it.',
  ],
  options: {
    'dry-run': { type: 'boolean', about: 'tells what would be moved, and moves nothing' },
    'give-up': { type: 'boolean', about: 'gives up a move that was interrupted: FROM takes work again' },
    yes: { type: 'boolean', short: 'y', about: 'does not ask' },
  },
  examples: [
    'ductape move sqlite:.ductape/jobs.db env:DATABASE_URL',
    'ductape move env:DATABASE_URL sqlite:jobs.db --dry-run',
  ],
  afterInterruption:
    'nothing is lost, and FROM takes no work; the same command goes on, and --give-up gives the move up',
  async run(context) {
    const { values, positionals, out, env } = context;
    const [from, to] = ['FROM', 'TO'].map((name, at) => storeOf(name, positionals[at], env));
    const file = storeFile(from);
    if (file !== undefined && !existsSync(file))
      throw new CommandError('STORE_ERROR', `FROM: there is no store at ${file}`, 'name one that is there');
    const { Ductape } = require('../../index.js');
    const stores = { from, to };
    if (values['give-up']) {
      if (values['dry-run']) throw new UsageError('move: --give-up cannot be tried without being done');
      const wish = `give up the move from ${storeLabel(from)} to ${storeLabel(to)}`;
      if (!(await isConfirmed(wish, context))) return EXIT.FAILED;
      const result = await Ductape.move({ ...stores, giveUp: true });
      if (out.isJson) out.json(result);
      else out.line(`${storeLabel(from)} takes work again; delete what was copied to ${storeLabel(to)}`);
      return EXIT.DONE;
    }
    const plan = await Ductape.move({ ...stores, dryRun: true });
    if (values['dry-run']) return planned(context, stores, plan);
    const what = `move ${countText(plan.jobs)} jobs from ${storeLabel(from)} to ${storeLabel(to)}`;
    const isBegun = plan.status !== 'new';
    if (!isBegun && !(await isConfirmed(`${what}, after which the old store takes no work`, context)))
      return EXIT.FAILED;
    const begun = performance.now();
    const phases = new Phases(context);
    const end = () => phases.end();
    context.restorers.add(end);
    try {
      const result = await Ductape.move({ ...stores, onProgress: (progress) => phases.show(progress) });
      phases.end();
      if (out.isJson) out.json({ ...result, duration_ms: Math.round(performance.now() - begun) });
      else {
        const duration = durationText(performance.now() - begun);
        out.line(`${countText(result.jobs)} jobs in ${countText(result.rows)} rows moved and compared in ${duration}`);
        out.note(`name ${storeLabel(to)} in \`store\` now; ${storeLabel(from)} takes no work any more`);
      }
      return EXIT.DONE;
    } catch (error) {
      throw Object.assign(new CommandError(error.code, error.message, remedyOf(error)), { details: error.details });
    } finally {
      phases.end();
      context.restorers.delete(end);
    }
  },
};
