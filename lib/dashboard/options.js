'use strict';
// Options of the dashboard: what is wrong is refused by name.

const { refuse, refuseAll } = require('../errors.js');
const { BASE_PATH } = require('./exchange.js');
const { Redaction } = require('./redact.js');

const NAMES = ['authorize', 'readOnly', 'basePath', 'redact'];

/** A base path without the slash at its end; `undefined`: it is told by the framework. */
function basePathOf(given, problems) {
  if (given === undefined) return undefined;
  if (typeof given !== 'string' || !given.startsWith('/')) {
    problems.push({ path: 'options.basePath', message: `must be a path that begins with '/', as in '/admin/jobs'` });
    return undefined;
  }
  const path = given.replace(/\/+$/, '');
  if (!BASE_PATH.test(path) || /(^|\/)\.{1,2}(\/|$)/.test(path)) {
    problems.push({ path: 'options.basePath', message: `'${given}' is not a plain path, as '/admin/jobs' is` });
  }
  return path;
}

/** `{ authorize?, readOnly, basePath?, redaction }` of what the program gives. */
function readOptions(given = {}) {
  if (given === null || typeof given !== 'object') {
    refuse('options', `must be an object, got ${given === null ? 'null' : typeof given}`);
  }
  const problems = [];
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name)) {
      problems.push({ path: `options.${name}`, message: `is not a known option; known are ${NAMES.join(', ')}` });
    }
  }
  const { authorize, readOnly = false, basePath, redact = [] } = given;
  // What is meant to guard must not be left out by mistake: `authorize: undefined` is a name that was mistyped.
  if ('authorize' in given && typeof authorize !== 'function') {
    problems.push({ path: 'options.authorize', message: `must be a function, got ${String(authorize)}` });
  }
  if (typeof readOnly !== 'boolean') {
    problems.push({ path: 'options.readOnly', message: `must be true or false, got ${String(readOnly)}` });
  }
  const base = basePathOf(basePath, problems);
  const redaction = new Redaction(redact, problems);
  if (problems.length > 0) refuseAll(problems);
  return { authorize, readOnly, basePath: base, redaction };
}

module.exports = { readOptions };
