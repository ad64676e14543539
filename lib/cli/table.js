'use strict';
// Tables: aligned and cut to the terminal's width on one, whole values between tabs elsewhere.

const { escaped } = require('../text.js');

const GAP = '  ';
/** A column is not made narrower than this. */
const MIN_WIDTH = 8;

/** Characters that take two columns, and those that take none. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NARROWEST = /\p{Mn}|\p{Me}|\u200d/u;

const widthOfCharacter = (character) => (NARROWEST.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

function widthOf(text) {
  // Most texts have one column for each character.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** The text in at most `width` columns, with `…` where it was cut. */
function cut(text, width) {
  if (widthOf(text) <= width) return text;
  let [kept, used] = ['', 0];
  for (const character of text) {
    const next = used + widthOfCharacter(character);
    if (next > width - 1) break;
    kept += character;
    used = next;
  }
  return `${kept}…`;
}

const padded = (text, width, isNumber) => {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return isNumber ? space + text : text + space;
};

const totalOf = (widths) => widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);

/** Takes from the widest of these columns until all fit into `columns`. */
function narrowed(widths, mayCut, columns) {
  const fit = [...widths];
  for (let over = totalOf(fit) - columns; over > 0; over--) {
    let widest = -1;
    for (let at = 0; at < fit.length; at++) {
      if (mayCut[at] && fit[at] > MIN_WIDTH && (widest < 0 || fit[at] > fit[widest])) widest = at;
    }
    if (widest < 0) break;
    fit[widest]--;
  }
  return fit;
}

/** Widths of the columns; those that find no room, the most dispensable first, are `undefined`. */
function fitted(shown, columns) {
  let left = shown;
  for (;;) {
    const mayCut = left.map((column) => column.canCut === true);
    const widths = narrowed(
      left.map(({ width }) => width),
      mayCut,
      columns,
    );
    const spare = left.filter((column) => column.spare).sort((a, b) => b.spare - a.spare)[0];
    if (totalOf(widths) <= columns || !spare) {
      const all = narrowed(widths, Array(left.length).fill(true), columns);
      return left.map((column, at) => ({ ...column, width: all[at] }));
    }
    left = left.filter((column) => column !== spare);
  }
}

/**
 * Lines of a table. A column is `{ name, of, canCut?, spare?, isNumber?, style? }`: `of(row)` gives its text, `style(row)` how it
 * is painted; on a terminal that is too narrow the one with the highest `spare` goes first. A column that is empty in all rows
 * is left out on a terminal.
 */
function tableLines(columns, rows, out) {
  const textOf = (column, row) => escaped(String(column.of(row) ?? ''));
  if (!out.isTerminal) {
    return [
      columns.map(({ name }) => name).join('\t'),
      ...rows.map((row) => columns.map((column) => textOf(column, row)).join('\t')),
    ];
  }
  const shown = columns
    .map((column) => ({ ...column, texts: rows.map((row) => textOf(column, row)) }))
    .filter(({ texts }) => texts.some((text) => text !== ''));
  const natural = shown.map((column) => ({
    ...column,
    width: column.texts.reduce((max, text) => Math.max(max, widthOf(text)), column.name.length),
  }));
  const fit = fitted(natural, out.columns);
  const joined = (cells) => cells.join(GAP).trimEnd();
  const cell = (text, { width, isNumber }) => padded(cut(text, width), width, isNumber);
  const header = joined(fit.map((column) => cell(column.name, column)));
  const body = rows.map((row, index) =>
    joined(
      fit.map((column) => {
        const text = cell(column.texts[index], column);
        return column.style ? out.paint(column.style(row), text) : text;
      }),
    ),
  );
  return [out.paint('bold', header), ...body];
}

/** Writes a table. */
function printTable(columns, rows, out) {
  for (const line of tableLines(columns, rows, out)) out.line(line);
}

/** Writes names and values below each other; pairs without a value are left out. */
function printPairs(pairs, out) {
  const given = pairs.filter(([, value]) => value !== undefined && value !== '');
  const width = given.reduce((max, [name]) => Math.max(max, name.length), 0);
  for (const [name, value] of given) {
    out.line(out.isTerminal ? `${out.paint('dim', name.padEnd(width))}  ${value}` : `${name}\t${value}`);
  }
}

module.exports = { cut, printPairs, printTable, tableLines, widthOf };
