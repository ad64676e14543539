// The command line as a process: what it shows on a terminal and elsewhere, its JSON, wrong input, exit codes.
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command, filledStore, noTerminal, onTerminal, plain, start } from './support/command.js';
import { create, eventually, job, temporaryFolder, temporaryStore } from './support/instances.js';

const idsOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout).jobs.map((each: { id: string }) => each.id);

describe('ductape', () => {
  it('shows its version and its commands', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../package.json'), 'utf8'));
    expect(await command(['--version'])).toEqual({ code: 0, stdout: `ductape ${version}\n`, stderr: '' });
    const help = await command(['--help']);
    expect(help.code).toBe(0);
    expect((await command(['help', 'list'])).stdout).toBe((await command(['list', '--help'])).stdout);
    expect(await command([])).toMatchObject({ code: 2, stdout: '' });
  });

  it('has a help for each command, and all of them in the guide', async () => {
    const names = [...(await command(['--help'])).stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(names).toHaveLength(24);
    const guide = await readFile(join(import.meta.dirname, '../docs/command-line.md'), 'utf8');
    for (const name of names) {
      expect(guide).toMatch(new RegExp(`^\\| .*\`${name}[ \`]`, 'm'));
      const help = await command([name, '--help']);
      expect([help.code, help.stdout]).toEqual([0, expect.stringContaining(`usage: ductape ${name} `)]);
    }
  });

  it.each([
    [['lst'], "there is no command 'lst'", 'did you mean list?'],
    [['list', '--staus', 'failed'], 'there is no option --staus', 'did you mean --status?'],
    [['list', '--limit', 'x'], "limit: must be an integer from 1 to 1000000, got 'x'", undefined],
    [['list', '--limit'], '--limit: needs a value: --limit N', undefined],
    [['list', '--limit', '1', '--limit', '2'], '--limit: is given twice', undefined],
    [['list', '--search', ''], '--search: is empty', undefined],
    [['list', '--status', ','], "status: must name at least one, got ','", undefined],
    [['list', '--count=yes'], '--count: takes no value', undefined],
    [['--status', 'failed', 'list'], '--status: options of a command stand after its name', undefined],
    [['list', 'more'], "list: does not take the argument 'more'", 'see: ductape list --help'],
    [['get'], 'get: needs ID [options]', 'see: ductape get --help'],
    [['list', '--recurring', '--once'], '--recurring and --once exclude each other', undefined],
    [['list', '--store', 'memory:'], /^--store: a store in memory belongs to the process that made it/, undefined],
  ] as const)('refuses %j', async (args, message, hint) => {
    const store = await filledStore();
    const [asText, asJson] = await Promise.all([command(args, { store }), command([...args, '--json'], { store })]);
    expect([asText.code, asJson.code]).toEqual([2, 2]);
    expect([asText.stdout, asJson.stdout]).toEqual(['', '']);
    const { error } = JSON.parse(asJson.stderr);
    if (args[1] !== '--limit' || args.length !== 2) {
      expect(error.message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
      if (hint) expect(error.remedy).toBe(hint);
    }
    expect(error.code).toBe('USAGE');
    const [first, second] = asText.stderr.split('\n');
    expect(first).toMatch(/^error: /);
    if (hint) expect(second).toBe(`hint: ${hint}`);
  });

  it('names the store that is not there, and makes none', async () => {
    const folder = await temporaryFolder();
    const outcome = await command(['list', '--store', `sqlite:${join(folder, 'none.db')}`]);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain(
      `error: there is no store at ${join(folder, 'none.db')}\nhint: name another one with --store`,
    );
    expect((await command(['list'], { cwd: folder })).stderr).toContain(join('.ductape', 'jobs.db'));
  });

  it('has problems of values as details', async () => {
    const { code, stderr } = await command(['list', '--status', 'nope', '--from', 'abc', '--json'], {
      store: await filledStore(),
    });
    expect(code).toBe(2);
    const { error } = JSON.parse(stderr);
    expect(error.code).toBe('VALIDATION_ERROR');
    expect(error.details.map((each: { path: string }) => each.path).sort()).toEqual(['from', 'status']);
  });

  it('takes options of the constructor from a module', async () => {
    const store = await filledStore();
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'config.mjs'), `export default { store: ${JSON.stringify(store)} };`);
    expect(idsOf(await command(['list', '--json', '--config', 'config.mjs'], { cwd: folder }))).toHaveLength(3);
    expect(await command(['list', '--config', 'none.mjs'], { cwd: folder })).toMatchObject({ code: 2 });
  });
});

