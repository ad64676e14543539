'use strict';
// Arguments that are refused before they are read.

const { refuse } = require('./errors.js');

/** What is given in place of options, or of a filter, by mistake: JSON has no functions, and `null` would count as absent. */
function refuseNullAndFunction(name, value) {
  if (name !== 'options' && name !== '') return;
  if (value === null || typeof value === 'function') {
    refuse(name, `must be an object, got ${value === null ? 'null' : 'a function'}`);
  }
}

/** Options as an argument of their own, as other queues take them. */
async function refuseMore(many) {
  const form = many
    ? 'dispatchMany([{ tag, input, retries }])'
    : 'dispatch({ tag, input, retries, schedule: { delay } })';
  refuse('options', `stand in the job, which is the only argument: ${form}`);
}

module.exports = { refuseMore, refuseNullAndFunction };
