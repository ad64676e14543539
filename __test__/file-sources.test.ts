// Uploads whose content is a file or a URL, to a local folder, and to S3 where DUCTAPE_TEST_S3 names one.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buckets } from './support/buckets.js';
import type { DuctapeOptions, IStorageRequest } from './support/ductape.js';
import { create, env, product, rejection, temporaryFolder } from './support/instances.js';
import { address } from './support/servers.js';

type Instance = ReturnType<typeof create>;
type Result = Record<string, unknown> & { size: number; url: string };

/** Bytes of the large file; more than the buffers of any part of it. */
const LARGE_BYTES = Number(process.env.DUCTAPE_TEST_LARGE_FILE_MIB ?? 192) * 1_048_576;

const s3 = address('DUCTAPE_TEST_S3');

/** An instance with a storage, and the folder of its sources. */
async function storing(env_: object, options: DuctapeOptions = {}, more: object = {}) {
  const sources = await temporaryFolder();
  const events = [
    { tag: 'save', operation: 'upload', path: `t-${randomUUID()}` },
    { tag: 'save small', operation: 'upload', maxBytes: 1_000 },
    { tag: 'share', operation: 'getSignedUrl', path: '' },
  ];
  const envs = [{ slug: env, sources: { folder: sources, privateAddresses: true, ...more }, ...env_ }];
  const resources = { products: [{ tag: product, storage: [{ tag: 'files', envs, events }] }] };
  return { sources, ductape: create({ resources: resources as never, ...options }) };
}

async function local(options: DuctapeOptions = {}, more: object = {}) {
  const root = await temporaryFolder();
  return { root, ...(await storing({ type: 'local', config: { root } }, options, more)) };
}

async function save(ductape: Instance, input: Partial<IStorageRequest>, event = 'save', more: object = {}) {
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input, ...more });
  return (await ductape.jobs.wait(job_id)) as Result;
}

async function failure(ductape: Instance, input: Partial<IStorageRequest>, event = 'save', more: object = {}) {
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input, ...more });
  const { code, message } = await rejection(ductape.jobs.wait(job_id));
  return { code, message };
}

/** A server of HTTP on this machine; its address. */
async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A large file with content that does not repeat, and its digest. */
async function largeFile(path: string) {
  const digest = createHash('sha256');
  const file = await open(path, 'w');
  for (let n = 0; n < LARGE_BYTES / 1_048_576; n++) {
    const part = Buffer.alloc(1_048_576, `${n} `);
    digest.update(part);
    await file.write(part);
  }
  await file.close();
  return digest.digest('hex');
}

async function digestOf(stream: AsyncIterable<Uint8Array>) {
  const digest = createHash('sha256');
  for await (const chunk of stream) digest.update(chunk);
  return digest.digest('hex');
}

/** Does something, and says by how many MiB the memory of this process grew meanwhile at most. */
async function growth<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  try {
    return [await work(), (most - before) / 1_048_576];
  } finally {
    clearInterval(timer);
  }
}

describe('a file of this machine', () => {
  it('is uploaded whole', async () => {
    const { root, sources, ductape } = await local();
    await mkdir(join(sources, 'in'));
    await writeFile(join(sources, 'in/a.txt'), 'content');
    await writeFile(join(sources, '$Now()'), '');
    const saved = await save(ductape, { fileName: 'b.txt', file: { path: 'in/a.txt' } });
    expect(saved).toMatchObject({ success: true, fileName: 'b.txt', size: 7, mimeType: 'text/plain' });
    expect(await readFile(join(root, saved.path as string, 'b.txt'), 'utf8')).toBe('content');
    expect(await save(ductape, { fileName: 'c', file: { path: '$Now()' } })).toMatchObject({ size: 0 });
    expect(await readdir(join(root, '.ductape'))).toEqual([]);
  });

  it('is refused outside the folder that the definition names', async () => {
    const { root, sources, ductape } = await local();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'secret'), 'secret');
    await symlink(outside, join(sources, 'out'));
    await symlink(join(outside, 'secret'), join(sources, 'link'));
    await mkdir(join(sources, 'folder'));
    await writeFile(join(sources, 'large'), Buffer.alloc(1_001));
    for (const [path, code] of [
      ['/etc/passwd', 'VALIDATION_ERROR'],
      ['../secret', 'VALIDATION_ERROR'],
      ['a/../../secret', 'VALIDATION_ERROR'],
      ['%2e%2e/secret', 'VALIDATION_ERROR'],
      ['out/secret', 'FORBIDDEN'],
      ['link', 'FORBIDDEN'],
      ['folder', 'VALIDATION_ERROR'],
      ['missing', 'NOT_FOUND'],
    ] as const) {
      const refused = await failure(ductape, { fileName: 'a', file: { path } });
      expect(refused, path).toMatchObject({ code });
      expect(refused.message).toContain('input.file.path');
      expect(refused.message).not.toContain(outside);
    }
    expect(await failure(ductape, { fileName: 'a', file: { path: 'large' } }, 'save small')).toMatchObject({
      code: 'VALIDATION_ERROR',
      message: expect.stringContaining('maxBytes'),
    });
    for (const wrong of [
      {},
      { path: 'a', url: 'http://h' },
      { path: 1 },
      { name: 'a' },
      { url: 'ftp://h/a' },
      { url: 'x' },
    ]) {
      expect(await failure(ductape, { fileName: 'a', file: wrong as never })).toMatchObject({
        code: 'VALIDATION_ERROR',
      });
    }
    const both = { fileName: 'a', file: { path: 'large' }, buffer: '' };
    expect((await failure(ductape, both)).message).toContain('in the place of `buffer`');
    const none = create({
      resources: {
        products: [
          { tag: product, storage: [{ tag: 'files', envs: [{ slug: env, type: 'local', config: { root } }] }] },
        ],
      },
    });
    expect(await failure(none, { fileName: 'a', file: { path: 'large' } })).toMatchObject({ code: 'FORBIDDEN' });
    expect(await readdir(root)).not.toContain('a');
  });

  it('is uploaded in memory that its size does not change', { timeout: 600_000 }, async () => {
    const { root, sources, ductape } = await local();
    const digest = await largeFile(join(sources, 'large'));
    const input = { fileName: 'large', file: { path: 'large' } };
    const [saved, grown] = await growth(() => save(ductape, input, 'save', { timeout: 600_000 }));
    expect(saved.size).toBe(LARGE_BYTES);
    expect(await digestOf(createReadStream(join(root, saved.path as string, 'large')))).toBe(digest);
    expect(grown).toBeLessThan(64);
  });

  it.skipIf(s3 === undefined)(
    'is uploaded to S3 in memory that its size does not change',
    { timeout: 600_000 },
    async () => {
      const { type, config } = await (buckets.S3 as (typeof buckets)[string]).open(s3 as string);
      const { sources, ductape } = await storing({ type, config });
      const digest = await largeFile(join(sources, 'large'));
      const input = { fileName: 'large', file: { path: 'large' } };
      const [saved, grown] = await growth(() => save(ductape, input, 'save', { timeout: 600_000 }));
      expect(saved.size).toBe(LARGE_BYTES);
      console.info(`S3: ${LARGE_BYTES / 1_048_576} MiB, memory grew by ${grown.toFixed(0)} MiB`);
      expect(grown).toBeLessThan(128);
      const { url } = await save(ductape, { fileName: `${saved.path}/large` }, 'share');
      const { body } = await fetch(url);
      expect(await digestOf(body as unknown as AsyncIterable<Uint8Array>)).toBe(digest);
    },
  );
});

