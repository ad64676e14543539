'use strict';
// The names of the methods that instances have in their namespaces, for what is made of the class without a constructor: mocks.

const { DuctapeError } = require('./errors.js');

const DISPATCHES = ['dispatch', 'dispatchMany', 'statement', 'handle'];

/** By namespace; `lib/namespaces.js` has the methods. */
const METHODS = {
  actions: DISPATCHES,
  features: [...DISPATCHES, 'define'],
  notifications: DISPATCHES,
  storage: DISPATCHES,
  events: DISPATCHES,
  databases: DISPATCHES,
  graphs: DISPATCHES,
  jobs: [
    ...['get', 'list', 'wait', 'cancel', 'cancelRun', 'cancelMany', 'pause', 'pauseMany', 'resume', 'resumeMany'],
    ...['reschedule', 'runNow', 'skipNext', 'retry', 'retryMany', 'delete', 'deleteMany', 'getStats', 'metrics'],
    ...['processes', 'steps', 'targets', 'audit', 'logs', 'getHistory', 'preview', 'explain'],
    ...['setWebhook', 'listWebhooks', 'deleteWebhook', 'on', 'once', 'off'],
  ],
  sessions: ['start', 'verify', 'refresh', 'revoke'],
  resources: ['check'],
  caches: ['get', 'set', 'clear', 'clearAll'],
  clock: ['now', 'advance', 'set'],
};

function standIns(path, names) {
  const refusing = (name) => () => {
    throw new DuctapeError(
      'VALIDATION_ERROR',
      `${path}.${name}: has no instance; make one by the constructor, or a stub of the method`,
    );
  };
  return Object.fromEntries(names.map((name) => [name, refusing(name)]));
}

/** What stands in for the namespaces on the prototype, where Jest and Sinon look for what is to be mocked. */
function prototypeNamespaces() {
  const made = Object.fromEntries(Object.entries(METHODS).map(([path, names]) => [path, standIns(path, names)]));
  for (const name of ['databases', 'graphs']) made[name].action = standIns(`${name}.action`, DISPATCHES);
  return made;
}

module.exports = { prototypeNamespaces };
