// How the store does: now, and over an hour, a day or a week.
import { queryText } from '../api';
import { useData } from '../data';
import { samples, useLiveReload } from '../live';
import { Chart, type Line } from '../parts/chart';
import { Choice } from '../parts/choice';
import { Empty, Loaded, Page, Panel, Skeleton } from '../parts/panel';
import { Status } from '../parts/status';
import { Duration } from '../parts/time';
import { go, href, place } from '../router';
import { count, counted, duration, percent, routeKey, routeQuery, shortCount, targetText } from '../text';
import type { Depth, IJobStats, IMetricsFigures, Overview, Range, Sample } from '../types';

const RANGES = [
  ['live', 'Live'],
  ['1h', '1 hour'],
  ['24h', '24 hours'],
  ['7d', '7 days'],
] as const;

const NAMES: Record<Range, string> = { '1h': 'last hour', '24h': 'last 24 hours', '7d': 'last 7 days' };
const MINUTE = 60_000;
const HOUR = 3_600_000;

/** All points of the span: those in which nothing happened are not told by the server. */
function filled(figures: Overview['figures']): {
  times: number[];
  points: Array<IMetricsFigures | undefined>;
  step: number;
} {
  const step = figures.resolution === 'hour' ? HOUR : MINUTE;
  const known = new Map(figures.points.map((point) => [point.at, point]));
  const times: number[] = [];
  for (let at = figures.from; at <= figures.to; at += step) times.push(at);
  return { times, points: times.map((at) => known.get(at)), step };
}

const sum = (values: ReadonlyArray<number | null>) => values.reduce<number>((all, each) => all + (each ?? 0), 0);

function FigureCharts({ overview }: { overview: Overview }) {
  const { times, points, step } = filled(overview.figures);
  const completed = points.map((each) => each?.completed ?? 0);
  const failed = points.map((each) => each?.failed ?? 0);
  const unit = step === HOUR ? 'hour' : 'minute';
  const runs: Line[] = [
    {
      name: 'failed',
      color: 'failed',
      isBar: true,
      values: completed.map((n, at) => n + (failed[at] ?? 0)),
      told: failed,
    },
    { name: 'completed', color: 'completed', isBar: true, values: completed },
  ];
  const lateness: Line[] = [
    { name: 'p95', color: 'paused', values: points.map((each) => each?.lateness?.p95 ?? null) },
    { name: 'p50', color: 'running', values: points.map((each) => each?.lateness?.p50 ?? null) },
  ];
  const { total } = overview.figures;
  return (
    <div class="charts">
      <Panel title="Runs" aside={`per ${unit}, ${NAMES[overview.range]}`}>
        <Chart
          label={`Runs per ${unit}: ${counted(sum(completed), 'completed', 'completed')}, ${count(sum(failed))} failed; at most ${count(Math.max(0, ...completed))} completed in one ${unit}`}
          times={times}
          lines={runs}
          isWhole
          step={step}
          format={shortCount}
        />
      </Panel>
      <Panel title="Lateness" aside="how much later than due attempts began">
        <Chart
          label={
            total.lateness
              ? `Lateness: half of attempts began within ${duration(total.lateness.p50)}, 95 percent within ${duration(total.lateness.p95)}`
              : 'Lateness: no attempt ended'
          }
          times={times}
          lines={lateness}
          isWhole
          step={step}
          format={duration}
        />
      </Panel>
    </div>
  );
}

const SAMPLE_MS = 2_000;
/** Five minutes of samples, so that the chart has its place from the beginning. */
const LIVE_POINTS = 150;

function LiveCharts() {
  const kept = samples.use();
  const last = kept.at(-1)?.at ?? Date.now();
  const shown = kept.slice(-LIVE_POINTS);
  const times = Array.from({ length: LIVE_POINTS }, (_, index) => last - (LIVE_POINTS - 1 - index) * SAMPLE_MS);
  const values = (of: (sample: Sample) => number) => [
    ...Array<null>(LIVE_POINTS - shown.length).fill(null),
    ...shown.map(of),
  ];
  const rates: Line[] = [
    { name: 'completed', color: 'completed', values: values((each) => each.rates.completed) },
    { name: 'failed', color: 'failed', values: values((each) => each.rates.failed) },
  ];
  const depth: Line[] = [
    { name: 'queued', color: 'queued', values: values((each) => each.stats.queued) },
    { name: 'running', color: 'running', values: values((each) => each.stats.running) },
  ];
  const now = kept.at(-1);
  return (
    <div class="charts">
      <Panel title="Runs" aside="per second, last 5 minutes">
        <Chart
          label={
            now
              ? `Runs per second now: ${now.rates.completed.toFixed(1)} completed, ${now.rates.failed.toFixed(1)} failed`
              : 'Runs per second: waiting for the first sample'
          }
          times={times}
          lines={rates}
          step={SAMPLE_MS}
          format={(value) => (value >= 100 ? shortCount(Math.round(value)) : value.toFixed(1))}
        />
      </Panel>
      <Panel title="Depth" aside="due jobs, last 5 minutes">
        <Chart
          label={
            now
              ? `Now ${count(now.stats.queued)} queued and ${count(now.stats.running)} running`
              : 'Depth: waiting for the first sample'
          }
          times={times}
          lines={depth}
          isWhole
          step={SAMPLE_MS}
          format={shortCount}
        />
      </Panel>
    </div>
  );
}

const STATES = ['running', 'queued', 'scheduled', 'paused', 'completed', 'failed', 'cancelled'] as const;

