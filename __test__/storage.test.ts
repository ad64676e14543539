// Storage without handlers: files in a folder of this machine.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, link, mkdir, readdir, readFile, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type DuctapeOptions,
  type IStorageOperationDispatchInput,
  type IStorageRequest,
  literal,
} from './support/ductape.js';
import { create, env, problemPaths, product, rejection, temporaryFolder } from './support/instances.js';
import { script } from './support/processes.js';

const events = [
  { tag: 'read', operation: 'download' },
  { tag: 'remove', operation: 'remove' },
  { tag: 'list', operation: 'listFiles' },
  { tag: 'stats', operation: 'stats' },
  { tag: 'avatar', operation: 'upload', path: 'avatars', maxBytes: 8 },
  { tag: 'read avatar', operation: 'download', path: 'avatars' },
] as const;

const storing = (config: object, type = 'local') => ({
  products: [{ tag: product, storage: [{ tag: 'files', envs: [{ slug: env, type, config }], events }] }],
});

/** An instance with a storage in a folder of its own. */
async function instance(config: object = {}, options: DuctapeOptions = {}) {
  const root = await temporaryFolder();
  const ductape = create({ resources: storing({ root, ...config }) as never, ...options });
  return { root, ductape };
}

/** Whether this user may mount a small file system to fill: root on Linux. */
function mounts() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'ductape-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}

type Instance = ReturnType<typeof create>;

interface FileInfo {
  name?: string;
  fileName: string;
  path?: string;
  size: number;
  mimeType?: string;
  etag: string;
  lastModified: number;
  buffer: string;
}

/** Members of all results. */
interface Result extends FileInfo {
  files: FileInfo[];
  next?: string;
}

/** The result of a job of an event. */
async function runToResult(ductape: Instance, event: string, input: Partial<IStorageRequest>): Promise<Result> {
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input });
  return (await ductape.jobs.wait(job_id)) as Result;
}

/** The error of a job of an event, and its number of attempts. */
async function failure(ductape: Instance, event: string, input: Partial<IStorageRequest>, more: object = {}) {
  const retrying = { retries: 1, retryConfig: { initialDelay: 1 }, ...more };
  const { job_id } = await ductape.storage.dispatch({ storage: 'files', event, input, ...retrying });
  const { code, message } = await rejection(ductape.jobs.wait(job_id));
  return { code, message, attempts: (await ductape.jobs.get(job_id)).attempt };
}

