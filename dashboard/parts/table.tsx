// A table, which on a phone is a list of cards. Rows are walked through with j and k.
import type { ComponentChildren, JSX } from 'preact';

export interface Column<Row> {
  name: string;
  of: (row: Row) => ComponentChildren;
  isNumber?: boolean;
  /** Cut to what fits, instead of broken into lines. */
  isWide?: boolean;
  /** Left out of cards. */
  isSpare?: boolean;
  /** The head of a card: without its name. */
  isHead?: boolean;
}

export interface Selection {
  has: (key: string) => boolean;
  toggle: (key: string) => void;
  all: boolean;
  toggleAll: () => void;
}

export function Table<Row>({
  label,
  columns,
  rows,
  keyOf,
  selection,
  nameOf = keyOf,
}: {
  label: string;
  columns: ReadonlyArray<Column<Row>>;
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  selection?: Selection;
  nameOf?: (row: Row) => string;
}): JSX.Element {
  return (
    <div class="table-frame">
      <table class="table">
        <caption class="hidden">{label}</caption>
        <thead>
          <tr>
            {selection && (
              <th class="check" scope="col">
                <input
                  type="checkbox"
                  aria-label="select all on this page"
                  checked={selection.all}
                  onChange={selection.toggleAll}
                />
              </th>
            )}
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" class={isNumber ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row);
            return (
              <tr key={key} data-row class={selection?.has(key) ? 'selected' : undefined}>
                {selection && (
                  <td class="check">
                    <input
                      type="checkbox"
                      aria-label={`select ${nameOf(row)}`}
                      checked={selection.has(key)}
                      onChange={() => selection.toggle(key)}
                    />
                  </td>
                )}
                {columns.map((column) => (
                  <td
                    key={column.name}
                    data-label={column.isHead ? undefined : column.name}
                    class={[
                      column.isNumber && 'number',
                      column.isWide && 'wide',
                      column.isSpare && 'spare',
                      column.isHead && 'head',
                    ]
                      .filter(Boolean)
                      .join(' ')}
                  >
                    {column.of(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Moves the focus to the row after the one that has it, or before. */
export function moveRow(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at === -1 ? (step === 1 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  const goal = next?.querySelector<HTMLElement>('a, button, summary') ?? next?.querySelector<HTMLElement>('input');
  goal?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

/** Selects the row that has the focus, or takes it out. */
export function toggleRow(): void {
  document.activeElement
    ?.closest('[data-row]')
    ?.querySelector<HTMLInputElement>('.check input:not([disabled])')
    ?.click();
}
