// A PostgreSQL server of a test's own, which the test may restart.
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { absent } from './servers.js';

const run = promisify(execFile);
/** PostgreSQL does not run as root. */
const NOBODY_UID = 65_534;

/** Where `initdb` and `pg_ctl` are: on the path; Debian keeps those of each version by themselves. */
async function findPostgresPrograms(): Promise<string | undefined> {
  const versions = await readdir('/usr/lib/postgresql').catch((): string[] => []);
  const folders = versions.map((version) => join('/usr/lib/postgresql', version, 'bin'));
  for (const folder of [...(process.env.PATH ?? '').split(':'), ...folders]) {
    if ((await readdir(folder).catch((): string[] => [])).includes('initdb')) return folder;
  }
  return undefined;
}

const bin = await findPostgresPrograms();

/** Whether PostgreSQL is installed here. */
export const postgresInstalled = bin !== undefined;
if (!postgresInstalled) absent('PostgreSQL is not installed');

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
  /** At once, ending every connection. */
  restart(): Promise<void>;
  /** As when its machine loses power: what was not on the disk is gone. */
  crash(): Promise<void>;
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
  const options = [`-p ${port} -c listen_addresses=127.0.0.1 -k ''`, ...settings.map((text) => `-c ${text}`)].join(' ');
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
    restart: async () => void (await control('restart', '-m', 'fast', '-o', options)),
    crash: async () => {
      await control('stop', '-m', 'immediate');
      await control('start', '-o', options);
    },
    replica: () =>
      serve((of, to) => of('pg_basebackup', '-d', url, '-D', to, '-R', '-X', 'stream', '-c', 'fast'), settings),
    promote: async () => void (await control('promote')),
    stop,
  };
}
