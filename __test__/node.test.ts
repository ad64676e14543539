// What Node notices of the package: timers, warnings, open handles.
import { describe, expect, it } from 'vitest';
import { create, job } from './support/instances.js';
import { script } from './support/processes.js';

const options = `{ store: 'memory:', product: 'p', env: 'e', logger: { debug() {}, info() {}, warn() {}, error() {} } }`;

it('a step waits longer than a timer of Node can', async () => {
  const delay = 2 ** 32 + 5;
  const program = script(
    `import { createRequire } from 'node:module';
     const timers = createRequire(import.meta.url)('node:timers');
     const { setTimeout } = timers;
     // Time flies.
     timers.setTimeout = (act, ms) => (console.log('timer', ms), setTimeout(act, 1));
     const { Ductape } = await import('ductape');
     const ductape = new Ductape(${options});
     ductape.features.define('f', ({ step }) => step('a', ({ attempt }) => {
       console.log('try', attempt);
       if (attempt === 1) throw new Error('not yet');
     }, { retries: 1 }));
     const retryConfig = { initialDelay: ${delay}, maxDelay: ${delay} };
     const { job_id } = await ductape.features.dispatch({ tag: 'f', input: {}, retryConfig });
     await ductape.jobs.wait(job_id);
     await ductape.close();`,
  );
  expect(await program.ended).toMatchObject({ code: 0 });
  const longest = 2 ** 31 - 1;
  expect(program.lines).toEqual([
    'try 1',
    `timer ${longest}`,
    `timer ${longest}`,
    `timer ${delay - 2 * longest}`,
    'try 2',
  ]);
  expect(program.stderr()).toBe('');
});

it('a signal with many listeners causes no warning', async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error) => void warnings.push(name);
  process.on('warning', note);
  const ductape = create();
  const listen = (signal: AbortSignal) => {
    for (let n = 0; n < 50; n++) signal.addEventListener('abort', () => {});
  };
  ductape.features.define('f', async ({ signal, step }) => {
    listen(signal);
    await step('a', ({ signal }) => listen(signal), { rollback: (_, { signal }) => listen(signal) });
    await Promise.all(Array.from({ length: 20 }, (_, n) => step(`fails ${n}`, () => 1, { retries: 1 })));
    throw new Error('no');
  });
  const { job_id } = await ductape.features.dispatch(job('f'));
  await ductape.jobs.wait(job_id).catch(() => {});
  process.off('warning', note);
  expect(warnings).toEqual([]);
});

describe('an instance that is closed', () => {
  it('leaves nothing that test runners take for an open handle', async () => {
    const program = script(
      `import { createHook } from 'node:async_hooks';
       import { setImmediate } from 'node:timers/promises';
       // As Jest does it with --detectOpenHandles.
       const open = new Map();
       const hook = createHook({
         init: (id, type, _, resource) => open.set(id, { type, resource }),
         destroy: (id) => open.delete(id),
       });
       const { Ductape } = await import('ductape');
       await new Ductape(${options}).close();
       // The pipes of this output are no handles of the package's. Newer versions of Node.js open that of errors late.
       console.log('begins');
       void process.stderr;
       hook.enable();
       const ductape = new Ductape(${options});
       ductape.jobs.on('job.completed', () => {});
       ductape.features.define('f', () => {});
       await ductape.start();
       const { job_id } = await ductape.features.dispatch({ tag: 'f', input: {} });
       await ductape.jobs.wait(job_id);
       const pending = ductape.jobs.wait((await ductape.features.dispatch({ tag: 'g', input: {} })).job_id).catch(() => {});
       await ductape.close();
       await pending;
       console.log('active', process.getActiveResourcesInfo().filter((type) => type !== 'PipeWrap').join());
       const left = () => [...open.values()].filter(({ type, resource }) =>
         type !== 'PROMISE' && type !== 'TickObject' && type !== 'Immediate' &&
         !(typeof resource.hasRef === 'function' && !resource.hasRef()));
       // What is closed is destroyed some turns later.
       for (let turn = 0; turn < 1000 && left().length > 0; turn++) await setImmediate();
       console.log('left', left().map(({ type }) => type).join());`,
    );
    expect(await program.ended).toMatchObject({ code: 0 });
    expect(program.lines).toEqual(['begins', 'active ', 'left ']);
  });
});
