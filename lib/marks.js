'use strict';
// Values of an input that say of themselves whether they are expressions.

const { inspect } = require('node:util');
const { DuctapeError, refuse } = require('./errors.js');

/**
 * What the JSON that is being written has before expressions; `undefined`: nothing. Copies of the package share it, so that each
 * knows the expressions and literals of the others.
 */
const SHARED = Symbol.for('ductape.marks');
globalThis[SHARED] ??= { mark: undefined };
const writing = globalThis[SHARED];
const TEXT = Symbol('text');

/**
 * Calls `write`, in whose JSON expressions and literals begin with `given`: text that nobody knows, so that data which looks
 * like one of them is told apart.
 */
function withMark(given, write) {
  // Getters of the program's may dispatch in their turn, with another instance.
  const outer = writing.mark;
  writing.mark = given;
  try {
    return write();
  } finally {
    writing.mark = outer;
  }
}

class Literal {
  constructor(value) {
    this.$literal = value;
  }

  toJSON() {
    return writing.mark === undefined ? this : { [writing.mark]: this.$literal };
  }
}

class Expression {
  /** Not a private member: that would be out of reach of a proxy. */
  constructor(text) {
    Object.defineProperty(this, TEXT, { value: text });
  }

  toJSON() {
    return writing.mark === undefined ? this[TEXT] : writing.mark + this[TEXT];
  }

  [Symbol.toPrimitive]() {
    const message =
      'expr: an expression cannot be put into a text; write the whole text in it: expr("Hello $Input{name}")';
    throw new DuctapeError('VALIDATION_ERROR', message);
  }

  [inspect.custom](_depth, options) {
    return `expr(${inspect(this[TEXT], options)})`;
  }
}

/** Marks a value as it is: no text in it is read as an expression. */
const literal = (value) => (value === undefined ? undefined : new Literal(value));

/** Marks a text as one whose expressions are to be evaluated. */
function expr(text) {
  if (typeof text !== 'string') refuse('expression', `must be a string, got ${text === null ? 'null' : typeof text}`);
  return new Expression(text);
}

module.exports = { expr, literal, withMark };