describe('a command', () => {
  it('is no process of the store, while a worker is one', async () => {
    const store = await filledStore();
    const locks = async () => (await readdir(`${store.slice('sqlite:'.length)}-locks`)).sort();
    const before = await locks();
    const session = start(['top', '--json', '--interval', '100ms'], { store });
    await session.see(/\n.*\n/);
    expect(await locks()).toEqual(before);
    const file = join(await temporaryFolder(), 'handlers.cjs');
    await writeFile(file, 'exports.features = { other: () => {} };');
    const worker = start(['work', file], { store });
    await worker.see('works on the store');
    await eventually(async () => expect(await locks()).not.toEqual(before));
  });

  it('keeps what retention of the program would keep', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, retention: false });
    ductape.features.define('done', () => 1);
    await ductape.features.dispatchMany(Array.from({ length: 20 }, () => job('done')));
    await ductape.drain();
    await ductape.close();
    const config = join(await temporaryFolder(), 'config.cjs');
    await writeFile(config, 'module.exports = { retention: { completed: { count: 1 } } };');
    const args = ['top', '--json', '--interval', '500ms', '--count', '4', '--config', config];
    expect((await command(args, { store })).code).toBe(0);
    expect(JSON.parse((await command(['stats', '--json'], { store })).stdout).completed).toBe(20);
  });

  it('says that payloads are encrypted, and reads them with the keys of a config', async () => {
    const store = await temporaryStore();
    const encryptionKeys = [{ id: 'k1', key: randomBytes(32).toString('hex') }];
    const ductape = create({ store, encryptionKeys, worker: false });
    await ductape.features.dispatch(job('secret', { job_id: 's', input: { card: '4711' } }));
    await ductape.close();
    expect(await command(['list', '--search', '4711'], { store })).toEqual({
      code: 3,
      stdout: '',
      stderr: '1 input is encrypted and could not be searched; give encryptionKeys with --config\nno job matches\n',
    });
    const config = join(await temporaryFolder(), 'config.cjs');
    await writeFile(config, `module.exports = { encryptionKeys: ${JSON.stringify(encryptionKeys)} };`);
    expect(
      idsOf(await command(['list', '--json', '--search', '4711'], { store, env: { DUCTAPE_CONFIG: config } })),
    ).toEqual(['s']);
  });

  it('ends quietly when nobody reads on', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false });
    await ductape.features.dispatchMany(Array.from({ length: 3_000 }, () => job('many')));
    await ductape.close();
    const session = start(['list', '--limit', '3000'], { store });
    await session.see('many');
    session.process.stdout?.destroy();
    const { code, stderr } = await session.ended;
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('list', () => {
  it('finds jobs by conditions, texts and values of inputs', async () => {
    const store = await filledStore();
    const list = (...args: string[]) => command(['list', '--json', ...args], { store });
    expect(idsOf(await list())).toEqual(['ticks-1', 'queued-1', 'failed-1']);
    expect(idsOf(await list('--status', 'failed,queued'))).toEqual(['queued-1', 'failed-1']);
    expect(idsOf(await list('--recurring'))).toEqual(['ticks-1']);
    expect(idsOf(await list('--target', 'tag=waits', '--from', '1h'))).toEqual(['queued-1']);
    expect(idsOf(await list('--tag', 'eu'))).toEqual(['failed-1']);
    expect(idsOf(await list('--search', 'ANN@example'))).toEqual(['queued-1']);
    expect(idsOf(await list('--search', 'no such card'))).toEqual(['failed-1']);
    expect(idsOf(await list('--search', '"order":456'))).toEqual(['failed-1']);
    expect(idsOf(await list('--search', 'card \u001b['))).toEqual(['failed-1']);
    expect(idsOf(await list('--input', 'order=456'))).toEqual(['failed-1']);
    expect(idsOf(await list('--input', 'user.email=ann@example.com'))).toEqual(['queued-1']);
    expect(await list('--input', 'order=45')).toMatchObject({ code: 3, stdout: '{"jobs":[]}\n' });
  });

  it('goes on from page to page', async () => {
    const store = await filledStore();
    const first = JSON.parse((await command(['list', '--json', '--limit', '2', '--count'], { store })).stdout);
    expect(first).toMatchObject({ jobs: [{ id: 'ticks-1' }, { id: 'queued-1' }], total: 3, total_exact: true });
    expect(idsOf(await command(['list', '--json', '--cursor', first.next], { store }))).toEqual(['failed-1']);
  });

  it('writes whole values between tabs where there is no terminal', async () => {
    const { stdout, code } = await command(['list', '--status', 'failed'], { store: await filledStore() });
    expect(code).toBe(0);
    const [header, row] = stdout.split('\n').map((line) => line.split('\t'));
    expect(header?.slice(0, 4)).toEqual(['ID', 'STATUS', 'NAMESPACE', 'TARGET']);
    expect(row?.slice(0, 4)).toEqual(['failed-1', 'failed', 'features', 'breaks']);
    // What a job says does not steer the terminal.
    expect(row?.at(-1)).toBe('no such card \\u001b[31m');
  });

  it.skipIf(noTerminal)('fits a table to the terminal, in colour unless that is not wanted', async () => {
    const store = await filledStore();
    const wide = await onTerminal(['list'], { store, columns: 120 });
    expect(wide.code).toBe(0);
    expect(wide.stdout).toContain('\u001b[31m');
    expect(plain(wide.stdout)).toMatch(/^ID +STATUS +NAMESPACE +TARGET +DUE/);
    const narrow = plain((await onTerminal(['list'], { store, columns: 72 })).stdout);
    for (const line of narrow.split('\n')) expect(line.length).toBeLessThanOrEqual(72);
    expect(narrow).not.toContain('SCHEDULE');
    expect(plain((await onTerminal(['list'], { store, columns: 40 })).stdout)).toContain('…');
    const without = await onTerminal(['list'], { store, env: { NO_COLOR: '1' } });
    expect(without.stdout).toBe(plain(without.stdout));
  });
});

