// One job, run to its end.
import { expect } from 'vitest';
import type { Ductape, DuctapeError, DuctapeOptions, JobContext } from './ductape.js';
import { create, eventually, job } from './instances.js';

export const fastRetry = { initialDelay: 1, maxDelay: 5 };

/** Runs one job with this handler to its end. */
export async function run(
  handler: (job: JobContext<{ n?: number }> & { tag: string }) => unknown,
  more: Parameters<typeof job>[1] = {},
  options: DuctapeOptions = {},
) {
  const ductape = create(options);
  ductape.features.define('f', handler);
  const { job_id } = await ductape.features.dispatch(job('f', { retryConfig: fastRetry, ...more }));
  const settled = await ductape.jobs.wait(job_id).then(
    (result) => ({ result, error: undefined }),
    (error: DuctapeError) => ({ result: undefined, error }),
  );
  return { ductape, job_id, ...settled };
}

/** Retries the job by hand, and waits until it has ended `runs` times in all. */
export async function retryByHand(ductape: Ductape, id: string, runs: number) {
  await ductape.jobs.retry(id);
  return eventually(async () => {
    const found = await ductape.jobs.get(id);
    expect(found.execution_count).toBe(runs);
    expect(found.status).toMatch(/completed|failed/);
    return found;
  });
}
