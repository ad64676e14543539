// Failures that have the same target and code, with a way to try them all again.
import { useState } from 'preact/hooks';
import { actOnMany, failuresOf } from '../actions';
import { queryText, useReadOnly } from '../api';
import { useData } from '../data';
import { useLiveReload } from '../live';
import { Empty, Loaded, Page, Panel } from '../parts/panel';
import { RangeChoice, useRange } from '../parts/range';
import { type Column, Table } from '../parts/table';
import { Ago } from '../parts/time';
import { toast } from '../parts/toasts';
import { href, jobPath } from '../router';
import { count, counted, routeKey, routeQuery, targetText } from '../text';
import type { FailureGroup } from '../types';

interface Answer {
  groups: FailureGroup[];
  cut?: boolean;
}

/** The jobs of a group, as far as a list can say it: it knows no codes. */
const listOf = (group: FailureGroup) =>
  queryText({ ...routeQuery(group), ...(group.recurring ? { failing: 'true' } : { status: ['failed'] }) });

function RetryAll({ group, after }: { group: FailureGroup; after: () => void }) {
  const isReadOnly = useReadOnly();
  const [seen, setSeen] = useState<number>();
  const name = targetText(group.target);
  const retry = async () => {
    setSeen(0);
    try {
      const subject = await failuresOf(group, setSeen);
      await actOnMany('retry', subject, `jobs of ${name} that failed with ${group.code}, whenever that was`, after);
    } catch (error) {
      toast({ text: (error as Error).message, isProblem: true });
    }
    setSeen(undefined);
  };
  return (
    <button
      type="button"
      class="small steady"
      disabled={isReadOnly || seen !== undefined}
      aria-label={`retry all ${group.code} of ${name}`}
      onClick={retry}
    >
      {seen === undefined ? 'Retry all' : `${count(seen)} …`}
    </button>
  );
}

function columnsOf(reload: () => void, isCut: boolean): ReadonlyArray<Column<FailureGroup>> {
  return [
    {
      name: 'Target',
      isHead: true,
      of: (group) => (
        <a href={href(`jobs${listOf(group)}`)} class="row-link">
          <span class="strong">{targetText(group.target)}</span> <span class="muted">{group.namespace}</span>
          <span class="id">
            {group.product}, {group.env}
            {group.recurring && ', recurring'}
          </span>
        </a>
      ),
    },
    { name: 'Code', of: ({ code }) => <code class="error-code">{code}</code> },
    { name: 'Jobs', isNumber: true, of: (group) => `${count(group.count)}${isCut ? ' or more' : ''}` },
    { name: 'Last', of: ({ last_at }) => <Ago at={last_at} /> },
    {
      name: 'The newest says',
      isWide: true,
      of: ({ sample }) =>
        sample && (
          <a href={href(jobPath(sample.id))} class="error-text" title={sample.message}>
            {sample.message || sample.id}
          </a>
        ),
    },
    {
      name: 'Change',
      of: (group) => <RetryAll group={group} after={reload} />,
    },
  ];
}

export function FailuresPage() {
  const range = useRange('24h');
  const data = useData<Answer>('failures', { range });
  useLiveReload(data.reload);
  return (
    <Page
      title="Failures"
      lead="Jobs that failed for good, and recurring ones whose runs fail, by target and code"
      tools={<RangeChoice page="failures" range={range} />}
    >
      <Loaded data={data}>
        {({ groups, cut }) => (
          <Panel
            title="Groups"
            aside={`${counted(groups.length, 'group')}, ${counted(
              groups.reduce((all, group) => all + group.count, 0),
              'job',
            )}${cut ? ', the newest ones only: there are more' : ''}`}
          >
            {groups.length === 0 ? (
              <Empty title="Nothing failed">
                No failure of this span is kept. <a href={href('jobs?status=failed')}>All failed jobs</a>
              </Empty>
            ) : (
              <Table
                label="failures by target and code"
                columns={columnsOf(data.refresh, cut === true)}
                rows={groups}
                keyOf={(group) => `${routeKey(group)} ${group.code} ${group.recurring}`}
              />
            )}
          </Panel>
        )}
      </Loaded>
    </Page>
  );
}
