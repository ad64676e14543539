// What holds for every command.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command, filledStore, noTerminal, onTerminal, plain } from './support/command.js';
import { temporaryFolder } from './support/instances.js';

/** A right command line of each command that ends by itself but `completion`, and what it says on a terminal. */
const lines: [string[], RegExp][] = [
  [['list', '--limit', '1'], /^ID +STATUS/],
  [['get', 'failed-1'], /^id +failed-1$/m],
  [['explain', 'ticks-1'], /^scheduled\nNOT_DUE {2}the next run is due at/],
  [['stats'], /^total +3$/m],
  [['metrics'], /^features +breaks +1 +0 +1 +/m],
  [['retry', 'failed-1'], /^failed-1 retried$/m],
  [['cancel', 'ticks-1'], /^ticks-1 cancelled$/m],
  [['pause', 'ticks-1'], /^ticks-1 paused$/m],
  [['resume', '--all', '--yes'], /^no job matches$/m],
  [['run-now', 'ticks-1'], /^ticks-1 due now$/m],
  [['reschedule', 'ticks-1', '--every', '2h'], /^ticks-1 rescheduled$/m],
  [['delete', '--all', '--yes'], /^3 jobs deleted$/m],
  [['dispatch', 'features', '--target', 'tag=x', '--product', 'shop', '--env', 'test'], /^ID +STATUS +DUE$/m],
  [['preview', '@daily'], /^TIME +UTC +WHEN$/m],
  [['logs', 'failed-1'], /^nothing was logged$/m],
  [['doctor'], /^ok +version +ductape /m],
];
const commands = [
  ...lines.map(([[name]]) => name ?? ''),
  'check',
  'work',
  'top',
  'dashboard',
  'demo',
  'backup',
  'move',
  'completion',
];

describe.each(commands)('%s', (name) => {
  it('refuses an option that it does not have, in words and as JSON', async () => {
    const [text, json] = await Promise.all([command([name, '--hlep']), command([name, '--hlep', '--json'])]);
    expect(text).toEqual({
      code: 2,
      stdout: '',
      stderr: 'error: there is no option --hlep\nhint: did you mean --help?\n',
    });
    expect([json.code, json.stdout]).toEqual([2, '']);
    expect(JSON.parse(json.stderr)).toEqual({
      error: { code: 'USAGE', message: 'there is no option --hlep', remedy: 'did you mean --help?' },
    });
  });
});

describe.each(lines)('%j', (args, shown) => {
  it.skipIf(noTerminal)('is done on a terminal', async () => {
    const { code, stdout } = await onTerminal(args, { store: await filledStore() });
    expect([code, plain(stdout)]).toEqual([0, expect.stringMatching(shown)]);
  });

  it('has JSON and nothing else on standard output with --json', async () => {
    const { code, stdout, stderr } = await command([...args, '--json'], { store: await filledStore() });
    expect([code, stderr]).toEqual([0, '']);
    if (args[0] !== 'logs') expect(JSON.parse(stdout)).toBeTypeOf('object');
  });
});

describe('a store that cannot be opened', () => {
  it('fails each command that needs one, with the reason', async () => {
    const file = join(await temporaryFolder(), 'text.db');
    await writeFile(file, 'no store, but long enough to be looked at '.repeat(100));
    const store = `sqlite:${file}`;
    const those = lines.filter(([[name]]) => name !== 'preview' && name !== 'doctor');
    const fails = async ([args]: (typeof lines)[number]) => {
      const { code, stdout, stderr } = await command([...args, '--json'], { store });
      expect([args, code]).toEqual([args, 1]);
      const told = stderr === '' ? JSON.parse(stdout).results[0].error : JSON.parse(stderr).error;
      expect(told.code).toBe('STORE_CORRUPT');
    };
    await Promise.all(those.map(fails));
  });
});
