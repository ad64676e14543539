// Commands that change jobs, as processes: one, several, all that match; counted first, asked for, and interrupted.
import { describe, expect, it } from 'vitest';
import { command, filledStore, noTerminal, onTerminal, plain, start, startOnTerminal } from './support/command.js';
import { create, eventually, job, temporaryStore } from './support/instances.js';

const json = (outcome: { stdout: string }) => JSON.parse(outcome.stdout);
const HOUR = 3_600_000;

async function statusOf(store: string, id: string): Promise<string> {
  return json(await command(['get', id, '--json'], { store })).status;
}

/** A store with so many queued jobs. */
async function many(count: number): Promise<string> {
  const store = await temporaryStore();
  const ductape = create({ store, worker: false, durability: 'relaxed' });
  for (let left = count; left > 0; left -= 10_000) {
    await ductape.features.dispatchMany(Array.from({ length: Math.min(left, 10_000) }, () => job('waits')));
  }
  await ductape.close();
  return store;
}

describe('a recurring job that fails run after run', () => {
  it('is found by one command, counted, and run again by another', async () => {
    const store = await filledStore();
    const ductape = create({ store });
    ductape.features.define('nightly', () => {
      throw new Error('no such table');
    });
    await ductape.features.dispatch(job('nightly', { job_id: 'nightly-1', schedule: { every: 25 } }));
    await ductape.start({ signals: false });
    await eventually(async () => expect((await ductape.jobs.get('nightly-1')).failing?.runs).toBeGreaterThanOrEqual(3));
    await ductape.jobs.reschedule('nightly-1', { every: HOUR, start_at: Date.now() + HOUR });
    await ductape.close();

    const { jobs } = json(await command(['list', '--failing', '--json'], { store }));
    expect(jobs).toMatchObject([
      { id: 'nightly-1', last_run: { status: 'failed' }, failing: { runs: expect.any(Number) } },
    ]);
    const [, line] = (await command(['list', '--last-run', 'failed'], { store })).stdout.split('\n');
    expect(line).toMatch(/^nightly-1\tscheduled\t.*\t\d+ since \d{4}-.*\tno such table$/);
    expect((await command(['stats'], { store })).stdout).toMatch(/^failing\t1$/m);
    expect(await command(['list', '--last-run', 'lost'], { store })).toMatchObject({ code: 2 });

    const dry = await command(['retry', '--failing', '--dry-run'], { store });
    expect([dry.code, dry.stderr]).toEqual([0, '1 job would be retried\n']);
    expect(await command(['retry', '--failing', '--yes'], { store })).toMatchObject({
      code: 0,
      stdout: '1 job retried\n',
    });
    expect(json(await command(['get', 'nightly-1', '--json'], { store })).status).toBe('queued');
    // What failed once and does not recur is another thing.
    expect(await statusOf(store, 'failed-1')).toBe('failed');
  });
});

