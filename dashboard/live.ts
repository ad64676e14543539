// The stream of events, once for all tabs of a browser: the tab that holds the lock reads it and tells the others.
import { useEffect, useRef } from 'preact/hooks';
import { BASE, setClock } from './api';
import { state } from './state';
import type { Sample } from './types';

type Message = { kind: 'sample'; sample: Sample } | { kind: 'job'; event: JobNews } | { kind: 'open'; open: boolean };

/** What happened to a job in the server's process. */
export interface JobNews {
  event: string;
  job?: { id?: string };
  id?: string;
}

/** How many samples are kept: ten minutes of them. */
const KEPT_SAMPLES = 300;

export const connected = state(false);
export const samples = state<readonly Sample[]>([]);
export const news = state<JobNews | undefined>(undefined);

function receive(message: Message): void {
  if (message.kind === 'open') connected.set(message.open);
  else if (message.kind === 'job') news.set({ ...message.event });
  else {
    connected.set(true);
    setClock(message.sample.at);
    samples.set([...samples.get().slice(1 - KEPT_SAMPLES), message.sample]);
  }
}

/** So long a stream may be away before that is shown, ms. */
const LOST_AFTER_MS = 1_500;

/** Reads the stream until the page goes away. The browser connects again by itself, but not after an answer that is no stream. */
function read(tell: (message: Message) => void): void {
  const source = new EventSource(`${BASE}api/live`);
  let lost: ReturnType<typeof setTimeout> | undefined;
  source.onopen = () => {
    clearTimeout(lost);
    lost = undefined;
    tell({ kind: 'open', open: true });
  };
  source.onerror = () => {
    // The server ends each stream after a minute, and it is back at once.
    lost ??= setTimeout(() => tell({ kind: 'open', open: false }), LOST_AFTER_MS);
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(() => read(tell), 5_000);
    }
  };
  source.addEventListener('sample', (event) => tell({ kind: 'sample', sample: JSON.parse(event.data) }));
  source.addEventListener('job', (event) => tell({ kind: 'job', event: JSON.parse(event.data) }));
}

export function startLive(): void {
  if (!navigator.locks || typeof BroadcastChannel === 'undefined') {
    // A page that came by plain HTTP from another machine has no locks: it has a stream of its own.
    read(receive);
    return;
  }
  const name = `ductape-live:${BASE}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event: MessageEvent<Message>) => receive(event.data);
  void navigator.locks.request(name, () => {
    read((message) => {
      receive(message);
      channel.postMessage(message);
    });
    // Held as long as the tab is there.
    return new Promise<never>(() => {});
  });
}

const fingerprint = (sample: Sample | undefined): string => (sample ? JSON.stringify(sample.stats) : '');

/**
 * Calls `reload` when jobs have changed, at most every 2 seconds, and not while nobody sees the page; once more after the last change,
 * since the server may answer with what it has looked up for another browser a moment before.
 */
export function useLiveReload(reload: () => void, { always = false } = {}): void {
  const latest = useRef(reload);
  latest.current = reload;
  useEffect(() => {
    let seen = fingerprint(samples.get().at(-1));
    let missed = false;
    let isLate = false;
    const look = () => {
      const now = fingerprint(samples.get().at(-1));
      const isChanged = now !== seen && seen !== '';
      seen = now;
      if (!isChanged && !isLate && !always) return;
      isLate = isChanged;
      if (document.hidden) missed = true;
      else latest.current();
    };
    const onVisible = () => {
      if (document.hidden || !missed) return;
      missed = false;
      latest.current();
    };
    const stop = samples.subscribe(look);
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      stop();
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [always]);
}
