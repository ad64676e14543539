'use strict';
// `work --watch`: a process that runs the worker in another one, and starts it anew when its file changes. A new process has no
// trace of the old code, whatever that imported and began.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { EXIT } = require('./exit-codes.js');
const { UsageError } = require('./failure.js');

/** Set for a worker whose process is watched over: others may have a channel to theirs, too. */
const WATCHED = 'DUCTAPE_WORK_WATCHED';
/** Editors write a file in several steps. */
const SETTLE_MS = 100;

/** Calls `onChange` after each change of the file, also when another one takes its place. */
function watchFile(file, onChange) {
  let timer;
  const read = () => {
    try {
      return fs.readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  };
  let known = read();
  const look = () => {
    const now = read();
    if (now === undefined || now === known) return;
    known = now;
    onChange();
  };
  return fs.watch(path.dirname(file), (_event, name) => {
    if (name !== null && name !== path.basename(file)) return;
    clearTimeout(timer);
    timer = setTimeout(look, SETTLE_MS);
  });
}

/** Resolves with the exit code once a signal has ended both processes. */
function watch(given, { out }) {
  const file = path.resolve(given);
  if (!fs.existsSync(file)) throw new UsageError(`work: there is no file ${file}`);
  const args = process.argv.slice(2).filter((each) => each !== '--watch');
  return new Promise((resolve) => {
    let child;
    let endCode;
    let isAsked = false;

    const begin = () => {
      isAsked = false;
      child = fork(path.join(__dirname, 'main.js'), args, {
        stdio: 'inherit',
        env: { ...process.env, [WATCHED]: '1' },
      });
      child.once('exit', (code, signal) => {
        child = undefined;
        if (endCode !== undefined) resolve(endCode);
        else if (isAsked) begin();
        else out.note(`the worker has ended (${signal ?? `exit code ${code}`}); it begins again when ${given} changes`);
      });
    };
    watchFile(file, () => {
      if (endCode !== undefined) return;
      if (!child) begin();
      else if (!isAsked) {
        isAsked = true;
        child.send({ stop: `${given} has changed` }, () => {});
      }
    });
    const onSignal = (code) => () => {
      if (!child) resolve(code);
      // A terminal has sent the signal to the worker as well; to be told twice this way does no harm.
      else if (endCode === undefined) child.send({ stop: 'stopping: handlers may finish' }, () => {});
      else child.kill('SIGKILL');
      endCode = code;
    };
    process.on('SIGINT', onSignal(EXIT.INTERRUPTED));
    process.on('SIGTERM', onSignal(EXIT.TERMINATED));
    begin();
  });
}

module.exports = { WATCHED, watch };
