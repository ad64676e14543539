// Other names and forms of the public documentation: each means the same as the one that the types describe.
import { describe, expect, it } from 'vitest';
import {
  create,
  env,
  eventually,
  job,
  problemPaths,
  product,
  recordingLogger,
  rejection,
} from './support/instances.js';
import { script } from './support/processes.js';

const MINUTE = 60_000;

/** An instance at a time that stands still. */
const standing = () => create({ clock: { manual: true, at: '2026-03-02T08:00:00Z' } });

describe('a target', () => {
  const forms: [string, string, string, object, object][] = [
    ['features', 'tag', 'feature', { tag: 'x' }, {}],
    ['features', 'tag', 'workflow', { tag: 'x' }, {}],
    ['features', 'tag', 'feature_tag', { tag: 'x' }, {}],
    ['workflows', 'tag', 'workflow', { tag: 'x' }, {}],
    ['actions', 'event', 'action', { app: 'a', event: 'x' }, {}],
    ['api', 'event', 'action', { app: 'a', event: 'x' }, {}],
    ['databases.action', 'event', 'action', { database: 'd', event: 'x' }, {}],
    ['databases', 'operation', 'action', { database: 'd', operation: 'insert' }, { table: 't', data: {} }],
    ['graphs.action', 'event', 'action', { graph: 'g', event: 'x' }, {}],
    ['graphs', 'operation', 'action', { graph: 'g', operation: 'findNodes' }, {}],
  ];

  it.each(forms)('of %s has its `%s` as `%s`', async (namespace, name, alias, target, input) => {
    const ductape = create({ worker: false });
    const [outer, inner] = namespace.split('.') as [string, string?];
    const found = (ductape as unknown as Record<string, Record<string, unknown>>)[outer] as never;
    const { dispatch } = (inner ? (found as Record<string, never>)[inner] : found) as unknown as {
      dispatch(input: object): Promise<{ job_id: string }>;
    };
    const { [name]: value, ...others } = target as Record<string, string>;
    const { job_id } = await dispatch({ ...others, [alias]: value, input });
    const job = await ductape.jobs.get(job_id);
    expect(job.target).toEqual(target);
    const both = await rejection(dispatch({ ...target, [alias]: value, input }));
    expect([both.code, problemPaths(both)]).toEqual(['VALIDATION_ERROR', [alias]]);
    expect(both.message).toBe(`${alias}: is the same as \`${name}\`; give one of them`);
    // A problem is named as the caller wrote it.
    expect(problemPaths(await rejection(dispatch({ ...others, [alias]: 7, input })))).toEqual([alias]);
  });
});