describe('get', () => {
  it('shows a job with its attempts', async () => {
    const store = await filledStore();
    const found = JSON.parse((await command(['get', 'failed-1', '--json'], { store })).stdout);
    expect(found).toMatchObject({
      id: 'failed-1',
      status: 'failed',
      input: { order: 456 },
      history: { failed_executions: 1 },
    });
    const text = await command(['get', 'failed-1', '--stack'], { store });
    expect(text.stdout).toMatch(/^status\tfailed$/m);
    expect(text.stdout).toMatch(/^error\tVALIDATION_ERROR: no such card/m);
    expect(text.stdout).toMatch(/^1\t1\tfailed\t/m);
    expect(text.stdout).toMatch(/^ {4}at /m);
    expect(await command(['get', 'nope'], { store })).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining("no job has the id 'nope'"),
    });
  });

  it.skipIf(noTerminal)('says how long ago things were, on a terminal', async () => {
    const { stdout } = await onTerminal(['get', 'ticks-1'], { store: await filledStore() });
    expect(plain(stdout)).toMatch(/^next run +\S+ \S+ \(in (1 h|59 min)/m);
  });
});

describe('explain', () => {
  it('says why a job has not run, and nothing of itself', async () => {
    const store = await filledStore();
    const reasons = async (id: string) => JSON.parse((await command(['explain', id, '--json'], { store })).stdout);
    expect(await reasons('queued-1')).toEqual({
      status: 'queued',
      reasons: [{ code: 'READY', message: expect.stringContaining('a worker with a handler for features waits') }],
    });
    expect((await reasons('ticks-1')).reasons.map((each: { code: string }) => each.code)).toEqual(['NOT_DUE']);
    expect((await command(['explain', 'failed-1'], { store })).stdout).toMatch(/^failed\nENDED {2}/);
    expect(await command(['explain', 'nope'], { store })).toMatchObject({ code: 3 });
  });

  it.skipIf(noTerminal)('paints the state on a terminal', async () => {
    const { stdout } = await onTerminal(['explain', 'failed-1'], { store: await filledStore() });
    expect(stdout).toContain('\u001b[31mfailed');
  });
});

