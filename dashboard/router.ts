// Which page is shown: the path and the query of the address bar, below BASE.
import { useEffect } from 'preact/hooks';
import { BASE } from './api';
import { state } from './state';

export interface Place {
  /** As in `jobs/ID`, without a slash in front. */
  path: string;
  query: URLSearchParams;
}

function currentPlace(): Place {
  const { pathname, search } = window.location;
  const path = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : '';
  return { path: path.replace(/\/+$/, ''), query: new URLSearchParams(search) };
}

export const place = state<Place>(currentPlace());

window.addEventListener('popstate', () => place.set(currentPlace()));

/** Goes to a path below BASE, such as `jobs?status=failed`. */
export function go(to: string, { replace = false } = {}): void {
  const url = BASE + to;
  if (replace) window.history.replaceState(null, '', url);
  else window.history.pushState(null, '', url);
  place.set(currentPlace());
  if (!replace) window.scrollTo(0, 0);
}

/** Takes clicks on links below BASE; whatever opens a new tab is left to the browser. */
export function useLinks(): void {
  useEffect(() => {
    const onClick = (event: MouseEvent) => {
      if (event.defaultPrevented || event.button !== 0) return;
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      const link = (event.target as Element).closest?.('a');
      if (!link || link.target || link.hasAttribute('download') || link.origin !== window.location.origin) return;
      if (!link.pathname.startsWith(BASE) || link.getAttribute('href')?.startsWith('#')) return;
      event.preventDefault();
      go(link.pathname.slice(BASE.length) + link.search);
    };
    document.addEventListener('click', onClick);
    return () => document.removeEventListener('click', onClick);
  }, []);
}

/** Where a link to a path below BASE points. */
export const href = (to: string): string => BASE + to;

export const jobPath = (id: string): string => `jobs/${encodeURIComponent(id)}`;