describe('a file', () => {
  it('is written, described, read, listed and removed', async () => {
    const { root, ductape } = await instance();
    const bytes = Buffer.from([0, 1, 254, 255, 10, 13]);
    const before = Date.now();
    const written = await runToResult(ductape, 'save', {
      fileName: 'größe 1.png',
      buffer: bytes,
      path: 'a/b',
      mimeType: 'image/x-own',
    });
    expect(written).toEqual({
      success: true,
      fileName: 'größe 1.png',
      path: 'a/b',
      size: 6,
      mimeType: 'image/x-own',
      etag: expect.any(String),
      lastModified: expect.any(Number),
    });
    expect(Math.abs(written.lastModified - before)).toBeLessThan(60_000);
    expect(await readFile(join(root, 'a/b/größe 1.png'))).toEqual(bytes);
    const file = { fileName: 'größe 1.png', path: 'a/b/' };
    const { mimeType, ...same } = written;
    expect(mimeType).toBe('image/x-own');
    const { success, ...described } = same as typeof same & { success: boolean };
    expect(success).toBe(true);
    expect(await runToResult(ductape, 'stats', file)).toEqual({ exists: true, ...same, mimeType: 'image/png' });
    expect(await runToResult(ductape, 'read', file)).toEqual({
      ...same,
      mimeType: 'image/png',
      buffer: bytes.toString('base64'),
    });
    expect(await runToResult(ductape, 'list', { fileName: '', path: 'a/b' })).toEqual({
      success: true,
      files: [{ name: 'a/b/größe 1.png', ...described, mimeType: 'image/png' }],
      hasMore: false,
    });
    expect(await runToResult(ductape, 'remove', file)).toEqual({ success: true, removed: true });
    expect(await runToResult(ductape, 'remove', file)).toEqual({ success: true, removed: false });
    expect(await runToResult(ductape, 'stats', file)).toEqual({ success: true, exists: false });
    expect(await failure(ductape, 'read', file)).toMatchObject({ code: 'NOT_FOUND', attempts: 1 });
  });

  it('may be empty, given as base64, and overwritten', async () => {
    const { root, ductape } = await instance();
    await runToResult(ductape, 'save', { fileName: 'a', buffer: Buffer.from('first').toString('base64') });
    await runToResult(ductape, 'save', {
      fileName: 'a',
      buffer: Buffer.from('second').toString('base64').replace(/=+$/, ''),
    });
    expect(await readFile(join(root, 'a'), 'utf8')).toBe('second');
    await runToResult(ductape, 'save', { fileName: 'a', buffer: '' });
    expect((await stat(join(root, 'a'))).size).toBe(0);
    expect(await readdir(join(root, '.ductape'))).toEqual([]);
  });

  it('is limited to the folder and size of its event', async () => {
    const { root, ductape } = await instance();
    await runToResult(ductape, 'avatar', { fileName: 'ann.png', buffer: Buffer.alloc(8), path: 'small' });
    expect((await stat(join(root, 'avatars/small/ann.png'))).size).toBe(8);
    const large = await failure(ductape, 'avatar', { fileName: 'ann.png', buffer: Buffer.alloc(9) });
    expect(large).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(large.message).toContain('at most 8 bytes');
    expect(await runToResult(ductape, 'read avatar', { fileName: 'ann.png', path: 'small' })).toMatchObject({
      size: 8,
    });
  });

  it('is written up to 32 MiB, and read up to the size limit of a result', async () => {
    const { root, ductape } = await instance();
    const bytes = Buffer.alloc(32 << 20, 'x');
    expect(await runToResult(ductape, 'save', { fileName: 'large', buffer: bytes })).toMatchObject({
      size: bytes.length,
    });
    expect((await readFile(join(root, 'large'))).equals(bytes)).toBe(true);
    const refused = await failure(ductape, 'read', { fileName: 'large' });
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain('a result holds at most');
    const most = Buffer.alloc(785_408, 'y');
    await runToResult(ductape, 'save', { fileName: 'most', buffer: most });
    const { buffer } = await runToResult(ductape, 'read', { fileName: 'most' });
    expect(Buffer.from(buffer, 'base64').equals(most)).toBe(true);
  });

  it('is never partially visible, even when its writer is killed', { timeout: 90_000 }, async () => {
    const root = await temporaryFolder();
    const folder = await temporaryFolder();
    const resources = JSON.stringify(storing({ root }));
    const source = `
      import Ductape from 'ductape';
      const [store, resources] = process.argv.slice(1);
      const ductape = new Ductape({ store, product: 'shop', env: 'test', resources: JSON.parse(resources) });
      for (let round = 0; ; round++) {
        const buffer = Buffer.alloc(6 << 20, String(round % 10));
        const input = { fileName: 'a', buffer };
        const { job_id } = await ductape.storage.dispatch({ storage: 'files', event: 'save', input });
        await ductape.jobs.wait(job_id);
        if (round === 0) console.log('writing');
      }`;
    const isWhole = async () => {
      const bytes = await readFile(join(root, 'a'));
      return bytes.equals(Buffer.alloc(6 << 20, bytes.subarray(0, 1)));
    };
    let seen = 0;
    for (let round = 0; round < 4; round++) {
      const writer = script(source, [`sqlite:${join(folder, `${round}.db`)}`, resources]);
      await writer.waitForLine('writing');
      const until = Date.now() + 150 + round * 90;
      do {
        expect(await isWhole()).toBe(true);
        seen += 1;
      } while (Date.now() < until || seen % 8 !== 0);
      writer.process.kill('SIGKILL');
      await writer.ended;
      expect(await isWhole()).toBe(true);
    }
    expect(seen).toBeGreaterThanOrEqual(32);
    // Temporary files of a killed process are not listed, and are removed once they are old.
    const left = join(root, '.ductape', 'left.part');
    await writeFile(left, 'half');
    await writeFile(join(root, '.ductape', 'young.part'), 'half');
    const past = new Date(Date.now() - 2 * 3_600_000);
    await utimes(left, past, past);
    const ductape = create({ resources: JSON.parse(resources) });
    const { files } = await runToResult(ductape, 'list', { fileName: '' });
    expect(files.map((file) => file.fileName)).toEqual(['a']);
    expect(await readdir(join(root, '.ductape'))).not.toContain('left.part');
    expect(await readdir(join(root, '.ductape'))).toContain('young.part');
  });
});

