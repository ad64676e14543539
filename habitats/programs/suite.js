// The same small suite for every test runner. What runners do not share stands before it: `Ductape`, `DuctapeError`, `assert`,
// `describe`, `it`, `afterEach`, and `fakeTimers`, which gives a function that brings the real ones back.
describe('jobs', () => {
  let ductape;
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const create = () => {
    ductape = new Ductape({ store: 'memory:', clock: 'manual', product: 'test', env: 'test', logger });
    return ductape;
  };
  afterEach(() => ductape.close());

  it('run by a handler', async () => {
    create().features.define('greet', (job) => `hello ${job.input.name}`);
    const { job_id } = await ductape.features.dispatch({ tag: 'greet', input: { name: 'Ann' } });
    assert.equal(await ductape.jobs.wait(job_id), 'hello Ann');
  });

  it('recur on a clock that is moved by hand', async () => {
    const days = [];
    create().features.define('daily', (job) => void days.push(new Date(job.scheduled_at).toISOString().slice(0, 10)));
    await ductape.clock.set('2030-01-01T00:00:00Z');
    await ductape.features.dispatch({ tag: 'daily', input: {}, schedule: { cron: '0 9 * * *' } });
    await ductape.clock.advance('P30D');
    assert.equal(days.length, 30);
    assert.equal(days[0], '2030-01-01');
  });

  it('are tried again, and fail with what the handler threw', async () => {
    let attempts = 0;
    create().features.define('breaks', () => {
      attempts++;
      throw new TypeError('no');
    });
    const { job_id } = await ductape.features.dispatch({ tag: 'breaks', input: {}, retries: 2 });
    await ductape.clock.advance('PT1H');
    assert.equal(attempts, 3);
    const error = await ductape.jobs.wait(job_id).catch((reason) => reason);
    assert.ok(error instanceof DuctapeError && error instanceof Error);
    assert.equal(error.message, 'no');
  });

  it('run under fake timers', async () => {
    const restore = fakeTimers();
    try {
      create().features.define('ticks', (job) => job.run);
      const { job_id } = await ductape.features.dispatch({ tag: 'ticks', input: {}, schedule: { delay: 60_000 } });
      await ductape.clock.advance('PT1M');
      assert.equal(await ductape.jobs.wait(job_id), 1);
    } finally {
      restore();
    }
  });

  it('hand on any number of listeners of their signal without a warning', async () => {
    const warnings = [];
    const listen = (warning) => warnings.push(String(warning));
    process.on('warning', listen);
    create().features.define('listens', (job) => {
      for (let i = 0; i < 50; i++) job.signal.addEventListener('abort', () => {});
    });
    const { job_id } = await ductape.features.dispatch({ tag: 'listens', input: {} });
    await ductape.jobs.wait(job_id);
    await new Promise((resolve) => setImmediate(resolve));
    process.removeListener('warning', listen);
    assert.deepEqual(warnings, []);
  });

  it('are refused by name when something is wrong with them', async () => {
    const error = await create()
      .features.dispatch({ tag: 5, input: {} })
      .catch((reason) => reason);
    assert.ok(error instanceof DuctapeError);
    assert.equal(error.code, 'VALIDATION_ERROR');
  });
});
