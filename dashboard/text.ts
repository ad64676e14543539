// Numbers, times and names as people read them.
import type { IJobTarget, Route } from './types';

const grouped = new Intl.NumberFormat('en-GB');
const short = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 });

/** 12,345. */
export const count = (value: number): string => grouped.format(value);

/** 12.3k. */
export const shortCount = (value: number): string => (Math.abs(value) < 10_000 ? count(value) : short.format(value));

export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

export const percent = (part: number): string => {
  const value = part * 100;
  // 99.96 % is not all of them.
  const rounded = Math.round(value * 10) / 10;
  const honest = part < 1 && rounded === 100 ? 99.9 : rounded;
  return `${honest.toFixed(Number.isInteger(honest) ? 0 : 1)} %`;
};

const UNITS: ReadonlyArray<readonly [string, number]> = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** 340 ms, 2.4 s, 3 min 5 s, 2 d 4 h. */
export function duration(ms: number): string {
  const size = Math.abs(ms);
  const sign = ms < 0 ? '−' : '';
  if (size < 1_000) return `${sign}${Math.round(size)} ms`;
  if (size < 10_000) return `${sign}${(Math.floor(size / 100) / 10).toFixed(1)} s`;
  const first = UNITS.findIndex(([, length]) => size >= length);
  const [name, length] = UNITS[first] ?? ['s', 1_000];
  const whole = Math.floor(size / length);
  const next = UNITS[first + 1];
  const rest = next ? Math.floor((size - whole * length) / next[1]) : 0;
  return `${sign}${count(whole)} ${name}${rest > 0 && next ? ` ${rest} ${next[0]}` : ''}`;
}

/** in 3 min, 2 h ago, now. */
export function relative(at: number, now: number): string {
  const ms = at - now;
  if (Math.abs(ms) < 1_000) return 'now';
  const size = Math.abs(ms);
  const [name, length] = UNITS.find(([, each]) => size >= each) ?? ['s', 1_000];
  const text = `${count(Math.floor(size / length))} ${name}`;
  return ms > 0 ? `in ${text}` : `${text} ago`;
}

const pad = (value: number, width = 2) => String(value).padStart(width, '0');

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function partsOf(at: number, utc: boolean): Parts {
  const date = new Date(at);
  return utc
    ? {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
        ms: date.getUTCMilliseconds(),
      }
    : {
        year: date.getFullYear(),
        month: date.getMonth() + 1,
        day: date.getDate(),
        hour: date.getHours(),
        minute: date.getMinutes(),
        second: date.getSeconds(),
        ms: date.getMilliseconds(),
      };
}

/** 14:05. */
export function clock(at: number, utc: boolean): string {
  const { hour, minute } = partsOf(at, utc);
  return `${pad(hour)}:${pad(minute)}`;
}

/** 14:05:09 today, else 2026-11-30 14:05:09. */
export function moment(at: number, utc: boolean, now: number): string {
  const parts = partsOf(at, utc);
  const today = partsOf(now, utc);
  const time = `${pad(parts.hour)}:${pad(parts.minute)}:${pad(parts.second)}`;
  if (parts.year === today.year && parts.month === today.month && parts.day === today.day) return time;
  return `${parts.year}-${pad(parts.month)}-${pad(parts.day)} ${time}`;
}

/** 2026-11-30 14:05:09.120. */
export function exact(at: number, utc: boolean): string {
  const { year, month, day, hour, minute, second, ms } = partsOf(at, utc);
  return `${year}-${pad(month)}-${pad(day)} ${pad(hour)}:${pad(minute)}:${pad(second)}.${pad(ms, 3)}`;
}

/** What stands for a date and time in inputs: 2026-11-30T14:05. */
export function inputMoment(at: number, utc: boolean): string {
  return exact(at, utc).slice(0, 16).replace(' ', 'T');
}

/** The other way round; undefined: it is none. */
export function momentOfInput(text: string, utc: boolean): number | undefined {
  if (text === '') return undefined;
  const at = Date.parse(utc ? `${text}Z` : text);
  return Number.isNaN(at) ? undefined : at;
}

/** An id that was generated: its beginning is its time, its end tells it apart. */
export const shortId = (id: string): string => id.replace(/^(job_[0-9a-f]{8})-[0-9a-f-]{14}-([0-9a-f]{12})$/, '$1…$2');

/** charge, or stripe charge. */
export const targetText = (target: IJobTarget): string => Object.values(target).filter(Boolean).join(' ');

/** What tells routes apart. */
export const routeKey = ({ namespace, product, env, target }: Route): string =>
  JSON.stringify([namespace, product, env, Object.entries(target).sort()]);

/** Conditions of a list that a route's jobs meet. */
export const routeQuery = ({ namespace, product, env, target }: Route): Record<string, string> => ({
  namespace,
  product,
  env,
  ...Object.fromEntries(
    Object.entries(target)
      .filter(([, value]) => value)
      .map(([field, value]) => [`target.${field}`, String(value)]),
  ),
});

/** The next times of a recurring job, of which the first is known for sure. */
export const withNextRun = (
  next: readonly number[],
  { next_run_at: first }: { next_run_at?: number },
): readonly number[] =>
  first === undefined || next.includes(first) ? next : [first, ...next.filter((at) => at > first)];

/** How often a recurring job runs. */
export function scheduleText(job: { cron?: string; every?: number; interval?: string; tz?: string }): string {
  const zone = job.tz && (job.cron || job.interval) ? ` (${job.tz})` : '';
  if (job.cron) return `${job.cron}${zone}`;
  if (job.every) return `every ${duration(job.every)}`;
  return job.interval ? `every ${job.interval}${zone}` : '';
}
