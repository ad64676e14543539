// The package loaded by Node's own `require`, not by the test runner's module loader, with its types.
import { createRequire } from 'node:module';
import type * as api from '../../index.js';

const required = createRequire(import.meta.url)('../../index.js') as typeof api;

export type * from '../../index.js';
export const Ductape: typeof api.Ductape = required.Ductape;
export type Ductape = api.Ductape;
export const defineResources: typeof api.defineResources = required.defineResources;
export const literal: typeof api.literal = required.literal;
export const DuctapeError: typeof api.DuctapeError = required.DuctapeError;
export type DuctapeError = api.DuctapeError;
