// Environments of the package: worker threads, fake timers, several instances, several copies.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import vm from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Ductape, DuctapeError, type Ductape as Instance } from './support/ductape.js';
import { create, eventually, job, nextTurn, rejection, temporaryStore } from './support/instances.js';
import { program, script, tally } from './support/processes.js';

const root = resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

describe('worker threads', () => {
  it('with one instance each share the jobs of a store', async () => {
    const child = program('threads', [await temporaryStore(), 'share']);
    const calls: Array<{ name: string; id: string }> = JSON.parse(await child.waitForLine('calls'));
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    expect(child.stderr()).toBe('');
    const runs = tally(calls.map(({ id }) => id));
    expect(runs.size).toBe(300);
    expect([...runs].filter(([, count]) => count !== 1)).toEqual([]);
    expect([...tally(calls.map(({ name }) => name)).keys()].sort()).toEqual(['a', 'b']);
  });

  it('may be terminated during a job, which another thread takes over', async () => {
    const child = program('threads', [await temporaryStore(), 'terminate']);
    expect(await child.waitForLine('result')).toBe('done');
    expect(['1', '2']).toContain(await child.waitForLine('taken'));
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
  });

  it('may share a named memory store with the main thread', async () => {
    const child = script(
      `import { Worker } from 'node:worker_threads';
       import Ductape from 'ductape';
       const entry = 'ductape';
       const ductape = new Ductape({ store: 'memory:shared', product: 'shop', env: 'test', worker: false });
       const { job_id } = await ductape.features.dispatch({ tag: 'report', input: {} });
       const worker = new Worker(
         \`import(\${JSON.stringify(entry)}).then(({ Ductape }) => {
            const ductape = new Ductape({ store: 'memory:shared', product: 'shop', env: 'test' });
            ductape.features.define('report', () => 'from the thread');
            ductape.start();
         });\`,
         { eval: true },
       );
       console.log('result', await ductape.jobs.wait(job_id, { timeout: 10000 }));
       await worker.terminate();`,
    );
    expect(await child.waitForLine('result')).toBe('from the thread');
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
  });
});

describe('fake timers', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('affect neither dispatches nor handlers', async () => {
    const ductape = create({ store: await temporaryStore() });
    vi.useFakeTimers({
      toFake: [
        'setTimeout',
        'setInterval',
        'setImmediate',
        'clearTimeout',
        'clearInterval',
        'clearImmediate',
        'Date',
        'queueMicrotask',
        'performance',
      ],
    });
    ductape.features.define('report', async ({ input }) => input);
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => ductape.features.dispatch(job('report', { input: { index } }))),
    );
    for (const [index, { job_id }] of results.entries()) {
      expect(await ductape.jobs.wait(job_id)).toEqual({ index });
    }
    expect((await ductape.drain()).remaining).toBe(0);
    await ductape.close();
  });

  it('installed before the instance is made change nothing', async () => {
    vi.useFakeTimers({ now: new Date('2000-01-01') });
    const ductape = create();
    ductape.features.define('report', () => 'done');
    const { job_id } = await ductape.features.dispatch(job('report'));
    expect(await ductape.jobs.wait(job_id)).toBe('done');
    await ductape.close();
  });

  it('do not block a burst of messages', async () => {
    const ductape = create({ worker: { concurrency: 1_000 } });
    vi.useFakeTimers();
    let ran = 0;
    await new Promise<void>((resolve) => {
      ductape.features.define('report', () => {
        if (++ran === 10_000) resolve();
      });
      ductape.features.dispatchMany(Array.from({ length: 10_000 }, () => job('report')));
    });
    await ductape.close();
  });
});

describe('two instances in one process', () => {
  it('may have the same file open', async () => {
    const store = await temporaryStore();
    const [first, second] = [create({ store }), create({ store })];
    const runs: string[] = [];
    for (const [name, each] of Object.entries({ first, second })) {
      each.features.define('report', async ({ id }) => {
        runs.push(id);
        await nextTurn();
        return name;
      });
    }
    const dispatched = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 ? first : second).features.dispatch(job('report'))),
    );
    for (const { job_id } of dispatched) {
      expect(['first', 'second']).toContain(await first.jobs.wait(job_id, { timeout: 10_000 }));
    }
    expect(runs).toHaveLength(100);
    expect(new Set(runs).size).toBe(100);
    // Closing one does not close the other.
    await first.close();
    const { job_id } = await second.features.dispatch(job('report'));
    expect(await second.jobs.wait(job_id, { timeout: 10_000 })).toBe('second');
  });

  it('see each other’s jobs, whatever path names the file', async () => {
    const store = await temporaryStore();
    const path = store.slice('sqlite:'.length);
    const other = `sqlite:${join(dirname(path), '.', 'x', '..')}/jobs.db`;
    const dispatcher = create({ store, worker: false });
    const worker = create({ store: other });
    worker.features.define('report', () => 'done');
    const { job_id } = await dispatcher.features.dispatch(job('report'));
    expect(await dispatcher.jobs.wait(job_id, { timeout: 10_000 })).toBe('done');
  });

  it('have separate memory stores unless they name one', async () => {
    const [first, second] = [create(), create()];
    const { job_id } = await first.features.dispatch(job('report'));
    expect((await rejection(second.jobs.get(job_id))).code).toBe('NOT_FOUND');

    const [left, right, apart] = ['one', 'one', 'two'].map((name) =>
      create({ store: `memory:${name}`, worker: false }),
    ) as [Instance, Instance, Instance];
    const shared = await left.features.dispatch(job('report'));
    expect((await right.jobs.get(shared.job_id)).id).toBe(shared.job_id);
    expect((await rejection(apart.jobs.get(shared.job_id))).code).toBe('NOT_FOUND');
    // It exists as long as an instance is open on it.
    await left.close();
    expect((await right.jobs.get(shared.job_id)).id).toBe(shared.job_id);
    await right.close();
    const next = create({ store: 'memory:one', worker: false });
    expect((await rejection(next.jobs.get(shared.job_id))).code).toBe('NOT_FOUND');
  });
});

