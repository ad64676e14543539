// Runs one recurring job and appends a line for each run. Arguments: store, log, interval in ms, misfire policy.
import { appendFileSync } from 'node:fs';
import { Ductape } from '../../../index.mjs';

const [store, log, interval, misfire] = process.argv.slice(2);
const ductape = new Ductape({ store, product: 'shop', env: 'test' });
ductape.features.define('tick', ({ scheduled_at, missed }) => {
  appendFileSync(log, `${JSON.stringify({ at: Date.now(), scheduled_at, missed })}\n`);
});
await ductape.features.dispatch({
  tag: 'tick',
  input: {},
  job_id: `tick-${misfire}`,
  schedule: { every: Number(interval), misfire },
});
await ductape.start();
process.stdin.once('data', async () => {
  await ductape.close();
  process.stdin.unref();
});
