// One job: what it does, what became of each attempt, why it waits, and what can be done about it.
import { useEffect, useState } from 'preact/hooks';
import { ACTS, actOn } from '../actions';
import { get, useReadOnly } from '../api';
import { useData } from '../data';
import { news, useLiveReload } from '../live';
import { AttemptsChart, runsOf, SHOWN_RUNS } from '../parts/attempts-chart';
import { CopyButton } from '../parts/copy';
import { ErrorView } from '../parts/error-view';
import { JsonView } from '../parts/json-view';
import { Empty, Fact, Loaded, Page, Panel, Problem, Skeleton } from '../parts/panel';
import { Status } from '../parts/status';
import { type Column, Table } from '../parts/table';
import { Ago, Duration, Time, useNow } from '../parts/time';
import { go, href, jobPath } from '../router';
import { count, counted, exact, routeQuery, scheduleText, targetText, withNextRun } from '../text';
import { queryText } from '../api';
import { zone } from '../settings';
import type { Attempt, IJob, IJobGap, IJobHistory, IJobLogLine, JobAction, JobDetails, Step } from '../types';

const ORDER: readonly JobAction[] = [
  'run-now',
  'retry',
  'resume',
  'pause',
  'reschedule',
  'skip-next',
  'cancel-run',
  'cancel',
  'delete',
];

function Actions({ details, after }: { details: JobDetails; after: (gone: boolean) => void }) {
  const isReadOnly = useReadOnly();
  const { job, can } = details;
  if (isReadOnly) return <p class="note">You may look, but not change anything.</p>;
  return (
    <fieldset class="buttons" aria-label="actions">
      {ORDER.filter((action) => can.includes(action)).map((action) => (
        <button
          key={action}
          type="button"
          class={ACTS[action].isDangerous ? 'danger-quiet' : ''}
          onClick={() => actOn(job, action, after)}
        >
          {ACTS[action].label}
        </button>
      ))}
    </fieldset>
  );
}

function Facts({ job }: { job: IJob }) {
  return (
    <dl class="facts">
      <Fact label="State">
        <Status of={job.status} />
        {job.failing && (
          <>
            {' '}
            <Status of="failing" text={`failing, ${counted(job.failing.runs, 'run')} in a row`} />
          </>
        )}
      </Fact>
      <Fact label={job.next_run_at === undefined ? 'Due' : 'Next run'}>
        <Time at={job.next_run_at ?? job.scheduled_at} />{' '}
        <span class="muted">
          <Ago at={job.next_run_at ?? job.scheduled_at} />
        </span>
      </Fact>
      {job.recurring && <Fact label="Schedule">{scheduleText(job)}</Fact>}
      <Fact label="Attempt">
        {job.attempt > 0
          ? `${count(job.attempt)}${job.retries > 0 ? `, ${count(job.retry_count)} of ${counted(job.retries, 'retry', 'retries')} spent` : ''}`
          : 'none yet'}
      </Fact>
      <Fact label="Runs ended">
        {count(job.execution_count)}
        {job.limit !== undefined && ` of ${count(job.limit)}`}
      </Fact>
      <Fact label="Started">
        <Time at={job.started_at} />
      </Fact>
      {job.completed_at !== undefined && (
        <Fact label="Ended">
          <Time at={job.completed_at} />{' '}
          {job.started_at !== undefined && (
            <span class="muted">
              after <Duration ms={job.completed_at - job.started_at} />
            </span>
          )}
        </Fact>
      )}
      <Fact label="Product, environment">
        {job.product}, {job.env}
      </Fact>
      <Fact label="Priority">{count(job.priority)}</Fact>
      <Fact label="Created">
        <Time at={job.created_at} />
      </Fact>
      {job.cancel_reason && <Fact label="Cancelled because">{job.cancel_reason}</Fact>}
      {job.tags.length > 0 && (
        <Fact label="Tags">
          {job.tags.map((tag) => (
            <a key={tag} class="tag" href={href(`jobs${queryText({ tag: [tag] })}`)}>
              {tag}
            </a>
          ))}
        </Fact>
      )}
    </dl>
  );
}

/** Progress that is a number of a known whole is a bar, any other value is shown as it is. */
function Progress({ value }: { value: unknown }) {
  const part =
    typeof value === 'number' && value >= 0
      ? value <= 1
        ? value
        : value <= 100
          ? value / 100
          : undefined
      : ratioOf(value);
  return (
    <div class="progress">
      {part !== undefined && <progress max={1} value={part} aria-label="progress" />}
      <JsonView value={value} label="progress" />
    </div>
  );
}

