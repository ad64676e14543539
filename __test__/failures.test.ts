// What is seen of jobs that fail: the log, and what is kept of an error.
import { expect, describe, it, onTestFinished, vi } from 'vitest';
import { create, eventually, job, recordingLogger } from './support/instances.js';

const fastRetry = { initialDelay: 1, maxDelay: 1 };

/** An instance that is used without the option `logger`, and what it writes to the console. */
function withDefaultLogger() {
  const lines: unknown[][] = [];
  const spies = (['debug', 'info', 'log', 'warn', 'error'] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation((...args) => void lines.push([level, ...args])),
  );
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return { ductape: create({ logger: undefined }), lines };
}

describe('a run that fails for good', () => {
  it('prints one line with the default logger', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('nightly', () => {
      throw Object.assign(new Error('the card\nwas declined'), { code: 'DECLINED' });
    });
    const dispatched = await ductape.features.dispatch(job('nightly', { retries: 2, retryConfig: fastRetry }));
    await ductape.jobs.wait(dispatched.job_id).catch(() => {});
    await eventually(() => expect(lines).not.toEqual([]));
    expect(lines).toEqual([
      [
        'warn',
        `ductape: job ${dispatched.job_id} (features nightly (shop, test)): run 1 failed in attempt 3: DECLINED: the card\\nwas declined`,
      ],
    ]);
  });

  it('prints one line also when it takes too long', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('slow', () => new Promise(() => {}), { timeout: 20 });
    const { job_id } = await ductape.features.dispatch(job('slow'));
    await ductape.jobs.wait(job_id).catch(() => {});
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]?.[1]).toMatch(
      /run 1 failed in attempt 1: TIMEOUT: the attempt took longer than its timeout of 20 ms/,
    );
  });

  it('is one of many that are gathered, which are told at the latest with the end of the instance', async () => {
    const { ductape, lines } = withDefaultLogger();
    ductape.features.define('broken', () => {
      throw new Error('no luck');
    });
    ductape.features.define('other', () => {
      throw new Error('no luck either');
    });
    const tags = Array.from({ length: 40 }, (_, at) => (at % 4 === 0 ? 'other' : 'broken'));
    const jobs = await ductape.features.dispatchMany(tags.map((tag) => job(tag)));
    await Promise.allSettled(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    expect(lines).toHaveLength(2);
    await ductape.close();
    expect(lines).toHaveLength(4);
    const told = lines.map(([level, line]) => `${level}: ${line}`).join('\n');
    expect(told).toMatch(
      /warn: ductape: 29 more runs of features broken \(shop, test\) failed, the last of them run 1 of job /,
    );
    expect(told).toMatch(
      /warn: ductape: 9 more runs of features other .* Error: no luck either; 10 since this process started/,
    );
  });
});

describe('a logger of the program', () => {
  it('is told of each attempt that fails, with the level debug', async () => {
    const logger = recordingLogger();
    const ductape = create({ logger });
    ductape.features.define('flaky', ({ attempt }) => {
      if (attempt < 3) throw new TypeError(`try ${attempt}`);
    });
    const { job_id } = await ductape.features.dispatch(job('flaky', { retries: 2, retryConfig: fastRetry }));
    await ductape.jobs.wait(job_id);
    expect(logger.messagesAt('warn')).toEqual([]);
    const lines = logger.messagesAt('debug').filter((line) => line.includes(job_id));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/: attempt 1 of run 1 failed: TypeError: try 1; it is tried again in \d+ ms$/);
  });

  it('gets fields before the message when it is like pino, else behind it', async () => {
    for (const isLikePino of [true, false]) {
      const calls: unknown[][] = [];
      const take = (...args: unknown[]) => void calls.push(args);
      const none = () => {};
      const logger = { debug: none, info: none, warn: take, error: take };
      const more = isLikePino ? { trace: none, fatal: none, child: () => logger } : {};
      const ductape = create({ logger: { ...logger, ...more } });
      ductape.actions.handle({ app: 'mail', event: 'send' }, () => {
        throw new RangeError('too far');
      });
      const { job_id } = await ductape.actions.dispatch({ app: 'mail', event: 'send', input: {} });
      await ductape.jobs.wait(job_id).catch(() => {});
      await eventually(() => expect(calls).toHaveLength(1));
      const [fields, message] = (isLikePino ? calls[0] : calls[0]?.toReversed()) ?? [];
      expect(message).toBe(
        `ductape: job ${job_id} (actions mail/send (shop, test)): run 1 failed in attempt 1: RangeError: too far`,
      );
      expect(fields).toMatchObject({
        event: 'job.failed',
        job_id,
        namespace: 'actions',
        product: 'shop',
        env: 'test',
        target: { app: 'mail', event: 'send' },
        run: 1,
        attempt: 1,
        failed_before: 0,
        err: { code: 'RangeError', message: 'too far', stack: expect.stringContaining('failures.test.ts') },
      });
    }
  });
});
