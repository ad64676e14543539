// Processes that work on the store.
import { useData } from '../data';
import { useLiveReload } from '../live';
import { Empty, Loaded, Page, Panel } from '../parts/panel';
import { Status } from '../parts/status';
import { type Column, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { count, targetText } from '../text';
import type { IProcessHandler, ProcessRow } from '../types';

interface Answer {
  processes: ProcessRow[];
}

/** What a handler leaves open, it takes all of. */
const handlerText = ({ product, env, target = {} }: IProcessHandler) =>
  [targetText(target) || 'all', product && `of ${product}`, env && `in ${env}`].filter(Boolean).join(' ');

function Handlers({ of }: { of: ProcessRow }) {
  const { handlers } = of;
  if (!handlers) return <span class="muted">not known yet</span>;
  if (handlers.length === 0) return <span class="muted">none</span>;
  return (
    <details class="inline-details">
      <summary>{count(handlers.length)}</summary>
      <ul class="handlers">
        {handlers.map((handler, index) => (
          <li key={index}>
            {handlerText(handler)} <span class="muted">{handler.namespace}</span>
            {handler.concurrency !== undefined && `, at most ${count(handler.concurrency)}`}
            {handler.built_in && <span class="tag">by resources</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}

const COLUMNS: ReadonlyArray<Column<ProcessRow>> = [
  {
    name: 'Process',
    isHead: true,
    of: ({ host, pid, id, here }) => (
      <>
        <span class="strong">{host ?? 'unknown host'}</span> {pid !== undefined && <span>pid {pid}</span>}{' '}
        {here && <span class="tag">this process</span>}
        <span class="id">{id}</span>
      </>
    ),
  },
  { name: 'State', of: ({ state }) => <Status of={state} /> },
  { name: 'Version', of: ({ version }) => version ?? <span class="muted">–</span> },
  { name: 'Handlers', of: (row) => <Handlers of={row} /> },
  {
    name: 'Slots',
    isNumber: true,
    of: ({ running, slots }) => `${count(running)} / ${slots === undefined ? '?' : count(slots)}`,
  },
  { name: 'Prefetched', isNumber: true, of: ({ prefetched }) => count(prefetched) },
  { name: 'Since', of: ({ registered_at }) => <Time at={registered_at} /> },
  { name: 'Seen', of: ({ seen_at }) => <Ago at={seen_at} /> },
  { name: 'Lease ends', of: ({ lease_ends_at }) => <Ago at={lease_ends_at} /> },
];

export function ProcessesPage() {
  const data = useData<Answer>('processes');
  useLiveReload(data.reload, { always: true });
  return (
    <Page title="Processes" lead="Those that run jobs of this store">
      <Loaded data={data}>
        {({ processes }) => (
          <Panel>
            {processes.length === 0 ? (
              <Empty title="No process works on this store">
                Jobs wait until one starts: <code>await ductape.start()</code>.
              </Empty>
            ) : (
              <Table label="processes" columns={COLUMNS} rows={processes} keyOf={({ id }) => id} />
            )}
          </Panel>
        )}
      </Loaded>
    </Page>
  );
}
