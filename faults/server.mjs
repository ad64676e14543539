// PostgreSQL servers of the harness's own, and what stands between them and each process.
import { execFile } from 'node:child_process';
import { chown, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
/** PostgreSQL does not run as root. */
const NOBODY_UID = 65_534;
/** ms between two looks whether servers are ready, and after which they should have been. */
const [POLL_MS, MOST_WAIT_MS] = [20, 30_000];

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Debian keeps the programs of each version by themselves; on the path may be some of them only. */
async function findPrograms() {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const folders = versions.map((version) => join('/usr/lib/postgresql', version, 'bin'));
  for (const folder of [...(process.env.PATH ?? '').split(':'), ...folders]) {
    const files = await readdir(folder).catch(() => []);
    if (['initdb', 'pg_basebackup'].every((program) => files.includes(program))) return folder;
  }
  throw new Error('PostgreSQL is not installed');
}

/** Settings of all servers: a replica looks for its primary again as soon as that is back. */
const SETTINGS = ['listen_addresses=127.0.0.1', 'max_connections=200', 'wal_retrieve_retry_interval=50ms'];

export class Server {
  #folder;
  #environment;
  #call;

  /** `environment`: variables of the server's own. */
  constructor(folder, environment = {}) {
    this.#folder = folder;
    this.#environment = environment;
  }

  /** With a database of its own, or with that of another one, which it follows. */
  async start(primary) {
    const programs = await findPrograms();
    await mkdir(this.#folder);
    const root = process.getuid() === 0;
    if (root) await chown(this.#folder, NOBODY_UID, NOBODY_UID);
    const user = root ? { uid: NOBODY_UID, gid: NOBODY_UID } : {};
    const options = { cwd: this.#folder, env: { ...process.env, ...this.#environment }, ...user };
    this.#call = (name, ...words) => run(join(programs, name), words, options);
    // Clients know it all along.
    this.port ??= await freePort();
    if (primary) await this.#call('pg_basebackup', '-d', primary.url, '-D', 'data', '-R', '-c', 'fast', '--no-sync');
    else await this.#call('initdb', '-D', 'data', '-U', 'tester', '--auth=trust');
    await this.#control('start');
  }

  get url() {
    return `postgres://tester@127.0.0.1:${this.port}/postgres`;
  }

  #control(verb, mode = 'fast') {
    const settings = [`-p ${this.port} -k ''`, ...SETTINGS.map((setting) => `-c ${setting}`)].join(' ');
    const words = verb === 'start' ? ['-o', settings] : verb === 'restart' ? ['-m', mode, '-o', settings] : [];
    return this.#call('pg_ctl', '-D', 'data', '-l', 'log', '-w', ...words, verb);
  }

  restart(mode) {
    return this.#control('restart', mode);
  }

  /** As when its machine loses power: what was not on the disk is gone. */
  async kill() {
    const file = await readFile(join(this.#folder, 'data', 'postmaster.pid'), 'utf8').catch(() => {});
    // It did not start.
    if (!file) return;
    const postmaster = Number(file.split('\n')[0]);
    const children = await childrenOf(postmaster);
    for (const pid of [postmaster, ...children]) killNow(pid, 'SIGKILL');
    while (killNow(postmaster, 0) || children.some((pid) => killNow(pid, 0))) await sleep(5);
  }

  /** After `kill`. */
  async startAgain() {
    await this.#control('start');
  }

  promote() {
    return this.#control('promote');
  }

  async stop() {
    await this.kill();
    await rm(this.#folder, { recursive: true });
  }

  /** The rows of a statement. */
  async query(text) {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Sets it for all sessions from now on; `undefined`: as at first. */
  async set(name, value) {
    await this.query(value === undefined ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
    await this.query('SELECT pg_reload_conf()');
  }
}

/** Whether there is such a process. */
function killNow(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

async function childrenOf(parent) {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const parents = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      return [Number(pid), Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2])];
    }),
  );
  return parents.filter(([, of]) => of === parent).map(([pid]) => pid);
}

/** Waits until `condition` resolves with something true. */
async function until(condition) {
  for (let waited = 0; !(await condition()); waited += POLL_MS) {
    if (waited > MOST_WAIT_MS) throw new Error('the servers of the harness are not ready');
    await sleep(POLL_MS);
  }
}

/** The servers of a lane: a primary and, once a round has asked for it, a replica that can take its place. */
export class Servers {
  #primary;
  #replica;
  /** Whether the replica follows the primary. */
  #follows = false;
  /** What happens to them happens one after the other. */
  #last = Promise.resolve();

  constructor(folder) {
    this.#primary = new Server(join(folder, 'one'));
    this.#replica = new Server(join(folder, 'two'));
  }

  async start() {
    await this.#primary.start();
  }

  /** `synchronous`: nothing that is waited for is acknowledged before a replica has it; `undefined`: none is needed. */
  async prepare(synchronous) {
    await this.#primary.set('synchronous_standby_names');
    if (synchronous === undefined) return;
    if (!this.#follows) await this.#replica.start(this.#primary);
    this.#follows = true;
    await this.#primary.set('synchronous_standby_names', synchronous ? '*' : '');
    const wanted = `state = 'streaming' AND sync_state = '${synchronous ? 'sync' : 'async'}'`;
    await until(
      async () => (await this.#primary.query(`SELECT 1 FROM pg_stat_replication WHERE ${wanted}`)).length > 0,
    );
  }

  /** Addresses of both, or of the primary alone. */
  ports(both) {
    const servers = [this.#primary, this.#replica].slice(0, both ? 2 : 1);
    return servers.map(({ port }) => port);
  }

  #inTurn(act) {
    this.#last = this.#last.then(act);
    return this.#last;
  }

  /** All that was committed by now is on its disk, and on that of a synchronous replica. A commit that writes nothing waits for nothing. */
  async #flush() {
    await this.#primary.query("SELECT pg_logical_emit_message(true, 'ductape', '')");
  }

  /**
   * `note(word, loses)` is told when the power goes and is back, and whose acknowledged commits are lost, as in `Account`. Claims
   * and ends of runs are lost with every one of these.
   */
  restart(mode, note) {
    return this.#inTurn(async () => {
      if (mode !== 'immediate') return this.#primary.restart(mode);
      note('power-cut', 'relaxed');
      await this.#flush();
      await this.#primary.restart(mode);
      note('power-back');
    });
  }

  /** The server dies, and has not written for `ms` but what somebody waited for. */
  loseCommits(ms, note) {
    return this.#inTurn(async () => {
      const [writer] = await this.#primary.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
      note('power-cut', 'relaxed');
      await this.#flush();
      process.kill(writer.pid, 'SIGSTOP');
      await sleep(ms);
      await this.#primary.kill();
      await this.#primary.startAgain();
      note('power-back');
    });
  }

  /** The server dies and the replica takes its place, which has received nothing for `lag` ms. */
  failOver(lag, note) {
    return this.#inTurn(async () => {
      note('power-cut', lag === undefined ? 'relaxed' : 'all');
      await this.#flush();
      if (lag !== undefined) {
        const [{ lsn }] = await this.#primary.query('SELECT pg_current_wal_flush_lsn() AS lsn');
        const received = `SELECT pg_last_wal_receive_lsn() >= '${lsn}' AS all`;
        await until(async () => (await this.#replica.query(received))[0].all);
        await this.#replica.set('primary_conninfo', '');
        await sleep(lag);
      }
      await this.#primary.stop();
      await this.#replica.promote();
      [this.#primary, this.#replica, this.#follows] = [this.#replica, this.#primary, false];
      note('power-back');
    });
  }

  query(text) {
    return this.#primary.query(text);
  }

  async stop() {
    if (this.#follows) await this.#replica.stop();
    await this.#primary.stop();
  }
}

/** Address of a store in a schema of its own, on whichever of these ports the primary is. */
export function storeUrl(schema, ports) {
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const primary = ports.length > 1 ? '&target_session_attrs=read-write' : '';
  return `postgres://tester@${hosts}/postgres?schema=${schema}${primary}`;
}

/** Passes connections to servers on, or cuts them, or stalls them: they stay open and nothing comes through. */
export class Gate {
  #listeners;
  #pairs = new Set();
  /** Faults of one kind may overlap: each is over when the last one is. */
  #refusals = 0;
  #stalls = 0;

  /** `targets`: their ports. */
  constructor(targets) {
    this.#listeners = targets.map((target) => createServer((client) => this.#accept(client, target)));
  }

  async start() {
    this.ports = await Promise.all(this.#listeners.map(listen));
  }

  #accept(client, target) {
    client.on('error', () => {});
    if (this.#refusals > 0) return client.destroy();
    const server = connect(target, '127.0.0.1');
    const pair = [client, server];
    this.#pairs.add(pair);
    server.on('error', () => {});
    for (const [from, to] of [pair, pair.toReversed()]) {
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
      if (this.#stalls > 0) from.pause();
      else from.pipe(to);
    }
  }

  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  refuse(on) {
    this.#refusals += on ? 1 : -1;
    if (on) this.cut();
  }

  stall(on) {
    const before = this.#stalls > 0;
    this.#stalls += on ? 1 : -1;
    // A pipe that is laid twice passes everything on twice.
    if (this.#stalls > 0 === before) return;
    for (const [client, server] of this.#pairs) {
      if (on) {
        client.unpipe(server).pause();
        server.unpipe(client).pause();
      } else {
        client.pipe(server);
        server.pipe(client);
      }
    }
  }

  async stop() {
    this.refuse(true);
    await Promise.all(this.#listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  }
}
