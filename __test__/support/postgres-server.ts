// A PostgreSQL server of a test's own, which the test may restart.
import { execFile } from 'node:child_process';
import { appendFile, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { absent } from './servers.js';

const run = promisify(execFile);
/** PostgreSQL does not run as root. */
const NOBODY_UID = 65_534;

/** Where `pg_ctl` and its like are: on the path, where there may be some of them only; Debian keeps those of each version by themselves. */
async function findPostgresPrograms(): Promise<string | undefined> {
  const versions = await readdir('/usr/lib/postgresql').catch((): string[] => []);
  const folders = versions.map((version) => join('/usr/lib/postgresql', version, 'bin'));
  for (const folder of [...(process.env.PATH ?? '').split(':'), ...folders]) {
    const files = await readdir(folder).catch((): string[] => []);
    if (['initdb', 'pg_basebackup'].every((program) => files.includes(program))) return folder;
  }
  return undefined;
}

/** An address of this machine that other machines use, too. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;

const bin = await findPostgresPrograms();

/** Whether PostgreSQL is installed here. */
export const postgresInstalled = bin !== undefined;
if (!postgresInstalled) absent('PostgreSQL is not installed');
/** Whether a server of a test's own can be reached as one on another machine is. */
export const reachableFromOutside = postgresInstalled && outside !== undefined;
if (outside === undefined) absent('this machine has no address but its own');

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const { port } = listener.address() as { port: number };
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

export interface PostgresServer {
  /** `127.0.0.1:port`. */
  address: string;
  url: string;
  /** The same by an address that other machines use, too. */
  outsideUrl: string;
  /** At once, ending every connection. */
  restart(): Promise<void>;
  /** As when its machine loses power: what was not on the disk is gone. */
  crash(): Promise<void>;
  /** It is down for so many milliseconds. */
  pause(ms: number): Promise<void>;
  /** A replica of it, which has all that was committed by now. */
  replica(): Promise<PostgresServer>;
  /** Makes a replica the primary. */
  promote(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

/** A server with these settings, each as `name=value`. Gone when the test ends. */
export const startPostgres = (...settings: string[]): Promise<PostgresServer> =>
  serve((call, data) => call('initdb', '-D', data, '-U', 'tester', '--auth=trust'), settings);

type Call = (name: string, ...words: string[]) => Promise<unknown>;

/** A server on the data that `make` makes. */
async function serve(
  make: (call: Call, data: string) => Promise<unknown>,
  settings: string[],
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'ductape-cluster-'));
  const root = process.getuid?.() === 0;
  if (root) await chown(folder, NOBODY_UID, NOBODY_UID);
  const user = root ? { uid: NOBODY_UID, gid: NOBODY_UID } : {};
  const call: Call = (name, ...words) => run(join(bin ?? '', name), words, { cwd: folder, ...user });
  const port = await freePort();
  const [data, log] = [join(folder, 'data'), join(folder, 'log')];
  await make(call, data);
  if (outside !== undefined) await appendFile(join(data, 'pg_hba.conf'), `host all all ${outside}/32 trust\n`);
  const listen = ['127.0.0.1', outside].filter(Boolean).join(',');
  const options = [`-p ${port} -c listen_addresses=${listen} -k ''`, ...settings.map((text) => `-c ${text}`)].join(' ');
  const control = (verb: string, ...words: string[]) => call('pg_ctl', '-D', data, '-l', log, '-w', ...words, verb);
  let stopped = false;
  const stop = async () => {
    if (!stopped) await control('stop', '-m', 'immediate');
    stopped = true;
  };
  onTestFinished(async () => {
    await stop();
    await rm(folder, { recursive: true });
  }, 30_000);
  await control('start', '-o', options);
  const url = `postgres://tester@127.0.0.1:${port}/postgres`;
  return {
    address: `127.0.0.1:${port}`,
    url,
    outsideUrl: `postgres://tester@${outside}:${port}/postgres`,
    restart: async () => void (await control('restart', '-m', 'fast', '-o', options)),
    crash: async () => {
      await control('stop', '-m', 'immediate');
      await control('start', '-o', options);
    },
    pause: async (ms) => {
      await control('stop', '-m', 'fast');
      await sleep(ms);
      await control('start', '-o', options);
    },
    replica: () =>
      serve((of, to) => of('pg_basebackup', '-d', url, '-D', to, '-R', '-X', 'stream', '-c', 'fast'), settings),
    promote: async () => void (await control('promote')),
    stop,
  };
}
