// What the programs share: short lines on standard output, commands on standard input.
import { writeSync } from 'node:fs';

/** Writes at once, so that a killed process has said what it said. */
export const writeLine = (...words) => writeSync(1, `${words.join(' ')}\n`);

/** Resolves with the first line that comes in. Keeps the process alive until then. */
export const readLine = () =>
  new Promise((resolve) => process.stdin.once('data', (data) => resolve(String(data).trim())));

/** Now, in fractions of ms that processes of one machine can compare. */
export const now = () => performance.timeOrigin + performance.now();

/** What the work of a program takes, or the pause between its looks at a condition. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
