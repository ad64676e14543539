// Jobs: every condition of `list`, a search, and changes of many.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { actOnMany, BULK_ACTIONS, type BulkSubject, ACTS } from '../actions';
import { useReadOnly } from '../api';
import { type Data, useData } from '../data';
import { changed, conditionsOf, filterOf } from '../filter';
import { useLiveReload } from '../live';
import { FilterBar } from '../parts/filter-bar';
import { Empty, Loaded, Page, Panel, Skeleton } from '../parts/panel';
import { Status } from '../parts/status';
import { type Column, type Selection, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { go, href, jobPath, place } from '../router';
import { count, counted, scheduleText, shortId, targetText } from '../text';
import type { JobPage, ListedJob } from '../types';

export const PAGE_SIZE = 50;

const stateOf = (job: ListedJob) => (
  <>
    <Status of={job.status} />
    {job.failing && (
      <>
        {' '}
        <Status of="failing" text={`failing ${count(job.failing.runs)}×`} />
      </>
    )}
  </>
);

const COLUMNS: ReadonlyArray<Column<ListedJob>> = [
  {
    name: 'Job',
    isHead: true,
    of: (job) => (
      <a href={href(jobPath(job.id))} class="row-link" title={job.id}>
        <span class="strong">{targetText(job.target)}</span> <span class="muted">{job.namespace}</span>
        <span class="id">{shortId(job.id)}</span>
      </a>
    ),
  },
  { name: 'State', of: stateOf },
  { name: 'Due', of: (job) => <Time at={job.next_run_at ?? job.scheduled_at} /> },
  {
    name: 'Attempt',
    isNumber: true,
    of: (job) => (job.attempt > 0 ? `${count(job.attempt)} / ${count(job.retries + 1)}` : '–'),
    isSpare: true,
  },
  {
    name: 'Schedule',
    isSpare: true,
    of: (job) =>
      job.recurring ? <span class="steady-text">{scheduleText(job)}</span> : <span class="muted">once</span>,
  },
  {
    name: 'Last error',
    isWide: true,
    of: (job) =>
      job.last_error ? (
        <span class="error-text" title={job.last_error}>
          {job.error?.code ? <code>{job.error.code}</code> : null} {job.last_error}
        </span>
      ) : (
        ''
      ),
  },
  { name: 'Created', isSpare: true, of: (job) => <Ago at={job.created_at} /> },
];

function useSelection(jobs: readonly ListedJob[], key: string) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  // Another list: what was chosen of the one before must not be changed unseen.
  useEffect(() => setChosen(new Set()), [key]);
  const selection: Selection = {
    has: (id) => chosen.has(id),
    toggle: (id) => {
      const next = new Set(chosen);
      if (!next.delete(id)) next.add(id);
      setChosen(next);
    },
    all: jobs.length > 0 && jobs.every(({ id }) => chosen.has(id)),
    toggleAll: () => setChosen(jobs.every(({ id }) => chosen.has(id)) ? new Set() : new Set(jobs.map(({ id }) => id))),
  };
  return { chosen, clear: () => setChosen(new Set()), selection };
}

function BulkBar({
  page,
  chosen,
  clear,
  query,
  after,
  children,
}: {
  page: JobPage;
  chosen: ReadonlySet<string>;
  clear: () => void;
  query: URLSearchParams;
  after: () => void;
  children?: ComponentChildren;
}) {
  const isReadOnly = useReadOnly();
  const [isAll, setAll] = useState(false);
  const [busy, setBusy] = useState<string>();
  const filter = filterOf(query);
  // A search is no condition that the store knows, and a list without conditions is every job there is.
  const canAll = !query.get('search') && Object.keys(filter).length > 0 && (page.total ?? 0) > chosen.size;
  const total = `${page.total_exact === false ? 'about ' : ''}${count(page.total ?? 0)}`;
  useEffect(() => {
    if (!canAll) setAll(false);
  }, [canAll]);
  const subject: BulkSubject = isAll ? { filter } : { ids: [...chosen] };
  const what = isAll ? 'all jobs that match the conditions of this list' : counted(chosen.size, 'selected job');
  const isNothing = !isAll && chosen.size === 0;
  return (
    <section class="bulk" aria-label="change many jobs">
      <p class="bulk-text" aria-live="polite">
        {isAll ? `All ${total} that match` : chosen.size > 0 ? `${count(chosen.size)} selected` : 'None selected'}
      </p>
      {canAll && (
        <button type="button" class="link" aria-pressed={isAll} onClick={() => setAll(!isAll)}>
          {isAll ? 'only those selected' : `all ${total} that match`}
        </button>
      )}
      <div class="bulk-buttons">
        {BULK_ACTIONS.map((action) => (
          <button
            key={action}
            type="button"
            class={`small ${ACTS[action].isDangerous ? 'danger-quiet' : ''}`}
            disabled={isReadOnly || isNothing || busy !== undefined}
            title={isReadOnly ? 'you may look, but not change anything' : undefined}
            onClick={async () => {
              setBusy(action);
              await actOnMany(action, subject, what, () => {
                setAll(false);
                clear();
                after();
              });
              setBusy(undefined);
            }}
          >
            {busy === action ? 'Counting …' : ACTS[action].label}
          </button>
        ))}
      </div>
      {children}
    </section>
  );
}

