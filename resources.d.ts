/**
 * Definitions of what jobs use, as `resources` of the constructor takes them: an object of this shape, or the path of a
 * JSON file that holds one. `resources.schema.json` says the same to an editor:
 * `{ "$schema": "./node_modules/ductape/resources.schema.json", "products": [] }`. Any text may hold `$Secret{KEY}`.
 */
export interface Resources {
  $schema?: string;
  products?: ProductResources[];
}

/** The resources of one product. */
export interface ProductResources {
  /** The product's tag. */
  tag: string;
  name?: string;
  description?: string;
  apps?: AppResource[];
  features?: FeatureResource[];
  notifications?: NotificationResource[];
  storage?: StorageResource[];
  brokers?: BrokerResource[];
  databases?: DatabaseResource[];
  graphs?: GraphResource[];
  sessions?: SessionResource[];
  caches?: CacheResource[];
}

/** A type of server or provider, in upper or lower case; the constructor takes any mixture. */
export type AnyCase<T extends string> = T | Uppercase<T> | Lowercase<T>;

/** What every resource and its parts may say of themselves. */
export interface Described {
  name?: string;
  description?: string;
}

// --- apps

/** An HTTP service and its actions. */
export interface AppResource extends Described {
  tag: string;
  /** What it is in each environment. */
  envs: AppEnv[];
  /** What can be asked of it. */
  actions?: AppAction[];
}

/** An HTTP service in one environment. */
export interface AppEnv extends Described {
  slug: string;
  /** What the resources of actions come after, as in `'https://api.example.com/v1'`. */
  base_url: string;
  /** Headers of every request. */
  headers?: Record<string, string>;
  /** Credentials of every request. */
  auth?: HttpAuth;
  /** Certificates of authorities in PEM, trusted beside the system's. */
  ca?: string;
}

/** Credentials of HTTP requests. */
export type HttpAuth =
  | { type: 'basic'; username: string; password: string }
  | { type: 'bearer'; token: string }
  | { type: 'header'; name: string; value: string };

/**
 * One request that can be made of a service. Strings in `headers`, `query`, `params` and `body` may hold expressions; what
 * a job's input gives is laid over them.
 */
export interface AppAction extends Described {
  tag: string;
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** Path below `base_url` with its parameters, as in `'/orders/:id'`. */
  resource: string;
  /**
   * Media type of the body. JSON, forms and multipart are written from the body's fields; of any other type the body is
   * `{ content }`, with `encoding: 'base64'` for bytes. Default `'application/json'`.
   */
  request_type?:
    | 'application/json'
    | 'application/x-www-form-urlencoded'
    | 'multipart/form-data'
    | 'text/plain'
    | (string & {});
  /** Longest attempt for jobs that set no `timeout`, in ms. Default 60,000. */
  timeout?: number;
  headers?: Record<string, string>;
  query?: Record<string, unknown>;
  params?: Record<string, unknown>;
  /** Merged with the input's, object by object. */
  body?: unknown;
}

/** The result of a job that a built-in connector made an HTTP request for. */
export interface IActionResult<Data = unknown> {
  /** 200 to 299; any other status is a failure. */
  status: number;
  /** Names in lower case; repeated ones are joined by commas, but `set-cookie` is a list. */
  headers: Record<string, string | string[]>;
  /** The value of JSON, a text, base64 of anything else (see `encoding`), or `null` for an empty body. */
  data: Data;
  /** Present when `data` is base64. */
  encoding?: 'base64';
}

// --- features

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
  parents?: string | string[];
  /** Sequences of one level are done at the same time, when those of lower levels have ended. */
  level?: number;
  events: FeatureEvent[];
}

/** A feature declared as data. */
export interface FeatureResource extends Described {
  tag: string;
  /** The only form of inputs there is. */
  input_type?: 'JSON';
  /** What its input holds, by name. Without it anything. */
  input?: Record<string, FeatureInput>;
  /** What is done, in this order unless sequences say otherwise. */
  sequence: FeatureSequence[];
  /** The result, with expressions. Without it, what the last event with `return` yields, else the last one. */
  output?: unknown;
}

