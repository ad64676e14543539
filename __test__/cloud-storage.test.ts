// Storage in buckets, without handlers: on the servers that the variables of support/buckets.ts name.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Bucket, buckets } from './support/buckets.js';
import type { DuctapeOptions, IStorageRequest } from './support/ductape.js';
import { create, env, product, rejection, temporaryFolder } from './support/instances.js';
import { script } from './support/processes.js';
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
        const refused = await failure(ductape, event, { fileName, ...(event === 'upload' && { buffer: 'YQ==' }) });
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
    // What a URL gives another meaning is a part of the name.
    for (const odd of ['a%20b.txt', 'q?x.txt', 'h#x.txt', 'p%3Fx', 'a b.txt']) {
      const fileName = `odd/${odd}`;
      const { url, headers } = await run(ductape, 'getSignedUrl', { fileName, action: 'write' });
      expect((await fetch(url, { method: 'PUT', body: odd, headers: headers ?? {} })).status, odd).toBeLessThan(300);
      const { buffer } = await run(ductape, 'download', { fileName });
      expect(Buffer.from(String(buffer), 'base64').toString()).toBe(odd);
      expect(await (await fetch((await run(ductape, 'getSignedUrl', { fileName })).url)).text()).toBe(odd);
    }
    for (const wrong of [{ action: 'list' }, { expiresIn: 0 }, { expiresIn: 604_801 }, { expiresIn: 1.5 }]) {
      const refused = await failure(ductape, 'getSignedUrl', { ...file, ...wrong } as never);
      expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    }
  });

  on('tells wrong credentials and missing buckets from missing files', async () => {
    expect(await storing(bucket.type, bucket.config).resources.check()).toMatchObject([{ type: 'storage', ok: true }]);
    for (const [config, code] of [
      [bucket.wrongSecret, 'UNAUTHORIZED'],
      [bucket.noUser ?? bucket.wrongSecret, 'UNAUTHORIZED'],
      [bucket.noBucket, 'NOT_FOUND'],
    ] as const) {
      const ductape = storing(bucket.type, config);
      expect(await ductape.resources.check()).toMatchObject([{ ok: false, error: { code } }]);
      for (const event of ['upload', 'download', 'remove', 'stats', 'listFiles']) {
        const file = event === 'listFiles' ? {} : { fileName: 'a', ...(event === 'upload' && { buffer: 'YQ==' }) };
        const refused = await failure(ductape, event, file);
        expect(refused, `${event} ${refused.message}`).toMatchObject({ code, attempts: 1 });
        expect(refused.message).not.toContain('no-such');
      }
      const large = await failure(ductape, 'upload', { fileName: 'a', buffer: Buffer.alloc(9 << 20) });
      expect(large).toMatchObject({ code, attempts: 1 });
    }
  });
});

/** What becomes of requests to a bucket. */
type Fault = (request: IncomingMessage, answer: ServerResponse) => boolean;

