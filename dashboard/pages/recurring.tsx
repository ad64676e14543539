// Recurring jobs, each with what it did in the past 24 hours and will do in the next.
import { ACTS, actOn } from '../actions';
import { useReadOnly } from '../api';
import { useData } from '../data';
import { changed, conditionsOf } from '../filter';
import { useLiveReload } from '../live';
import { FilterBar } from '../parts/filter-bar';
import { Empty, Loaded, Page, Panel, Skeleton } from '../parts/panel';
import { Status } from '../parts/status';
import { Hatches, hoursOf, placeOf, Strip, stripText } from '../parts/strip';
import { useNow } from '../parts/time';
import { useWidth } from '../parts/width';
import { go, href, jobPath, place } from '../router';
import { zone } from '../settings';
import { clock, count, scheduleText, targetText } from '../text';
import type { JobAction, ListedJob, RecurringRow } from '../types';

interface Answer {
  jobs: RecurringRow[];
  next?: string;
}

const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** What can be done from here; the job's own page has the rest. */
function quickActions(job: ListedJob): JobAction[] {
  if (ENDED.has(job.status)) return [];
  if (job.status === 'paused') return ['resume'];
  return job.status === 'scheduled' ? ['run-now', 'pause'] : ['pause'];
}

function Axis({ now, width, utc }: { now: number; width: number; utc: boolean }) {
  const x = placeOf(now, width);
  return (
    <svg width={width} height={18} aria-hidden="true">
      {hoursOf(now, width, utc).map((at) =>
        Math.abs(x(at) - width / 2) < 34 || x(at) < 16 || x(at) > width - 16 ? null : (
          <text key={at} class="tick" x={x(at)} y={12} text-anchor="middle">
            {clock(at, utc)}
          </text>
        ),
      )}
      <text class="tick now" x={width / 2} y={12} text-anchor="middle">
        now
      </text>
    </svg>
  );
}

const Legend = () => (
  <ul class="strip-legend" aria-label="what the marks mean">
    {(
      [
        ['completed', 'M0-5a5 5 0 1 1 0 10a5 5 0 1 1 0-10'],
        ['failed', 'M-5-5h10v10h-10z'],
        ['crashed', 'M0-6 6 5h-12z'],
        ['cancelled', 'M0-6 6 0 0 6-6 0z'],
        ['running', 'M-4-6 6 0-4 6z'],
      ] as const
    ).map(([name, d]) => (
      <li key={name}>
        <svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true" class={`ink-${name}`}>
          <path d={d} fill="currentColor" />
        </svg>
        {name}
      </li>
    ))}
    <li>
      <svg width="24" height="14" aria-hidden="true" class="ink-completed">
        <line class="tail" x1="2" x2="16" y1="7" y2="7" />
        <circle cx="18" cy="7" r="4" fill="currentColor" />
      </svg>
      late
    </li>
    <li>
      <svg width="18" height="14" aria-hidden="true" class="ink-failed">
        <rect class="gap" fill="url(#hatch-missed)" x="1" y="1" width="16" height="12" />
      </svg>
      missed
    </li>
    <li>
      <svg width="18" height="14" aria-hidden="true" class="ink-cancelled">
        <rect class="gap" fill="url(#hatch-skipped)" x="1" y="1" width="16" height="12" />
      </svg>
      skipped
    </li>
    <li>
      <svg width="12" height="14" aria-hidden="true">
        <circle class="next-mark" cx="6" cy="7" r="3" />
      </svg>
      to come
    </li>
  </ul>
);

function Row({ row, now, width, reload }: { row: RecurringRow; now: number; width: number; reload: () => void }) {
  const isReadOnly = useReadOnly();
  const utc = zone.use() === 'utc';
  const { job } = row;
  return (
    <li class="recurring-row" data-row>
      <div class="recurring-name">
        <a href={href(jobPath(job.id))} class="row-link" title={job.id}>
          <span class="strong">{targetText(job.target)}</span> <span class="muted">{job.namespace}</span>
        </a>
        <span class="muted">{scheduleText(job)}</span>
        <span class="recurring-state">
          <Status
            of={job.failing ? 'failing' : job.status}
            text={job.failing ? `failing ${count(job.failing.runs)}×` : job.status}
          />
        </span>
      </div>
      <div class="recurring-strip">
        {width > 0 && <Strip row={row} now={now} width={width} utc={utc} />}
        <p class="strip-text">{stripText(row, now, utc)}</p>
      </div>
      <div class="recurring-buttons">
        {quickActions(job).map((action) => (
          <button
            key={action}
            type="button"
            class="small"
            disabled={isReadOnly}
            aria-label={`${ACTS[action].label}: ${targetText(job.target)}`}
            onClick={() => actOn(job, action, reload)}
          >
            {ACTS[action].label}
          </button>
        ))}
      </div>
    </li>
  );
}

function Rows({ answer, reload }: { answer: Answer; reload: () => void }) {
  const { frame, width } = useWidth();
  // A pixel stands for minutes: it need not be drawn every second.
  const now = Math.floor(useNow() / 10_000) * 10_000;
  const utc = zone.use() === 'utc';
  return (
    <>
      <div class="recurring-axis" aria-hidden="true">
        <Legend />
        <div class="axis-frame" ref={frame}>
          {width > 0 && <Axis now={now} width={width} utc={utc} />}
        </div>
      </div>
      <ul class="recurring">
        {answer.jobs.map((row) => (
          <Row key={row.job.id} row={row} now={now} width={width} reload={reload} />
        ))}
      </ul>
    </>
  );
}

export function RecurringPage() {
  const { query } = place.use();
  const cursor = query.get('cursor') ?? undefined;
  const { recurring: _, ...conditions } = conditionsOf(query);
  const data = useData<Answer>('recurring', { ...conditions, cursor });
  useLiveReload(data.reload);
  return (
    <Page title="Recurring jobs" lead="The past 24 hours and the next">
      <Hatches />
      <FilterBar page="recurring" hides={['recurring']} />
      <Loaded data={data} skeleton={<Skeleton rows={10} />}>
        {(answer) => (
          <>
            <Panel>
              {answer.jobs.length === 0 ? (
                <Empty
                  title={[...query.keys()].length > 0 ? 'No recurring job matches' : 'There are no recurring jobs'}
                >
                  {[...query.keys()].length > 0 ? (
                    <a href={href('recurring')}>Show all of them</a>
                  ) : (
                    <>
                      A dispatch with <code>schedule: {"{ cron: '0 3 * * *' }"}</code> makes one.
                    </>
                  )}
                </Empty>
              ) : (
                <Rows answer={answer} reload={data.refresh} />
              )}
            </Panel>
            <nav class="pages" aria-label="pages">
              {cursor && (
                <button type="button" class="small" onClick={() => go(`recurring?${changed(query, {})}`)}>
                  First page
                </button>
              )}
              {answer.next && (
                <button
                  type="button"
                  class="small"
                  onClick={() => {
                    const next = new URLSearchParams(query);
                    next.set('cursor', answer.next as string);
                    go(`recurring?${next}`);
                  }}
                >
                  Next page
                </button>
              )}
            </nav>
          </>
        )}
      </Loaded>
    </Page>
  );
}
