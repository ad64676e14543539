// What has just happened, with a way back where there is one; and what screen readers are told.
import { useEffect } from 'preact/hooks';
import { state } from '../state';
import { Icon } from './icons';

export interface Toast {
  id: number;
  text: string;
  isProblem?: boolean;
  undo?: { label: string; run: () => void };
}

const toasts = state<readonly Toast[]>([]);
const spoken = state('');
let lastId = 0;

const SHOWN_MS = 6_000;
/** There is time to think before it is too late to undo. */
const SHOWN_WITH_UNDO_MS = 15_000;

/** Says something to screen readers. */
export function announce(text: string): void {
  // The same text twice is two messages.
  spoken.set(spoken.get() === text ? `${text}\u00a0` : text);
}

export function dismiss(id: number): void {
  toasts.set(toasts.get().filter((each) => each.id !== id));
}

export function toast(content: Omit<Toast, 'id'>): void {
  lastId += 1;
  toasts.set([...toasts.get().slice(-3), { ...content, id: lastId }]);
  announce(content.undo ? `${content.text}. ${content.undo.label} is possible` : content.text);
}

function ToastLine({ toast: { id, text, isProblem, undo } }: { toast: Toast }) {
  useEffect(() => {
    if (isProblem) return undefined;
    const timer = setTimeout(() => dismiss(id), undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
    return () => clearTimeout(timer);
  }, [id, isProblem, undo]);
  return (
    <li class={`toast ${isProblem ? 'is-problem' : ''}`}>
      <Icon name={isProblem ? 'warning' : 'completed'} />
      <span>{text}</span>
      {undo && (
        <button
          type="button"
          class="small"
          onClick={() => {
            dismiss(id);
            undo.run();
          }}
        >
          {undo.label}
        </button>
      )}
      <button type="button" class="quiet" aria-label="dismiss" onClick={() => dismiss(id)}>
        <Icon name="close" />
      </button>
    </li>
  );
}

export function Toasts() {
  const shown = toasts.use();
  const text = spoken.use();
  return (
    <>
      <div class="hidden" role="status" aria-live="polite">
        {text}
      </div>
      {shown.length > 0 && (
        <section class="toasts" aria-label="what has just happened">
          <ul>
            {shown.map((each) => (
              <ToastLine key={each.id} toast={each} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
