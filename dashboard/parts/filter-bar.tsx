// The conditions of a list, each kept in the address bar.
import { useEffect, useState } from 'preact/hooks';
import { changed, NAMESPACES, STATES, TARGET_FIELDS } from '../filter';
import { go, place } from '../router';
import { zone } from '../settings';
import { inputMoment, momentOfInput } from '../text';
import { Icon } from './icons';

type Change = (values: Record<string, string | readonly string[] | undefined>) => void;

/** A text that counts once it is complete: with Enter, or when the focus goes on. */
function TextField({
  label,
  value,
  onChange,
  ...rest
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  [attribute: string]: unknown;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const commit = () => {
    if (text.trim() !== value) onChange(text.trim());
  };
  return (
    <label class="field">
      <span>{label}</span>
      <input
        autocomplete="off"
        spellcheck={false}
        {...rest}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit();
        }}
      />
    </label>
  );
}

function SelectField({
  label,
  value,
  choices,
  onChange,
}: {
  label: string;
  value: string;
  choices: ReadonlyArray<readonly [string, string]>;
  onChange: (value: string) => void;
}) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {choices.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

export function SearchField({ label, onChange }: { label: string; onChange: Change }) {
  const value = place.use().query.get('search') ?? '';
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form
      class="search"
      aria-label={label}
      onSubmit={(event) => {
        event.preventDefault();
        onChange({ search: text.trim() });
      }}
    >
      <Icon name="search" />
      <input
        id="search"
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        maxLength={200}
        onInput={(event) => {
          const next = event.currentTarget.value;
          setText(next);
          // The cross of the field.
          if (next === '' && value !== '') onChange({ search: '' });
        }}
      />
      <kbd>/</kbd>
    </form>
  );
}

const YES_NO = [
  ['', 'any'],
  ['true', 'yes'],
  ['false', 'no'],
] as const;

const MORE = ['product', 'env', 'tag', 'from', 'to', 'failing', 'last_run', 'recurring', 'namespace'];

/** How many conditions are behind "more". */
function hiddenConditions(query: URLSearchParams): number {
  const names = new Set([...query.keys()].filter((name) => query.get(name)));
  return [...names].filter((name) => MORE.includes(name) || name.startsWith('target.')).length;
}

function TargetFields({ query, change }: { query: URLSearchParams; change: Change }) {
  const given = TARGET_FIELDS.find((field) => query.get(`target.${field}`));
  const [field, setField] = useState<string>(given ?? 'tag');
  const shown = given ?? field;
  const others = TARGET_FIELDS.filter((each) => each !== shown && query.get(`target.${each}`));
  const set = (name: string, value: string) => change({ [`target.${shown}`]: undefined, [`target.${name}`]: value });
  return (
    <>
      <SelectField
        label="Target field"
        value={shown}
        choices={TARGET_FIELDS.map((each) => [each, each] as const)}
        onChange={(next) => {
          setField(next);
          const value = query.get(`target.${shown}`);
          if (value) set(next, value);
        }}
      />
      <TextField label="is" value={query.get(`target.${shown}`) ?? ''} onChange={(value) => set(shown, value)} />
      {others.map((each) => (
        <TextField
          key={each}
          label={`and ${each} is`}
          value={query.get(`target.${each}`) ?? ''}
          onChange={(value) => change({ [`target.${each}`]: value })}
        />
      ))}
    </>
  );
}

/** `page`: the path whose query it is. `hides`: what the page has decided itself. */
export function FilterBar({ page, hides = [], search }: { page: string; hides?: readonly string[]; search?: string }) {
  const { query } = place.use();
  const utc = zone.use() === 'utc';
  const change: Change = (values) => {
    const next = changed(query, values);
    go(next ? `${page}?${next}` : page);
  };
  const states = query.getAll('status');
  const more = hiddenConditions(query);
  const text = (name: string) => query.get(name) ?? '';
  const timeField = (name: string, label: string) => (
    <label class="field">
      <span>
        {label} ({utc ? 'UTC' : 'local'})
      </span>
      <input
        type="datetime-local"
        value={/^\d+$/.test(text(name)) ? inputMoment(Number(text(name)), utc) : text(name).slice(0, 16)}
        onChange={(event) => {
          const at = momentOfInput(event.currentTarget.value, utc);
          change({ [name]: at === undefined ? '' : String(at) });
        }}
      />
    </label>
  );
  return (
    <div class="filters">
      <div class="filter-line">
        {search && <SearchField label={search} onChange={change} />}
        <fieldset class="chips">
          <legend class="hidden">state</legend>
          {STATES.map((state) => (
            <button
              key={state}
              type="button"
              class={`chip is-${state}`}
              aria-pressed={states.includes(state)}
              onClick={() =>
                change({
                  status: states.includes(state) ? states.filter((each) => each !== state) : [...states, state],
                })
              }
            >
              <Icon name={state} />
              {state}
            </button>
          ))}
        </fieldset>
        {more + states.length > 0 && (
          <button type="button" class="link" onClick={() => go(page)}>
            clear all
          </button>
        )}
      </div>
      <details class="more" open={more > 0}>
        <summary>More conditions{more > 0 ? ` (${more})` : ''}</summary>
        <div class="fields">
          <SelectField
            label="Namespace"
            value={text('namespace')}
            choices={[['', 'any'], ...NAMESPACES.map((each) => [each, each] as const)]}
            onChange={(namespace) => change({ namespace })}
          />
          <TargetFields query={query} change={change} />
          <TextField label="Product" value={text('product')} onChange={(product) => change({ product })} />
          <TextField label="Environment" value={text('env')} onChange={(env) => change({ env })} />
          <TextField
            label="Tags (all of them, with commas)"
            value={query.getAll('tag').join(', ')}
            onChange={(tags) =>
              change({
                tag: tags
                  .split(',')
                  .map((each) => each.trim())
                  .filter(Boolean),
              })
            }
          />
          {!hides.includes('recurring') && (
            <SelectField
              label="Recurring"
              value={text('recurring')}
              choices={YES_NO}
              onChange={(recurring) => change({ recurring })}
            />
          )}
          <SelectField
            label="Recurring, failing"
            value={text('failing')}
            choices={YES_NO}
            onChange={(failing) => change({ failing })}
          />
          <SelectField
            label="Recurring, last run"
            value={text('last_run')}
            choices={[
              ['', 'any'],
              ['completed', 'completed'],
              ['failed', 'failed'],
              ['cancelled', 'cancelled'],
            ]}
            onChange={(last_run) => change({ last_run })}
          />
          {timeField('from', 'Created from')}
          {timeField('to', 'Created to')}
        </div>
      </details>
    </div>
  );
}
