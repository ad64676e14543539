// What is left of errors of which something is redacted, and of addresses.
import { describe, expect, it } from 'vitest';
import { ask, serve, signIn } from './support/dashboard.js';
import { create, job, recordingLogger } from './support/instances.js';

const SECRET = 'hunter2';

/** What the dashboard tells of a job that throws this; `all`: all its texts. */
async function told(redact: string[], thrown: () => unknown, options: object = {}) {
  const ductape = create({ logger: recordingLogger() });
  ductape.features.define('breaks', () => {
    throw thrown();
  });
  await ductape.features.dispatch(job('breaks', { job_id: 'job-1', retries: 0, ...options }));
  await ductape.drain();
  const url = await serve(ductape, { redact });
  const paths = ['/api/jobs/job-1', '/api/jobs', '/api/failures', '/api/jobs/job-1/history'];
  const [one, ...others] = await Promise.all(paths.map((path) => ask(url, path)));
  const { job: found, explanation } = one?.json ?? {};
  return { error: found.error, job: found, explanation, all: [one, ...others].map((each) => each?.text).join('\n') };
}

const nested = () => new Error('login failed', { cause: new Error(`login failed with ${SECRET}`) });
const coded = (code: string, message = 'why') => Object.assign(new Error(message), { code });

describe('a redacted message', () => {
  it.each([
    [['error.**.message']],
    [['error.message']],
    [['error.message', 'logs']],
    [['*.message']],
    [['error']],
    [['error.*']],
  ])('of which another is the beginning is hidden as a whole, by %j', async (redact) => {
    const { all } = await told(redact, nested);
    expect([all.includes(SECRET), all.includes('login')]).toEqual([false, false]);
  });

  it.each([
    ['the longer first', `in with ${SECRET}`, 'login'],
    ['the longer last', 'login', `in with ${SECRET}`],
  ])('that overlaps another is hidden as a whole, %s', async (_order, first, second) => {
    const { error, all } = await told(['error.errors.*.message'], () => {
      const message = `the login with ${SECRET} failed`;
      return new AggregateError([new Error(first), new Error(second)], message);
    });
    expect(error.message).toBe('the [redacted] failed');
    expect([all.includes(SECRET), all.includes('login')]).toEqual([false, false]);
  });

  it('is hidden in causes and errors too, at any level', async () => {
    const { error, all } = await told(['error.message'], () => {
      const deepest = new Error(`deepest ${SECRET}`);
      return new AggregateError([new Error('one', { cause: deepest }), new Error(`two ${SECRET}`)], 'all', {
        cause: new TypeError(`cause ${SECRET}`),
      });
    });
    expect(error).toMatchObject({
      code: 'AggregateError',
      message: '[redacted]',
      cause: { code: 'TypeError', message: '[redacted]' },
      errors: [{ message: '[redacted]', cause: { message: '[redacted]' } }, { message: '[redacted]' }],
    });
    expect(all).not.toContain(SECRET);
  });

  it('of a cause is hidden where the message of its error repeats it', async () => {
    const { job: found, all } = await told(['error.cause.message'], () => {
      const cause = new Error(SECRET, { cause: new Error(`because of ${SECRET}`) });
      return new Error(`failed: ${SECRET}`, { cause });
    });
    expect([found.error.message, found.last_error]).toEqual(['failed: [redacted]', 'failed: [redacted]']);
    expect(found.error.cause).toMatchObject({ message: '[redacted]', cause: { message: '[redacted]' } });
    expect(all).not.toContain(SECRET);
  });
});

describe('the stack of a redacted message', () => {
  const stacked = (stack: string, message = 'outer') => Object.assign(new Error(message), { stack });
  const stackOf = async (thrown: () => unknown) => {
    const { error, all } = await told(['error.message'], thrown);
    expect(all).not.toContain(SECRET);
    return error.stack;
  };

  it('is left with its frames, whatever text is before them', async () => {
    const frames = '    at one (/app/one.js:1:2)\n    at two (/app/two.js:3:4)';
    const text = `Error: ${SECRET}\nand ${SECRET}\n${frames}`;
    expect(await stackOf(() => stacked(text))).toBe(`[redacted]\n${frames}`);
    const inner = await told(['error.message'], () => new Error('outer', { cause: stacked(text, 'inner') }));
    expect([inner.error.cause.stack, inner.all.includes(SECRET)]).toEqual([`[redacted]\n${frames}`, false]);
    const some = await told(['error.message'], () => new AggregateError([stacked(text, 'inner')], 'outer'));
    expect([some.error.errors[0].stack, some.all.includes(SECRET)]).toEqual([`[redacted]\n${frames}`, false]);
  });

  it('goes as a whole when it has no frames', async () => {
    expect(await stackOf(() => stacked(`Error: ${SECRET}`))).toBe('[redacted]');
  });

  it('is left without what was appended to it', async () => {
    const stack = `Error: outer\n    at one\nCaused by: ${SECRET}\n    at two`;
    expect(await stackOf(() => stacked(stack))).toBe('[redacted]\n    at one\n[redacted]\n    at two');
  });

  it('goes as a whole when the message has lines like frames', async () => {
    const message = `failed:\n    at the door of ${SECRET}`;
    expect(await stackOf(() => stacked(`Error: ${message}, again\n    at one`, message))).toBe('[redacted]');
  });

  it.each([
    ['that is cut', `${'x'.repeat(1_000)}\n    at the door of ${SECRET}`],
    ['with other ends of lines', `failed\r    at the door of ${SECRET}`],
  ])('goes as a whole for a message of a cause %s', async (_kind, message) => {
    const { error, all } = await told(['error.message'], () => new Error('outer', { cause: new Error(message) }));
    expect([error.cause.stack, all.includes(SECRET)]).toEqual(['[redacted]', false]);
  });

  it('has nothing of a line that another end of line hides', async () => {
    expect(await stackOf(() => stacked(`Error: ${SECRET}\r    at one\r\n    at two\u2028${SECRET}`))).toBe(
      '[redacted]\n    at one\n    at two\n[redacted]',
    );
  });

  it('stays when nothing of its error is hidden', async () => {
    const { error } = await told(['error.cause.message'], () => new Error('outer', { cause: new Error(SECRET) }));
    expect(error.stack).toMatch(/^Error: outer\n {4}at /);
    expect(error.cause.stack).toMatch(/^\[redacted\]\n {4}at /);
  });
});

