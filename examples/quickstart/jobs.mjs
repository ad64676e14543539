// Which jobs there are, and when they run.

/** Dispatches one job of each kind; resolves with what the board shows of them. */
export async function dispatchJobs(ductape) {
  const now = Date.now();
  const jobs = [
    // At once. The handler's first attempt fails, the second one comes 300 ms later.
    ductape.actions.dispatch({
      app: 'payment-service',
      event: 'process_payment',
      input: { body: { orderId: 'order_456', amount: 99.99 } },
      retries: 3,
      retryConfig: { initialDelay: 300 },
    }),
    // Every day at 9 in New York. A job with an id of its own stays one job, however often this program is started.
    ductape.features.dispatch({
      job_id: 'daily-report',
      tag: 'generate_daily_report',
      input: {},
      retries: 2,
      schedule: { cron: '0 9 * * *', tz: 'America/New_York' },
    }),
    // By interval, four times in all.
    ductape.notifications.dispatch({
      notification: 'user-notifications',
      event: 'send_reminder',
      input: { email: { recipients: ['user@example.com'] } },
      retries: 2,
      schedule: { every: 400, limit: 4 },
    }),
    // Bytes travel as they are.
    ductape.storage.dispatch({
      storage: 'invoices',
      event: 'upload',
      input: { fileName: 'invoice.txt', buffer: Buffer.from('Order 456: 99.99\n'), mimeType: 'text/plain' },
    }),
    // By interval until a date.
    ductape.events.dispatch({
      broker: 'kafka-broker',
      event: 'check_promo_status',
      input: { message: { check: true } },
      retries: 1,
      schedule: { every: 500, endDate: now + 1_200 },
    }),
    // Every 24 hours, the first time at once.
    ductape.databases.action.dispatch({
      job_id: 'sync-inventory',
      database: 'inventory-db',
      event: 'sync_inventory',
      input: { query: {}, data: {} },
      retries: 3,
      schedule: { every: 86_400_000 },
    }),
    // In one second, given as ms.
    ductape.databases.dispatch({
      database: 'logs-db',
      operation: 'deleteMany',
      input: { filter: { level: 'debug' } },
      schedule: { start_at: now + 1_000 },
    }),
    // At once, and before others that are due at the same time.
    ductape.graphs.action.dispatch({
      graph: 'city-graph',
      event: 'shortest_path',
      input: { from: 'A', to: 'E' },
      priority: -1,
    }),
    // In two seconds, given as an ISO 8601 date.
    ductape.graphs.dispatch({
      graph: 'session-graph',
      operation: 'deleteNodes',
      input: { filter: { expired: true } },
      schedule: { start_at: new Date(now + 2_000).toISOString() },
    }),
  ];
  const results = await Promise.all(jobs);
  return results.map(({ job_id: id }, index) => ({ id, ...shown[index] }));
}

/** What the board says of each, in the same order. `rests`: no run is waited for; `once`: one is. */
const shown = [
  { namespace: 'actions', name: 'process_payment' },
  { namespace: 'features', name: 'generate_daily_report', rests: true },
  { namespace: 'notifications', name: 'send_reminder' },
  { namespace: 'storage', name: 'upload' },
  { namespace: 'events', name: 'check_promo_status' },
  { namespace: 'databases.action', name: 'sync_inventory', once: true },
  { namespace: 'databases', name: 'deleteMany' },
  { namespace: 'graphs.action', name: 'shortest_path' },
  { namespace: 'graphs', name: 'deleteNodes' },
];
