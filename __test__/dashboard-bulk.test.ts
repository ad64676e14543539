// Changes of thousands of jobs on the dashboard, in a real browser, on each kind of store.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { browserPath, launch, openPage } from './support/browser.js';
import { serveDashboard } from './support/dashboard-jobs.js';
import { create, eventually } from './support/instances.js';
import { sharedStores } from './support/stores.js';

let browser: Browser;
beforeAll(async () => {
  if (browserPath) browser = await launch();
});
afterAll(() => browser?.close());

for (const { kind, unavailable, make } of sharedStores) {
  const describeStore = unavailable || !browserPath ? describe.skip : describe;
  describeStore(`on ${kind}`, () => {
    test('10,000 failures are tried again', async () => {
      const ductape = create({ store: await make() });
      let isMended = false;
      ductape.features.define('import', () => {
        if (!isMended) throw new RangeError('row 17 has no date');
      });
      await ductape.start({ signals: false });
      await ductape.features.dispatchMany(Array.from({ length: 10_000 }, () => ({ tag: 'import', input: {} })));
      await eventually(async () => expect((await ductape.jobs.getStats()).failed).toBe(10_000), 60_000);
      isMended = true;
      const { url, close } = await serveDashboard(ductape);
      onTestFinished(close);
      const { page, complaints, close: closePage } = await openPage(browser);
      onTestFinished(closePage);
      await page.goto(`${url}failures`);
      const from = Date.now();
      await page.getByRole('button', { name: 'retry all RangeError of import' }).click();
      await page.getByRole('dialog').waitFor({ timeout: 60_000 });
      const counted = Date.now();
      const dialog = page.getByRole('dialog');
      expect(await dialog.getByRole('heading').innerText()).toBe('Retry 10,000 jobs');
      await dialog.locator('button[type="submit"]').click();
      await dialog.locator('progress').waitFor();
      await dialog.waitFor({ state: 'detached', timeout: 60_000 });
      await page.locator('.toast', { hasText: '10,000 jobs are tried again' }).waitFor();
      console.log(`10,000 failures: counted in ${counted - from} ms, tried again in ${Date.now() - counted} ms`);
      await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(10_000), 60_000);
      await page.waitForSelector('text=Nothing failed');
      expect(complaints).toEqual([]);
    }, 180_000);
  });
}

test.skipIf(!browserPath)(
  'failures with one of two codes are tried again in requests that any web server takes',
  async () => {
    const ductape = create({ store: 'memory:', worker: { concurrency: 100 } });
    ductape.features.define('import', ({ input }) => {
      throw (input as { n: number }).n % 2 ? new RangeError('row 17 has no date') : new TypeError('no row');
    });
    await ductape.start({ signals: false });
    await ductape.features.dispatchMany(Array.from({ length: 5_000 }, (_, n) => ({ tag: 'import', input: { n } })));
    await eventually(async () => expect((await ductape.jobs.getStats()).failed).toBe(5_000), 60_000);
    ductape.features.define('import', () => 1);
    const { url, close } = await serveDashboard(ductape);
    onTestFinished(close);
    const { page, complaints, close: closePage } = await openPage(browser);
    onTestFinished(closePage);
    const sizes: number[] = [];
    page.on('request', (request) => sizes.push(request.postData()?.length ?? 0));
    await page.goto(`${url}failures`);
    await page.getByRole('button', { name: 'retry all RangeError of import' }).click();
    await page.getByRole('dialog').getByRole('heading', { name: 'Retry 2,500 jobs' }).waitFor({ timeout: 60_000 });
    await page.getByRole('dialog').locator('button[type="submit"]').click();
    await page.locator('.toast', { hasText: '2,500 jobs are tried again' }).waitFor({ timeout: 60_000 });
    await eventually(async () => expect((await ductape.jobs.getStats()).completed).toBe(2_500), 60_000);
    expect(Math.max(...sizes)).toBeLessThan(100_000);
    expect(complaints).toEqual([]);
  },
  120_000,
);
