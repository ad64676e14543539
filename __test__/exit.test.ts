// The end of a process: as soon as it has nothing to wait for, and not before.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { create, eventually, job, stopwatch, temporaryStore } from './support/instances.js';
import { node, type Program, script } from './support/processes.js';

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Starts of the scripts below: an instance on the store named by the first argument. */
const instance = `
  import Ductape from 'ductape';
  const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
`;

/** The script ended with this code, and wrote nothing to standard error but what is said of work that it leaves. */
async function endsWith(child: Program, code: number): Promise<number> {
  const ended = await child.ended;
  const errors = child
    .stderr()
    .replace(/^ductape: this process ends while jobs wait that it has handlers for: .*\n/, '');
  expect([ended.code, ended.signal, errors]).toEqual([code, null, '']);
  return ended.at;
}

describe('a script that only dispatches', () => {
  const source = `${instance}
    const { job_id } = await ductape.features.dispatch({ tag: 'report', input: { a: 1 } });
    console.log('job', job_id);
    console.log('last', Date.now());
  `;

  it('gets its result and exits at once, and its job runs in the next process', async () => {
    const times: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < 5; round++) {
      const store = await temporaryStore();
      const child = script(source, [store]);
      const ended = await endsWith(child, 0);
      times.push(ended - Number(await child.waitForLine('last')));
      const empty = script(`console.log('last', Date.now())`);
      bare.push((await endsWith(empty, 0)) - Number(await empty.waitForLine('last')));

      const ductape = create({ store });
      ductape.features.define('report', ({ input, attempt }) => ({ input, attempt }));
      expect(await ductape.jobs.wait(await child.waitForLine('job'), { timeout: 10_000 })).toEqual({
        input: { a: 1 },
        attempt: 1,
      });
    }
    console.info(
      `from the last line to the exit: median ${median(times)} ms, most ${Math.max(...times)} ms; ` +
        `of a script without the package: median ${median(bare)} ms`,
    );
    expect(median(times)).toBeLessThan(500);
  });

  it('exits with a failed dispatch as with any other rejection', async () => {
    const child = script(`${instance} await ductape.features.dispatch({ tag: 5, input: {} });`, ['memory:']);
    expect(await child.ended).toMatchObject({ code: 1, signal: null });
    expect(child.stderr()).toContain('DuctapeError');
    expect(child.stderr()).toContain('VALIDATION_ERROR');
  });

  it('that awaits nothing still gets its jobs stored', async () => {
    const store = await temporaryStore();
    const child = script(
      `${instance} for (let index = 0; index < 100; index++) ductape.features.dispatch({ tag: 'report', input: { index } });`,
      [store],
    );
    await endsWith(child, 0);
    expect((await create({ store, worker: false }).jobs.getStats()).total).toBe(100);
  });
});

describe('a script', () => {
  it.each([
    ['that only imports the package', `import 'ductape';`],
    ['that makes an instance and does nothing with it', instance],
    ['that registers a handler and has nothing to run', `${instance} ductape.features.define('report', () => {});`],
    [
      'that has looked at its jobs',
      `${instance} ductape.features.define('report', () => {}); await ductape.jobs.list();`,
    ],
    ['that has closed its instance', `${instance} await ductape.start(); await ductape.close();`],
    ['that has drained', `${instance} ductape.features.define('report', () => {}); await ductape.drain();`],
    [
      'that has a job scheduled for later',
      `${instance} ductape.features.define('report', () => {});
       await ductape.features.dispatch({ tag: 'report', input: {}, schedule: { every: 50, start_at: Date.now() + 3600000 } });`,
    ],
  ])('%s exits by itself', async (_name, source) => {
    const child = script(`${source}\nconsole.log('last', Date.now());`, [await temporaryStore()]);
    const ended = await endsWith(child, 0);
    expect(ended - Number(await child.waitForLine('last'))).toBeLessThan(2_000);
  });

  it('with a running handler exits and releases the run without spending an attempt', async () => {
    const store = await temporaryStore();
    const child = script(
      `${instance}
       let started;
       const running = new Promise((resolve) => { started = resolve; });
       ductape.features.define('report', () => { started(); return new Promise(() => {}); });
       const { job_id } = await ductape.features.dispatch({ tag: 'report', input: {} });
       const alive = setInterval(() => {}, 1000);
       await running;
       clearInterval(alive);
       console.log('job', job_id);
       console.log('last', Date.now());`,
      [store],
    );
    const ended = await endsWith(child, 0);
    expect(ended - Number(await child.waitForLine('last'))).toBeLessThan(3_000);
    const ductape = create({ store });
    ductape.features.define('report', ({ attempt }) => attempt);
    expect(await ductape.jobs.wait(await child.waitForLine('job'), { timeout: 10_000 })).toBe(1);
  });

  it('that exits with claimed jobs releases them unchanged', async () => {
    // The work in progress at the exit differs between rounds.
    for (let round = 0; round < 8; round++) {
      const store = await temporaryStore();
      const child = script(
        `${instance}
         let calls = 0;
         ductape.features.define('report', () => { calls++; });
         await ductape.features.dispatchMany(Array.from({ length: 200 }, () => ({ tag: 'report', input: {} })));
         process.once('exit', () => console.log('calls', calls, Date.now()));`,
        [store],
      );
      const ended = await endsWith(child, 0);
      const [calls = 0, last = 0] = (await child.waitForLine('calls')).split(' ').map(Number);
      expect(ended - last).toBeLessThan(1_000);
      const ductape = create({ store, worker: { concurrency: 50 } });
      let rest = 0;
      const attempts = new Set<number>();
      ductape.features.define('report', ({ attempt }) => {
        rest++;
        attempts.add(attempt);
      });
      await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(200));
      // A run that had ended and was not yet written may be repeated.
      expect(calls + rest).toBeGreaterThanOrEqual(200);
      expect(calls + rest).toBeLessThanOrEqual(220);
      if (rest > 0) expect([...attempts]).toEqual([1]);
      await ductape.close();
    }
  });
});

