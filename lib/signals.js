'use strict';
// Signals that end the process stop the work of the instances that have started.

const { constants } = require('node:os');

const SIGNALS = ['SIGTERM', 'SIGINT'];

/** Instances that a signal stops: `{ stopWork, close }`. */
const workers = new Set();
let stopping = false;

/**
 * Stops the work of the instances. Without another listener it then closes them and ends the process, and a further signal
 * ends it at once; else the end is for that listener: until then dispatches are taken.
 */
function onSignal(signal) {
  const alone = process.listenerCount(signal) === 1;
  if (stopping) {
    if (alone) endProcess(signal);
    return;
  }
  stopping = true;
  const ended = Array.from(workers, async (worker) => {
    await worker.stopWork();
    if (alone) await worker.close();
  });
  Promise.allSettled(ended).then(() => {
    if (alone) endProcess(signal);
  });
}

function endProcess(signal) {
  ignoreSignals();
  // A signal that nobody listens to does not end the first process of a container.
  if (process.pid === 1) process.exit(128 + constants.signals[signal]);
  process.kill(process.pid, signal);
}

function ignoreSignals() {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal);
}

function stopOnSignal(worker) {
  // Before all others, so that those that listen once still count.
  if (workers.size === 0) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  workers.add(worker);
}

function forgetOnSignal(worker) {
  workers.delete(worker);
  if (workers.size > 0 || stopping) return;
  ignoreSignals();
}

module.exports = { forgetOnSignal, stopOnSignal };
