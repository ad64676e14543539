// Commands about the store as a whole, as processes: backup, top, doctor; and completion.
import { spawnSync } from 'node:child_process';
import { chmod, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  command,
  filledStore,
  main,
  noTerminal,
  onTerminal,
  plain,
  start,
  startOnTerminal,
} from './support/command.js';
import { create, job, temporaryFolder, temporaryStore } from './support/instances.js';
import { postgresStore, server } from './support/stores.js';

const json = (outcome: { stdout: string }) => JSON.parse(outcome.stdout);
const fileOf = (store: string) => store.slice('sqlite:'.length);
const BEGIN = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const HOME = '\u001b[H';
const END = '\u001b[?7h\u001b[?25h\u001b[?1049l';

interface Finding {
  name: string;
  level: 'ok' | 'warning' | 'problem';
  message: string;
  remedy?: string;
}

async function findings(
  store: string,
  ...args: string[]
): Promise<{ code: number | null; found: Finding[]; ok: boolean }> {
  const outcome = await command(['doctor', '--json', ...args], { store });
  const { ok, findings: found } = json(outcome);
  return { code: outcome.code, found, ok };
}

describe('backup', () => {
  it('copies a store that is in use, and no file is overwritten', async () => {
    const store = await filledStore();
    const ductape = create({ store });
    await ductape.jobs.getStats();
    const path = join(await temporaryFolder(), 'backup.db');
    const outcome = await command(['backup', path, '--json'], { store });
    expect([outcome.code, json(outcome)]).toEqual([
      0,
      { path, bytes: expect.any(Number), duration_ms: expect.any(Number) },
    ]);
    expect(json(await command(['stats', '--json'], { store: `sqlite:${path}` }))).toMatchObject({ total: 3 });
    expect(await command(['backup', path], { store })).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('is there already'),
    });
    expect(await command(['backup'], { store })).toMatchObject({ code: 2 });
    expect(await command(['backup', path, '--store', 'postgres://host/db'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('hint: for PostgreSQL use pg_dump'),
    });
  });

  it.skipIf(noTerminal)('shows a bar, and leaves nothing behind after Ctrl-C', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false, durability: 'relaxed' });
    const input = { text: 'x'.repeat(20_000) };
    for (let at = 0; at < 10; at++) {
      await ductape.features.dispatchMany(Array.from({ length: 1_000 }, () => job('large', { input })));
    }
    await ductape.close();
    const folder = await temporaryFolder();
    const path = join(folder, 'backup.db');
    const session = startOnTerminal(['backup', path], { store, columns: 120 });
    await session.see(/copying \[/);
    session.type('\u0003');
    const { code, stdout } = await session.ended;
    expect([code, stdout]).toEqual([
      130,
      expect.stringContaining('interrupted: there is no backup; the same command makes it'),
    ]);
    expect(plain(stdout)).toMatch(/\d+ % {2}\S+ \S+ of \S+ MiB, /);
    expect(await readdir(folder)).toEqual([]);
    expect(await onTerminal(['backup', path], { store })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(' MiB in '),
    });
    expect(json(await command(['stats', '--json'], { store: `sqlite:${path}` })).total).toBe(10_000);
  });
});

