// Servers that are gone while many jobs wait for them.
import { expect, it } from 'vitest';
import { create, eventually, product, env, recordingLogger } from './support/instances.js';
import { rawService, shop } from './support/services.js';

it('jobs of a resource that finds no connection wait for it together, and run when it is back', async () => {
  let isThere = false;
  let asked = 0;
  const { url } = await rawService((socket) => {
    asked += 1;
    if (!isThere) return void socket.destroy();
    socket.on('error', () => {});
    socket.end('HTTP/1.1 204 Done\r\nconnection: close\r\n\r\n');
  });
  const logger = recordingLogger();
  const ductape = create({ ...shop(url), logger, worker: { concurrency: 5 } });
  ductape.features.define('other', () => 'done');
  const dispatch = {
    product,
    env,
    app: 'shop',
    event: 'call',
    input: {},
    retries: 50,
    retryConfig: { initialDelay: 1, maxDelay: 5 },
  };
  const jobs = await ductape.actions.dispatchMany(Array.from({ length: 300 }, () => dispatch));
  await eventually(() => expect(logger.messagesAt('warn').join()).toContain('found no connection'));
  // Of 300 jobs with 50 retries each, which would take no longer than that without pauses.
  const { job_id } = await ductape.features.dispatch({
    tag: 'other',
    input: {},
    schedule: { start_at: Date.now() + 1_500 },
  });
  expect(await ductape.jobs.wait(job_id)).toBe('done');
  expect(asked).toBeLessThan(300);
  const reasons = await Promise.all(jobs.slice(-20).map((job) => ductape.jobs.explain(job.job_id)));
  expect(reasons.some((one) => one.reasons.some(({ code }) => code === 'NO_CONNECTION'))).toBe(true);
  isThere = true;
  await Promise.all(jobs.map((job) => ductape.jobs.wait(job.job_id)));
  expect(logger.messagesAt('info').join()).toContain('answers again');
});