describe('uploads of the same name', () => {
  it('describe what they wrote, though others replace and remove it', async () => {
    const { ductape } = await instance({}, { worker: { concurrency: 40 } });
    const inputs = Array.from({ length: 400 }, (_, n) => ({
      event: n % 4 === 3 ? 'remove' : 'save',
      input: { fileName: 'a', buffer: n % 4 === 3 ? undefined : Buffer.alloc(n + 1) },
    }));
    const jobs = await ductape.storage.dispatchMany(inputs.map((each) => ({ storage: 'files', ...each }) as never));
    const results = await Promise.allSettled(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    const wrong = results.filter((result, n) => {
      if (n % 4 === 3) return result.status !== 'fulfilled';
      return result.status !== 'fulfilled' || (result.value as Result).size !== n + 1;
    });
    expect(wrong).toEqual([]);
  });

  it('have etags of their own, also of the same size and at the same time', async () => {
    const { root, ductape } = await instance({}, { worker: { concurrency: 10 } });
    const inputs = Array.from({ length: 300 }, (_, n) => ({ fileName: 'a', buffer: Buffer.from([n % 256]) }));
    const jobs = await ductape.storage.dispatchMany(
      inputs.map((input) => ({ storage: 'files', event: 'save', input })),
    );
    const results = (await Promise.all(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)))) as Result[];
    expect(new Set(results.map(({ etag }) => etag)).size).toBe(300);
    const { etag } = await runToResult(ductape, 'stats', { fileName: 'a' });
    expect(results.map((result) => result.etag)).toContain(etag);
    expect(await readdir(join(root, '.ductape'))).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('keep the mode of the file', async () => {
    const { root, ductape } = await instance();
    await runToResult(ductape, 'save', { fileName: 'a', buffer: 'YQ==' });
    const usual = (await stat(join(root, 'a'))).mode & 0o777;
    for (const mode of [0o600, 0o640, 0o664]) {
      await chmod(join(root, 'a'), mode);
      await runToResult(ductape, 'save', { fileName: 'a', buffer: 'Yg==' });
      expect((await stat(join(root, 'a'))).mode & 0o777).toBe(mode);
    }
    await runToResult(ductape, 'save', { fileName: 'b', buffer: 'YQ==' });
    expect((await stat(join(root, 'b'))).mode & 0o777).toBe(usual);
  });
});

describe('a name', () => {
  it.each(['$Now()', 'a$Now().txt', '$Input{buffer}', '$Session{user}{email}', '$Add(', '$$', '$literal', 'costs $5'])(
    'is text, whatever it looks like: %s',
    async (fileName) => {
      const { root, ductape } = await instance();
      const input = { fileName, path: '$Now()', mimeType: 'text/plain', buffer: Buffer.from('x') };
      expect(await runToResult(ductape, 'save', input)).toMatchObject({ fileName, path: '$Now()' });
      expect(await readdir(join(root, '$Now()'))).toEqual([fileName]);
      expect(await runToResult(ductape, 'read', { fileName, path: '$Now()' })).toMatchObject({ size: 1 });
      const { files } = await runToResult(ductape, 'list', { fileName: fileName.slice(0, 2), path: '$Now()' });
      expect(files.map((file) => file.fileName)).toEqual([fileName]);
      const handled = create();
      handled.storage.handle({}, ({ input }) => input);
      const { job_id } = await handled.storage.dispatch({ storage: 's', event: 'e', input: { fileName } });
      expect(await handled.jobs.wait(job_id)).toEqual({ fileName });
    },
  );

  it('is an expression where the dispatch says so', async () => {
    const { root, ductape } = await instance();
    const dispatch = async (input: IStorageRequest, expressions: boolean) => {
      const { job_id } = await ductape.storage.dispatch({ storage: 'files', event: 'save', input, expressions });
      return (await ductape.jobs.wait(job_id)) as Result;
    };
    const buffer = Buffer.from('x');
    const dated = await dispatch({ fileName: "report-$Dateformat($Now(), 'YYYY')", buffer }, true);
    expect(dated.fileName).toMatch(/^report-20\d\d$/);
    expect((await dispatch({ fileName: literal('$Now()'), path: "$Concat(['a','b'])", buffer }, true)).path).toBe('ab');
    expect((await dispatch({ fileName: '$Now()', buffer }, false)).fileName).toBe('$Now()');
    expect((await readdir(join(root, 'ab')))[0]).toBe('$Now()');
  });

  it('is marked as text with the bytes beside it, or within', async () => {
    const { root, ductape } = await instance();
    const bytes = Buffer.from([0, 255, 36]);
    await runToResult(ductape, 'save', literal({ fileName: '$Now()', buffer: bytes }));
    await runToResult(ductape, 'save', { fileName: literal('b'), buffer: literal(bytes) });
    for (const name of ['$Now()', 'b']) expect(await readFile(join(root, name))).toEqual(bytes);
    // As large as without the mark.
    const large = literal({ fileName: 'large', buffer: Buffer.alloc(2 << 20) });
    expect(await runToResult(ductape, 'save', large)).toMatchObject({ size: 2 << 20 });
  });

  it('with slashes is in folders', async () => {
    const { root, ductape } = await instance();
    const buffer = Buffer.from('x');
    const written = await runToResult(ductape, 'save', { fileName: 'a/b/c.txt', buffer });
    expect(written).toMatchObject({ fileName: 'c.txt', path: 'a/b', size: 1 });
    await runToResult(ductape, 'save', { fileName: 'd/e', path: 'a/b', buffer });
    await runToResult(ductape, 'avatar', { fileName: 'x/y', path: 'z', buffer });
    expect(await readdir(join(root, 'a/b'))).toEqual(['c.txt', 'd']);
    expect(await readdir(join(root, 'avatars/z/x'))).toEqual(['y']);
    expect(await runToResult(ductape, 'stats', { fileName: 'a/b/d/e' })).toMatchObject({ exists: true });
    for (const input of [{ fileName: 'a/b/c' }, { prefix: 'a/b/c' }, { prefix: 'b/', path: 'a' }]) {
      const { files } = await runToResult(ductape, 'list', input);
      expect(files.map((file) => file.name)).toEqual(['a/b/c.txt']);
    }
    expect(await runToResult(ductape, 'remove', { fileName: 'a/b/c.txt' })).toMatchObject({ removed: true });
    for (const prefix of ['/', '//', 'a//b', '../x', 'a/../b', '/a', 'a\\b', '%2e%2e/a']) {
      expect(await failure(ductape, 'list', { prefix })).toMatchObject({ code: 'VALIDATION_ERROR' });
    }
    const long = `${'x'.repeat(250)}/`.repeat(4);
    expect(await runToResult(ductape, 'save', { fileName: `${long}${'y'.repeat(20)}`, buffer })).toMatchObject({
      size: 1,
    });
    const longer = await failure(ductape, 'save', { fileName: `${long}${'y'.repeat(21)}`, buffer });
    expect(longer).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
  });
});

describe('an operation', () => {
  it('stands in the place of the event', async () => {
    const { ductape } = await instance();
    const run = async (operation: string, input: Partial<IStorageRequest>) => {
      const { job_id } = await ductape.storage.dispatch({
        storage: 'files',
        operation,
        input,
      } as IStorageOperationDispatchInput);
      return (await ductape.jobs.wait(job_id)) as Result;
    };
    const file = { fileName: 'a' };
    expect(await run('upload', { ...file, buffer: Buffer.from('x') })).toMatchObject({ size: 1 });
    for (const operation of ['download', 'read']) expect(await run(operation, file)).toMatchObject({ buffer: 'eA==' });
    expect(await run('stats', file)).toMatchObject({ exists: true });
    for (const operation of ['listFiles', 'list']) {
      expect((await run(operation, {})).files).toMatchObject([{ fileName: 'a' }]);
    }
    expect(await run('delete', file)).toMatchObject({ removed: true });
    expect(await run('remove', file)).toMatchObject({ removed: false });
    const wrong = { storage: 'files', operation: 'copy', input: file };
    expect(await rejection(ductape.storage.dispatch(wrong as never))).toMatchObject({ code: 'VALIDATION_ERROR' });
    const both = { storage: 'files', operation: 'read', event: 'read', input: file };
    expect((await rejection(ductape.storage.dispatch(both as never))).message).toContain('in the place of `event`');
    const neither = { storage: 'files', input: file };
    expect((await rejection(ductape.storage.dispatch(neither as never))).message).toContain('event: is missing');
    const { job_id } = await ductape.storage.dispatch({ storage: 'files', operation: 'getSignedUrl', input: file });
    expect((await rejection(ductape.jobs.wait(job_id))).message).toContain('a local folder has no URLs');
  });

  it('cannot be the name of an event that does another', () => {
    const resources = storing({ root: 'files' });
    const confusing = { tag: 'download', operation: 'upload' };
    Object.assign(resources.products[0]?.storage[0] ?? {}, { events: [confusing] });
    expect(() => create({ resources: resources as never })).toThrow("'download' is the name of another operation");
  });

  it('of a handler takes any input', async () => {
    const ductape = create();
    ductape.storage.handle({ storage: 'files', event: 'cleanup_temp' }, ({ input }) => input);
    const input = { olderThanHours: 24, patterns: ['*.tmp'] };
    const { job_id } = await ductape.storage.dispatch({ storage: 'files', event: 'cleanup_temp', input });
    expect(await ductape.jobs.wait(job_id)).toEqual(input);
  });
});

describe('stats of a folder', () => {
  it('count files in it and below, by type', async () => {
    const { root, ductape } = await instance();
    for (const [name, size] of [
      ['a.png', 3],
      ['b/c.jpg', 4],
      ['b/d/e.pdf', 5],
      ['b/f', 6],
      ['g.zip', 7],
    ] as const) {
      await runToResult(ductape, 'save', { fileName: name, buffer: Buffer.alloc(size) });
    }
    await symlink('/etc', join(root, 'link'));
    const none = { count: 0, size: 0 };
    expect(await runToResult(ductape, 'stats', {})).toEqual({
      success: true,
      totalFiles: 5,
      totalSize: 25,
      byType: {
        image: { count: 2, size: 7 },
        video: none,
        audio: none,
        document: { count: 1, size: 5 },
        archive: { count: 1, size: 7 },
        other: { count: 1, size: 6 },
      },
      hasMore: false,
    });
    expect(await runToResult(ductape, 'stats', { prefix: 'b/' })).toMatchObject({ totalFiles: 3, totalSize: 15 });
    expect(await runToResult(ductape, 'stats', { prefix: 'a' })).toMatchObject({ totalFiles: 1, totalSize: 3 });
    expect(await runToResult(ductape, 'stats', { path: 'nowhere' })).toMatchObject({ totalFiles: 0, hasMore: false });
  });

  it('are bounded, and go on where they ended', { timeout: 60_000 }, async () => {
    const { root, ductape } = await instance();
    for (const folder of ['a', 'a/b', 'c']) {
      await mkdir(join(root, folder));
      await Promise.all(Array.from({ length: 4_500 }, (_, n) => writeFile(join(root, folder, `f${n}`), 'x')));
    }
    let [total, cursor, rounds]: [number, string | undefined, number] = [0, undefined, 0];
    do {
      const counted = (await runToResult(ductape, 'stats', { ...(cursor !== undefined && { cursor }) })) as unknown as {
        totalFiles: number;
        nextToken?: string;
        hasMore: boolean;
      };
      total += counted.totalFiles;
      cursor = counted.nextToken;
      expect(counted.hasMore).toBe(cursor !== undefined);
      rounds += 1;
    } while (cursor !== undefined);
    expect([total, rounds]).toEqual([13_500, 2]);
  });
});

describe('a path outside the root', () => {
  const names = [
    '..',
    '.',
    '',
    '../a',
    '..\\a',
    '/etc/passwd',
    'C:\\a',
    '/a',
    'a/',
    'a//b',
    '//a',
    'a/../b',
    'a/./b',
    'a/%2e%2e/b',
    '.ductape/a',
    'a/.ductape',
    'a\\b',
    'a\0',
    'a\n',
    'a\u0085',
    '%2e%2e',
    '%2E%2e',
    '.%2e',
    '..%2fa',
    '%2fa',
    'a%5cb',
    'a%00',
    '%252e%252e',
    '%25252e%25252e%25252f',
    '.ductape',
    '.Ductape',
    'x'.repeat(256),
  ];
  const folders = [
    '..',
    'a/../..',
    '/',
    '/etc',
    '../..',
    './a',
    'a//b',
    'a\\b',
    '%2e%2e/a',
    'a/%2e%2e/b',
    '.ductape',
    'a\0b',
    '..%2f..',
    'a/'.repeat(33),
  ];

  it.each(names)('is refused as a name: %j', async (fileName) => {
    const { root, ductape } = await instance();
    for (const event of ['save', 'read', 'remove', 'stats']) {
      const refused = await failure(ductape, event, { fileName, ...(event === 'save' && { buffer: 'YQ==' }) });
      expect(refused, event).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
      expect(refused.message).toContain('input.fileName');
    }
    expect(await readdir(root)).toEqual([]);
  });

  it.each(folders)('is refused as a folder: %j', async (path) => {
    const { root, ductape } = await instance();
    for (const event of ['save', 'read', 'remove', 'stats', 'list', 'avatar']) {
      const content = ['save', 'avatar'].includes(event) && { buffer: 'YQ==' };
      const refused = await failure(ductape, event, { fileName: 'a', path, ...content });
      expect(refused, event).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
      expect(refused.message).toContain('input.path');
    }
    expect(await readdir(root)).toEqual([]);
  });

  it('is refused when an expression yields it', async () => {
    const { root, ductape } = await instance();
    const input = { fileName: 'a', path: "$Join(['..','x'],'/')", buffer: 'YQ==' };
    const refused = await failure(ductape, 'save', input, { expressions: true });
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(await readdir(root)).toEqual([]);
  });

  it('is refused when reached through a symbolic link', async () => {
    const { root, ductape } = await instance();
    const outside = await temporaryFolder();
    await writeFile(join(outside, 'secret'), 'secret of others');
    await mkdir(join(root, 'inside'));
    await symlink(outside, join(root, 'out'));
    await symlink('inside', join(root, 'in'));
    await symlink(join(outside, 'secret'), join(root, 'file'));
    await symlink(join(outside, 'new'), join(root, 'dangling'));
    for (const [event, input] of [
      ['save', { fileName: 'a', path: 'out', buffer: 'YQ==' }],
      ['save', { fileName: 'a', path: 'out/deeper', buffer: 'YQ==' }],
      ['save', { fileName: 'a', path: 'in', buffer: 'YQ==' }],
      ['save', { fileName: 'file', buffer: 'YQ==' }],
      ['save', { fileName: 'dangling', buffer: 'YQ==' }],
      ['read', { fileName: 'secret', path: 'out' }],
      ['read', { fileName: 'file' }],
      ['stats', { fileName: 'secret', path: 'out' }],
      ['stats', { fileName: 'file' }],
      ['remove', { fileName: 'secret', path: 'out' }],
      ['remove', { fileName: 'file' }],
      ['list', { fileName: '', path: 'out' }],
    ] as const) {
      const refused = await failure(ductape, event, input);
      expect(refused, JSON.stringify([event, input])).toMatchObject({ code: 'FORBIDDEN', attempts: 1 });
      expect(refused.message).not.toContain(outside);
    }
    expect(await readdir(outside)).toEqual(['secret']);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret of others');
    expect((await runToResult(ductape, 'list', { fileName: '' })).files).toEqual([]);
  });

  it('is refused while a folder and a link are swapped concurrently', async () => {
    const { root, ductape } = await instance();
    const outside = await temporaryFolder();
    await mkdir(join(root, 'real'));
    await symlink(outside, join(root, 'link'));
    let going = true;
    const swapping = (async () => {
      while (going) {
        await rename(join(root, 'real'), join(root, 'a')).catch(() => {});
        await rename(join(root, 'a'), join(root, 'real')).catch(() => {});
        await rename(join(root, 'link'), join(root, 'a')).catch(() => {});
        await rename(join(root, 'a'), join(root, 'link')).catch(() => {});
      }
    })();
    const inputs = Array.from({ length: 200 }, (_, n) => ({ fileName: `f${n}`, path: 'a', buffer: 'YQ==' }));
    const jobs = await ductape.storage.dispatchMany(
      inputs.map((input) => ({ storage: 'files', event: 'save', input })),
    );
    await Promise.allSettled(jobs.map(({ job_id }) => ductape.jobs.wait(job_id)));
    going = false;
    await swapping;
    expect(await readdir(outside)).toEqual([]);
  });

  it('is not a file when it names a folder, a pipe or a child of a file', async () => {
    const { root, ductape } = await instance();
    await mkdir(join(root, 'folder'));
    await writeFile(join(root, 'file'), 'x');
    execFileSync('mkfifo', [join(root, 'pipe')]);
    await link(join(root, 'file'), join(root, 'other name'));
    for (const [event, input] of [
      ['save', { fileName: 'folder', buffer: 'YQ==' }],
      ['save', { fileName: 'a', path: 'file', buffer: 'YQ==' }],
      ['read', { fileName: 'folder' }],
      ['read', { fileName: 'pipe' }],
      ['remove', { fileName: 'folder' }],
      ['remove', { fileName: 'pipe' }],
    ] as const) {
      const refused = await failure(ductape, event, input, { timeout: 5_000 });
      expect(refused, JSON.stringify([event, input])).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    }
    // A file with two hard links is replaced under one name only.
    await runToResult(ductape, 'save', { fileName: 'file', buffer: 'eQ==' });
    expect(await readFile(join(root, 'other name'), 'utf8')).toBe('x');
  });
});

describe('a list', () => {
  it('is sorted, filtered by prefix and paged', async () => {
    const { root, ductape } = await instance();
    const names = ['b1', 'a', 'b3', 'b2', 'ü', 'B', 'c'];
    await Promise.all(names.map((name) => writeFile(join(root, name), name)));
    await mkdir(join(root, 'b0'));
    await writeFile(join(root, 'b0/inner'), '');
    await writeFile(Buffer.from(`${root}/\xff\xfe`, 'latin1'), '');
    const listed = async (input: Partial<IStorageRequest>) => {
      const { files, next } = await runToResult(ductape, 'list', { fileName: '', ...input });
      return [files.map((file) => file.fileName).join(' '), next];
    };
    expect(await listed({})).toEqual(['B a b1 b2 b3 c ü', undefined]);
    expect(await listed({ fileName: 'b' })).toEqual(['b1 b2 b3', undefined]);
    expect(await listed({ fileName: 'b', limit: 2 })).toEqual(['b1 b2', 'b2']);
    expect(await listed({ fileName: 'b', limit: 2, cursor: 'b2' })).toEqual(['b3', undefined]);
    expect(await listed({ limit: 7 })).toEqual(['B a b1 b2 b3 c ü', undefined]);
    expect(await listed({ path: 'b0' })).toEqual(['inner', undefined]);
    expect(await listed({ path: 'none' })).toEqual(['', undefined]);
    for (const wrong of [
      { limit: 0 },
      { limit: 1_001 },
      { limit: 1.5 },
      { limit: '1' },
      { fileName: 'a/' },
      { fileName: '..\\' },
    ]) {
      const refused = await failure(ductape, 'list', { fileName: '', ...wrong } as IStorageRequest);
      expect(refused, JSON.stringify(wrong)).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    }
  });

  it('of many files is paged without gaps or repeats', async () => {
    const { root, ductape } = await instance();
    const names = Array.from({ length: 2_500 }, (_, n) => `f${n}`);
    for (const name of names) await writeFile(join(root, name), '');
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const { files, next }: Result = await runToResult(ductape, 'list', {
        fileName: '',
        limit: 1_000,
        ...(cursor && { cursor }),
      });
      all.push(...files.map((file) => file.fileName));
      cursor = next;
    } while (cursor);
    expect(all).toEqual(names.sort());
  });
});

