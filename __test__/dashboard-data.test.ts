// What the dashboard answers: pages of jobs, search, redaction, parameters of any kind, on each kind of store.
import { describe, expect, it } from 'vitest';
import { ask, byHeader, readEvents, serve, signIn } from './support/dashboard.js';
import type { IJob, IWebhookInput } from './support/ductape.js';
import { create, eventually, job, recordingLogger } from './support/instances.js';
import { sharedStores } from './support/stores.js';

const secrets = {
  redact: [
    'input.password',
    'input.cards.*.number',
    'input.**.pin',
    'result.token',
    '*.secret',
    'error.message',
    'logs',
    'progress.key',
  ],
};
/** What must not leave: each a text of its own. */
const hidden = [
  'pw-1',
  'card-1',
  'card-2',
  'pin-1',
  'pin-2',
  'token-1',
  'secret-1',
  'secret-2',
  'why-1',
  'log-1',
  'key-1',
];
const shown = ['order-1', 'holder-1', 'not-pin', 'done-1'];

describe('redact', () => {
  const asked = async (redact: string[]) => {
    const ductape = create({ logger: recordingLogger() });
    ductape.features.define('breaks', (job) => {
      job.log('log-1');
      throw Object.assign(new Error('why-1', { cause: new Error('cause-1') }), { code: 'CODE-1' });
    });
    const input = JSON.parse('{"a":{"__proto__":{"b":1},"c":[{"d":2},3]},"e":"f"}');
    await ductape.features.dispatch(job('breaks', { job_id: 'job-1', input, retries: 0 }));
    await ductape.drain();
    const {
      job: found,
      logs,
      explanation,
      history,
    } = (await ask(await serve(ductape, { redact }), '/api/jobs/job-1')).json;
    return { found, logs, explanation, history, input: JSON.stringify(found.input) };
  };

  it.each([
    ['input', '"[redacted]"'],
    ['input.*', '{"a":"[redacted]","e":"[redacted]"}'],
    ['input.a', '{"a":"[redacted]","e":"f"}'],
    ['input.a.c.0', '{"a":{"__proto__":{"b":1},"c":["[redacted]",3]},"e":"f"}'],
    ['input.a.c.*.d', '{"a":{"__proto__":{"b":1},"c":[{"d":"[redacted]"},3]},"e":"f"}'],
    ['input.a.__proto__.b', '{"a":{"__proto__":{"b":"[redacted]"},"c":[{"d":2},3]},"e":"f"}'],
    ['input.**.d', '{"a":{"__proto__":{"b":1},"c":[{"d":"[redacted]"},3]},"e":"f"}'],
    ['input.**.**.d', '{"a":{"__proto__":{"b":1},"c":[{"d":"[redacted]"},3]},"e":"f"}'],
    ['*.**.b', '{"a":{"__proto__":{"b":"[redacted]"},"c":[{"d":2},3]},"e":"f"}'],
    ['input.x.y', '{"a":{"__proto__":{"b":1},"c":[{"d":2},3]},"e":"f"}'],
    ['result.a', '{"a":{"__proto__":{"b":1},"c":[{"d":2},3]},"e":"f"}'],
  ])('takes out what %s names', async (path, expected) => {
    expect((await asked([path])).input).toBe(expected);
  });

  it('keeps the form of errors and logs that go as a whole', async () => {
    const { found, logs, history, explanation } = await asked(['error', 'logs']);
    const hiddenError = { code: '[redacted]', message: '[redacted]' };
    expect([found.error, found.last_error, history.executions[0].error]).toEqual([
      hiddenError,
      '[redacted]',
      hiddenError,
    ]);
    expect(logs).toMatchObject([{ run: 1, message: '[redacted]' }]);
    expect(JSON.stringify(explanation)).not.toContain('why-1');
    const { found: other } = await asked(['error.cause']);
    expect([other.error.cause, other.error.message]).toEqual(['[redacted]', 'why-1']);
    const { found: third } = await asked(['error.message']);
    expect([third.error.code, third.error.message, third.error.cause.message]).toEqual([
      'CODE-1',
      '[redacted]',
      '[redacted]',
    ]);
    expect(third.error.stack).toMatch(/^\[redacted\]\n {4}at /);
  });
});

