// Calls of an HTTP service, which this file brings along: an order is placed, read, and asked for in vain.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Needs no server but its own. */
export const address = undefined;
export const secrets = { SHOP_TOKEN: 'a token of the shop' };

const orders = new Map();
let failures = 1;

/** A shop that is not quite up to it: its first answer is 503. */
const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  response.setHeader('content-type', 'application/json');
  if (request.headers.authorization !== `Bearer ${secrets.SHOP_TOKEN}`) return response.writeHead(401).end('{}');
  if (request.method === 'HEAD') return response.end();
  if (failures-- > 0) return response.writeHead(503, { 'retry-after': '1' }).end('{}');
  const id = request.url.split('/').pop();
  if (request.method === 'POST') {
    const order = { id: `order-${orders.size + 1}`, ...JSON.parse(body) };
    // The same key comes with every attempt of a run: a repetition finds what the first one made.
    const key = request.headers['idempotency-key'];
    if (!orders.has(key)) orders.set(key, order);
    return response.writeHead(201).end(JSON.stringify(orders.get(key)));
  }
  const order = [...orders.values()].find((known) => known.id === id);
  return response.writeHead(order ? 200 : 404).end(JSON.stringify(order ?? {}));
});

export async function resources() {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    apps: [
      {
        tag: 'shop',
        envs: [
          {
            slug: 'prd',
            base_url: `http://127.0.0.1:${server.address().port}/v1`,
            auth: { type: 'bearer', token: '$Secret{SHOP_TOKEN}' },
          },
        ],
        actions: [
          { tag: 'place', method: 'POST', resource: '/orders', body: { currency: 'EUR', placed_at: '$Now()' } },
          { tag: 'read', method: 'GET', resource: '/orders/:id', timeout: 5_000 },
        ],
      },
    ],
  };
}

export async function run(ductape, log) {
  const placed = await ductape.actions.dispatch({
    app: 'shop',
    event: 'place',
    input: { body: { customer: 'Ann', total: '99.90' } },
    retries: 3,
  });
  const { status, data } = await ductape.jobs.wait(placed.job_id);
  const { retry_count } = await ductape.jobs.get(placed.job_id);
  log(`placed: HTTP ${status} after ${retry_count} retries`, data);

  const read = await ductape.actions.dispatch({ app: 'shop', event: 'read', input: { params: { id: data.id } } });
  log('read:', (await ductape.jobs.wait(read.job_id)).data);

  const lost = await ductape.actions.dispatch({ app: 'shop', event: 'read', input: { params: { id: 'nobody' } } });
  await ductape.jobs.wait(lost.job_id).catch(({ code, message }) => log(`in vain: ${code}: ${message}`));
}

export function close() {
  server.closeAllConnections();
  server.close();
}
