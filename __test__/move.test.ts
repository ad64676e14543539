// All of a store is moved to another one: what is there afterwards, through the API and the command, and after interruptions.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { command, noTerminal, onTerminal, plain, start } from './support/command.js';
import type { IMoveProgress } from '../index.js';
import { Ductape } from './support/ductape.js';
import { create, job, problemPaths, rejection, temporaryFolder, temporaryStore } from './support/instances.js';
import { server, sharedStores } from './support/stores.js';

const HOUR = 3_600_000;
/** Jobs of the package's own in a full store. */
const DELIVERIES = 10;
/** Kills of a move, each at a random time. */
const KILLS = Number(process.env.DUCTAPE_TEST_ROUNDS ?? 15);

/** A store with jobs in all states, with histories, steps, logs, keys and a webhook. */
async function fullStore(count: number, store?: string): Promise<string> {
  const name = store ?? (await temporaryStore());
  const ductape = create({ store: name, outbound: { privateAddresses: true } });
  ductape.features.define('works', async ({ input, step, log, progress }) => {
    log('works');
    await progress(50);
    return step('half', async () => input);
  });
  ductape.features.define('breaks', () => {
    throw new Error('no such card');
  });
  await ductape.jobs.setWebhook({
    url: 'http://127.0.0.1:9/hook',
    events: ['job.failed'],
    secret: 'a secret that is long enough, by all means',
  });
  await ductape.features.dispatchMany(
    Array.from({ length: 40 }, (_, at) =>
      job(at % 4 === 0 ? 'breaks' : 'works', { job_id: `done ${at}`, input: { at, text: 'ü\u0000\n' }, tags: ['t'] }),
    ),
  );
  await ductape.drain();
  const later = { start_at: Date.now() + HOUR };
  for (let done = 0; done < count; done += 5_000) {
    await ductape.features.dispatchMany(
      Array.from({ length: Math.min(5_000, count - done) }, (_, at) =>
        job('waits', { input: { at: done + at }, ...(at % 2 ? { schedule: later } : {}) }),
      ),
    );
  }
  await ductape.features.dispatchMany([
    job('waits', { job_id: 'keyed', unique: { key: 'k', period: HOUR } }),
    ...Array.from({ length: 5 }, () => job('waits', { concurrency: { key: 'c', limit: 1 } })),
  ]);
  await ductape.features.dispatch(
    job('ticks', { job_id: 'ticks', schedule: { cron: '0 9 * * *', tz: 'Europe/Paris' } }),
  );
  await ductape.features.dispatch(job('ticks', { job_id: 'paused', schedule: { every: HOUR } }));
  await ductape.jobs.pause('paused');
  await ductape.close();
  return name;
}

/** All that the API shows of a store. */
async function contents(store: string) {
  const ductape = create({ store, worker: false });
  const jobs = [];
  for (let cursor: string | undefined; ; ) {
    const page = await ductape.jobs.list({ limit: 1_000, ...(cursor ? { cursor } : {}) });
    jobs.push(...page.jobs);
    cursor = page.next ?? undefined;
    if (cursor === undefined) break;
  }
  const told = jobs.filter((each) => each.status !== 'queued' && each.namespace === 'features').slice(0, 60);
  const histories = await Promise.all(told.map((each) => ductape.jobs.getHistory(each.id)));
  const [stats, webhooks, metrics] = await Promise.all([
    ductape.jobs.getStats(),
    ductape.jobs.listWebhooks(),
    ductape.jobs.metrics(),
  ]);
  await ductape.close();
  return { jobs, histories, stats, webhooks, metrics: metrics.total };
}

describe.each(sharedStores)('to $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('takes everything there, and the same back', async () => {
    const from = await fullStore(50);
    const before = await contents(from);
    const to = await make();
    const result = await Ductape.move({ from, to });
    expect(result).toMatchObject({ status: 'moved', jobs: before.jobs.length + DELIVERIES, resumed: false });
    expect(await contents(to)).toEqual(before);

    const error = await rejection(create({ store: from }).jobs.list());
    expect([error.code, error.message]).toEqual(['STORE_ERROR', expect.stringMatching(/was moved to/)]);
    expect(error.message).not.toMatch(/@/);

    const back = `sqlite:${join(await temporaryFolder(), 'back.db')}`;
    await Ductape.move({ from: to, to: back });
    expect(await contents(back)).toEqual(before);

    // What waited runs there, what had a key has it still.
    const ductape = create({ store: back });
    let ran = 0;
    ductape.features.define('waits', () => {
      ran += 1;
    });
    await ductape.drain();
    expect(ran).toBe(25 + 1 + 5);
    const again = await ductape.features.dispatch(job('waits', { unique: { key: 'k', period: HOUR } }));
    expect(again.job_id).toBe('keyed');
  });
});

