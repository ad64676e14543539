// How programs end: those of docs/guides, as the first process of a container too, and what `start` and `close` let them say.
import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { folderWith, freePort, shownFile, written } from './support/guides.js';
import { create, eventually, temporaryStore } from './support/instances.js';
import { node, type Program, script } from './support/processes.js';
import { childrenOf, hasOwnProcessNumbers, inOwnProcessNumbers } from './support/containers.js';

/** An instance that looks at the store of a program of the guides. */
const observer = (store: string) => create({ store, product: 'shop', env: 'prd', worker: false });

/** Starts a file of a guide on a store of its own. */
async function startShown(page: string, name: string, env: Record<string, string> = {}, args: string[] = []) {
  const folder = await folderWith();
  const store = `sqlite:${folder}/jobs.db`;
  const file = await written(await shownFile(page, name), folder);
  const program = node([...args, file], { cwd: folder, env: { DUCTAPE_STORE: store, ...env } });
  return { program, store, file, folder };
}

describe('an HTTP server with jobs, under Kubernetes', () => {
  it('says that it is not ready, answers what is under way, lets handlers finish, and ends', {
    timeout: 120_000,
  }, async () => {
    const port = await freePort();
    const env = { PORT: String(port), READINESS_DELAY: '4000' };
    const { program, store } = await startShown('containers.md', 'server.ts', env);
    await program.waitForLine('listening');
    const url = `http://127.0.0.1:${port}`;
    const status = async (path: string) => (await fetch(url + path)).status;
    const order = (body: object) => fetch(`${url}/api/orders`, { method: 'POST', body: JSON.stringify(body) });
    const idOf = async (answer: Response) => ((await answer.json()) as { job_id: string }).job_id;
    expect([await status('/live'), await status('/ready')]).toEqual([200, 200]);

    // A request and a job are under way when the signal comes.
    const slow = request(`${url}/api/orders`, { method: 'POST' });
    const slowAnswer = new Promise<number | undefined>((resolve, reject) => {
      slow.once('response', (response) => resolve(response.resume().statusCode));
      slow.once('error', reject);
    });
    slow.write('{ "order":');
    const running = await idOf(await order({ order: 'running', ms: 6_000 }));
    const jobs = observer(store).jobs;
    await eventually(async () => expect((await jobs.get(running)).status).toBe('running'));
    program.process.kill('SIGTERM');
    await program.waitForLine('stopping');

    expect([await status('/live'), await status('/ready')]).toEqual([200, 503]);
    const late = await idOf(await order({ order: 'late' }));
    // The server is closed, but for the request that it is answering.
    await eventually(() => expect(fetch(url)).rejects.toThrow(), 30_000);
    slow.end('"slow" }');
    expect(await slowAnswer).toBe(202);

    expect(await program.ended).toMatchObject({ code: 0, signal: null });
    await program.waitForLine('stopped');
    expect(program.stderr()).toBe('');
    expect(await jobs.get(running)).toMatchObject({
      status: 'completed',
      attempt: 1,
      result: { confirmed: 'running' },
    });
    // Taken and stored, for another process to run.
    expect(await jobs.get(late)).toMatchObject({ status: 'queued', attempt: 0 });
    expect((await jobs.list({ status: 'queued' })).jobs).toHaveLength(2);
    expect(await jobs.processes()).toEqual([]);
  });
});

describe.skipIf(!hasOwnProcessNumbers)('as the first process of a container', () => {
  it.each([
    ['worker.ts', 128 + 15],
    ['server.ts', 0],
  ])('%s ends at the signal, and leaves nothing behind', { timeout: 60_000 }, async (name, code) => {
    const folder = await folderWith();
    const store = `sqlite:${folder}/jobs.db`;
    const file = await written(await shownFile('containers.md', name), folder);
    const env = { DUCTAPE_STORE: store, PORT: String(await freePort()), READINESS_DELAY: '0' };
    const container = inOwnProcessNumbers([file], { cwd: folder, env });
    const { features, jobs } = observer(store);
    const { job_id } = await features.dispatch({ tag: 'confirm-order', input: { order: 'A1' } });
    expect(await jobs.wait(job_id, { timeout: 30_000 })).toEqual({ confirmed: 'A1' });
    expect((await jobs.processes()).map(({ pid }) => pid)).toEqual([1]);
    // `docker stop` sends the signal from outside.
    const [first] = await childrenOf(container.process.pid);
    process.kill(first ?? Number.NaN, 'SIGTERM');
    expect(await container.ended).toMatchObject({ code, signal: null });
    expect(await jobs.processes()).toEqual([]);
  });
});

