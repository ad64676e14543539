'use strict';
// The jobs of `demo`: a shop that sends mail, charges cards and makes reports, and in which some things fail.

const { setTimeout: sleep } = require('node:timers/promises');

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const between = (min, max) => min + Math.floor(Math.random() * (max - min));
const fails = (share) => Math.random() < share;

/** An error with a code, by which failures are grouped. */
const failure = (code, message) => Object.assign(new Error(message), { code });

/** Works for a while, unless the attempt is given up. */
const work = (job, min, max) => sleep(between(min, max), undefined, { signal: job.signal });

/** Reports how far it is, in so many parts. */
async function inParts(job, parts, min, max) {
  for (let part = 1; part <= parts; part++) {
    await work(job, min, max);
    job.progress({ done: part, of: parts, percent: Math.round((100 * part) / parts) });
  }
}

async function importCustomers(job) {
  job.log(`reads ${job.input.file}`);
  await inParts(job, 20, 600, 1_600);
  job.log('all customers are there');
  return { imported: between(400, 900) };
}

async function fulfilOrder(job) {
  const { order } = job.input;
  const reserved = await job.step('reserve stock', async () => {
    await work(job, 300, 1_200);
    return { warehouse: pick(['Lyon', 'Porto', 'Gdansk']) };
  });
  job.log(`order ${order}: reserved in ${reserved.warehouse}`);
  await job.step('print label', async () => {
    await work(job, 200, 900);
    if (fails(0.25)) throw failure('PRINTER_JAMMED', `the printer in ${reserved.warehouse} does not answer`);
    return { label: `L-${order}` };
  });
  return { order, ...reserved };
}

async function charge(job) {
  await work(job, 80, 400);
  if (job.input.body?.card === 'expired' || fails(0.08)) throw failure('CARD_DECLINED', 'the bank declines the card');
  if (fails(0.15)) {
    throw new Error('the payment server does not answer', {
      cause: failure('ETIMEDOUT', 'connect ETIMEDOUT 203.0.113.7:443'),
    });
  }
  return { charged: job.input.body?.amount };
}

async function checkCertificate(job) {
  await work(job, 50, 200);
  job.log('connects to shop.example.com:443');
  throw failure('CERT_HAS_EXPIRED', 'the certificate of shop.example.com expired on 1 March');
}

async function syncStock(job) {
  await work(job, 200, 900);
  if (fails(0.3)) throw failure('STOCK_SERVER_DOWN', 'the stock server answers 502 Bad Gateway');
  return { changed: between(0, 40) };
}

function registerHandlers({ actions, features, notifications, storage, events, databases, graphs }) {
  features.define('import-customers', importCustomers, { concurrency: 2 });
  features.define('fulfil-order', fulfilOrder, { concurrency: 4 });
  features.define('sync-stock', syncStock);
  features.define('check-certificate', checkCertificate);
  features.define('heartbeat', () => ({ alive: true }));
  features.define('nightly-report', (job) => inParts(job, 3, 100, 300));
  features.define('weekly-digest', (job) => work(job, 100, 300));
  features.define('recommendations', (job) => work(job, 1_500, 3_000), { concurrency: 1 });
  actions.handle({ app: 'payments', event: 'charge' }, charge);
  notifications.handle({}, async (job) => {
    await work(job, 50, 250);
    if (fails(0.05)) throw failure('MAILBOX_FULL', 'the mailbox of the recipient is full');
    return { sent: true };
  });
  storage.handle({}, async (job) => {
    await work(job, 100, 600);
    return { stored: job.input.fileName };
  });
  events.handle({}, (job) => work(job, 20, 100));
  databases.handle({}, async (job) => {
    await work(job, 50, 300);
    return { deleted: between(0, 200) };
  });
  databases.action.handle({}, (job) => work(job, 20, 200));
  graphs.handle({}, (job) => work(job, 50, 400));
}

const retried = { retries: 3, retryConfig: { initialDelay: 3_000 } };
const orderOf = () => between(10_000, 99_999);
const customers = ['ann', 'ben', 'cleo', 'dan', 'eve'];

