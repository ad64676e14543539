// Storage in buckets, without handlers: on the servers that the variables of support/buckets.ts name.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Bucket, buckets } from './support/buckets.js';
import type { DuctapeOptions, IStorageRequest } from './support/ductape.js';
import { create, env, product, rejection } from './support/instances.js';
import { address } from './support/servers.js';

type Instance = ReturnType<typeof create>;
type Result = Record<string, unknown> & {
  files: Array<Record<string, unknown>>;
  next?: string;
  nextToken?: string;
  url: string;
  headers?: Record<string, string>;
};

/** An instance whose storage keeps to a folder of its own in the bucket. */
function storing(type: string, config: object, path = `t-${randomUUID()}`, options: DuctapeOptions = {}): Instance {
  const operations = ['upload', 'download', 'remove', 'listFiles', 'stats', 'getSignedUrl'] as const;
  const events = operations.map((operation) => ({ tag: operation, operation, path }));
  const storage = [{ tag: 'files', envs: [{ slug: env, type, config }], events }];
  return create({ resources: { products: [{ tag: product, storage }] } as never, ...options });
}

async function run(ductape: Instance, event: string, input: Partial<IStorageRequest>, more: object = {}) {
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input, ...more });
  return (await ductape.jobs.wait(job_id)) as Result;
}

async function failure(ductape: Instance, event: string, input: Partial<IStorageRequest>, more: object = {}) {
  const retrying = { retries: 1, retryConfig: { initialDelay: 1 }, ...more };
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input, ...retrying });
  const { code, message } = await rejection(ductape.jobs.wait(job_id));
  return { code, message, attempts: (await ductape.jobs.get(job_id)).attempt };
}

