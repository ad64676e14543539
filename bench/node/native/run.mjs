// Jobs that call an HTTP service, done by the package itself and, beside it, by a JavaScript handler with `fetch`: rate, CPU
// and how long the program's event loop is kept from its own work. Service and contenders are processes of their own; the
// contenders take turns, and each figure is the median of its rounds. Usage: node bench/node/native/run.mjs [jobs] [rounds]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { mib, quantile, rate, row } from '../scheduler/figures.mjs';

const [jobs = 20_000, rounds = 3] = process.argv.slice(2).map(Number);
const CONCURRENCY = 100;
const file = (name) => join(import.meta.dirname, name);

async function answerOf(process) {
  const [answer] = await Promise.race([
    once(process, 'message'),
    once(process, 'exit').then(([code]) => Promise.reject(new Error(`a process ended with ${code}`))),
  ]);
  return answer;
}

const server = fork(file('server.mjs'));
const url = `http://127.0.0.1:${await answerOf(server)}`;
const kinds = { native: 'native (resources)', fetch: 'handler with fetch' };
const figures = { native: [], fetch: [] };
for (let round = 0; round < rounds; round++) {
  for (const kind of Object.keys(kinds)) {
    const contender = fork(file('contender.mjs'), [kind, url, String(jobs), String(CONCURRENCY)]);
    figures[kind].push(await answerOf(contender));
  }
}
server.disconnect();

const median = (kind, name) =>
  quantile(
    figures[kind].map((round) => round[name]),
    0.5,
  );
const ms = (value) => `${value.toFixed(1)} ms`;

console.log(
  `${jobs} jobs, ${CONCURRENCY} at once, ${rounds} rounds; Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`,
);
row('', 'jobs', 'CPU each', 'event loop delay p50', 'p99', 'most', 'RSS');
row('---', '---', '---', '---', '---', '---', '---');
for (const [kind, name] of Object.entries(kinds)) {
  row(
    name,
    rate(jobs, median(kind, 'ms')),
    `${median(kind, 'cpu').toFixed(0)} µs`,
    ms(median(kind, 'delay50')),
    ms(median(kind, 'delay99')),
    ms(median(kind, 'delayMost')),
    mib(median(kind, 'rss')),
  );
}
console.log(`\nnative is ${(median('fetch', 'ms') / median('native', 'ms')).toFixed(1)} times as fast`);
