// The examples of the documentation, run verbatim.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Ductape, IDispatchResult, JobNamespaceName } from './support/ductape.js';
import { create, env, eventually, product, waitForFirstRun, recordingLogger } from './support/instances.js';

const markdown = await readFile(join(import.meta.dirname, 'fixtures/scheduling-jobs.md'), 'utf8');
const day = 86_400_000;

/** The code of each example by the heading above it. */
const examples = new Map(
  markdown
    .split(/^#{2,3} /m)
    .map((section) => [section.split('\n', 1)[0] ?? '', /^```ts\n(.*?)^```$/ms.exec(section)?.[1] ?? ''] as const)
    .filter(([, code]) => code.includes('.dispatch({')),
);

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (ductape: unknown, console: unknown) => Promise<IDispatchResult>;

interface Ran {
  job: IDispatchResult;
  logged: unknown[][];
}

/** Runs an example word for word. */
async function run(heading: string, ductape: unknown): Promise<Ran> {
  const logged: unknown[][] = [];
  const example = new AsyncFunction('ductape', 'console', `${examples.get(heading)}\nreturn job;`);
  const job = await example(ductape, { log: (...values: unknown[]) => logged.push(values) });
  return { job, logged };
}

type Dispatched = { namespace: JobNamespaceName; input: Record<string, unknown> };

/** The namespace and the input of each dispatch of an example. */
async function dispatchedBy(heading: string): Promise<Dispatched> {
  let dispatched: Dispatched | undefined;
  const space = (namespace: JobNamespaceName) => ({
    dispatch: async (input: Record<string, unknown>) => {
      dispatched = { namespace, input };
      return {};
    },
  });
  await run(heading, {
    actions: space('actions'),
    features: space('features'),
    notifications: space('notifications'),
    events: space('events'),
    databases: { ...space('databases'), action: space('databases.action') },
    graphs: space('graphs'),
  });
  if (!dispatched) throw new Error(`the example '${heading}' dispatches nothing`);
  return dispatched;
}

const namespacesOf = (ductape: Ductape) => ({
  actions: ductape.actions,
  features: ductape.features,
  notifications: ductape.notifications,
  storage: ductape.storage,
  events: ductape.events,
  'databases.action': ductape.databases.action,
  databases: ductape.databases,
  'graphs.action': ductape.graphs.action,
  graphs: ductape.graphs,
});

/** Hours and minutes of a time in a zone. */
const timeIn = (zone: string, at: number) =>
  new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeStyle: 'short' }).format(at);

interface Expected {
  status: IDispatchResult['status'];
  recurring: boolean;
  /** The first run, given when the dispatch began and ended; absent when there is none. */
  at?: (time: number, from: number, to: number) => void;
}

const atOnce = (time: number, from: number, to: number) => {
  expect(time).toBeGreaterThanOrEqual(from);
  expect(time).toBeLessThanOrEqual(to);
};
const dailyAt = (clock: string, zone: string) => (time: number, from: number) => {
  expect(timeIn(zone, time)).toBe(clock);
  expect(time % 60_000).toBe(0);
  expect(time).toBeGreaterThan(from);
  // A day has up to 25 hours.
  expect(time).toBeLessThanOrEqual(from + day + 3_600_000 + 60_000);
};

const documented: Record<string, Expected> = {
  'Quick Example': {
    status: 'scheduled',
    recurring: false,
    at: (time, from, to) => atOnce(time - 3_600_000, from, to),
  },
  'Run immediately': { status: 'queued', recurring: false, at: atOnce },
  // Its date has passed.
  'Schedule for a specific time': { status: 'queued', recurring: false, at: atOnce },
  'Recurring job with cron': { status: 'scheduled', recurring: true, at: dailyAt('09:00', 'America/New_York') },
  'Recurring job with interval': { status: 'queued', recurring: true, at: atOnce },
  'Limited recurring job': { status: 'queued', recurring: true, at: atOnce },
  // Its last day has passed.
  'Recurring job until a date': { status: 'scheduled', recurring: true },
  'With session data': { status: 'queued', recurring: false, at: atOnce },
  'Database operation dispatch': { status: 'scheduled', recurring: true, at: dailyAt('03:00', 'UTC') },
  'Graph operation dispatch': { status: 'scheduled', recurring: true, at: dailyAt('04:00', 'UTC') },
};

