// Statistics and formats that the programs of this folder share.
import { statSync } from 'node:fs';

/** The quantile `q` of the values. */
export const quantile = (values, q) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];

/** A row of a Markdown table. */
export const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

export const MIB = 2 ** 20;

export const mib = (bytes) => `${(bytes / MIB).toFixed(0)} MiB`;

export const rate = (count, ms) => `${Math.round((count / ms) * 1000).toLocaleString('en')}/s`;

/** Bytes of a store on disk: its file and its log. */
export function sizeOf(file) {
  const sizes = ['', '-wal'].map((end) => statSync(file + end, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((a, b) => a + b);
}

/** A promise with the function that resolves it. */
export function withResolvers() {
  let resolve;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
