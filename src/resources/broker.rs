//! A message broker and its topics.

use super::{CloudBroker, Text};

/// What kind of server a broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the products")]
pub enum BrokerKind {
    RabbitMq,
    Redis,
    Nats,
    Mqtt,
    Kafka,
    AwsSqs,
    GooglePubSub,
    AzureServiceBus,
}

impl BrokerKind {
    /// All kinds, by the value of `type` in a definition.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("RABBITMQ", Self::RabbitMq),
        ("REDIS", Self::Redis),
        ("NATS", Self::Nats),
        ("MQTT", Self::Mqtt),
        ("KAFKA", Self::Kafka),
        ("AWS_SQS", Self::AwsSqs),
        ("GOOGLE_PUBSUB", Self::GooglePubSub),
        ("AZURE_SERVICE_BUS", Self::AzureServiceBus),
    ];

    /// Its name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether this build has a connector for it. The jobs of others are left to handlers.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::RabbitMq => cfg!(feature = "rabbitmq"),
            Self::Redis => cfg!(feature = "redis"),
            Self::Nats => cfg!(feature = "nats"),
            Self::Mqtt => cfg!(feature = "mqtt"),
            Self::Kafka => cfg!(feature = "kafka"),
            Self::AwsSqs => cfg!(feature = "sqs"),
            Self::GooglePubSub => cfg!(feature = "pubsub"),
            Self::AzureServiceBus => cfg!(feature = "service-bus"),
        }
    }

    /// URL schemes with their default ports, those with TLS last.
    #[must_use]
    pub fn schemes(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::RabbitMq => &[("amqp", 5672), ("amqps", 5671)],
            Self::Redis => &[("redis", 6379), ("rediss", 6379)],
            Self::Nats => &[("nats", 4222), ("tls", 4222)],
            Self::Mqtt => &[("mqtt", 1883), ("mqtts", 8883)],
            Self::Kafka => &[("kafka", 9092), ("kafkas", 9092)],
            Self::AwsSqs | Self::GooglePubSub | Self::AzureServiceBus => &[],
        }
    }
}

/// A message broker and its topics.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What it is in each environment.
    pub envs: Vec<BrokerEnv>,
    /// Topics that jobs may publish to; `None`: any event, under its own name.
    pub topics: Option<Vec<Topic>>,
}

/// A broker in one environment.
#[derive(Clone, Debug)]
pub struct BrokerEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// What kind of server.
    pub kind: BrokerKind,
    /// How to reach it, and defaults of its topics.
    pub config: BrokerConfig,
}

/// How a user logs in to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password as it is.
    Plain,
    /// A proof that the client knows it.
    ScramSha256,
    /// The same with a longer hash.
    ScramSha512,
}

impl SaslMechanism {
    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How to reach a broker. Members that its kind does not have are `None`.
#[derive(Clone, Debug, Default)]
pub struct BrokerConfig {
    /// Its address.
    pub url: Text,
    /// Addresses of further servers of the same cluster.
    pub others: Vec<Text>,
    /// Whether the connection is encrypted, whatever the address says.
    pub tls: Option<bool>,
    /// Takes precedence over the one in the URL.
    pub username: Option<Text>,
    /// Takes precedence over the one in the URL.
    pub password: Option<Text>,
    /// NATS: a token.
    pub token: Option<Text>,
    /// NATS: contents of a credentials file.
    pub credentials: Option<Text>,
    /// NATS: prefix of the subjects that acknowledgements arrive on.
    pub inbox_prefix: Option<Box<str>>,
    /// Kafka: how username and password are proven.
    pub sasl: Option<SaslMechanism>,
    /// Kafka and NATS: what the client calls itself.
    pub client_id: Option<Box<str>>,
    /// Brokers of clouds: the account, instead of an address.
    pub cloud: Option<CloudBroker>,
    /// Where messages go whose topics have no name of their own.
    pub destination: Option<Box<str>>,
    /// CA certificates in PEM, trusted instead of the system's, or the path of such a file.
    pub ca: Option<Text>,
    /// Defaults for its topics.
    pub defaults: TopicOptions,
}

/// A topic to publish to.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name within the broker's definition.
    pub tag: Box<str>,
    /// Its name at the server; `None`: its tag.
    pub name: Option<Box<str>>,
    /// SQS: addresses of its queue, by slugs of environments.
    pub queue_urls: Vec<(Box<str>, Text)>,
    /// Headers of each message, in order.
    pub headers: Vec<(Box<str>, Text)>,
    /// How to publish.
    pub options: TopicOptions,
}

/// How messages are published. `None` falls back to the broker's definition, then to the built-in default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// RabbitMQ: name of the exchange; empty: the default exchange, which routes to the queue named by the routing key.
    pub exchange: Option<Box<str>>,
    /// RabbitMQ: the routing key.
    pub routing_key: Option<Box<str>>,
    /// RabbitMQ: whether messages survive a restart of the server.
    pub persistent: Option<bool>,
    /// RabbitMQ: whether an unroutable message is a failure.
    pub mandatory: Option<bool>,
    /// Redis: stream or channel.
    pub redis: Option<RedisTarget>,
    /// Redis: approximate number of entries that a stream keeps.
    pub maxlen: Option<u64>,
    /// NATS: whether a JetStream stream must acknowledge the message.
    pub jetstream: Option<bool>,
    /// MQTT: quality of service, 0 to 2.
    pub qos: Option<u8>,
    /// MQTT: whether the server keeps the message for later subscribers.
    pub retain: Option<bool>,
}

/// Where Redis puts a message. `None` in it: the topic's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisTarget {
    /// Append it to a stream.
    Stream(Option<Box<str>>),
    /// Publish it to the subscribers of a channel.
    Channel(Option<Box<str>>),
}
