// What can be done on the dashboard, in a real browser, on each kind of store: that it is done, asked for first, told, and taken back.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { browserPath, expectAccessible, launch, openPage } from './support/browser.js';
import { fillWithJobs, handleJobs, PAGES, serveDashboard } from './support/dashboard-jobs.js';
import type { DashboardOptions, Ductape } from './support/ductape.js';
import { create, eventually, temporaryStore } from './support/instances.js';
import { sharedStores } from './support/stores.js';

const describeBrowser = browserPath ? describe : describe.skip;

let browser: Browser;
beforeAll(async () => {
  if (browserPath) browser = await launch();
});
afterAll(() => browser?.close());

/** A page on the dashboard of this instance. */
async function open(ductape: Ductape, options: DashboardOptions = {}) {
  const served = await serveDashboard(ductape, options);
  onTestFinished(() => served.close());
  const watched = await openPage(browser);
  onTestFinished(() => watched.close());
  const { page } = watched;
  return {
    ...watched,
    /** Goes to a page and waits until it shows what it loads. */
    show: async (path: string) => {
      await page.goto(served.url + path);
      await page.waitForSelector('#title');
      await page.waitForSelector('.skeleton', { state: 'detached' });
    },
  };
}

async function busyInstance(store: string) {
  const ductape = create({ store });
  const handlers = handleJobs(ductape);
  onTestFinished(handlers.release);
  await ductape.start({ signals: false });
  await fillWithJobs(ductape);
  return { ductape, ...handlers };
}

/** Presses a button of the page, fills in what the dialog asks for, and confirms it. */
async function act(page: Page, name: string, values: Record<string, string> = {}): Promise<void> {
  await page.getByRole('button', { name, exact: true }).first().click();
  await confirm(page, values);
}

async function confirm(page: Page, values: Record<string, string> = {}): Promise<string> {
  const dialog = page.getByRole('dialog');
  const title = await dialog.getByRole('heading').innerText();
  for (const [field, value] of Object.entries(values)) await dialog.locator(`[name="${field}"]`).fill(value);
  await dialog.locator('button[type="submit"]').click();
  await dialog.waitFor({ state: 'detached' });
  return title;
}

const toastOf = (page: Page, text: string) => page.locator('.toast', { hasText: text }).waitFor();

