'use strict';
// Rejections whose stacks name the lines of the program that wait for them.

const { DuctapeError, toError } = require('./errors.js');

/**
 * `new Promise(act)`, but the stack of what `act` throws begins where `called`, which is running, was called: else it ends before it
 * comes to the program.
 */
function promiseFor(called, act) {
  return new Promise((resolve, reject) => {
    try {
      act(resolve, reject);
    } catch (error) {
      if (error instanceof DuctapeError) Error.captureStackTrace(error, called);
      reject(error);
    }
  });
}

const nothing = () => {};

/**
 * A promise that rejects with the error of this wire form. V8 names the async functions that wait for a promise in the stack of an
 * error that is made in a reaction which leads to it: so this is to be resolved with at once, and the error is made afterwards.
 */
function failingWith(failure) {
  // By the second turn of microtasks the promise that is resolved with this waits for it.
  return Promise.resolve()
    .then(nothing)
    .then(() => {
      throw toError(failure);
    });
}

module.exports = { failingWith, promiseFor };
