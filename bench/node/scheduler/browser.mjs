// How long pages of the dashboard take in Chromium: until something is painted, and until what they load is shown. Usage:
// node bench/node/scheduler/browser.mjs --store sqlite:FILE | postgres://… [--times 5]
// DUCTAPE_TEST_CHROMIUM names the browser. The store is looked at as it is.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Ductape } from 'ductape';
import { chromium } from 'playwright-core';
import { quantile } from './figures.mjs';

const { values } = parseArgs({ options: { store: { type: 'string' }, times: { type: 'string', default: '5' } } });
if (!values.store) throw new Error('name a store: --store sqlite:FILE');
const PAGES = ['', '?range=7d', 'jobs', 'jobs?status=failed', 'recurring', 'targets', 'failures', 'processes', 'audit'];

const quiet = { debug() {}, info() {}, warn() {}, error: console.error };
const ductape = new Ductape({ store: values.store, worker: false, logger: quiet });
const { total } = await ductape.jobs.getStats();
const server = createServer(ductape.dashboard()).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const browser = await chromium.launch({
  executablePath: process.env.DUCTAPE_TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage();

/** Ms until something is painted, and until all is shown. */
async function visit(path) {
  const from = performance.now();
  await page.goto(`http://127.0.0.1:${server.address().port}/${path}`);
  await page.waitForSelector('#title');
  await page.waitForSelector('.skeleton', { state: 'detached' });
  const shown = performance.now() - from;
  const paint = await page.evaluate(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
  );
  return { paint, shown };
}

try {
  // The first visit is not counted: the browser's processes start.
  await visit('');
  console.log(`${total.toLocaleString('en')} jobs; medians of ${values.times} visits\n`);
  console.log('| page | first paint | shown |\n|---|---|---|');
  for (const path of PAGES) {
    const visits = [];
    for (let n = 0; n < Number(values.times); n++) visits.push(await visit(path));
    const median = (name) =>
      `${quantile(
        visits.map((each) => each[name]),
        0.5,
      ).toFixed(0)} ms`;
    console.log(`| /${path} | ${median('paint')} | ${median('shown')} |`);
  }
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
  await ductape.close();
}