describe('metrics', () => {
  it('shows what happened, by target and by time, in whole values elsewhere than on a terminal', async () => {
    const store = await filledStore();
    const byTarget = (await command(['metrics'], { store })).stdout.split('\n');
    expect(byTarget[0]).toBe('NAMESPACE\tTARGET\tDISPATCHED\tCOMPLETED\tFAILED\tRETRIED\tCRASHED\tP95 TIME\tP95 LATE');
    expect(byTarget[1]).toMatch(/^features\tbreaks\t1\t0\t1\t0\t0\t\d+(\.\d)?\t\d+(\.\d)?$/);
    expect(byTarget.slice(2).sort()).toEqual([
      '',
      'features\tticks\t1\t0\t0\t0\t0\t\t',
      'features\twaits\t1\t0\t0\t0\t0\t\t',
    ]);
    const byTime = (await command(['metrics', '--by', 'time', '--resolution', 'hour'], { store })).stdout;
    expect(byTime).toMatch(/^HOUR\t.*\n\d{4}-\d\d-\d\dT\d\d:00:00\.000Z\t3\t0\t1\t/);
    const metrics = JSON.parse((await command(['metrics', '--json', '--target', 'tag=breaks'], { store })).stdout);
    expect(metrics).toMatchObject({ resolution: 'minute', total: { dispatched: 1, failed: 1 } });
  });

  it('says that nothing happened, and refuses views and spans that there are not', async () => {
    const store = await filledStore();
    const before = ['metrics', '--to', '2026-01-02', '--from', '2026-01-01'];
    expect(await command(before, { store })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'nothing happened in this time\n',
    });
    expect(await command(['metrics', '--by', 'day'], { store })).toMatchObject({
      code: 2,
      stderr: "error: --by: there is no view 'day'\nhint: known are target, time\n",
    });
    const { code, stderr } = await command(['metrics', '--resolution', 'day'], { store });
    expect([code, stderr]).toEqual([2, expect.stringContaining('resolution')]);
  });
});

describe('stats', () => {
  it('counts jobs by state', async () => {
    const store = await filledStore();
    const stats = JSON.parse((await command(['stats', '--json'], { store })).stdout);
    expect(stats).toMatchObject({ total: 3, failed: 1, queued: 1, scheduled: 1, running: 0 });
    const since = JSON.parse((await command(['stats', '--json', '--from', '1h'], { store })).stdout);
    expect(since).toMatchObject({ total: 3, failed: 1, queued: 1 });
    const before = JSON.parse((await command(['stats', '--json', '--to', '1h'], { store })).stdout);
    expect(before).toMatchObject({ total: 0, failed: 0, queued: 1 });
    expect((await command(['stats', '--product', 'other'], { store })).stdout).toMatch(/^total\t0$/m);
    expect(await command(['stats', '--namespace', 'x'], { store })).toMatchObject({ code: 2 });
  });

  it.skipIf(noTerminal)('aligns the figures on a terminal', async () => {
    const { stdout } = await onTerminal(['stats'], { store: await filledStore() });
    expect(plain(stdout)).toMatch(/^total +3$/m);
  });
});
