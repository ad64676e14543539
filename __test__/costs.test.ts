// The cost of a job on the event loop, counted and not timed: crossings between JavaScript and Rust, and how long handlers
// block the loop. See CONTRIBUTING.md for what to do when a bound is met.
import { createRequire } from 'node:module';
import { afterAll, expect, it } from 'vitest';
import { create, job } from './support/instances.js';

type Wake = () => void;
interface Native {
  take(): string;
  finish(answers: string): void;
  dispatch(...args: unknown[]): void;
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
const counts = { wakes: 0, takes: 0, finishes: 0, dispatches: 0, dispatched: 0, taken: 0 };

/** Counts the calls of the function that wakes JavaScript. */
function counted(wake: Wake): Wake {
  return () => {
    counts.wakes++;
    wake();
  };
}

class Counted extends Original {
  constructor(...given: unknown[]) {
    super(...given.map((value) => (typeof value === 'function' ? counted(value as Wake) : value)));
  }
  override take() {
    counts.takes++;
    const text = super.take();
    counts.taken += text.length;
    return text;
  }
  override finish(answers: string) {
    counts.finishes++;
    super.finish(answers);
  }
  override dispatch(...args: unknown[]) {
    counts.dispatches++;
    counts.dispatched += args[1] as number;
    super.dispatch(...args);
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
