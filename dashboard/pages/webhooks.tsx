// Webhooks, and how their deliveries go.
import { change, useReadOnly } from '../api';
import { useData } from '../data';
import { useLiveReload } from '../live';
import { ask } from '../parts/dialog';
import { Empty, Loaded, Page, Panel } from '../parts/panel';
import { Status } from '../parts/status';
import { type Column, Table } from '../parts/table';
import { Ago } from '../parts/time';
import { toast } from '../parts/toasts';
import { count } from '../text';
import type { Webhook } from '../types';

interface Answer {
  webhooks: Webhook[];
}

function stateOf({ status, last_failed_at = 0, last_delivered_at = 0 }: Webhook) {
  if (status === 'disabled') return <Status of="cancelled" text="disabled" />;
  if (last_failed_at > last_delivered_at) return <Status of="failing" />;
  return <Status of="completed" text={last_delivered_at > 0 ? 'delivers' : 'enabled'} />;
}

function remove(webhook: Webhook, after: () => void): void {
  ask({
    title: 'Delete the webhook',
    body: (
      <>
        <p>
          <code>{webhook.url}</code> is told of nothing more, and deliveries that wait are dropped. This cannot be
          undone here: its secret is not known to this page.
        </p>
      </>
    ),
    confirm: 'Delete',
    isDangerous: true,
    run: async () => {
      await change('DELETE', `webhooks/${encodeURIComponent(webhook.id)}`);
      toast({ text: `The webhook ${webhook.url} is deleted` });
      after();
    },
  });
}

function columnsOf(isReadOnly: boolean, reload: () => void): ReadonlyArray<Column<Webhook>> {
  return [
    {
      name: 'URL',
      isHead: true,
      isWide: true,
      of: ({ url }) => (
        <span class="strong" title={url}>
          {url}
        </span>
      ),
    },
    { name: 'State', of: stateOf },
    {
      name: 'Events',
      of: ({ events }) =>
        events.map((each) => (
          <span key={each} class="tag">
            {each}
          </span>
        )),
    },
    { name: 'Given up', isNumber: true, of: ({ failed_count }) => count(failed_count) },
    { name: 'Delivered', of: ({ last_delivered_at }) => <Ago at={last_delivered_at} /> },
    {
      name: 'Last failure',
      isWide: true,
      of: ({ last_failed_at, last_error }) =>
        last_failed_at === undefined ? (
          ''
        ) : (
          <span title={last_error}>
            <Ago at={last_failed_at} /> <span class="error-text">{last_error}</span>
          </span>
        ),
    },
    {
      name: 'Change',
      of: (webhook) => (
        <button
          type="button"
          class="small danger-quiet"
          disabled={isReadOnly}
          aria-label={`delete ${webhook.url}`}
          onClick={() => remove(webhook, reload)}
        >
          Delete
        </button>
      ),
    },
  ];
}

export function WebhooksPage() {
  const data = useData<Answer>('webhooks');
  useLiveReload(data.reload);
  const isReadOnly = useReadOnly();
  return (
    <Page title="Webhooks" lead="Where events of jobs are delivered">
      <Loaded data={data}>
        {({ webhooks }) => (
          <Panel>
            {webhooks.length === 0 ? (
              <Empty title="There are no webhooks">
                <code>await ductape.jobs.setWebhook({'{ url, events, secret }'})</code> makes one.
              </Empty>
            ) : (
              <Table
                label="webhooks"
                columns={columnsOf(isReadOnly, data.refresh)}
                rows={webhooks}
                keyOf={({ id }) => id}
              />
            )}
          </Panel>
        )}
      </Loaded>
    </Page>
  );
}
