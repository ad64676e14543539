'use strict';
// Signals that end the process stop the work of the instances that have started.

const { constants } = require('node:os');

const SIGNALS = ['SIGTERM', 'SIGINT'];

/** What all copies of the package in this process know: their listeners, and the ends that are under way. */
const SHARED = Symbol.for('ductape.signals');
process[SHARED] ??= { listeners: new Set(), ending: new Set() };
const { listeners, ending } = process[SHARED];

/** Instances that a signal stops: `{ stopWork, close }`. */
const workers = new Set();
let stopping = false;

/** Whether nobody but this package listens. */
const isAlone = (signal) => process.listeners(signal).every((listener) => listeners.has(listener));

/**
 * Stops the work of the instances. Without another listener it then closes them and ends the process, and a further signal
 * ends it at once; else the end is for that listener: until then dispatches are taken.
 */
function onSignal(signal) {
  const alone = isAlone(signal);
  if (stopping) {
    if (alone) endProcess(signal);
    return;
  }
  stopping = true;
  const ended = Array.from(workers, async (worker) => {
    await worker.stopWork();
    if (alone) await worker.close();
  });
  const end = Promise.allSettled(ended);
  ending.add(end);
  end.then(() => {
    ending.delete(end);
    // Another copy of the package may not be done.
    if (alone && ending.size === 0) endProcess(signal);
  });
}

listeners.add(onSignal);

function endProcess(signal) {
  ignoreSignals();
  // A signal that nobody listens to does not end the first process of a container.
  if (process.pid === 1) process.exit(128 + constants.signals[signal]);
  process.kill(process.pid, signal);
}

function ignoreSignals() {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal);
}

/** Returns whether the worker is new here. */
function stopOnSignal(worker) {
  if (workers.has(worker)) return false;
  // Before all others, so that those that listen once still count.
  if (workers.size === 0) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  workers.add(worker);
  return true;
}

function forgetOnSignal(worker) {
  if (!workers.delete(worker) || workers.size > 0) return;
  stopping = false;
  ignoreSignals();
}

module.exports = { forgetOnSignal, stopOnSignal };
