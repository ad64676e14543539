// A small disk whose failures are switched on and off.
import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const call = promisify(execFile);
/** Offsets in `struct control` of preload.c. */
const FIELDS = { 'read error': 0, 'write error': 4, 'failed sync': 8, 'slow sync': 12 };
const CLOCKS_AT = 16;
const CLOCKS = 8;

/** Compiles the library that is loaded before the C library; resolves with its path. */
export async function compilePreload(folder) {
  const library = join(folder, 'preload.so');
  const source = join(import.meta.dirname, 'preload.c');
  await call('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', library, source, '-ldl']);
  return library;
}

/** The numbers that the library looks at in each call. */
export class Control {
  #file;

  constructor(path) {
    this.path = path;
    this.#file = openSync(path, 'w+');
    writeSync(this.#file, Buffer.alloc(CLOCKS_AT + CLOCKS * 8));
  }

  /** Begins or ends (0) one of `FIELDS`. */
  set(name, value) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(this.#file, bytes, 0, 4, FIELDS[name]);
  }

  fail(name) {
    this.set(name, constants.errno.EIO);
  }

  setClock(number, offset) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(offset));
    writeSync(this.#file, bytes, 0, 8, CLOCKS_AT + (number % CLOCKS) * 8);
  }

  heal() {
    for (const name of Object.keys(FIELDS)) this.set(name, 0);
    for (let number = 0; number < CLOCKS; number++) this.setClock(number, 0);
  }

  close() {
    closeSync(this.#file);
  }
}

/** A file system of 64 MiB in memory; where none may be mounted, a folder on which writes fail while it is to be full. */
export class Disk {
  #ballast;
  #mounted = false;
  #full;

  /** `folder`: is made, and mounted on. */
  constructor(folder) {
    this.folder = folder;
    this.#ballast = join(folder, 'ballast');
  }

  async mount() {
    await mkdir(this.folder);
    const mount = call('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'ductape-faults', this.folder]);
    this.#mounted = await mount.then(
      () => true,
      () => false,
    );
  }

  async unmount() {
    if (this.#mounted) await call('umount', ['-l', this.folder]);
  }

  /** Leaves no byte for the processes that `control` is about. */
  async fill(control) {
    if (!this.#mounted) {
      this.#full = control;
      control.set('write error', constants.errno.ENOSPC);
      return;
    }
    await writeFile(this.#ballast, '');
    // One piece is too large in the end; smaller ones take the rest.
    for (let size = 8 << 20; size >= 4096; size >>= 1) {
      for (;;) {
        try {
          await writeFile(this.#ballast, Buffer.alloc(size), { flag: 'a' });
        } catch {
          break;
        }
      }
    }
  }

  async free() {
    this.#full?.set('write error', 0);
    this.#full = undefined;
    await rm(this.#ballast, { force: true });
  }
}

/** What a power cut would leave of one store: the folder into which the library copies each file at each sync. */
export class SyncedFiles {
  constructor(folder, store) {
    this.folder = folder;
    this.store = store;
  }

  /** Begins with what is there now. */
  async begin() {
    await mkdir(this.folder, { recursive: true });
    for (const suffix of ['', '-wal']) {
      const content = await readFile(this.store + suffix).catch(() => undefined);
      if (content) await writeFile(join(this.folder, `jobs.db${suffix}.${'0'.repeat(20)}`), content);
    }
  }

  async #newest() {
    const newest = new Map();
    const names = (await readdir(this.folder)).filter((name) => name.startsWith('jobs.db')).sort();
    for (const name of names) newest.set(name.slice(0, name.lastIndexOf('.')), name);
    return { newest, names };
  }

  /** Removes all but the newest copies; whoever copies now leaves a newer one. */
  async tidy() {
    const { newest, names } = await this.#newest();
    const kept = new Set(newest.values());
    for (const name of names) if (!kept.has(name)) await rm(join(this.folder, name), { force: true });
  }

  /**
   * Puts what was synced in the place of the store's files; no process has them open. `torn` (0 to 1): of what was written
   * to the log since, that part has reached the disk too.
   */
  async restore(torn) {
    const { newest } = await this.#newest();
    const written = await readFile(`${this.store}-wal`).catch(() => Buffer.alloc(0));
    await rm(`${this.store}-shm`, { force: true });
    await rm(`${this.store}-wal`, { force: true });
    for (const [base, name] of newest) {
      await writeFile(this.store + base.slice('jobs.db'.length), await readFile(join(this.folder, name)));
    }
    if (torn !== undefined) await this.#tear(written, torn);
    // The copies of the files as they are from now on.
    for (const part of await readdir(this.folder)) await rm(join(this.folder, part), { force: true });
    await this.begin();
  }

  async #tear(written, torn) {
    const path = `${this.store}-wal`;
    const synced = await readFile(path).catch(() => Buffer.alloc(0));
    // A log that has begun anew since has other numbers in its first 32 bytes.
    if (!written.subarray(0, 32).equals(synced.subarray(0, 32))) return;
    let first = 32;
    while (first < synced.length && written[first] === synced[first]) first++;
    const cut = first + Math.floor((written.length - first) * torn);
    await writeFile(path, Buffer.concat([written.subarray(0, cut), synced.subarray(cut)]));
  }
}

/** Leaves a process as many descriptors as it has; returns what takes the limit away again. */
export async function limitDescriptors(pid) {
  const open = (await readdir(`/proc/${pid}/fd`)).length;
  const set = (soft) => call('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]).catch(() => {});
  await set(open);
  return () => set(1_024);
}
