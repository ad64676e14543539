'use strict';
// The fields of targets, and what a job is for as one short text: the namespace and the names of the target, as in
// `actions/billing/charge`.

/** As `Namespace::target_fields` in `src/model/target.rs`. */
const TARGET_FIELDS = {
  actions: ['app', 'event'],
  features: ['tag'],
  notifications: ['notification', 'event'],
  storage: ['storage', 'event'],
  events: ['broker', 'event'],
  databases: ['database', 'operation'],
  'databases.action': ['database', 'event'],
  graphs: ['graph', 'operation'],
  'graphs.action': ['graph', 'event'],
};

/** Of jobs that the package makes for itself. */
const INTERNAL_FIELDS = { webhooks: ['webhook'] };

/** Other names that a dispatch may have for them. */
const ALIASES = {
  tag: ['feature', 'workflow', 'feature_tag'],
  event: ['action', 'operation'],
  operation: ['action'],
};

/** Longest name that is shown: what is dispatched may be wrong. */
const MAX_NAME_CHARS = 200;

function nameOf(input, field) {
  let name = input[field];
  if (name === undefined) {
    const alias = ALIASES[field]?.find((other) => input[other] !== undefined);
    if (alias !== undefined) name = input[alias];
  }
  if (typeof name !== 'string') return undefined;
  return name.length > MAX_NAME_CHARS ? name.slice(0, MAX_NAME_CHARS) : name;
}

/** Of the input of a dispatch, or of a job. Called for each, so that it makes nothing but the text. */
function destinationOf(namespace, input) {
  const fields = TARGET_FIELDS[namespace] ?? INTERNAL_FIELDS[namespace];
  if (fields === undefined || typeof input !== 'object' || input === null) return namespace;
  const [outer, inner] = fields;
  const resource = nameOf(input, outer);
  if (inner === undefined) return resource === undefined ? namespace : `${namespace}/${resource}`;
  const name = nameOf(input, inner);
  if (name === undefined) return resource === undefined ? namespace : `${namespace}/${resource}`;
  // An event may name its resource itself: `bus:orders`.
  return resource === undefined ? `${namespace}/${name.replace(':', '/')}` : `${namespace}/${resource}/${name}`;
}

module.exports = { TARGET_FIELDS, destinationOf };
