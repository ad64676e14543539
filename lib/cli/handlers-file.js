'use strict';
// A file that exports handlers, for `work`: a function that registers them, or lists of them by namespace.

const { TARGET_FIELDS } = require('../targets.js');
const { CommandError, UsageError } = require('./failure.js');
const { nearName } = require('./near-name.js');
const { load } = require('./store.js');

/** The target that `email-service/send` means; `*`, and what is left out, is any. */
function targetOf(namespace, text) {
  const [first, second] = TARGET_FIELDS[namespace];
  const at = second === undefined ? -1 : text.indexOf('/');
  return at < 0 ? { [first]: text } : { [first]: text.slice(0, at), [second]: text.slice(at + 1) };
}

/** `[target, handler, options]` of each handler of a namespace. */
function entriesOf(namespace, given) {
  const listed = Array.isArray(given)
    ? given.map((each, at) => [`${namespace}[${at}]`, each?.target ?? {}, each])
    : Object.entries(given).map(([text, each]) => [`${namespace}['${text}']`, targetOf(namespace, text), each]);
  return listed.map(([place, target, each]) => {
    const { handler, concurrency, timeout } = typeof each === 'function' ? { handler: each } : (each ?? {});
    if (typeof handler !== 'function') {
      throw new UsageError(`${place}: must be a function, or { handler, concurrency, timeout }`);
    }
    return [
      target,
      handler,
      { ...(concurrency !== undefined && { concurrency }), ...(timeout !== undefined && { timeout }) },
    ];
  });
}

function checkName(name, file) {
  if (Object.hasOwn(TARGET_FIELDS, name)) return;
  const near = nearName(name, Object.keys(TARGET_FIELDS));
  const remedy = near
    ? `did you mean ${near}?`
    : `handlers are exported by namespace: ${Object.keys(TARGET_FIELDS).join(', ')}`;
  throw new UsageError(`${file}: exports '${name}', which is no namespace`, remedy);
}

function isGroup(value) {
  return value !== null && typeof value === 'object';
}

/**
 * What the file says: `options` of the constructor, and `register(ductape)`, which resolves with texts of what the handlers are
 * for.
 */
async function readHandlersFile(file) {
  let module;
  try {
    module = await load(file, 'work');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new CommandError(
      'ERROR',
      `cannot load ${file}: ${error?.name ?? 'Error'}: ${error?.message ?? error}`,
      'node --check FILE shows where',
    );
  }
  const exported = module.default ?? module;
  const options = module.options ?? exported.options ?? {};
  if (typeof exported === 'function') {
    return {
      options,
      async register(ductape) {
        await exported(ductape);
        return [`what ${file} registers`];
      },
    };
  }
  if (!isGroup(exported)) throw new UsageError(`${file}: must export handlers by namespace, or a function`);
  const groups = Object.entries(exported).filter(([name]) => !['options', 'default', 'module.exports'].includes(name));
  for (const [name, group] of groups) {
    checkName(name, file);
    if (!isGroup(group)) throw new UsageError(`${file}: ${name} must be an object of handlers, or a list of them`);
  }
  return {
    options,
    async register(ductape) {
      const texts = [];
      for (const [name, group] of groups) {
        const [outer, inner] = name.split('.');
        const namespace = inner ? ductape[outer][inner] : ductape[outer];
        for (const [target, handler, own] of entriesOf(name, group)) {
          namespace.handle(target, handler, own);
          texts.push(`${name} ${Object.values(target).join('/') || '*'}`);
        }
      }
      return texts;
    },
  };
}

module.exports = { readHandlersFile, targetOf };
