// What a worker with nothing to do costs, counted, and how soon it hears of what another process dispatches. See CONTRIBUTING.md, "Guards
// of cost", for what to do when a bound is met.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { create, job } from './support/instances.js';
import { type Program, script } from './support/processes.js';
import { sharedStores } from './support/stores.js';

/** They are about 14 on both. A poll every 20 ms adds 50. */
const WAKES_PER_SECOND = 25;
/** It is about 1 ms; half of the jobs would wait longer for a poll every 20 ms. */
const START_MS = 6;

const WORKER = `
  import { Ductape } from 'ductape';
  const [store] = process.argv.slice(1);
  const ductape = new Ductape({ store, product: 'shop', env: 'test', durability: 'relaxed' });
  ductape.features.define('started', ({ input }) => console.log('started-' + input.n, process.hrtime.bigint().toString()));
  await ductape.start();
  console.log('ready');
  process.stdin.resume();
`;

async function worker(store: string): Promise<Program> {
  const started = script(WORKER, [store]);
  await started.waitForLine('ready');
  return started;
}

/** How often the threads of Rust in a process have gone to sleep so far. */
function sleeps(pid: number): number {
  const folder = `/proc/${pid}/task`;
  const counts = readdirSync(folder).map((thread) => {
    const status = readFileSync(join(folder, thread, 'status'), 'utf8');
    const [, name = '', count] = /^Name:\s*(.*)\n[\s\S]*^voluntary_ctxt_switches:\s*(\d+)/m.exec(status) ?? [];
    return name.startsWith('ductape') ? Number(count) : 0;
  });
  return counts.reduce((a, b) => a + b, 0);
}

/** The best of a few measures: others use the machine, too. */
async function best(measure: () => Promise<number>, bound: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 5 && least >= bound; n++) least = Math.min(least, await measure());
  return least;
}

describe.skipIf(process.platform !== 'linux').each(sharedStores)('on $kind', ({ make, unavailable }) => {
  it.skipIf(unavailable)('a worker with nothing to do hardly wakes up', async () => {
    const { process: child } = await worker(await make());
    const SECONDS = 3;
    const perSecond = await best(async () => {
      const before = sleeps(child.pid as number);
      // What it does in this time is the subject.
      await delay(SECONDS * 1_000);
      return (sleeps(child.pid as number) - before) / SECONDS;
    }, WAKES_PER_SECOND);
    expect(perSecond, 'the counting itself').toBeGreaterThan(0);
    expect(perSecond, 'each timer costs several wake-ups: see docs/design/services.md').toBeLessThan(WAKES_PER_SECOND);
  });

  it.skipIf(unavailable)('a worker starts what another process dispatches without waiting for a poll', async () => {
    const store = await make();
    const ductape = create({ store, worker: false, durability: 'relaxed' });
    const { waitForLine } = await worker(store);
    let n = 0;
    const median = await best(async () => {
      const times: number[] = [];
      for (let count = 0; count < 50; count++) {
        const from = process.hrtime.bigint();
        await ductape.features.dispatch(job('started', { input: { n: ++n } }));
        times.push(Number(BigInt(await waitForLine(`started-${n}`)) - from) / 1e6);
        // Not in step with anything that looks at fixed times.
        await delay(5 + Math.random() * 30);
      }
      return times.sort((a, b) => a - b)[times.length / 2] as number;
    }, START_MS);
    expect(median).toBeLessThan(START_MS);
  });
});