describe('a process stays alive', () => {
  it('while it waits for a job', async () => {
    const child = script(
      `${instance}
       ductape.features.define('report', () => 'done');
       const { job_id } = await ductape.features.dispatch({
         tag: 'report', input: {}, schedule: { start_at: Date.now() + 700 },
       });
       console.log('result', await ductape.jobs.wait(job_id));`,
      [await temporaryStore()],
    );
    expect(await child.waitForLine('result')).toBe('done');
    await endsWith(child, 0);
  });

  it('from start to close', async () => {
    const store = await temporaryStore();
    const child = script(
      `${instance}
       ductape.features.define('report', ({ id }) => console.log('ran', id));
       process.once('SIGUSR2', async () => { await ductape.close(); console.log('last', Date.now()); });
       await ductape.start();
       console.log('started');`,
      [store],
    );
    await child.waitForLine('started');
    const ductape = create({ store, worker: false });
    // Occasional jobs, over a time in which it would otherwise have exited.
    for (let round = 0; round < 4; round++) {
      const at = Date.now() + 250;
      const { job_id } = await ductape.features.dispatch(job('report', { schedule: { start_at: at } }));
      await child.waitForLine(`ran ${job_id}`);
    }
    expect(child.process.exitCode).toBeNull();
    child.process.kill('SIGUSR2');
    const ended = await endsWith(child, 0);
    expect(ended - Number(await child.waitForLine('last'))).toBeLessThan(1_000);
  });
});

