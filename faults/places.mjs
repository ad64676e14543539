// Where a round takes place: a store, what its processes need, and what can happen to it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Control, Disk, SyncedFiles } from './disk.mjs';
import { Gate, Servers, storeUrl } from './server.mjs';

const call = promisify(execFile);
/** Processes of a round. */
const PROCESSES = 3;
/** ms between two removals of copies that newer ones have replaced. */
const TIDY_MS = 100;

const HOLD_LOCK = `import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
connection.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
sys.stdin.read()`;

const CHECK_FILE = `import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in connection.execute('PRAGMA integrity_check')))`;

class SqlitePlace {
  #preload;
  #synced;
  #tidying;
  /** Programs of another kind that have the store open. */
  #holders = new Set();

  constructor(folder, disk, preload) {
    this.folder = folder;
    this.disk = disk;
    this.#preload = preload;
    this.path = join(disk.folder, 'store', 'jobs.db');
    this.store = `sqlite:${this.path}`;
    this.control = new Control(join(folder, 'control'));
    this.#synced = new SyncedFiles(join(folder, 'synced'), this.path);
  }

  async begin() {
    await this.#synced.begin();
    this.#tidying = setInterval(() => this.#synced.tidy().catch(() => {}), TIDY_MS);
  }

  process(number) {
    const environment = {
      LD_PRELOAD: this.#preload,
      DUCTAPE_FAULTS_CONTROL: this.control.path,
      DUCTAPE_FAULTS_STORE: this.path,
      DUCTAPE_FAULTS_SYNCED: this.#synced.folder,
      DUCTAPE_FAULTS_CLOCK: String(number),
    };
    return { store: this.store, environment };
  }

  /** Takes the store's write lock, as a program of another kind; resolves with what gives it back. */
  async lock() {
    const holder = spawn('python3', ['-c', HOLD_LOCK, this.path], { stdio: ['pipe', 'pipe', 'ignore'] });
    holder.stdin.on('error', () => {});
    const ended = once(holder, 'exit');
    this.#holders.add(holder);
    ended.then(() => this.#holders.delete(holder));
    // It may not get it, as when another fault is at work.
    await Promise.race([once(holder.stdout, 'data'), ended]);
    return async () => {
      holder.stdin.end();
      await ended;
    };
  }

  async cutPower(torn) {
    // One that ended by itself would write the log into the file, and remove it.
    const ends = [...this.#holders].map((holder) => once(holder, 'exit'));
    for (const holder of this.#holders) holder.kill('SIGKILL');
    await Promise.all(ends);
    // Copying needs room that the disk itself would not need.
    await this.disk.free();
    await this.#synced.restore(torn);
  }

  async heal() {
    this.control.heal();
    await this.disk.free();
  }

  async examine() {
    const { stdout } = await call('python3', ['-c', CHECK_FILE, this.path]);
    return stdout.trim() === 'ok' ? [] : [`the file is damaged: ${stdout.trim()}`];
  }

  async end() {
    clearInterval(this.#tidying);
    this.control.close();
    await rm(join(this.disk.folder, 'store'), { recursive: true, force: true });
  }
}

class PostgresPlace {
  #schema;
  #preload;

  /** `failsOver`: the replica may take the primary's place. */
  constructor(folder, servers, schema, failsOver, preload) {
    this.folder = folder;
    this.servers = servers;
    this.#schema = schema;
    this.#preload = preload;
    const ports = servers.ports(failsOver);
    this.store = storeUrl(schema, ports);
    this.control = new Control(join(folder, 'control'));
    this.gates = Array.from({ length: PROCESSES }, () => new Gate(ports));
  }

  process(number) {
    const environment = {
      LD_PRELOAD: this.#preload,
      DUCTAPE_FAULTS_CONTROL: this.control.path,
      DUCTAPE_FAULTS_CLOCK: String(number),
    };
    return { store: storeUrl(this.#schema, this.gates[number].ports), environment };
  }

  heal() {
    this.control.heal();
  }

  /** Whatever was lost, each job that is left has its target. */
  async examine() {
    const without = `SELECT count(*) AS jobs FROM "${this.#schema}".jobs
      WHERE NOT EXISTS (SELECT 1 FROM "${this.#schema}".routes WHERE id = jobs.route)`;
    const [{ jobs }] = await this.servers.query(without);
    return jobs === '0' ? [] : [`${jobs} jobs have no target`];
  }

  async end() {
    this.control.close();
    await Promise.all(this.gates.map((gate) => gate.stop()));
    await this.servers.query(`DROP SCHEMA IF EXISTS "${this.#schema}" CASCADE`);
  }
}

/** Where rounds take place one after the other, on one kind of store. */
export class Lane {
  #folder;
  #kind;
  #preload;
  #disk;
  #servers;

  constructor(folder, kind, preload) {
    this.#folder = folder;
    this.#kind = kind;
    this.#preload = preload;
  }

  async start() {
    await mkdir(this.#folder);
    if (this.#kind === 'sqlite') {
      this.#disk = new Disk(join(this.#folder, 'disk'));
      await this.#disk.mount();
    } else {
      this.#servers = new Servers(this.#folder);
      await this.#servers.start();
    }
  }

  /** `end` it before the next one. Its `folder` stays until it is removed. */
  async place({ seed, faults }) {
    const folder = join(this.#folder, `round-${seed}`);
    await mkdir(folder);
    if (this.#disk) {
      await mkdir(join(this.#disk.folder, 'store'));
      return new SqlitePlace(folder, this.#disk, this.#preload);
    }
    const schema = `round_${seed}`;
    const failover = faults.find(({ name }) => name === 'failover');
    await this.#servers.prepare(failover && failover.lag === undefined);
    const place = new PostgresPlace(folder, this.#servers, schema, failover !== undefined, this.#preload);
    await Promise.all(place.gates.map((gate) => gate.start()));
    return place;
  }

  async stop() {
    await this.#disk?.unmount();
    await this.#servers?.stop();
  }
}
