'use strict';
// Reads and bounds every parameter. A wrong one is refused by its name; none ever becomes the name of a member.

const { NAMESPACES } = require('../namespaces.js');
const { wrong } = require('./problem.js');

const STATES = ['scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled', 'paused'];
const LAST_RUNS = ['completed', 'failed', 'cancelled'];
const TARGET_FIELDS = ['app', 'event', 'tag', 'notification', 'storage', 'broker', 'database', 'graph', 'operation'];
const RANGES = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 };
const MAX_QUERY_CHARS = 16 * 1024;
const MAX_PARAMETERS = 200;
const MAX_TEXT_CHARS = 1_000;
const MAX_TIMES_MS = 8_640_000_000_000_000;

function decoded(text) {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw wrong('query', 'has a % that no two hexadecimal digits follow, or is not UTF-8');
  }
}

/** The parameters of a query. Each is to be asked for before `done`, which refuses the others. */
class Query {
  #values = new Map();

  constructor(query) {
    if (query.length > MAX_QUERY_CHARS) throw wrong('query', `is longer than ${MAX_QUERY_CHARS} characters`);
    const pairs = query.split('&').filter((pair) => pair !== '');
    if (pairs.length > MAX_PARAMETERS) throw wrong('query', `has more than ${MAX_PARAMETERS} parameters`);
    for (const pair of pairs) {
      const at = pair.indexOf('=');
      const name = decoded(at < 0 ? pair : pair.slice(0, at));
      const value = at < 0 ? '' : decoded(pair.slice(at + 1));
      if (value.length > MAX_TEXT_CHARS) throw wrong(cut(name), `is longer than ${MAX_TEXT_CHARS} characters`);
      this.#values.set(name, [...(this.#values.get(name) ?? []), value]);
    }
  }

  /** All values of a name; `undefined`: there is none. An empty value is none. */
  list(name) {
    const values = this.#values.get(name)?.filter((value) => value !== '');
    this.#values.delete(name);
    return values === undefined || values.length === 0 ? undefined : values;
  }

  text(name) {
    const values = this.list(name);
    if (values === undefined) return undefined;
    if (values.length > 1) throw wrong(name, 'is given more than once');
    return values[0];
  }

  oneOf(name, known) {
    const text = this.text(name);
    return text === undefined ? undefined : chosen(name, text, known);
  }

  flag(name) {
    const text = this.oneOf(name, ['true', 'false']);
    return text === undefined ? undefined : text === 'true';
  }

  integer(name, min, max) {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min && number <= max)) throw wrong(name, `must be an integer from ${min} to ${max}`);
    return number;
  }

  /** ms since the epoch, or an ISO 8601 date, which the package reads. */
  time(name) {
    const text = this.text(name);
    return text === undefined ? undefined : /^\d{5,16}$/.test(text) ? timeOf(name, Number(text)) : text;
  }

  range() {
    return this.oneOf('range', Object.keys(RANGES)) ?? '1h';
  }

  /** Refuses parameters that nobody asked for. */
  done() {
    for (const name of this.#values.keys()) throw wrong(cut(name), 'is not a known parameter');
  }
}

const cut = (name) => name.slice(0, 100);

function chosen(path, text, known) {
  if (known.includes(text)) return text;
  throw wrong(path, `must be one of ${known.join(', ')}`);
}

function timeOf(path, ms) {
  if (Math.abs(ms) <= MAX_TIMES_MS) return ms;
  throw wrong(path, 'is not a time');
}

/** Without the members that are `undefined`: to the package they would mean something. */
const given = (members) => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

/** Conditions of `jobs.list` in a query. */
function filterOf(query) {
  const status = query.list('status')?.flatMap((each) => each.split(','));
  for (const each of status ?? []) chosen('status', each, STATES);
  const target = given(Object.fromEntries(TARGET_FIELDS.map((name) => [name, query.text(`target.${name}`)])));
  return given({
    product: query.text('product'),
    env: query.text('env'),
    namespace: query.oneOf('namespace', NAMESPACES),
    status: status && [...new Set(status)],
    recurring: query.flag('recurring'),
    failing: query.flag('failing'),
    last_run: query.oneOf('last_run', LAST_RUNS),
    tags: query.list('tag'),
    target: Object.keys(target).length > 0 ? target : undefined,
    from: query.time('from'),
    to: query.time('to'),
  });
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** An object with these members and no others. */
function membersOf(value, path, known) {
  const at = (name) => (path === '' ? name : `${path}.${name}`);
  if (!isObject(value)) throw wrong(path || 'body', 'must be an object');
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) throw wrong(at(cut(name)), `is not a known member; known are ${known.join(', ')}`);
  }
  return Object.fromEntries(known.filter((name) => Object.hasOwn(value, name)).map((name) => [name, value[name]]));
}

const FILTER_NAMES = [
  'product',
  'env',
  'namespace',
  'status',
  'recurring',
  'failing',
  'last_run',
  'tags',
  'target',
  'from',
  'to',
];

/** Conditions of `jobs.list` in a body; the package checks the values. */
function filterOfBody(value, path) {
  const filter = membersOf(value, path, FILTER_NAMES);
  if (filter.status !== undefined) {
    filter.status = [filter.status].flat();
    for (const each of filter.status) chosen(`${path}.status`, each, STATES);
  }
  if (filter.target !== undefined) filter.target = membersOf(filter.target, `${path}.target`, TARGET_FIELDS);
  return filter;
}

/** What a body of JSON says, as an object. */
async function readJson(request, max) {
  const type = (request.header('content-type') ?? '').split(';', 1)[0].trim().toLowerCase();
  if (type !== 'application/json') throw wrong('content-type', 'must be application/json');
  const text = await request.readBody(max);
  let value;
  if (typeof text !== 'string') value = text.parsed;
  else if (text === '') return {};
  else {
    try {
      value = JSON.parse(text);
    } catch {
      throw wrong('body', 'is not JSON');
    }
  }
  if (!isObject(value)) throw wrong('body', 'must be an object');
  return value;
}

module.exports = { Query, RANGES, STATES, filterOf, filterOfBody, given, membersOf, readJson };