describe('the page of recurring jobs', () => {
  it('has the runs of the last day with how late they began, what was missed, and what comes', async () => {
    const hour = 3_600_000;
    const ductape = create({ clock: { manual: true, at: '2030-01-01T00:00:00Z' } });
    let breaks = false;
    ductape.features.define('ticks', () => {
      if (breaks) throw new Error('no luck');
    });
    const at = Date.parse('2030-01-01T01:00:00Z');
    await ductape.features.dispatch(job('ticks', { job_id: 'hourly', schedule: { every: hour, start_at: at } }));
    await ductape.features.dispatch(job('ticks', { job_id: 'nightly', schedule: { cron: '0 3 * * *' } }));
    await ductape.features.dispatch(job('ticks', { job_id: 'often', schedule: { cron: '* * * * *' } }));
    await ductape.start({ signals: false });
    await ductape.clock.advance(30 * hour);
    await ductape.jobs.pause('hourly');
    await ductape.clock.advance(3 * hour);
    await ductape.jobs.resume('hourly');
    breaks = true;
    await ductape.clock.advance(hour + hour / 2);
    await ductape.jobs.runNow('nightly');
    await ductape.clock.advance(1);
    const { jobs } = (await ask(await serve(ductape), '/api/recurring')).json;
    const row = (id: string) => jobs.find((each: { job: IJob }) => each.job.id === id);
    const now = ductape.clock.now();
    const hourly = row('hourly');
    expect(hourly.past).toHaveLength(21);
    for (const run of hourly.past)
      expect([run.late_ms, run.at % hour, run.at >= now - 24 * hour]).toEqual([0, 0, true]);
    expect(hourly.past.at(-1).status).toBe('failed');
    expect(hourly.gaps).toMatchObject([{ count: 3, reason: 'paused' }]);
    expect([hourly.next.length, hourly.next[0]]).toEqual([24, Date.parse('2030-01-02T11:00:00Z')]);
    const nightly = row('nightly').past;
    expect(
      nightly.map(({ at, late_ms: late }: { at: number; late_ms?: number }) => [new Date(at).toISOString(), late]),
    ).toEqual([
      ['2030-01-02T03:00:00.000Z', 0],
      ['2030-01-02T10:30:00.000Z', undefined],
    ]);
    const often = row('often').past;
    expect([often.length, often.every((run: { late_ms: number }) => run.late_ms === 0)]).toEqual([200, true]);
    await ductape.close();
  });
});

