// A process that works until it is told to stop. Arguments: store, log of handler calls, options as JSON.
//
// Handlers: `count` appends the job's id; `slow` does so before input.takes ms; `span` appends when it begins and ends;
// `hang` never ends; `block` keeps the event loop for input.takes ms; `wait-for-abort` returns when its signal aborts, and says why
// it did.
import { appendFileSync } from 'node:fs';
import Ductape from 'ductape';
import { now, readLine, sleep, writeLine } from './stdio.mjs';

const [store, log, options = '{}'] = process.argv.slice(2);
const ductape = new Ductape({ store, product: 'shop', env: 'test', ...JSON.parse(options) });

ductape.features.define('count', ({ id }) => appendFileSync(log, `${id}\n`));
ductape.features.define('slow', async ({ id, input }) => {
  appendFileSync(log, `${id}\n`);
  await sleep(input.takes);
});
ductape.features.define('span', async ({ id, input }) => {
  appendFileSync(log, `begin ${id}\n`);
  await sleep(input.takes);
  appendFileSync(log, `end ${id}\n`);
});
ductape.features.define('time', ({ id }) => writeLine('ran', id, now()));
ductape.features.define('hang', ({ id }) => {
  writeLine('hangs', id);
  return new Promise(() => {});
});
ductape.features.define('block', ({ id, input }) => {
  writeLine('blocks', id);
  for (const end = Date.now() + input.takes; Date.now() < end; );
  return 'unblocked';
});
ductape.features.define('wait-for-abort', async ({ id, signal }) => {
  writeLine('waits', id);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  writeLine('aborted', signal.reason.code);
  return 'late';
});

await ductape.start();
writeLine('ready');
await readLine();
await ductape.close();
process.stdin.destroy();
