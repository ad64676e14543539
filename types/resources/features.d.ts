// Features that are declared as data.

import type { Described } from './definitions';

/** Types of members of inputs. */
export type FeatureInputType =
  | 'any'
  | 'string'
  | 'email_string'
  | 'nospaces_string'
  | 'number_string'
  | 'date_string'
  | 'uuid'
  | 'number'
  | 'float'
  | 'integer'
  | 'boolean'
  | 'object'
  | 'array'
  | 'string_array'
  | 'integer_array'
  | 'float_array'
  | 'boolean_array'
  | 'uuid_array';

/** What a member of a feature's input must be. */
export interface FeatureInput {
  /** Default `'any'`. */
  type?: FeatureInputType | Uppercase<FeatureInputType>;
  /** Least number of characters of a text, or entries of an array. */
  minlength?: number;
  /** Largest number of them. */
  maxlength?: number;
  /** Whether a job without it fails with `VALIDATION_ERROR`. Default false. */
  required?: boolean;
  /** What it is when the job has none; else null. */
  default?: unknown;
  description?: string;
}

interface FeatureEventBase extends Described {
  /** Its name within the sequence: a text without `/`, `{` and `}`. Default: what it does, its `event` or `operation`. */
  tag?: string;
  /** Its input. Texts may hold `$Input{…}`, `$Sequence{sequence}{event}{field}` and all other expressions. */
  input?: Record<string, unknown>;
  /** How often it is tried again within one attempt of the feature, with the delays of the job's `retryConfig`. Default 0. */
  retries?: number;
  /** `true`: when it has failed, the feature goes on and its result is null. */
  allow_fail?: boolean;
  /** Tag of the cache that keeps its result: an event with the same input has it without being done. */
  cache?: string;
  /** `true`: its result is the feature's, if that has no `output`; of several the last one's. */
  return?: boolean;
}

/** One event of a feature: a job of another target, done within the feature's. */
export type FeatureEvent = FeatureEventBase &
  (
    | { type: 'action' | 'app'; app: string; event: string }
    /** Here and below `event` may be `'resource:event'` in the place of both. */
    | { type: 'notification'; notification?: string; event: string }
    | { type: 'storage'; storage?: string; event: string }
    | { type: 'publish' | 'event'; broker?: string; event: string }
    | { type: 'database_action' | 'db_action'; database?: string; event: string }
    | { type: 'database'; database: string; operation: string }
    | { type: 'graph_action'; graph?: string; event: string }
    | { type: 'graph'; graph: string; operation: string }
    /** `event` is the tag of another feature. */
    | { type: 'feature' | 'workflow' | 'job'; event: string }
  );

/** Events that are done one after the other. */
export interface FeatureSequence extends Described {
  /** Its name: a text without `/`, `{` and `}`. */
  tag: string;
  /** The sequences that must have ended before this one begins. Default: by `level`, else all before it. */
  parents?: string | readonly string[];
  /** Sequences of one level are done at the same time, when those of lower levels have ended. */
  level?: number;
  events: readonly FeatureEvent[];
}

/** A feature declared as data. */
export interface FeatureResource extends Described {
  tag: string;
  /** The only form of inputs there is. */
  input_type?: 'JSON';
  /** What its input holds, by name. Without it anything. */
  input?: Record<string, FeatureInput>;
  /** What is done, in this order unless sequences say otherwise. */
  sequence: readonly FeatureSequence[];
  /** The result, with expressions. Without it, what the last event with `return` yields, else the last one. */
  output?: unknown;
}
