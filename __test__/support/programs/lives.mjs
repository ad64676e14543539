// A process in which instances, or threads with one each, begin and end under load. Needs --expose-gc. Arguments: store (`memory:`
// makes one for each), what lives, and how many times it does.
//
// - `instances`: dispatches and runs jobs, is closed while some are under way.
// - `definitions`: has many of them, and is closed.
// - `threads`: is terminated while handlers run, by the main thread or, every other time, by `process.exit()` in a handler.
//
// After each life prints `held` and what the process holds, as JSON; at the end `jobs` and their statistics.
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import Ductape from 'ductape';
import { sleep, writeLine } from './stdio.mjs';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const JOBS = 40;

const make = (store, more) =>
  new Ductape({ store, product: 'shop', env: 'test', logger: quiet, worker: { concurrency: 20 }, ...more });

/** What the process holds once everything that is on its way out has gone. */
async function held() {
  // What is closed is freed some turns later, by finalizers too.
  for (let turn = 0; turn < 5; turn++) {
    globalThis.gc();
    await setImmediate();
  }
  const count = (folder) => readdirSync(`/proc/self/${folder}`).length;
  return {
    rss: process.memoryUsage.rss(),
    // Reading the folder opens one more, each time.
    files: count('fd'),
    threads: count('task'),
    handles: process.getActiveResourcesInfo().length,
    listeners: ['exit', 'SIGTERM', 'SIGINT', 'warning'].reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

function define(ductape, life, stayed) {
  ductape.features.define('quick', async ({ input, step, progress }) => {
    await progress(50);
    return step('twice', () => input.n * 2);
  });
  ductape.features.define('fails', () => {
    throw new Error('as it should');
  });
  // Those that earlier lives have left would take all slots in the end.
  ductape.features.define(`stays-${life}`, ({ signal }) => {
    stayed();
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve('left')));
  });
}

async function live(store, life) {
  const ductape = make(store);
  const stays = new Promise((resolve) => define(ductape, life, resolve));
  ductape.jobs.on('job.completed', () => {});
  await ductape.start();
  const quick = Array.from({ length: JOBS }, (_, n) => ({ tag: 'quick', input: { n, text: 'x'.repeat(1_000) } }));
  const others = [
    { tag: 'fails', input: {}, retries: 1, retryConfig: { initialDelay: 1 } },
    { tag: 'quick', input: { n: 1 }, schedule: { start_at: Date.now() + 3_600_000 } },
    { tag: `stays-${life}`, input: {} },
  ];
  const jobs = await ductape.features.dispatchMany([...quick, ...others]);
  // A wait that nothing ends but the close.
  const waiting = ductape.jobs.wait(jobs.at(-2).job_id).catch(() => {});
  await ductape.jobs.wait(jobs[0].job_id);
  await stays;
  if (life % 3 === 0) await ductape.metrics();
  await ductape.close({ timeout: life % 2 === 0 ? 0 : 50 });
  await waiting;
}

/** An instance with many definitions, as in a program that makes one for each request. */
async function liveWithDefinitions(store) {
  const headers = { 'X-Long': 'x'.repeat(10_000) };
  const apps = Array.from({ length: 60 }, (_, n) => ({
    tag: `app-${n}`,
    envs: [{ slug: 'test', base_url: 'https://example.com', headers }],
    actions: [],
  }));
  await make(store, { resources: { products: [{ tag: 'shop', apps }] } }).close();
}

/** One thread takes what the one before it has left, and ends in the middle of work of its own. */
async function liveInThread(store, life) {
  const exits = life % 2 === 1;
  const thread = new Worker(new URL(import.meta.url), { workerData: { store, life, exits } });
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  const failed = new Promise((_, reject) => thread.once('error', reject));
  await Promise.race([new Promise((resolve) => thread.once('message', resolve)), failed]);
  if (!exits) await thread.terminate();
  const code = await Promise.race([ended, failed]);
  if (exits && code !== 3) throw new Error(`the thread ended with ${code}`);
}

async function inThread({ store, life, exits }) {
  const ductape = make(store);
  const name = `life-${life}`;
  const begun = new Set();
  ductape.features.handle({}, ({ tag, id }) => {
    // Those of earlier threads are taken over.
    if (tag !== name) return 'taken over';
    begun.add(id);
    if (begun.size === 5) {
      parentPort.postMessage('busy');
      if (exits) process.exit(3);
    }
    return new Promise(() => {});
  });
  await ductape.start();
  await ductape.features.dispatchMany(Array.from({ length: 5 }, () => ({ tag: name, input: {} })));
}

async function lives(store, kind, count) {
  // What is closed last would take a memory store with it.
  const keeper = kind === 'threads' ? make(store, { worker: false }) : undefined;
  await keeper?.jobs.getStats();
  const lifetimes = { instances: live, definitions: liveWithDefinitions, threads: liveInThread };
  for (let life = 0; life < count; life++) {
    await lifetimes[kind](store, life);
    writeLine('held', JSON.stringify(await held()));
  }
  const last = keeper ?? make(store);
  const heir = kind === 'threads' ? make(store) : last;
  heir.features.handle({}, () => 'taken over');
  if (kind === 'threads') {
    let stats = await last.jobs.getStats();
    while (stats.queued + stats.running + stats.scheduled > 0) {
      await sleep(20);
      stats = await last.jobs.getStats();
    }
  }
  writeLine('jobs', JSON.stringify(await last.jobs.getStats()));
  await heir.close({ timeout: 0 });
  await last.close();
}

if (!isMainThread) await inThread(workerData);
else await lives(process.argv[2], process.argv[3], Number(process.argv[4]));