describe('top', () => {
  it('writes a line for each look where there is no terminal', async () => {
    const store = await filledStore();
    const { code, stdout } = await command(['top', '--interval', '100ms', '--count', '2'], { store });
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(lines[0]).toEqual([
      'TIME',
      'RUNNING',
      'QUEUED',
      'SCHEDULED',
      'PAUSED',
      'FAILED',
      'FAILING',
      'COMPLETED',
      'COMPLETED/S',
      'FAILED/S',
      'PROCESSES',
    ]);
    expect(lines).toHaveLength(3);
    expect(lines[1]?.slice(1)).toEqual(['0', '1', '1', '0', '1', '0', '0', '0.0', '0.0', '0']);
    expect(await command(['top', '--count', '0'], { store })).toMatchObject({ code: 2 });
  });

  it('has targets, rates and failures as JSON, and ends by a signal', async () => {
    const store = await filledStore();
    const session = start(['top', '--json', '--interval', '100ms'], { store });
    await session.see('\n');
    const ductape = create({ store });
    ductape.features.define('waits', () => 'done');
    await ductape.drain();
    await session.see('"completed":1,');
    session.process.kill('SIGINT');
    const { code, stdout } = await session.ended;
    expect(code).toBe(130);
    const samples = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(samples[0]).toMatchObject({
      at: expect.any(Number),
      stats: { queued: 1, failed: 1 },
      rates: { completed: 0, failed: 0 },
      targets: [
        { namespace: 'features', target: { tag: 'waits' }, running: 0, queued: 1, oldest_due: expect.any(Number) },
      ],
      partial: false,
      failures: [{ id: 'failed-1', error: { code: 'VALIDATION_ERROR' }, at: expect.any(Number) }],
    });
    expect(samples.some(({ rates }) => rates.completed > 0)).toBe(true);
  });

  it.skipIf(noTerminal)('has the terminal, follows its size, and gives it back', async () => {
    const store = await filledStore();
    const smaller = join(await temporaryFolder(), 'smaller');
    const resize = `(until [ -e '${smaller}' ]; do sleep 0.05; done; stty cols 50 rows 8 < /dev/tty) &`;
    const session = startOnTerminal(['top', '--interval', '10m'], { store, columns: 100, rows: 30 }, resize);
    await session.see('features waits');
    await session.see(/no such/);
    expect(session.output()).toContain(BEGIN);
    const last = () => plain(session.output().split(HOME).at(-1) ?? '').split(/\r+\n/);
    expect(last().length).toBeGreaterThan(8);
    await writeFile(smaller, '');
    // stty sets rows and columns by a call each, and both may be drawn.
    const fits = () => last().length <= 8 && last().every((line) => line.length <= 50);
    await expect.poll(fits, { timeout: 20_000 }).toBe(true);
    session.type('q');
    const { code, stdout } = await session.ended;
    expect(code).toBe(0);
    expect(stdout.endsWith(END)).toBe(true);
  });

  it.skipIf(noTerminal)('gives the terminal back when it is interrupted or terminated', async () => {
    const store = await filledStore();
    const interrupted = startOnTerminal(['top'], { store });
    await interrupted.see('features waits');
    interrupted.type('\u0003');
    expect(await interrupted.ended).toMatchObject({ code: 130, stdout: expect.stringContaining(END) });
    const terminated = startOnTerminal(['top'], { store }, '(sleep 2; kill -TERM $$) &');
    await terminated.see('features waits');
    expect(await terminated.ended).toMatchObject({ code: 143, stdout: expect.stringContaining(END) });
  });
});

