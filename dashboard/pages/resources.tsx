// What the program's resources define, and whether it can be reached.
import { useState } from 'preact/hooks';
import { change, useReadOnly } from '../api';
import { useData } from '../data';
import { Empty, Loaded, Page, Panel, Problem } from '../parts/panel';
import { Status } from '../parts/status';
import { type Column, Table } from '../parts/table';
import { Duration } from '../parts/time';
import { announce } from '../parts/toasts';
import { count, counted } from '../text';
import type { Resource, ResourceCheck } from '../types';

interface Answer {
  resources: Resource[];
}

const keyOf = ({ type, tag, product, env }: { type: string; tag: string; product?: string; env?: string }) =>
  [type, tag, product ?? '', env ?? ''].join('\n');

const DEFINED: ReadonlyArray<Column<Resource>> = [
  {
    name: 'Tag',
    isHead: true,
    of: ({ tag, name, description }) => (
      <>
        <span class="strong">{tag}</span> {name && <span class="muted">{name}</span>}
        {description && <span class="id">{description}</span>}
      </>
    ),
  },
  { name: 'Type', of: ({ type, kind }) => (kind ? `${type}, ${kind}` : type) },
  { name: 'Product', of: ({ product }) => product ?? <span class="muted">any</span> },
  {
    name: 'Environments',
    of: ({ envs }) =>
      envs.map((env) => (
        <span key={env} class="tag">
          {env}
        </span>
      )),
  },
];

const CHECKED: ReadonlyArray<Column<ResourceCheck>> = [
  { name: 'Tag', isHead: true, of: ({ tag }) => <span class="strong">{tag}</span> },
  { name: 'Type', of: ({ type }) => type },
  { name: 'Product, environment', of: ({ product, env }) => `${product}, ${env}` },
  { name: 'Found', of: ({ ok }) => <Status of={ok ? 'completed' : 'failed'} text={ok ? 'works' : 'cannot be used'} /> },
  { name: 'Took', isNumber: true, of: ({ duration_ms }) => <Duration ms={duration_ms} /> },
  { name: 'Attempts here', isNumber: true, of: ({ calls, failures }) => `${count(calls)}, ${count(failures)} failed` },
  {
    name: 'Why',
    isWide: true,
    of: ({ error }) =>
      error ? (
        <span class="error-text" title={error.message}>
          <code>{error.code}</code> {error.message}
        </span>
      ) : (
        ''
      ),
  },
];

export function ResourcesPage() {
  const data = useData<Answer>('resources');
  const isReadOnly = useReadOnly();
  const [checks, setChecks] = useState<ResourceCheck[]>();
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const check = async () => {
    setBusy(true);
    setProblem(undefined);
    announce('checking');
    try {
      const { resources: found } = await change<{ resources: ResourceCheck[] }>('POST', 'resources/check');
      setChecks(found);
      const bad = found.filter(({ ok }) => !ok).length;
      announce(bad === 0 ? `all ${counted(found.length, 'resource')} work` : `${count(bad)} cannot be used`);
    } catch (error) {
      setProblem((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <Page
      title="Resources"
      lead="What this process was given to work with"
      tools={
        <button
          type="button"
          class="primary"
          disabled={isReadOnly || isBusy || (data.value?.resources.length ?? 0) === 0}
          onClick={check}
        >
          {isBusy ? 'Checking …' : 'Check all'}
        </button>
      }
    >
      {problem && <Problem message={problem} />}
      <Loaded data={data}>
        {({ resources }) => (
          <Panel>
            {resources.length === 0 ? (
              <Empty title="No resources are defined">
                The option <code>resources</code> defines databases, brokers, storages, apps and more, for jobs without
                handlers.
              </Empty>
            ) : checks ? (
              <Table label="what was found" columns={CHECKED} rows={checks} keyOf={keyOf} />
            ) : (
              <Table label="resources" columns={DEFINED} rows={resources} keyOf={keyOf} />
            )}
          </Panel>
        )}
      </Loaded>
    </Page>
  );
}
