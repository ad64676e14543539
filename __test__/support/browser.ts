// A real browser, and what must never happen in it.
import AxeBuilderSource from 'axe-core';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { address } from './servers.js';

/** Path of Chromium. */
export const browserPath = address('DUCTAPE_TEST_CHROMIUM');

/** It has a new, empty profile, and asks nothing of the network by itself. */
export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: browserPath ?? '',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** A page whose complaints are kept. */
export interface WatchedPage {
  page: Page;
  context: BrowserContext;
  /** What was said on the console, thrown, and refused by the policy. */
  complaints: string[];
  /** How much has moved since the page began to load: the sum of all shifts that no input caused. */
  shift(): Promise<number>;
  close(): Promise<void>;
}

export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    locale: 'en-GB',
    ...options,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.stack ?? error.message}`));
  page.on('crash', () => complaints.push('the page crashed'));
  await page.exposeFunction('reportViolation', (text: string) => complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    const seen = window as unknown as { shifts: number; reportViolation(text: string): void };
    seen.shifts = 0;
    document.addEventListener('securitypolicyviolation', (event) =>
      seen.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`),
    );
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as Array<{ value: number; hadRecentInput: boolean }>) {
        if (!entry.hadRecentInput) seen.shifts += entry.value;
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  return {
    page,
    context,
    complaints,
    shift: () => page.evaluate(() => (window as unknown as { shifts: number }).shifts),
    close: () => context.close(),
  };
}

/** What axe finds wrong with the page, as one line for each place. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // By the debugger's way, which the policy of the page does not forbid.
  await page.evaluate(AxeBuilderSource.source);
  const violations = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const found = await axe.run(document, { resultTypes: ['violations'] });
    return found.violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html.slice(0, 200)}\n  ${failureSummary}`),
    );
  });
  return violations;
}

export async function expectAccessible(page: Page, name: string): Promise<void> {
  expect(await accessibilityProblems(page), name).toEqual([]);
}
