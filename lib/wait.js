'use strict';
// Bounds in time. Knows neither jobs nor the native side.

// Taken here, so that fake timers installed later do not stop a step.
const { setTimeout, clearTimeout } = require('node:timers');

/** Resolves after `ms`, or when the signal aborts. */
function wait(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

/**
 * Calls `act(signal)`, and settles as it does; the signal aborts as `outer` does, and after `ms` with the error `timeout`
 * makes. Then this rejects with the signal's reason. Does not keep the process running.
 */
async function callWithin(ms, outer, timeout, act) {
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  // Nobody waits for it when `act` throws at once.
  aborted.catch(() => {});
  const follow = () => controller.abort(outer.reason);
  outer.addEventListener('abort', follow);
  if (outer.aborted) follow();
  const timer = setTimeout(() => controller.abort(timeout()), ms).unref();
  try {
    return await Promise.race([act(signal), aborted]);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', follow);
  }
}

module.exports = { callWithin, wait };
