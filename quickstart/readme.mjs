// What the README tells its readers to write and to run, taken out of it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const text = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');

/** Its programs by the names of their files, which are their first lines. */
export const programs = new Map(
  [...text.matchAll(/^```ts\n(\/\/ (\S+\.ts)\n.*?)^```$/gms)].map(([, code, name]) => [name, code]),
);

/** The commands of each step, which is named by a comment before them. */
export const steps = new Map(
  [...text.matchAll(/^<!-- quickstart: (\w+) -->\n```sh\n(.*?)^```$/gms)].map(([, name, commands]) => [
    name,
    commands.trim().split('\n'),
  ]),
);