describe('an invalid input', () => {
  it.each([
    ['no bytes', { fileName: 'a' }, 'input.buffer: is missing'],
    ['no base64', { fileName: 'a', buffer: '***' }, 'input.buffer: is no base64'],
    ['base64 of another alphabet', { fileName: 'a', buffer: '-_-_' }, 'input.buffer: is no base64'],
    ['a media type that is none', { fileName: 'a', buffer: '', mimeType: 'image' }, 'input.mimeType'],
    ['a media type that ends a line', { fileName: 'a', buffer: '', mimeType: 'a/b\r\nx: y' }, 'input.mimeType'],
  ])('is reported: %s', async (_, input, told) => {
    const { root, ductape } = await instance();
    const refused = await failure(ductape, 'save', input);
    expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', attempts: 1 });
    expect(refused.message).toContain(told);
    expect(await readdir(root)).toEqual([]);
  });
});

describe('a root', () => {
  it('is created by the first upload only', async () => {
    const root = join(await temporaryFolder(), 'new/files');
    const ductape = create({ resources: storing({ root }) as never });
    expect(await ductape.resources.check()).toMatchObject([{ type: 'storage', ok: true }]);
    expect(await runToResult(ductape, 'list', { fileName: '' })).toEqual({ success: true, files: [], hasMore: false });
    expect(await runToResult(ductape, 'remove', { fileName: 'a' })).toEqual({ success: true, removed: false });
    await expect(stat(root)).rejects.toThrow('ENOENT');
    await runToResult(ductape, 'save', { fileName: 'a', buffer: '' });
    expect((await stat(root)).isDirectory()).toBe(true);
  });

  it('that must exist is reported when missing', async () => {
    const root = join(await temporaryFolder(), 'gone');
    const ductape = create({ resources: storing({ root, create: false }) as never });
    const refused = await failure(ductape, 'save', { fileName: 'a', buffer: '' });
    expect(refused).toMatchObject({ code: 'NOT_FOUND', attempts: 1 });
    // Nor does it look like an empty one.
    for (const [event, input] of [
      ['list', { fileName: '' }],
      ['stats', { fileName: 'a' }],
      ['remove', { fileName: 'a' }],
    ] as const) {
      expect([event, await failure(ductape, event, input)]).toMatchObject([event, { code: 'NOT_FOUND' }]);
    }
    expect(await ductape.resources.check()).toMatchObject([{ ok: false, error: { code: 'NOT_FOUND' } }]);
    await expect(stat(root)).rejects.toThrow('ENOENT');
  });

  it('may be a secret', async () => {
    const root = await temporaryFolder();
    const ductape = create({ resources: storing({ root: '$Secret{ROOT}' }) as never, secrets: { ROOT: root } });
    await runToResult(ductape, 'save', { fileName: 'a', buffer: '' });
    expect(await readdir(root)).toContain('a');
  });

  it('that is a file is reported', async () => {
    const root = join(await temporaryFolder(), 'file');
    await writeFile(root, '');
    const ductape = create({ resources: storing({ root }) as never });
    expect(await failure(ductape, 'save', { fileName: 'a', buffer: '' })).toMatchObject({ code: 'VALIDATION_ERROR' });
  });

  it('without write permission is reported and not retried', async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, 'locked'));
    await chmod(join(root, 'locked'), 0o555);
    await chmod(root, 0o755);
    const source = `
      import('ductape').then(async ({ default: Ductape }) => {
        // The superuser may do anything.
        if (process.getuid() === 0) process.setgroups([65534]), process.setgid(65534), process.setuid(65534);
        const resources = JSON.parse(process.argv[1]);
        const ductape = new Ductape({ store: 'memory:', product: 'shop', env: 'test', resources });
        const input = { fileName: 'a', buffer: 'YQ==' };
        const retries = { retries: 1, retryConfig: { initialDelay: 1 } };
        const { job_id } = await ductape.storage.dispatch({ storage: 'files', event: 'save', input, ...retries });
        const error = await ductape.jobs.wait(job_id).catch((error) => error);
        console.log('failed', error.code, (await ductape.jobs.get(job_id)).attempt);
        const [checked] = await ductape.resources.check();
        console.log('checked', checked.error?.code);
        await ductape.close();
      });`;
    const run = script(source, [JSON.stringify(storing({ root: join(root, 'locked') }))]);
    expect(await run.waitForLine('failed')).toBe('FORBIDDEN 1');
    expect(await run.waitForLine('checked')).toBe('FORBIDDEN');
  });

  it.skipIf(!mounts())('on a full disk is reported and keeps its files', async () => {
    const root = await temporaryFolder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', root]);
    try {
      const ductape = create({ resources: storing({ root }) as never });
      const save = (size: number) => ({ fileName: 'a', buffer: Buffer.alloc(size, 'x').toString('base64') });
      await runToResult(ductape, 'save', save(100_000));
      expect(await failure(ductape, 'save', save(300_000))).toMatchObject({ code: 'SERVICE_UNAVAILABLE', attempts: 2 });
      // The old file is unchanged, and nothing of the new one is left.
      expect((await runToResult(ductape, 'read', { fileName: 'a' })).size).toBe(100_000);
      expect(await readdir(join(root, '.ductape'))).toEqual([]);
      await runToResult(ductape, 'save', save(50_000));
      await ductape.close();
    } finally {
      execFileSync('umount', ['-l', root]);
    }
  });
});

it('a file of more bytes than a text can hold is refused', async () => {
  const { storage } = create();
  const buffer = new Uint8Array(405_000_000);
  for (const refused of [
    () => storage.dispatch({ storage: 'files', event: 'save', input: { fileName: 'a', buffer } }),
    () => storage.statement({ storage: 'files', event: 'save', input: { fileName: 'a', buffer } }),
  ]) {
    const error = await rejection(refused());
    expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['input.buffer']]);
  }
});
