// No acknowledged job is lost, whichever process dies when. Acknowledgements and effects are read from logs that the
// killed processes appended to, not from the store under test.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { IJob } from './support/ductape.js';
import { create, eventually, job, stopwatch, temporaryFolder } from './support/instances.js';
import { expectEachOccurrenceOnce, expectRecoveryWithin, parseTicks } from './support/occurrences.js';
import { readLines, program, script, tally } from './support/processes.js';
import { sharedStores } from './support/stores.js';

/** Real time: processes die at moments that nothing announces. */
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(sharedStores)('jobs that a process dispatches and runs on $kind', ({ unavailable, make }) => {
  const kills = Number(process.env.DUCTAPE_TEST_ROUNDS ?? 20);
  const timeout = 90_000 + kills * 3_000;
  it.skipIf(unavailable)(`are all done in the end, though it is killed ${kills} times`, { timeout }, async () => {
    const folder = await temporaryFolder();
    const store = await make();
    const acknowledged = join(folder, 'acknowledged');
    const effects = join(folder, 'effects');
    const passed = stopwatch();

    for (let kill = 0; kill < kills; kill++) {
      const child = program('crash', [store, acknowledged, effects]);
      // Some are killed before they have opened the store, most during work.
      if (kill % 5 !== 0) await child.waitForLine('ready');
      await wait(20 + Math.random() * 500);
      child.process.kill('SIGKILL');
      const { signal } = await child.ended;
      expect(signal).toBe('SIGKILL');
      // It may log the recovered runs of its predecessor, and nothing else.
      expect(
        child
          .stderr()
          .split('\n')
          .filter((line) => line !== '' && !line.includes('took over')),
      ).toEqual([]);
    }

    // The last process lives long enough to finish everything.
    const ductape = create({ store, worker: { concurrency: 50 } });
    ductape.features.define('work', ({ id }) => {
      appendFileSync(effects, `start ${id}\n`);
      appendFileSync(effects, `end ${id}\n`);
    });
    await eventually(async () => {
      const { scheduled, queued, running } = await ductape.jobs.getStats();
      expect({ scheduled, queued, running }).toEqual({ scheduled: 0, queued: 0, running: 0 });
    }, 60_000);

    const ids = await readLines(acknowledged);
    const done = tally(await readLines(effects));
    // At least one run must have been interrupted, or the test shows nothing.
    expect(ids.length).toBeGreaterThan(200);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !done.has(`end ${id}`))).toEqual([]);

    const jobs: IJob[] = [];
    let cursor: string | undefined;
    do {
      const page = await ductape.jobs.list({ limit: 1_000, ...(cursor && { cursor }) });
      jobs.push(...page.jobs);
      cursor = page.next;
    } while (cursor);
    const byId = new Map(jobs.map((each) => [each.id, each]));
    expect(ids.filter((id) => byId.get(id)?.status !== 'completed')).toEqual([]);
    // Unacknowledged jobs may have been stored or not; those that were have run.
    expect(jobs.filter(({ status }) => status !== 'completed')).toEqual([]);
    // A crash spends no retry: jobs without retries have run again.
    const crashed = jobs.filter(({ attempt, retry_count }) => attempt > retry_count + 1);
    expect(crashed.filter(({ retries }) => retries === 0).length).toBeGreaterThan(0);

    // Only jobs that were running, or ended and not yet written, at a kill may run twice.
    const ends = [...done].filter(([line]) => line.startsWith('end '));
    const twice = ends.reduce((sum, [, count]) => sum + count - 1, 0);
    expect(twice).toBeLessThanOrEqual(kills * 30);
    console.info(
      `${kills} kills: ${ids.length} acknowledged, ${crashed.length} interrupted, ${twice} done twice, ` +
        `${Math.round(passed())} ms`,
    );
  });
});

describe('a dispatch', () => {
  const source = `
    import { writeSync } from 'node:fs';
    import Ductape from 'ductape';
    const [store, durability, many] = process.argv.slice(1);
    const { features } = new Ductape({ store, durability, product: 'shop', env: 'test', worker: false });
    // The store is open by then.
    await features.dispatch({ tag: 'first', input: {} });
    const job = { tag: 'report', input: { a: 1 } };
    const dispatched = many === 'many' ? features.dispatchMany([job, job, job]) : features.dispatch(job).then((result) => [result]);
    await dispatched.then((results) => {
      for (const { job_id } of results) writeSync(1, 'stored ' + job_id + '\\n');
      process.kill(process.pid, 'SIGKILL');
    });
  `;

  it.each([
    ['full', 'one'],
    ['full', 'many'],
    ['relaxed', 'one'],
  ])('survives SIGKILL the moment its promise has resolved (%s, %s)', async (durability, many) => {
    const folder = await temporaryFolder();
    for (let round = 0; round < 5; round++) {
      const store = `sqlite:${join(folder, `jobs-${round}.db`)}`;
      const child = script(source, [store, durability, many]);
      expect((await child.ended).signal).toBe('SIGKILL');
      const ids = child.lines.filter((line) => line.startsWith('stored ')).map((line) => line.slice(7));
      expect(ids).toHaveLength(many === 'many' ? 3 : 1);
      const ductape = create({ store });
      ductape.features.define('report', ({ input }) => input);
      for (const id of ids) expect(await ductape.jobs.wait(id, { timeout: 10_000 })).toEqual({ a: 1 });
      await ductape.close();
    }
  });
});

