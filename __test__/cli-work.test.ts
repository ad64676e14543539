// Commands that put work in and do it, as processes: dispatch, preview, check, logs, work.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command, filledStore, noTerminal, onTerminal, plain, start, startOnTerminal } from './support/command.js';
import { create, job, temporaryFolder, temporaryStore } from './support/instances.js';

const json = (outcome: { stdout: string }) => JSON.parse(outcome.stdout);
const named = ['--product', 'shop', '--env', 'test'];

async function write(name: string, text: string): Promise<string> {
  const file = join(await temporaryFolder(), name);
  await writeFile(file, text);
  return file;
}

async function jobOf(store: string, id: string): Promise<Record<string, unknown>> {
  return json(await command(['get', id, '--json'], { store }));
}

describe('dispatch', () => {
  it('stores a job from options', async () => {
    const store = await temporaryStore();
    const outcome = await command(
      [
        'dispatch',
        'actions',
        ...named,
        '--target',
        'app=email-service',
        '--target',
        'event=send',
        '--input',
        '{"body":{"a":"ä"}}',
      ]
        .concat(['--job-id', 'mail', '--retries', '3', '--tag', 'eu', '--priority', '-5', '--timeout', '30s'])
        .concat(['--cron', '0 9 * * *', '--tz', 'Europe/Berlin', '--end-date', '2100-01-01T00:00Z', '--json']),
      { store },
    );
    expect(json(outcome)).toMatchObject({
      job_id: 'mail',
      status: 'scheduled',
      recurring: true,
      next_run_at: expect.any(Number),
    });
    expect(await jobOf(store, 'mail')).toMatchObject({
      namespace: 'actions',
      product: 'shop',
      env: 'test',
      target: { app: 'email-service', event: 'send' },
      input: { body: { a: 'ä' } },
      retries: 3,
      priority: -5,
      tags: ['eu'],
      schedule: { cron: '0 9 * * *', tz: 'Europe/Berlin', endDate: expect.anything() },
    });
    const text = await command(['dispatch', 'features', ...named, '--target', 'tag=x', '--delay', '1h'], { store });
    expect(text.stdout).toMatch(/^ID\tSTATUS\tDUE\njob_\S+\tscheduled\t\S+Z\n$/);
  });

  it('stores jobs from JSON on standard input', async () => {
    const store = await temporaryStore();
    const one = { ...job('a', { job_id: 'a' }), product: 'shop', env: 'test' };
    expect(
      json(await command(['dispatch', 'features', '--json'], { store, stdin: JSON.stringify(one) })),
    ).toMatchObject({ job_id: 'a' });
    const list = [job('b', { job_id: 'b' }), job('c', { job_id: 'c' })];
    const several = await command(['dispatch', 'features', ...named, '--json'], { store, stdin: JSON.stringify(list) });
    expect(json(several)).toMatchObject([{ job_id: 'b' }, { job_id: 'c' }]);
    const file = await write('input.json', '{"width":80}');
    await command(['dispatch', 'features', ...named, '--target', 'tag=x', '--job-id', 'x', '--input', `@${file}`], {
      store,
    });
    expect(await jobOf(store, 'x')).toMatchObject({ input: { width: 80 } });
  });

  it('checks and stores nothing in a dry run', async () => {
    const store = await temporaryStore();
    const args = [
      'dispatch',
      'databases.action',
      ...named,
      '--target',
      'database=d',
      '--target',
      'event=e',
      '--dry-run',
    ];
    expect(await command(args, { store })).toMatchObject({ code: 0, stdout: '1 job would be stored\n' });
    expect(json(await command([...args, '--json'], { store }))).toEqual({ dry_run: true, count: 1 });
    expect(await command(['list'], { store })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no store at'),
    });
  });

  it.each([
    [['dispatch', 'feature'], '', "there is no namespace 'feature'\nhint: did you mean features?"],
    [['dispatch'], '', 'dispatch: needs NAMESPACE [options]'],
    [['dispatch', 'features'], '', 'standard input: is empty'],
    [['dispatch', 'features'], '{', 'standard input: is not JSON'],
    [['dispatch', 'features', '--target', 'tag'], '', "target: must be NAME=VALUE, got 'tag'"],
    [['dispatch', 'features', '--input', '{"a":'], '', 'input: is not JSON'],
    [['dispatch', 'features', '--input', '@none.json'], '', 'input: cannot read none.json'],
    [
      ['dispatch', 'features', '--target', 'tag=x', '--cron', '0 9 * *'],
      '',
      'error: schedule.cron: 4 fields instead of 5',
    ],
    [['dispatch', 'features', '--target', 'tag=x'], '', 'hint: name them with --product and --env'],
    [['dispatch', 'features', '--target', 'app=x', ...named], '', 'error: '],
  ])('refuses %j with the input %j', async (args, stdin, message) => {
    const store = await temporaryStore();
    const outcome = await command(args, { store, stdin });
    expect(outcome).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });

  it('has each problem of a list in the details', async () => {
    const stdin = JSON.stringify([
      { tag: 'a', input: {} },
      { tag: 'b', input: {}, retries: -1 },
    ]);
    const { code, stderr } = await command(['dispatch', 'features', ...named, '--json'], {
      store: await temporaryStore(),
      stdin,
    });
    expect(code).toBe(2);
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: '[1].retries' }] });
  });

  it.skipIf(noTerminal)('shows the job on a terminal, and waits for no input there', async () => {
    const store = await temporaryStore();
    const { stdout, code } = await onTerminal(['dispatch', 'features', ...named, '--target', 'tag=x'], { store });
    expect([code, plain(stdout)]).toEqual([
      0,
      expect.stringMatching(/^ID +STATUS +DUE\njob_\S+ +queued +\d{4}-\d\d-\d\d /),
    ]);
    expect(await onTerminal(['dispatch', 'features'], { store })).toMatchObject({ code: 2 });
  });
});

