// Message brokers.

import type { AnyCase, Described } from './definitions';

/** A message broker and its topics. */
export interface BrokerResource extends Described {
  tag: string;
  envs: readonly BrokerEnvironment[];
  /** What may be published to. Left out: any event, under its own name. */
  topics?: readonly BrokerTopic[];
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
  servers?: string | readonly string[];
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
  brokers?: string | readonly string[];
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
  queueUrls?: readonly QueueUrl[];
  /** The same as `queueUrls`. */
  queueUrl?: readonly QueueUrl[];
}