/** What may come next, each a function that dispatches. */
const NEXT = [
  ({ features }) =>
    features.dispatch({
      tag: 'fulfil-order',
      input: { order: orderOf(), customer: pick(customers) },
      tags: ['order'],
      ...retried,
    }),
  ({ actions }) =>
    actions.dispatch({
      app: 'payments',
      event: 'charge',
      input: { body: { order: orderOf(), amount: between(5, 300) } },
      tags: ['order', 'payment'],
      priority: 10,
      ...retried,
      retryConfig: { initialDelay: 2_000, nonRetryableErrors: ['CARD_DECLINED'] },
    }),
  ({ notifications }) =>
    notifications.dispatch({
      notification: 'orders',
      event: 'shipped',
      input: { email: { recipients: [`${pick(customers)}@example.com`] } },
      tags: ['mail'],
    }),
  ({ storage }) =>
    storage.dispatch({
      storage: 'invoices',
      event: 'archive',
      input: { fileName: `invoice-${orderOf()}.pdf` },
      tags: ['invoice'],
    }),
  ({ events }) => events.dispatch({ broker: 'shop', event: 'order-placed', input: { message: { order: orderOf() } } }),
  ({ databases }) =>
    databases.action.dispatch({
      database: 'shop',
      event: 'touch-customer',
      input: { data: { customer: pick(customers) } },
    }),
  ({ features }) => {
    const customer = pick(customers);
    return features.dispatch({
      tag: 'recommendations',
      input: { customer },
      tags: [`customer-${customer}`],
      // One at a time for each customer: the others are blocked.
      concurrency: { key: `recommendations-${customer}`, limit: 1 },
    });
  },
  ({ features }) =>
    features.dispatch({
      tag: 'fulfil-order',
      input: { order: orderOf() },
      tags: ['order', 'later'],
      schedule: { delay: between(20_000, 10 * MINUTE) },
    }),
];

const dispatchNext = (ductape) => pick(NEXT)(ductape);

/** Jobs that are there from the beginning: recurring ones, one that takes long, one that nobody has a handler for. */
async function dispatchFirst(ductape) {
  const { actions, features, databases, graphs, jobs } = ductape;
  const now = ductape.clock.now();
  await Promise.all([
    features.dispatch({
      tag: 'import-customers',
      job_id: 'import-customers',
      input: { file: 'customers.csv' },
      tags: ['import'],
    }),
    features.dispatch({
      tag: 'check-certificate',
      job_id: 'check-certificate',
      input: {},
      schedule: { every: 12_000 },
    }),
    features.dispatch({ tag: 'heartbeat', job_id: 'heartbeat', input: {}, schedule: { every: 10_000 } }),
    features.dispatch({
      tag: 'sync-stock',
      job_id: 'sync-stock',
      input: {},
      retries: 1,
      retryConfig: { initialDelay: 2_000 },
      schedule: { every: 15_000 },
    }),
    features.dispatch({
      tag: 'nightly-report',
      job_id: 'nightly-report',
      input: {},
      tags: ['report'],
      schedule: { cron: '0 3 * * *', tz: 'Europe/Lisbon' },
    }),
    features.dispatch({
      tag: 'weekly-digest',
      job_id: 'weekly-digest',
      input: {},
      tags: ['mail'],
      schedule: { cron: '0 8 * * MON', tz: 'America/New_York' },
    }),
    databases.dispatch({
      database: 'shop',
      operation: 'deleteMany',
      job_id: 'clear-carts',
      input: { table: 'carts', where: { abandoned: true } },
      schedule: { every: HOUR, start_at: now + 2 * MINUTE },
    }),
    graphs.dispatch({
      graph: 'customers',
      operation: 'findNodes',
      job_id: 'who-knows-whom',
      input: { labels: ['Customer'] },
      schedule: { cron: '*/5 * * * *' },
    }),
    features.dispatch({ tag: 'translate-catalogue', job_id: 'translate-catalogue', input: { to: 'pt' } }),
    features.dispatchMany(
      Array.from({ length: 60 }, () => ({
        tag: 'fulfil-order',
        input: { order: orderOf() },
        tags: ['order'],
        ...retried,
      })),
    ),
  ]);
  await actions.dispatchMany(
    Array.from({ length: 5 }, () => ({
      app: 'payments',
      event: 'charge',
      input: { body: { order: orderOf(), amount: between(5, 300), card: 'expired' } },
      tags: ['order', 'payment'],
      priority: 10,
      retries: 0,
    })),
  );
  await jobs.pause('weekly-digest');
  for (let at = 0; at < 20; at++) await dispatchNext(ductape);
}

module.exports = { dispatchFirst, dispatchNext, registerHandlers };