describe('a move', () => {
  it('keeps what is encrypted readable with the same keys, and with no others', async () => {
    const keys = [{ id: 'first', key: Buffer.from(Array.from({ length: 32 }, (_, at) => at * 7)) }];
    const from = await temporaryStore();
    const ductape = create({ store: from, encryptionKeys: keys });
    ductape.features.define('works', async ({ input, step, log }) => {
      log(JSON.stringify(input));
      return step('half', async () => input);
    });
    await ductape.features.dispatch(job('works', { job_id: 'secret', input: { card: '4242' } }));
    await ductape.drain();
    await ductape.close();
    const to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
    await Ductape.move({ from, to });
    const moved = create({ store: to, encryptionKeys: keys });
    expect(await moved.jobs.get('secret')).toMatchObject({ input: { card: '4242' }, result: { card: '4242' } });
    expect((await moved.jobs.logs('secret')).map((line) => line.message)).toEqual(['{"card":"4242"}']);
    await moved.close();
    const others = [{ id: 'other', key: Buffer.from(Array.from({ length: 32 }, (_, at) => at * 5)) }];
    const unreadable = await create({ store: to, encryptionKeys: others }).jobs.get('secret');
    expect([unreadable.input, unreadable.result]).toEqual([{ $encrypted: 'first' }, { $encrypted: 'first' }]);
  });

  it('says what is wrong with its arguments', async () => {
    const store = await temporaryStore();
    const wrong: [unknown, string[]][] = [
      [undefined, ['options']],
      [{ from: store }, ['options']],
      [{ from: store, to: 5 }, ['options']],
      [{ from: store, to: 'mysql://x' }, ['options.to']],
      [{ from: 'mysql://x', to: store }, ['options.from']],
      [{ from: store, to: store }, ['options.to']],
      [{ from: 'memory:', to: store }, ['options.from']],
      [{ from: store, to: 'memory:' }, ['options.to']],
      [{ from: store, to: 'sqlite:x.db', dryRun: 'yes' }, ['options.dryRun']],
      [{ from: store, to: 'sqlite:x.db', dryRun: true, giveUp: true }, ['options.giveUp']],
      [{ from: store, to: 'sqlite:x.db', onProgress: true }, ['options.onProgress']],
      [{ from: store, to: 'sqlite:x.db', force: true }, ['options']],
    ];
    for (const [options, paths] of wrong) {
      const error = await rejection(Ductape.move(options as never));
      expect([options, error.code, problemPaths(error)]).toEqual([options, 'VALIDATION_ERROR', paths]);
    }
    expect(existsSync('x.db')).toBe(false);
    const absent = `sqlite:${join(await temporaryFolder(), 'absent.db')}`;
    const error = await rejection(Ductape.move({ from: absent, to: store }));
    expect([error.code, error.message]).toEqual(['STORE_ERROR', expect.stringMatching(/^from: there is no store/)]);
  });

  it('is refused while a process works on the store, and is told where that is', async () => {
    const from = await fullStore(3);
    const working = create({ store: from });
    working.features.define('none', () => {});
    await working.start({ signals: false });
    const to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
    expect(await Ductape.move({ from, to, dryRun: true })).toMatchObject({ status: 'new', processes: 1 });
    const error = await rejection(Ductape.move({ from, to }));
    expect([error.code, error.message]).toEqual(['STORE_ERROR', expect.stringMatching(/1 process works on/)]);
    await working.features.dispatch(job('waits'));
    await working.close();
    expect(await Ductape.move({ from, to })).toMatchObject({ status: 'moved' });
  });
});

describe('its progress', () => {
  it('is told, and listeners that throw do no harm', async () => {
    const from = await fullStore(15_000);
    const to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
    const seen: IMoveProgress[] = [];
    const result = await Ductape.move({
      from,
      to,
      onProgress: (progress) => {
        seen.push(progress);
        throw new Error('of the listener');
      },
    });
    expect(seen.length).toBeGreaterThan(0);
    for (const { phase, done, total } of seen) {
      expect(['preparing', 'copying', 'verifying']).toContain(phase);
      expect(done).toBeLessThanOrEqual(total);
      expect(total).toBeLessThanOrEqual(result.rows * 2);
    }
  });
});

