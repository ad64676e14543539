'use strict';
// Dispatches and answers gather until the microtasks that wait have run, and cross to the native side together.

const { answerElement } = require('./protocol.js');

/** Upper bound of the dispatches in a batch, so that the native side begins while others are made. */
const MAX_BATCH_DISPATCHES = 64;
/** Length of the text of a batch from which on it crosses at once. */
const MAX_BATCH_CHARS = 64 * 1024;

/** Dispatches that have not crossed yet; their tickets are consecutive. */
class DispatchBatch {
  #send;
  #text = '';
  #count = 0;
  #firstTicket = 0;

  /** `send(firstTicket, count, text)` takes a batch. */
  constructor(send) {
    this.#send = send;
  }

  add(ticket, line) {
    if (this.#count === 0) {
      this.#text = line;
      this.#firstTicket = ticket;
      Promise.resolve().then(() => this.flush());
    } else {
      this.#text += `\n${line}`;
    }
    this.#count++;
    if (this.#count === MAX_BATCH_DISPATCHES || this.#text.length > MAX_BATCH_CHARS) this.flush();
  }

  flush() {
    if (this.#count === 0) return;
    const [first, count, text] = [this.#firstTicket, this.#count, this.#text];
    this.#count = 0;
    this.#text = '';
    this.#send(first, count, text);
  }
}

/** Answers of handlers that have not crossed yet. */
class AnswerBatch {
  #send;
  #text = '';

  /** `send(json)` takes a list of answers. */
  constructor(send) {
    this.#send = send;
  }

  /** `value` is JSON. */
  add(key, kind, value) {
    if (this.#text === '') {
      this.#text = '[';
      Promise.resolve().then(() => this.#flush());
    } else {
      this.#text += ',';
    }
    this.#text += answerElement(key, kind, value);
    if (this.#text.length > MAX_BATCH_CHARS) this.#flush();
  }

  #flush() {
    if (this.#text === '') return;
    const text = `${this.#text}]`;
    this.#text = '';
    this.#send(text);
  }
}

module.exports = { DispatchBatch, AnswerBatch };
