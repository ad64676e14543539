// Processes of a store as `jobs.processes`, `top` and `doctor` show them.
import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { command, onTerminal, noTerminal, plain } from './support/command.js';
import { create, deferred, eventually, job, temporaryStore } from './support/instances.js';
import { script } from './support/processes.js';
import { sharedStores } from './support/stores.js';

interface Finding {
  name: string;
  level: string;
  message: string;
  remedy?: string;
}

async function processFindings(store: string): Promise<{ code: number | null; found: Finding[] }> {
  const { code, stdout } = await command(['doctor', '--json'], { store });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return { code, found: findings.filter(({ name }) => name.startsWith('process')) };
}

/** A worker in a process of its own, in the middle of a run. */
async function busyWorker(store: string) {
  const worker = script(
    `import { Ductape } from 'ductape';
     const ductape = new Ductape({ store: process.argv[1], worker: { concurrency: 3 } });
     ductape.features.define('hangs', () => { console.log('began'); return new Promise(() => {}); });
     await ductape.start();`,
    [store],
  );
  await worker.waitForLine('began');
  return worker;
}

describe.for(sharedStores)('processes of $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('are listed with what they do, until they close', async () => {
    const store = await make();
    const ductape = create({ store, worker: { concurrency: 2 } });
    expect(await ductape.jobs.processes()).toEqual([]);
    const released = deferred();
    ductape.features.define('waits', () => released.promise);
    await ductape.features.dispatch(job('waits'));
    await ductape.start();
    const before = Date.now();
    await eventually(async () => expect((await ductape.jobs.processes())[0]?.claimed).toBe(1));
    const [own, ...others] = await ductape.jobs.processes();
    expect(others).toEqual([]);
    expect(own).toMatchObject({
      id: expect.stringMatching(/^\d+$/),
      host: hostname(),
      pid: process.pid,
      state: 'alive',
      claimed: 1,
      running: 1,
      prefetched: 0,
    });
    expect(own?.slots).toBeGreaterThanOrEqual(2);
    for (const at of [own?.registered_at, own?.seen_at]) expect(Math.abs((at ?? 0) - before)).toBeLessThan(10_000);
    expect(own?.lease_ends_at).toBeGreaterThan(Date.now());
    const look = await command(['top', '--json', '--count', '1'], { store });
    expect(JSON.parse(look.stdout).processes).toMatchObject([{ pid: process.pid, running: 1 }]);
    const lines = await command(['top', '--count', '1'], { store });
    expect(lines.stdout).toMatch(/PROCESSES\n.*\t1\n$/);
    expect((await processFindings(store)).found).toEqual([
      { name: 'processes', level: 'ok', message: expect.stringMatching(/^1 alive, with 1 run in \d+ slots$/) },
    ]);
    released.resolve();
    await ductape.close();
    const other = create({ store, worker: false });
    expect(await other.jobs.processes()).toEqual([]);
  });
});

describe('doctor', () => {
  it('names a process that was killed with its runs, and who takes them over', async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('hangs'));
    const worker = await busyWorker(store);
    worker.process.kill('SIGKILL');
    await worker.ended;
    expect(await ductape.jobs.processes()).toMatchObject([{ state: 'dead', pid: worker.process.pid, claimed: 1 }]);
    expect(await processFindings(store)).toEqual({
      code: 0,
      found: [
        { name: 'processes', level: 'ok', message: 'no worker is alive' },
        {
          name: 'process',
          level: 'warning',
          message: `process ${worker.process.pid} on ${hostname()} has ended and still holds 1 run`,
          remedy: 'no worker is alive: start one, which takes them over',
        },
      ],
    });
    // Another one takes over, and nothing of it is left.
    const other = await busyWorker(store);
    await eventually(async () => expect((await processFindings(store)).found).toHaveLength(1));
    expect(await ductape.jobs.processes()).toMatchObject([{ pid: other.process.pid, state: 'alive', running: 1 }]);
  });

  // Real time: a lease, which is 10 s long.
  it.skipIf(process.platform !== 'linux')('says that a process is stopped', { timeout: 60_000 }, async () => {
    const store = await temporaryStore();
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('hangs'));
    const worker = await busyWorker(store);
    worker.process.kill('SIGSTOP');
    await eventually(async () => expect((await ductape.jobs.processes())[0]?.state).toBe('silent'), 20_000);
    const { code, found } = await processFindings(store);
    expect([code, found[1]?.level]).toEqual([0, 'warning']);
    expect(found[1]?.message).toMatch(/ has not renewed its lease for 1\d s, and holds 1 run: it is stopped$/);
    expect(found[1]?.remedy).toBe(
      `no worker is alive: start one, which takes them over; let it go on (kill -CONT ${worker.process.pid}) or end it`,
    );
    worker.process.kill('SIGCONT');
    await eventually(async () => expect((await ductape.jobs.processes())[0]?.state).toBe('alive'));
  });
});

it.skipIf(noTerminal)('top shows processes on a terminal that has room for them', async () => {
  const store = await temporaryStore();
  const ductape = create({ store, worker: false });
  await ductape.features.dispatch(job('hangs'));
  const worker = await busyWorker(store);
  const { stdout } = await onTerminal(['top', '--count', '1'], { store, columns: 120, rows: 30 });
  expect(plain(stdout)).toMatch(/PROCESS +STATE +RUNNING +PREFETCHED +SLOTS +SINCE/);
  expect(plain(stdout)).toMatch(new RegExp(`^${worker.process.pid} on ${hostname()} +alive +1 +0`, 'm'));
  const { stdout: small } = await onTerminal(['top', '--count', '1'], { store, columns: 120, rows: 8 });
  expect(plain(small)).not.toContain('PROCESS');
});
