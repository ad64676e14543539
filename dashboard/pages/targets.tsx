// Targets: what waits, how fast, how late, how long; and all their jobs paused or resumed.
import { actOnMany } from '../actions';
import { queryText, useReadOnly } from '../api';
import { useData } from '../data';
import { useLiveReload } from '../live';
import { RangeChoice, useRange } from '../parts/range';
import { Empty, Loaded, Page, Panel } from '../parts/panel';
import { type Column, Table } from '../parts/table';
import { Duration } from '../parts/time';
import { href } from '../router';
import { count, percent, routeKey, routeQuery, targetText } from '../text';
import type { Range, TargetRow } from '../types';

interface Answer {
  targets: TargetRow[];
}

const HOURS: Record<Range, number> = { '1h': 1, '24h': 24, '7d': 168 };

const short = (rate: number) => String(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate));

/** 3.4/min, 120/h. */
function rateText(runs: number, range: Range): string {
  const perMinute = runs / (HOURS[range] * 60);
  if (runs === 0) return '–';
  if (perMinute >= 60) return `${count(Math.round(perMinute / 60))}/s`;
  return perMinute >= 1 ? `${short(perMinute)}/min` : `${short(perMinute * 60)}/h`;
}

const handledText = ({ handled_here, concurrency }: TargetRow) =>
  [
    handled_here ? 'handled here' : 'no handler here',
    concurrency !== undefined && `at most ${count(concurrency)} at once`,
  ]
    .filter(Boolean)
    .join(', ');

/** What can be done to the jobs of a target as they are now. */
const actionsOf = ({ counts }: TargetRow): Array<'pause' | 'resume'> => [
  ...((counts?.running ?? 0) + (counts?.queued ?? 0) + (counts?.scheduled ?? 0) > 0 ? (['pause'] as const) : []),
  ...((counts?.paused ?? 0) > 0 ? (['resume'] as const) : []),
];

/** Jobs of exactly this target. */
const filterOfTarget = ({ namespace, product, env, target }: TargetRow) => ({ namespace, product, env, target });

function number(row: TargetRow, state: 'running' | 'queued' | 'scheduled' | 'failed' | 'paused') {
  const value = row.counts?.[state];
  if (value === undefined) return <span class="muted">–</span>;
  if (value === 0) return <span class="muted">0</span>;
  return <a href={href(`jobs${queryText({ ...routeQuery(row), status: [state] })}`)}>{count(value)}</a>;
}

function columnsOf(range: Range, isReadOnly: boolean, reload: () => void): ReadonlyArray<Column<TargetRow>> {
  return [
    {
      name: 'Target',
      isHead: true,
      of: (row) => (
        <a href={href(`jobs${queryText(routeQuery(row))}`)} class="row-link">
          <span class="strong">{targetText(row.target)}</span> <span class="muted">{row.namespace}</span>
          <span class="id">
            {row.product}, {row.env}: {handledText(row)}
          </span>
        </a>
      ),
    },
    { name: 'Running', isNumber: true, of: (row) => number(row, 'running') },
    { name: 'Queued', isNumber: true, of: (row) => number(row, 'queued') },
    { name: 'Scheduled', isNumber: true, of: (row) => number(row, 'scheduled') },
    { name: 'Failed', isNumber: true, of: (row) => number(row, 'failed') },
    {
      name: 'Rate',
      isNumber: true,
      of: ({ figures }) => (figures ? rateText(figures.completed + figures.failed, range) : '–'),
    },
    {
      name: 'Success',
      isNumber: true,
      of: ({ figures }) =>
        figures && figures.completed + figures.failed > 0
          ? percent(figures.completed / (figures.completed + figures.failed))
          : '–',
    },
    { name: 'p50', isNumber: true, of: ({ figures }) => <Duration ms={figures?.duration?.p50} /> },
    { name: 'p95', isNumber: true, of: ({ figures }) => <Duration ms={figures?.duration?.p95} /> },
    { name: 'Late p95', isNumber: true, of: ({ figures }) => <Duration ms={figures?.lateness?.p95} /> },
    {
      name: 'Change',
      of: (row) => (
        <span class="buttons">
          {actionsOf(row).map((action) => (
            <button
              key={action}
              type="button"
              class="small"
              disabled={isReadOnly}
              title={`${action} all jobs of ${targetText(row.target)}`}
              onClick={() =>
                actOnMany(action, { filter: filterOfTarget(row) }, `the jobs of ${targetText(row.target)}`, reload)
              }
            >
              {action === 'pause' ? 'Pause' : `Resume ${count(row.counts?.paused ?? 0)}`}
              <span class="hidden"> all jobs of {targetText(row.target)}</span>
            </button>
          ))}
        </span>
      ),
    },
  ];
}

export function TargetsPage() {
  const range = useRange();
  const data = useData<Answer>('targets', { range });
  useLiveReload(data.reload);
  const isReadOnly = useReadOnly();
  return (
    <Page
      title="Targets"
      lead="Rates and times of the span; “here” is the process that serves this page"
      tools={<RangeChoice page="targets" range={range} />}
    >
      <Loaded data={data}>
        {({ targets }) => (
          <Panel>
            {targets.length === 0 ? (
              <Empty title="No target has jobs yet">A target appears with its first job.</Empty>
            ) : (
              <Table
                label="targets"
                columns={columnsOf(range, isReadOnly, data.refresh)}
                rows={targets}
                keyOf={routeKey}
              />
            )}
          </Panel>
        )}
      </Loaded>
    </Page>
  );
}
