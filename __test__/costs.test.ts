// The cost of a job on the event loop, counted and not timed: crossings between JavaScript and Rust, and how long handlers
// block the loop. See CONTRIBUTING.md for what to do when a bound is met.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { DuctapeOptions } from './support/ductape.js';
import { create, job } from './support/instances.js';
import { service, shop } from './support/services.js';
import { sharedStores } from './support/stores.js';

type Wake = () => void;
interface Native {
  take(...args: unknown[]): string;
  finish(answers: string): void;
  dispatch(...args: unknown[]): void;
  part(...args: unknown[]): void;
}
interface Binding {
  /** One of the arguments is the function that Rust calls. */
  Ductape: new (
    ...given: unknown[]
  ) => Native;
}

// The package asks this very object for its native class, each time an instance is made.
const binding = createRequire(import.meta.url)('../native.js') as Binding;
const { Ductape: Original } = binding;
const { MESSAGE } = createRequire(import.meta.url)('../lib/protocol.js') as { MESSAGE: Record<string, string> };
const counts = { wakes: 0, takes: 0, finishes: 0, dispatches: 0, dispatched: 0, taken: 0, parts: 0 };

/** Counts the calls of the function that wakes JavaScript. */
function counted(wake: Wake): Wake {
  return () => {
    counts.wakes++;
    wake();
  };
}

/** What crosses while a test has it, in both directions. */
let crossed: { messages: unknown[][]; lines: string[] } | undefined;

class Counted extends Original {
  constructor(...given: unknown[]) {
    super(...given.map((value) => (typeof value === 'function' ? counted(value as Wake) : value)));
  }
  override take(...args: unknown[]) {
    counts.takes++;
    const text = super.take(...args);
    counts.taken += text.length;
    if (crossed && text !== '') crossed.messages.push(...(JSON.parse(text) as unknown[][]));
    return text;
  }
  override finish(answers: string) {
    counts.finishes++;
    super.finish(answers);
  }
  override dispatch(...args: unknown[]) {
    counts.dispatches++;
    counts.dispatched += args[1] as number;
    crossed?.lines.push(...(args[2] as string).split('\n'));
    super.dispatch(...args);
  }
  override part(...args: unknown[]) {
    counts.parts++;
    super.part(...args);
  }
}
binding.Ductape = Counted;
afterAll(() => {
  binding.Ductape = Original;
});

const JOBS = 10_000;
const REMEDY =
  'each of these is a crossing between Rust and JavaScript, which costs more than an insert: messages are to gather in ' +
  'src/node/message_queue.rs, dispatches and answers in lib/batches.js';

/** The counts that `work` adds, per job. */
async function perJob(work: () => Promise<unknown>): Promise<typeof counts> {
  const before = { ...counts };
  await work();
  const added = (name: keyof typeof counts) => (counts[name] - before[name]) / JOBS;
  return {
    wakes: added('wakes'),
    takes: added('takes'),
    finishes: added('finishes'),
    dispatches: added('dispatches'),
    dispatched: added('dispatched'),
    taken: added('taken'),
    parts: added('parts'),
  };
}

it('wakes JavaScript once for many resolved promises', async () => {
  const ductape = create({ worker: false });
  const each = await perJob(() =>
    Promise.all(Array.from({ length: JOBS }, () => ductape.features.dispatch(job('nobody')))),
  );
  expect(each.dispatched, 'the counting itself').toBe(1);
  // 64 cross together.
  expect(each.dispatches, REMEDY).toBeLessThan(0.02);
  // An id in quotes, a ticket and two commas; the members of the answer are not named.
  expect(each.taken, 'what crosses is to be parsed on the event loop').toBeLessThan(60);
  expect(each.wakes, REMEDY).toBeGreaterThan(0);
  // One each would be 1; gathered they are 0.0001 and 0.002.
  expect(each.wakes, REMEDY).toBeLessThan(0.01);
  expect(each.takes, REMEDY).toBeLessThan(0.01);
});

