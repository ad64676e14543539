'use strict';
// What a job is for, as one short text: the namespace and the names of the target, as in `actions/billing/charge`.

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
  webhooks: ['webhook'],
};

/** Other names that a dispatch may have for them. */
const ALIASES = {
  tag: ['feature', 'workflow', 'feature_tag'],
  event: ['action', 'operation'],
  operation: ['action'],
};

/** Longest name that is shown: what is dispatched may be wrong. */
const MAX_NAME_CHARS = 200;

/** Of the input of a dispatch, or of a job. */
function destinationOf(namespace, input) {
  const names = (TARGET_FIELDS[namespace] ?? []).flatMap((field) => {
    const name = input?.[[field, ...(ALIASES[field] ?? [])].find((known) => input?.[known] !== undefined)];
    return typeof name === 'string' ? [name.slice(0, MAX_NAME_CHARS)] : [];
  });
  // An event may name its resource itself: `bus:orders`.
  const [only] = names;
  if (names.length === 1 && namespace !== 'features') names.splice(0, 1, ...only.split(':'));
  return [namespace, ...names].join('/');
}

module.exports = { destinationOf };