describe('ductape move', () => {
  it('tells, asks, moves and names the new store', async () => {
    const from = await fullStore(10);
    const to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
    const dry = await command(['move', from, 'env:NEW_STORE', '--dry-run'], { env: { NEW_STORE: to } });
    expect([dry.code, dry.stdout]).toEqual([
      0,
      expect.stringMatching(/^68 jobs in \d+ rows would be moved from sqlite:.*\n$/),
    ]);
    const silent = await command(['move', from, to]);
    expect([silent.code, silent.stderr]).toEqual([
      2,
      expect.stringMatching(/nobody can be asked here\nhint: add --yes/),
    ]);
    const moved = await command(['move', from, to, '--yes']);
    expect([moved.code, moved.stdout]).toEqual([
      0,
      expect.stringMatching(/^68 jobs in \d+ rows moved and compared in /),
    ]);
    expect(moved.stderr).toMatch(/name sqlite:.*new\.db in `store` now/);
    const again = await command(['move', from, to, '--yes', '--json']);
    const absent = await command(['move', 'sqlite:/nowhere/jobs.db', to, '--yes']);
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringMatching(/FROM: there is no store at/)]);
    expect([again.code, JSON.parse(again.stdout)]).toEqual([
      0,
      expect.objectContaining({ status: 'moved', resumed: true, jobs: 68 }),
    ]);
    const old = await command(['list'], { store: from });
    expect([old.code, old.stderr]).toEqual([1, expect.stringMatching(/was moved to sqlite:.*new\.db/)]);
    const { stdout } = await command(['doctor', '--json'], { store: from });
    expect(JSON.parse(stdout).findings).toContainEqual({
      name: 'moved',
      level: 'problem',
      message: expect.stringMatching(/was moved to sqlite:.*new\.db$/),
      remedy: 'name that one in `store`',
    });
  });

  it('refuses what is no store', async () => {
    const from = await fullStore(1);
    for (const [args, told] of [
      [['move'], /FROM|2 arguments/],
      [['move', from], /TO|2 arguments/],
      [['move', from, 'jobs.db'], /TO: must be a store/],
      [['move', 'env:NONE_SUCH', from], /FROM: NONE_SUCH holds no store/],
      [['move', from, 'sqlite:x.db', '--give-up', '--dry-run'], /cannot be tried/],
    ] as const) {
      const { code, stderr } = await command([...args]);
      expect([args, code, stderr]).toEqual([args, 2, expect.stringMatching(told)]);
    }
  });

  it.skipIf(noTerminal)('draws a bar on a terminal', { timeout: 120_000 }, async () => {
    let shown = '';
    // As many as last for long enough here.
    for (let count = 20_000; count <= 500_000 && !/copying \[[#.]+\] \d+ %/.test(shown); count *= 5) {
      const from = await fullStore(count);
      const to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
      const { code, stdout } = await onTerminal(['move', from, to, '--yes']);
      expect(code).toBe(0);
      shown = plain(stdout);
    }
    expect(shown).toMatch(/copying \[[#.]+\] \d+ %/);
  });

  it.each(
    [
      { kind: 'to a file', unavailable: false, at: 0 },
      { kind: server ? 'to PostgreSQL' : 'to PostgreSQL (needs DUCTAPE_TEST_POSTGRES)', unavailable: !server, at: 1 },
    ].filter(({ unavailable }) => !unavailable),
  )('loses nothing when it is killed again and again: $kind', { timeout: 120_000 + KILLS * 6_000 }, async ({ at }) => {
    const from = await fullStore(6_000);
    const before = await contents(from);
    const to = (await sharedStores[at]?.make()) ?? '';
    let [kills, longest] = [0, 600];
    for (let isDone = false; !isDone; ) {
      const running = start(['move', from, to, '--yes']);
      const isKilled = kills < KILLS;
      if (isKilled) {
        await Promise.race([sleep(250 + Math.random() * longest), running.ended]);
        running.process.kill('SIGKILL');
      }
      const { code, stderr } = await running.ended;
      // It may have been done just before.
      if (code === 0) {
        isDone = !isKilled || kills >= KILLS;
        if (isKilled) {
          kills += 1;
          longest = Math.max(100, longest * 0.8);
        }
      } else if (isKilled) kills += 1;
      else throw new Error(stderr);
    }
    expect(await contents(to)).toEqual(before);
    expect((await rejection(create({ store: from }).jobs.list())).message).toMatch(/was moved to/);
  });

  it('gives a move up that was interrupted', async () => {
    // It kills itself when both stores know of the move. As many rows as last until then here.
    const killed = `
      const { Ductape } = require(${JSON.stringify(join(import.meta.dirname, '..'))});
      const [from, to] = process.argv.slice(1);
      const onProgress = ({ phase }) => phase === 'copying' && process.kill(process.pid, 'SIGKILL');
      Ductape.move({ from, to, onProgress }).then(() => process.exit(3));`;
    let [from, to, count] = ['', '', 10_000];
    for (let isDone = true; isDone; ) {
      count *= 3;
      from = await fullStore(count);
      to = `sqlite:${join(await temporaryFolder(), 'new.db')}`;
      spawnSync(process.execPath, ['-e', killed, from, to]);
      isDone = (await command(['move', from, to, '--dry-run', '--json'])).stdout.includes('"moved"');
    }
    const closed = await command(['list'], { store: from });
    expect([closed.code, closed.stderr]).toEqual([
      1,
      expect.stringMatching(/go on with `ductape move`, or give the move up/),
    ]);
    const { code, stdout } = await command(['move', from, to, '--give-up', '--yes']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/takes work again; delete what was copied to sqlite:/)]);
    expect((await contents(from)).jobs.length).toBe(count + 48);
    const stale = await command(['move', from, to, '--yes']);
    expect([stale.code, stale.stderr]).toEqual([1, expect.stringMatching(/holds a part of another move/)]);
  });
});
