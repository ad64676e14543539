'use strict';
// Signals that end the process close the instances that have started.

const SIGNALS = ['SIGTERM', 'SIGINT'];

/** Instances that a signal closes. */
const workers = new Set();

/** Closes the instances, then ends the process unless somebody else listens. A second signal ends it at once. */
function onSignal(signal) {
  const alone = process.listenerCount(signal) === 0;
  Promise.allSettled(Array.from(workers, (worker) => worker.close())).then(() => {
    if (alone) process.kill(process.pid, signal);
  });
}

function closeOnSignal(instance) {
  if (workers.size === 0) for (const signal of SIGNALS) process.once(signal, onSignal);
  workers.add(instance);
}

function stopClosingOnSignal(instance) {
  workers.delete(instance);
  if (workers.size === 0) for (const signal of SIGNALS) process.removeListener(signal, onSignal);
}

module.exports = { closeOnSignal, stopClosingOnSignal };
