// Who changed what.
import { useState } from 'preact/hooks';
import { get } from '../api';
import { useData } from '../data';
import { useLiveReload } from '../live';
import { JsonView } from '../parts/json-view';
import { Empty, Loaded, Page, Panel, Problem } from '../parts/panel';
import { type Column, Table } from '../parts/table';
import { Time } from '../parts/time';
import { href, jobPath } from '../router';
import type { AuditEntry } from '../types';

interface Answer {
  entries: AuditEntry[];
  next?: string;
}

function Detail({ detail }: { detail: unknown }) {
  if (detail === null || detail === undefined) return <span class="muted">–</span>;
  const { id, ...rest } = detail as Record<string, unknown>;
  const isJob = typeof id === 'string';
  const others = isJob ? rest : detail;
  return (
    <>
      {isJob && (
        <a href={href(jobPath(id))} class="id-text">
          {id}
        </a>
      )}
      {Object.keys(others as object).length > 0 && <JsonView value={others} label="detail" />}
    </>
  );
}

const COLUMNS: ReadonlyArray<Column<AuditEntry>> = [
  { name: 'When', of: ({ at }) => <Time at={at} /> },
  { name: 'Who', isHead: true, of: ({ who }) => <span class="strong">{who ?? 'unknown'}</span> },
  { name: 'What', of: ({ action }) => <code>{action}</code> },
  { name: 'Detail', of: ({ detail }) => <Detail detail={detail} /> },
];

export function AuditPage() {
  const data = useData<Answer>('audit');
  useLiveReload(data.reload);
  const [older, setOlder] = useState<Answer>();
  const [problem, setProblem] = useState<string>();
  const more = async (cursor: string) => {
    try {
      const page = await get<Answer>('audit', { cursor });
      setOlder({ entries: [...(older?.entries ?? []), ...page.entries], ...(page.next && { next: page.next }) });
      setProblem(undefined);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <Page title="Audit" lead="Changes made here, the newest first">
      <Loaded data={data}>
        {({ entries, next }) => {
          const oldest = entries.at(-1)?.at ?? 0;
          const rows = [...entries, ...(older?.entries ?? []).filter(({ at }) => at < oldest)];
          const cursor = older ? older.next : next;
          return (
            <>
              <Panel>
                {rows.length === 0 ? (
                  <Empty title="Nothing was changed yet">
                    Every change made on this dashboard is written down here.
                  </Empty>
                ) : (
                  <Table
                    label="changes"
                    columns={COLUMNS}
                    rows={rows.map((row, index) => ({ ...row, index }))}
                    keyOf={({ at, action, who }) => `${at} ${action} ${who}`}
                  />
                )}
              </Panel>
              {problem && <Problem message={problem} />}
              {cursor && (
                <button type="button" class="small" onClick={() => more(cursor)}>
                  Earlier changes
                </button>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
