'use strict';
// Tracing channels of `diagnostics_channel`, on which monitoring agents learn of dispatches and of runs of handlers. An event
// is made only while somebody subscribes.

const { tracingChannel } = require('node:diagnostics_channel');

const dispatches = tracingChannel('ductape:dispatch');
const runs = tracingChannel('ductape:run');

/** Whether anybody subscribes to one of its channels. Not every supported version of Node.js can say that of all at once. */
const isObserved = ({ start, end, asyncStart, asyncEnd, error }) =>
  start.hasSubscribers ||
  end.hasSubscribers ||
  asyncStart.hasSubscribers ||
  asyncEnd.hasSubscribers ||
  error.hasSubscribers;

module.exports = { dispatches, runs, isObserved };