describe('an explanation', () => {
  const sentenceOf = async (redact: string[], options?: object) => {
    const { explanation } = await told(redact, () => coded('CODE-1', 'why-1'), options);
    return explanation.reasons[0].message.replace(/^.*( with .*)$/, '$1');
  };

  it.each([
    [['error'], ' with [redacted]: [redacted]'],
    [['error.*'], ' with [redacted]: [redacted]'],
    [['*.code'], ' with [redacted]: why-1'],
    [['error.code'], ' with [redacted]: why-1'],
    [['error.message'], ' with CODE-1: [redacted]'],
    [['error.stack'], ' with CODE-1: why-1'],
    [['input'], ' with CODE-1: why-1'],
  ])('tells of an error what %j leaves of it', async (redact, expected) => {
    expect(await sentenceOf(redact)).toBe(expected);
  });

  it('of a job that is tried again does so too', async () => {
    const options = { retries: 3, retryConfig: { initialDelay: 3_600_000 } };
    expect(await sentenceOf(['error'], options)).toBe(' with [redacted]: [redacted]');
  });

  it('tells nothing of an error that is not the one that was read', async () => {
    const ductape = create({ logger: recordingLogger() });
    ductape.features.define('breaks', () => {
      throw coded(`CODE-${SECRET}`, `why ${SECRET}`);
    });
    await ductape.features.dispatch(job('breaks', { job_id: 'job-1', retries: 0 }));
    await ductape.drain();
    const url = await serve(ductape, { redact: ['error.message'] });
    const { get } = ductape.jobs;
    for (const error of [undefined, { code: 'OTHER', message: 'other' }]) {
      ductape.jobs.get = async (id) =>
        ({ ...(await get.call(ductape.jobs, id)), error, last_error: undefined }) as never;
      const { explanation } = (await ask(url, '/api/jobs/job-1')).json;
      expect(explanation.reasons[0].message).toMatch(/, the last one with \[redacted\]$/);
    }
  });
});

describe('a redacted code', () => {
  it('is hidden in causes and stacks too', async () => {
    const { error, all } = await told(['error.code'], () =>
      Object.assign(coded(SECRET), { stack: `Error [${SECRET}]: why\n    at one`, cause: coded(SECRET, 'cause') }),
    );
    expect(error).toMatchObject({
      code: '[redacted]',
      message: 'why',
      stack: '[redacted]\n    at one',
      cause: { code: '[redacted]', message: 'cause' },
    });
    expect(all).not.toContain(SECRET);
  });
});

describe('a redacted stack', () => {
  it('is hidden in causes too', async () => {
    const { error } = await told(['error.stack'], nested);
    expect(error).toMatchObject({ message: 'login failed', stack: '[redacted]', cause: { stack: '[redacted]' } });
  });
});

describe('the address of a webhook', () => {
  it.each([
    [`https://hooks.example.com/services/T0/B0/${SECRET}?x=1`, 'https://hooks.example.com/…'],
    [`https://hooks.example.com:8443/?key=${SECRET}`, 'https://hooks.example.com:8443/…'],
    ['https://hooks.example.com', 'https://hooks.example.com/'],
  ])('is shown without its path and query: %s', async (address, shown) => {
    const ductape = create({ logger: recordingLogger() });
    await ductape.jobs.setWebhook({ url: address, events: ['job.failed'], secret: 'x'.repeat(32) });
    const url = await serve(ductape);
    const browser = await signIn(url);
    const { text, json } = await browser.get('/api/webhooks');
    expect([json.webhooks[0].url, text.includes(SECRET)]).toEqual([shown, false]);
    expect((await browser.delete(`/api/webhooks/${json.webhooks[0].id}`)).status).toBe(200);
    const audit = await browser.get('/api/audit');
    expect(audit.json.entries).toMatchObject([{ action: 'delete webhook', detail: { url: shown } }]);
    expect(audit.text).not.toContain(SECRET);
  });
});
