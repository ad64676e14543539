// Events of jobs, for listeners and for webhooks.

import type { JobNamespaceName } from './handlers';
import type { IJob, IJobError, IJobTarget, JobStatus } from './job';
import type { Jobs } from './jobs';

/** What {@link Jobs.on} can listen to, with what happened. */
export interface IJobEvents {
  /** A dispatch was committed: a new job, or one that replaced the schedule of a known `job_id`. */
  'job.scheduled': IJobEvent<'job.scheduled'>;
  /** An attempt starts here. */
  'job.started': IJobEvent<'job.started'>;
  /** A run completed here; a recurring job goes on. */
  'job.completed': IJobEvent<'job.completed'>;
  /** A run failed here for good; a recurring job goes on. */
  'job.failed': IJobEvent<'job.failed'>;
  /** An attempt failed here and another one follows: `error` says why, `scheduled_at` when. */
  'job.retrying': IJobEvent<'job.retrying'>;
  /** The job was cancelled here. */
  'job.cancelled': IJobEvent<'job.cancelled'>;
  /** The job was paused here. */
  'job.paused': IJobEvent<'job.paused'>;
  /** The job was resumed here. */
  'job.resumed': IJobEvent<'job.resumed'>;
}

/** Name of an event. */
export type JobEventName = keyof IJobEvents;

/** Something that happened to a job. */
export interface IJobEvent<Name extends JobEventName = JobEventName> {
  event: Name;
  /** When it happened, in ms since the epoch. */
  timestamp: number;
  job: IJobEventJob;
}

/** The job of an event, as the event left it. */
export interface IJobEventJob {
  id: string;
  /** State of the job, which for a recurring one goes on after a run. */
  status: JobStatus;
  namespace: JobNamespaceName;
  product: string;
  env: string;
  target: IJobTarget;
  /** When the run is or was due; with `'job.retrying'` the next attempt. */
  scheduled_at: number;
  /** Number of the run, from 1; of events about an attempt or a run. */
  run?: number;
  /** Number of the attempt, from 1; of events about an attempt or a run. */
  attempt?: number;
  /** How many runs have ended; of `'job.cancelled'`, `'job.paused'` and `'job.resumed'`. */
  execution_count?: number;
  /** Of `'job.failed'` and `'job.retrying'`. */
  error?: IJobError;
  /** Of `'job.cancelled'`, when one was given. */
  cancel_reason?: string;
  /** Of `'job.completed'`, when there is one. */
  result?: unknown;
}

/** Events that can be delivered to a webhook. */
export type WebhookEventName = Exclude<JobEventName, 'job.retrying'>;

/** A webhook to set. */
export interface IWebhookInput {
  /** Where events are delivered: `https://` or `http://`, without user and password. One URL is one webhook. */
  url: string;
  /** Which events; at least one. */
  events: readonly WebhookEventName[];
  /**
   * What the receiver checks signatures with, a key of 24 to 256 bytes (shorter ones are warned of): `'whsec_'` and the key in Base64, or a text whose
   * UTF-8 bytes are the key.
   */
  secret: string;
}

/** A webhook, and how its deliveries went. */
export interface IWebhook {
  id: string;
  url: string;
  events: WebhookEventName[];
  /** Only its kind: `'whsec_****'` or `'****'`. */
  secret: string;
  /** `'disabled'`: the receiver answered 410, and nothing is delivered until the webhook is set again. */
  status: 'enabled' | 'disabled';
  /** How many events were given up after the last attempt. */
  failed_count: number;
  /** When an event last arrived, in ms since the epoch. */
  last_delivered_at?: number;
  /** When an attempt to deliver last failed. Later than `last_delivered_at`: it is failing. */
  last_failed_at?: number;
  /** Why that attempt failed. */
  last_error?: string;
  created_at: number;
  updated_at: number;
}

/** What is delivered to a webhook, as the body of a POST. */
export interface IWebhookPayload<Name extends WebhookEventName = WebhookEventName> {
  event: Name;
  /** When it happened, in ms since the epoch. */
  timestamp: number;
  job: {
    id: string;
    /** State of the job after the change. */
    status: JobStatus;
    namespace: JobNamespaceName;
    product: string;
    env: string;
    /** When the run of the event is or was due; of an event without a run as {@link IJob.scheduled_at}. */
    scheduled_at: number;
    /** How many runs of the job had ended. */
    execution_count?: number;
    /** Of `'job.failed'`. */
    error?: { code: string; message: string };
  };
}
