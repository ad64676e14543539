// Files of the dashboard: compressed where that is there, kept for a year, and none but those that are there.
import { mkdir, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { create, temporaryFolder } from './support/instances.js';

interface Found {
  status: number;
  headers: Record<string, string>;
  body?: Buffer;
}
interface Files {
  page(base: string): Found;
  asset(name: string, request: { header(name: string): string | undefined }): Found;
}
const { StaticFiles } = createRequire(import.meta.url)('../lib/dashboard/static.js') as {
  StaticFiles: new (folder: string) => Files;
};

const script = 'console.log(1);\n'.repeat(50);

async function files(): Promise<Files> {
  const folder = await temporaryFolder();
  const assets = join(folder, 'assets');
  await mkdir(join(assets, 'folder'), { recursive: true });
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'index.html'), '<base href="{{base}}"><script src="{{base}}assets/app-1.js"></script>');
  await writeFile(join(assets, 'app-1.js'), script);
  await writeFile(join(assets, 'app-1.js.br'), brotliCompressSync(script));
  await writeFile(join(assets, 'app-1.js.gz'), gzipSync(script));
  await writeFile(join(assets, 'icon-1.svg'), '<svg/>');
  return new StaticFiles(folder);
}

const asking = (headers: Record<string, string>) => ({ header: (name: string) => headers[name] });

describe('a file of the dashboard', () => {
  it.each([
    ['br, gzip', 'br'],
    ['gzip, deflate, br;q=0.5', 'br'],
    ['gzip', 'gzip'],
    ['gzip;q=1.0, br;q=0', 'gzip'],
    ['identity', undefined],
    ['brotli', undefined],
    ['', undefined],
  ])('comes as a browser takes it that says %j', async (accepts, encoding) => {
    const { status, headers, body } = (await files()).asset('app-1.js', asking({ 'accept-encoding': accepts }));
    expect([status, headers['content-encoding'], headers.vary]).toEqual([200, encoding, 'accept-encoding']);
    expect(headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      etag: expect.stringMatching(/^"[\w-]{22}"$/),
    });
    expect(body?.length).toBe(
      { br: brotliCompressSync(script).length, gzip: gzipSync(script).length }[encoding ?? ''] ?? script.length,
    );
  });

  it('is not sent again to who has it', async () => {
    const all = await files();
    const { headers } = all.asset('icon-1.svg', asking({}));
    expect(headers['content-type']).toBe('image/svg+xml');
    for (const known of [headers.etag, `W/${headers.etag}`, `"x", ${headers.etag}`]) {
      expect(all.asset('icon-1.svg', asking({ 'if-none-match': known ?? '' })).status).toBe(304);
    }
    expect(all.asset('icon-1.svg', asking({ 'if-none-match': '"x"' })).status).toBe(200);
  });

  it.each([
    '..',
    '../index.html',
    '../secret.txt',
    'folder',
    'none.js',
    '',
    '.',
    'constructor',
    'app-1.js\0',
    '/etc/passwd',
  ])('is none that is not there: %j', async (name) => {
    const all = await files();
    expect(() => all.asset(name, asking({}))).toThrow('there is no such file');
  });
});

describe('the page of the dashboard', () => {
  it('knows its base path, in which no markup gets through', async () => {
    const page = (base: string) => files().then((all) => all.page(base).body?.toString());
    expect(await page('')).toBe('<base href="/"><script src="/assets/app-1.js"></script>');
    expect(await page('/admin/jobs')).toContain('<base href="/admin/jobs/">');
    expect(await page(`/a'b&c"<`)).toContain('<base href="/a&#39;b&amp;c&quot;&lt;/">');
  });

  it('says how it is made where it is not', async () => {
    const folder = await temporaryFolder();
    expect(() => new StaticFiles(folder).page('')).toThrow('npm run build:dashboard');
  });
});

describe('a dashboard over HTTP/2', () => {
  it('answers, and streams', async () => {
    const dashboard = create().dashboard();
    const server = http2.createServer((request, response) => void dashboard(request, response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
    const ask = (path: string, headers: Record<string, string> = {}) =>
      new Promise<[number | undefined, string]>((resolve, reject) => {
        const stream = client.request({ ':path': path, ...headers });
        let status: number | undefined;
        stream.on('response', (response) => {
          status = response[':status'];
        });
        stream.setEncoding('utf8').on('data', (text: string) => {
          stream.close();
          resolve([status, text]);
        });
        stream.on('error', reject).end();
      });
    expect(await ask('/api/session')).toEqual([200, expect.stringContaining('"user":"loopback"')]);
    expect(await ask('/api/session', { 'x-forwarded-for': '127.0.0.1' })).toEqual([
      403,
      expect.stringContaining('proxy'),
    ]);
    expect(await ask('/api/live')).toEqual([200, 'retry: 2000\n\n']);
  });
});
