// What one person has chosen in this browser.
import { type State, state } from './state';

export type Theme = 'system' | 'light' | 'dark';
export type Zone = 'local' | 'utc';

function kept<T extends string>(name: string, choices: readonly T[]): State<T> {
  const key = `ductape.${name}`;
  let found: string | null = null;
  try {
    found = localStorage.getItem(key);
  } catch {
    // Storage is forbidden: choices last as long as the page.
  }
  const own = state<T>(choices.find((each) => each === found) ?? (choices[0] as T));
  own.subscribe((value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // As above.
    }
  });
  return own;
}

export const theme = kept<Theme>('theme', ['system', 'light', 'dark']);
export const zone = kept<Zone>('zone', ['local', 'utc']);

theme.subscribe((value) => {
  const root = document.documentElement;
  if (value === 'system') delete root.dataset.theme;
  else root.dataset.theme = value;
});