describe('a schedule', () => {
  it('is the text of its cron', async () => {
    const ductape = standing();
    const { job_id } = await ductape.features.dispatch(job('f', { job_id: 'a', schedule: '30 8 * * *' }));
    expect((await ductape.jobs.get(job_id)).schedule).toEqual({ cron: '30 8 * * *', tz: 'UTC' });
    expect(await ductape.jobs.preview('30 8 * * *', { count: 1 })).toEqual([Date.parse('2026-03-02T08:30Z')]);
    const { next_run_at } = await ductape.jobs.reschedule(job_id, '45 8 * * *');
    expect(next_run_at).toBe(Date.parse('2026-03-02T08:45Z'));
    const wrong = await rejection(ductape.features.dispatch(job('f', { schedule: '61 * * * *' })));
    expect([wrong.code, problemPaths(wrong)]).toEqual(['INVALID_CRON', ['schedule.cron']]);
  });

  it('has its `tz` as `timezone` and its `start_at` as `at`', async () => {
    const ductape = standing();
    const at = new Date('2026-03-03T00:00:00Z');
    const { job_id } = await ductape.features.dispatch(
      job('f', { schedule: { cron: '0 9 * * *', timezone: 'Asia/Tokyo', at } }),
    );
    const { schedule, next_run_at } = await ductape.jobs.get(job_id);
    expect(schedule).toMatchObject({ cron: '0 9 * * *', tz: 'Asia/Tokyo', start_at: at.getTime() });
    expect(next_run_at).toBe(at.getTime());
    await ductape.jobs.reschedule(job_id, { timezone: 'Europe/Berlin' });
    expect((await ductape.jobs.get(job_id)).schedule).toMatchObject({ cron: '0 9 * * *', tz: 'Europe/Berlin' });
    await ductape.jobs.reschedule(job_id, { timezone: null });
    expect((await ductape.jobs.get(job_id)).schedule?.tz).toBe('UTC');
    const both = { cron: '0 9 * * *', timezone: 'UTC', tz: 'UTC' };
    const calls = [
      () => ductape.features.dispatch(job('f', { schedule: both })),
      () => ductape.jobs.reschedule(job_id, both),
      () => ductape.jobs.preview(both),
    ];
    for (const call of calls) expect(problemPaths(await rejection(call()))).toEqual(['schedule.timezone']);
    const unknown = await rejection(
      ductape.features.dispatch(job('f', { schedule: { ...both, tz: undefined as never, timezone: 'Nowhere' } })),
    );
    expect([unknown.code, problemPaths(unknown)]).toEqual(['INVALID_TIMEZONE', ['schedule.timezone']]);
  });

  it('has a `delay` from the dispatch', async () => {
    const ductape = standing();
    const now = ductape.clock.now();
    const once = await ductape.features.dispatch(job('f', { schedule: { delay: MINUTE } }));
    expect(once).toMatchObject({ scheduled_at: now + MINUTE, status: 'scheduled', recurring: false });
    const series = await ductape.features.dispatch(job('f', { schedule: { delay: MINUTE, every: 2 * MINUTE } }));
    expect(series.next_run_at).toBe(now + MINUTE);
    expect(await ductape.jobs.preview({ delay: MINUTE, every: 2 * MINUTE }, { count: 2 })).toEqual([
      now + MINUTE,
      now + 3 * MINUTE,
    ]);
    expect((await ductape.jobs.reschedule(once.job_id, { delay: 5 * MINUTE })).scheduled_at).toBe(now + 5 * MINUTE);
    for (const schedule of [{ delay: -1 }, { delay: 1, start_at: now }, { delay: '1s' as never }]) {
      expect(problemPaths(await rejection(ductape.features.dispatch(job('f', { schedule }))))).toEqual([
        'schedule.delay',
      ]);
    }
  });

  it('takes a `Date` where a time is taken', async () => {
    const ductape = standing();
    const [from, to] = [new Date('2026-03-02T10:00:00Z'), new Date('2026-03-02T12:00:00Z')];
    const { job_id } = await ductape.features.dispatch(
      job('f', { schedule: { every: 60 * MINUTE, start_at: from, endDate: to } }),
    );
    expect((await ductape.jobs.get(job_id)).end_date).toBe(to.getTime());
    const created = new Date(ductape.clock.now());
    expect((await ductape.jobs.list({ from: created, to: from })).jobs).toHaveLength(1);
    expect((await ductape.jobs.list({ from })).jobs).toEqual([]);
    expect(await ductape.jobs.preview({ every: 60 * MINUTE, endDate: to }, { from })).toHaveLength(3);
  });
});

it('`retries` and `timeout` stand in `options`, too', async () => {
  const ductape = create();
  ductape.features.define('f', () => new Promise(() => {}));
  const given = { retries: 1, timeout: 20 };
  const { job_id } = await ductape.features.dispatch(job('f', { options: given, retryConfig: { initialDelay: 1 } }));
  expect((await rejection(ductape.jobs.wait(job_id))).code).toBe('TIMEOUT');
  expect(await ductape.jobs.get(job_id)).toMatchObject({
    retries: 1,
    retry_count: 1,
    last_error: expect.stringContaining('20 ms'),
  });
  const both = await rejection(ductape.features.dispatch(job('f', { retries: 1, options: { retries: 3 } })));
  expect(problemPaths(both)).toEqual(['options.retries']);
  const unknown = await rejection(ductape.features.dispatch(job('f', { options: { retry: 3 } as never })));
  expect(problemPaths(unknown)).toEqual(['options.retry']);
});

it.each([
  ['actions', ['actions', 'api', 'action']],
  ['features', ['features', 'feature', 'workflows', 'workflow']],
  ['events', ['events', 'event', 'publish', 'broker']],
  ['databases', ['databases', 'database']],
  ['databases.action', ['databases.action', 'database.action', 'database_action']],
  ['graphs', ['graphs', 'graph']],
  ['graphs.action', ['graphs.action', 'graph.action', 'graph_action']],
  ['notifications', ['notifications', 'notification']],
])('jobs of %s are listed by the names %j', async (namespace, names) => {
  const ductape = create({ worker: false });
  await ductape.actions.dispatch({ app: 'a', event: 'e', input: {} });
  await ductape.features.dispatch(job('f'));
  await ductape.events.dispatch({ broker: 'b', event: 'e', input: { message: {} } });
  await ductape.databases.dispatch({ database: 'd', operation: 'insert', input: { table: 't', data: {} } });
  await ductape.databases.action.dispatch({ database: 'd', event: 'e', input: {} });
  await ductape.graphs.dispatch({ graph: 'g', operation: 'findNodes', input: {} });
  await ductape.graphs.action.dispatch({ graph: 'g', event: 'e', input: {} });
  await ductape.notifications.dispatch({ notification: 'n', event: 'e', input: {} });
  for (const name of names) {
    const { jobs } = await ductape.jobs.list({ namespace: name as never });
    expect(jobs.map((job) => job.namespace)).toEqual([namespace]);
  }
  expect(problemPaths(await rejection(ductape.jobs.list({ namespace: 'job' as never })))).toEqual(['namespace']);
});

