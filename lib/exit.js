'use strict';
// The end of the process, `process.exit()` included: instances that are still open release what they have claimed.

/** Bridges of instances that are not closed. */
const openBridges = new Set();

function shutDownOnExit(bridge) {
  if (openBridges.size === 0) process.once('exit', shutDownAll);
  openBridges.add(bridge);
}

function shutDownAll() {
  for (const bridge of openBridges) bridge.shutDown();
  openBridges.clear();
}

function forgetBridge(bridge) {
  openBridges.delete(bridge);
  if (openBridges.size === 0) process.removeListener('exit', shutDownAll);
}

module.exports = { shutDownOnExit, forgetBridge };
