// The attempts of a job on an axis of time, a line for each run: how long each took, and what was waited between them.
import { useMemo } from 'preact/hooks';
import { storeNow } from '../api';
import { zone } from '../settings';
import { counted, duration, exact, moment } from '../text';
import type { IJob, IJobExecution } from '../types';
import { useWidth } from './width';

interface Bar {
  attempt: number;
  status: string;
  from: number;
  to: number;
  code?: string;
}

interface Run {
  number: number;
  from: number;
  to: number;
  bars: Bar[];
}

const LINE = 24;
const LEFT = 148;
const RIGHT = 14;
const TOP = 20;
/** As many runs as can be told apart. */
export const SHOWN_RUNS = 12;

/** Runs, the newest first, with the attempt that is going. */
export function runsOf(executions: readonly IJobExecution[], job: IJob, now: number): Run[] {
  const runs = new Map<number, Bar[]>();
  for (const each of executions) {
    const from = each.started_at ?? each.completed_at;
    if (from === undefined) continue;
    const bars = runs.get(each.number) ?? [];
    bars.push({
      attempt: each.attempt,
      status: each.status,
      from,
      to: each.completed_at ?? from,
      ...(each.error && { code: each.error.code }),
    });
    runs.set(each.number, bars);
  }
  if (job.status === 'running' && job.started_at !== undefined) {
    const newest = Math.max(0, ...runs.keys());
    // Another attempt of a run that is not over, or the first one of the next run.
    const isSame = runs.get(newest)?.some(({ status }) => ['retried', 'snoozed', 'crashed'].includes(status));
    const number = isSame && job.attempt > 1 ? newest : Math.max(newest, job.execution_count) + 1;
    const bars = runs.get(number) ?? [];
    bars.push({ attempt: job.attempt, status: 'running', from: job.started_at, to: Math.max(now, job.started_at) });
    runs.set(number, bars);
  }
  return [...runs]
    .map(([number, bars]) => ({
      number,
      from: Math.min(...bars.map(({ from }) => from)),
      to: Math.max(...bars.map(({ to }) => to)),
      bars: bars.sort((a, b) => a.from - b.from),
    }))
    .sort((a, b) => b.number - a.number);
}

/** A round length of time that makes at most so many parts of a span. */
function stepOf(span: number, parts: number): number {
  const steps = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1e3,
    2e3,
    5e3,
    10e3,
    15e3,
    30e3,
    60e3,
    120e3,
    300e3,
    600e3,
    900e3,
    1800e3,
    3600e3,
    2 * 3600e3,
    6 * 3600e3,
    12 * 3600e3,
    86_400e3,
    2 * 86_400e3,
    7 * 86_400e3,
    30 * 86_400e3,
    365 * 86_400e3,
  ];
  return steps.find((each) => span / each <= parts) ?? span;
}

export function AttemptsChart({ runs }: { runs: readonly Run[] }) {
  const { frame, width } = useWidth();
  const utc = zone.use() === 'utc';
  const shown = runs.slice(0, SHOWN_RUNS);
  const span = Math.max(1, ...shown.map(({ from, to }) => to - from));
  const room = Math.max(40, width - LEFT - RIGHT);
  const x = (offset: number) => LEFT + (room * offset) / span;
  const step = stepOf(span, Math.max(2, Math.min(8, Math.floor(room / 80))));
  const ticks = useMemo(() => Array.from({ length: Math.floor(span / step) + 1 }, (_, n) => n * step), [span, step]);
  const height = TOP + shown.length * LINE + 4;
  const label = `${counted(shown.length, 'run')} on an axis of ${duration(span)}; the table of attempts says the same`;
  return (
    <div class="attempts-chart" ref={frame} style={{ height: `${height}px` }}>
      {width > 0 && (
        <svg width={width} height={height} role="img" aria-label={label}>
          {ticks.map((tick) => (
            <g key={tick}>
              <line class="grid-line" x1={x(tick)} x2={x(tick)} y1={TOP - 4} y2={height} />
              <text
                class="tick"
                x={x(tick)}
                y={12}
                text-anchor={tick === 0 ? 'start' : x(tick) > width - 40 ? 'end' : 'middle'}
              >
                {tick === 0 ? '0' : `+${duration(tick)}`}
              </text>
            </g>
          ))}
          {shown.map((run, line) => (
            <g key={run.number} transform={`translate(0 ${TOP + line * LINE})`}>
              <text class="run-name" x={0} y={16}>
                run {run.number}
              </text>
              <text class="tick" x={LEFT - 10} y={16} text-anchor="end">
                {moment(run.from, utc, storeNow())}
              </text>
              {run.bars.slice(1).map((bar, index) => {
                const before = run.bars[index];
                return before ? (
                  <line
                    key={bar.from}
                    class="wait-line"
                    x1={x(before.to - run.from)}
                    x2={x(bar.from - run.from)}
                    y1={LINE / 2}
                    y2={LINE / 2}
                  />
                ) : null;
              })}
              {run.bars.map((bar) => {
                const from = x(bar.from - run.from);
                const length = Math.max(4, x(bar.to - run.from) - from);
                return (
                  <g key={`${bar.attempt}-${bar.from}`} class={`ink-${bar.status}`}>
                    <title>
                      {`attempt ${bar.attempt}: ${bar.status}${bar.code ? ` (${bar.code})` : ''}, ${duration(bar.to - bar.from)}, from ${exact(bar.from, utc)}`}
                    </title>
                    <rect class="attempt-bar" x={from} y={4} width={length} height={LINE - 8} rx={2} />
                    {bar.status === 'completed' || bar.status === 'running' ? null : (
                      <path
                        class="attempt-mark"
                        d={bar.status === 'failed' ? 'm-3-3 6 6m0-6-6 6' : 'M-3 0h6'}
                        transform={`translate(${from + length / 2} ${LINE / 2})`}
                      />
                    )}
                  </g>
                );
              })}
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}
