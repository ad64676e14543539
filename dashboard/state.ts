// A value that components show: they are drawn again when it changes.
import { useEffect, useState } from 'preact/hooks';

export interface State<T> {
  get(): T;
  set(value: T): void;
  subscribe(listener: (value: T) => void): () => void;
  /** The value, in a component. */
  use(): T;
}

export function state<T>(initial: T): State<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  const own: State<T> = {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(value);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    use() {
      const [shown, show] = useState(value);
      useEffect(() => {
        // It may have changed between the first drawing and now.
        show(() => value);
        return own.subscribe((next) => show(() => next));
      }, []);
      return shown;
    },
  };
  return own;
}