describe('preview', () => {
  it('shows when a schedule would run, without a store', async () => {
    const args = ['preview', '0 2 * * *', '--tz', 'Europe/Berlin', '--from', '2027-03-27', '--count', '3'];
    const cwd = await temporaryFolder();
    expect(json(await command([...args, '--json'], { cwd }))).toEqual({
      times: ['2027-03-27T01:00Z', '2027-03-28T01:00Z', '2027-03-29T00:00Z'].map((text) => Date.parse(text)),
    });
    const lines = (await command(args, { cwd })).stdout.split('\n');
    expect(lines[0]).toBe('TIME\tEurope/Berlin\tWHEN');
    expect(lines[2]).toMatch(/^2027-03-28T01:00:00.000Z\t2027-03-28 03:00:00\tin /);
  });

  it('shows the schedule of a job', async () => {
    const store = await filledStore();
    const { times } = json(await command(['preview', '--job', 'ticks-1', '--count', '2', '--json'], { store }));
    expect(times[1] - times[0]).toBe(3_600_000);
    expect(await command(['preview', '--job', 'nope'], { store })).toMatchObject({ code: 3 });
  });

  it.each([
    [['preview'], 'preview: needs a schedule'],
    [['preview', '0 9 * *'], 'schedule.cron: '],
    [['preview', '0 9 * * *', '--tz', 'Europe/Berlim'], 'Europe/Berlin'],
    [['preview', '0 9 * * *', '--cron', '0 9 * * *'], '--cron: the argument is a cron expression already'],
    [['preview', '--job', 'x', '--every', '1h'], '--job: takes the schedule of the job'],
    [['preview', '--every', '1h', '--from', '2027'], "from: must be an ISO 8601 date or ms since 1970, got '2027'"],
  ])('refuses %j', async (args, message) => {
    expect(await command(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });

  it.skipIf(noTerminal)('aligns the times on a terminal', async () => {
    const { stdout } = await onTerminal(['preview', '--every', '90m', '--count', '2']);
    expect(plain(stdout)).toMatch(
      /^TIME +UTC +WHEN\n\S+ \S+ {2}\S+ \S+ {2}now\n\S+ \S+ {2}\S+ \S+ {2}in 1 h \d\d min\n$/,
    );
  });
});

describe('check', () => {
  /** A storage that is there, and a database that is not. */
  async function resources(): Promise<string> {
    const root = join(await temporaryFolder(), 'files');
    await mkdir(root);
    return write(
      'resources.json',
      JSON.stringify({
        products: [
          {
            tag: 'shop',
            storage: [{ tag: 'reports', envs: [{ slug: 'test', type: 'local', config: { root } }] }],
            databases: [
              {
                tag: 'gone',
                type: 'postgresql',
                envs: [{ slug: 'test', connection_url: 'postgres://a:b@127.0.0.1:1/c' }],
              },
            ],
          },
        ],
      }),
    );
  }

  it('tells of each resource whether it can be used', async () => {
    const file = await resources();
    const all = await command(['check', '--resources', file, '--json']);
    expect(all.code).toBe(1);
    expect(json(all).resources.reverse()).toMatchObject([
      { tag: 'gone', ok: false, error: { code: expect.any(String) } },
      { tag: 'reports', ok: true },
    ]);
    const one = await command(['check', '--resources', file, '--tag', 'reports']);
    expect(one).toMatchObject({ code: 0, stdout: expect.stringMatching(/^storage\treports\tshop\ttest\tok\t/m) });
    expect(await command(['check', '--resources', file, '--tag', 'none'])).toMatchObject({
      code: 3,
      stderr: 'no resource matches\n',
    });
    const config = await write('config.cjs', `module.exports = { resources: ${JSON.stringify(file)} };`);
    expect((await command(['check', '--config', config, '--tag', 'reports'])).code).toBe(0);
    expect(await command(['check'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--resources or --config'),
    });
    expect(await command(['check', '--resources', 'none.json'])).toMatchObject({ code: 2 });
  });

  it.skipIf(noTerminal)('paints what cannot be used on a terminal', async () => {
    const { stdout, code } = await onTerminal(['check', '--resources', await resources()]);
    expect(code).toBe(1);
    expect(stdout).toContain('\u001b[31mCONNECTION_ERROR');
  });
});

const HANDLERS = `
  export const options = { product: 'shop', env: 'test' };
  export const features = {
    greets: async (job) => { job.log('hello ' + job.input.name + '\\u001b[31m'); return job.input.name; },
    breaks: { handler: () => { throw new Error('broken'); }, concurrency: 1 },
    waits: (job) => new Promise((resolve) => { job.log('begun'); job.signal.addEventListener('abort', resolve); }),
  };
  export const actions = { 'mail/*': () => 'any', 'mail/send': () => 'sent' };
`;

describe('work', () => {
  it('runs what is due and ends, with --drain', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('greets', { job_id: 'g', input: { name: 'ann' } }));
    await ductape.features.dispatch(job('breaks', { job_id: 'b', input: {} }));
    await ductape.actions.dispatch({ app: 'mail', event: 'send', input: {}, job_id: 'm' });
    await ductape.actions.dispatch({ app: 'mail', event: 'list', input: {}, job_id: 'n' });
    await ductape.close();
    const outcome = await command(['work', await write('handlers.mjs', HANDLERS), '--drain', '--json'], { store });
    expect(outcome.code).toBe(0);
    const lines = outcome.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toEqual({ drained: { completed: 3, failed: 1, retried: 0, released: 0, remaining: 0 } });
    const ended = Object.fromEntries(lines.slice(0, -1).map(({ event, job: { id } }) => [id, event]));
    expect(ended).toEqual({ g: 'job.completed', b: 'job.failed', m: 'job.completed', n: 'job.completed' });
    expect([await jobOf(store, 'm'), await jobOf(store, 'n')]).toMatchObject([{ result: 'sent' }, { result: 'any' }]);
    expect(await command(['logs', 'g'], { store })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\S+Z\t1\.1\thello ann\\u001b\[31m\n$/),
    });
  });

  it('works until it is told to stop, and lets handlers finish', async () => {
    const store = await temporaryStore();
    const file = await write(
      'handlers.cjs',
      `module.exports = (ductape) => ductape.features.define('slow', async (job) => {
      process.stdout.write('begun\\n');
      await new Promise((resolve) => setTimeout(resolve, 500));
    });`,
    );
    const session = start(['work', file, ...named], { store });
    await session.see('works on the store sqlite:');
    await command(['dispatch', 'features', ...named, '--target', 'tag=slow', '--job-id', 's'], { store });
    await session.see('begun');
    session.process.kill('SIGTERM');
    const { code, stdout } = await session.ended;
    expect([code, stdout]).toEqual([143, expect.stringMatching(/completed\tfeatures slow\ts\t1\.1$/m)]);
    expect(await jobOf(store, 's')).toMatchObject({ status: 'completed' });
  });

  it('starts the handlers anew when their file changes, also after one that cannot be loaded', async () => {
    const store = await temporaryStore();
    const text = (version: string) =>
      `exports.features = { says: () => process.stdout.write('version ${version}\\n') };`;
    const file = await write('handlers.js', text('one'));
    const session = start(['work', file, '--watch', ...named], { store });
    const say = () => command(['dispatch', 'features', ...named, '--target', 'tag=says'], { store });
    await session.see('works on the store');
    await say();
    await session.see('version one');
    await writeFile(file, text('two'));
    await session.see(/works on the store[\s\S]*works on the store/);
    await say();
    await session.see('version two');
    await writeFile(file, 'exports.features = {');
    await session.see('it begins again when');
    expect(session.stderr()).toContain('error: cannot load');
    await writeFile(file, text('three'));
    await session.see(/(works on the store[\s\S]*){3}/);
    await say();
    await session.see('version three');
    session.process.kill('SIGTERM');
    expect((await session.ended).code).toBe(143);
  });

  it.each([
    ['none.js', undefined, 'work: there is no file', 2],
    ['empty.mjs', '', 'exports no handlers', 2],
    [
      'wrong.mjs',
      'export const feature = {};',
      "exports 'feature', which is no namespace\nhint: did you mean features?",
      2,
    ],
    ['text.mjs', "export const features = { a: 'b' };", "features['a']: must be a function", 2],
    ['broken.mjs', 'export const = 1;', 'cannot load', 1],
    ['throws.cjs', "throw new Error('at load');", 'Error: at load', 1],
  ])('refuses the file %s', async (name, text, message, code) => {
    const store = await temporaryStore();
    const file = text === undefined ? name : await write(name, text);
    expect(await command(['work', file, ...named], { store })).toMatchObject({
      code,
      stderr: expect.stringContaining(message),
    });
  });

  it('refuses options that do not go together', async () => {
    expect(await command(['work', 'x.js', '--watch', '--drain'])).toMatchObject({ code: 2 });
    expect(await command(['work', 'x.js', '--timeout', '1s'])).toMatchObject({ code: 2 });
  });

  it.skipIf(noTerminal)('ends by Ctrl-C on a terminal, the watching process too', async () => {
    const store = await temporaryStore();
    const file = await write('handlers.mjs', HANDLERS);
    for (const more of [[], ['--watch']]) {
      const session = startOnTerminal(['work', file, ...more], { store });
      await session.see('features greets');
      session.type('\u0003');
      expect(await session.ended).toMatchObject({
        code: 130,
        stdout: expect.stringContaining('stopping: handlers may finish'),
      });
    }
  });
});

