'use strict';
// Values as texts for people: times, durations, sizes, targets, states.

const { escaped } = require('../text.js');

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

const two = (number) => String(number).padStart(2, '0');

/** On a terminal the local time of the machine, elsewhere ISO 8601 in UTC. */
function timeText(ms, out) {
  if (ms === undefined || ms === null) return '';
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  if (!out.isTerminal) return date.toISOString();
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A duration in its two largest units, as in `2 h 5 min`. */
function durationText(ms) {
  if (ms === undefined || ms === null) return '';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  let rest = Math.round(ms / 1_000) * 1_000;
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count === 0 && parts.length === 0) continue;
    if (count > 0) parts.push(`${count} ${unit}`);
    if (parts.length === 2) break;
    rest -= count * size;
  }
  return parts.slice(0, 2).join(' ');
}

/** How long ago or ahead a time is. */
function distanceText(ms, now) {
  const distance = ms - now;
  if (Math.abs(distance) < 1_000) return 'now';
  return distance > 0 ? `in ${durationText(distance)}` : `${durationText(-distance)} ago`;
}

const countText = (count) => count.toLocaleString('en-US');

/** `1 job`, `2 jobs`. */
const jobsText = (count) => `${countText(count)} ${count === 1 ? 'job' : 'jobs'}`;

function bytesText(bytes) {
  if (bytes < 1_024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let [size, at] = [bytes / 1_024, 0];
  while (size >= 1_024 && at < units.length - 1) {
    size /= 1_024;
    at++;
  }
  return `${size.toFixed(size < 10 ? 1 : 0)} ${units[at]}`;
}

/** Values of the target, as in `email-service/send`. */
const targetText = (target) => escaped(Object.values(target ?? {}).join('/'));

/** The schedule in short: its cron, interval or steps. */
function scheduleText(job) {
  if (job.cron) return job.tz ? `${job.cron} ${job.tz}` : job.cron;
  if (job.every !== undefined) return `every ${durationText(job.every)}`;
  return job.interval ?? '';
}

const STATUS_STYLES = {
  running: 'cyan',
  queued: 'yellow',
  completed: 'green',
  failed: 'red',
  cancelled: 'dim',
  paused: 'dim',
};

/** Columns of jobs, as `list` and the changes show them. */
const jobColumns = (out) => [
  { name: 'ID', of: (job) => job.id },
  { name: 'STATUS', of: (job) => job.status, style: (job) => STATUS_STYLES[job.status] },
  { name: 'NAMESPACE', of: (job) => job.namespace, spare: 2 },
  { name: 'TARGET', of: (job) => targetText(job.target), canCut: true },
  { name: 'DUE', of: (job) => timeText(job.next_run_at ?? job.scheduled_at, out), spare: 1 },
  { name: 'RUNS', of: (job) => job.execution_count, isNumber: true, spare: 3 },
  { name: 'SCHEDULE', of: scheduleText, canCut: true, spare: 4 },
  {
    name: 'FAILING',
    of: (job) => (job.failing ? `${countText(job.failing.runs)} since ${timeText(job.failing.since, out)}` : ''),
    style: () => 'red',
    spare: 1,
  },
  { name: 'TAGS', of: (job) => job.tags.join(','), canCut: true, spare: 5 },
  { name: 'ERROR', of: (job) => job.last_error, canCut: true, style: () => 'red' },
];

/** Code and message of an error. Errors of Node.js say their code themselves. */
const errorText = ({ code, message }) => (message.startsWith(`${code}: `) ? message : `${code}: ${message}`);

module.exports = {
  STATUS_STYLES,
  bytesText,
  countText,
  distanceText,
  durationText,
  errorText,
  jobColumns,
  jobsText,
  scheduleText,
  targetText,
  timeText,
};