describe('a change of named jobs', () => {
  it('says what became of each', async () => {
    const store = await filledStore();
    expect(await command(['pause', 'ticks-1', 'queued-1'], { store })).toEqual({
      code: 0,
      stdout: 'ticks-1 paused\nqueued-1 paused\n',
      stderr: '',
    });
    expect(json(await command(['resume', 'ticks-1', '--json'], { store }))).toEqual({
      count: 1,
      failed: 0,
      dry_run: false,
      results: [{ id: 'ticks-1', status: 'scheduled' }],
    });
    expect(await command(['retry', 'failed-1', '--delay', '1h'], { store })).toMatchObject({ code: 0 });
    expect(await statusOf(store, 'failed-1')).toBe('scheduled');
    expect(await command(['run-now', 'failed-1'], { store })).toMatchObject({ code: 0, stdout: 'failed-1 due now\n' });
    expect(await statusOf(store, 'failed-1')).toBe('queued');
    expect(await command(['cancel', 'failed-1', '--reason', 'no card'], { store })).toMatchObject({ code: 0 });
    expect((await command(['get', 'failed-1'], { store })).stdout).toMatch(/^cancelled for\tno card$/m);
    expect(await command(['delete', 'failed-1'], { store })).toMatchObject({ code: 0 });
    expect(await command(['get', 'failed-1'], { store })).toMatchObject({ code: 3 });
  });

  it('goes on after a failure, whose kind is the exit code', async () => {
    const store = await filledStore();
    const some = await command(['cancel', 'nope', 'queued-1', '--json'], { store });
    expect(some.code).toBe(3);
    expect(json(some)).toMatchObject({
      count: 1,
      failed: 1,
      results: [
        { id: 'nope', error: { code: 'NOT_FOUND' } },
        { id: 'queued-1', status: 'cancelled' },
      ],
    });
    const refused = await command(['resume', 'nope'], { store });
    expect(refused).toMatchObject({ code: 3, stdout: '' });
    expect(await command(['retry', 'ticks-1'], { store })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: .*\nhint: see what state/),
    });
  });

  it('changes nothing in a dry run', async () => {
    const store = await filledStore();
    expect(await command(['delete', 'failed-1', '--dry-run'], { store })).toMatchObject({
      code: 0,
      stdout: 'failed-1 would be deleted\n',
    });
    expect(await statusOf(store, 'failed-1')).toBe('failed');
  });

  it('has nothing to do where nothing comes out of a pipe', async () => {
    const store = await filledStore();
    const text = await command(['cancel', '-'], { store });
    expect([text.code, text.stdout]).toEqual([0, 'no ids on standard input\n']);
    const json = await command(['cancel', '-', '--json'], { store });
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, { count: 0, failed: 0, dry_run: false, results: [] }]);
  });

  it('takes ids from standard input', async () => {
    const store = await filledStore();
    const outcome = await command(['cancel', '-'], { store, stdin: 'queued-1\nticks-1\n' });
    expect(outcome).toMatchObject({ code: 0, stdout: 'queued-1 cancelled\nticks-1 cancelled\n' });
  });

  it('reschedules what is named and keeps the rest', async () => {
    const store = await filledStore();
    const outcome = await command(
      [
        'reschedule',
        'ticks-1',
        '--cron',
        '0 9 * * *',
        '--tz',
        'Europe/Berlin',
        '--end-date',
        '2100-01-01T00:00Z',
        '--json',
      ],
      { store },
    );
    expect(json(outcome).results[0]).toMatchObject({
      id: 'ticks-1',
      status: 'scheduled',
      next_run_at: expect.any(Number),
    });
    await command(['reschedule', 'ticks-1', '--clear', 'end-date'], { store });
    const { schedule } = json(await command(['get', 'ticks-1', '--json'], { store }));
    expect(schedule).toEqual({ cron: '0 9 * * *', tz: 'Europe/Berlin' });
    expect(await command(['reschedule', 'ticks-1'], { store })).toMatchObject({ code: 2 });
    expect(await command(['reschedule', 'ticks-1', '--clear', 'crom'], { store })).toMatchObject({ code: 2 });
    expect(await command(['reschedule', 'ticks-1', '--cron', '0 9 * *'], { store })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('hint: try a schedule out with: ductape preview CRON'),
    });
  });

  it.each([
    [['retry'], 'needs ids, or options that choose jobs'],
    [['retry', 'failed-1', '--tag', 'eu'], 'not both: --tag'],
    [['retry', 'failed-1', '--all'], 'not both: --all'],
    [['cancel', '--all', '--run'], '--run: needs the id of a job'],
    [['retry', '--delay', 'soon', '--all'], 'delay: must be ms or a number with'],
    [['retry', '--status', 'nope', '--yes'], "'nope' is no status"],
    [['delete', '--search', '', '--yes'], '--search: is empty'],
    [['delete', '--tag=', '--yes'], '--tag: is empty'],
    [['pause', '--all'], 'nobody can be asked here'],
    [['pause', '--all', '--json'], 'nobody can be asked here'],
  ])('refuses %j', async (args, message) => {
    const outcome = await command(args, { store: await filledStore() });
    expect(outcome).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });
});