describe('logs', () => {
  it('follows a job until it has ended', async () => {
    const store = await temporaryStore();
    const ductape = create({ store });
    let goOn = () => {};
    ductape.features.define('slow', async (context) => {
      context.log('first');
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      context.log('last');
    });
    const { job_id: id } = await ductape.features.dispatch(job('slow'));
    const session = start(['logs', id, '-f', '--json'], { store });
    await session.see('"first"');
    goOn();
    const { code, stdout } = await session.ended;
    expect(code).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { run: 1, attempt: 1, at: expect.any(Number), message: 'first' },
      { run: 1, attempt: 1, message: 'last' },
    ]);
    expect((await command(['logs', id, '--tail', '1'], { store })).stdout).toMatch(/^\S+\t1\.1\tlast\n$/);
    expect((await command(['logs', id, '--run', '2'], { store })).stdout).toBe('');
  });

  it('tells lines apart when the oldest are gone', async () => {
    const { createRequire } = await import('node:module');
    const { addedLines } = createRequire(import.meta.url)('../lib/cli/logs.js');
    const line = (at: number) => ({ run: 1, attempt: 1, at: Math.floor(at / 2), message: 'same' });
    const all = Array.from({ length: 1_005 }, (_, at) => line(at));
    expect(addedLines(all.slice(0, 1_000), all.slice(5))).toEqual(all.slice(1_000));
    expect(addedLines(all.slice(0, 3), all.slice(0, 5))).toEqual(all.slice(3, 5));
  });

  it('says when there is nothing', async () => {
    const store = await filledStore();
    expect(await command(['logs', 'queued-1'], { store })).toEqual({
      code: 0,
      stdout: '',
      stderr: 'nothing was logged\n',
    });
    expect(await command(['logs', 'nope'], { store })).toMatchObject({ code: 3 });
  });

  it.skipIf(noTerminal)('ends by Ctrl-C on a terminal', async () => {
    const store = await filledStore();
    const session = startOnTerminal(['logs', 'queued-1', '-f'], { store });
    // Until it is polling, there is nothing to be seen.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    session.type('\u0003');
    expect((await session.ended).code).toBe(130);
  });
});
