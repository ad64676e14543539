// The first project of the README, from an empty folder, with the packed package: `npm run test:long -- quickstart` does the same with
// tools from the registry.
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { address } from './support/servers.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const postgres = address('DUCTAPE_TEST_POSTGRES');

// Its commands are those of a shell.
describe.skipIf(process.platform === 'win32')('the first project of the README', () => {
  let printed: string;

  beforeAll(async () => {
    // Rejects, with what it printed, when something is not as it should be.
    const { stdout } = await run(process.execPath, [join(root, 'quickstart/run.mjs'), '--offline']).catch((failure) => {
      throw new Error(`${failure.stdout}${failure.stderr}`);
    });
    printed = stdout;
  }, 300_000);

  it('works from an empty folder', () => {
    expect(printed).toMatch(/^== first project: \d/m);
  });

  it.skipIf(!postgres)('moves to PostgreSQL', () => {
    expect(printed).toMatch(/^== moved to PostgreSQL: \d/m);
  });
});
