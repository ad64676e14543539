// What a page shows: loaded from the server, kept while it is loaded again.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, get, type Query, queryText } from './api';

export interface Data<T> {
  /** The last answer to this question. */
  value: T | undefined;
  /** Why the last call failed. */
  error: ApiError | undefined;
  isLoading: boolean;
  /** Asks again, unless a call is under way. */
  reload(): void;
  /** Asks again in any case: a call that is under way may not know of a change yet. */
  refresh(): void;
}

/** How long after a failed call the next one follows. */
const RETRY_MS = 3_000;

export function useData<T>(path: string, query: Query = {}): Data<T> {
  const key = `${path}${queryText(query)}`;
  const [answer, setAnswer] = useState<{ key: string; value?: T; error?: ApiError }>({ key });
  const [turn, setTurn] = useState(0);
  const running = useRef<{ key: string } | undefined>(undefined);
  const parameters = useRef({ path, query });
  parameters.current = { path, query };

  // `turn` asks again; what is asked is in `key`.
  useEffect(() => {
    const abort = new AbortController();
    const own = { key };
    let again: ReturnType<typeof setTimeout> | undefined;
    running.current = own;
    get<T>(parameters.current.path, parameters.current.query, abort.signal)
      .then((value) => setAnswer({ key, value }))
      .catch((error) => {
        if (abort.signal.aborted) return;
        setAnswer((before) => ({ ...(before.key === key ? before : {}), key, error }));
        if (error.status === 0 || error.status === 503) again = setTimeout(() => setTurn((n) => n + 1), RETRY_MS);
      })
      .finally(() => {
        if (running.current === own) running.current = undefined;
      });
    return () => {
      clearTimeout(again);
      abort.abort();
    };
  }, [key, turn]);

  // A call that is under way is not followed by another one: a slow server is not asked more and more.
  const reload = useCallback(() => {
    if (running.current === undefined) setTurn((n) => n + 1);
  }, []);
  const refresh = useCallback(() => setTurn((n) => n + 1), []);
  const isOwn = answer.key === key;
  return {
    value: isOwn ? answer.value : undefined,
    error: isOwn ? answer.error : undefined,
    isLoading: !isOwn || (answer.value === undefined && answer.error === undefined),
    reload,
    refresh,
  };
}