it('calls Rust once for a dispatchMany', async () => {
  const ductape = create({ worker: false });
  const each = await perJob(() => ductape.features.dispatchMany(Array.from({ length: JOBS }, () => job('nobody'))));
  expect(each.dispatches * JOBS).toBe(1);
  expect(each.taken, 'what crosses is to be parsed on the event loop').toBeLessThan(50);
  // The answer, and perhaps a line of the log.
  expect(each.wakes * JOBS, REMEDY).toBeLessThan(5);
});

it('hands over the beginning of a long list while it writes the rest, in few parts', async () => {
  const ductape = create({ worker: false });
  const entries = Array.from({ length: 1_000 }, () => job('nobody'));
  let before = 0;
  const countParts = () => {
    before = counts.parts;
  };
  Object.defineProperty(entries[999], 'tags', { enumerable: true, get: countParts });
  const parts = counts.parts;
  const { dispatches } = counts;
  const done = ductape.features.dispatchMany(entries);
  expect(before - parts, 'the rest is not written yet').toBeGreaterThanOrEqual(3);
  expect(counts.parts - parts, REMEDY).toBeLessThanOrEqual(6);
  await done;
  expect(counts.dispatches - dispatches).toBe(1);
  // A short list is not worth it.
  await ductape.features.dispatchMany(entries.slice(0, 300));
  expect(counts.parts - parts, REMEDY).toBeLessThanOrEqual(6);
});

it('wakes JavaScript once for many handlers and sends their results together', async () => {
  const ductape = create({ worker: { concurrency: 100 } });
  await ductape.features.dispatchMany(Array.from({ length: JOBS }, () => job('counted')));
  const each = await perJob(async () => {
    let ran = 0;
    await new Promise<void>((resolve) => {
      ductape.features.define('counted', () => {
        if (++ran === JOBS) resolve();
      });
    });
  });
  // One each would be 1; gathered, they are 0.05 to 0.08, and twice as many takes, the second of which finds nothing.
  expect(each.wakes, REMEDY).toBeLessThan(0.2);
  expect(each.takes, REMEDY).toBeLessThan(0.4);
  expect(each.finishes, REMEDY).toBeLessThan(0.2);
});

it('leaves the event loop free between slow handlers', async () => {
  const handlers = 50;
  const ductape = create({ worker: { concurrency: handlers } });
  await ductape.features.dispatchMany(Array.from({ length: handlers }, () => job('slow')));
  let ran = 0;
  const turns = new Set<number>();
  let turn = 0;
  await new Promise<void>((resolve) => {
    ductape.features.define('slow', () => {
      const until = performance.now() + 10;
      while (performance.now() < until);
      turns.add(turn);
      if (++ran === handlers) resolve();
    });
    const next = () => {
      turn++;
      if (ran < handlers) setImmediate(next);
    };
    next();
  });
  // Without a limit all fifty run in one turn or a few, and timers and sockets wait for half a second.
  expect(turns.size).toBeGreaterThan(handlers / 2);
});

