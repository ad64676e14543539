// Calls of the server, and what can go wrong with them.
import { state } from './state';
import type { Session } from './types';

/** Everything is below this path, which ends with a slash. Scripts are in `assets/` below it. */
export const BASE = new URL('..', import.meta.url).pathname;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export const session = state<Session | undefined>(undefined);

/** How much the store's clock is ahead of the browser's, in ms. */
const clockOffset = state(0);

/** Differences below this may be the way that an answer takes. */
const MIN_OFFSET_MS = 2_000;

/** Takes the store's time from an answer. */
export function setClock(at: number): void {
  const offset = at - Date.now();
  if (Math.abs(offset - clockOffset.get()) >= MIN_OFFSET_MS) {
    clockOffset.set(Math.abs(offset) < MIN_OFFSET_MS ? 0 : offset);
  }
}

/** Now, by the clock of the store. */
export const storeNow = (): number => Date.now() + clockOffset.get();

/** Whether the last call reached the server. */
export const reachable = state(true);

export type Query = Record<string, string | number | boolean | undefined | readonly string[]>;

export function queryText(query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue;
    if (Array.isArray(value)) for (const each of value) params.append(name, each);
    else params.append(name, String(value));
  }
  const text = params.toString();
  return text && `?${text}`;
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return new ApiError(response.status, error.code, error.message);
  } catch {
    return new ApiError(response.status, 'HTTP', `the server answered ${response.status} ${response.statusText}`);
  }
}

async function send<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(BASE + path, { credentials: 'same-origin', ...init });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    reachable.set(false);
    throw new ApiError(0, 'UNREACHABLE', 'the server cannot be reached; this page tries again by itself');
  }
  reachable.set(true);
  if (!response.ok) throw await errorOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> =>
  send<T>(`api/${path}${queryText(query)}`, signal ? { signal } : {});

/** A change. A token that the server does not know any more, as after it was started anew, is fetched again once. */
export async function change<T>(method: 'POST' | 'DELETE', path: string, body: unknown = {}): Promise<T> {
  const attempt = () =>
    send<T>(`api/${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'x-ductape-token': session.get()?.token ?? '' },
      body: JSON.stringify(body),
    });
  const before = session.get()?.token;
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error;
    await loadSession();
    if (session.get()?.token === before) throw error;
    return attempt();
  }
}

export async function loadSession(): Promise<void> {
  const found = await get<Session>('session');
  setClock(found.now);
  session.set(found);
}

/** Whether this person may change nothing. */
export const useReadOnly = (): boolean => session.use()?.read_only ?? true;