for (const { kind, unavailable, make } of sharedStores) {
  const describeStore = unavailable ? describe.skip : describeBrowser;
  describeStore(`on ${kind}`, () => {
    test('one job: each action is asked for, done, told and written down', async () => {
      const { ductape, release } = await busyInstance(await make());
      const { page, complaints, show } = await open(ductape);
      const { jobs } = ductape;
      const status = async (id: string) => (await jobs.get(id)).status;

      await show('jobs/report-later');
      await page.getByRole('button', { name: 'Pause', exact: true }).click();
      await page.waitForSelector('dialog >> text=No attempt starts until it is resumed');
      await expectAccessible(page, 'dialog');
      // Whoever thinks better of it changes nothing.
      await page.keyboard.press('Escape');
      await expect.poll(() => page.locator('dialog').count()).toBe(0);
      expect(await status('report-later')).toBe('scheduled');
      await act(page, 'Pause');
      await toastOf(page, 'Paused');
      await expectAccessible(page, 'toast');
      expect(await status('report-later')).toBe('paused');
      await page.getByRole('button', { name: 'Undo: resume' }).click();
      await expect.poll(() => status('report-later')).toBe('scheduled');
      await page.getByRole('button', { name: 'Reschedule' }).waitFor();
      await act(page, 'Reschedule', { start_at: '2031-05-06T07:08' });
      await expect.poll(async () => new Date((await jobs.get('report-later')).scheduled_at).getFullYear()).toBe(2031);
      await act(page, 'Pause');
      await page.getByRole('button', { name: 'Resume', exact: true }).waitFor();
      await act(page, 'Resume');
      await page.getByRole('button', { name: 'Run now' }).waitFor();
      await act(page, 'Run now');
      await expect.poll(() => status('report-later')).toBe('running');
      // It is told without a reload.
      await page.waitForSelector('text=is running in this instance');
      await act(page, 'Cancel', { reason: 'nobody reads it' });
      await page.waitForSelector('text=nobody reads it');
      await act(page, 'Retry', { delay: '3600' });
      await expect.poll(() => status('report-later')).toBe('scheduled');
      await page.getByRole('button', { name: 'Delete' }).waitFor();
      await act(page, 'Delete');
      await expect.poll(() => page.innerText('#title')).toBe('Jobs');
      await expect(jobs.get('report-later')).rejects.toMatchObject({ code: 'NOT_FOUND' });

      await show('jobs/heartbeat');
      const before = (await jobs.get('heartbeat')).next_run_at ?? 0;
      await act(page, 'Skip next', { count: '2' });
      await expect.poll(async () => (await jobs.get('heartbeat')).next_run_at).toBe(before + 2 * 3_600_000);
      await page.waitForSelector('text=skipped on request');
      await act(page, 'Reschedule', { every: '7200' });
      await expect.poll(async () => (await jobs.get('heartbeat')).every).toBe(7_200_000);
      await page.waitForSelector('text=every 2 h');

      await ductape.features.dispatch({ tag: 'report', job_id: 'report-weekly', input: {}, schedule: '@weekly' });
      await jobs.runNow('report-weekly');
      await show('jobs/report-weekly');
      await page.getByRole('button', { name: 'Cancel run' }).waitFor();
      await act(page, 'Cancel run');
      await page.waitForSelector('table >> text=cancelled');

      await show('jobs/report-running');
      await page.waitForSelector('progress');
      release();
      await page.waitForSelector('.json-name >> text=parts');

      await show('audit');
      const text = await page.innerText('main');
      for (const each of [
        'loopback',
        'pause',
        'resume',
        'reschedule',
        'run-now',
        'cancel',
        'retry',
        'delete',
        'skip-next',
      ]) {
        expect(text).toContain(each);
      }
      await expectAccessible(page, 'audit');
      // The page of the deleted job may have asked for it once more.
      const others = complaints.filter((text) => !text.includes('status of 404'));
      expect(others).toEqual([]);
    }, 90_000);

    test('many jobs: counted first, then changed, and taken back', async () => {
      const { ductape } = await busyInstance(await make());
      const { features, jobs } = ductape;
      const far = Date.now() + 3_600_000;
      await features.dispatchMany(
        Array.from({ length: 130 }, (_, n) => ({
          tag: 'report',
          job_id: `many-${n}`,
          input: {},
          tags: ['batch'],
          schedule: { start_at: far },
        })),
      );
      const { page, complaints, show } = await open(ductape);
      const paused = async () => (await jobs.list({ tags: ['batch'], status: 'paused', count: true })).total;

      await show('jobs?tag=batch&status=scheduled&status=paused');
      await page.waitForSelector('text=130 jobs');
      await page.locator('tbody input').nth(0).check();
      await page.locator('tbody input').nth(2).check();
      await page.waitForSelector('text=2 selected');
      await expectAccessible(page, 'selected');
      await page.locator('.bulk').getByRole('button', { name: 'Pause' }).click();
      expect(await confirm(page)).toBe('Pause 2 jobs');
      await toastOf(page, '2 jobs paused');
      expect(await paused()).toBe(2);
      await page.getByRole('button', { name: 'Undo: resume' }).click();
      await expect.poll(paused).toBe(0);

      await page.getByRole('button', { name: 'all 130 that match' }).click();
      await page.locator('.bulk').getByRole('button', { name: 'Pause' }).click();
      expect(await confirm(page)).toBe('Pause 130 jobs');
      await toastOf(page, '130 jobs paused');
      expect(await paused()).toBe(130);
      await page.locator('.toast', { hasText: '130' }).getByRole('button', { name: 'Undo: resume' }).click();
      await expect.poll(paused).toBe(0);

      // The second page, and the way back.
      await page.getByRole('button', { name: 'Next page' }).click();
      await page.waitForURL(/cursor=/);
      await page.getByRole('button', { name: 'First page' }).click();
      await page.waitForURL((url) => !url.search.includes('cursor'));

      await page.waitForSelector('tbody tr');
      await page.getByLabel('select all on this page').check();
      await page.waitForSelector('text=50 selected');
      await page.locator('.bulk').getByRole('button', { name: 'Cancel' }).click();
      expect(await confirm(page)).toBe('Cancel 50 jobs');
      await expect
        .poll(async () => (await jobs.list({ tags: ['batch'], status: 'cancelled', count: true })).total)
        .toBe(50);
      await show('jobs?tag=batch&status=cancelled');
      await page.getByLabel('select all on this page').check();
      await page.locator('.bulk').getByRole('button', { name: 'Delete' }).click();
      await confirm(page);
      await page.waitForSelector('text=No job matches');
      expect((await jobs.list({ tags: ['batch'], count: true })).total).toBe(80);

      await show('targets');
      const row = page.locator('tr', { hasText: 'heartbeat' });
      await row.getByRole('button', { name: /^Pause/ }).click();
      await confirm(page);
      await expect.poll(async () => (await jobs.get('heartbeat')).status).toBe('paused');
      await row.getByRole('button', { name: /^Resume 2/ }).click();
      await confirm(page);
      await expect.poll(async () => (await jobs.get('heartbeat')).status).toBe('scheduled');
      expect(complaints).toEqual([]);
    }, 90_000);

    test('conditions stand in the address bar, and find what the list finds', async () => {
      const { ductape } = await busyInstance(await make());
      const { page, complaints, show } = await open(ductape);
      const ids = async () => (await page.locator('tbody .id').allInnerTexts()).sort();
      await show('jobs');
      await page.locator('.chips').getByRole('button', { name: 'failed' }).click();
      await page.waitForURL(/\?status=failed$/);
      await expect.poll(ids).toEqual(['charge-declined-1', 'charge-declined-2', 'charge-declined-3', 'import-1']);
      await page.locator('summary', { hasText: 'More conditions' }).click();
      await page.getByLabel('Namespace').selectOption('actions');
      await expect.poll(ids).toEqual(['charge-declined-1', 'charge-declined-2', 'charge-declined-3']);
      await page.getByRole('button', { name: 'clear all' }).click();
      await page.waitForURL(/jobs$/);
      for (const [query, expected] of [
        ['recurring=true&failing=true', ['nightly-import']],
        ['last_run=completed', ['heartbeat']],
        ['target.tag=nobody', ['unhandled']],
        ['target.app=stripe&target.event=charge&status=completed', ['charge-flaky', 'charge-good']],
        ['tag=billing&status=failed', ['charge-declined-1', 'charge-declined-2', 'charge-declined-3']],
        ['product=shop&env=test&status=running', ['report-running']],
        ['product=other', []],
        [`from=${Date.now() + 3_600_000}`, []],
        ['search=customers.csv', ['import-1']],
        ['search=R-1001', ['charge-flaky', 'charge-good']],
      ] as const) {
        await show(`jobs?${query}`);
        await expect.poll(ids, { message: query }).toEqual(expected);
      }
      await show('recurring?failing=true');
      await expect.poll(() => page.locator('.recurring-row').count()).toBe(1);
      expect(complaints).toEqual([]);
    }, 90_000);

    test('failures with one cause are tried again together', async () => {
      const { ductape } = await busyInstance(await make());
      // The same target fails in another way, too.
      await ductape.features.dispatch({ tag: 'import', job_id: 'import-late', input: { timeout: true } });
      await eventually(async () => expect((await ductape.jobs.get('import-late')).status).toBe('failed'));
      const { page, complaints, show } = await open(ductape);
      await show('failures');
      await page.getByRole('button', { name: 'retry all TIMEOUT of import' }).click();
      expect(await confirm(page)).toBe('Retry 1 job');
      await eventually(async () => {
        expect((await ductape.jobs.getHistory('import-late')).executions[0]?.number).toBe(2);
      });
      expect((await ductape.jobs.getHistory('import-1')).executions[0]?.number).toBe(1);
      await page.waitForSelector('text=FORBIDDEN');
      await page.getByRole('button', { name: 'retry all FORBIDDEN of stripe charge' }).click();
      expect(await confirm(page)).toBe('Retry 3 jobs');
      await toastOf(page, '3 jobs are tried again');
      // They fail again, in a second run.
      await eventually(async () => {
        const { executions } = await ductape.jobs.getHistory('charge-declined-2');
        expect(executions[0]?.number).toBe(2);
      });
      expect((await ductape.jobs.getHistory('import-1')).executions[0]?.number).toBe(1);
      await show('jobs/charge-declined-2');
      await page.waitForSelector('text=run 2, attempt 1');
      expect(complaints).toEqual([]);
    }, 90_000);

    test('who may only read finds nothing to press', async () => {
      const { ductape } = await busyInstance(await make());
      const { page, complaints, show } = await open(ductape, { authorize: () => ({ user: 'bob', readOnly: true }) });
      const changes =
        /^(Run now|Retry|Resume|Pause|Reschedule|Skip next|Cancel|Cancel run|Delete|Check all|Retry all|Resume \d+)/;
      for (const [title, path] of PAGES) {
        await show(path);
        await page.waitForSelector('text=may look only');
        for (const button of await page.locator('main button').all()) {
          const name = await button.innerText();
          if (changes.test(name)) expect(await button.isEnabled(), `${title}: ${name}`).toBe(false);
        }
      }
      await show('jobs');
      await page.getByLabel('select all on this page').check();
      expect(await page.locator('.bulk-buttons button:enabled').count()).toBe(0);
      await show('jobs/charge-declined-1');
      expect(await page.innerText('main')).toContain('You may look, but not change anything.');
      expect(complaints).toEqual([]);
    }, 60_000);
  });
}