describe('cancel, pause and resume', () => {
  it('resolve with the job, also when it is in that state', async () => {
    const ductape = create({ worker: false });
    const { job_id } = await ductape.features.dispatch(job('f', { schedule: { delay: MINUTE, every: MINUTE } }));
    const { jobs } = ductape;
    for (const [verb, status] of [
      ['resume', 'scheduled'],
      ['pause', 'paused'],
      ['pause', 'paused'],
      ['resume', 'scheduled'],
      ['resume', 'scheduled'],
      ['cancel', 'cancelled'],
      ['cancel', 'cancelled'],
    ] as const) {
      const changed = await jobs[verb](job_id);
      expect(changed).toMatchObject({ id: job_id, status });
      expect(changed).toEqual(await jobs.get(job_id));
    }
    for (const verb of ['pause', 'resume'] as const) {
      expect((await rejection(jobs[verb](job_id))).code).toBe('CONFLICT');
      expect((await rejection(jobs[verb]('nobody'))).code).toBe('NOT_FOUND');
    }
  });

  it('of what has ended otherwise is a conflict', async () => {
    const ductape = create();
    ductape.features.define('f', () => {});
    const { job_id } = await ductape.features.dispatch(job('f'));
    await ductape.jobs.wait(job_id);
    for (const verb of ['cancel', 'pause', 'resume'] as const) {
      expect((await rejection(ductape.jobs[verb](job_id))).code).toBe('CONFLICT');
    }
  });

  it('of all jobs needs no condition but for cancel', async () => {
    const ductape = create({ worker: false });
    for (const id of ['a', 'b'])
      await ductape.features.dispatch(job('f', { job_id: id, schedule: { delay: MINUTE, every: MINUTE } }));
    expect(await ductape.jobs.pauseMany({})).toEqual({ count: 2 });
    expect((await ductape.jobs.get('a')).status).toBe('paused');
    expect(await ductape.jobs.resumeMany({})).toEqual({ count: 2 });
    expect((await ductape.jobs.get('a')).status).toBe('scheduled');
    expect((await rejection(ductape.jobs.cancelMany({}))).code).toBe('VALIDATION_ERROR');
    expect((await rejection(ductape.jobs.pauseMany({ status: [] }))).code).toBe('VALIDATION_ERROR');
  });
});

it('options of the hosted service are ignored, with one warning a process', async () => {
  const source = `
    import Ductape from 'ductape';
    const options = {
      accessKey: 'key', workspace_id: 'w', user_id: 'u', private_key: 'k', public_key: 'p', redis_url: 'redis://x',
      store: 'memory:', product: '${product}', env: '${env}',
      logger: { debug() {}, info() {}, warn: (line) => console.log('warned', line), error: console.error },
    };
    await new Ductape(options).close();
    await new Ductape(options).close();
    console.log('done');
  `;
  const run = script(source, []);
  await eventually(() => expect(run.lines).toContain('done'));
  await run.ended;
  const warnings = run.lines.filter((line) => line.startsWith('warned'));
  expect(warnings).toEqual([
    expect.stringMatching(
      /accessKey, public_key, private_key, user_id, workspace_id, redis_url: options of the hosted/,
    ),
  ]);
  expect(warnings.join()).not.toContain('redis://');
});

it('a short secret of a webhook is taken with a warning that does not show it', async () => {
  const logger = recordingLogger();
  const ductape = create({ logger, worker: false });
  const webhook = { url: 'https://example.com/hooks', events: ['job.failed'] as const, secret: 'hunter2' };
  expect(await ductape.jobs.setWebhook(webhook)).toMatchObject({ status: 'enabled' });
  await eventually(() =>
    expect(logger.messagesAt('warn')).toEqual([
      expect.stringMatching(/webhook for example.com: its secret is a key of 7 bytes, which can be guessed/),
    ]),
  );
  expect(logger.lines.join()).not.toContain('hunter2');
});
