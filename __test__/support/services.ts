// HTTP services with programmable answers, and the resources and jobs that call them.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createSecureServer, type Http2Server } from 'node:http2';
import { createServer as createSocketServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { AppAction, AppEnv, DuctapeOptions, IActionRequest, IActionResult, IJob } from './ductape.js';
import { create, env, eventually, product, temporaryFolder } from './instances.js';

export interface ReceivedRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Service {
  url: string;
  port: number;
  /** Requests so far, in order. */
  requests: ReceivedRequest[];
}

async function listen(server: Server | Http2Server | ReturnType<typeof createSocketServer>): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Notes each request with its body, then lets `answer` answer it; the answer `{}` as JSON by default. */
function recordRequests(requests: ReceivedRequest[], answer?: RequestListener): RequestListener {
  return async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method = '', url = '', headers } = request;
    requests.push({ method, url, headers, body: Buffer.concat(chunks) });
    if (answer) answer(request, response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
}

export async function service(answer?: RequestListener): Promise<Service> {
  const requests: ReceivedRequest[] = [];
  const port = await listen(createServer(recordRequests(requests, answer)));
  return { url: `http://127.0.0.1:${port}`, port, requests };
}

/** The same with TLS, by HTTP/2 where the client wants it; `ca` is the certificate of its authority. */
export async function secureService(): Promise<Service & { ca: string; versions: string[] }> {
  const { ca, cert, key } = await certificates();
  const requests: ReceivedRequest[] = [];
  const versions: string[] = [];
  const server = createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
    versions.push(request.httpVersion);
    recordRequests(requests)(request as never, response as never);
  });
  const port = await listen(server);
  return { url: `https://localhost:${port}`, port, requests, ca, versions };
}

/** An authority, and a certificate of it for localhost. */
async function certificates(): Promise<{ ca: string; cert: string; key: string }> {
  const folder = await temporaryFolder();
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
  );
  openssl('req', ...newKey, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=localhost');
  writeFileSync(file('v3'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'v3', '-days', '2'];
  openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...signed);
  const read = (name: string) => readFileSync(file(name), 'utf8');
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}

/** A server that gets a connection once the head of a request has come, and the number of requests so far. */
export async function rawService(script: (socket: Socket, count: number) => void): Promise<Service> {
  const requests: ReceivedRequest[] = [];
  const server = createSocketServer((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      const whole = text.includes('\r\n\r\n');
      text += chunk;
      if (whole || !text.includes('\r\n\r\n')) return;
      requests.push({ method: '', url: '', headers: {}, body: Buffer.from(text) });
      script(socket, requests.length);
    });
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, port, requests };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createSocketServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Options of an instance whose app `shop` is at `url`, with one action `call`. */
export function shop(
  url: string,
  action: Partial<AppAction> = {},
  more: Partial<AppEnv> = {},
): Required<Pick<DuctapeOptions, 'resources'>> {
  const call: AppAction = { tag: 'call', method: 'POST', resource: '/', ...action };
  const apps = [{ tag: 'shop', envs: [{ slug: env, base_url: url, ...more }], actions: [call] }];
  return { resources: { products: [{ tag: product, apps }] } };
}

/** The job of one call, once it has ended. */
export async function runCall(
  options: DuctapeOptions,
  input: IActionRequest = {},
  more: object = {},
): Promise<IJob & { result: IActionResult }> {
  const ductape = create(options);
  const { job_id } = await ductape.actions.dispatch({ app: 'shop', event: 'call', input, ...more });
  return eventually(async () => {
    const job = await ductape.jobs.get(job_id);
    if (!job.completed_at) throw new Error(`the job is ${job.status}`);
    return job as IJob & { result: IActionResult };
  }, 20_000);
}