describe('a signal', () => {
  const source = (more = '') => `${instance}
    ductape.features.define('report', async ({ id }) => {
      console.log('started', id);
      // Real time: the handler is at work when the signal comes, and cannot see it.
      await new Promise((resolve) => setTimeout(resolve, 600));
      console.log('finished', id);
      return 'done';
    });
    ${more}
    console.log('up');
  `;

  it.each(['SIGTERM', 'SIGINT'] as const)('%s lets a running handler finish, then ends the process', async (signal) => {
    const store = await temporaryStore();
    const child = script(source('await ductape.start();'), [store]);
    await child.waitForLine('up');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await child.waitForLine('started');
    child.process.kill(signal);
    const ended = await child.ended;
    expect([ended.code, ended.signal, child.stderr()]).toEqual([null, signal, '']);
    expect(child.lines).toContain(`finished ${job_id}`);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'completed', result: 'done', attempt: 1 });
  });

  it('gives running handlers the timeout of `start`', async () => {
    const store = await temporaryStore();
    const child = script(source('await ductape.start({ timeout: 100 });').replace('600', '60000'), [store]);
    await child.waitForLine('up');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await child.waitForLine('started');
    const passed = stopwatch();
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    // Less than the 10 s of a signal without it.
    expect(passed()).toBeLessThan(9_000);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'queued', retry_count: 0 });
  });

  it('leaves no listener behind when the program has handled the signal, and listens again', async () => {
    const store = await temporaryStore();
    const child = script(
      `import Ductape from 'ductape';
       const make = () => new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
       const counts = () => console.log(['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal)).join());
       const first = make();
       await first.start();
       process.once('SIGTERM', () => {});
       process.emit('SIGTERM', 'SIGTERM');
       await first.close();
       counts();
       await make().start();
       counts();
       console.log('up');`,
      [store],
    );
    await child.waitForLine('up');
    expect(child.lines).toEqual(['0,0', '1,1', 'up']);
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('ends a process with two copies of the package when both are done', async () => {
    const store = await temporaryStore();
    const child = script(
      `import { createRequire } from 'node:module';
       const require = createRequire(import.meta.url);
       const work = async (Ductape, name, ms) => {
         const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
         ductape.features.define(name, async () => {
           console.log('started', name);
           await new Promise((resolve) => setTimeout(resolve, ms));
           console.log('finished', name);
         });
         await ductape.start();
         await ductape.features.dispatch({ tag: name, input: {} });
       };
       const first = require(process.argv[2]);
       // The binary is one in both.
       for (const file of Object.keys(require.cache)) if (!file.endsWith('.node') && !file.endsWith('native.js')) delete require.cache[file];
       const second = require(process.argv[2]);
       if (first === second) throw new Error('one copy');
       await work(first, 'short', 200);
       await work(second, 'long', 900);`,
      [store, join(import.meta.dirname, '../index.js')],
    );
    await Promise.all([child.waitForLine('started long'), child.waitForLine('started short')]);
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(child.lines).toContain('finished short');
    expect(child.lines).toContain('finished long');
  });

  it('lets the handlers of all instances finish', async () => {
    const store = await temporaryStore();
    const child = script(
      `import Ductape from 'ductape';
       const work = async (name, ms) => {
         const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test' });
         ductape.features.define(name, async () => {
           console.log('started', name);
           // Real time, as above.
           await new Promise((resolve) => setTimeout(resolve, ms));
           console.log('finished', name);
         });
         await ductape.start();
         await ductape.features.dispatch({ tag: name, input: {} });
       };
       await work('long', 700);
       await work('short', 200);`,
      [store],
    );
    await Promise.all([child.waitForLine('started long'), child.waitForLine('started short')]);
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(child.lines).toContain('finished short');
    expect(child.lines).toContain('finished long');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('followed by %s does not wait for the handlers', async (second) => {
    const store = await temporaryStore();
    const child = script(source('await ductape.start();').replace('600', '15000'), [store]);
    await child.waitForLine('up');
    await create({ store, worker: false }).features.dispatch(job('report'));
    await child.waitForLine('started');
    const passed = stopwatch();
    child.process.kill('SIGTERM');
    // The second signal must come after the first was handled.
    await eventually(() => {
      child.process.kill(second);
      // Two that come at the same time are handled in any order.
      expect(child.process.signalCode).not.toBeNull();
    });
    expect(passed()).toBeLessThan(5_000);
  });

  it.runIf(process.platform === 'linux' && process.getuid?.() === 0)(
    'ends the first process of a container, which the system does not end by it',
    async () => {
      const store = await temporaryStore();
      const code = `${instance}
        import { createServer } from 'node:http';
        createServer().listen(0, '127.0.0.1');
        ductape.features.define('report', () => 'done');
        await ductape.start();
        console.log('up', process.pid);
        setTimeout(() => process.kill(process.pid, 'SIGTERM'), 10);`;
      const entry = new URL('../index.mjs', import.meta.url).href;
      const inside = [
        process.execPath,
        '--input-type=module',
        '--eval',
        code.replaceAll("'ductape'", `'${entry}'`),
        '--',
        store,
      ];
      const child = node([
        '--eval',
        `
        const { spawn } = require('node:child_process');
        spawn('unshare', ['--pid', '--fork', '--kill-child', ...process.argv.slice(1)], { stdio: 'inherit' })
          .on('exit', (code) => process.exit(code ?? 99));`,
        '--',
        ...inside,
      ]);
      expect(await child.waitForLine('up')).toBe('1');
      expect(await child.ended).toMatchObject({ code: 128 + 15 });
    },
  );

  it('lets dispatches pass until the handlers have finished', async () => {
    const store = await temporaryStore();
    const child = script(
      source(`process.once('SIGTERM', async () => {
                await new Promise((resolve) => setTimeout(resolve, 100));
                for (const when of ['early', 'late']) {
                  const { job_id } = await ductape.features.dispatch({ tag: 'other', input: { when } });
                  console.log(when, job_id);
                  await new Promise((resolve) => setTimeout(resolve, 1_000));
                }
                await ductape.close();
                console.log('closed');
              });
              await ductape.start();`),
      [store],
    );
    await child.waitForLine('up');
    const ductape = create({ store, worker: false });
    await ductape.features.dispatch(job('report'));
    await child.waitForLine('started');
    child.process.kill('SIGTERM');
    await child.waitForLine('closed');
    expect((await child.ended).code).toBe(0);
    expect((await ductape.jobs.getStats()).total).toBe(3);
  });

  it('leaves the program the say how long handlers may take', async () => {
    const store = await temporaryStore();
    const child = script(
      source(`process.once('SIGTERM', () => ductape.close({ timeout: 200 }).then(() => console.log('closed')));
              await ductape.start();`).replace('600', '30000'),
      [store],
    );
    await child.waitForLine('up');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await child.waitForLine('started');
    const passed = stopwatch();
    child.process.kill('SIGTERM');
    await child.waitForLine('closed');
    expect(passed()).toBeLessThan(5_000);
    expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'queued' });
  });

  it('does not end a process whose program listens for it too', async () => {
    const store = await temporaryStore();
    const child = script(
      source(`process.on('SIGTERM', () => console.log('heard'));
              await ductape.start();`),
      [store],
    );
    await child.waitForLine('up');
    child.process.kill('SIGTERM');
    await child.waitForLine('heard');
    // It ends because it is idle, not by the signal.
    await endsWith(child, 0);
  });

  it('is ignored with signals: false', async () => {
    const store = await temporaryStore();
    const child = script(source('await ductape.start({ signals: false });'), [store]);
    await child.waitForLine('up');
    const ductape = create({ store, worker: false });
    const { job_id } = await ductape.features.dispatch(job('report'));
    await child.waitForLine('started');
    child.process.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(child.lines).not.toContain(`finished ${job_id}`);
  });

  it('is not listened for any more after close', async () => {
    const child = script(
      `${instance}
       const count = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
       const before = count();
       await ductape.start();
       await ductape.start();
       const during = count();
       await ductape.close();
       console.log('listeners', before, during, count());`,
      ['memory:'],
    );
    expect(await child.waitForLine('listeners')).toBe('0 2 0');
    await endsWith(child, 0);
  });
});