// --- notifications

/** Ways to tell people and programs something: channels by environment, and messages that go by them. */
export interface NotificationResource extends Described {
  tag: string;
  envs: NotificationEnvironment[];
  messages: NotificationMessage[];
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

// --- storage

/** A place for files. */
export interface StorageResource extends Described {
  tag: string;
  envs: StorageEnvironment[];
  /** What jobs do; an event that is not listed is an upload. */
  events?: StorageEvent[];
}

/** Where files are in one environment. */
export type StorageEnvironment = {
  slug: string;
  description?: string;
  /** From where uploads may take their content, besides the input. */
  sources?: FileSources;
} & (
  | { type: AnyCase<'local'>; config: LocalFolder }
  | { type: AnyCase<'aws'>; config: AwsBucket }
  | { type: AnyCase<'gcp'>; config: GcpBucket }
  | { type: AnyCase<'azure'>; config: AzureContainer }
);

/** From where uploads may take their content, besides the input. */
export interface FileSources {
  /** The folder of this machine whose files they may name by `file: { path }`. Without it they may name none. */
  folder?: string;
  /** Whether they may name URLs with private addresses by `file: { url }`, where `outbound` allows those. Default false. */
  privateAddresses?: boolean;
}

/**
 * A bucket of S3, or of a service that speaks its protocol. Without a key, one is looked for as AWS's own tools do: in the
 * environment, a profile, a web identity, a container, the machine.
 */
export type AwsBucket = ({ bucketName: string } | { bucket: string }) & {
  /** Default: `AWS_REGION` of the environment; `us-east-1` with `endpoint`. */
  region?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  /** Of a temporary key. */
  sessionToken?: string;
  /** The profile whose key is looked for. */
  profile?: string;
  /** URL of a service other than Amazon's, such as MinIO or R2. */
  endpoint?: string;
  /** Whether the bucket is in the path of URLs instead of their host. Default true with `endpoint`, and for names with dots. */
  forcePathStyle?: boolean;
  /** The same as `forcePathStyle`. */
  pathStyle?: boolean;
  /** CA certificates in PEM that are trusted besides the system's. */
  ca?: string;
};

/**
 * A bucket of Google Cloud Storage. Without a key, `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file and the account of the machine
 * are asked.
 */
export type GcpBucket = ({ bucketName: string } | { bucket: string }) & {
  /** The key of a service account, as an object or JSON text. */
  config?: Record<string, unknown> | string;
  /** The same as `config`. */
  credentials?: Record<string, unknown> | string;
  /** Path of a file with such a key. */
  keyFilename?: string;
  /** URL of a service other than Google's. */
  endpoint?: string;
  /** CA certificates in PEM that are trusted besides the system's. */
  ca?: string;
};

/** A container of Azure Blob Storage. */
export type AzureContainer = ({ containerName: string } | { container: string }) &
  (
    | { connectionString: string }
    | {
        /** Without `accountKey` and `sasToken`, the identity of the machine is used. */
        accountName: string;
        /** In base64. */
        accountKey?: string;
        /** A signature that grants access, in place of a key. */
        sasToken?: string;
        /** URL of the account's blobs. */
        endpoint?: string;
      }
  ) & {
    /** CA certificates in PEM that are trusted besides the system's. */
    ca?: string;
  };

/** A folder of this machine. */
export interface LocalFolder {
  /** A relative path is taken from the working folder of the process. */
  root: string;
  /** Whether it is made when it is missing. Default true. */
  create?: boolean;
}

/** What the jobs of one event do. */
export interface StorageEvent extends Described {
  /** The `event` of its jobs. */
  tag: string;
  operation: 'upload' | 'download' | 'remove' | 'listFiles' | 'stats' | 'getSignedUrl';
  /** The folder that they keep to. */
  path?: string;
  /** Most bytes of a file that is written. Default 32 MiB. */
  maxBytes?: number;
}

// --- brokers

/** A message broker and its topics. */
export interface BrokerResource extends Described {
  tag: string;
  envs: BrokerEnvironment[];
  /** What may be published to. Left out: any event, under its own name. */
  topics?: BrokerTopic[];
}

/** A broker in one environment. */
export type BrokerEnvironment = { slug: string; description?: string } & (
  | { type: AnyCase<'RABBITMQ'>; config: RabbitMqConfig }
  | { type: AnyCase<'REDIS'>; config: RedisConfig }
  | { type: AnyCase<'NATS'>; config: NatsConfig }
  | { type: AnyCase<'MQTT'>; config: MqttConfig }
  | { type: AnyCase<'KAFKA'>; config: KafkaConfig }
  | { type: AnyCase<'AWS_SQS'>; config: SqsConfig }
  | { type: AnyCase<'GOOGLE_PUBSUB'>; config: PubSubConfig }
  | { type: AnyCase<'AZURE_SERVICE_BUS'>; config: ServiceBusConfig }
);

/** Where a broker is: one of `url`, `connection_url` and `host`. */
export interface BrokerServer {
  /**
   * Address of the server; with TLS by the second scheme: `amqp(s)`, `redis(s)`, `nats` and `tls`, `mqtt(s)`, `kafka(s)`.
   */
  url?: string;
  /** The same as `url`. */
  connection_url?: string;
  /** Host of the server, instead of an address. */
  host?: string;
  /** Port, with `host`. Default: the usual one. */
  port?: number;
  /** Whether the connection is encrypted, whatever the address says. */
  tls?: boolean;
  /** The same as `tls`. */
  ssl?: boolean;
  /** User, instead of the one in the address. */
  username?: string;
  /** Password, instead of the one in the address: nothing in it need be encoded. */
  password?: string;
  /** Certificates in PEM that are trusted instead of the system's, or the path of a file with them. */
  ca?: string;
}

/** How messages go to RabbitMQ: of a topic, or of all that say nothing else. */
export interface RabbitMqOptions {
  /** Exchange. Default `''`: the one that knows queues by their names. */
  exchange?: string;
  /** Routing key. Default: the topic's name. */
  routingKey?: string;
  /** Whether messages survive a restart of the server. Default true. */
  persistent?: boolean;
  /** Whether a message that no queue gets is a failure. Default true. */
  mandatory?: boolean;
}

/** How messages go to MQTT: of a topic, or of all that say nothing else. */
export interface MqttOptions {
  /** Quality of service. Default 1. */
  qos?: 0 | 1 | 2;
  /** Whether the server keeps the message for later subscribers. Default false. */
  retain?: boolean;
}

export interface RabbitMqConfig extends BrokerServer, RabbitMqOptions {
  /** Queue that messages go to: its name is their routing key with the default exchange. */
  queue?: string;
}

export interface RedisConfig extends BrokerServer {
  /** Whether messages are appended to streams or told to channels. Default `'stream'`. */
  mode?: 'stream' | 'pubsub';
  /** About how many entries streams keep. Default: all. */
  maxlen?: number;
  /** The channel that messages are told to, of topics that say nothing else. */
  channel?: string;
}

export interface NatsConfig extends BrokerServer {
  /** Servers of one cluster, instead of `url`; the first that answers is taken. */
  servers?: string | string[];
  /** The same as `username`. */
  user?: string;
  /** The same as `password`. */
  pass?: string;
  /** What the client calls itself. Default `'ductape'`. */
  name?: string;
  /** Without effect: a job that is retried connects again. */
  maxReconnectAttempts?: number;
  /** Without effect, as `maxReconnectAttempts`. */
  reconnectTimeWait?: number;
  /** Whether a stream must have stored the message. Default false. */
  jetstream?: boolean;
  /** A token instead of user and password. */
  token?: string;
  /** What stands in a credentials file (`.creds`). */
  credentials?: string;
  /** Prefix of the subjects that acknowledgements arrive on. Default `'_INBOX'`. */
  inboxPrefix?: string;
}

export interface MqttConfig extends BrokerServer, MqttOptions {}

export interface KafkaConfig extends BrokerServer {
  /** Servers of the cluster as `host:port`, instead of `url`; any of them tells of all. */
  brokers?: string | string[];
  /** What the client calls itself. Default `'ductape'`. */
  clientId?: string;
  /** A group of consumers; publishing has no use for it. */
  groupId?: string;
  /** Who logs in, and how. Default mechanism: `'plain'`. */
  sasl?: {
    mechanism?: AnyCase<'plain' | 'scram-sha-256' | 'scram-sha-512'>;
    username: string;
    password: string;
  };
  /** Topic of messages whose topics have no `name`. */
  topic?: string;
}

/** Queues of Amazon SQS. Without a key: what the environment, a profile, a container or the machine has. */
export interface SqsConfig {
  /** Code of the region, as in `'eu-west-1'`. */
  region: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  sessionToken?: string;
  /** Profile in the shared files. */
  profile?: string;
  /** Where requests go, instead of Amazon's own servers. */
  endpoint?: string;
  /** Address of the queue of all topics that name none. */
  queueUrl?: string;
  /** Certificates in PEM that are trusted instead of the system's, or the path of a file with them. */
  ca?: string;
}

/** Topics of Google Pub/Sub. */
export interface PubSubConfig {
  /** Id of the project. Default: that of the credentials. */
  projectId?: string;
  /** Key of a service account, as Google hands it out, or its text. */
  credentials?: string | { client_email: string; private_key: string; [member: string]: unknown };
  /** Path of a file with such a key. Default: what GOOGLE_APPLICATION_CREDENTIALS names. */
  keyFilename?: string;
  /** Where requests go, instead of Google's own servers, or the emulator that PUBSUB_EMULATOR_HOST names. */
  endpoint?: string;
  /** Topic of messages whose topics have no `name`. */
  topicName?: string;
  /** Who receives; publishing has no use for it. */
  subscriptionName?: string;
  /** Certificates in PEM that are trusted instead of the system's, or the path of a file with them. */
  ca?: string;
}

/** Queues and topics of Azure Service Bus. */
export interface ServiceBusConfig {
  /** Where the namespace is, and a key, as Azure hands it out. */
  connectionString: string;
  /** Queue or topic of messages whose topics have no `name`. */
  queueName?: string;
  /** The connection string says it, too. */
  namespace?: string;
  /** Certificates in PEM that are trusted instead of the system's, or the path of a file with them. */
  ca?: string;
}

/** Address of a queue in one environment. */
export interface QueueUrl {
  env_slug: string;
  url: string;
}

/** Something to publish to. Members of a server's type are without effect in environments of other types. */
export interface BrokerTopic extends RabbitMqOptions, MqttOptions {
  tag: string;
  /** Its name at the server: routing key, stream or channel, subject, topic. Default: the tag. */
  name?: string;
  /** What a message looks like; without effect. */
  sample?: unknown;
  description?: string;
  /** Names and values that go with each message; not those that the package sets itself, such as `message_id`. */
  headers?: Record<string, string>;
  /** Redis: the stream that messages are appended to. */
  stream?: string;
  /** Redis: the channel that messages are told to. */
  channel?: string;
  /** Redis: about how many entries the stream keeps. */
  maxlen?: number;
  /** NATS: the subject; the same as `name`. */
  subject?: string;
  /** NATS: whether a stream must have stored the message. */
  jetstream?: boolean;
  /** SQS: the queue in each environment. */
  queueUrls?: QueueUrl[];
  /** The same as `queueUrls`. */
  queueUrl?: QueueUrl[];
}

// --- databases

/** A database and its actions. */
export interface DatabaseResource extends Described {
  tag: string;
  /**
   * Built in are `'postgresql'`, `'mysql'`, `'mariadb'`, `'sqlite'`, `'mongodb'` and `'dynamodb'`. Jobs of the others wait for a
   * process that has a handler for them. Case does not matter.
   */
  type: AnyCase<
    'postgresql' | 'mysql' | 'mariadb' | 'sqlite' | 'mongodb' | 'dynamodb' | 'cassandra' | 'mssql' | 'oracle'
  >;
  /** The table, or collection, of operations and actions that name none: `'orders'` or `'sales.orders'`. */
  table?: string;
  /** `false`: jobs bring no SQL or command of their own (`raw`). Default true. */
  raw?: boolean;
  envs: DatabaseEnvironment[];
  actions?: DatabaseAction[];
}

/** Where a database is in one environment. */
export interface DatabaseEnvironment extends Described {
  slug: string;
  /** `postgres://…`, `mysql://…`, `mongodb://…`, `dynamodb://region`, or the path of a SQLite file. */
  connection_url: string;
  /** Certificates that the server's must be signed by: PEM, or the path of such a file. */
  ca?: string;
  /** Address of a DynamoDB in place of the region's own, such as `'http://127.0.0.1:8000'`. */
  endpoint?: string;
  /** Most connections at once; of DynamoDB, requests. Default 10. */
  max_connections?: number;
}

/** An operation that is written down in advance; `{{name}}` is filled with what the job brings. */
export interface DatabaseAction extends Described {
  tag: string;
  /** The table, unless it is the database's. */
  tableName?: string;
  operation: 'QUERY' | 'INSERT' | 'UPDATE' | 'DELETE' | 'UPSERT' | 'AGGREGATE' | 'RAW_SQL';
  /**
   * QUERY: `{ where, select, limit, offset, orderBy, include }`, or with `operations` an aggregate. INSERT, UPSERT: the data,
   * or `{ records, conflictColumns }`. UPDATE: the changes. AGGREGATE: names and functions, or `{ where, operations }`.
   * RAW_SQL: the SQL, or `{ query, params }`. Also `{ find }`, `{ findOne }`, `{ insertOne }`, `{ insertMany }`, `{ updateOne }`,
   * `{ updateMany }`, `{ deleteOne }`, `{ deleteMany }`: the operation of that name. Without it the job's `data`.
   */
  template?: object | string;
  /** Which rows are meant. Without it the job's `filter`, else its `query`. */
  filterTemplate?: object;
  /** Values of names that a job leaves out. */
  defaults?: object;
  fields?: string | readonly string[];
  groupBy?: string | readonly string[];
  having?: object;
  orderBy?: DatabaseOrder | readonly DatabaseOrder[];
  limit?: number | string;
  offset?: number | string;
  conflictColumns?: string | readonly string[];
  updateColumns?: string | readonly string[];
  returning?: boolean | string | readonly string[];
  /** Lets an UPDATE or a DELETE without a filter meet every row. */
  all?: boolean;
}

/** A column to order by, with its direction if it is not ascending. */
export type DatabaseOrder =
  | string
  | { readonly column: string; readonly order?: 'asc' | 'desc' | 'ASC' | 'DESC' }
  | { readonly [column: string]: 'asc' | 'desc' | 'ASC' | 'DESC' | 1 | -1 };

// --- graphs

/** The types of graphs, in upper or lower case. Jobs of others than neo4j, memgraph and neptune wait for a handler. */
export type GraphType = 'neo4j' | 'memgraph' | 'neptune' | 'arangodb' | 'nebula' | 'spanner-graph' | 'cosmos-gremlin';

/** A graph database and its actions. */
export interface GraphResource extends Described {
  tag: string;
  type: GraphType | Uppercase<GraphType>;
  /** `false`: jobs bring no queries of their own (`query`). Default true. */
  raw?: boolean;
  envs: GraphEnvironment[];
  actions?: GraphAction[];
}

/** Where a graph is in one environment. */
export interface GraphEnvironment extends Described {
  slug: string;
  /**
   * `bolt://…`, or `neo4j://…` where the server tells who reads and who writes; with `+s` by TLS, with `+ssc` by TLS without a
   * check of the certificate.
   */
  connection_url: string;
  /** The database on the server. Default: the user's own. */
  database?: string;
  /** User, in place of that of the address. */
  username?: string;
  /** Password, in place of that of the address. */
  password?: string;
  /** Type `'arangodb'`: its graph. */
  graphName?: string;
  /** Type `'neptune'`: its region. */
  region?: string;
  /** Certificates that the server's must be signed by: PEM, or the path of such a file. */
  ca?: string;
  /** Most connections to one server at once. Default 10. */
  max_connections?: number;
}

/** What an action of a graph does. */
export type GraphActionType =
  | 'CREATE_NODE'
  | 'FIND_NODES'
  | 'FIND_NODE_BY_ID'
  | 'UPDATE_NODE'
  | 'DELETE_NODE'
  | 'MERGE_NODE'
  | 'CREATE_RELATIONSHIP'
  | 'FIND_RELATIONSHIPS'
  | 'UPDATE_RELATIONSHIP'
  | 'DELETE_RELATIONSHIP'
  | 'TRAVERSE'
  | 'SHORTEST_PATH'
  | 'QUERY';

/** An operation that is written down in advance; `{{name}}` is filled with what the job brings. */
export interface GraphAction extends Described {
  /** `'action'` or `'graph:action'`. */
  tag: string;
  /** May be left out where there is a `query`. */
  operation?: GraphActionType;
  /** The input of the operation. */
  template?: object;
  /** The filter, in place of `where` in the template. */
  filterTemplate?: object;
  /** QUERY: Cypher with `$name` for parameters. */
  query?: string;
  /** QUERY: the parameters. */
  params?: object;
  /** Values of names that a job leaves out. */
  defaults?: object;
}

// --- sessions

/** How tokens are signed. */
export type SessionAlgorithm =
  | 'HS256'
  | 'HS384'
  | 'HS512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'EdDSA';

/** Whose tokens are taken. One of `secret`, `publicKey` and `jwks` is the key; `$Secret{KEY}` in a text is replaced. */
export interface SessionResource extends Described {
  tag: string;
  /** The one algorithm that tokens may have. Default `'HS256'`. */
  algorithm?: SessionAlgorithm;
  /** Shared secret of the HS algorithms, at least 16 bytes. */
  secret?: string;
  /** Public key in PEM (`BEGIN PUBLIC KEY`). */
  publicKey?: string;
  /** Key set, or the path of a JSON file that holds it. */
  jwks?: { keys: object[] } | string;
  /** Private key in PEM (PKCS#8) that `sessions.start` signs with; a shared secret needs none. */
  privateKey?: string;
  /** How long a token that `sessions.start` issues is valid, in `period`. Default one hour. */
  expiry?: number;
  /** Unit of `expiry`; a month is 30 days, a year 365. Default `'milliseconds'`. */
  period?: 'milliseconds' | 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks' | 'months' | 'years';
  /** `false`: claims are taken from tokens that nobody checks. Default true. */
  verify?: boolean;
}

// --- caches

/** A cache. */
export interface CacheResource extends Described {
  tag: string;
  /** How long a value is kept, in ms. Default one hour. */
  expiry?: number;
}

// --- checks

/** Which resources `resources.check` connects to; what is left out is any. */
export interface ResourceCheckOptions {
  product?: string;
  env?: string;
  /** Tag of the resource. */
  tag?: string;
  /** How long one may take, in ms. Default 10,000. */
  timeout?: number;
}

/** What `resources.check` found of one resource in one environment. */
export interface IResourceCheck {
  product: string;
  env: string;
  type: 'app' | 'notification' | 'storage' | 'broker' | 'database' | 'graph';
  tag: string;
  /** Whether it answered and took the credentials. */
  ok: boolean;
  /** How long that took, in ms. */
  duration_ms: number;
  /** Attempts of jobs that it has ended in this process. */
  calls: number;
  /** How many of them failed. */
  failures: number;
  /** Why it cannot be used. */
  error?: { code: string; message: string };
}

/** `ductape.resources`. */
export interface ResourceChecks {
  /**
   * Connects to every resource in every environment, authenticates, and changes nothing. A resource that cannot be used is
   * told in its `error`; the promise rejects with `VALIDATION_ERROR` only for wrong options.
   */
  check(options?: ResourceCheckOptions): Promise<IResourceCheck[]>;
}

/** Gives its argument back: for the types, where resources stand in a file of their own. */
export declare function defineResources<const T extends Resources>(resources: T): T;
