// A PostgreSQL server that is away for a while: what runs goes on, and calls reject in time.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { create, env, eventually, job, product, rejection, stopwatch } from './support/instances.js';
import { reachableFromOutside, startPostgres } from './support/postgres-server.js';
import { closedPort } from './support/mail-server.js';
import { script } from './support/processes.js';

const RUNS_PER_PROCESS = 25;

/** Runs that take longer than the outage; each says when it begins and when it is told to stop. */
const WORKER = `
  import { Ductape } from 'ductape';
  const [store] = process.argv.slice(1).filter((word) => word.startsWith('postgres:'));
  const ductape = new Ductape({ store, product: '${product}', env: '${env}', worker: { concurrency: ${RUNS_PER_PROCESS} } });
  ductape.features.handle({}, async ({ input, signal }) => {
    console.log('began ' + input.n);
    signal.addEventListener('abort', () => console.log('aborted ' + signal.reason?.code));
    await new Promise((resolve) => setTimeout(resolve, 28_000));
  });
  await ductape.start();
  console.log('ready');
`;

describe('a server that is away', () => {
  it.skipIf(!reachableFromOutside)(
    'for 15 seconds interrupts no run of processes that are well',
    { timeout: 150_000 },
    async () => {
      const database = await startPostgres();
      const store = database.outsideUrl;
      const workers = Array.from({ length: 4 }, () => script(WORKER, [store]));
      await Promise.all(workers.map((worker) => worker.waitForLine('ready')));
      const ductape = create({ store, worker: false });
      const runs = RUNS_PER_PROCESS * workers.length;
      await ductape.features.dispatchMany(Array.from({ length: runs }, (_, n) => job('long', { input: { n } })));
      const said = (word: string) => workers.flatMap(({ lines }) => lines.filter((line) => line.startsWith(word)));
      await eventually(() => expect(said('began')).toHaveLength(runs), 20_000);
      await database.pause(15_000);
      await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(runs), 60_000);
      expect(said('aborted')).toEqual([]);
      expect(said('began')).toHaveLength(runs);
    },
  );

  it('rejects all calls within seconds of each other', { timeout: 60_000 }, async () => {
    const ductape = create({ store: `postgres://127.0.0.1:${await closedPort()}/none`, worker: false });
    const elapsed = stopwatch();
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 7; n++) {
      calls.push(n % 2 === 0 ? ductape.features.dispatch(job('f')) : ductape.jobs.getStats());
      await sleep(100);
    }
    for (const error of await Promise.all(calls.map((call) => rejection(call)))) {
      expect(error.code).toBe('CONNECTION_ERROR');
    }
    expect(elapsed()).toBeLessThan(15_000);
  });
});