describe('a recurring job', () => {
  it('continues after its process was killed during a run', async () => {
    const folder = await temporaryFolder();
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    const child = script(
      `import Ductape from 'ductape';
       const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
       ductape.features.define('report', () => { console.log('started'); return new Promise(() => {}); });
       await ductape.features.dispatch({ tag: 'report', job_id: 'often', input: {}, schedule: { every: 200, limit: 3 } });
       await ductape.start();`,
      [store],
    );
    await child.waitForLine('started');
    child.process.kill('SIGKILL');
    await child.ended;
    const ductape = create({ store });
    const runs: string[] = [];
    ductape.features.define('report', ({ run, attempt }) => void runs.push(`${run}/${attempt}`));
    await eventually(async () => expect((await ductape.jobs.get('often')).status).toBe('completed'), 15_000);
    // The interrupted run gets another attempt, and counts once.
    expect(runs).toEqual(['1/2', '2/1', '3/1']);
    expect(await ductape.jobs.get('often')).toMatchObject({ execution_count: 3 });
  });
});

describe.each(sharedStores)('recurring jobs on $kind whose processes are killed', ({ unavailable, make }) => {
  const seconds = Math.max(10, Number(process.env.DUCTAPE_TEST_ROUNDS ?? 0) * 0.6);
  const timeout = 120_000 + seconds * 4_000;
  it.skipIf(unavailable)('account for each occurrence exactly once', { timeout }, async () => {
    const folder = await temporaryFolder();
    const store = await make();
    const [acknowledged, effects] = [join(folder, 'acknowledged'), join(folder, 'effects')];
    // The first process must have dispatched them all by then, also on a busy machine.
    const start = Date.now() + 5_000;
    const end = start + seconds * 1_000;
    const started = () => program('recurring', [store, acknowledged, effects, `${start}`, `${end}`]);
    const kills: number[] = [];
    const running = [started(), started()];
    while (Date.now() < end) {
      await wait(100 + Math.random() * 500);
      // Sometimes both, so that no worker is left for a while.
      const victims = Math.random() < 0.25 ? running.splice(0, 2) : running.splice(Math.random() < 0.5 ? 0 : 1, 1);
      for (const victim of victims) {
        victim.process.kill('SIGKILL');
        kills.push(Date.now());
        await victim.ended;
      }
      if (victims.length === 2) await wait(Math.random() * 400);
      while (running.length < 2) running.push(started());
    }
    const ductape = create({ store, worker: false });
    await eventually(async () => {
      const { completed } = await ductape.jobs.getStats();
      const series = (await ductape.jobs.list({ recurring: true })).jobs;
      expect(series).toHaveLength(8);
      expect(completed).toBeGreaterThan(series.length);
      expect(series.map(({ status }) => status)).toEqual(series.map(() => 'completed'));
    }, 60_000);
    for (const each of running) each.process.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    // One-off jobs that the last processes left.
    const last = create({ store, worker: { concurrency: 50 } });
    last.features.define('work', ({ id }) => appendFileSync(effects, `work ${id}\n`));
    await eventually(async () => {
      const { scheduled, queued, running } = await last.jobs.getStats();
      expect({ scheduled, queued, running }).toEqual({ scheduled: 0, queued: 0, running: 0 });
    }, 60_000);

    const lines = await readLines(effects);
    const ids = await readLines(acknowledged);
    const worked = new Set(lines.filter((line) => line.startsWith('work ')).map((line) => line.slice(5)));
    expect(ids.length).toBeGreaterThan(1_000);
    expect(ids.filter((id) => !worked.has(id))).toEqual([]);
    const ticks = parseTicks(lines);
    const starts = new Map(Array.from({ length: 8 }, (_, n) => [`series-${n}`, start]));
    await expectEachOccurrenceOnce(ductape, ticks, starts, end);
    const recovery = expectRecoveryWithin(ticks, kills, 15_000);
    console.info(`${kills.length} kills: ${ids.length} one-offs, ${ticks.length} calls for occurrences, ${recovery}`);
  });
});

describe('a store that another process left behind', () => {
  it('has its interrupted runs released when it is opened', async () => {
    const folder = await temporaryFolder();
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    const first = create({ store });
    const started = new Promise<void>((resolve) => {
      first.features.define('report', () => {
        resolve();
        return new Promise(() => {});
      });
    });
    const { job_id } = await first.features.dispatch(job('report'));
    await started;
    expect((await first.jobs.get(job_id)).status).toBe('running');
    await first.close({ timeout: 0 });
    const second = create({ store, worker: false });
    expect(await second.jobs.get(job_id)).toMatchObject({ status: 'queued', retry_count: 0 });
  });
});
