'use strict';
// What `doctor` looks at. Each check gives findings: `{ name, level, message, remedy? }`.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { bytesText, countText, distanceText, durationText, jobsText } = require('./format.js');
const { processFindings: findingsOfProcesses } = require('./processes.js');

const MIB = 1_024 * 1_024;
/** Free bytes below which writes are about to fail, and below which it is worth a warning. */
const FULL_BYTES = 16 * MIB;
const LOW_BYTES = 256 * MIB;
/** Length of the log from which on something keeps it from being used from its start again. */
const LONG_LOG_BYTES = 64 * MIB;
/** Larger files are copied for the check only when that was asked for. */
const SMALL_FILE_BYTES = 64 * MIB;
const MAX_SKEW_MS = 1_000;
/** A due job that waits for longer is worth a look. */
const LONG_WAIT_MS = 60_000;
/** Queued jobs that are looked at, the newest. */
const LOOKED_AT = 1_000;

const ok = (name, message) => ({ name, level: 'ok', message });
const warning = (name, message, remedy) => ({ name, level: 'warning', message, remedy });
const problem = (name, message, remedy) => ({ name, level: 'problem', message, ...(remedy && { remedy }) });

const sizeOf = (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;

function freeBytes(folder) {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Size, rights and disk of the file. */
function fileFindings(file) {
  const [size, log] = [sizeOf(file), sizeOf(`${file}-wal`)];
  const found = [ok('size', `${file}: ${bytesText(size)}, log ${bytesText(log)}`)];
  if (log > LONG_LOG_BYTES && log > size) {
    found.push(
      warning(
        'log',
        `the log is ${bytesText(log)}: something keeps a transaction open on the store`,
        'end programs that read the file, such as backups and SQL tools',
      ),
    );
  }
  const { mode } = fs.statSync(file);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    found.push(
      warning(
        'rights',
        `others than the owner can read ${file} (mode ${(mode & 0o777).toString(8)})`,
        `chmod 600 ${file}`,
      ),
    );
  }
  const folder = path.dirname(file);
  try {
    fs.accessSync(folder, fs.constants.W_OK);
  } catch {
    found.push(
      problem(
        'rights',
        `this user cannot write to the folder ${folder}`,
        'processes need to: log and locks lie beside the file',
      ),
    );
  }
  const free = freeBytes(folder);
  if (free === undefined) return found;
  const text = `${bytesText(free)} free on the disk of ${folder}`;
  if (free < FULL_BYTES) found.push(problem('disk', text, 'make room: jobs cannot be stored on a full disk'));
  else if (free < Math.max(LOW_BYTES, size / 4))
    found.push(warning('disk', text, 'make room, or keep ended jobs for a shorter time (retention)'));
  else found.push(ok('disk', text));
  return found;
}

/** Reads all of the store, by a copy that is thrown away. */
async function dataFindings(ductape, file, isAsked) {
  const size = sizeOf(file);
  if (size > SMALL_FILE_BYTES && !isAsked)
    return [ok('data', `not read, since it is ${bytesText(size)}; --data reads it`)];
  const free = freeBytes(os.tmpdir());
  if (free !== undefined && free < size * 1.2 + FULL_BYTES) {
    return [
      warning(
        'data',
        `not read: the copy needs ${bytesText(size)} in ${os.tmpdir()}`,
        'set TMPDIR to a folder with more room',
      ),
    ];
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ductape-doctor-'));
  try {
    await ductape.backup(path.join(folder, 'copy.db'));
    return [ok('data', `all ${bytesText(size)} can be read`)];
  } catch (error) {
    return [
      problem(
        'data',
        `the store cannot be read: ${error.message}`,
        'stop all processes and put a backup back with Ductape.restore',
      ),
    ];
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The clock by which jobs go: with PostgreSQL the server's. */
function clockFindings({ clock }, isServer) {
  const skew = clock.now() - Date.now();
  if (Math.abs(skew) <= MAX_SKEW_MS) return [ok('clock', isServer ? "as the server's" : 'that of this machine')];
  const message = `this machine's clock is ${durationText(Math.abs(skew))} ${skew > 0 ? 'behind' : 'ahead of'} the server's, which jobs go by`;
  return [warning('clock', message, 'let NTP set the clocks of all machines')];
}

/** Jobs that nobody runs, and jobs that failed. */
async function jobFindings({ jobs, clock }, longWait = LONG_WAIT_MS) {
  const [stats, queued] = await Promise.all([jobs.getStats(), jobs.list({ status: 'queued', limit: LOOKED_AT })]);
  const now = clock.now();
  const overdue = queued.jobs.filter((job) => now - job.scheduled_at > longWait);
  const found = [
    ok('jobs', `${jobsText(stats.total)}: ${countText(stats.running)} running, ${countText(stats.queued)} queued`),
  ];
  if (overdue.length > 0) {
    const oldest = overdue.reduce((a, b) => (b.scheduled_at < a.scheduled_at ? b : a));
    const many = `${overdue.length < stats.queued && overdue.length === LOOKED_AT ? 'at least ' : ''}${jobsText(overdue.length)}`;
    const verb = overdue.length === 1 ? 'waits' : 'wait';
    const message = `${many} ${verb} for a worker; ${oldest.id} was due ${distanceText(oldest.scheduled_at, now)}`;
    found.push(warning('waiting', message, `is a worker with a handler for it running? ductape explain ${oldest.id}`));
  }
  if (stats.failed > 0)
    found.push(
      warning(
        'failed',
        `${jobsText(stats.failed)} failed for good`,
        'ductape list --status failed; ductape retry --all',
      ),
    );
  if (stats.failing > 0) {
    const fail = stats.failing === 1 ? '1 recurring job fails' : `${countText(stats.failing)} recurring jobs fail`;
    found.push(warning('failing', `${fail}, at least the last time`, 'ductape list --failing'));
  }
  return found;
}

/** Processes that run jobs, and those that have ended or hang. */
async function processFindings(ductape) {
  const { message, wrong } = await findingsOfProcesses(ductape);
  return [ok('processes', message), ...wrong.map((found) => warning('process', found.message, found.remedy))];
}

async function webhookFindings({ jobs }) {
  const webhooks = await jobs.listWebhooks();
  const found = [];
  for (const webhook of webhooks) {
    if (webhook.status === 'disabled') {
      found.push(
        warning(
          'webhook',
          `${webhook.url} is disabled: it answered 410`,
          'set it again, or remove it with jobs.deleteWebhook',
        ),
      );
    } else if ((webhook.last_failed_at ?? 0) > (webhook.last_delivered_at ?? 0)) {
      found.push(
        warning('webhook', `${webhook.url} fails: ${webhook.last_error}`, 'deliveries are tried again for about a day'),
      );
    }
  }
  return found.length > 0 || webhooks.length === 0 ? found : [ok('webhooks', `${webhooks.length} get their events`)];
}

module.exports = {
  clockFindings,
  dataFindings,
  fileFindings,
  jobFindings,
  ok,
  problem,
  processFindings,
  warning,
  webhookFindings,
};
