// A process of a round. Argument: JSON of `{ store, log, name, dispatches, works, relaxed, seed, began, since }`, `began`: what
// the wall clock said at 0 of that which nobody sets, `since`: when the round began, in ms of the latter.
//
// Says on its log, which no fault touches, what it does and what it was told. Each line begins with the time, in µs of a
// clock that all processes share and that nobody sets, and the name of the process. A line on its standard input ends the
// dispatching, the end of its standard input the process.
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import Ductape from '../index.mjs';
import { Random } from './random.mjs';

/** As sysexits.h has it: the store could not be opened for now. */
const TRY_AGAIN = 75;

/** Targets of jobs; dispatches name one more every so many ms, so that routes come into being all along. */
const TARGETS = Array.from({ length: 50 }, (_, number) => `work-${number}`);
const TARGET_EVERY_MS = 25;

const { store, log: file, name, dispatches, works, relaxed, seed, began, since } = JSON.parse(process.argv[2]);
const random = new Random(seed);
// Opened once: there may be no descriptor left later.
const log = openSync(file, 'a');
const note = (...words) => writeSync(log, `${process.hrtime.bigint() / 1000n} ${name} ${words.join(' ')}\n`);

const elapsed = () => Number(process.hrtime.bigint() / 1_000_000n);

/** The time of day, whatever this process's clock was set to. */
const realNow = () => began + elapsed();

const ductape = new Ductape({
  store,
  product: 'shop',
  env: 'test',
  storeTimeout: 5_000,
  durability: relaxed ? 'relaxed' : 'full',
  logger: {
    debug() {},
    info() {},
    warn: (message) => note('warn', message.replaceAll('\n', ' ')),
    error: (message) => note('error', message.replaceAll('\n', ' ')),
  },
  worker: works && { concurrency: 10 },
});

let [settling, stopping] = [false, false];
process.stdin
  .on('data', () => {
    settling = true;
  })
  .on('end', () => {
    [settling, stopping] = [true, true];
  });

function work() {
  for (const target of TARGETS) {
    ductape.features.define(target, async ({ id, run, attempt, input }) => {
      note('start', id, run, attempt);
      if (input.for !== target) note('wrong', id, target, input.for);
      await sleep(input.takes);
      if (attempt <= input.fails) {
        note('fail', id, run, attempt);
        throw new Error('as told');
      }
      note('end', id, run, attempt);
    });
  }
  ductape.features.define('tick', async ({ id, run, attempt, scheduled_at, input }) => {
    note('start', id, run, attempt, scheduled_at);
    if (input.for !== 'tick') note('wrong', id, 'tick', input.for);
    await sleep(5);
    note('end', id, run, attempt);
  });
  return ductape.start({ signals: false });
}

let count = 0;
function newJob() {
  const known = Math.min(TARGETS.length, 1 + Math.floor((elapsed() - since) / TARGET_EVERY_MS));
  const tag = random.pick(TARGETS.slice(0, known));
  return {
    tag,
    job_id: `${name}-${++count}`,
    input: { for: tag, takes: random.integer(0, 25), fails: random.chance(0.1) ? 1 : 0 },
    retries: 2,
    retryConfig: { initialDelay: 50 },
    ...(random.chance(0.2) && { schedule: { start_at: realNow() + random.integer(0, 400) } }),
  };
}

/** Notes what is sent, then what was answered. */
async function tell(word, ids, call) {
  note(word, ...ids);
  try {
    const answer = await call();
    note(`${word}-done`, ...ids);
    return answer;
  } catch (error) {
    note(`${word}-refused`, error.code ?? error.name, ...ids);
    return undefined;
  }
}

async function dispatchOne() {
  const job = newJob();
  const queued = await tell('dispatch', [job.job_id], () => ductape.features.dispatch(job));
  if (!queued) return;
  const next = random.next();
  if (next < 0.1) await tell('wait', [job.job_id], () => ductape.jobs.wait(job.job_id));
  else if (next < 0.2) await tell('cancel', [job.job_id], () => ductape.jobs.cancel(job.job_id));
}

async function dispatchSome() {
  const jobs = Array.from({ length: random.integer(2, 12) }, newJob);
  const ids = jobs.map(({ job_id }) => job_id);
  await tell('dispatch', ids, () => ductape.features.dispatchMany(jobs));
}

async function dispatch() {
  const open = new Set();
  while (!settling) {
    if (open.size < 30) {
      const call = random.chance(0.8) ? dispatchOne() : dispatchSome();
      open.add(call);
      call.finally(() => open.delete(call));
    }
    await sleep(random.integer(1, 20));
  }
  await Promise.all(open);
  // By now everything is healed.
  const last = newJob();
  if (!(await tell('dispatch', [last.job_id], () => ductape.features.dispatch(last)))) note('unhealed');
}

try {
  // Opens the store.
  await (works ? work() : ductape.jobs.getStats());
} catch (error) {
  if (error.code !== 'STORE_ERROR' && error.code !== 'CONNECTION_ERROR') throw error;
  note('cannot-open', error.message.replaceAll('\n', ' '));
  process.exit(TRY_AGAIN);
}
console.log('ready');
if (dispatches) await dispatch();
note('settled');
console.log('settled');
while (!stopping) await sleep(20);
await ductape.close({ timeout: 8_000 });
note('closed');