describe('the documented examples', () => {
  it('are all covered here', () => {
    expect([...examples.keys()]).toEqual(Object.keys(documented));
  });

  it.each(Object.entries(documented))('%s gives the documented result', async (heading, expected) => {
    const ductape = create({ product: 'unused', env: 'unused', worker: false });
    const from = Date.now();
    const { job } = await run(heading, ductape);
    const to = Date.now();

    const comes = expected.recurring && expected.at !== undefined;
    expect(Object.keys(job).sort()).toEqual([
      'job_id',
      ...(comes ? ['next_run_at'] : []),
      'recurring',
      'scheduled_at',
      'status',
    ]);
    expect(job.job_id).toMatch(/^job_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(job.status).toBe(expected.status);
    expect(job.recurring).toBe(expected.recurring);
    expect(Number.isInteger(job.scheduled_at)).toBe(true);
    expected.at?.(job.scheduled_at, from, to);
    if (comes) expect(job.next_run_at).toBe(job.scheduled_at);
  });

  it.each(Object.keys(documented))('%s stores the dispatched job', async (heading) => {
    const ductape = create({ worker: false });
    const { namespace, input } = await dispatchedBy(heading);
    const { job } = await run(heading, ductape);
    const stored = await ductape.jobs.get(job.job_id);
    const { env, product, input: payload, retries = 0, schedule, session, ...target } = input;
    expect(stored).toMatchObject({ id: job.job_id, namespace, env, product, target, retries });
    expect(stored.input).toEqual(payload);
    expect(stored.recurring).toBe(job.recurring);
    const { cron, every, limit, tz } = (schedule ?? {}) as Record<string, unknown>;
    expect([stored.cron, stored.every, stored.limit]).toEqual([cron, every, limit]);
    if (tz !== undefined) expect(stored.tz).toBe(tz);
    // A token is a credential: jobs must not show it.
    if (session) expect(JSON.stringify(stored)).not.toContain((session as { token: string }).token);
  });

  it('print the documented output', async () => {
    const ductape = create({ worker: false });
    const quick = await run('Quick Example', ductape);
    expect(quick.logged).toEqual([
      ['Job ID:', quick.job.job_id],
      ['Status:', 'scheduled'],
    ]);
    const cron = await run('Recurring job with cron', ductape);
    expect(cron.logged).toEqual([
      ['Recurring:', true],
      ['Next run:', cron.job.next_run_at],
    ]);
  });

  it('run in handlers at their time, with their input', async () => {
    const ductape = create();
    const seen = new Map<string, unknown>();
    for (const space of Object.values(namespacesOf(ductape))) {
      (space as Ductape['features']).handle({ product: '*', env: '*' }, (job) => {
        seen.set(job.id, job.input);
        return { done: job.namespace };
      });
    }
    for (const [heading, { status }] of Object.entries(documented)) {
      const { namespace, input } = await dispatchedBy(heading);
      const { job } = await run(heading, ductape);
      if (heading === 'With session data') {
        // Its token is a placeholder, so that its claims cannot be resolved.
        await eventually(async () => expect((await ductape.jobs.get(job.job_id)).error?.code).toBe('UNAUTHORIZED'));
      } else if (status === 'queued') {
        expect((await waitForFirstRun(ductape, job.job_id)).result).toEqual({ done: namespace });
        expect(seen.get(job.job_id)).toEqual(input.input);
      } else {
        expect(seen.has(job.job_id)).toBe(false);
      }
    }
  });

  it('with an end date in the past are stored as completed, with a warning', async () => {
    const logger = recordingLogger();
    const ductape = create({ worker: false, logger });
    const { job } = await run('Recurring job until a date', ductape);
    expect(await ductape.jobs.get(job.job_id)).toMatchObject({ status: 'completed', execution_count: 0 });
    expect(await ductape.jobs.get(job.job_id)).not.toHaveProperty('next_run_at');
    expect(logger.messagesAt('warn').join('\n')).toMatch(/endDate/);
  });
});

describe('the documented cron patterns', () => {
  const rows = [...markdown.matchAll(/^\| `([^`]+)` \| (Every|First) .*$/gm)].map(([, pattern]) => pattern as string);
  // A Monday.
  const from = '2026-03-02T10:20:00Z';
  const meanings: Record<string, string[]> = {
    '0 * * * *': ['2026-03-02T11:00Z', '2026-03-02T12:00Z'],
    '0 9 * * *': ['2026-03-03T09:00Z', '2026-03-04T09:00Z'],
    '0 0 * * 0': ['2026-03-08T00:00Z', '2026-03-15T00:00Z'],
    '0 0 1 * *': ['2026-04-01T00:00Z', '2026-05-01T00:00Z'],
    '*/15 * * * *': ['2026-03-02T10:30Z', '2026-03-02T10:45Z'],
    '0 9 * * 1': ['2026-03-09T09:00Z', '2026-03-16T09:00Z'],
  };

  it('are all covered here', () => {
    expect(rows).toEqual(Object.keys(meanings));
  });

  it.each(Object.entries(meanings))('%s means what the table says', async (cron, times) => {
    const found = await create().jobs.preview({ cron }, { from, count: 2 });
    expect(found).toEqual(times.map((time) => Date.parse(time)));
  });
});

describe('the nine namespaces', () => {
  const targets: Record<JobNamespaceName, Record<string, string>> = {
    actions: { app: 'email-service', event: 'send' },
    features: { tag: 'report' },
    notifications: { notification: 'reminders', event: 'send' },
    storage: { storage: 'files', event: 'upload' },
    events: { broker: 'kafka', event: 'publish' },
    'databases.action': { database: 'stock', event: 'sync' },
    databases: { database: 'stock', operation: 'deleteMany' },
    'graphs.action': { graph: 'people', event: 'link' },
    graphs: { graph: 'people', operation: 'deleteNodes' },
  };
  const inputs: Partial<Record<JobNamespaceName, unknown>> = {
    storage: { fileName: 'a.txt' },
    events: { message: { a: 1 } },
  };

  it.each(Object.entries(targets))('%s dispatches to the handler of its target', async (name, target) => {
    const ductape = create();
    const space = namespacesOf(ductape)[name as JobNamespaceName] as Ductape['features'];
    const input = inputs[name as JobNamespaceName] ?? {};
    const others: string[] = [];
    for (const [other, each] of Object.entries(namespacesOf(ductape))) {
      if (other !== name) (each as Ductape['features']).handle({}, () => void others.push(other));
    }
    // The job's own fields come back as the result.
    space.handle(target as { tag: string }, (job) => ({ ...job }));
    const { job_id } = await space.dispatch({ ...target, input } as never);
    expect(await ductape.jobs.wait(job_id, { timeout: 10_000 })).toMatchObject({
      id: job_id,
      namespace: name,
      product,
      env,
      input,
      ...target,
    });
    expect(others).toEqual([]);
    expect((await ductape.jobs.get(job_id)).target).toEqual(target);
  });

  it('have aliases that are the same objects', () => {
    const ductape = create();
    expect(ductape.api).toBe(ductape.actions);
    expect(ductape.feature).toBe(ductape.features);
    expect(ductape.database).toBe(ductape.databases);
    expect(ductape.graph).toBe(ductape.graphs);
  });

  it('have methods that work detached from their object', async () => {
    const ductape = create({ worker: false });
    const { dispatch } = ductape.features;
    const { get } = ductape.jobs;
    const { job_id } = await dispatch({ tag: 'report', input: {} });
    expect((await get(job_id)).id).toBe(job_id);
  });
});