// Each time that a thread waits for another costs more than an insert: see `docs/design/boundary.md`.
describe.skipIf(process.platform !== 'linux')('of one job at a time, threads', () => {
  const ONE_BY_ONE = 300;

  /** How often threads of the package have gone to sleep so far: those of the runtime and the writer's. */
  function sleeps() {
    const counted = { runtime: 0, writer: 0 };
    for (const task of readdirSync('/proc/self/task')) {
      const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
      const name = /^Name:\s+(.*)$/m.exec(status)?.[1];
      const times = Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]);
      if (name === 'ductape') counted.runtime += times;
      if (name === 'ductape-writer') counted.writer += times;
    }
    return counted;
  }

  /** The fewest of the runtime's in a few rounds, and the writer's: others use the machine, too, and what comes late is more. */
  async function eachSleeps(one: () => Promise<unknown>, bound: number) {
    const least = { runtime: Number.POSITIVE_INFINITY, writer: Number.POSITIVE_INFINITY };
    for (let round = 0; round < 8 && least.runtime >= bound; round++) {
      for (let at = 0; at < 20; at++) await one();
      const before = sleeps();
      for (let at = 0; at < ONE_BY_ONE; at++) await one();
      const after = sleeps();
      least.runtime = Math.min(least.runtime, (after.runtime - before.runtime) / ONE_BY_ONE);
      least.writer = Math.min(least.writer, (after.writer - before.writer) / ONE_BY_ONE);
    }
    return least;
  }

  // Sleeps of the runtime's thread. A dispatch takes none on SQLite, and 1.9 by way of the runtime; a run about 2.6, and 5.2 with
  // a claim of its own. On PostgreSQL this thread serves the connection, so that a dispatch takes 2.0, and 6.3 where
  // it is several statements; a run 4.3 to 4.9, and 6.2 to 6.5 with a claim of its own.
  const BOUNDS = [
    { dispatch: 0.3, run: 4 },
    { dispatch: 2.6, run: 5.9 },
  ];
  const stores = sharedStores.map((store, at) => ({ ...store, bounds: BOUNDS[at] as (typeof BOUNDS)[number] }));

  describe.each(stores)('on $kind', ({ unavailable, make, bounds }) => {
    it.skipIf(unavailable)('a dispatch goes to the store and back, and wakes no other thread', async () => {
      const ductape = create({ store: await make(), durability: 'relaxed', worker: false });
      const each = await eachSleeps(() => ductape.features.dispatch(job('nobody')), bounds.dispatch);
      expect(each.writer + each.runtime, 'the counting itself').toBeGreaterThan(0.05);
      expect(each.runtime).toBeLessThan(bounds.dispatch);
    });

    it.skipIf(unavailable)('a job is claimed with its insert', async () => {
      const ductape = create({ store: await make(), durability: 'relaxed' });
      let begun = () => {};
      ductape.features.define('one', () => begun());
      await ductape.start();
      const each = await eachSleeps(async () => {
        const begins = new Promise<void>((resolve) => {
          begun = resolve;
        });
        await ductape.features.dispatch(job('one'));
        await begins;
        // Until its end is written.
        await sleep(3);
      }, bounds.run);
      expect(each.runtime).toBeLessThan(bounds.run);
    });
  });
});

describe('traces', () => {
  const require = createRequire(import.meta.url);

  /** What crosses of a job that a handler does and of one that is done in Rust. */
  async function crossing(options: DuctapeOptions) {
    const { url } = await service();
    const ductape = create({ ...options, ...shop(url) });
    ductape.features.define('f', () => {});
    crossed = { messages: [], lines: [] };
    const jobs = [
      await ductape.features.dispatch(job('f')),
      await ductape.actions.dispatch({ app: 'shop', event: 'call', input: {} }),
    ];
    for (const { job_id } of jobs) await ductape.jobs.wait(job_id);
    const { messages, lines } = crossed;
    crossed = undefined;
    const attempt = messages.find(([kind]) => kind === MESSAGE.RUN_HANDLER);
    const spans = messages.filter(([kind]) => kind === MESSAGE.BEGIN_SPAN || kind === MESSAGE.END_SPAN);
    return { lines, attempt, spans };
  }

  it('cost nothing unless they are asked for', async () => {
    const { lines, attempt, spans } = await crossing({});
    expect(lines).toEqual([
      'features one {"tag":"f","input":{}}',
      'actions one {"app":"shop","event":"call","input":{}}',
    ]);
    expect(attempt).toHaveLength(4);
    expect(spans).toEqual([]);
    const loaded = Object.keys(require.cache).filter((path) => /lib.telemetry\.js|@opentelemetry/.test(path));
    expect(loaded).toEqual([]);
  });

  it('cost a job in Rust two messages, and one of a handler none of its own', async () => {
    const { lines, attempt, spans } = await crossing({ telemetry: true });
    // Without an SDK there is no trace to be stored.
    expect(lines).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith('@'))).toEqual([]);
    expect(attempt).toHaveLength(4);
    expect(spans).toHaveLength(2);
  });
});
