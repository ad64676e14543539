// The past and the next 24 hours of a recurring job. Outcomes differ in colour and in shape; a tail is lateness, what is hatched has no
// run.
import { clock, counted, duration, exact, withNextRun } from '../text';
import type { RecurringRow } from '../types';

export const STRIP_HEIGHT = 34;
const DAY = 86_400_000;
const HOUR = 3_600_000;
/** Marks that are nearer to each other than this, in pixels, become one. */
const APART = 7;

interface Mark {
  x: number;
  from: number;
  status: string;
  text: string;
  count: number;
}

/** What is most worth to be seen of runs that share a place. */
const WEIGHTS: Record<string, number> = { failed: 5, crashed: 4, cancelled: 3, running: 2, retried: 2, completed: 1 };

const weight = (status: string) => WEIGHTS[status] ?? 0;

const SHAPES: Record<string, string> = {
  completed: 'M0-5a5 5 0 1 1 0 10a5 5 0 1 1 0-10',
  failed: 'M-5.5-5.5h11v11h-11z',
  crashed: 'M0-7 6.5 5h-13z',
  cancelled: 'M0-6 6 0 0 6-6 0z',
  running: 'M-4-6 6 0-4 6z',
};

function marksOf({ past }: RecurringRow, x: (at: number) => number, utc: boolean): Mark[] {
  const marks: Mark[] = [];
  for (const run of past) {
    const late = run.late_ms ?? 0;
    const mark: Mark = {
      x: x(run.at),
      from: x(run.at - late),
      status: run.status,
      count: 1,
      text: `${run.status} at ${exact(run.at, utc).slice(5, 19)}${late >= 1_000 ? `, ${duration(late)} late` : ''}`,
    };
    const before = marks.at(-1);
    if (!before || mark.x - before.x >= APART) {
      marks.push(mark);
      continue;
    }
    before.count += 1;
    before.from = Math.min(before.from, mark.from);
    if (weight(mark.status) > weight(before.status)) {
      before.status = mark.status;
      before.text = mark.text;
    }
  }
  return marks;
}

function nextMarks(
  next: readonly number[],
  x: (at: number) => number,
): Array<{ x: number; at: number; count: number }> {
  const marks: Array<{ x: number; at: number; count: number }> = [];
  for (const at of next) {
    const before = marks.at(-1);
    if (before && x(at) - before.x < APART) before.count += 1;
    else marks.push({ x: x(at), at, count: 1 });
  }
  return marks;
}

/** As many runs and times as the server tells of one job. */
const TOLD = 190;

