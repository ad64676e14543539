'use strict';
// What the facts of a store (`ductape.health`) mean: findings of `doctor`.

const { bytesText, countText, durationText } = require('./format.js');

const ok = (name, message) => ({ name, level: 'ok', message });
const warning = (name, message, remedy) => ({ name, level: 'warning', message, remedy });
const problem = (name, message, remedy) => ({ name, level: 'problem', message, remedy });

/** Share of a server's connections from which on others may soon get none. */
const FULL_SHARE = 0.9;
/** Rows that wait for a vacuum, from which on claims read past many of them. */
const MANY_DEAD_ROWS = 200_000;

/** Of a store that takes no work: nothing else can be looked at. */
const movedFinding = ({ moved }) => {
  const [message, ...remedy] = moved.split('; ');
  return problem('moved', message, remedy.join('; '));
};

/** Whether the schema is the one of this package: with another one nothing else can be looked at. */
function schemaFinding({ schema_version: found, known_schema_version: known }) {
  if (found === known) return undefined;
  if (found === 0)
    return problem(
      'schema',
      'there is no store yet',
      'the first worker or dispatching program makes it; is the name right?',
    );
  if (found > known)
    return problem(
      'schema',
      `the store's schema has version ${found}, this package knows versions up to ${known}`,
      'use the version of the package that your processes use',
    );
  return warning(
    'schema',
    `the store's schema has version ${found}, that of this package is ${known}: it was left as it is, and jobs were not looked at`,
    'the next start of a worker or program with this package migrates it, and older ones are refused from then on',
  );
}

function countFindings({ jobs }) {
  if (jobs === undefined) return [ok('counters', 'not compared with the jobs: there are too many to count in time')];
  if (jobs.counted === jobs.stored) return [];
  return [
    problem(
      'counters',
      `the counters say ${countText(jobs.counted)} jobs, there are ${countText(jobs.stored)}`,
      'was the store changed by SQL? No job is lost by it, but getStats is wrong; report it if nobody has touched the store',
    ),
  ];
}

function fileFindings({
  integrity,
  damage = [],
  is_writable: isWritable,
  locked_by: lockedBy,
  bytes,
  free_bytes: free,
}) {
  const found = [];
  if (integrity === 'damaged')
    found.push(
      problem(
        'integrity',
        `the file is damaged: ${damage.join('; ')}`,
        'stop all processes and put a backup back with Ductape.restore',
      ),
    );
  else found.push(ok('integrity', integrity === 'sound' ? 'all pages are sound' : 'too large to be checked in time'));
  if (!isWritable)
    found.push(
      problem(
        'lock',
        `nobody can write: ${lockedBy ?? 'a process'} has held the lock of the file for over a second`,
        lockedBy ? 'end it, or let it go on' : 'see which of the processes hangs: `ductape top`, or lsof on the file',
      ),
    );
  if (free > bytes / 2 && free > 64 * 1_024 * 1_024)
    found.push(ok('free', `${bytesText(free)} of the file are free, and used again by later jobs`));
  return found;
}

const set = (name, value) => `ALTER SYSTEM SET ${name} = ${value}; SELECT pg_reload_conf()`;

function settingFindings(settings) {
  const found = [];
  if (settings.fsync === 'off')
    found.push(problem('fsync', 'fsync is off: a crash of the machine can destroy the database', set('fsync', 'on')));
  if (settings.full_page_writes === 'off')
    found.push(
      problem(
        'full_page_writes',
        'full_page_writes is off: a crash of the machine can leave torn pages, unless its file system rules that out',
        set('full_page_writes', 'on'),
      ),
    );
  if (settings.synchronous_commit === 'off')
    found.push(
      problem(
        'synchronous_commit',
        'synchronous_commit is off: a crash of the server loses dispatches that were acknowledged',
        'turn it on for the role or the database, or say that it may: durability: "relaxed"',
      ),
    );
  if (settings.autovacuum === 'off')
    found.push(
      warning('autovacuum', 'autovacuum is off: claims read past ever more dead rows', set('autovacuum', 'on')),
    );
  return found;
}

function transactionFinding({ pid, user, application, state, open_ms: ms }) {
  const who = [application, user && `as ${user}`, state].filter(Boolean).join(', ');
  return warning(
    'transaction',
    `a transaction has been open for ${durationText(ms)} (${who || 'unknown'}): no vacuum removes what has been deleted since`,
    `end it: SELECT pg_terminate_backend(${pid})`,
  );
}

function serverFindings(server) {
  const { connections, max_connections: most, dead_rows: dead, long_transactions: long } = server;
  const found = [
    ok(
      'server',
      `PostgreSQL ${Math.floor(server.version / 10_000)}, ${bytesText(server.bytes)} in this schema, ${countText(connections)} of ${countText(most)} connections`,
    ),
  ];
  if (server.is_replica)
    found.push(problem('replica', 'the server is a replica, which takes no jobs', 'name the primary in `store`'));
  found.push(...settingFindings(server.settings));
  if (connections >= most * FULL_SHARE)
    found.push(
      warning(
        'connections',
        `${countText(connections)} of ${countText(most)} connections are taken: processes may soon get none`,
        'raise max_connections, lower `?connections=` in `store`, or put a PgBouncer in front',
      ),
    );
  if (dead > MANY_DEAD_ROWS)
    found.push(
      warning(
        'vacuum',
        `${countText(dead)} dead rows wait for a vacuum`,
        long.length > 0
          ? 'end the transactions that are open for long'
          : 'let autovacuum come round more often: autovacuum_naptime',
      ),
    );
  return [...found, ...long.map(transactionFinding)];
}

/** Findings of the facts; `isUsable`: the store can be opened as one without being changed by that. */
function healthFindings(health) {
  const schema = health.moved === undefined ? schemaFinding(health) : movedFinding(health);
  const found = schema ? [schema] : [ok('schema', `version ${health.schema_version}`)];
  if (health.file) found.push(...fileFindings(health.file));
  if (health.server) found.push(...serverFindings(health.server));
  if (schema === undefined) found.push(...countFindings(health));
  const { integrity, is_writable: isWritable = true } = health.file ?? {};
  return { found, isUsable: schema === undefined && integrity !== 'damaged' && isWritable };
}

module.exports = { healthFindings };
