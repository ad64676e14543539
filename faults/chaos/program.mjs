// A process of a round. Argument: JSON of `{ store, log, name, works }`.
//
// A worker says on the log when it begins and ends each attempt. Each line there begins with the time, in µs of a clock that all
// processes share and that nobody sets, and the name of the process. A process that only dispatches does what the lines of its
// standard input tell it to, JSON of `{ number, method, arguments }`, and says when it asks and when it was answered. The
// end of its standard input ends the process.
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import Ductape from '../../index.mjs';

const { store, log: file, name, works } = JSON.parse(process.argv[2]);
const log = openSync(file, 'a');
const note = (...words) => writeSync(log, `${process.hrtime.bigint() / 1000n} ${name} ${words.join(' ')}\n`);

const ductape = new Ductape({
  store,
  product: 'shop',
  env: 'test',
  // Nothing of the account is to be deleted.
  retention: false,
  logger: {
    debug() {},
    info() {},
    warn: (message) => note('warn', message.replaceAll('\n', ' ')),
    error: (message) => note('error', message.replaceAll('\n', ' ')),
  },
  worker: works && { concurrency: 20 },
});

if (works) {
  ductape.features.define('tick', async ({ id, run, attempt, scheduled_at, missed, input }) => {
    note('begin', id, run, attempt, scheduled_at, missed, Date.now());
    await sleep(input.takes);
    const fails = input.failsEvery > 0 && run % input.failsEvery === 0 && attempt === 1;
    note(fails ? 'fail' : 'end', id, run, attempt);
    if (fails) throw new Error('as told');
  });
}
// A server whose clock is set may take a statement for one that has lasted too long.
for (let tries = 1; ; tries++) {
  try {
    await (works ? ductape.start({ signals: false }) : ductape.jobs.getStats());
    break;
  } catch (error) {
    if (tries === 5 || error.code !== 'STORE_ERROR') throw error;
  }
}
console.log('ready');

const METHODS = {
  dispatch: (job) => ductape.features.dispatch(job),
  pause: (id) => ductape.jobs.pause(id),
  resume: (id) => ductape.jobs.resume(id),
  reschedule: (id, schedule) => ductape.jobs.reschedule(id, schedule),
  list: async () => (await ductape.jobs.list({ recurring: true, limit: 1_000 })).jobs,
  stats: () => ductape.jobs.getStats(),
  history: (id) => ductape.jobs.getHistory(id, { limit: 10_000 }),
};

async function answer({ number, method, arguments: words }) {
  note('ask', number);
  const answered = await METHODS[method](...words).then(
    (value) => ({ number, value }),
    (error) => ({ number, error: `${error.code ?? error.name}: ${error.message}` }),
  );
  note('answer', number);
  console.log(JSON.stringify(answered));
}

for await (const line of createInterface({ input: process.stdin })) answer(JSON.parse(line));
await ductape.close({ timeout: 8_000 });
note('closed');
