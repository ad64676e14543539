// Notifications and their providers.

import type { HttpAuth } from './actions';
import type { AnyCase, Described } from './definitions';

/** Ways to tell people and programs something: channels by environment, and messages that go by them. */
export interface NotificationResource extends Described {
  tag: string;
  envs: readonly NotificationEnvironment[];
  messages: readonly NotificationMessage[];
}

/** What messages are sent with in one environment. */
export interface NotificationEnvironment {
  slug: string;
  description?: string;
  emails?: SmtpServer | MailProvider;
  sms?: SmsProvider;
  push_notifications?: PushProvider;
  callbacks?: CallbackEndpoint;
}

/** Settings of a provider, beside its name or in an object of that name. */
export type ProviderSettings<Name extends string, Settings> =
  | ({ provider: AnyCase<Name> } & Settings)
  | ({ provider: AnyCase<Name> } & { [name in Name]: Partial<Settings> } & Partial<Settings>);

/** Who sends e-mail: one of `from`, `sender_email` and `sender`, as in `'Shop <shop@example.com>'`. */
export interface MailSender {
  from?: string;
  sender_email?: string;
  sender?: string;
  /** Name of the sender, if the address has none. */
  sender_name?: string;
  /** Who gets answers, if not the sender. */
  replyTo?: string;
}

export interface SmtpSettings extends MailSender {
  /** Its name or address. */
  host: string;
  /** Default 587; 465 with `tls`, 25 with `none`. */
  port?: number | string;
  /**
   * `tls`: from the first byte; `starttls`: in the clear until STARTTLS, which must succeed; `none`: in the clear, password
   * and all. Default `starttls`, and `tls` on port 465.
   */
  security?: 'tls' | 'starttls' | 'none';
  /** `true`: as `security: 'tls'`. */
  secure?: boolean;
  /** `true`: as `security: 'starttls'`. */
  tls?: boolean;
  username?: string;
  password?: string;
  user?: string;
  pass?: string;
  auth?: { user: string; pass: string };
  /** Certificates in PEM of those who may vouch for the server, instead of the public ones. */
  ca?: string;
}

/** A mail server. */
export type SmtpServer = ProviderSettings<'smtp', SmtpSettings> | ({ provider?: undefined } & SmtpSettings);

export interface MailApiSettings extends MailSender {
  /** URL of the API, if not the public one. */
  endpoint?: string;
  /** The same as `endpoint`. */
  url?: string;
}

/** A provider of e-mail with its own API. */
export type MailProvider =
  | ProviderSettings<'sendgrid', MailApiSettings & { apiKey: string }>
  | ProviderSettings<'brevo', MailApiSettings & { apiKey: string }>
  | ProviderSettings<'mailgun', MailApiSettings & { apiKey: string; domain: string; region?: 'us' | 'eu' }>
  | ProviderSettings<'postmark', MailApiSettings & { serverToken: string }>
  | ProviderSettings<
      'aws_ses',
      MailApiSettings & { region: string; accessKeyId: string; secretAccessKey: string; sessionToken?: string }
    >;

export interface SmsSettings {
  /** Number or name of the sender, as in `'+15005550006'`; also as `from`. */
  sender?: string;
  from?: string;
  /** URL of the API, if not the public one. */
  endpoint?: string;
  /** The same as `endpoint`. */
  url?: string;
}

/** A provider of text messages. Plivo takes `apiKey` and `apiSecret` for `authId` and `authToken`. */
export type SmsProvider =
  | ProviderSettings<'twilio', SmsSettings & { accountSid: string; authToken: string }>
  | ProviderSettings<'nexmo', SmsSettings & { apiKey: string; apiSecret: string }>
  | ProviderSettings<
      'plivo',
      SmsSettings & { authId?: string; apiKey?: string; authToken?: string; apiSecret?: string }
    >;

/** A service account of Google. */
export interface ServiceAccount {
  project_id?: string;
  client_email?: string;
  private_key?: string;
  token_uri?: string;
  [member: string]: unknown;
}

/** A provider of push notifications. `credentials` is a service account, or its JSON as text. */
export type PushProvider =
  | { type: AnyCase<'EXPO'>; accessToken?: string; endpoint?: string; url?: string }
  | {
      type: AnyCase<'FIREBASE'>;
      credentials: ServiceAccount | string;
      databaseUrl?: string;
      endpoint?: string;
      url?: string;
    };

/** A program that is called by HTTP. */
export interface CallbackEndpoint {
  /** May hold `:params` in its path. */
  url: string;
  /** Default `'POST'`. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  auth?: HttpAuth | CallbackAuth;
  headers?: Record<string, string>;
}

/** Credentials as parts of each request; nothing of a job replaces them. */
export interface CallbackAuth {
  headers?: Record<string, string>;
  body?: Record<string, unknown>;
  query?: Record<string, unknown>;
  params?: Record<string, unknown>;
}

/** What is sent by each channel. `{{name}}` in a text is a place that jobs fill. */
export interface NotificationMessage extends Described {
  /** The `event` of its jobs. */
  tag: string;
  email?: {
    subject: string;
    /** HTML; what is filled in is escaped. */
    template: string;
    /** For readers without HTML. */
    text?: string;
  };
  sms?: string;
  push_notification?: { title?: string; body?: string; data?: Record<string, unknown> };
  /** What the input of a job is merged into. */
  callback?: {
    query?: Record<string, unknown>;
    headers?: Record<string, unknown>;
    params?: Record<string, unknown>;
    body?: Record<string, unknown>;
  };
}
