// Processes whose clock is wrong or is set while they work.
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Control, compilePreload } from '../faults/disk.mjs';
import { create, eventually, job, temporaryFolder, temporaryStore } from './support/instances.js';
import { type Program, script } from './support/processes.js';
import { absent } from './support/servers.js';
import { postgresStore, server } from './support/stores.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A library is loaded into processes that shifts their clock. */
const possible = process.platform === 'linux';
if (!possible) absent('clocks of processes need Linux');

/** Works; explains the jobs whose ids it reads. */
const WORKER = `
  import Ductape from 'ductape';
  import { createInterface } from 'node:readline';
  const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
  ductape.features.define('time', ({ id }) => console.log('ran', id));
  await ductape.start();
  console.log('ready', Date.now());
  for await (const id of createInterface({ input: process.stdin }))
    console.log('explained', JSON.stringify(await ductape.jobs.explain(id)));
`;

/** A worker whose clock is `ahead` by so many ms, and what shifts it again. */
async function worker(store: string, ahead: number): Promise<{ process: Program; shift(ahead: number): void }> {
  const folder = await temporaryFolder();
  const control = new Control(join(folder, 'control'));
  onTestFinished(() => control.close());
  control.setClock(0, ahead);
  const env = { LD_PRELOAD: await compilePreload(folder), DUCTAPE_FAULTS_CONTROL: control.path };
  const process = script(WORKER, [store], { env });
  const ready = Number(await process.waitForLine('ready'));
  expect(Math.abs(ready - Date.now() - ahead)).toBeLessThan(MINUTE);
  return { process, shift: (ahead) => control.setClock(0, ahead) };
}

describe('a machine whose clock is wrong', () => {
  it.skipIf(!possible || !server).for([
    { ahead: 10 * MINUTE, which: 'ahead of' },
    { ahead: -10 * MINUTE, which: 'behind' },
  ])(
    `goes by the clock of the PostgreSQL server${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}: $which`,
    async ({ ahead, which }) => {
      const { store } = await postgresStore();
      const ductape = create({ store, worker: false });
      // Real time: what is due soon by one clock, and was or will be by the other.
      const { process, shift } = await worker(store, ahead);
      const due = Date.now() + 2_000;
      const { job_id: soon } = await ductape.features.dispatch(job('time', { schedule: { start_at: due } }));
      const { job_id: later } = await ductape.features.dispatch(
        job('time', { schedule: { start_at: due + 5 * MINUTE } }),
      );
      process.sendLine(later);
      const { reasons } = JSON.parse(await process.waitForLine('explained'));
      const message = expect.stringContaining(
        `the clock of this machine is 10 min 0 s ${which} that of the database server`,
      );
      expect(reasons).toEqual([expect.objectContaining({ code: 'NOT_DUE' }), { code: 'CLOCK_SKEW', message }]);
      shift(ahead > 0 ? DAY : -DAY);
      await process.waitForLine(`ran ${soon}`);
      expect(Date.now()).toBeGreaterThanOrEqual(due);
      expect(Date.now()).toBeLessThan(due + MINUTE);
      expect(process.lines.filter((line) => line.startsWith('ran'))).toEqual([`ran ${soon}`]);
      expect(process.stderr().match(/the clock of/g)).toHaveLength(1);
    },
  );

  it.skipIf(!possible)('is told when it is set, in a store of its own', async () => {
    const { process, shift } = await worker(await temporaryStore(), 0);
    shift(DAY);
    await eventually(() => expect(process.stderr()).toContain('the clock of this machine went ahead by 1 d 0 h: '));
    shift(-DAY);
    await eventually(() => expect(process.stderr()).toContain('the clock of this machine was put back by 2 d 0 h: '));
    expect(process.stderr().match(/the clock of/g)).toHaveLength(2);
  });
});
