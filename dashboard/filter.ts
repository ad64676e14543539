// The conditions of a list of jobs, as they stand in the address bar.
import type { Query } from './api';

export const STATES = ['queued', 'running', 'scheduled', 'paused', 'failed', 'completed', 'cancelled'] as const;
export const NAMESPACES = [
  'actions',
  'features',
  'notifications',
  'storage',
  'events',
  'databases',
  'databases.action',
  'graphs',
  'graphs.action',
] as const;
export const TARGET_FIELDS = [
  'app',
  'event',
  'tag',
  'notification',
  'storage',
  'broker',
  'database',
  'graph',
  'operation',
] as const;

const SINGLE = ['namespace', 'product', 'env', 'recurring', 'failing', 'last_run', 'from', 'to'] as const;

/** What the server is asked with: names that it knows and nothing else. */
export function conditionsOf(query: URLSearchParams): Query {
  const found: Query = {};
  for (const name of SINGLE) found[name] = query.get(name) ?? undefined;
  for (const name of ['status', 'tag']) {
    const values = query.getAll(name).filter(Boolean);
    if (values.length > 0) found[name] = values;
  }
  for (const field of TARGET_FIELDS) found[`target.${field}`] = query.get(`target.${field}`) ?? undefined;
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== ''));
}

/** The same as the API of jobs takes them. */
export function filterOf(query: URLSearchParams): Record<string, unknown> {
  const filter: Record<string, unknown> = {};
  const target: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(conditionsOf(query))) {
    if (name === 'tag') filter.tags = value;
    else if (name === 'recurring' || name === 'failing') filter[name] = value === 'true';
    else if (name === 'from' || name === 'to') filter[name] = /^\d+$/.test(String(value)) ? Number(value) : value;
    else if (name.startsWith('target.')) target[name.slice('target.'.length)] = value;
    else filter[name] = value;
  }
  if (Object.keys(target).length > 0) filter.target = target;
  return filter;
}

/** A query with some values in the place of others; pages begin anew. */
export function changed(
  query: URLSearchParams,
  values: Record<string, string | readonly string[] | undefined>,
): string {
  const next = new URLSearchParams(query);
  next.delete('cursor');
  next.delete('back');
  for (const [name, value] of Object.entries(values)) {
    next.delete(name);
    if (typeof value === 'string') {
      if (value !== '') next.set(name, value);
    } else {
      for (const each of value ?? []) next.append(name, each);
    }
  }
  return next.toString();
}
