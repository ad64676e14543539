// A dashboard on a server of Node's, and a browser that asks it, as far as plain HTTP goes.
import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { DashboardOptions, Ductape } from './ductape.js';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: each route answers with something else
  json: any;
}

export interface Asked {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

/** Asks as it is told to: `fetch` would set some headers itself. */
export function ask(url: string, path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.startsWith('application/json') && text !== '';
        const json = isJson ? JSON.parse(text) : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Listens on loopback until the end of the test; resolves with the address. */
export async function listen(listener: http.RequestListener): Promise<string> {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A browser that has opened the dashboard. */
export class Browser {
  headers: Record<string, string> = {};
  constructor(
    readonly url: string,
    readonly base: string,
    private readonly own: Record<string, string>,
  ) {}

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this.url, this.base + path, { headers: { ...this.own, ...headers } });
  }

  post(path: string, body: unknown = {}, headers: Record<string, string> = {}, method = 'POST'): Promise<Answer> {
    const all = { ...this.own, ...this.headers, 'content-type': 'application/json', ...headers };
    return ask(this.url, this.base + path, { method, headers: all, body: JSON.stringify(body) });
  }

  delete(path: string): Promise<Answer> {
    return ask(this.url, this.base + path, { method: 'DELETE', headers: { ...this.own, ...this.headers } });
  }
}

/** A browser with a session. `own` are headers that it sends always, as one that signs it in. */
export async function signIn(url: string, own: Record<string, string> = {}, base = ''): Promise<Browser> {
  const browser = new Browser(url, base, own);
  const { status, headers, json, text } = await browser.get('/api/session');
  if (status !== 200) throw new Error(`no session: ${status} ${text}`);
  const [cookie = ''] = headers['set-cookie'] ?? [];
  browser.headers = { cookie: cookie.split(';')[0] ?? '', 'x-ductape-token': json.token };
  return browser;
}

/** Who has signed in by the header `x-user`: `ann` may write, `bob` may read. */
export const byHeader: NonNullable<DashboardOptions['authorize']> = (request: IncomingMessage) => {
  const name = request.headers['x-user'];
  if (name === 'ann') return 'ann';
  return name === 'bob' ? { user: 'bob', readOnly: true } : undefined;
};

/** A dashboard of this instance; resolves with its address. */
export const serve = (ductape: Ductape, options?: DashboardOptions): Promise<string> =>
  listen(ductape.dashboard(options));

/** Reads a stream of events until `enough` says so, or the stream ends. */
export async function readEvents(
  url: string,
  path: string,
  headers: Record<string, string>,
  enough: (events: { event: string; data: unknown }[]) => boolean,
): Promise<{ events: { event: string; data: unknown }[]; ended: boolean; headers: IncomingMessage['headers'] }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.get({ hostname, port, path, headers, agent: false }, (response) => {
      let text = '';
      const events: { event: string; data: unknown }[] = [];
      const done = (ended: boolean) => {
        resolve({ events, ended, headers: response.headers });
        request.destroy();
      };
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
          if (event && data) events.push({ event, data: JSON.parse(data) });
        }
        if (enough(events)) done(false);
      });
      response.on('end', () => done(true));
      response.on('error', () => done(true));
    });
    request.on('error', reject);
  });
}
