// A value as it is, folded. Everything is text: nothing of a job is ever read as markup.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { counted } from '../text';
import { CopyButton } from './copy';

/** How many members are shown at once. */
const SHOWN = 100;
/** How much of a text. */
const SHOWN_TEXT = 2_000;

function Text({ value }: { value: string }) {
  const [isWhole, setWhole] = useState(false);
  if (value.length <= SHOWN_TEXT || isWhole) return <span class="json-text">{JSON.stringify(value)}</span>;
  return (
    <span class="json-text">
      {JSON.stringify(value.slice(0, SHOWN_TEXT))}
      <button type="button" class="link" onClick={() => setWhole(true)}>
        … all {counted(value.length, 'character')}
      </button>
    </span>
  );
}

function Members({ entries, depth, isList }: { entries: Array<[string, unknown]>; depth: number; isList: boolean }) {
  const [shown, setShown] = useState(SHOWN);
  return (
    <ul class="json-members">
      {entries.slice(0, shown).map(([name, value]) => (
        <li key={name}>
          <Value value={value} name={name} isIndex={isList} depth={depth} />
        </li>
      ))}
      {entries.length > shown && (
        <li>
          <button type="button" class="link" onClick={() => setShown(shown + 10 * SHOWN)}>
            {counted(entries.length - shown, 'more')}
          </button>
        </li>
      )}
    </ul>
  );
}

function Value({ value, name, isIndex, depth }: { value: unknown; name?: string; isIndex?: boolean; depth: number }) {
  const label = name !== undefined && (
    <>
      <span class={isIndex ? 'json-index' : 'json-name'}>{isIndex ? name : JSON.stringify(name)}</span>
      <span class="json-mark">: </span>
    </>
  );
  if (value === null || typeof value !== 'object') {
    return (
      <span class="json-line">
        {label}
        {typeof value === 'string' ? <Text value={value} /> : <span class="json-plain">{String(value)}</span>}
      </span>
    );
  }
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  const brackets = isList ? '[]' : '{}';
  if (entries.length === 0) {
    return (
      <span class="json-line">
        {label}
        <span class="json-mark">{brackets}</span>
      </span>
    );
  }
  return (
    <Fold
      isOpen={depth < 2 && entries.length <= SHOWN}
      head={
        <>
          {label}
          <span class="json-mark">{brackets[0]}</span>
          <span class="json-count">{counted(entries.length, isList ? 'item' : 'field')}</span>
          <span class="json-mark">{brackets[1]}</span>
        </>
      }
    >
      <Members entries={entries} depth={depth + 1} isList={isList} />
    </Fold>
  );
}

/** What is folded is not there before it is opened: a large value costs what is seen of it. */
function Fold({
  isOpen: isOpenFirst,
  head,
  children,
}: {
  isOpen: boolean;
  head: ComponentChildren;
  children: ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(isOpenFirst);
  return (
    <details class="json-fold" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{head}</summary>
      {isOpen && children}
    </details>
  );
}

export function JsonView({ value, label }: { value: unknown; label: string }) {
  return (
    <div class="json">
      <CopyButton label={`copy ${label}`} text={() => JSON.stringify(value, null, 2) ?? ''} />
      <Value value={value} depth={0} />
    </div>
  );
}