describe('doctor', () => {
  it('finds a sound store sound', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    await ductape.jobs.getStats();
    await ductape.close();
    const { code, found, ok } = await findings(store);
    expect([code, ok]).toEqual([0, true]);
    expect(found.map(({ name, level }) => `${name} ${level}`)).toEqual(
      ['version', 'size', 'disk', 'schema', 'integrity', 'store', 'clock', 'jobs', 'processes', 'data'].map(
        (name) => `${name} ok`,
      ),
    );
    expect((await readdir(join(fileOf(store), '..'))).sort()).toEqual(['jobs.db', 'jobs.db-locks']);
  });

  it('names jobs that nobody runs, failures, and rights, with remedies', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    await ductape.features.dispatch(job('old', { job_id: 'old' }));
    ductape.features.define('breaks', () => Promise.reject(new Error('broken')));
    await ductape.features.dispatch(job('breaks'));
    await ductape.drain();
    await ductape.jobs.setWebhook({ url: 'http://127.0.0.1:1/', events: ['job.failed'], secret: 'x'.repeat(24) });
    await ductape.close();
    await chmod(fileOf(store), 0o644);
    const { code, found } = await findings(store, '--waiting', '1ms');
    expect(code).toBe(0);
    const warned = Object.fromEntries(
      found.filter(({ level }) => level === 'warning').map((each) => [each.name, each]),
    );
    expect(warned.waiting?.remedy).toBe('is a worker with a handler for it running? ductape explain old');
    expect(warned.failed?.message).toBe('1 job failed for good');
    expect(warned.rights?.remedy).toBe(`chmod 600 ${fileOf(store)}`);
  });

  it('finds no store, a file that is none, and a damaged one', async () => {
    const folder = await temporaryFolder();
    const none = await findings(`sqlite:${join(folder, 'none.db')}`);
    expect([none.code, none.ok]).toEqual([1, false]);
    expect(none.found.at(-1)).toMatchObject({
      level: 'problem',
      message: expect.stringContaining('there is no store at'),
    });
    await writeFile(join(folder, 'text.db'), 'no database, but long enough to be looked at '.repeat(100));
    expect((await findings(`sqlite:${join(folder, 'text.db')}`)).code).toBe(1);
    const store = await filledStore();
    const { size } = await stat(fileOf(store));
    await truncate(fileOf(store), Math.floor(size / 2 / 4_096) * 4_096);
    const damaged = await findings(store);
    expect(damaged.code).toBe(1);
    expect(damaged.found.some(({ level, message }) => level === 'problem' && message !== '')).toBe(true);
    const text = await command(['doctor'], { store });
    expect([text.code, text.stdout]).toEqual([1, expect.stringMatching(/^problem\t/m)]);
    expect(await command(['doctor', '--store', 'memory:'])).toMatchObject({ code: 2 });
  });

  it.skipIf(noTerminal)('paints levels on a terminal', async () => {
    const { stdout, code } = await onTerminal(['doctor'], { store: await filledStore() });
    expect(code).toBe(0);
    expect(stdout).toContain('\u001b[32mok     \u001b[39m');
    expect(plain(stdout)).toMatch(/^warning {2}failed {5}1 job failed for good\n {9}→ ductape list --status failed/m);
  });
});

describe('a recurring job that fails every time', () => {
  it('is told of by top and doctor', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    ductape.features.define('nightly', () => {
      throw new Error('no disk');
    });
    await ductape.features.dispatch(job('nightly', { job_id: 'nightly', schedule: { every: 3_600_000 } }));
    for (let run = 0; run < 3; run++) {
      await ductape.jobs.runNow('nightly');
      await ductape.drain();
    }
    await ductape.close();
    const { code, stdout } = await command(['top', '--count', '1', '--json'], { store });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).failures).toMatchObject([
      { id: 'nightly', in_a_row: expect.any(Number), error: { message: 'no disk' } },
    ]);
    expect((await findings(store)).found).toContainEqual({
      name: 'failing',
      level: 'warning',
      message: '1 recurring job fails, at least the last time',
      remedy: 'ductape list --failing',
    });
  });
});

describe.skipIf(!server)(`a store in PostgreSQL${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`, () => {
  it('is looked at and changed as any other, and its password is not shown', async () => {
    const { store, schema } = await postgresStore();
    // A schema that is not there is not made by a look.
    for (const args of [['list'], ['stats'], ['top', '--count', '1'], ['delete', '--all', '--yes']]) {
      const { code, stderr } = await command(args, { store });
      expect([args, code, stderr]).toEqual([
        args,
        1,
        expect.stringMatching(/there is no store in the schema of .*\?schema=/),
      ]);
    }
    expect((await findings(store)).found).toContainEqual(expect.objectContaining({ name: 'schema', level: 'problem' }));
    expect(schema).toMatch(/^ductape_test_/);
    const dispatched = await command(
      [
        'dispatch',
        'features',
        '--product',
        'shop',
        '--env',
        'test',
        '--target',
        'tag=x',
        '--job-id',
        'pg-1',
        '--delay',
        '1h',
      ],
      { store },
    );
    expect(dispatched.code).toBe(0);
    expect(json(await command(['list', '--json'], { store })).jobs).toMatchObject([
      { id: 'pg-1', status: 'scheduled' },
    ]);
    expect(json(await command(['cancel', '--all', '--yes', '--json'], { store }))).toMatchObject({ count: 1 });
    const { code, found } = await findings(store);
    // The server of the tests may be set up to be fast.
    const problems = found.filter(({ level }) => level === 'problem').map(({ name }) => name);
    expect(problems.filter((name) => name !== 'fsync')).toEqual([]);
    expect(code).toBe(problems.length === 0 ? 0 : 1);
    expect(found.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['version', 'schema', 'server', 'store', 'clock', 'jobs', 'processes']),
    );
    expect(found.find(({ name }) => name === 'store')?.message).toMatch(/^postgres:\/\/[^@]+ opens with this version$/);
  });
});

