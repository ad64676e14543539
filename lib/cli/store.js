'use strict';
// Opens the store of a command: as a caller that only looks and changes, never as a worker.

const { existsSync, statSync } = require('node:fs');
const { resolve } = require('node:path');
const { pathToFileURL } = require('node:url');
const { escaped } = require('../text.js');
const { CommandError, UsageError } = require('./failure.js');

const DEFAULT_STORE = 'sqlite:.ductape/jobs.db';

/** Loads a module, ES or CommonJS. */
async function load(path, what) {
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`${what}: there is no file ${file}`);
  return import(pathToFileURL(file).href);
}

/** Options of the constructor that `--config` names. */
async function loadConfig(values, env) {
  const path = values.config ?? (env.DUCTAPE_CONFIG || undefined);
  if (path === undefined) return {};
  const what = values.config === undefined ? 'DUCTAPE_CONFIG' : '--config';
  const module = await load(path, what);
  const config = module.default ?? module;
  if (config === null || typeof config !== 'object')
    throw new UsageError(`${what}: ${path} must export an object of options`);
  return { ...config };
}

/** The store as the command line, the config, or the environment names it. */
const storeName = (values, config, env) => values.store ?? config.store ?? (env.DUCTAPE_STORE || DEFAULT_STORE);

/** The option `store`; without one, the package takes its default, or refuses it where the disk does not last. */
function storeOption(values, config) {
  const store = values.store ?? config.store;
  return store === undefined ? {} : { store };
}

/** The file of a store; `undefined`: it is not in one. */
const storeFile = (store) => (store.startsWith('sqlite:') ? resolve(store.slice('sqlite:'.length)) : undefined);

/** The store without what is secret in its address. */
function storeLabel(store) {
  if (!/^postgres(ql)?:/.test(store)) return store;
  try {
    const { protocol, host, pathname, searchParams } = new URL(store);
    const schema = searchParams.get('schema');
    return `${protocol}//${host}${pathname}${schema === null ? '' : `?schema=${schema}`}`;
  } catch {
    return 'postgres://…';
  }
}

const sizeOf = (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Refuses what no other process can have put jobs into. */
function checkStore(store, mayCreate) {
  if (store.startsWith('memory:')) {
    throw new UsageError('--store: a store in memory belongs to the process that made it; name a file or a database');
  }
  const file = storeFile(store);
  if (file === undefined || mayCreate || sizeOf(file) > 0) return;
  throw new CommandError(
    'STORE_ERROR',
    `there is no store at ${file}`,
    'name another one with --store or DUCTAPE_STORE',
  );
}

/** A logger that tells on standard error what is worth a warning. */
const noteLogger = (out) => ({
  debug() {},
  info() {},
  warn: (message) =>
    out.note(`${out.paintError('yellow', 'warning:')} ${escaped(String(message).replace(/^ductape: /, ''))}`),
  error: (message) =>
    out.note(`${out.paintError('yellow', 'warning:')} ${escaped(String(message).replace(/^ductape: /, ''))}`),
});

/**
 * Calls `act(ductape)` with an instance that neither works nor deletes, and closes it. `mayCreate`: a store that is not there is
 * made; `anySchema`: nor is a schema of PostgreSQL looked for; `options`
 * come before those of the config.
 */
async function withStore({ values, env, out }, act, { mayCreate = false, anySchema = mayCreate, options = {} } = {}) {
  const config = await loadConfig(values, env);
  const store = storeName(values, config, env);
  checkStore(store, mayCreate);
  const look = async (ductape) => {
    // With the first job a schema would be made: a typing error must not look like an empty store.
    if (!anySchema && storeFile(store) === undefined) await checkSchema(ductape, store);
    return act(ductape);
  };
  return withInstance({ logger: noteLogger(out), ...config, ...options, ...storeOption(values, config) }, look);
}

async function checkSchema(ductape, store) {
  const { schema_version: version } = await ductape.health({ limit: 0 });
  if (version > 0) return;
  throw new CommandError(
    'STORE_ERROR',
    `there is no store in the schema of ${storeLabel(store)}`,
    'name another one with --store or DUCTAPE_STORE',
  );
}

/** Calls `act` with an instance in memory, for what needs no jobs. */
async function withoutStore({ values, env, out }, act, options = {}) {
  const config = await loadConfig(values, env);
  return withInstance({ logger: noteLogger(out), ...config, ...options, store: 'memory:' }, act);
}

async function withInstance(options, act) {
  const { Ductape } = require('../../index.js');
  const ductape = new Ductape({ ...options, worker: false, retention: false });
  try {
    return await act(ductape);
  } finally {
    await ductape.close({ timeout: 0 });
  }
}

module.exports = {
  checkStore,
  load,
  loadConfig,
  noteLogger,
  storeFile,
  storeLabel,
  storeOption,
  storeName,
  withoutStore,
  withStore,
};