describe('a URL', () => {
  it('is uploaded whole, with its media type', async () => {
    const { root, ductape } = await local();
    const url = await serving((request, answer) => {
      if (request.url === '/moved') return answer.writeHead(302, { location: '/a' }).end();
      if (request.url === '/a') return answer.writeHead(200, { 'content-type': 'image/x-own' }).end('content');
      for (let n = 0; n < 40; n++) answer.write(Buffer.alloc(100_000, String(n % 10)));
      answer.end();
    });
    const moved = await save(ductape, { fileName: 'a', file: { url: `${url}/moved` } });
    expect(moved).toMatchObject({ size: 7, mimeType: 'image/x-own' });
    const large = await save(ductape, { fileName: 'b.png', file: { url: `${url}/large?$Now()` } });
    expect(large).toMatchObject({ size: 4_000_000, mimeType: 'image/png' });
    expect((await stat(join(root, large.path as string, 'b.png'))).size).toBe(4_000_000);
    await chmod(root, 0o755);
  });

  it('with a private address is refused, unless both rules allow it', async () => {
    let asked = 0;
    const url = await serving((_, answer) => {
      asked += 1;
      answer.end('x');
    });
    const named = url.replace('127.0.0.1', 'localhost');
    const closed = await local({}, { privateAddresses: false });
    const outbound = await local({ outbound: { privateAddresses: false } });
    const hosts = await local({ outbound: { hosts: ['example.com'] } });
    for (const { ductape, root } of [closed, outbound, hosts]) {
      for (const each of [url, named, url.replace('127.0.0.1', '2130706433')]) {
        expect(await failure(ductape, { fileName: 'a', file: { url: each } })).toMatchObject({ code: 'FORBIDDEN' });
      }
      expect(await readdir(root)).toEqual([]);
    }
    expect(asked).toBe(0);
  });

  it('that fails, breaks off or is too large leaves nothing', async () => {
    const { root, ductape } = await local();
    const url = await serving((request, answer) => {
      if (request.url === '/missing') return answer.writeHead(404).end();
      if (request.url === '/busy') return answer.writeHead(429, { 'retry-after': '7' }).end();
      if (request.url === '/endless') {
        const write = () => {
          while (answer.write(Buffer.alloc(65_536)) && !answer.destroyed);
        };
        answer.on('drain', write);
        return write();
      }
      if (request.url === '/announced') return answer.writeHead(200, { 'content-length': '1001' }).end();
      answer.writeHead(200, { 'content-length': '5000000' });
      answer.write(Buffer.alloc(2_500_000), () => answer.destroy());
    });
    for (const [path, code, event] of [
      ['/missing', 'NOT_FOUND', 'save'],
      ['/busy', 'RATE_LIMITED', 'save'],
      ['/cut', 'CONNECTION_ERROR', 'save'],
      ['/endless', 'VALIDATION_ERROR', 'save small'],
      ['/announced', 'VALIDATION_ERROR', 'save small'],
    ] as const) {
      const failed = await failure(ductape, { fileName: 'a', file: { url: url + path } }, event);
      expect(failed, path).toMatchObject({ code });
    }
    const input = { fileName: 'a', file: { url: `${url}/endless` } };
    const late = await failure(ductape, input, 'save', { timeout: 300, retries: 0 });
    expect(late.code).toBe('TIMEOUT');
    await expect.poll(() => readdir(join(root, '.ductape'))).toEqual([]);
    const folders = (await readdir(root)).filter((name) => name !== '.ductape');
    for (const folder of folders) expect(await readdir(join(root, folder))).toEqual([]);
  });
});
