// Definitions of what jobs use, as the option `resources` takes them.

import type { AppResource } from './actions';
import type { BrokerResource } from './brokers';
import type { DatabaseResource, GraphResource } from './databases';
import type { FeatureResource } from './features';
import type { NotificationResource } from './notifications';
import type { CacheResource, SessionResource } from './sessions';
import type { StorageResource } from './storage';

/**
 * Definitions of what jobs use, as `resources` of the constructor takes them: an object of this shape, or the path of a
 * JSON file that holds one. `resources.schema.json` says the same to an editor:
 * `{ "$schema": "./node_modules/ductape/resources.schema.json", "products": [] }`. Any text may hold `$Secret{KEY}`.
 */
export interface Resources {
  $schema?: string;
  products?: readonly ProductResources[];
}

/** The resources of one product. */
export interface ProductResources {
  /** The product's tag. */
  tag: string;
  name?: string;
  description?: string;
  apps?: readonly AppResource[];
  features?: readonly FeatureResource[];
  notifications?: readonly NotificationResource[];
  storage?: readonly StorageResource[];
  brokers?: readonly BrokerResource[];
  databases?: readonly DatabaseResource[];
  graphs?: readonly GraphResource[];
  sessions?: readonly SessionResource[];
  caches?: readonly CacheResource[];
}

/** A type of server or provider, in upper or lower case; the constructor takes any mixture. */
export type AnyCase<T extends string> = T | Uppercase<T> | Lowercase<T>;

/** What every resource and its parts may say of themselves. */
export interface Described {
  name?: string;
  description?: string;
}

/** Gives its argument back: for the types, where resources stand in a file of their own. */
export declare function defineResources<const T extends Resources>(resources: T): T;
