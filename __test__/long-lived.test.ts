// Processes that live for long: instances and threads come and go, and handlers end their process, under load.
// `npm run test:long -- long-lived` lets 200 of them come and go (DUCTAPE_TEST_LIVES), here a few do.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { create, eventually, temporaryStore } from './support/instances.js';
import { node, script } from './support/processes.js';

const long = process.env.DUCTAPE_TEST_LIVES;
const count = Number(long ?? 12);

/** What a process holds after each life, see programs/lives.mjs. */
interface Held {
  rss: number;
  files: number;
  threads: number;
  handles: number;
  listeners: number;
}

const MEBIBYTE = 2 ** 20;

/** What has grown from the second third of the lives to the last one; the first third warms up. */
function growth(all: Held[]): string[] {
  const third = Math.floor(all.length / 3);
  const most = (lives: Held[], of: keyof Held) => Math.max(...lives.map((held) => held[of]));
  const compare = (of: keyof Held, allowed: (before: number) => number) => {
    const [before, after] = [most(all.slice(third, 2 * third), of), most(all.slice(2 * third), of)];
    return after > allowed(before) ? [`${of}: ${before} in the second third, ${after} in the last`] : [];
  };
  return [
    ...compare('rss', (before) => before * 1.05 + 8 * MEBIBYTE),
    // Threads and files that are on their way out at a look count, too.
    ...compare('threads', (before) => before + 3),
    ...compare('files', (before) => before + 3),
    ...compare('handles', (before) => before),
    ...compare('listeners', (before) => before),
  ];
}

const stores = [
  ['memory', async () => 'memory:'],
  ['a SQLite file', temporaryStore],
] as const;

describe.skipIf(process.platform !== 'linux')('a process', () => {
  const lives = async (store: string, kind: string, times = count) => {
    const program = new URL('support/programs/lives.mjs', import.meta.url).pathname;
    const child = node(['--expose-gc', program, store, kind, String(times)]);
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    expect(child.stderr()).toBe('');
    const told = (word: string) =>
      child.lines.filter((line) => line.startsWith(`${word} `)).map((line) => JSON.parse(line.slice(word.length + 1)));
    const held: Held[] = told('held');
    expect(held).toHaveLength(times);
    if (long !== undefined)
      for (const [n, each] of held.entries()) if (n % 20 === 0) console.log(n, JSON.stringify(each));
    return { held, stats: told('jobs')[0] };
  };
  const timeout = 60_000 + count * 5_000;

  it.each(stores)('does not grow while instances on %s start and stop under load', { timeout }, async (kind, make) => {
    const { held, stats } = await lives(await make(), 'instances');
    expect(growth(held)).toEqual([]);
    // Memory stores end with their instance.
    if (kind !== 'memory') expect(stats).toMatchObject({ total: 43 * count, running: 0 });
  });

  it('keeps nothing of the definitions of instances that were closed', { timeout }, async () => {
    const { held } = await lives('memory:', 'definitions', 90);
    expect(growth(held)).toEqual([]);
  });

  it.each(stores)('outlives threads that end while their handlers run, on %s', { timeout }, async (kind, make) => {
    const store = kind === 'memory' ? `memory:${randomUUID()}` : await make();
    const { held, stats } = await lives(store, 'threads');
    expect(growth(held)).toEqual([]);
    expect(stats).toMatchObject({ total: 5 * count, completed: 5 * count });
  });
});

describe('process.exit() in a handler', () => {
  /** What becomes of the job in the next process, which gives its attempt as the result. */
  // A process that ends well hands its jobs back; one that fails may have failed by what it was executing.
  const spent = (code: number) => ({ status: 'completed', result: code === 0 ? 1 : 2 });
  const places: Array<[string, string, (code: number) => object]> = [
    ['at once', 'exit()', spent],
    ['after an await', 'new Promise(setImmediate).then(exit)', spent],
    ['in a step', `step('one', exit)`, spent],
    [
      'while others dispatch and report',
      'Promise.all([ductape.features.dispatchMany(others()), progress(10), new Promise((resolve) => setTimeout(resolve, 1)).then(exit)])',
      spent,
    ],
    [
      // The close hands it back before it aborts it.
      'when it is aborted by close()',
      `new Promise(() => { signal.addEventListener('abort', exit); ductape.close({ timeout: 0 }); })`,
      () => spent(0),
    ],
    [
      // From the first rollback on a job can do no more than fail.
      'in a rollback',
      `step('one', () => 1, { rollback: exit }).then(() => { throw new Error('no'); })`,
      () => ({ status: 'failed', error: { message: 'no' } }),
    ],
  ];
  const program = (code: number, place: string) => `
    import Ductape from 'ductape';
    const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
    const exit = () => process.exit(${code});
    const others = () => Array.from({ length: 50 }, () => ({ tag: 'other', input: {} }));
    ductape.features.define('other', ({ progress }) => progress(50));
    ductape.features.define('ends', ({ step, signal, progress }) => ${place});
    await ductape.start();
    await ductape.features.dispatchMany([...others(), { tag: 'ends', job_id: 'ends', input: {} }, ...others()]);`;
  const rounds = Math.ceil(Number(long ?? 0) / 20) || 1;
  const timeout = 30_000 + rounds * 10_000;

  it.each(places)('%s keeps its code, and another process ends the job', { timeout }, async (_, place, then) => {
    const codes = Array.from({ length: rounds }, () => [0, 7]).flat();
    for (const code of codes) {
      const store = await temporaryStore();
      const child = script(program(code, place), [store]);
      const { code: seen, signal } = await child.ended;
      expect([seen, signal, child.stderr()]).toEqual([code, null, '']);
      const heir = create({ store });
      heir.features.define('other', () => {});
      heir.features.define('ends', ({ attempt, step }) => step('one', () => attempt, { rollback() {} }));
      await eventually(async () => {
        expect(await heir.jobs.get('ends')).toMatchObject(then(code));
        const { queued, running } = await heir.jobs.getStats();
        expect({ queued, running }).toEqual({ queued: 0, running: 0 });
      }, 20_000);
      await heir.close();
    }
  });
});