function ratioOf(value: unknown): number | undefined {
  if (value === null || typeof value !== 'object') return undefined;
  const { done, total, percent } = value as Record<string, unknown>;
  if (typeof done === 'number' && typeof total === 'number' && total > 0) return Math.min(1, Math.max(0, done / total));
  return typeof percent === 'number' ? Math.min(1, Math.max(0, percent / 100)) : undefined;
}

const ATTEMPTS: ReadonlyArray<Column<Attempt>> = [
  { name: 'Run', isHead: true, of: ({ number, attempt }) => `run ${count(number)}, attempt ${count(attempt)}` },
  { name: 'Outcome', of: ({ status }) => <Status of={status} /> },
  { name: 'Started', of: ({ started_at }) => <Time at={started_at} /> },
  { name: 'Took', isNumber: true, of: ({ duration_ms }) => <Duration ms={duration_ms} /> },
  {
    name: 'Error or result',
    isWide: true,
    of: ({ error, result, result_chars }) => {
      if (error) {
        return (
          <details class="inline-details">
            <summary class="error-text">
              <code>{error.code}</code> {error.message}
            </summary>
            <ErrorView error={error} />
          </details>
        );
      }
      if (result_chars !== undefined) return <span class="muted">a result of {count(result_chars)} characters</span>;
      if (result === undefined || result === null) return '';
      const text = JSON.stringify(result);
      if (text.length <= 60) return <code>{text}</code>;
      return (
        <details class="inline-details">
          <summary>
            <code>{text.slice(0, 60)}…</code>
          </summary>
          <JsonView value={result} label="result of the attempt" />
        </details>
      );
    },
  },
];

