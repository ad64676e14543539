'use strict';
// Bounds in time. Knows neither jobs nor the native side.

const { setMaxListeners } = require('node:events');
const { setTimeout, clearTimeout } = require('./timers.js');

/** Longest time of a timer, ms: Node fires one that is longer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls `act` after `ms`, however many; returns the function that prevents it. */
function after(ms, act, { holds }) {
  let timer;
  const arm = (left) => {
    const piece = Math.min(left, MAX_TIMER_MS);
    timer = setTimeout(() => (left > piece ? arm(left - piece) : act()), piece);
    if (!holds) timer.unref();
  };
  arm(ms);
  return () => clearTimeout(timer);
}

/** Resolves after `ms`, or when the signal aborts. */
function wait(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = after(ms, end, { holds: true });
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
  setMaxListeners(0, signal);
  const aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  // Nobody waits for it when `act` throws at once.
  aborted.catch(() => {});
  const follow = () => controller.abort(outer.reason);
  outer.addEventListener('abort', follow);
  if (outer.aborted) follow();
  const cancel = after(ms, () => controller.abort(timeout()), { holds: false });
  try {
    return await Promise.race([act(signal), aborted]);
  } finally {
    cancel();
    outer.removeEventListener('abort', follow);
  }
}

module.exports = { callWithin, wait };
