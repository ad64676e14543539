// One queue, in a process of its own: node case.mjs <contender> <seconds> <place as JSON>. Dispatches and runs all the time, in a
// closed loop: a lane adds a batch, waits until all of it has run, and adds the next. Prints a sample a second as a line of JSON:
// { at: seconds since the first batch, rate: runs a second, lists: ms of each list }.
import { setTimeout as delay } from 'node:timers/promises';
import { CONTENDERS } from '../peers/contenders.mjs';
import { BATCH, CONCURRENCY, LANES, LISTS, POLLERS } from './load.mjs';

const [name, seconds, place] = process.argv.slice(2);
const contender = await CONTENDERS[name].load();
const queue = await contender.connect(JSON.parse(place), { concurrency: CONCURRENCY, pollers: POLLERS });

let stopped = false;
let ran = 0;
/** Of each lane: how many of its batch have not run, and what is called when the last one has. */
const lanes = Array.from({ length: LANES }, () => ({ left: 0, resolve: undefined }));
await queue.work(({ lane }) => {
  ran++;
  if (--lanes[lane].left === 0) lanes[lane].resolve();
});

async function runLane(lane) {
  for (let n = 0; !stopped; n += BATCH) {
    const done = new Promise((resolve) => {
      Object.assign(lanes[lane], { left: BATCH, resolve });
    });
    const payload = (k) => ({ lane, n: n + k, userId: 'user_123', email: 'john@example.com', template: 'welcome' });
    await queue.addMany(Array.from({ length: BATCH }, (_, k) => payload(k)));
    await done;
  }
}

async function timeLists() {
  const times = {};
  for (const [title, filter] of Object.entries(queue.list ? LISTS : {})) {
    const from = performance.now();
    await queue.list(filter);
    times[title] = performance.now() - from;
  }
  return times;
}

const began = performance.now();
const work = Promise.all(lanes.map((_, lane) => runLane(lane)));
let last = { at: began, ran: 0 };
for (let n = 1; n <= Number(seconds); n++) {
  await delay(Math.max(0, began + n * 1000 - performance.now()));
  const now = { at: performance.now(), ran };
  const rate = ((now.ran - last.ran) * 1000) / (now.at - last.at);
  last = now;
  const lists = await timeLists();
  process.stdout.write(`${JSON.stringify({ at: (now.at - began) / 1000, rate, lists })}\n`);
}
stopped = true;
await Promise.race([work, delay(10_000)]);
await Promise.race([queue.close(), delay(10_000)]);
process.exit(0);