describe('a worker', () => {
  it.each([
    ['containers.md', 'SIGTERM'],
    ['pm2-systemd.md', 'SIGTERM'],
    ['pm2-systemd.md', 'SIGINT'],
  ] as const)('of %s closes its instance at %s, and ends by it', async (page, signal) => {
    const { program, store } = await startShown(page, 'worker.ts');
    const { features, jobs } = observer(store);
    const { job_id } = await features.dispatch({ tag: 'confirm-order', input: { order: 'A1' } });
    expect(await jobs.wait(job_id, { timeout: 30_000 })).toEqual({ confirmed: 'A1' });
    program.process.kill(signal);
    expect(await program.ended).toMatchObject({ code: null, signal });
    expect(program.stderr()).toBe('');
    expect(await jobs.processes()).toEqual([]);
  });
});

/** A worker with a handler that does not end, and what else the program does. */
const endless = (rest: string) => `
  import Ductape from 'ductape';
  const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'prd' });
  ductape.features.define('endless', () => { console.log('runs'); return new Promise(() => {}); });
  ${rest}
  console.log('up');
`;

/** Runs the endless job until the signal; resolves with how the program ended. */
async function interrupted(program: Program, store: string) {
  // Before that the signal would end the program at once.
  await program.waitForLine('up');
  const { features, jobs } = observer(store);
  const { job_id } = await features.dispatch({ tag: 'endless', input: {} });
  await program.waitForLine('runs');
  program.process.kill('SIGTERM');
  const ended = await program.ended;
  const runs = (await jobs.getHistory(job_id)).executions.map(({ status }) => status);
  return { ended, job: await jobs.get(job_id), runs };
}

describe('a handler that goes on after the signal', () => {
  it('has as long as start says, and its run is given back', async () => {
    const store = await temporaryStore();
    const program = script(endless('await ductape.start({ timeout: 200 });'), [store]);
    const { ended, job, runs } = await interrupted(program, store);
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
    // Nothing is told of an attempt that was given back.
    expect([job.status, job.retry_count, runs]).toEqual(['queued', 0, []]);
  });

  // Next.js, for one: it exits with 143 as soon as its server is closed.
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const)('counts no crash when the program ends with the code of %s', async (_signal, code) => {
    const store = await temporaryStore();
    const end = `process.on('SIGTERM', () => process.exit(${code})); await ductape.start();`;
    const { ended, job, runs } = await interrupted(script(endless(end), [store]), store);
    expect(ended).toMatchObject({ code, signal: null });
    expect([job.status, job.retry_count, runs]).toEqual(['queued', 0, []]);
  });
});

describe('a handler that dispatches while its instance is closed', () => {
  const source = (options: string) => `
    import { once } from 'node:events';
    import Ductape from 'ductape';
    const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'prd' });
    ductape.features.define('first', async () => {
      console.log('runs');
      await once(process.stdin, 'data');
      const refused = await ductape.features.dispatch({ tag: 'second', input: {}, job_id: 'second' }).then(() => 'taken', (error) => error.code);
      console.log('dispatch', refused);
    });
    process.once('SIGTERM', async () => {
      const closed = ductape.close(${options});
      console.log('closing');
      await closed;
      process.exit(0);
    });
    await ductape.start({ signals: false });
  `;

  it.each([
    ['', 'taken'],
    ['{ dispatch: false }', 'CLOSED'],
  ])('close(%s): %s', async (options, outcome) => {
    const store = await temporaryStore();
    const program = script(source(options), [store]);
    const { features, jobs } = observer(store);
    await features.dispatch({ tag: 'first', input: {} });
    await program.waitForLine('runs');
    program.process.kill('SIGTERM');
    await program.waitForLine('closing');
    program.sendLine('go on');
    expect(await program.waitForLine('dispatch')).toBe(outcome);
    expect(await program.ended).toMatchObject({ code: 0, signal: null });
    const { jobs: waiting } = await jobs.list({ status: 'queued' });
    expect(waiting.map(({ id }) => id)).toEqual(outcome === 'taken' ? ['second'] : []);
  });
});
