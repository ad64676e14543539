'use strict';
// Progress of long work on standard error: a bar with rate and time left on a terminal, plain lines a second apart elsewhere.
// Nothing under `--json`.

const { performance } = require('node:perf_hooks');
const { bytesText, countText, durationText } = require('./format.js');
const { cut } = require('./table.js');

const BAR_CELLS = 24;
const REDRAW_MS = 100;
const LINE_MS = 1_000;
/** Between two looks at what is done. */
const LOOK_MS = 100;
const CLEAR_LINE = '\r\x1b[K';

class Progress {
  #out;
  #label;
  #total;
  #textOf;
  #unit;
  #begun = performance.now();
  #shown = 0;
  #isDrawn = false;

  /** `unit`: `'jobs'`, `'bytes'` or `'seconds'`; without a `total` only what is done is shown. */
  constructor(out, label, { total, unit = 'jobs' } = {}) {
    this.#out = out;
    this.#label = label;
    this.#total = total;
    this.#unit = unit;
    this.#textOf = unit === 'bytes' ? bytesText : countText;
    // The first line comes when the work turns out to be long.
    this.#shown = this.#begun;
  }

  update(done) {
    const now = performance.now();
    const pause = this.#out.isErrorTerminal ? REDRAW_MS : LINE_MS;
    if (this.#out.isJson || now - this.#shown < pause) return;
    this.#shown = now;
    const seconds = (now - this.#begun) / 1_000;
    const text = this.#text(done, done / seconds);
    if (this.#out.isErrorTerminal) {
      this.#isDrawn = true;
      this.#out.writeNote(CLEAR_LINE + cut(text, Math.max(10, this.#out.errorColumns - 1)));
    } else {
      this.#out.note(text);
    }
  }

  #text(done, rate) {
    if (this.#unit === 'seconds') return `${this.#label}  ${done} s`;
    const perSecond = `${this.#textOf(Math.round(rate))}/s`;
    if (this.#total === undefined) return `${this.#label}  ${this.#textOf(done)}  ${perSecond}`;
    // What is counted may grow meanwhile.
    const part = this.#total > 0 ? Math.min(1, done / this.#total) : 1;
    const cells = Math.round(part * BAR_CELLS);
    const bar = this.#out.isErrorTerminal ? ` [${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}]` : '';
    const left = rate > 0 ? `, ${durationText((Math.max(0, this.#total - done) / rate) * 1_000)} left` : '';
    const counts = `${this.#textOf(done)} of ${this.#textOf(this.#total)}`;
    return `${this.#label}${bar} ${Math.floor(part * 100)} %  ${counts}, ${perSecond}${left}`;
  }

  /** Takes the bar away. */
  end() {
    if (this.#isDrawn) this.#out.writeNote(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

/** Does `work` and meanwhile shows what `measure` finds done; failures of `measure` do no harm. */
async function withProgress(progress, context, measure, work) {
  const end = () => progress.end();
  context.restorers.add(end);
  let isOver = false;
  let timer;
  const look = async () => {
    try {
      const done = await measure();
      if (!isOver) progress.update(done);
    } catch {
      // The work itself tells what is wrong.
    }
    if (!isOver) timer = setTimeout(look, LOOK_MS);
  };
  timer = setTimeout(look, LOOK_MS);
  try {
    return await work();
  } finally {
    isOver = true;
    clearTimeout(timer);
    end();
    context.restorers.delete(end);
  }
}

module.exports = { Progress, withProgress };
