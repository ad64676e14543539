'use strict';
// Where a command writes: results to standard output, everything about them to standard error.

const STYLES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] };
const DEFAULT_COLUMNS = 80;

/** Whether a stream takes colours: https://no-color.org. */
function takesColour(stream, env) {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

function paint(isColoured, style, text) {
  const codes = STYLES[style];
  return isColoured && codes ? `\x1b[${codes[0]}m${text}\x1b[${codes[1]}m` : text;
}

class Output {
  #stdout;
  #stderr;
  #colours;
  #errorColours;
  /** Whether programs read the result. */
  isJson;

  constructor({ stdout, stderr, env, isJson }) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.isJson = isJson;
    this.#colours = takesColour(stdout, env);
    this.#errorColours = takesColour(stderr, env);
  }

  get isTerminal() {
    return this.#stdout.isTTY === true;
  }

  get isErrorTerminal() {
    return this.#stderr.isTTY === true;
  }

  get columns() {
    return this.#stdout.columns || DEFAULT_COLUMNS;
  }

  get rows() {
    return this.#stdout.rows || 24;
  }

  get errorColumns() {
    return this.#stderr.columns || DEFAULT_COLUMNS;
  }

  get stdout() {
    return this.#stdout;
  }

  paint(style, text) {
    return paint(this.#colours, style, text);
  }

  paintError(style, text) {
    return paint(this.#errorColours, style, text);
  }

  write(text) {
    this.#stdout.write(text);
  }

  line(text = '') {
    this.#stdout.write(`${text}\n`);
  }

  /** The result for programs: one JSON value, indented for a reader at a terminal. */
  json(value) {
    this.line(JSON.stringify(value, null, this.isTerminal ? 2 : undefined));
  }

  /** One JSON value of several, each on a line of its own. */
  jsonLine(value) {
    this.line(JSON.stringify(value));
  }

  /** A line about the work, not of its result. */
  note(text) {
    this.#stderr.write(`${text}\n`);
  }

  writeNote(text) {
    this.#stderr.write(text);
  }

  errorJson(value) {
    this.#stderr.write(`${JSON.stringify(value)}\n`);
  }
}

module.exports = { Output };
