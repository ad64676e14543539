'use strict';
// The wire format between JavaScript and Rust. `src/node/protocol.rs` is the other side; `docs/design/boundary.md` has the
// table, and `__test__/protocol.test.ts` compares the three. The letters and numbers are written nowhere else.

/** Messages from Rust: lists that begin with the kind. */
const MESSAGE = Object.freeze({
  QUEUED: 'd',
  LIST_QUEUED: 'm',
  RESOLVE: 'r',
  REJECT: 'e',
  RUN_HANDLER: 'x',
  ABORT: 'a',
  EVENT: 'v',
  LOG: 'l',
  START_WORKING: 'o',
  ASK_SECRET: 's',
  ASK_KEYS: 'k',
  BEGIN_SPAN: 'b',
  END_SPAN: 'n',
});

/** How an attempt ended. */
const ANSWER = Object.freeze({
  RESULT: 0,
  FAILURE: 1,
  SNOOZE: 2,
  /** There is no such handler any more: the claim is released. */
  RELEASE: 3,
  NO_RESULT: 4,
});

/** What `delay` answers in place of the ms until the next try. */
const NO_RETRY = Object.freeze({
  GIVE_UP: -1,
  /** The attempt is no longer this process's: its answer does not count. */
  ATTEMPT_OVER: -2,
});

/** What a dispatch carries. */
const DISPATCH_FORM = Object.freeze({ ONE: 'one', MANY: 'many', PARTS: 'parts' });

/** What a handler says about its attempt while it runs. */
const NOTE = Object.freeze({ PROGRESS: 'progress', LOG: 'log' });

/** One dispatch, as a line of a batch. JSON has no line breaks. */
const dispatchLine = (namespace, form, json) => `${namespace} ${form} ${json}`;

/** The JSON of the end of a list whose other entries have crossed as list number `list`. */
const endOfList = (list, json) => `${list} ${json}`;

/** The same of a dispatch that is part of a trace, whose text is printable. */
const tracedLine = (trace, line) => `@${trace}\t${line}`;

/** One answer, as an element of a JSON list; `value` is JSON. */
const answerElement = (key, kind, value) => `[${key},${kind},${value}]`;

/** What nearly every dispatch resolves with; it crosses without the names of its members. */
const queuedJob = (id, since) => ({ job_id: id, status: 'queued', scheduled_at: since, recurring: false });

/** The answer to a question for a secret: the secret, if there is one, or why it cannot be had. */
const secretAnswer = ({ value, error }) => JSON.stringify(error === undefined ? { value } : { error });

module.exports = {
  MESSAGE,
  ANSWER,
  NO_RETRY,
  DISPATCH_FORM,
  NOTE,
  dispatchLine,
  endOfList,
  tracedLine,
  answerElement,
  queuedJob,
  secretAnswer,
};
