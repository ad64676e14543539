// The stream of events of the dashboard, and what becomes of it and of the process at the end.
import { spawn } from 'node:child_process';
import http from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ask, byHeader, listen, readEvents, serve, signIn } from './support/dashboard.js';
import { create, eventually, job, recordingLogger, stopwatch } from './support/instances.js';
import { sharedStores } from './support/stores.js';

const isJob = ({ event }: { event: string }) => event === 'job';

/** How often the store is looked at for a sample. */
function countLooks(ductape: ReturnType<typeof create>): () => number {
  const { jobs } = ductape;
  const { getStats } = jobs;
  let count = 0;
  jobs.getStats = (filter) => {
    count++;
    return getStats(filter);
  };
  return () => count;
}

/** A clock that can be set forward until the end of the test. */
function lateClock(): (ms: number) => void {
  const { now } = Date;
  let late = 0;
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + late);
  onTestFinished(() => clock.mockRestore());
  return (ms) => {
    late = ms;
  };
}

/** Opens a stream and leaves it; resolves with its response. */
function open(url: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get(`${url}/api/live`, { agent: false }, resolve).on('error', reject);
  });
}

describe.each(sharedStores)('the stream of a dashboard of $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('tells of samples, and of jobs of this process', async () => {
    const ductape = create({ store: await make() });
    const url = await serve(ductape);
    const heard = readEvents(url, '/api/live', {}, (events) => events.filter(isJob).length >= 2 && events.length >= 4);
    await eventually(async () => expect((await ask(url, '/api/overview')).status).toBe(200));
    const { job_id: id } = await ductape.features.dispatch(job('waits'));
    await ductape.jobs.cancel(id, { reason: 'no longer needed' });
    const { events, headers } = await heard;
    expect(headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    const samples = events.filter(({ event }) => event === 'sample').map(({ data }) => data);
    expect(samples[0]).toMatchObject({
      at: expect.any(Number),
      stats: { total: expect.any(Number) },
      rates: { completed: 0, failed: 0 },
      running: [],
      processes: [],
    });
    expect(events.filter(isJob).map(({ data }) => data)).toMatchObject([
      { event: 'job.scheduled', job: { id } },
      { event: 'job.cancelled', job: { id, status: 'cancelled' } },
    ]);
  });
});

