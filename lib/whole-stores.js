'use strict';
// What is done with a store as a whole while no instance has it open: a backup is put back, all of it is moved.

const { Bridge } = require('./bridge.js');
const { refuse } = require('./errors.js');
const { reported, withInherited } = require('./json.js');
const { setTimeout, clearTimeout } = require('./timers.js');

/** ms between two looks at how far a move has come. */
const LOOK_MS = 100;

function optionsOf(given, names, required) {
  const options = reported('options', () => withInherited(given ?? {}));
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) refuse('options', `there is no option ${unknown}`);
  for (const name of required) {
    if (typeof options[name] !== 'string') refuse('options', `${name} must be a store, as in 'sqlite:data/jobs.db'`);
  }
  return options;
}

/** Calls `act` with a bridge that knows the store `name` of the options, and opens nothing. */
async function withUnopened(options, name, act) {
  let bridge;
  try {
    bridge = new Bridge({ store: options[name], worker: false });
  } catch (error) {
    // It is read as the option `store` is.
    if (error.details?.[0].path === 'options.store') refuse(`options.${name}`, error.details[0].message);
    throw error;
  }
  try {
    return await act(bridge);
  } finally {
    await bridge.call('close').finally(() => bridge.end());
  }
}

function restore(given) {
  const options = optionsOf(given, ['from', 'to'], ['to']);
  return withUnopened(options, 'to', async (bridge) => {
    await bridge.call('restore', { options: { from: options.from } });
  });
}

function move(given) {
  const { onProgress, ...options } = optionsOf(given, ['from', 'to', 'dryRun', 'giveUp', 'onProgress'], ['from', 'to']);
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('options.onProgress', 'must be a function');
  const { from: _, ...rest } = options;
  return withUnopened(options, 'from', async (bridge) => {
    let timer;
    let isOver = false;
    const look = async () => {
      try {
        const progress = await bridge.call('moveProgress');
        if (!isOver) onProgress(progress);
      } catch {
        // The move itself tells what is wrong, and a listener that throws is no part of it.
      }
      if (!isOver) timer = setTimeout(look, LOOK_MS);
    };
    if (onProgress) timer = setTimeout(look, LOOK_MS);
    try {
      return await bridge.call('move', { options: rest });
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  });
}

module.exports = { move, restore };
