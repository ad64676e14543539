// Jobs that end their process, by a signal or by a failure, and the jobs beside them.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { create, temporaryFolder } from './support/instances.js';
import { type Program, script } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const BYSTANDERS = 30;

/** How a handler ends its process. */
const ENDS = {
  SIGKILL: "process.kill(process.pid, 'SIGKILL');",
  'process.exit(1)': 'process.exit(1);',
  'an error that nobody catches': "setTimeout(() => { throw new Error('a bug'); });",
};

const worker = (end: string) => `
  import { setTimeout as sleep } from 'node:timers/promises';
  import Ductape from 'ductape';
  const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test', worker: { concurrency: 50 } });
  ductape.features.define('bystander', async () => { await sleep(300); return 'done'; });
  ductape.features.define('culprit', async ({ attempt }) => {
    await sleep(150);
    console.log('kills ' + attempt);
    ${end}
    return new Promise(() => {});
  });
  await ductape.start();
`;

type SharedStore = (typeof sharedStores)[number];
const [sqlite, postgres] = sharedStores as [SharedStore, SharedStore];
const rows = [
  { ...sqlite, by: 'SIGKILL' },
  { ...sqlite, by: 'an error that nobody catches' },
  { ...postgres, by: 'SIGKILL' },
  { ...postgres, by: 'process.exit(1)' },
] as const;

describe.each(rows)('a job on $kind that ends its process by $by', ({ unavailable, make, by }) => {
  // All ten crashes take three minutes, since the run waits longer after each.
  const toTheEnd = Boolean(process.env.DUCTAPE_TEST_ROUNDS);
  const timeout = toTheEnd ? 600_000 : 150_000;
  it.skipIf(unavailable)('takes no job beside it with it', { timeout }, async () => {
    const store = await make();
    const ductape = create({ store, worker: false });
    const job = (tag: string, job_id: string) => ({ tag, job_id, input: {}, retries: 5 });
    await ductape.features.dispatchMany([
      ...Array.from({ length: BYSTANDERS }, (_, n) => job('bystander', `bystander-${n}`)),
      job('culprit', 'culprit'),
    ]);
    let running: Program | undefined;
    let kills = 0;
    const ended = async () => {
      if (running === undefined) running = script(worker(ENDS[by]), [store]);
      const over = await Promise.race([running.ended, new Promise<void>((resolve) => setTimeout(resolve, 250))]);
      if (over) {
        expect([over.signal, over.code]).toEqual(by === 'SIGKILL' ? [by, null] : [null, 1]);
        expect(running.lines.length).toBe(1);
        kills += 1;
        running = undefined;
      }
      const { completed, failed } = await ductape.jobs.getStats();
      return completed + failed;
    };
    while ((await ended()) < BYSTANDERS + (toTheEnd ? 1 : 0));
    const { jobs } = await ductape.jobs.list({ limit: 100 });
    const bystanders = jobs.filter(({ id }) => id !== 'culprit');
    expect(bystanders.map(({ status }) => status)).toEqual(bystanders.map(() => 'completed'));
    expect(bystanders).toHaveLength(BYSTANDERS);
    const culprit = await ductape.jobs.get('culprit');
    if (toTheEnd) expect(culprit).toMatchObject({ status: 'failed', error: { code: 'CRASHED' }, attempt: 10 });
    else expect(['scheduled', 'queued', 'running']).toContain(culprit.status);
    // Three crashes are everybody's, the others its own.
    expect(bystanders.filter(({ attempt }) => attempt > 4)).toEqual([]);
    expect(bystanders.filter(({ retry_count }) => retry_count > 0)).toEqual([]);
    expect(kills).toBeGreaterThanOrEqual(3);
    const { executions } = await ductape.jobs.getHistory('culprit');
    expect(executions.map(({ status }) => status)).toEqual(
      executions.map((_, n) => (toTheEnd && n === 0 ? 'failed' : 'crashed')),
    );
  });
});

describe('a process that is killed once', () => {
  it('costs its runs no time', { timeout: 30_000 }, async () => {
    const store = `sqlite:${join(await temporaryFolder(), 'jobs.db')}`;
    const ductape = create({ store });
    const { job_id } = await ductape.features.dispatch({ tag: 'culprit', input: {} });
    const child = script(worker(ENDS.SIGKILL), [store]);
    await child.waitForLine('kills');
    await child.ended;
    ductape.features.define('culprit', ({ attempt, lateness }) => ({ attempt, lateness }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toMatchObject({ attempt: 2 });
    const { executions } = await ductape.jobs.getHistory(job_id);
    expect(executions.map(({ status }) => status)).toEqual(['completed', 'crashed']);
  });
});