describeBrowser('on a SQLite file', () => {
  test('a search that finds no end says so, and goes on', async () => {
    const ductape = create({ store: await temporaryStore() });
    const dispatched = Array.from({ length: 10_000 }, (_, n) => ({ tag: 'nobody', job_id: `j-${n}`, input: { n } }));
    await ductape.features.dispatch({ tag: 'nobody', job_id: 'the-first', input: { text: 'needle' } });
    await ductape.features.dispatchMany(dispatched);
    const { page, complaints, show } = await open(ductape);
    await show('jobs?search=needle');
    await page.waitForSelector('text=The search ended after');
    await page.getByRole('button', { name: 'Search on' }).click();
    await page.waitForSelector('text=the-first');
    expect(complaints).toEqual([]);
  }, 60_000);

  test('webhooks are deleted, and resources checked', async () => {
    const { ductape } = await busyInstance(await temporaryStore());
    const { page, show, complaints } = await open(ductape);
    await show('webhooks');
    await page.getByRole('button', { name: /^delete http/ }).click();
    await confirm(page);
    await page.waitForSelector('text=There are no webhooks');
    expect(await ductape.jobs.listWebhooks()).toEqual([]);

    const other = create({
      store: await temporaryStore(),
      resources: {
        products: [
          {
            tag: 'shop',
            name: 'Shop',
            databases: [
              {
                tag: 'orders',
                name: 'Orders',
                type: 'postgresql',
                envs: [{ slug: 'test', connection_url: 'postgres://clerk:secret-word@127.0.0.1:9/orders' }],
              },
            ],
          },
        ],
      } as never,
    });
    await other.jobs.getStats();
    const second = await open(other);
    await second.show('resources');
    await second.page.getByRole('button', { name: 'Check all' }).click();
    await second.page.waitForSelector('text=cannot be used');
    await expectAccessible(second.page, 'checked resources');
    expect(await second.page.content()).not.toContain('secret-word');
    expect([...complaints, ...second.complaints]).toEqual([]);
  }, 60_000);

  test('what was refused is told in its place', async () => {
    const { ductape } = await busyInstance(await temporaryStore());
    const { page, show } = await open(ductape);
    await show('jobs/nightly-import');
    await page.getByRole('button', { name: 'Reschedule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.locator('[name="cron"]').fill('61 * * * *');
    await dialog.locator('button[type="submit"]').click();
    await dialog.getByRole('alert').waitFor();
    expect(await dialog.getByRole('alert').innerText()).toContain('61');
    await dialog.locator('[name="cron"]').fill('45 2 * * *');
    await dialog.locator('button[type="submit"]').click();
    await dialog.waitFor({ state: 'detached' });
    expect((await ductape.jobs.get('nightly-import')).cron).toBe('45 2 * * *');
    // Somebody else was faster.
    await show('jobs/charge-declined-1');
    await page.getByRole('button', { name: 'Retry', exact: true }).click();
    await ductape.jobs.delete('charge-declined-1');
    await dialog.locator('button[type="submit"]').click();
    await dialog.getByRole('alert').waitFor();
    await page.keyboard.press('Escape');
    await page.waitForSelector('main >> text=There is no such job');
  }, 60_000);
});