describe('process.exit()', () => {
  it.each([
    ['while handlers run and dispatches are under way', 'process.exit(7);'],
    [
      'in a handler',
      `ductape.features.define('exit', () => process.exit(7)); ductape.features.dispatch({ tag: 'exit', input: {}, priority: -1 }); await new Promise(() => setTimeout(() => {}, 20000));`,
    ],
    ['while it closes', 'ductape.close(); process.exit(7);'],
    [
      'right after the promise of a dispatch',
      `await ductape.features.dispatch({ tag: 'count', input: {} }); process.exit(7);`,
    ],
  ])('%s ends the process at once', async (_name, end) => {
    const store = await temporaryStore();
    const child = script(
      `${instance}
       ductape.features.define('hang', () => new Promise(() => {}));
       ductape.features.define('count', () => {});
       ductape.features.dispatch({ tag: 'hang', input: {} });
       await ductape.features.dispatchMany(Array.from({ length: 500 }, () => ({ tag: 'count', input: {} })));
       for (let index = 0; index < 500; index++) ductape.features.dispatch({ tag: 'count', input: {} });
       process.once('exit', () => console.log('last', Date.now()));
       ${end}`,
      [store],
    );
    const ended = await endsWith(child, 7);
    expect(ended - Number(await child.waitForLine('last'))).toBeLessThan(3_000);
    // The store is intact, and the next process finishes the job.
    const ductape = create({ store });
    ductape.features.handle({}, () => 'done');
    await eventually(async () => {
      const { queued, running, completed } = await ductape.jobs.getStats();
      expect({ queued, running }).toEqual({ queued: 0, running: 0 });
      expect(completed).toBeGreaterThanOrEqual(501);
    });
  });

  it('is not needed after an uncaught exception', async () => {
    const store = await temporaryStore();
    const passed = stopwatch();
    const child = script(
      `${instance}
       ductape.features.define('hang', () => new Promise(() => {}));
       await ductape.start();
       await ductape.features.dispatch({ tag: 'hang', input: {} });
       throw new Error('a bug of the program');`,
      [store],
    );
    expect(await child.ended).toMatchObject({ code: 1, signal: null });
    expect(passed()).toBeLessThan(10_000);
    expect(child.stderr()).toContain('a bug of the program');
    expect((await create({ store, worker: false }).jobs.getStats()).total).toBe(1);
  });
});
