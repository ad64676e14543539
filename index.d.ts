/**
 * The public contract of the package. Times are milliseconds since the Unix epoch (UTC) and durations are milliseconds
 * unless a comment says otherwise. "Now" is the clock of the instance: the system's, with PostgreSQL that of
 * its server, or the one set by {@link DuctapeOptions.clock}.
 *
 * Times are what a `Date` can hold: from -271821-04-20 to +275760-09-13, also as text. A number that is not finite, or an
 * invalid `Date`, is a `VALIDATION_ERROR` wherever it stands, but in `input`, `data` and `value`, where JSON makes it null.
 *
 * Every method that returns a promise reports failure by rejecting with a {@link DuctapeError}; it never throws.
 */

export * from './types/schedules';
export * from './types/dispatches';
export * from './types/inputs';
export * from './types/graphs';
export * from './types/handlers';
export * from './types/namespaces';
export * from './types/job';
export * from './types/filters';
export * from './types/metrics';
export * from './types/processes';
export * from './types/events';
export * from './types/jobs';
export * from './types/dashboard';
export * from './types/options';
export * from './types/sessions';
export * from './types/caches';
export * from './types/clock';
export * from './types/stores';
export * from './types/errors';
export * from './types/json';
export * from './types/platform';
export * from './types/resources/definitions';
export * from './types/resources/actions';
export * from './types/resources/features';
export * from './types/resources/notifications';
export * from './types/resources/storage';
export * from './types/resources/brokers';
export * from './types/resources/databases';
export * from './types/resources/sessions';
export * from './types/resources/checks';
export { Ductape, Ductape as default } from './types/instance';
