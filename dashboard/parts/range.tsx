// The span of time of a page, in the address bar.
import { changed } from '../filter';
import { go, place } from '../router';
import type { Range } from '../types';
import { Choice } from './choice';

export const RANGES: ReadonlyArray<readonly [Range, string]> = [
  ['1h', '1 hour'],
  ['24h', '24 hours'],
  ['7d', '7 days'],
];

export function useRange(normally: Range = '1h'): Range {
  const asked = place.use().query.get('range');
  return RANGES.find(([name]) => name === asked)?.[0] ?? normally;
}

export function RangeChoice({ page, range }: { page: string; range: Range }) {
  const { query } = place.use();
  return (
    <Choice
      label="span of time"
      value={range}
      choices={RANGES}
      onChange={(next) => go(`${page}?${changed(query, { range: next })}`, { replace: true })}
    />
  );
}
