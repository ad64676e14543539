// The frame of all pages: where one can go, what is live, how things are shown.
import './styles/main.css';
import { type JSX, render } from 'preact';
import { useEffect, useErrorBoundary, useRef } from 'preact/hooks';
import { ApiError, loadSession, reachable, session } from './api';
import { listenToKeys, PAGES } from './keys';
import { connected, samples, startLive } from './live';
import { AuditPage } from './pages/audit';
import { FailuresPage } from './pages/failures';
import { JobPage } from './pages/job';
import { JobsPage } from './pages/jobs';
import { OverviewPage } from './pages/overview';
import { ProcessesPage } from './pages/processes';
import { RecurringPage } from './pages/recurring';
import { ResourcesPage } from './pages/resources';
import { TargetsPage } from './pages/targets';
import { WebhooksPage } from './pages/webhooks';
import { ask, Dialogs } from './parts/dialog';
import { Icon } from './parts/icons';
import { Empty, Page, Problem } from './parts/panel';
import { Toasts } from './parts/toasts';
import { href, place, useLinks } from './router';
import { type Theme, theme, zone } from './settings';
import { state } from './state';
import { count } from './text';

const PAGE_OF: Record<string, () => JSX.Element> = {
  '': OverviewPage,
  jobs: JobsPage,
  recurring: RecurringPage,
  targets: TargetsPage,
  processes: ProcessesPage,
  failures: FailuresPage,
  webhooks: WebhooksPage,
  resources: ResourcesPage,
  audit: AuditPage,
};

/** Why there is no session: whoever looks may have to sign in. */
const refusal = state<ApiError | undefined>(undefined);

const KEYS: ReadonlyArray<readonly [string, string]> = [
  ['/', 'search'],
  ['j, k', 'the next row, the one before'],
  ['Enter', 'open it'],
  ['x', 'select it'],
  ['r', 'show the list as it is now'],
  ['Escape', 'close, or leave a field'],
  ['?', 'these keys'],
];

