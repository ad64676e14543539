// The servers that the contenders need: found at their addresses, or, for Redis, started for the run.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

const POSTGRES = process.env.DUCTAPE_TEST_POSTGRES ?? 'postgres://postgres@127.0.0.1:5432/postgres';
const REDIS = process.env.DUCTAPE_TEST_REDIS ?? 'redis://127.0.0.1:6379';
const OWN_REDIS_PORT = 6399;

function listens(port, host) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => resolve(socket.destroy() && true));
    socket.once('error', () => resolve(false));
  });
}

async function findRedis(folder) {
  const { hostname, port } = new URL(REDIS);
  if (await listens(Number(port || 6379), hostname)) return { url: REDIS, stop() {} };
  const args = ['--port', String(OWN_REDIS_PORT), '--dir', folder, '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', args, { stdio: 'ignore' });
  const failed = new Promise((resolve) => child.once('error', () => resolve(true)));
  for (let wait = 0; wait < 50; wait++) {
    if (await listens(OWN_REDIS_PORT, '127.0.0.1'))
      return { url: `redis://127.0.0.1:${OWN_REDIS_PORT}`, stop: () => child.kill() };
    if (await Promise.race([failed, delay(100)])) break;
  }
  child.kill();
  return undefined;
}

/** `undefined`: it does not answer. */
export async function findPostgres() {
  const client = new pg.Client({ connectionString: POSTGRES });
  try {
    await client.connect();
    const { rows } = await client.query('SHOW server_version');
    return {
      url: POSTGRES,
      version: rows[0].server_version,
      drop: (schema) => client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`),
      stop: () => client.end(),
    };
  } catch {
    return undefined;
  }
}

/** The servers by name; `undefined`: not available. */
export async function findServers(folder) {
  return { redis: await findRedis(folder), postgres: await findPostgres() };
}

const SERVER = { redis: /^redis-server/, postgres: /^postgres/ };
/** Clock ticks a second of /proc on every Linux that Node runs on. */
const TICK_US = 10_000;

/** CPU time in µs that the server's processes have used so far; 0 where /proc does not say. */
export function cpuOf(need) {
  if (!SERVER[need]) return 0;
  let ticks = 0;
  try {
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      ticks += ticksOf(pid, SERVER[need]);
    }
  } catch {
    return 0;
  }
  return ticks * TICK_US;
}

function ticksOf(pid, name) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [, command, rest] = /\((.*)\) (.*)/.exec(stat) ?? [];
    if (!name.test(command)) return 0;
    const fields = rest.split(' ');
    // utime, stime, and those of children that have ended: a server process per connection.
    return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  } catch {
    return 0; // It has ended.
  }
}