/** Loads a module of the package, and those of its folder `lib`, with their code in the context. */
function requireInContext(context: vm.Context, file: string, loaded = new Map<string, object>()): object {
  const known = loaded.get(file);
  if (known) return known;
  const outside = createRequire(file);
  const load = (name: string) => {
    const path = outside.resolve(name);
    return path.startsWith(join(root, 'lib')) ? requireInContext(context, path, loaded) : outside(name);
  };
  const wrapper = vm.runInContext(`(function (exports, require, module) {${readFileSync(file, 'utf8')}\n})`, context, {
    filename: file,
  });
  const module = { exports: {} };
  wrapper(module.exports, load, module);
  loaded.set(file, module.exports);
  return module.exports;
}

describe('a copy of the package', () => {
  it('gives the same classes to import and to require', async () => {
    const child = script(
      `import Default, { Ductape, DuctapeError } from 'ductape';
       import { createRequire } from 'node:module';
       const required = createRequire(process.argv[1])(process.argv[1]);
       console.log('same', Default === Ductape, required.Ductape === Ductape, required.default === Ductape, required.DuctapeError === DuctapeError);`,
      [join(root, 'index.js')],
    );
    expect(await child.waitForLine('same')).toBe('true true true true');
  });

  it('loaded a second time recognizes errors of the first', async () => {
    const path = require.resolve('../index.js');
    const own = (file: string) => file === path || file.startsWith(join(root, 'lib'));
    const loaded = Object.entries(require.cache).filter(([file]) => own(file));
    for (const [file] of loaded) delete require.cache[file];
    const second = require(path) as { Ductape: typeof Ductape; DuctapeError: typeof DuctapeError };
    for (const [file, first] of loaded) if (first) require.cache[file] = first;
    expect(second.DuctapeError).not.toBe(DuctapeError);
    expect(new second.DuctapeError('TIMEOUT', 'x')).toBeInstanceOf(DuctapeError);
    expect(new DuctapeError('TIMEOUT', 'x')).toBeInstanceOf(second.DuctapeError);
    expect(new Error('x')).not.toBeInstanceOf(second.DuctapeError);

    const instance = new second.Ductape({ store: 'memory:', worker: false });
    const error = await instance.jobs.get('none').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DuctapeError);
    await instance.close();
  });

  it('loaded in another context works, and its errors are recognized here', async () => {
    const context = vm.createContext({ console, process, Buffer, setTimeout, AbortController });
    const inside = requireInContext(context, join(root, 'index.js')) as {
      Ductape: typeof Ductape;
      DuctapeError: typeof DuctapeError;
    };
    const ductape = new inside.Ductape({ store: 'memory:', product: 'shop', env: 'test' });
    ductape.features.define('report', ({ input, attempt }) => {
      if (attempt === 1) throw new DuctapeError('TIMEOUT', 'from outside');
      return input;
    });
    const retry = { retries: 1, retryConfig: { initialDelay: 1 } };
    const { job_id } = await ductape.features.dispatch(job('report', { input: { a: [1] }, ...retry }));
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toEqual({ a: [1] });
    const error = await ductape.jobs.get('none').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DuctapeError);
    expect(error).toBeInstanceOf(inside.DuctapeError);
    expect(error).toMatchObject({ code: 'NOT_FOUND' });
    // Bytes of this context are bytes there too.
    const stored = await ductape.storage.dispatch({
      storage: 'files',
      event: 'upload',
      input: { fileName: 'a', buffer: new Uint8Array([104, 105]) },
    });
    expect((await ductape.jobs.get(stored.job_id)).input).toMatchObject({ buffer: 'aGk=' });
    await ductape.close();
  });
});

describe('many instances', () => {
  it('may be made and closed one after the other', async () => {
    const store = await temporaryStore();
    for (let round = 0; round < 40; round++) {
      const ductape = new Ductape({ store, product: 'shop', env: 'test' });
      ductape.features.define('report', () => round);
      const { job_id } = await ductape.features.dispatch(job('report'));
      expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toBe(round);
      await ductape.close();
    }
    const last = create({ store, worker: false });
    await eventually(async () => expect((await last.jobs.getStats()).completed).toBe(40));
  });

  it('can be garbage-collected without being closed', async () => {
    const child = script(
      `import Ductape from 'ductape';
       for (let index = 0; index < 200; index++) new Ductape({ store: 'memory:', product: 'shop', env: 'test' });
       console.log('made');`,
    );
    expect(await child.waitForLine('made')).toBe('');
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    expect(child.stderr()).toBe('');
  });
});
