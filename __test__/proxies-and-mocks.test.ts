// The class in containers, observers and mocking libraries: instances behind a proxy, and what is made of the class without its
// constructor.
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Ductape } from './support/ductape.js';
import { companion, companionsFolder } from './support/companions.js';
import { create, job, rejection } from './support/instances.js';

beforeAll(() => companionsFolder(), 240_000);

/** All that a proxy of an instance is asked to do. */
async function expectWhole(ductape: Ductape) {
  ductape.features.define('report', () => 'done');
  await ductape.start({ signals: false });
  const { job_id } = await ductape.features.dispatch(job('report'));
  expect(await ductape.jobs.wait(job_id)).toBe('done');
  expect(await ductape.drain()).toMatchObject({ remaining: 0 });
  expect(await ductape.health()).toMatchObject({ memory: {} });
  expect(await ductape.metrics()).toContain('ductape_store_up 1');
  expect(ductape.dashboard({ authorize: () => true })).toBeTypeOf('function');
  expect((await rejection(ductape.backup('x'))).code).toBe('STORE_ERROR');
  expect(ductape.version.tzdb).toMatch(/^\d/);
  await ductape.close();
  expect((await rejection(ductape.jobs.list())).code).toBe('CLOSED');
}

describe('an instance works through a proxy', () => {
  it.each<[string, (ductape: Ductape) => Promise<Ductape> | Ductape]>([
    ['that does nothing', (ductape) => new Proxy(ductape, {})],
    [
      'that reads its members itself',
      (ductape) => new Proxy(ductape, { get: (target, name) => Reflect.get(target, name) }),
    ],
    ['that hands itself on', (ductape) => new Proxy(ductape, { get: (...read) => Reflect.get(...read) })],
    ['of a proxy', (ductape) => new Proxy(new Proxy(ductape, {}), {})],
    ['that inherits from it', (ductape) => Object.create(ductape)],
    ['of Vue', async (ductape) => (await companion('@vue/reactivity')).reactive(ductape)],
    [
      'of Vue, within what is reactive',
      async (ductape) => (await companion('@vue/reactivity')).reactive({ ductape }).ductape,
    ],
  ])('%s', async (_what, made) => {
    await expectWhole(await made(create()));
  });

  it('and its methods do when they are taken out', async () => {
    const { start, drain, close } = create();
    await start({ signals: false });
    expect(await drain()).toMatchObject({ completed: 0 });
    await close();
  });

  it('and the methods of a class that extends it are called', async () => {
    const calls: string[] = [];
    class Mine extends Ductape {
      override async close(options?: { timeout?: number }) {
        calls.push('close');
        await super.close(options);
      }
    }
    const ductape = new Proxy(new Mine({ store: 'memory:' }), {});
    await ductape.close();
    expect(calls).toEqual(['close']);
  });

  it('and lists the members that it has listed ever since', () => {
    expect(Object.keys(create())).not.toEqual(expect.arrayContaining(['start']));
  });
});

/** The members of the class and of its namespaces that are functions, as paths. */
function methodsOf(object: object, path = ''): string[] {
  const names = new Set<string>();
  for (let at = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at))
      if (name !== 'constructor' && name !== 'version') names.add(name);
  }
  return [...names].flatMap((name) => {
    const member = (object as Record<string, unknown>)[name];
    if (typeof member === 'function') return [path + name];
    return member !== null && typeof member === 'object' ? methodsOf(member, `${path}${name}.`) : [];
  });
}

describe('what is made of the class without its constructor', () => {
  it('has all methods of an instance, which say that there is none', async () => {
    const names = methodsOf(Ductape.prototype).sort();
    expect(names).toEqual(methodsOf(create()).sort());
    expect(names.length).toBeGreaterThan(80);
    const { code, message } = await rejection(() => Ductape.prototype.jobs.get('a'));
    expect([code, message]).toEqual(['VALIDATION_ERROR', expect.stringMatching(/^jobs\.get: has no instance/)]);
  });

  it('by the automock of Jest has them as mocks', async () => {
    const { ModuleMocker } = await companion('jest-mock');
    const mocker = new ModuleMocker(globalThis);
    const real = createRequire(import.meta.url)('..');
    const mocked = mocker.generateFromMetadata(mocker.getMetadata(real));
    const ductape = new mocked.Ductape({ store: 'not opened by a mock' });
    ductape.features.dispatch.mockResolvedValue({ job_id: 'a' });
    expect(await ductape.features.dispatch(job('report'))).toEqual({ job_id: 'a' });
    expect(ductape.features.dispatch.mock.calls).toEqual([[job('report')]]);
    expect(ductape.workflows.dispatch).toBe(ductape.features.dispatch);
    ductape.start.mockResolvedValue(undefined);
    await ductape.start();
    const isMock = (path: string) => path.split('.').reduce((at, name) => at[name], ductape)._isMockFunction;
    expect(methodsOf(Ductape.prototype).filter((path) => !isMock(path))).toEqual([]);
  });

  it('by createStubInstance of Sinon has them, to be stubbed', async () => {
    const sinon = await companion('sinon');
    const ductape = sinon.createStubInstance(Ductape);
    ductape.start.resolves();
    await ductape.start();
    const stub = sinon.stub(ductape.features, 'dispatch').resolves({ job_id: 'a' });
    expect(await ductape.features.dispatch(job('report'))).toEqual({ job_id: 'a' });
    expect(stub.firstCall.args).toEqual([job('report')]);
    sinon.restore();
    const real = create({ worker: false });
    expect((await real.features.dispatch(job('report'))).job_id).toMatch(/^job_/);
  });

  it('by the automock of Vitest has them as mocks', () => {
    const ductape = vi.mockObject(create());
    expect(vi.isMockFunction(ductape.features.dispatch)).toBe(true);
    expect(vi.isMockFunction(ductape.start)).toBe(true);
  });
});

describe('await using', () => {
  it('closes an instance at the end of its block', async () => {
    const ductape = create();
    await ductape[Symbol.asyncDispose]();
    expect((await rejection(ductape.jobs.list())).code).toBe('CLOSED');
    const proxied = new Proxy(create(), {});
    await proxied[Symbol.asyncDispose]();
    expect((await rejection(proxied.jobs.list())).code).toBe('CLOSED');
    let kept: Ductape | undefined;
    {
      await using inner = new Ductape({ store: 'memory:' });
      kept = inner;
      expect(await inner.jobs.list()).toEqual({ jobs: [] });
    }
    expect((await rejection(kept.jobs.list())).code).toBe('CLOSED');
  });
});
