// Events of jobs: kinds, order, number, and isolation from failing listeners.
import { describe, expect, it } from 'vitest';
import type { Ductape, IJobEvent, JobEventName } from './support/ductape.js';
import {
  create,
  deferred,
  env,
  eventually,
  job,
  product,
  recordingLogger,
  rejection,
  temporaryStore,
} from './support/instances.js';
import { script } from './support/processes.js';

const names: JobEventName[] = [
  'job.scheduled',
  'job.started',
  'job.completed',
  'job.failed',
  'job.retrying',
  'job.cancelled',
  'job.paused',
  'job.resumed',
];

/** Collects the events of an instance, except those of `runMarker`. */
function listen(ductape: Ductape): IJobEvent[] {
  const events: IJobEvent[] = [];
  for (const name of names) {
    ductape.jobs.on(name, (event) => {
      if (!isOfMarker(event)) events.push(event);
    });
  }
  return events;
}

const eventNames = (events: readonly IJobEvent[]) => events.map(({ event }) => event.slice('job.'.length));
const runs = (events: readonly IJobEvent[]) =>
  events.map(({ event, job }) => `${event.slice(4)} ${job.run}.${job.attempt}`);

const isOfMarker = ({ job }: IJobEvent) => 'tag' in job.target && job.target.tag === 'marker';

/** Runs one more job. Events are delivered in order, so that any surplus event of earlier jobs has arrived by then. */
async function runMarker(ductape: Ductape): Promise<void> {
  const completed = deferred();
  ductape.jobs.on('job.completed', (event) => {
    if (isOfMarker(event)) completed.resolve();
  });
  ductape.features.define('marker', () => {});
  await ductape.features.dispatch(job('marker'));
  await completed.promise;
}