describe('the stream', () => {
  it('looks at the store once for all browsers, and not while there is none', async () => {
    const ductape = create();
    const url = await serve(ductape);
    const looks = countLooks(ductape);
    const streams = await Promise.all(Array.from({ length: 10 }, () => open(url)));
    await eventually(() => expect(looks()).toBe(2));
    for (const stream of streams) stream.destroy();
    // Real time: a sample is taken every two seconds.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const after = looks();
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    expect(looks()).toBe(after);
  });

  it('is open to 100 browsers', async () => {
    const url = await serve(create());
    const streams = await Promise.all(Array.from({ length: 100 }, () => open(url)));
    expect(streams.map(({ statusCode }) => statusCode)).toEqual(Array.from({ length: 100 }, () => 200));
    const refused = await ask(url, '/api/live');
    expect([refused.status, refused.headers['retry-after'], refused.json.error.code]).toEqual([
      503,
      '30',
      'SERVICE_UNAVAILABLE',
    ]);
    streams[0]?.destroy();
    await eventually(async () => {
      const again = await open(url);
      again.destroy();
      expect(again.statusCode).toBe(200);
    });
    for (const stream of streams) stream.destroy();
  });

  it('tells of at most 20 jobs a second, and leaves jobs alone when there are many', async () => {
    const ductape = create();
    const url = await serve(ductape);
    const heard = readEvents(
      url,
      '/api/live',
      {},
      (events) => events.filter(({ event }) => event === 'sample').length >= 2,
    );
    await eventually(async () => expect((await ask(url, '/api/session')).status).toBe(200));
    await ductape.features.dispatchMany(Array.from({ length: 5_000 }, () => job('waits')));
    const jobs = (await heard).events.filter(isJob).length;
    expect(jobs).toBeGreaterThan(0);
    expect(jobs).toBeLessThanOrEqual(60);
  });

  it('keeps little for a browser that does not read', async () => {
    const ductape = create({ logger: recordingLogger() });
    const dashboard = ductape.dashboard({ authorize: () => 'ann' });
    ductape.features.define('breaks', () => {
      throw new Error('y'.repeat(100_000));
    });
    const { body } = await dashboard(new Request('http://example.com/api/live'));
    // Each second 20 events of more than 1,000 characters.
    for (let at = 0; at < 16; at++) {
      await ductape.features.dispatchMany(Array.from({ length: 30 }, () => job('breaks')));
      await ductape.drain();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await ductape.close();
    const text = await new Response(body).text();
    expect(text.length).toBeGreaterThan(20_000);
    expect(text.length).toBeLessThan(70_000);
  });

  it('as a Response ends when the instance is closed, and when the reader goes', async () => {
    const ductape = create();
    const dashboard = ductape.dashboard({ authorize: () => 'ann' });
    const looks = countLooks(ductape);
    const request = () => new Request('http://example.com/api/live');
    const [first, second] = [await dashboard(request()), await dashboard(request())];
    const reader = first.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('retry: 2000\n\n');
    await reader?.cancel();
    expect(looks()).toBe(1);
    const text = second.text();
    await ductape.close();
    expect(await text).toMatch(/^retry: 2000\n\n/);
    const answer = await dashboard(request());
    expect([answer.status, (await dashboard(new Request('http://example.com/api/jobs'))).status]).toEqual([503, 503]);
  });

  it('ends after a minute, so that who is refused by then sees no more', async () => {
    const ductape = create();
    let user: string | undefined = 'ann';
    const dashboard = ductape.dashboard({ authorize: () => user });
    const looks = countLooks(ductape);
    const beLate = lateClock();
    let ended = false;
    const { body } = await dashboard(new Request('http://example.com/api/live'));
    const text = new Response(body).text().finally(() => {
      ended = true;
    });
    user = undefined;
    beLate(50_000);
    // The second of them has been sent when the third is taken.
    await eventually(() => expect(looks()).toBe(3));
    expect(ended).toBe(false);
    beLate(60_000);
    expect(await text).toMatch(/^retry: 2000\n\n.*\n\nretry: 100\n\n$/s);
    expect((await dashboard(new Request('http://example.com/api/live'))).status).toBe(401);
  });

  it('is cut off when a browser does not take its end', async () => {
    const dashboard = create().dashboard();
    let ends = 0;
    const url = await listen((req, res) => {
      res.end = () => {
        ends++;
        return res;
      };
      void dashboard(req, res);
    });
    const beLate = lateClock();
    const stream = (await open(url)).resume();
    const failed = new Promise((resolve) => stream.once('error', resolve));
    beLate(60_000);
    await eventually(() => expect(ends).toBeGreaterThan(0));
    expect(stream.destroyed).toBe(false);
    beLate(90_000);
    expect(await failed).toMatchObject({ code: 'ECONNRESET' });
  });

  it('has rates also for a browser that comes again at once', async () => {
    const ductape = create();
    ductape.features.define('works', () => 1);
    const url = await serve(ductape);
    const isSample = ({ event }: { event: string }) => event === 'sample';
    const read = async () => (await readEvents(url, '/api/live', {}, (events) => events.some(isSample))).events;
    expect((await read()).find(isSample)?.data).toMatchObject({ rates: { completed: 0 } });
    await ductape.features.dispatch(job('works'));
    await ductape.drain();
    const again = (await read()).find(isSample)?.data as { rates: { completed: number } } | undefined;
    expect(again?.rates.completed).toBeGreaterThan(0);
  });

  it('ends at the close of the instance, whose dashboard then says so', async () => {
    const ductape = create();
    const url = await serve(ductape, { authorize: byHeader });
    const ann = await signIn(url, { 'x-user': 'ann' });
    const heard = readEvents(url, '/api/live', { 'x-user': 'ann' }, () => false);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await ductape.close();
    expect((await heard).ended).toBe(true);
    const { status, json } = await ann.get('/api/jobs');
    expect([status, json.error]).toEqual([
      503,
      { code: 'CLOSED', message: 'this Ductape instance is closed: the program ends, or has closed it' },
    ]);
    expect((await ann.post('/api/bulk', { action: 'pause', filter: {} })).status).toBe(503);
  });
});

describe('the process', () => {
  const program = `
    const { Ductape } = require(${JSON.stringify(join(import.meta.dirname, '../index.js'))});
    const loaded = () => Object.keys(require.cache).filter((file) => file.includes('dashboard'));
    const before = loaded().length;
    const ductape = new Ductape({ store: 'memory:', product: 'shop', env: 'test' });
    const none = loaded().length;
    const dashboard = ductape.dashboard({ authorize: () => 'ann' });
    dashboard(new Request('http://example.com/api/live')).then(async (response) => {
      const reader = response.body.getReader();
      await reader.read();
      console.log(before, none, loaded().length > 5);
    });
  `;

  it('loads the dashboard with the first one, and is not kept by its streams', async () => {
    const passed = stopwatch();
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect([code, out]).toEqual([0, '0 0 true\n']);
    expect(passed()).toBeLessThan(10_000);
  });
});
