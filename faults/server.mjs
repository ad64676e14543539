// A PostgreSQL server of the harness's own, and what stands between it and each process.
import { execFile } from 'node:child_process';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
/** PostgreSQL does not run as root. */
const NOBODY_UID = 65_534;

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

/** Debian keeps the programs of each version by themselves. */
async function findPrograms() {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const folders = versions.map((version) => join('/usr/lib/postgresql', version, 'bin'));
  for (const folder of [...(process.env.PATH ?? '').split(':'), ...folders]) {
    if ((await readdir(folder).catch(() => [])).includes('initdb')) return folder;
  }
  throw new Error('PostgreSQL is not installed');
}

export class Server {
  #folder;
  #call;
  #restarting = Promise.resolve();

  constructor(folder) {
    this.#folder = folder;
  }

  async start() {
    const programs = await findPrograms();
    await mkdir(this.#folder);
    const root = process.getuid() === 0;
    if (root) await chown(this.#folder, NOBODY_UID, NOBODY_UID);
    const user = root ? { uid: NOBODY_UID, gid: NOBODY_UID } : {};
    const options = { cwd: this.#folder, ...user };
    this.#call = (name, ...words) => run(join(programs, name), words, options);
    this.port = await freePort();
    await this.#call('initdb', '-D', 'data', '-U', 'tester', '--auth=trust');
    await this.#control('start');
  }

  #control(verb, mode = 'fast') {
    const settings = `-p ${this.port} -c listen_addresses=127.0.0.1 -k '' -c max_connections=200`;
    const words = verb === 'start' ? [] : ['-m', mode];
    return this.#call('pg_ctl', '-D', 'data', '-l', 'log', '-w', ...words, '-o', settings, verb);
  }

  /** One after the other. */
  restart(mode) {
    this.#restarting = this.#restarting.then(() => this.#control('restart', mode));
    return this.#restarting;
  }

  async stop() {
    await this.#control('stop', 'immediate');
    await rm(this.#folder, { recursive: true });
  }

  /** Address of a store in a schema of its own. */
  url(schema, port = this.port) {
    return `${this.#address(port)}?schema=${schema}`;
  }

  #address(port) {
    return `postgres://tester@127.0.0.1:${port}/postgres`;
  }

  async dropSchema(schema) {
    const client = new pg.Client({ connectionString: this.#address(this.port) });
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
    await client.end();
  }
}

/** Passes connections on, or cuts them, or stalls them: they stay open and nothing comes through. */
export class Gate {
  #server;
  #target;
  #pairs = new Set();
  /** Faults of one kind may overlap: each is over when the last one is. */
  #refusals = 0;
  #stalls = 0;

  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  async start() {
    this.port = await listen(this.#server);
  }

  #accept(client) {
    client.on('error', () => {});
    if (this.#refusals > 0) return client.destroy();
    const server = connect(this.#target, '127.0.0.1');
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
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