describe('the events of a job', () => {
  it('that runs at once: scheduled, started, completed, with their details', async () => {
    const ductape = create();
    const events = listen(ductape);
    ductape.actions.handle({ app: 'mail', event: 'send' }, () => ({ sent: 1 }));
    const { job_id, scheduled_at } = await ductape.actions.dispatch({ app: 'mail', event: 'send', input: {} });
    await eventually(() => expect(eventNames(events)).toContain('completed'));
    await runMarker(ductape);
    const common = {
      id: job_id,
      namespace: 'actions',
      product,
      env,
      target: { app: 'mail', event: 'send' },
      scheduled_at,
    };
    const attempt = { run: 1, attempt: 1 };
    const timestamp = expect.any(Number);
    expect(events).toEqual([
      { event: 'job.scheduled', timestamp, job: { ...common, status: 'queued' } },
      { event: 'job.started', timestamp, job: { ...common, ...attempt, status: 'running' } },
      { event: 'job.completed', timestamp, job: { ...common, ...attempt, status: 'completed', result: { sent: 1 } } },
    ]);
    for (const event of events) expect(Math.abs(event.timestamp - Date.now())).toBeLessThan(10_000);
  });

  it('are emitted after the commit', async () => {
    const ductape = create({ store: await temporaryStore() });
    const status = deferred<string>();
    ductape.jobs.on('job.completed', async ({ job }) => status.resolve((await ductape.jobs.get(job.id)).status));
    ductape.features.define('work', () => {});
    await ductape.features.dispatch(job('work'));
    expect(await status.promise).toBe('completed');
  });

  it('that is retried: retrying with time and reason, then started again', async () => {
    const ductape = create();
    const events = listen(ductape);
    ductape.features.define('work', ({ attempt }) => {
      if (attempt < 3) throw Object.assign(new Error(`no ${attempt}`), { code: 'FLAKY' });
    });
    await ductape.features.dispatch(job('work', { retries: 5, retryConfig: { initialDelay: 0 } }));
    await eventually(() => expect(eventNames(events)).toContain('completed'));
    await runMarker(ductape);
    expect(runs(events.slice(1))).toEqual([
      'started 1.1',
      'retrying 1.1',
      'started 1.2',
      'retrying 1.2',
      'started 1.3',
      'completed 1.3',
    ]);
    expect(events[2]?.job.error).toMatchObject({ code: 'FLAKY', message: 'no 1' });
  });

  it('whose retry is delayed: retrying with the time of the next attempt', async () => {
    const ductape = create();
    const events = listen(ductape);
    ductape.features.define('work', () => Promise.reject(new Error('no')));
    const { job_id } = await ductape.features.dispatch(
      job('work', { retries: 1, retryConfig: { initialDelay: 60_000 } }),
    );
    await eventually(() => expect(eventNames(events)).toEqual(['scheduled', 'started', 'retrying']));
    expect(events[2]?.job).toMatchObject({
      status: 'scheduled',
      scheduled_at: (await ductape.jobs.get(job_id)).scheduled_at,
    });
    expect(events[2]?.job.scheduled_at).toBeGreaterThan(Date.now() + 50_000);
  });

  it('that fails for good: failed, with its error', async () => {
    const ductape = create();
    const events = listen(ductape);
    ductape.features.define('work', () => {
      throw Object.assign(new Error('not yours'), { code: 'FORBIDDEN' });
    });
    await ductape.features.dispatch(job('work', { retries: 5 }));
    await eventually(() => expect(eventNames(events)).toContain('failed'));
    await runMarker(ductape);
    expect(eventNames(events)).toEqual(['scheduled', 'started', 'failed']);
    expect(events[2]?.job).toMatchObject({ status: 'failed', error: { code: 'FORBIDDEN', message: 'not yours' } });
    expect(events[2]?.job).not.toHaveProperty('result');
  });

  it('that is cancelled during a run: cancelled, and no completion afterwards', async () => {
    const ductape = create();
    const events = listen(ductape);
    const [running, finish] = [deferred(), deferred()];
    ductape.features.define('work', async () => {
      running.resolve();
      await finish.promise;
      return 'late';
    });
    const { job_id } = await ductape.features.dispatch(job('work'));
    await running.promise;
    await ductape.jobs.cancel(job_id, { reason: 'enough' });
    finish.resolve();
    await runMarker(ductape);
    expect(eventNames(events)).toEqual(['scheduled', 'started', 'cancelled']);
    expect(events[2]?.job).toMatchObject({ status: 'cancelled', cancel_reason: 'enough', execution_count: 1 });
    // Nothing changes by it.
    expect(await ductape.jobs.cancel(job_id)).toMatchObject({ status: 'cancelled', cancel_reason: 'enough' });
    await runMarker(ductape);
    expect(events).toHaveLength(3);
  });

  it('that recurs: scheduled once, then each of its runs', async () => {
    const ductape = create({ clock: 'manual' });
    const events = listen(ductape);
    ductape.features.define('report', ({ run }) => {
      if (run === 2) throw Object.assign(new Error('no'), { code: 'NOT_FOUND' });
      return run;
    });
    await ductape.features.dispatch(job('report', { schedule: { every: 1_000, limit: 3 } }));
    await ductape.clock.advance(10_000);
    // Events on the way are delivered before the call resolves.
    expect(runs(events)).toEqual([
      'scheduled undefined.undefined',
      'started 1.1',
      'completed 1.1',
      'started 2.1',
      'failed 2.1',
      'started 3.1',
      'completed 3.1',
    ]);
    expect(events.map(({ job }) => job.status)).toEqual([
      'queued',
      'running',
      'scheduled',
      'running',
      'scheduled',
      'running',
      'completed',
    ]);
    const start = events[0]?.job.scheduled_at ?? 0;
    expect(events[6]?.job.scheduled_at).toBe(start + 2_000);
  });

  it('that is dispatched again: scheduled only where something changed', async () => {
    const ductape = create({ worker: false });
    const events = listen(ductape);
    const later = { schedule: { start_at: Date.now() + 60_000 } };
    await ductape.features.dispatch(job('work', { job_id: 'mine', ...later }));
    await ductape.features.dispatch(job('work', { job_id: 'mine' }));
    await ductape.features.dispatch(job('work', { job_id: 'mine', onConflict: 'replace' }));
    await rejection(ductape.features.dispatch(job('work', { job_id: 'mine', onConflict: 'error' })));
    await rejection(ductape.features.dispatchMany([job('new'), job('work', { job_id: 'mine', onConflict: 'error' })]));
    await ductape.jobs.get('mine');
    expect(events.map(({ job }) => job.status)).toEqual(['scheduled', 'queued']);
  });

  it('that another instance runs are not seen', async () => {
    const store = await temporaryStore();
    const [web, worker] = [create({ store, worker: false }), create({ store })];
    const [here, there] = [listen(web), listen(worker)];
    worker.features.define('work', () => {});
    await web.features.dispatch(job('work'));
    await eventually(() => expect(eventNames(there)).toEqual(['started', 'completed']));
    expect(eventNames(here)).toEqual(['scheduled']);
  });

  it('that another instance cancels during a run: no end event here', async () => {
    const store = await temporaryStore();
    const [web, worker] = [create({ store, worker: false }), create({ store })];
    const [here, there] = [listen(web), listen(worker)];
    const [running, finish] = [deferred(), deferred()];
    worker.features.define('work', async () => {
      running.resolve();
      await finish.promise;
    });
    const { job_id } = await web.features.dispatch(job('work'));
    await running.promise;
    await web.jobs.cancel(job_id);
    // The completion is refused: the run is no longer this worker's.
    finish.resolve();
    await worker.close();
    await eventually(() => expect(here).toHaveLength(2));
    expect([eventNames(here), eventNames(there)]).toEqual([['scheduled', 'cancelled'], ['started']]);
  });

  it('10,000 times: each once', { timeout: 60_000 }, async () => {
    const ductape = create({ worker: { concurrency: 100 } });
    const counts = new Map<string, number>();
    let order = true;
    const state = new Map<string, JobEventName>();
    const follows = {
      'job.scheduled': undefined,
      'job.started': 'job.scheduled',
      'job.completed': 'job.started',
    } as const;
    for (const name of ['job.scheduled', 'job.started', 'job.completed'] as const) {
      ductape.jobs.on(name, (event) => {
        if (isOfMarker(event)) return;
        const { job } = event;
        counts.set(name, (counts.get(name) ?? 0) + 1);
        order &&= state.get(job.id) === follows[name];
        state.set(job.id, name);
      });
    }
    ductape.features.define('work', () => {});
    await ductape.features.dispatchMany(Array.from({ length: 5_000 }, () => job('work')));
    await Promise.all(Array.from({ length: 5_000 }, () => ductape.features.dispatch(job('work'))));
    await eventually(() => expect(counts.get('job.completed')).toBe(10_000), 50_000);
    await runMarker(ductape);
    expect(Object.fromEntries(counts)).toEqual({
      'job.scheduled': 10_000,
      'job.started': 10_000,
      'job.completed': 10_000,
    });
    expect(order).toBe(true);
  });
});

