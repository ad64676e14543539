// Options of other queues are told apart from misspelt ones: the error names what does it here.
import { describe, expect, it } from 'vitest';
import { Ductape } from './support/ductape.js';
import { create, job, rejection } from './support/instances.js';

/** The message about one option that nothing knows. */
async function told(call: () => unknown, path: string): Promise<string> {
  const { code, details } = await rejection(Promise.resolve().then(call));
  expect([code, details?.map((each) => each.path)]).toEqual(['VALIDATION_ERROR', [path]]);
  return details?.[0]?.message ?? '';
}

describe('an option of another queue', () => {
  it.each([
    ['delay', 5_000, '`schedule: { delay }`'],
    ['startAfter', '1 hour', '`schedule: { start_at }`'],
    ['runAt', new Date(), '`schedule: { start_at }`'],
    ['attempts', 5, '`retries`'],
    ['max_attempts', 5, '`retries`'],
    ['retryLimit', 5, '`retries`'],
    ['backoff', { type: 'exponential', delay: 1_000 }, '`retryConfig: { initialDelay'],
    ['repeat', { pattern: '0 9 * * *' }, '`schedule: { cron }`'],
    ['cron', '0 9 * * *', '`schedule: { cron }`'],
    ['removeOnComplete', true, '`retention` of the constructor'],
    ['removeOnFail', 1_000, '`retention` of the constructor'],
    ['jobId', '7', '`job_id`'],
    ['jobKey', '7', '`job_id`'],
    ['singletonKey', '7', '`job_id`'],
    ['deduplication', { id: '7' }, '`unique: { key, period }`'],
    ['data', {}, '`input`'],
    ['queue', 'mail', '`worker` of the constructor'],
    ['expireInSeconds', 60, '`timeout`'],
    ['lifo', true, '`priority`'],
    ['rateLimit', { max: 1 }, '`concurrency: { key, limit }`'],
    ['parent', { id: '7' }, 'not there yet'],
  ])('of a dispatch is explained: %s', async (name, value, remedy) => {
    const ductape = create();
    const one = () => ductape.features.dispatch({ ...job('report'), [name]: value });
    expect(await told(one, name)).toContain(remedy);
    const second = () => ductape.features.dispatchMany([job('report'), { ...job('report'), [name]: value }]);
    expect(await told(second, `[1].${name}`)).toContain(remedy);
  });

  it('is explained in `options`, `retryConfig` and `schedule` too', async () => {
    const ductape = create();
    const dispatch = (more: object) => () => ductape.features.dispatch({ ...job('report'), ...more });
    expect(await told(dispatch({ options: { attempts: 3 } }), 'options.attempts')).toContain('`retries`');
    expect(await told(dispatch({ retryConfig: { factor: 3 } }), 'retryConfig.factor')).toContain('`backoffMultiplier`');
    expect(await told(dispatch({ schedule: { pattern: '* * * * *' } }), 'schedule.pattern')).toContain('`cron`');
    expect(
      await told(() => ductape.jobs.preview({ every: 5, immediately: true } as object), 'schedule.immediately'),
    ).toContain('`jobs.runNow(id)`');
  });

  it('is explained where handlers and instances are made', async () => {
    const ductape = create();
    const handle = (options: object) => () => ductape.features.define('report', () => {}, options);
    expect(await told(handle({ lockDuration: 30_000 }), 'options.lockDuration')).toContain('needs no counterpart');
    expect(await told(handle({ limiter: { max: 5 } }), 'options.limiter')).toContain('not there yet');
    const make = (options: object) => () => new Ductape({ product: 'shop', env: 'test', store: 'memory:', ...options });
    expect(await told(make({ connection: { host: 'localhost' } }), 'options.connection')).toContain('`store`');
    expect(await told(make({ concurrency: 5 }), 'options.concurrency')).toContain('`worker: { concurrency }`');
    expect(await told(make({ worker: { lockDuration: 5 } }), 'options.worker.lockDuration')).toContain('counterpart');
  });

  it('is explained where it is an argument of its own', async () => {
    const ductape = create();
    const { dispatch, dispatchMany } = ductape.features as unknown as Record<string, (...all: unknown[]) => unknown>;
    expect(await told(() => dispatch?.(job('report'), { delay: 5 }), 'options')).toContain('dispatch({ tag, input');
    expect(await told(() => dispatchMany?.([job('report')], { delay: 5 }), 'options')).toContain('dispatchMany([{ tag');
    expect(await told(() => dispatch?.('report', { to: 'Ann' }), 'options')).toContain('the only argument');
    expect(await told(() => dispatch?.('report'), '')).toContain('a job is one object');
    // Functions of lists give an index.
    expect(await Promise.all([job('report')].map(dispatch as never))).toHaveLength(1);
  });

  it('is not taken for a misspelt one, nor the other way round', async () => {
    const ductape = create();
    const dispatch = (more: object) => () => ductape.features.dispatch({ ...job('report'), ...more });
    expect(await told(dispatch({ retrys: 3 }), 'retrys')).toBe('is not a known option; did you mean `retries`?');
    expect(await told(dispatch({ zebra: 3 }), 'zebra')).toMatch(/^is not a known option; known are env, product, /);
  });
});