describe('a change of all that match', () => {
  it('counts first, and changes them with --yes', async () => {
    const store = await filledStore();
    const dry = await command(['retry', '--all', '--dry-run'], { store });
    expect(dry).toMatchObject({ code: 0, stderr: '1 job would be retried\n' });
    expect(dry.stdout).toMatch(/^failed-1\tfailed\t/m);
    expect(json(await command(['retry', '--all', '--dry-run', '--json'], { store }))).toEqual({
      count: 0,
      matched: 1,
      dry_run: true,
    });
    expect(await command(['retry', '--all', '--yes'], { store })).toEqual({
      code: 0,
      stdout: '1 job retried\n',
      stderr: '',
    });
    expect(await command(['retry', '--all', '--yes'], { store })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no job matches\n',
    });
  });

  it('chooses by texts and values of inputs', async () => {
    const store = await filledStore();
    const cancel = async (...args: string[]) => json(await command(['cancel', '--json', '--yes', ...args], { store }));
    expect(await cancel('--search', 'nobody@example.com')).toMatchObject({ count: 0, matched: 0 });
    expect(await cancel('--input', 'user.email=ann@example.com')).toMatchObject({ count: 1, matched: 1 });
    expect(await statusOf(store, 'queued-1')).toBe('cancelled');
    expect(await statusOf(store, 'ticks-1')).toBe('scheduled');
  });

  it('changes no more than --limit, the newest first', async () => {
    const store = await filledStore();
    expect(json(await command(['delete', '--all', '--limit', '2', '-y', '--json'], { store }))).toMatchObject({
      count: 2,
    });
    const left = json(await command(['list', '--json'], { store })).jobs;
    expect(left.map(({ id }: { id: string }) => id)).toEqual(['failed-1']);
  });

  it('gives all that match another time, one after the other', async () => {
    const store = await filledStore();
    const outcome = await command(['reschedule', '--status', 'queued', '--delay', '2h', '--yes', '--json'], { store });
    expect(json(outcome)).toMatchObject({ count: 1, matched: 1 });
    const { scheduled_at } = json(await command(['get', 'queued-1', '--json'], { store }));
    expect(scheduled_at).toBeGreaterThan(Date.now() + HOUR);
    expect(
      json(await command(['run-now', '--status', 'scheduled', '--once', '--yes', '--json'], { store })),
    ).toMatchObject({
      count: 1,
    });
  });

  it('says that a state does not allow it', async () => {
    expect(await command(['cancel', '--status', 'failed', '--yes'], { store: await filledStore() })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'jobs that are failed cannot be cancelled\n',
    });
  });

  it.skipIf(noTerminal)('asks on a terminal', async () => {
    const store = await filledStore();
    const refused = startOnTerminal(['cancel', '--all'], { store });
    await refused.see('cancel 2 jobs? [y/N]');
    refused.type('n\n');
    expect(await refused.ended).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing was changed') });
    const interrupted = startOnTerminal(['cancel', '--all'], { store });
    await interrupted.see('cancel 2 jobs? [y/N]');
    interrupted.type('\u0003');
    expect(await interrupted.ended).toMatchObject({ code: 130 });
    expect(await statusOf(store, 'queued-1')).toBe('queued');
    const done = startOnTerminal(['cancel', '--all'], { store });
    await done.see('cancel 2 jobs? [y/N]');
    done.type('y\n');
    expect(await done.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('2 jobs cancelled') });
    expect((await onTerminal(['cancel', '--all'], { store })).stdout).toContain('no job matches');
  });

  it.skipIf(noTerminal)('shows a bar, and goes on after Ctrl-C', async () => {
    const store = await many(30_000);
    const session = startOnTerminal(['delete', '--all', '--yes'], { store, columns: 120 });
    await session.see(/deleting \[#+\.+\] \d+ %/);
    session.type('\u0003');
    const { code, stdout } = await session.ended;
    expect(code).toBe(130);
    expect(plain(stdout)).toMatch(/\d+ of \S+, \S+\/s, .* left/);
    expect(stdout).toContain('interrupted: what was changed stays changed; the same command goes on');
    const { total } = json(await command(['stats', '--json'], { store }));
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThan(30_000);
    expect(json(await command(['delete', '--all', '--yes', '--json'], { store }))).toMatchObject({ count: total });
  });

  it('writes lines a second apart where there is no terminal, and ends with 143 when it is terminated', {
    timeout: 120_000,
  }, async () => {
    const line = /^deleting \d+ % {2}\S+ of \S+, \S+\/s, .* left$/m;
    // As many as take longer than a second here.
    for (const count of [60_000, 300_000, 1_000_000]) {
      const session = start(['delete', '--all', '--yes'], { store: await many(count) });
      const isSeen = await session.see(line).then(
        () => true,
        () => false,
      );
      if (!isSeen && count < 1_000_000) continue;
      session.process.kill('SIGTERM');
      expect((await session.ended).code).toBe(143);
      expect(session.stderr()).not.toContain('\r');
      return;
    }
  });
});
