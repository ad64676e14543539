// A worker of its own process for idle.mjs: node idle-process.mjs STORE DURABILITY. Tells its parent when a job starts, and what CPU
// time it has taken.
import { Ductape } from 'ductape';

const [store, durability] = process.argv.slice(2);
const ductape = new Ductape({
  store,
  durability,
  product: 'shop',
  env: 'prd',
  worker: { concurrency: 10 },
  logger: { debug() {}, info() {}, warn() {}, error: console.error },
});
// Read in several processes of one machine, this clock shows the same.
ductape.features.define('started', () => process.send({ started: Number(process.hrtime.bigint()) / 1e6 }));
process.on('message', (asked) => {
  if (asked === 'cpu') process.send({ cpu: process.cpuUsage() });
  if (asked === 'close') ductape.close().then(() => process.disconnect());
});
await ductape.start();
process.send({ ready: true });