const showKeys = () =>
  ask({
    title: 'Keys',
    confirm: 'Close',
    body: (
      <dl class="keys">
        {[...KEYS, ...PAGES.map(([, name, key]) => [`g ${key}`, name] as const)].map(([key, text]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((each) => (
                <kbd key={each}>{each.replace(',', '')}</kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    ),
  });

const NEXT_THEME: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_ICON: Record<Theme, string> = { system: 'system', light: 'sun', dark: 'moon' };

function Switches() {
  const chosenTheme = theme.use();
  const chosenZone = zone.use();
  const themeText = `theme: ${chosenTheme}`;
  const zoneText = `times are ${chosenZone === 'utc' ? 'UTC' : 'local'}: switch`;
  return (
    <div class="switches">
      <button
        type="button"
        class="quiet zone"
        title={zoneText}
        aria-label={zoneText}
        onClick={() => zone.set(chosenZone === 'utc' ? 'local' : 'utc')}
      >
        {chosenZone === 'utc' ? 'UTC' : 'local'}
      </button>
      <button
        type="button"
        class="quiet"
        title={themeText}
        aria-label={themeText}
        onClick={() => theme.set(NEXT_THEME[chosenTheme])}
      >
        <Icon name={THEME_ICON[chosenTheme]} />
      </button>
      <button type="button" class="quiet" title="keys (?)" aria-label="keys" onClick={showKeys}>
        <Icon name="keys" />
      </button>
    </div>
  );
}

function Live() {
  const isConnected = connected.use();
  const isReachable = reachable.use();
  const text = isConnected && isReachable ? 'live' : isReachable ? 'connecting' : 'no connection';
  return (
    <span class={`live ${isConnected && isReachable ? 'is-on' : ''}`} role="status">
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}

function Nav({ path }: { path: string }) {
  const stats = samples.use().at(-1)?.stats;
  const [current] = path.split('/');
  return (
    <nav class="nav" aria-label="pages of the dashboard">
      <ul>
        {PAGES.map(([name, text, key]) => (
          <li key={name}>
            <a href={href(name)} aria-current={name === current ? 'page' : undefined} title={`g ${key}`}>
              {text}
              {name === 'failures' && stats !== undefined && stats.failed + stats.failing > 0 && (
                <span class="badge">{count(stats.failed + stats.failing)}</span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Foot() {
  const known = session.use();
  if (!known) return null;
  return (
    <p class="foot">
      <span>{known.user ?? 'you'}</span>
      {known.read_only && <span class="tag">may look only</span>}
      <span>
        {known.store}, {known.version}
      </span>
    </p>
  );
}

/** An id of an address; one that is no text in UTF-8 is the id of no job. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Shows that drawing a page failed, in its place: the others can still be gone to. */
function Guarded({ path }: { path: string }) {
  const [error] = useErrorBoundary();
  if (!error) return <Content path={path} />;
  return (
    <Page title="This page failed">
      <Problem message={`${(error as Error).message}: this is a fault of the dashboard`} />
    </Page>
  );
}

function Content({ path }: { path: string }) {
  const refused = refusal.use();
  const known = session.use();
  const [first = '', second] = path.split('/');
  if (refused && !known) {
    const isForbidden = refused.status === 401 || refused.status === 403;
    return (
      <Page title={isForbidden ? 'Not allowed' : 'No connection'}>
        <Problem message={refused.message} retry={connect} />
      </Page>
    );
  }
  if (first === 'jobs' && second !== undefined) return <JobPage key={path} id={decoded(second)} />;
  const Shown = PAGE_OF[path];
  if (Shown) return <Shown key={path} />;
  return (
    <Page title="Not found">
      <Empty title="There is no such page">
        <a href={href('')}>Overview</a>
      </Empty>
    </Page>
  );
}

function App() {
  const { path } = place.use();
  useLinks();
  useEffect(() => listenToKeys(showKeys), []);
  // Another page is told of by its title, as after a load.
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    // Who came by `/` searches already.
    if (document.activeElement?.id === 'search') return;
    document.querySelector<HTMLElement>('#title')?.focus({ preventScroll: true });
  }, [path]);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector<HTMLElement>('#title')?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <a class="brand" href={href('')}>
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
            <rect class="brand-ground" width="32" height="32" rx="7" />
            <path class="brand-line" d="M7 9h11M7 16h18M7 23h7" />
            <circle class="brand-good" cx="22.5" cy="9" r="2.6" />
            <circle class="brand-wait" cx="19" cy="23" r="2.6" />
          </svg>
          ductape
        </a>
        <Nav path={path} />
        <div class="side">
          <Live />
          <Switches />
          <Foot />
        </div>
      </header>
      <main id="main">
        <Unreachable />
        <Guarded key={path} path={path} />
      </main>
      <Dialogs />
      <Toasts />
    </>
  );
}

/** What is shown may be old: it is over the page, so that nothing moves. */
function Unreachable() {
  const isReachable = reachable.use();
  const known = session.use();
  if (isReachable || !known) return null;
  return (
    <p class="unreachable" role="alert">
      <Icon name="warning" /> The server cannot be reached. What is shown may be old; this page goes on by itself.
    </p>
  );
}

let isLive = false;

function connect(): void {
  loadSession()
    .then(() => {
      refusal.set(undefined);
      if (!isLive) startLive();
      isLive = true;
    })
    .catch((error) => {
      refusal.set(error);
      if (error instanceof ApiError && error.status !== 0 && error.status !== 503) return;
      setTimeout(connect, 3_000);
    });
}

/** Finds out whether the server is gone once the stream is: pages that nobody changes ask for nothing. */
function probe(): void {
  if (connected.get() || !isLive) return;
  loadSession()
    .catch(() => {})
    .finally(() => setTimeout(probe, 3_000));
}
connected.subscribe((isOpen) => {
  if (!isOpen) probe();
});

connect();
const root = document.getElementById('app');
if (root) render(<App />, root);