describe('a listener', () => {
  it('is called until it is removed, in either way', async () => {
    const ductape = create({ worker: false });
    const heard: string[] = [];
    const first = () => void heard.push('first');
    const stop = ductape.jobs.on('job.scheduled', first);
    ductape.jobs.on('job.scheduled', first);
    ductape.jobs.once('job.scheduled', () => heard.push('once'));
    const dispatch = async () => {
      heard.length = 0;
      await ductape.features.dispatch(job('work'));
      await ductape.jobs.getStats();
      return heard;
    };
    expect(await dispatch()).toEqual(['first', 'first', 'once']);
    expect(await dispatch()).toEqual(['first', 'first']);
    stop();
    stop();
    expect(await dispatch()).toEqual(['first']);
    ductape.jobs.off('job.scheduled', first);
    ductape.jobs.off('job.scheduled', first);
    expect(await dispatch()).toEqual([]);
    ductape.jobs.on('job.scheduled', first);
    expect(await dispatch()).toEqual(['first']);
  });

  it('can remove itself and others during an event', async () => {
    const ductape = create({ worker: false });
    const heard: string[] = [];
    const stop = ductape.jobs.on('job.scheduled', () => {
      heard.push('a');
      stop();
      stopOther();
    });
    const stopOther = ductape.jobs.on('job.scheduled', () => void heard.push('b'));
    ductape.jobs.on('job.scheduled', () => void heard.push('c'));
    await ductape.features.dispatch(job('work'));
    await ductape.features.dispatch(job('work'));
    await ductape.jobs.getStats();
    expect(heard).toEqual(['a', 'c', 'c']);
  });

  it('that throws or rejects is logged, and the others are still called', async () => {
    const logger = recordingLogger();
    const ductape = create({ worker: false, logger });
    const heard: string[] = [];
    ductape.jobs.on('job.scheduled', () => {
      throw new Error('thrown on purpose');
    });
    ductape.jobs.on('job.scheduled', async () => {
      throw new Error('rejected on purpose');
    });
    ductape.jobs.on('job.scheduled', ({ job }) => void heard.push(job.id));
    const { job_id } = await ductape.features.dispatch(job('work'));
    await eventually(() => expect(logger.messagesAt('error')).toHaveLength(2));
    expect(heard).toEqual([job_id]);
    expect(logger.messagesAt('error')[0]).toMatch(
      new RegExp(`a listener of job.scheduled failed, for job ${job_id}: .*thrown on purpose`),
    );
    expect(logger.messagesAt('error')[1]).toMatch(/rejected on purpose/);
  });

  it('of an unknown event, or that is not a function, is refused', async () => {
    const ductape = create();
    // @ts-expect-error: not an event
    const unknown = await rejection(() => ductape.jobs.on('job.exploded', () => {}));
    expect(unknown).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: 'event' }] });
    expect(unknown.message).toMatch(/job\.exploded.*job\.scheduled/);
    // @ts-expect-error: not a function
    const nothing = await rejection(() => ductape.jobs.once('job.failed', null));
    expect(nothing).toMatchObject({ code: 'VALIDATION_ERROR', details: [{ path: 'listener' }] });
  });

  it('does not keep the process alive', async () => {
    const program = script(`
      import Ductape from 'ductape';
      const ductape = new Ductape({ store: 'memory:', product: 'p', env: 'e' });
      ductape.jobs.on('job.scheduled', ({ job }) => console.log('scheduled', job.id));
      ductape.jobs.on('job.completed', () => {});
      await ductape.features.dispatch({ job_id: 'mine', tag: 'work', input: {} });
      console.log('dispatched');
    `);
    expect(await program.ended).toMatchObject({ code: 0, signal: null });
    expect(program.lines).toEqual(['scheduled mine', 'dispatched']);
    expect(program.stderr()).toBe('');
  });

  it('that blocks for too long loses events, with one warning', { timeout: 60_000 }, async () => {
    const logger = recordingLogger();
    const ductape = create({ worker: false, logger });
    let heard = 0;
    ductape.jobs.on('job.scheduled', () => void heard++);
    const inputs = Array.from({ length: 6_000 }, () => job('work'));
    const dispatched = [ductape.features.dispatchMany(inputs), ductape.features.dispatchMany(inputs)];
    // The blocked event loop takes no message.
    const until = Date.now() + 3_000;
    while (Date.now() < until);
    await Promise.all(dispatched);
    expect((await ductape.jobs.getStats()).total).toBe(12_000);
    expect(heard).toBe(10_000);
    expect(logger.messagesAt('warn')).toEqual([
      expect.stringMatching(/listeners of job events are too slow: 10000 events wait/),
    ]);
    await ductape.features.dispatch(job('work'));
    await ductape.jobs.getStats();
    expect(heard).toBe(10_001);
  });
});

it('changes of one job and of many emit events', async () => {
  const ductape = create({ worker: false });
  const told: string[] = [];
  for (const event of ['job.scheduled', 'job.cancelled', 'job.paused', 'job.resumed'] as const) {
    ductape.jobs.on(event, ({ job }) => void told.push(`${event} ${job.id} ${job.status}`));
  }
  const schedule = { start_at: Date.now() + 3_600_000 };
  for (const job_id of ['a', 'b']) await ductape.features.dispatch({ tag: 'later', input: {}, job_id, schedule });
  await ductape.jobs.pause('a');
  await ductape.jobs.resume('a');
  await ductape.jobs.reschedule('a', { start_at: Date.now() + 7_200_000 });
  await ductape.jobs.pauseMany({ all: true });
  await ductape.jobs.cancel('a');
  await ductape.jobs.cancelMany({ status: 'paused' });
  await ductape.jobs.deleteMany({ all: true });
  expect(told).toEqual([
    'job.scheduled a scheduled',
    'job.scheduled b scheduled',
    'job.paused a paused',
    'job.resumed a scheduled',
    'job.scheduled a scheduled',
    'job.paused b paused',
    'job.paused a paused',
    'job.cancelled a cancelled',
    'job.cancelled b cancelled',
  ]);
});
