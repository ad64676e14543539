'use strict';
// A program that has the whole terminal: draws frames, follows its size, and leaves it as it was.

/** Another screen, without a cursor, on which lines that are too long do not wrap. */
const BEGIN = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const END = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_REST = '\x1b[J';
const CTRL_C = '\u0003';

class Screen {
  #out;
  #restorers;
  #frame = () => [];
  #onKey = () => {};
  #isOpen = false;
  #onResize = () => this.draw();
  #onData = (text) => this.#onKey(text);
  #close = () => this.close();

  constructor(out, restorers) {
    this.#out = out;
    this.#restorers = restorers;
  }

  /** `onKey` is told what is typed; Ctrl-C is `screen.isInterrupt(key)`. */
  open(onKey) {
    this.#isOpen = true;
    this.#onKey = onKey;
    this.#restorers.add(this.#close);
    this.#out.write(BEGIN);
    this.#out.stdout.on('resize', this.#onResize);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.setEncoding('utf8').on('data', this.#onData);
  }

  isInterrupt(key) {
    return key.includes(CTRL_C);
  }

  /** Shows the lines that `frame` gives, now and after each change of the size. */
  show(frame) {
    this.#frame = frame;
    this.draw();
  }

  draw() {
    if (!this.#isOpen) return;
    const lines = this.#frame().slice(0, this.#out.rows);
    this.#out.write(HOME + lines.map((line) => line + CLEAR_LINE).join('\r\n') + CLEAR_REST);
  }

  close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#restorers.delete(this.#close);
    this.#out.stdout.off('resize', this.#onResize);
    if (process.stdin.isTTY) {
      process.stdin.off('data', this.#onData);
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    this.#out.write(END);
  }
}

module.exports = { Screen };
