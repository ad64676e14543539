//! A message broker and its topics.

use super::Text;

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
}

impl BrokerKind {
    /// Every kind, by the name that `type` has in a definition.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("RABBITMQ", Self::RabbitMq),
        ("REDIS", Self::Redis),
        ("NATS", Self::Nats),
        ("MQTT", Self::Mqtt),
        ("KAFKA", Self::Kafka),
        ("AWS_SQS", Self::AwsSqs),
        ("GOOGLE_PUBSUB", Self::GooglePubSub),
    ];

    /// Its name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether there is a connector for it. The others are names that are known, and done by handlers.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        matches!(self, Self::RabbitMq | Self::Redis | Self::Nats | Self::Mqtt)
    }

    /// Schemes of its addresses, the ones with TLS last, and the ports that they stand for.
    #[must_use]
    pub fn schemes(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::RabbitMq => &[("amqp", 5672), ("amqps", 5671)],
            Self::Redis => &[("redis", 6379), ("rediss", 6379)],
            Self::Nats => &[("nats", 4222), ("tls", 4222)],
            Self::Mqtt => &[("mqtt", 1883), ("mqtts", 8883)],
            Self::Kafka | Self::AwsSqs | Self::GooglePubSub => &[],
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
    /// What may be published to; `None`: any event, under its own name.
    pub topics: Option<Vec<Topic>>,
}

/// A broker in one environment.
#[derive(Clone, Debug)]
pub struct BrokerEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// What kind of server.
    pub kind: BrokerKind,
    /// How to reach it, and what holds for all topics.
    pub config: BrokerConfig,
}

/// How to reach a broker. What its kind does not know is absent.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Its address.
    pub url: Text,
    /// Instead of the one in the address.
    pub username: Option<Text>,
    /// Instead of the one in the address.
    pub password: Option<Text>,
    /// NATS: a token.
    pub token: Option<Text>,
    /// NATS: what stands in a credentials file.
    pub credentials: Option<Text>,
    /// NATS: prefix of the subjects that acknowledgements arrive on.
    pub inbox_prefix: Option<Box<str>>,
    /// Certificates in PEM that are trusted instead of the system's, or the path of a file with them.
    pub ca: Option<Text>,
    /// What holds for topics that say nothing else.
    pub defaults: TopicOptions,
}

/// Something to publish to.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name within the broker's definition.
    pub tag: Box<str>,
    /// Its name at the server; `None`: its tag.
    pub name: Option<Box<str>>,
    /// Names and values that go with each message, in order.
    pub headers: Vec<(Box<str>, Text)>,
    /// How to publish.
    pub options: TopicOptions,
}

/// How messages are published; what is `None` is left to the broker's definition, then to the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// RabbitMQ: name of the exchange; empty: the default one, which knows queues by their names.
    pub exchange: Option<Box<str>>,
    /// RabbitMQ: the routing key.
    pub routing_key: Option<Box<str>>,
    /// RabbitMQ: whether messages survive a restart of the server.
    pub persistent: Option<bool>,
    /// RabbitMQ: whether a message that no queue gets is a failure.
    pub mandatory: Option<bool>,
    /// Redis: where to.
    pub redis: Option<RedisTarget>,
    /// Redis: how many entries a stream keeps, about.
    pub maxlen: Option<u64>,
    /// NATS: whether a stream must have stored the message.
    pub jetstream: Option<bool>,
    /// MQTT: quality of service, 0 to 2.
    pub qos: Option<u8>,
    /// MQTT: whether the server keeps the message for later subscribers.
    pub retain: Option<bool>,
}

/// What Redis is asked to do with a message. `None` in it: the topic's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisTarget {
    /// Append it to a stream.
    Stream(Option<Box<str>>),
    /// Tell whoever is subscribed to a channel.
    Channel(Option<Box<str>>),
}