/** Shows what was there when it was asked for: rows of these jobs change, but others come only when they are asked for. */
function useSteady(data: Data<JobPage>, key: string) {
  const { value, refresh } = data;
  const [held, setHeld] = useState<{ key: string; page: JobPage }>();
  /** The answer before a change of one's own: the next one is shown as it is. */
  const before = useRef<JobPage | undefined>(undefined);
  const kept = held?.key === key ? held.page : undefined;
  const isOwnChange = before.current !== undefined && before.current !== value;
  const isSame = kept === undefined || isOwnChange || idsOf(kept) === (value && idsOf(value));
  useEffect(() => {
    if (!value || !isSame) return;
    if (isOwnChange) before.current = undefined;
    setHeld({ key, page: value });
  }, [value, isSame, isOwnChange, key]);
  return {
    page: isSame ? value : kept,
    isChanged: !isSame && value !== undefined,
    accept: () => value && setHeld({ key, page: value }),
    afterChange: () => {
      before.current = value;
      refresh();
    },
  };
}

const idsOf = ({ jobs }: JobPage) => jobs.map(({ id }) => id).join('\n');

function Pages({ page, query }: { page: JobPage; query: URLSearchParams }) {
  const goTo = (cursor: string) => {
    const next = new URLSearchParams(query);
    next.set('cursor', cursor);
    go(`jobs?${next}`);
  };
  return (
    <nav class="pages" aria-label="pages">
      {query.get('cursor') && (
        <>
          <button type="button" class="small" onClick={() => go(`jobs?${changed(query, {})}`)}>
            First page
          </button>
          <button type="button" class="small" onClick={() => window.history.back()}>
            Back
          </button>
        </>
      )}
      {page.next && (
        <button type="button" class="small" onClick={() => goTo(page.next as string)}>
          {page.cut ? 'Search on' : 'Next page'}
        </button>
      )}
    </nav>
  );
}

function totalText(page: JobPage, isSearch: boolean): string {
  if (isSearch) return `${counted(page.jobs.length, 'job')} found in ${counted(page.searched ?? 0, 'job')}`;
  if (page.total === undefined) return '';
  return `${page.total_exact === false ? 'about ' : ''}${counted(page.total, 'job')}`;
}

export function JobsPage() {
  const { query } = place.use();
  const search = query.get('search') ?? undefined;
  const cursor = query.get('cursor') ?? undefined;
  const conditions = { ...conditionsOf(query), search, cursor, limit: PAGE_SIZE };
  const data = useData<JobPage>('jobs', conditions);
  const key = query.toString();
  const { page, isChanged, accept, afterChange } = useSteady(data, key);
  // A search reads many jobs: it is not repeated by itself.
  useLiveReload(() => {
    if (!search) data.reload();
  });
  const { chosen, clear, selection } = useSelection(page?.jobs ?? [], key);
  return (
    <Page title="Jobs" lead={page ? totalText(page, search !== undefined) : '\u00a0'}>
      <FilterBar page="jobs" search="Search ids, inputs, results, errors" />
      <Loaded data={{ ...data, value: page }} skeleton={<JobsSkeleton />}>
        {(shown) => (
          <>
            {shown.cut && (
              <p class="note">
                The search ended after {counted(shown.searched ?? 0, 'job')}, so that it does not hold up the store.
                {shown.next ? ' “Search on” goes on from there; conditions make it find more.' : ''}
              </p>
            )}
            <BulkBar page={shown} chosen={chosen} clear={clear} query={query} after={afterChange}>
              {isChanged && (
                <button type="button" class="small" data-refresh onClick={accept}>
                  The list has changed: show it <kbd>r</kbd>
                </button>
              )}
            </BulkBar>
            <Panel>
              {shown.jobs.length === 0 ? (
                <NoJobs query={query} />
              ) : (
                <Table label="jobs" columns={COLUMNS} rows={shown.jobs} keyOf={({ id }) => id} selection={selection} />
              )}
            </Panel>
            <Pages page={shown} query={query} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function NoJobs({ query }: { query: URLSearchParams }) {
  if ([...query.keys()].length === 0) {
    return (
      <Empty title="There are no jobs yet">
        The first one is made by a dispatch: <code>await ductape.actions.dispatch(…)</code>.
      </Empty>
    );
  }
  return (
    <Empty title="No job matches">
      <a href={href('jobs')}>Show all jobs</a>
    </Empty>
  );
}

const JobsSkeleton = () => (
  <>
    <div class="bulk" />
    <Panel>
      <Skeleton rows={14} />
    </Panel>
  </>
);
