'use strict';
// Which jobs a handler takes. What is left out means any, so that it must not be left out by mistake.

const { refuse, refuseAll } = require('./errors.js');
const { reported, withInherited } = require('./json.js');

/** Left undefined, they are those of the instance. */
const DEFAULTED = new Set(['product', 'env']);

const isAbsent = (value) => value === undefined || value === null;

/** The target as it is sent. Throws when it, or a part of it that is named, is undefined: it mostly should have been something. */
function readTarget(given) {
  if (isAbsent(given)) refuse('target', `must be an object, got ${given}; {} takes all jobs of its kind`);
  const target = reported('target', () => withInherited(given));
  const forgotten = Object.keys(target).filter((name) => isAbsent(target[name]) && !DEFAULTED.has(name));
  if (forgotten.length > 0) {
    const message = (name) => `is ${target[name]}; leave it out, or write '*', where any is meant`;
    refuseAll(forgotten.map((name) => ({ path: `target.${name}`, message: message(name) })));
  }
  return target;
}

/** The target of the feature with this tag. */
function featureTarget(tag) {
  if (typeof tag !== 'string') {
    refuse('tag', `must be a string, got ${tag === null ? 'null' : typeof tag}; handle({}, …) takes all features`);
  }
  return { tag };
}

module.exports = { featureTarget, readTarget };