describe.each(Object.entries(buckets))('%s', (_name, { variable, open }) => {
  const server = address(variable);
  let bucket: Bucket;
  beforeAll(async () => {
    if (server !== undefined) bucket = await open(server);
  });
  const on = it.skipIf(server === undefined);

  on('writes, describes, reads, lists and removes a file', async () => {
    const path = `t-${randomUUID()}`;
    const ductape = storing(bucket.type, bucket.config, path);
    const bytes = Buffer.from([0, 1, 254, 255, 10, 13]);
    const file = { fileName: 'a/b/größe 1+2%&=?#.png' };
    const written = await run(ductape, 'upload', { ...file, buffer: bytes, mimeType: 'image/x-own' });
    expect(written).toEqual({
      success: true,
      fileName: 'größe 1+2%&=?#.png',
      path: `${path}/a/b`,
      url: expect.stringMatching(/^http.*\/a\/b\/gr%C3%B6%C3%9Fe%201\+2%25&=%3F%23\.png$/),
      size: 6,
      mimeType: 'image/x-own',
      etag: expect.any(String),
      lastModified: expect.any(Number),
    });
    expect(Math.abs((written.lastModified as number) - Date.now())).toBeLessThan(60_000);
    const stats = await run(ductape, 'stats', file);
    expect(stats).toMatchObject({ exists: true, size: 6, mimeType: 'image/x-own', etag: written.etag });
    const read = await run(ductape, 'download', file);
    expect(read).toMatchObject({ size: 6, mimeType: 'image/x-own', buffer: bytes.toString('base64') });
    const { files, hasMore } = await run(ductape, 'listFiles', { path: 'a/b' });
    expect(files).toMatchObject([{ fileName: 'größe 1+2%&=?#.png', path: `${path}/a/b`, size: 6, etag: written.etag }]);
    expect(hasMore).toBe(false);
    expect(await run(ductape, 'remove', file)).toEqual({ success: true, removed: true });
    expect(await run(ductape, 'remove', file)).toEqual({ success: true, removed: false });
    expect(await run(ductape, 'stats', file)).toEqual({ success: true, exists: false });
    expect(await failure(ductape, 'download', file)).toMatchObject({ code: 'NOT_FOUND', attempts: 1 });
  });

  on('takes empty files, files of any size up to 32 MiB, and overwrites', { timeout: 120_000 }, async () => {
    const ductape = storing(bucket.type, bucket.config);
    for (const size of [0, 1, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20 << 20, 32 << 20]) {
      const buffer = Buffer.alloc(size, 'x');
      const written = await run(ductape, 'upload', { fileName: 'a.bin', buffer });
      expect(written).toMatchObject({ size });
      expect(await run(ductape, 'stats', { fileName: 'a.bin' })).toMatchObject({ size, etag: written.etag });
    }
    expect(await failure(ductape, 'download', { fileName: 'a.bin' })).toMatchObject({ code: 'VALIDATION_ERROR' });
    await run(ductape, 'upload', { fileName: 'a.bin', buffer: Buffer.alloc(785_408) });
    expect(await run(ductape, 'download', { fileName: 'a.bin' })).toMatchObject({ size: 785_408 });
  });

  on('keeps names as they are, and refuses those that lead elsewhere', async () => {
    const ductape = storing(bucket.type, bucket.config);
    const names = [
      'a b',
      ' a',
      '$Now()',
      '100%',
      '%zz',
      '%E2%82%AC',
      '~',
      'a+b',
      "o'hara",
      '"q"',
      '<x>&',
      'ü',
      '日本',
      '🎉',
      '...',
      'x'.repeat(255),
    ];
    for (const fileName of names) {
      await run(ductape, 'upload', { fileName, buffer: Buffer.from(fileName) });
    }
    const { files } = await run(ductape, 'listFiles', {});
    expect(files.map((file) => file.fileName).sort()).toEqual([...names].sort());
    for (const fileName of names) {
      const { buffer } = await run(ductape, 'download', { fileName });
      expect(Buffer.from(buffer as string, 'base64').toString()).toBe(fileName);
      expect(await run(ductape, 'remove', { fileName })).toMatchObject({ removed: true });
    }
    for (const fileName of [
      '..',
      '.',
      '',
      '/',
      '//',
      '/a',
      'a/',
      'a//b',
      '../a',
      'a/../../b',
      '%2F',
      'a%2fb',
      '%252e%252e/x',
      'a\\b',
      'a\0',
      'a\n',
      'x'.repeat(256),
      'x/'.repeat(600),
      '.ductape/a',
    ]) {
      for (const event of ['upload', 'download', 'remove', 'stats', 'getSignedUrl']) {
        const refused = await failure(ductape, event, { fileName, buffer: 'YQ==' });
        expect(refused, `${event} ${JSON.stringify(fileName)}`).toMatchObject({
          code: 'VALIDATION_ERROR',
          attempts: 1,
        });
      }
    }
    expect((await run(ductape, 'listFiles', {})).files).toEqual([]);
  });

  on('lists and counts in pages', { timeout: 60_000 }, async () => {
    const ductape = storing(bucket.type, bucket.config);
    const names = ['a/1.png', 'a/2.pdf', 'a/b/3.zip', 'a/b/4', 'a/c/5', 'a5', 'b6'];
    for (const [n, fileName] of names.entries())
      await run(ductape, 'upload', { fileName, buffer: Buffer.alloc(n + 1) });
    const listed = async (input: Partial<IStorageRequest>) => {
      const { files } = await run(ductape, 'listFiles', input);
      return files.map((file) => file.fileName).join(' ');
    };
    expect(await listed({})).toBe('a5 b6');
    expect(await listed({ prefix: 'a' })).toBe('a5');
    expect(await listed({ path: 'a' })).toBe('1.png 2.pdf');
    expect(await listed({ prefix: 'a/2' })).toBe('2.pdf');
    expect(await listed({ prefix: 'nowhere/' })).toBe('');
    const all: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page: Result = await run(ductape, 'listFiles', {
        path: 'a',
        limit: 1,
        ...(cursor && { continuationToken: cursor }),
      });
      expect(page.hasMore).toBe(page.next !== undefined);
      all.push(...page.files.map((file) => file.fileName));
      cursor = page.nextToken;
    } while (cursor);
    expect(all).toEqual(['1.png', '2.pdf']);
    expect(await run(ductape, 'stats', {})).toMatchObject({
      totalFiles: 7,
      totalSize: 28,
      byType: {
        image: { count: 1, size: 1 },
        document: { count: 1, size: 2 },
        archive: { count: 1, size: 3 },
        other: { count: 4, size: 22 },
      },
      hasMore: false,
    });
    expect(await run(ductape, 'stats', { prefix: 'a/b/' })).toMatchObject({ totalFiles: 2, totalSize: 7 });
    expect(await failure(ductape, 'listFiles', { limit: 1_001 })).toMatchObject({ code: 'VALIDATION_ERROR' });
  });

  on('gives URLs by which others read and write', async () => {
    const ductape = storing(bucket.type, bucket.config);
    const file = { fileName: 'für andere/a+b.txt' };
    const before = Date.now();
    const write = await run(ductape, 'getSignedUrl', { ...file, action: 'write', expiresIn: 60 });
    expect(write).toMatchObject({ success: true, method: 'PUT' });
    expect(write.expiresAt as number).toBeGreaterThanOrEqual(before + 60_000);
    const put = await fetch(write.url, { method: 'PUT', body: 'by others', headers: write.headers ?? {} });
    expect(put.status, await put.text()).toBeLessThan(300);
    expect(await run(ductape, 'stats', file)).toMatchObject({ exists: true, size: 9 });
    const read = await run(ductape, 'getSignedUrl', file);
    expect(read).toMatchObject({ method: 'GET' });
    expect(await (await fetch(read.url)).text()).toBe('by others');
    expect((await fetch(read.url.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a')))).status).toBeGreaterThanOrEqual(
      400,
    );
    expect((await fetch(read.url.split('?')[0] as string)).status).toBeGreaterThanOrEqual(400);
    for (const wrong of [{ action: 'list' }, { expiresIn: 0 }, { expiresIn: 604_801 }, { expiresIn: 1.5 }]) {
      const refused = await failure(ductape, 'getSignedUrl', { ...file, ...wrong } as never);
      expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    }
  });

  on('tells wrong credentials and missing buckets from missing files', async () => {
    expect(await storing(bucket.type, bucket.config).resources.check()).toMatchObject([{ type: 'storage', ok: true }]);
    for (const [config, code] of [
      [bucket.wrongSecret, 'UNAUTHORIZED'],
      [bucket.noBucket, 'NOT_FOUND'],
    ] as const) {
      const ductape = storing(bucket.type, config);
      expect(await ductape.resources.check()).toMatchObject([{ ok: false, error: { code } }]);
      for (const event of ['upload', 'download', 'remove', 'stats', 'listFiles']) {
        const file = event === 'listFiles' ? {} : { fileName: 'a', buffer: 'YQ==' };
        const refused = await failure(ductape, event, file);
        expect(refused, `${event} ${refused.message}`).toMatchObject({ code, attempts: 1 });
        expect(refused.message).not.toContain('no-such');
      }
      const large = await failure(ductape, 'upload', { fileName: 'a', buffer: Buffer.alloc(9 << 20) });
      expect(large).toMatchObject({ code, attempts: 1 });
    }
  });
});
