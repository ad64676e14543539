'use strict';
// `logs`: what a job's handler logged, and what it goes on to log.

const { setTimeout: sleep } = require('node:timers/promises');
const { escaped } = require('../text.js');
const { timeText } = require('./format.js');
const { withStore } = require('./store.js');
const { integer } = require('./values.js');

const POLL_MS = 500;
/** The store keeps so many lines of a job. */
const KEPT_LINES = 1_000;
const ENDED = new Set(['completed', 'failed', 'cancelled']);

const isSame = (a, b) => a.at === b.at && a.run === b.run && a.attempt === b.attempt && a.message === b.message;

/** Lines of `now` that came after those of `before`, of which the first may be gone. */
function addedLines(before, now) {
  // Only a full log loses lines.
  let gone = 0;
  if (before.length >= KEPT_LINES) {
    const isRest = (at) => before.slice(at).every((line, index) => now[index] && isSame(line, now[index]));
    while (gone < before.length && !isRest(gone)) gone++;
  }
  return now.slice(before.length - gone);
}

function print(line, out) {
  if (out.isJson) {
    out.jsonLine(line);
    return;
  }
  const [time, attempt] = [timeText(line.at, out), `${line.run}.${line.attempt}`];
  const separator = out.isTerminal ? '  ' : '\t';
  out.line([out.paint('dim', time), out.paint('dim', attempt), escaped(line.message)].join(separator));
}

module.exports = {
  name: 'logs',
  summary: "shows what a job's handler logged",
  about: "Shows what a job's handler logged, oldest line first: time, run and attempt, message.",
  usage: 'ID [options]',
  arguments: { min: 1 },
  notes: ['With --json a line each: { run, attempt, at, message }.'],
  options: {
    follow: { type: 'boolean', short: 'f', about: 'goes on until the job has ended' },
    tail: { type: 'string', value: 'N', read: integer(0), about: 'only the last so many lines' },
    run: { type: 'string', value: 'N', read: integer(1), about: 'only of this run' },
  },
  examples: ['ductape logs import-7 -f', 'ductape logs import-7 --tail 20'],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, values, positionals } = context;
      const [id] = positionals;
      const isAsked = (line) => values.run === undefined || line.run === values.run;
      // Before the lines, so that none of a job that has ended is missing.
      let { status } = await jobs.get(id);
      let lines = await jobs.logs(id);
      const first = lines.filter(isAsked);
      for (const line of values.tail === undefined ? first : first.slice(Math.max(0, first.length - values.tail)))
        print(line, out);
      while (values.follow && !ENDED.has(status)) {
        await sleep(POLL_MS);
        try {
          ({ status } = await jobs.get(id));
          const now = await jobs.logs(id);
          for (const line of addedLines(lines, now).filter(isAsked)) print(line, out);
          lines = now;
        } catch (error) {
          if (error.code === 'NOT_FOUND') return;
          throw error;
        }
      }
      if (!out.isJson && lines.length === 0) out.note('nothing was logged');
    }),
};

module.exports.addedLines = addedLines;
