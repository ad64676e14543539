'use strict';
// The end of the process, `process.exit()` included: instances that are still open release what they have claimed. When it
// ends with a code of failure, by `process.exit(1)` or an error that nobody has caught, what they are executing may be the
// cause, and counts a crash as when the process is killed.

const { constants } = require('node:os');

/** The code of a program that has come to its end while it awaits something at its top level: no failure of a handler. */
const UNSETTLED_AWAIT = 13;

/** The codes with which programs end that were told to by a signal: no failure either. */
const STOPPED = ['SIGHUP', 'SIGINT', 'SIGTERM'].map((signal) => 128 + constants.signals[signal]);

/** Bridges of instances that are not closed. */
const openBridges = new Set();

function shutDownOnExit(bridge) {
  if (openBridges.size === 0) process.once('exit', shutDownAll);
  openBridges.add(bridge);
}

function shutDownAll(code) {
  const failed = code !== 0 && code !== UNSETTLED_AWAIT && !STOPPED.includes(code);
  for (const bridge of openBridges) bridge.endWithProcess(failed);
  openBridges.clear();
}

function forgetBridge(bridge) {
  openBridges.delete(bridge);
  if (openBridges.size === 0) process.removeListener('exit', shutDownAll);
}

module.exports = { shutDownOnExit, forgetBridge };