function Counts({ stats }: { stats: IJobStats }) {
  return (
    <ul class="counts" aria-label="jobs by state">
      {STATES.map((state) => (
        <li key={state}>
          <a href={href(`jobs?status=${state}`)} class="count">
            <span class="count-number">{count(stats[state])}</span>
            <Status of={state} />
          </a>
        </li>
      ))}
      <li>
        <a href={href('recurring?failing=true')} class={`count ${stats.failing > 0 ? 'is-alarming' : ''}`}>
          <span class="count-number">{count(stats.failing)}</span>
          <Status of="failing" text="recurring, failing" />
        </a>
      </li>
    </ul>
  );
}

function DepthList({ depth }: { depth: Depth[] }) {
  const due = depth
    .map((each) => ({ each, waiting: each.queued ?? 0, running: each.running ?? 0 }))
    .filter(({ waiting, running }) => waiting + running > 0);
  const most = Math.max(1, ...due.map(({ waiting, running }) => waiting + running));
  if (due.length === 0) return <Empty title="Nothing is due">No job is running or waits for a worker.</Empty>;
  return (
    <ul class="bars">
      {due.map(({ each, waiting, running }) => (
        <li key={routeKey(each)} data-row>
          <a href={href(`jobs${queryText({ ...routeQuery(each), status: ['queued', 'running'] })}`)}>
            <span class="bar-name">
              {targetText(each.target)} <span class="muted">{each.namespace}</span>
            </span>
            <span class="bar-numbers">
              {count(running)} running, {count(waiting)} queued
            </span>
          </a>
          <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
            <rect class="ink-running" fill="currentColor" width={(100 * running) / most} height="4" />
            <rect
              class="ink-queued"
              fill="currentColor"
              x={(100 * running) / most}
              width={(100 * waiting) / most}
              height="4"
            />
          </svg>
        </li>
      ))}
    </ul>
  );
}

function Totals({ overview }: { overview: Overview }) {
  const { total } = overview.figures;
  const ended = total.completed + total.failed;
  return (
    <dl class="totals">
      <div>
        <dt>completed</dt>
        <dd>{count(total.completed)}</dd>
      </div>
      <div>
        <dt>failed</dt>
        <dd>{count(total.failed)}</dd>
      </div>
      <div>
        <dt>success</dt>
        <dd>{ended > 0 ? percent(total.completed / ended) : '–'}</dd>
      </div>
      <div>
        <dt>dispatched</dt>
        <dd>{count(total.dispatched)}</dd>
      </div>
      <div>
        <dt>retried</dt>
        <dd>{count(total.retried)}</dd>
      </div>
      <div>
        <dt>lateness p95</dt>
        <dd>
          <Duration ms={total.lateness?.p95} />
        </dd>
      </div>
      <div>
        <dt>duration p50 / p95</dt>
        <dd>
          <Duration ms={total.duration?.p50} /> / <Duration ms={total.duration?.p95} />
        </dd>
      </div>
    </dl>
  );
}

function Workers({ overview }: { overview: Overview }) {
  const { processes } = overview;
  const alive = processes.filter(({ state }) => state === 'alive');
  const slots = alive.reduce((all, { slots = 0 }) => all + slots, 0);
  const running = processes.reduce((all, each) => all + each.running, 0);
  if (processes.length === 0) {
    return (
      <Empty title="No process works on this store">
        Jobs wait until one starts: <code>await ductape.start()</code>.
      </Empty>
    );
  }
  return (
    <div class="workers">
      <p>
        <a href={href('processes')}>{counted(alive.length, 'process', 'processes')} alive</a>
        {processes.length > alive.length && (
          <>
            , <Status of="silent" text={`${count(processes.length - alive.length)} silent or dead`} />
          </>
        )}
      </p>
      <p class="muted">
        {count(running)} of {count(slots)} slots in use
      </p>
      <progress max={Math.max(1, slots)} value={running} aria-label="slots in use" />
    </div>
  );
}

export function OverviewPage() {
  const asked = place.use().query.get('range');
  const range = RANGES.find(([name]) => name === asked)?.[0] ?? '1h';
  const data = useData<Overview>('overview', { range: range === 'live' ? '1h' : range });
  useLiveReload(data.reload);
  const live = samples.use().at(-1);
  return (
    <Page
      title="Overview"
      lead={data.value ? `${counted((live ?? data.value).stats.total, 'job')} in the store` : '\u00a0'}
      tools={
        <Choice
          label="span of time"
          value={range}
          choices={RANGES}
          onChange={(next) => go(next === '1h' ? '' : `?range=${next}`, { replace: true })}
        />
      }
    >
      <Loaded data={data} skeleton={<OverviewSkeleton />}>
        {(overview) => (
          <>
            <Counts stats={live && live.at > overview.at ? live.stats : overview.stats} />
            {range === 'live' ? <LiveCharts /> : <FigureCharts overview={overview} />}
            <Totals overview={overview} />
            <div class="columns">
              <Panel title="Depth by target" aside={<a href={href('targets')}>all targets</a>}>
                <DepthList depth={overview.depth} />
              </Panel>
              <Panel title="Workers">
                <Workers overview={overview} />
              </Panel>
            </div>
          </>
        )}
      </Loaded>
    </Page>
  );
}

const OverviewSkeleton = () => (
  <>
    <Skeleton height={66} />
    <div class="charts">
      <Skeleton height={282} />
      <Skeleton height={282} />
    </div>
    <Skeleton height={66} />
    <Skeleton height={180} />
  </>
);