describe.each(sharedStores)('a dashboard of $kind', ({ unavailable, make }) => {
  it.skipIf(unavailable)('lets nothing leave that is redacted, on any way', async () => {
    const ductape = create({ store: await make(), logger: recordingLogger() });
    ductape.features.define('pays', (job) => {
      job.log('log-1');
      job.progress({ key: 'key-1', done: 'done-1' });
      if (job.attempt === 1 && job.id === 'paid-1') throw new Error('why-1');
      return { token: 'token-1', order: 'order-1', secret: 'secret-2' };
    });
    ductape.features.define('breaks', () => {
      throw new Error('why-1', { cause: new Error('holder-1') });
    });
    const input = {
      password: 'pw-1',
      order: 'order-1',
      secret: 'secret-1',
      cards: [
        { number: 'card-1', holder: 'holder-1' },
        { number: 'card-2', pin: 'pin-1' },
      ],
      deep: { deeper: [{ pin: { code: 'pin-2' } }], pin_code: 'not-pin' },
    };
    const url = await serve(ductape, secrets);
    const texts: string[] = [];
    const listening = readEvents(url, '/api/live', {}, (events) => events.filter((e) => e.event === 'job').length >= 6);
    await ductape.features.dispatch(
      job('pays', { job_id: 'paid-1', input, retries: 1, retryConfig: { initialDelay: 0 } }),
    );
    await ductape.features.dispatch(job('breaks', { job_id: 'broken-1', input }));
    await ductape.features.dispatch(job('breaks', { job_id: 'series-1', input, schedule: { every: 3_600_000 } }));
    await ductape.drain();
    await ductape.drain();
    texts.push(JSON.stringify((await listening).events));
    for (const path of [
      '/api/jobs',
      '/api/jobs?search=order-1',
      '/api/jobs/paid-1',
      '/api/jobs/broken-1',
      '/api/jobs/series-1',
      '/api/jobs/paid-1/history',
      '/api/recurring',
      '/api/failures',
      '/api/overview',
      '/api/targets',
    ]) {
      const { status, text } = await ask(url, path);
      expect([path, status]).toEqual([path, 200]);
      texts.push(text);
    }
    const ann = await signIn(url);
    texts.push((await ann.post('/api/jobs/series-1/pause')).text);
    const all = texts.join('\n');
    for (const text of hidden) expect([text, all.includes(text)]).toEqual([text, false]);
    for (const text of shown) expect([text, all.includes(text)]).toEqual([text, true]);
    expect(all).toContain('[redacted]');
    for (const text of hidden) expect((await ask(url, `/api/jobs?search=${text}`)).json.jobs).toEqual([]);
    // Nor do names of what is redacted change what is found.
    expect((await ask(url, '/api/jobs?search=ORDER-1')).json.jobs).toHaveLength(3);
  });

  it.skipIf(unavailable)('pages jobs, counts them, and finds them by each condition', async () => {
    const ductape = create({ store: await make() });
    const inputs = Array.from({ length: 25 }, (_, at) =>
      job(at % 2 === 0 ? 'even' : 'odd', {
        job_id: `job-${at}`,
        tags: [`t${at % 3}`, 'all'],
        input: { text: `said "${at}"` },
      }),
    );
    await ductape.features.dispatchMany(inputs);
    const url = await serve(ductape);
    const found = async (query: string) => (await ask(url, `/api/jobs?${query}`)).json;
    const first = await found('limit=10');
    expect([first.jobs.length, first.total, first.total_exact]).toEqual([10, 25, true]);
    expect(first.jobs[0]).not.toHaveProperty('input');
    const second = await found(`limit=20&cursor=${encodeURIComponent(first.next)}`);
    const ids = [...first.jobs, ...second.jobs].map(({ id }: { id: string }) => id);
    expect([new Set(ids).size, second.next]).toEqual([25, undefined]);
    expect(await found('target.tag=even')).toMatchObject({ total: 13, total_exact: true });
    expect(await found('tag=t0&tag=all')).toMatchObject({ total: 9, total_exact: true });
    expect((await found('status=queued&status=failed')).total).toBe(25);
    expect((await found('recurring=true')).jobs).toEqual([]);
    expect((await found('recurring=false&limit=200')).jobs).toHaveLength(25);
    expect((await found('status=failed,completed')).total).toBe(0);
    expect((await found(`from=${Date.now() + 60_000}`)).total).toBe(0);
    expect((await found('env=prd')).total).toBe(0);
    const quoted = await found(`search=${encodeURIComponent('said "7"')}`);
    expect(quoted).toMatchObject({ jobs: [{ id: 'job-7' }], searched: 25, cut: false });
    const some = await found('search=said&limit=3');
    expect([some.jobs.length, some.cut]).toEqual([3, false]);
    const others = await found(`search=said&limit=200&cursor=${encodeURIComponent(some.next)}`);
    expect([others.jobs.length, others.next]).toEqual([22, undefined]);
  });

  it.skipIf(unavailable)('tells what each page shows', async () => {
    const ductape = create({ store: await make() });
    ductape.features.define('works', () => 'done', { concurrency: 3 });
    await ductape.features.dispatch(job('works', { job_id: 'once-1' }));
    await ductape.features.dispatch(job('works', { job_id: 'series-1', schedule: { every: 3_600_000, limit: 3 } }));
    await ductape.drain();
    await ductape.features.dispatch(job('waits', { job_id: 'waits-1' }));
    const hook: IWebhookInput = {
      url: 'https://a.example/hook?key=hush',
      events: ['job.failed'],
      secret: 'x'.repeat(32),
    };
    const { id: webhook } = await ductape.jobs.setWebhook(hook);
    const url = await serve(ductape);
    const get = async (path: string) => (await ask(url, path)).json;
    const target = { namespace: 'features', product: 'shop', env: 'test' };
    expect(await get('/api/overview')).toMatchObject({
      range: '1h',
      stats: { total: 3, completed: 1, queued: 1, scheduled: 1 },
      figures: { resolution: 'minute', total: { dispatched: 3, completed: 2 } },
      depth: [{ ...target, target: { tag: 'waits' }, queued: 1 }],
      processes: [{ state: 'alive' }],
      lateness: { count: 2 },
    });
    expect(await get('/api/jobs/series-1')).toMatchObject({
      job: { id: 'series-1', input: {}, result: 'done' },
      history: { total_executions: 1, executions: [{ status: 'completed', result: 'done' }] },
      explanation: { status: 'scheduled', reasons: [{ code: 'NOT_DUE' }] },
      next: [expect.any(Number), expect.any(Number)],
      can: ['cancel', 'pause', 'run-now', 'skip-next', 'reschedule', 'delete'],
    });
    expect((await get('/api/jobs/once-1')).can).toEqual(['delete']);
    expect((await get('/api/jobs/waits-1')).can).toEqual(['cancel', 'pause', 'reschedule', 'delete']);
    const { jobs } = await get('/api/recurring');
    expect(jobs).toMatchObject([{ job: { id: 'series-1' }, past: [{ status: 'completed' }], gaps: [] }]);
    expect([jobs[0].next.length, jobs[0].past[0].late_ms >= 0, jobs[0].past[0].late_ms < 10_000]).toEqual([
      2,
      true,
      true,
    ]);
    const { targets } = await get('/api/targets');
    expect(targets).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ target: { tag: 'works' }, handled_here: true, counts: expect.any(Object) }),
        expect.objectContaining({
          target: { tag: 'waits' },
          handled_here: false,
          counts: expect.objectContaining({ queued: 1 }),
        }),
      ]),
    );
    // A process tells of its handlers with a renewal of its registration.
    await eventually(async () => {
      expect((await get('/api/processes')).processes).toMatchObject([
        {
          here: true,
          pid: process.pid,
          version: ductape.version.package,
          handlers: [{ target: { tag: 'works' }, concurrency: 3 }],
        },
      ]);
    });
    await eventually(async () => {
      const works = (await get('/api/targets')).targets.find(({ target }: IJob) => target.tag === 'works');
      expect(works.concurrency).toBe(3);
    });
    const plain = await ask(url, '/metrics');
    expect([plain.status, plain.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(plain.text).toMatch(/^# (HELP|TYPE) ductape_/);
    const open = await ask(url, '/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
    expect([open.headers['content-type']?.split(';')[0], open.text]).toEqual([
      'application/openmetrics-text',
      expect.stringMatching(/# EOF\n$/),
    ]);
    const ann = await signIn(url);
    const { webhooks } = await get('/api/webhooks');
    expect(webhooks).toMatchObject([{ id: webhook, url: 'https://a.example/…', secret: '****' }]);
    expect((await ann.delete(`/api/webhooks/${webhook}`)).status).toBe(200);
    expect((await ann.delete(`/api/webhooks/${webhook}`)).status).toBe(404);
    expect((await get('/api/audit')).entries).toMatchObject([
      { who: 'loopback', action: 'delete webhook', detail: { id: webhook } },
    ]);
  });

  it.skipIf(unavailable)(
    'groups failures by target and code, and retries 10,000 of them',
    { timeout: 120_000 },
    async () => {
      const ductape = create({ store: await make(), logger: recordingLogger(), worker: { concurrency: 100 } });
      let isMended = false;
      ductape.features.define('mails', () => {
        if (!isMended) throw Object.assign(new Error('the server is down'), { code: 'VALIDATION_ERROR' });
      });
      await ductape.features.dispatchMany(Array.from({ length: 10_000 }, () => job('mails', { tags: ['newsletter'] })));
      await ductape.drain();
      const url = await serve(ductape, { authorize: byHeader });
      const ann = await signIn(url, { 'x-user': 'ann' });
      const { groups, cut } = (await ann.get('/api/failures')).json;
      expect([groups.length, cut]).toEqual([1, true]);
      expect(groups[0]).toMatchObject({
        code: 'VALIDATION_ERROR',
        count: 500,
        sample: { message: 'the server is down' },
      });
      const filter = { tags: ['newsletter'], target: groups[0].target };
      const asked = { action: 'retry', filter };
      expect((await ann.post('/api/bulk', { ...asked, dry_run: true })).json).toEqual({ count: 10_000, exact: true });
      expect((await ductape.jobs.getStats()).failed).toBe(10_000);
      isMended = true;
      let count = 0;
      for (let more = true; more; ) {
        const { status, json } = await ann.post('/api/bulk', asked);
        expect(status).toBe(200);
        count += json.count;
        more = json.more === true;
      }
      expect(count).toBe(10_000);
      await ductape.drain();
      expect(await ductape.jobs.getStats()).toMatchObject({ failed: 0, completed: 10_000 });
      expect((await ann.get('/api/audit')).json.entries.at(-1)).toMatchObject({
        who: 'ann',
        action: 'retry many',
        detail: { jobs: 10_000, filter: { tags: ['newsletter'] } },
      });
    },
  );

  it.skipIf(unavailable)('takes back what many were changed to, and those alone', async () => {
    const ductape = create({ store: await make() });
    await ductape.features.dispatchMany(Array.from({ length: 30 }, (_, at) => job('waits', { job_id: `job-${at}` })));
    await ductape.jobs.pause('job-0');
    const url = await serve(ductape);
    const ann = await signIn(url);
    const paused = (await ann.post('/api/bulk', { action: 'pause', filter: { target: { tag: 'waits' } } })).json;
    expect([paused.count, paused.undo.action, paused.undo.ids.length]).toEqual([29, 'resume', 29]);
    expect((await ductape.jobs.getStats()).paused).toBe(30);
    expect((await ann.post('/api/bulk', paused.undo)).json.count).toBe(29);
    expect((await ductape.jobs.list({ status: 'paused' })).jobs).toMatchObject([{ id: 'job-0' }]);
    const one = (await ann.post('/api/jobs/job-1/pause')).json;
    expect([one.job.status, one.undo]).toEqual(['paused', { action: 'resume', body: {} }]);
    expect((await ann.post(`/api/jobs/job-1/${one.undo.action}`, one.undo.body)).json.job.status).toBe('queued');
    const gone = (await ann.post('/api/jobs/job-2/cancel', { reason: 'a mistake' })).json;
    expect(gone.job).toMatchObject({ status: 'cancelled', cancel_reason: 'a mistake' });
    expect((await ann.post(`/api/jobs/job-2/${gone.undo.action}`, gone.undo.body)).json.job.status).toBe('queued');
    const series = { every: 3_600_000, start_at: Date.now() + 3_600_000 };
    await ductape.features.dispatch(job('ticks', { job_id: 'series-1', schedule: { ...series, limit: 9 } }));
    for (const [id, changes] of [
      ['series-1', { cron: '0 3 * * *', tz: 'Europe/Lisbon', limit: 5 }],
      ['series-1', { every: 60_000 }],
      ['series-1', { spread: 1_000 }],
      ['job-5', { start_at: Date.now() + 7_200_000 }],
      ['job-6', { delay: 7_200_000 }],
    ] as const) {
      const before = await ductape.jobs.get(id);
      const { undo, job: changed } = (await ann.post(`/api/jobs/${id}/reschedule`, { changes })).json;
      expect(changed.schedule).not.toEqual(before.schedule);
      const { status, text } = await ann.post(`/api/jobs/${id}/${undo.action}`, undo.body);
      expect([changes, status, text]).toEqual([changes, 200, text]);
      const after = await ductape.jobs.get(id);
      // What was due before is due again, now.
      if (id === 'series-1') expect(after.schedule).toEqual(before.schedule);
      else expect(after.scheduled_at).toBeLessThanOrEqual(Date.now());
    }
    const named = { action: 'delete', ids: ['job-3', 'job-4', 'job-4', 'none'] };
    expect((await ann.post('/api/bulk', named)).json).toEqual({ count: 2, exact: true });
    expect((await ann.post('/api/bulk', { action: 'resume', filter: { status: ['queued'] } })).json.count).toBe(0);
  });
});
