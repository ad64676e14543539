// A question before something is changed; one at a time.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { state } from '../state';
import { Problem } from './panel';

export interface Question {
  title: string;
  /** What will happen. */
  body?: ComponentChildren;
  confirm: string;
  isDangerous?: boolean;
  /** What is asked for: names of fields, whose values `run` is given. */
  fields?: ComponentChildren;
  /** Resolves once it is done: the dialog stays until then, and shows why it failed. */
  run?: (values: Record<string, string>, tell: (done: number) => void) => Promise<void>;
  /** How many are changed, when it takes its time. */
  total?: number;
}

const question = state<Question | undefined>(undefined);

export const ask = (next: Question): void => question.set(next);

/** Whether keys belong to a dialog now. */
export const isAsking = (): boolean => document.querySelector('dialog[open]') !== null;

function Asked({ of }: { of: Question }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [done, setDone] = useState<number>();
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  const close = () => question.set(undefined);
  const confirm = async (event: Event) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
    setBusy(true);
    setProblem(undefined);
    try {
      await of.run?.(values, setDone);
      close();
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="dialog-title" onClose={close}>
      <form onSubmit={confirm}>
        <h2 id="dialog-title">{of.title}</h2>
        {of.body && <div class="dialog-body">{of.body}</div>}
        {of.fields}
        {isBusy && of.total !== undefined && (
          <progress aria-label="progress" max={of.total} {...(done !== undefined && { value: done })} />
        )}
        {problem && <Problem message={problem} />}
        <div class="dialog-buttons">
          {of.run && (
            <button type="button" onClick={() => dialog.current?.close()}>
              {of.isDangerous ? 'Keep' : 'Not now'}
            </button>
          )}
          <button
            type={of.run ? 'submit' : 'button'}
            class={of.isDangerous ? 'danger' : 'primary'}
            disabled={isBusy}
            onClick={of.run ? undefined : () => dialog.current?.close()}
          >
            {isBusy ? 'Working …' : of.confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}

export function Dialogs() {
  const asked = question.use();
  return asked ? <Asked of={asked} /> : null;
}