/** S3 behind a server that lets requests through unless `fault` takes them; which were made, and what they were answered. */
async function behind(server: string) {
  const url = new URL(server);
  const seen: string[] = [];
  const state: { fault: Fault } = { fault: () => false };
  const proxy: Server = createServer((asked, answer) => {
    if (state.fault(asked, answer)) return;
    const options = {
      host: url.hostname,
      port: url.port,
      method: asked.method,
      path: asked.url,
      headers: asked.headers,
    };
    const there = request(options, (back) => {
      seen.push(`${asked.method} ${asked.url?.split('?')[1] ?? ''} ${back.statusCode}`);
      answer.writeHead(back.statusCode as number, back.headers);
      back.pipe(answer);
    });
    there.on('error', () => answer.destroy());
    asked.pipe(there);
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { config } = await (buckets.S3 as (typeof buckets)[string]).open(server);
  return { seen, state, endpoint, config: { ...config, endpoint } };
}

const s3 = address('DUCTAPE_TEST_S3');

describe.skipIf(s3 === undefined)('a bucket that cannot be reached as it should', () => {
  const large = { fileName: 'large', buffer: Buffer.alloc(20 << 20, 'x') };

  it('gets a request again that was one too many, after the pause it asks for', async () => {
    const { state, config } = await behind(s3 as string);
    const ductape = storing('aws', config);
    const times: number[] = [];
    state.fault = (_, answer) => {
      times.push(Date.now());
      if (times.length > 2) return false;
      answer.writeHead(503, { 'retry-after': '1' }).end('<Error><Code>SlowDown</Code></Error>');
      return true;
    };
    expect(await run(ductape, 'upload', { fileName: 'a', buffer: 'YQ==' })).toMatchObject({ size: 1 });
    expect(times.length).toBe(3);
    expect((times[1] as number) - (times[0] as number)).toBeGreaterThanOrEqual(990);
    // A longer pause is one between attempts.
    times.length = 0;
    state.fault = (_, answer) => {
      times.push(Date.now());
      answer.writeHead(503, { 'retry-after': '20' }).end('<Error><Code>SlowDown</Code></Error>');
      return true;
    };
    const input = { fileName: 'a', buffer: 'YQ==' };
    const { job_id } = await ductape.storage.dispatch({ storage: 'files', event: 'upload', input, retries: 1 });
    await expect.poll(async () => (await ductape.jobs.get(job_id)).last_error).toContain('fewer requests');
    const { scheduled_at, error } = await ductape.jobs.get(job_id);
    expect(error?.code).toBe('RATE_LIMITED');
    expect(scheduled_at - (times[0] as number)).toBeGreaterThanOrEqual(19_000);
    expect(times.length).toBe(1);
  });

  it('gets a request again whose connection broke, and fails when all break', async () => {
    const { state, config } = await behind(s3 as string);
    const ductape = storing('aws', config);
    let requests = 0;
    state.fault = (asked) => {
      requests += 1;
      if (requests > 2) return false;
      asked.socket.destroy();
      return true;
    };
    expect(await run(ductape, 'upload', { fileName: 'a', buffer: 'YQ==' })).toMatchObject({ size: 1 });
    state.fault = (asked) => {
      asked.socket.destroy();
      return true;
    };
    for (const event of ['upload', 'download', 'stats', 'remove', 'listFiles']) {
      const file = event === 'listFiles' ? {} : { fileName: 'a', ...(event === 'upload' && { buffer: 'YQ==' }) };
      expect(await failure(ductape, event, file), event).toMatchObject({ code: 'CONNECTION_ERROR', attempts: 2 });
    }
    expect(await ductape.resources.check()).toMatchObject([{ ok: false, error: { code: 'CONNECTION_ERROR' } }]);
  });

  it.each(['cancelled', 'too late', 'denied', 'cut'])(
    'keeps no parts of an upload that is %s',
    { timeout: 30_000 },
    async (how) => {
      const { state, seen, config } = await behind(s3 as string);
      const path = `t-${randomUUID()}`;
      const ductape = storing('aws', config, path);
      await run(ductape, 'upload', { fileName: 'large', buffer: Buffer.from('before') });
      let stalled = 0;
      state.fault = (asked, answer) => {
        if (!asked.url?.includes('partNumber=2')) return false;
        stalled += 1;
        if (how === 'denied') answer.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
        if (how === 'cut') asked.socket.destroy();
        return true;
      };
      const timeout = how === 'too late' ? 2_500 : 60_000;
      const job = { storage: 'files', event: 'upload', input: large, timeout, retries: 0 };
      const { job_id } = await ductape.storage.dispatch(job);
      const ended = rejection(ductape.jobs.wait(job_id));
      await expect.poll(() => stalled, { timeout: 20_000 }).toBeGreaterThan(0);
      if (how === 'cancelled') await ductape.jobs.cancel(job_id);
      const codes = { cancelled: 'CANCELLED', 'too late': 'TIMEOUT', denied: 'FORBIDDEN', cut: 'CONNECTION_ERROR' };
      expect((await ended).code).toBe(codes[how as keyof typeof codes]);
      // Removed, and once more, since a part may have been on its way; then it is there again.
      const removals = () =>
        seen.filter((each) => each.startsWith('DELETE uploadId=')).map((each) => each.split(' ')[2]);
      await expect.poll(removals, { timeout: 10_000 }).toEqual(['204', expect.stringMatching(/^(204|404)$/)]);
      expect(seen.some((each) => each.startsWith('POST uploadId='))).toBe(false);
      state.fault = () => false;
      const { buffer } = await run(ductape, 'download', { fileName: 'large' });
      expect(Buffer.from(buffer as string, 'base64').toString()).toBe('before');
    },
  );

  it('is refused where `outbound` forbids its host', async () => {
    const { seen, config } = await behind(s3 as string);
    for (const outbound of [{ hosts: ['example.com'] }, { privateAddresses: false }]) {
      const ductape = storing('aws', config, 'p', { outbound });
      expect(await failure(ductape, 'upload', { fileName: 'a', buffer: 'YQ==' })).toMatchObject({ code: 'FORBIDDEN' });
      expect(await ductape.resources.check()).toMatchObject([{ ok: false, error: { code: 'FORBIDDEN' } }]);
    }
    expect(seen).toEqual([]);
  });

  it('is opened by a key of the environment or of a profile', async () => {
    const { config } = await (buckets.S3 as (typeof buckets)[string]).open(s3 as string);
    const { accessKeyId, secretAccessKey, ...rest } = config as Record<string, string>;
    const folder = await temporaryFolder();
    const credentials = join(folder, 'credentials');
    await writeFile(
      credentials,
      `[work]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`,
    );
    const none = { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/none', AWS_SHARED_CREDENTIALS_FILE: '/none' };
    for (const [environment, own, ok] of [
      [{ ...none, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }, {}, true],
      [{ ...none, AWS_SHARED_CREDENTIALS_FILE: credentials }, { profile: 'work' }, true],
      [none, {}, false],
    ] as const) {
      const program = `
        import Ductape from 'ductape';
        const config = JSON.parse(process.argv[1]);
        const storage = [{ tag: 'files', envs: [{ slug: 'test', type: 'aws', config }] }];
        const ductape = new Ductape({ store: 'memory:', product: 'shop', env: 'test', resources: { products: [{ tag: 'shop', storage }] } });
        const [checked] = await ductape.resources.check();
        console.log('checked', checked.ok, checked.error?.code ?? '');
        await ductape.close();`;
      const started = script(program, [JSON.stringify({ ...rest, ...own })], {
        env: environment as Record<string, string>,
      });
      expect(await started.waitForLine('checked')).toBe(ok ? 'true ' : 'false UNAUTHORIZED');
    }
  });
});
