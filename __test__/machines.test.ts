// Many workers and dispatchers on one PostgreSQL database, while workers are killed.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { postgresInstalled, startPostgres } from './support/postgres-server.js';
import { create, eventually, job, temporaryFolder } from './support/instances.js';
import { expectEachOccurrenceOnce, expectRecoveryWithin, parseTicks } from './support/occurrences.js';
import { readLines, type Program, program, tally } from './support/processes.js';
import { postgresStore, server } from './support/stores.js';

/** Real time: workers die at moments that nothing announces. */
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether to run for longer. */
const long = process.env.DUCTAPE_TEST_ROUNDS !== undefined;
const [seconds, each] = long ? [60, 25_000] : [10, 2_500];

describe(`four workers and two dispatchers on PostgreSQL${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`, () => {
  it.skipIf(!server)(
    'do every job, and each occurrence once, though workers are killed',
    {
      timeout: 120_000 + seconds * 4_000,
    },
    async () => {
      const { store } = await postgresStore();
      const folder = await temporaryFolder();
      const [effects, acknowledged] = [join(folder, 'effects'), join(folder, 'acknowledged')];
      // Makes the schema before the recurring jobs begin.
      const ductape = create({ store, worker: false });
      await ductape.jobs.getStats();
      const start = Date.now() + 5_000;
      const end = start + seconds * 1_000;
      const worker = () => program('machine', ['worker', store, effects, `${start}`, `${end}`]);
      const dispatcher = () => program('machine', ['dispatcher', store, acknowledged, `${start}`, `${end}`, `${each}`]);

      const dispatchers = [dispatcher(), dispatcher()];
      const workers: Program[] = [worker(), worker(), worker(), worker()];
      const kills: number[] = [];
      while (Date.now() < end) {
        await wait(300 + Math.random() * 700);
        const [victim] = workers.splice(Math.floor(Math.random() * workers.length), 1);
        victim?.process.kill('SIGKILL');
        kills.push(Date.now());
        await victim?.ended;
        workers.push(worker());
      }
      for (const { ended, stderr } of dispatchers) expect([await ended, stderr()]).toMatchObject([{ code: 0 }, '']);
      const ids = await readLines(acknowledged);
      expect(ids).toHaveLength(2 * each);
      await eventually(async () => {
        const { scheduled, queued, running, completed } = await ductape.jobs.getStats();
        expect({ scheduled, queued, running }).toEqual({ scheduled: 0, queued: 0, running: 0 });
        expect(completed).toBe(2 * each + 20);
      }, 90_000);

      const lines = await readLines(effects);
      const worked = tally(lines.filter((line) => line.startsWith('work ')).map((line) => line.slice(5)));
      expect(ids.filter((id) => !worked.has(id))).toEqual([]);
      const ticks = parseTicks(lines);
      // One after the other, so that each worker has some under way when it is killed.
      const starts = new Map(Array.from({ length: 20 }, (_, n) => [`series-${n}`, start + n * 5]));
      await expectEachOccurrenceOnce(ductape, ticks, starts, end);
      const twice = [...worked.values()].reduce((sum, count) => sum + count - 1, 0);
      console.info(
        `${kills.length} kills: ${ids.length} one-offs, ${twice} done twice, ${ticks.length} calls for occurrences, ` +
          expectRecoveryWithin(ticks, kills, 20_000),
      );
    },
  );
});

describe('a PostgreSQL server that is restarted under load', () => {
  it.skipIf(!postgresInstalled)(
    `loses nothing, and work goes on within seconds${postgresInstalled ? '' : ' (needs an installed PostgreSQL)'}`,
    { timeout: 180_000 },
    async () => {
      const { url: store, restart } = await startPostgres();
      const effects = join(await temporaryFolder(), 'effects');
      const worker = create({ store, worker: { concurrency: 20 } });
      const ran = new Map<number, number>();
      worker.features.define('work', ({ input }) => {
        const { n } = input as { n: number };
        ran.set(n, Date.now());
        appendFileSync(effects, `${n}\n`);
      });
      const dispatcher = create({ store, worker: false });
      const acknowledged: number[] = [];
      let going = true;
      let refused = 0;
      const lanes = Array.from({ length: 20 }, async (_, lane) => {
        for (let n = lane; going; n += 20) {
          await dispatcher.features.dispatch(job('work', { input: { n } })).then(
            () => acknowledged.push(n),
            (error) => {
              expect(error.code).toBe('CONNECTION_ERROR');
              refused++;
            },
          );
        }
      });
      const gaps: number[] = [];
      for (let round = 0; round < 3; round++) {
        await wait(2_000);
        const before = ran.size;
        const began = Date.now();
        await restart();
        await eventually(() => expect(ran.size).toBeGreaterThan(before + 100), 30_000);
        gaps.push(Date.now() - began);
      }
      going = false;
      await Promise.all(lanes);
      await eventually(() => expect(acknowledged.filter((n) => !ran.has(n))).toEqual([]), 60_000);
      const calls = (await readLines(effects)).length;
      console.info(
        `${acknowledged.length} acknowledged, ${refused} refused, ${calls - ran.size} done twice; ` +
          `100 runs after each restart began: ${gaps.join(', ')} ms`,
      );
    },
  );
});