function Attempts({ details }: { details: JobDetails }) {
  const { job, history } = details;
  const [older, setOlder] = useState<{ executions: Attempt[]; next?: string }>();
  const [problem, setProblem] = useState<string>();
  const now = useNow();
  const executions: Attempt[] = [...history.executions];
  const oldest = executions.at(-1);
  // The newest page grows at its front while the job goes on: what was loaded before may overlap with it.
  for (const each of older?.executions ?? []) {
    if (!oldest || each.number < oldest.number || (each.number === oldest.number && each.attempt < oldest.attempt)) {
      executions.push(each);
    }
  }
  const next = older ? older.next : history.next;
  const runs = runsOf(executions, job, now);
  const more = async () => {
    try {
      const page = await get<IJobHistory>(`jobs/${encodeURIComponent(job.id)}/history`, { cursor: next });
      setOlder({
        executions: [...(older?.executions ?? []), ...page.executions],
        ...(page.next !== undefined && { next: page.next }),
      });
      setProblem(undefined);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <Panel
      title="Runs and attempts"
      aside={`${count(history.successful_executions)} completed, ${count(history.failed_executions)} failed`}
    >
      {runs.length === 0 ? (
        <Empty title="No attempt yet" />
      ) : (
        <>
          <AttemptsChart runs={runs} />
          {runs.length > SHOWN_RUNS && <p class="muted">The newest {count(SHOWN_RUNS)} runs are drawn.</p>}
          {executions.length > 0 && (
            <Table
              label="attempts, newest first"
              columns={ATTEMPTS}
              rows={executions}
              keyOf={({ number, attempt, started_at }) => `${number}.${attempt}.${started_at ?? ''}`}
            />
          )}
        </>
      )}
      {problem && <Problem message={problem} />}
      {next && (
        <button type="button" class="small" onClick={more}>
          Earlier attempts
        </button>
      )}
      <Gaps gaps={[...history.missed, ...history.skipped]} />
    </Panel>
  );
}

export const GAP_WORDS: Record<IJobGap['reason'], string> = {
  down: 'missed: no process was there in time, and a later run stands in for them',
  misfire: 'missed: no process was there in time',
  overlap: 'skipped: a run was still being done',
  paused: 'skipped: the job was paused',
  rescheduled: 'skipped: the schedule was replaced',
  except: 'skipped: dates on which it does not run',
  request: 'skipped on request',
};

function Gaps({ gaps }: { gaps: readonly IJobGap[] }) {
  if (gaps.length === 0) return null;
  return (
    <>
      <h3>Times without a run</h3>
      <ul class="gap-list">
        {[...gaps]
          .sort((a, b) => b.to - a.to)
          .slice(0, 20)
          .map((gap) => (
            <li key={`${gap.from}-${gap.reason}`}>
              <Status of="missed" text={counted(gap.count, 'time')} /> <Time at={gap.from} />
              {gap.to !== gap.from && (
                <>
                  {' '}
                  to <Time at={gap.to} />
                </>
              )}{' '}
              <span class="muted">{GAP_WORDS[gap.reason]}</span>
            </li>
          ))}
      </ul>
    </>
  );
}

function Log({ lines }: { lines: readonly IJobLogLine[] }) {
  const utc = zone.use() === 'utc';
  return (
    <section class="scrolls" aria-label="log lines">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
      <ol class="log" tabIndex={0}>
        {lines.map((line, index) => (
          <li key={`${line.at}-${index}`}>
            <span class="muted">
              {exact(line.at, utc).slice(11)} {line.run}.{line.attempt}
            </span>{' '}
            {line.message}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <ol class="steps">
      {steps.map((step, index) => (
        <li key={`${step.tag}-${index}`}>
          <Status of={step.status === 'undone' ? 'cancelled' : 'completed'} text={step.tag} />
          {step.status === 'undone' && <span class="muted"> undone</span>}
          {step.result !== undefined && step.result !== null && (
            <details class="inline-details">
              <summary>result</summary>
              <JsonView value={step.result} label={`result of ${step.tag}`} />
            </details>
          )}
        </li>
      ))}
    </ol>
  );
}

const Value = ({ title, value }: { title: string; value: unknown }) => (
  <Panel title={title}>
    {value === undefined || value === null ? (
      <p class="muted">none</p>
    ) : (
      <JsonView value={value} label={title.toLowerCase()} />
    )}
  </Panel>
);

function Details({ details, after }: { details: JobDetails; after: (gone: boolean) => void }) {
  const { job, explanation, logs, next, steps } = details;
  const times = withNextRun(next, job);
  return (
    <>
      <Actions details={details} after={after} />
      <Panel title="Explanation" class="explanation">
        <ul>
          {explanation.reasons.map(({ code, message }) => (
            <li key={code}>
              <span>{message}</span> <code class="muted">{code}</code>
            </li>
          ))}
        </ul>
      </Panel>
      <Panel title="Job">
        <Facts job={job} />
        <p class="links">
          <a href={href(`jobs${queryText(routeQuery(job))}`)}>All jobs of this target</a>
        </p>
      </Panel>
      {job.progress !== undefined && job.progress !== null && (
        <Panel title="Progress">
          <Progress value={job.progress} />
        </Panel>
      )}
      {job.error && job.status !== 'completed' && (
        <Panel title={job.status === 'failed' ? 'Error' : 'Error of the last failed attempt'}>
          <ErrorView error={job.error} />
        </Panel>
      )}
      <Attempts details={details} />
      <div class="columns even">
        <Value title="Input" value={job.input} />
        <Value title="Result" value={job.result} />
      </div>
      {steps.length > 0 && (
        <Panel title="Steps" aside={counted(steps.length, 'step')}>
          <Steps steps={steps} />
        </Panel>
      )}
      {job.recurring && (
        <Panel title="Next times">
          {times.length === 0 ? (
            <p class="muted">No run is to come.</p>
          ) : (
            <ol class="times">
              {times.slice(0, 5).map((at) => (
                <li key={at}>
                  <Time at={at} />{' '}
                  <span class="muted">
                    <Ago at={at} />
                  </span>
                </li>
              ))}
            </ol>
          )}
        </Panel>
      )}
      <Panel title="Log" aside={logs.length > 0 ? counted(logs.length, 'line') : undefined}>
        {logs.length === 0 ? <p class="muted">Nothing was logged.</p> : <Log lines={logs} />}
      </Panel>
    </>
  );
}

export function JobPage({ id }: { id: string }) {
  const data = useData<JobDetails>(`jobs/${encodeURIComponent(id)}`);
  const { reload } = data;
  // A running job reports progress without a change of any count.
  useLiveReload(reload, { always: data.value?.job.status === 'running' });
  useEffect(
    () =>
      news.subscribe((event) => {
        if ((event?.job?.id ?? event?.id) === id) reload();
      }),
    [id, reload],
  );
  const job = data.value?.job;
  const after = (gone: boolean) => {
    if (gone) go('jobs');
    else data.refresh();
  };
  return (
    <Page
      title={job ? targetText(job.target) : 'Job'}
      lead={
        <>
          {job ? `${job.namespace}, ` : ''}
          <code class="id-text">{id}</code> <CopyButton label="copy the id" text={() => id} />
        </>
      }
    >
      {data.error?.status === 404 ? (
        <Empty title="There is no such job">
          It may have been deleted, or its retention has ended. <a href={href('jobs')}>All jobs</a>
        </Empty>
      ) : (
        <Loaded data={data} skeleton={<JobSkeleton />}>
          {(details) => <Details key={jobPath(id)} details={details} after={after} />}
        </Loaded>
      )}
    </Page>
  );
}

const JobSkeleton = () => (
  <>
    <Skeleton height={34} />
    <Skeleton height={90} />
    <Skeleton height={160} />
    <Skeleton height={220} />
  </>
);
