// Rounds of faults against a model of what was acknowledged: a few here, thousands by `npm run test:long -- faults`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { absent } from './support/servers.js';

const ROUNDS = 20;
/** They mount a file system, and load a library into processes. */
const possible = process.platform === 'linux' && process.getuid?.() === 0;
if (!possible) absent('rounds of faults need Linux and root');

describe(`${ROUNDS} rounds of faults`, () => {
  it.skipIf(!possible).for(['sqlite', 'postgres'])(
    'leave all that was acknowledged, each done once: %s',
    { timeout: 600_000 },
    async (store) => {
      const run = join(import.meta.dirname, '..', 'faults', 'run.mjs');
      const settings = ['--store', store, '--seed', '1', '--rounds', `${ROUNDS}`, '--lanes', '4'];
      const rounds = spawn(process.execPath, [run, ...settings]);
      // Ends after the rounds that are under way.
      onTestFinished(() => void rounds.kill('SIGTERM'));
      let said = '';
      for (const stream of [rounds.stdout, rounds.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          said += text;
        });
      }
      const [code] = await once(rounds, 'close');
      expect(code, said).toBe(0);
      expect(said).toContain(`${store}: ${ROUNDS} rounds from seed 1 in `);
      console.info(said.trim());
    },
  );
});
