import { useState } from 'preact/hooks';
import { Icon } from './icons';
import { announce } from './toasts';

/** Also where the browser has no clipboard, as after plain HTTP from another machine. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'hidden';
    document.body.append(field);
    field.select();
    const isDone = document.execCommand('copy');
    field.remove();
    return isDone;
  }
}

export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text()))) {
      announce('it could not be copied');
      return;
    }
    announce('copied');
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <button type="button" class="quiet copy" aria-label={label} title={label} onClick={copy}>
      <Icon name={isDone ? 'completed' : 'copy'} />
    </button>
  );
}