/** The same in words. */
export function stripText({ job, past, gaps, next: given }: RecurringRow, now: number, utc: boolean): string {
  const next = withNextRun(given, job).filter((at) => at <= now + DAY);
  const of = (status: string) => past.filter((each) => each.status === status).length;
  const parts = [
    past.length === 0 && gaps.length === 0 && 'no run in the past 24 hours',
    past.length >= TOLD && `the newest ${past.length} runs`,
    of('completed') > 0 && `${counted(of('completed'), 'run')} completed`,
    of('failed') > 0 && `${of('failed')} failed`,
    of('cancelled') > 0 && `${of('cancelled')} cancelled`,
    of('running') > 0 && 'one is running',
    ...gaps.map(
      (gap) =>
        `${counted(gap.count, 'time')} ${gap.reason === 'down' || gap.reason === 'misfire' ? 'missed' : 'skipped'} from ${clock(gap.from, utc)} to ${clock(gap.to, utc)}`,
    ),
    next[0] === undefined
      ? 'none to come within 24 hours'
      : `next ${next[0] <= now ? 'now' : `in ${duration(next[0] - now)}`}`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** Whole hours that stand on the axis, by the width there is. */
export function hoursOf(now: number, width: number, utc: boolean): number[] {
  const step = (width > 700 ? 3 : width > 420 ? 6 : 12) * HOUR;
  const offset = utc ? 0 : new Date(now).getTimezoneOffset() * 60_000;
  const hours: number[] = [];
  for (let at = Math.ceil((now - DAY - offset) / step) * step + offset; at <= now + DAY; at += step) hours.push(at);
  return hours;
}

/** Where a time stands. */
export const placeOf = (now: number, width: number) => (at: number) =>
  Math.min(width - 1, Math.max(1, ((at - now + DAY) / (2 * DAY)) * width));

/** What is hatched: once for a page. */
export const Hatches = () => (
  <svg class="hidden" width="0" height="0" aria-hidden="true">
    <defs>
      {['missed', 'skipped'].map((kind) => (
        <pattern key={kind} id={`hatch-${kind}`} width="6" height="6" patternUnits="userSpaceOnUse">
          <path class={`hatch-line ink-${kind === 'missed' ? 'failed' : 'cancelled'}`} d="M-1 7 7-1M-1 1 1-1M5 7 7 5" />
        </pattern>
      ))}
    </defs>
  </svg>
);

export function Strip({ row, now, width, utc }: { row: RecurringRow; now: number; width: number; utc: boolean }) {
  const x = placeOf(now, width);
  const middle = STRIP_HEIGHT / 2;
  const inView = (at: number) => at >= now - DAY && at <= now + DAY;
  return (
    <svg
      class="strip"
      width={width}
      height={STRIP_HEIGHT}
      role="img"
      aria-label={stripText(row, now, utc)}
      viewBox={`0 0 ${width} ${STRIP_HEIGHT}`}
    >
      {hoursOf(now, width, utc).map((at) => (
        <line key={at} class="grid-line" x1={x(at)} x2={x(at)} y1={2} y2={STRIP_HEIGHT - 2} />
      ))}
      <line class="axis-line" x1={0} x2={width} y1={middle} y2={middle} />
      {row.gaps.map((gap) => {
        const isMissed = gap.reason === 'down' || gap.reason === 'misfire';
        const from = x(gap.from) - 4;
        return (
          <g key={`${gap.from}-${gap.reason}`} class={isMissed ? 'ink-failed' : 'ink-cancelled'}>
            <title>
              {`${counted(gap.count, 'time')} ${isMissed ? 'missed' : 'skipped'} (${gap.reason}), ${exact(gap.from, utc).slice(5, 16)} to ${exact(gap.to, utc).slice(5, 16)}`}
            </title>
            <rect
              class="gap"
              fill={isMissed ? 'url(#hatch-missed)' : 'url(#hatch-skipped)'}
              x={from}
              y={4}
              width={Math.max(9, x(gap.to) + 4 - from)}
              height={STRIP_HEIGHT - 8}
            />
          </g>
        );
      })}
      {row.past.length >= TOLD && (
        <line class="more-line" x1={0} x2={x(row.past[0]?.at ?? now)} y1={middle} y2={middle}>
          <title>earlier runs are not told</title>
        </line>
      )}
      {row.next.length >= TOLD && (
        <line class="more-line" x1={x(row.next.at(-1) ?? now)} x2={width} y1={middle} y2={middle}>
          <title>and so on</title>
        </line>
      )}
      {nextMarks(
        withNextRun(row.next, row.job).filter((at) => at > now && inView(at)),
        x,
      ).map((mark) => (
        <circle key={mark.at} class="next-mark" cx={mark.x} cy={middle} r={3}>
          <title>{`due at ${exact(mark.at, utc).slice(5, 16)}${mark.count > 1 ? ` and ${mark.count - 1} more` : ''}`}</title>
        </circle>
      ))}
      {marksOf({ ...row, past: row.past.filter(({ at }) => inView(at)) }, x, utc).map((mark) => (
        <g key={`${mark.x}`} class={`ink-${mark.status}`}>
          <title>{`${mark.text}${mark.count > 1 ? `, and ${mark.count - 1} more here` : ''}`}</title>
          {mark.x - mark.from > 1 && <line class="tail" x1={mark.from} x2={mark.x} y1={middle} y2={middle} />}
          <path
            class="mark"
            d={SHAPES[mark.status] ?? SHAPES.completed}
            transform={`translate(${mark.x} ${middle}) scale(${mark.status === 'completed' && mark.count > 1 ? 0.8 : 1})`}
          />
        </g>
      ))}
      <line class="now-line" x1={width / 2} x2={width / 2} y1={0} y2={STRIP_HEIGHT} />
    </svg>
  );
}