describe('completion', () => {
  const scripts = new Map<string, string>();
  async function script(shell: string): Promise<string> {
    const known = scripts.get(shell) ?? (await command(['completion', shell])).stdout;
    scripts.set(shell, known);
    return known;
  }
  const missing = (shell: string) => spawnSync(shell, ['--version']).error !== undefined;

  /** What a shell offers for a line. */
  async function offered(shell: string, line: string): Promise<string[]> {
    const words = line.split(' ');
    const own = await script(shell);
    const programs: Record<string, string> = {
      bash: `${own}
        COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _ductape; printf '%s\\n' "\${COMPREPLY[@]}"`,
      // The parts of zsh's completion that the script calls, as functions that print.
      zsh: `compdef() { }; compadd() { shift; print -rl -- "$@" }; _files() { print -r files }
        _describe() { local each; for each in "\${(@P)2}"; do print -r -- "\${\${each//\\\\\\\\:/}%%:*}"; done }
        ${own}
        words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; _ductape`,
      fish: `${own}\ncomplete -C '${line}' | string replace -r '\\t.*' ''`,
    };
    const { stdout, stderr } = spawnSync(shell, ['-c', programs[shell] ?? ''], { encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((word) => word !== '');
  }

  it.for(['bash', 'zsh', 'fish'])('offers commands, options and values in %s', async (shell, context) => {
    if (missing(shell)) context.skip(`${shell} is not installed`);
    expect(await offered(shell, 'ductape ')).toEqual(expect.arrayContaining(['list', 'run-now', 'completion']));
    expect(await offered(shell, 'ductape --store x list --')).toEqual(
      expect.arrayContaining(['--status', '--search', '--json']),
    );
    expect(await offered(shell, 'ductape list --status ')).toEqual(expect.arrayContaining(['failed', 'paused']));
    expect(await offered(shell, 'ductape dispatch ')).toEqual(expect.arrayContaining(['features', 'databases.action']));
    expect(await offered(shell, 'ductape get --')).not.toContain('--status');
    expect(await offered(shell, 'ductape list --search ')).toEqual([]);
  });

  it.skipIf(noTerminal || missing('bash'))('completes what is typed in an interactive bash', async () => {
    const folder = await temporaryFolder();
    const installed = `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`;
    await writeFile(join(folder, 'ductape'), installed, { mode: 0o755 });
    const env = { PATH: `${folder}:${process.env.PATH}`, PS1: 'ready> ', INPUTRC: '/dev/null' };
    const shell = 'exec bash --norc --noprofile -i;';
    const session = startOnTerminal([], { columns: 120, env }, shell);
    await session.see('ready> ');
    session.type('source <(ductape completion bash) && echo load""ed\r');
    await session.see('loaded\r');
    session.type('ductape expl\t');
    await session.see('ductape explain ');
    // Ctrl-U takes the line away.
    session.type('\u0015ductape list --store x --status fai\t');
    await session.see('--status failed ');
    session.type('\u0015ductape preview --ev\t');
    await session.see('ductape preview --every ');
    session.type('\u0015exit\r');
    expect(await session.ended).toMatchObject({ code: 0 });
  });

  it('refuses other shells', async () => {
    expect(await command(['completion', 'csh'])).toMatchObject({ code: 2, stdout: '' });
    expect(await command(['completion', '--json'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^\{"error":/),
    });
  });
});
