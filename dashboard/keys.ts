// What keys do, wherever one is.
import { isAsking } from './parts/dialog';
import { moveRow, toggleRow } from './parts/table';
import { go } from './router';

export const PAGES = [
  ['', 'Overview', 'o'],
  ['jobs', 'Jobs', 'j'],
  ['recurring', 'Recurring', 'r'],
  ['targets', 'Targets', 't'],
  ['processes', 'Processes', 'p'],
  ['failures', 'Failures', 'f'],
  ['webhooks', 'Webhooks', 'w'],
  ['resources', 'Resources', 's'],
  ['audit', 'Audit', 'a'],
] as const;

/** How long after `g` the second key may come. */
const SECOND_KEY_MS = 1_500;

let pressedG = 0;

/** Whether keys are written into something. */
function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

function search(): void {
  const field = document.querySelector<HTMLInputElement>('#search');
  if (field) {
    field.focus();
    field.select();
    return;
  }
  go('jobs');
  // The page is drawn in the next frames.
  requestAnimationFrame(() =>
    requestAnimationFrame(() => document.querySelector<HTMLInputElement>('#search')?.focus()),
  );
}

/** The address of the page that `g` and this key lead to. */
function pageOf(key: string): string | undefined {
  return PAGES.find(([, , letter]) => letter === key)?.[0];
}

export function listenToKeys(showKeys: () => void): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    if (isAsking()) return;
    if (isWriting(target)) {
      if (key === 'Escape') (target as HTMLElement).blur();
      return;
    }
    const page = Date.now() - pressedG < SECOND_KEY_MS ? pageOf(key) : undefined;
    pressedG = 0;
    if (page !== undefined) go(page);
    else if (key === 'g') pressedG = Date.now();
    else if (key === '/') search();
    else if (key === 'j') moveRow(1);
    else if (key === 'k') moveRow(-1);
    else if (key === 'x') toggleRow();
    else if (key === 'r') document.querySelector<HTMLElement>('[data-refresh]')?.click();
    else if (key === '?') showKeys();
    else if (key === 'Escape') (document.activeElement as HTMLElement | null)?.blur();
    else return;
    event.preventDefault();
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}
