//! Reads message brokers and their topics.

mod cloud;
mod servers;

use super::environments::environments;
use super::members::{members, required_tag};
use super::texts::check_text;
use crate::api::fields::{Fields, describe, tag_problem, truncated};
use crate::resources::{
    Broker, BrokerConfig, BrokerEnv, BrokerKind, RedisTarget, Resources, Text, Topic, TopicOptions,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Longest name of a topic, queue or exchange, in bytes: the limit of AMQP.
const MAX_NAME_BYTES: usize = 255;
/// Most headers of a topic.
const MAX_HEADERS: usize = 50;
/// Upper limit of `maxlen`.
const MAX_STREAM_ENTRIES: i64 = 1_000_000_000_000;

/// What is wrong with the address of a queue.
const QUEUE_URL_PROBLEM: &str =
    "must be the address of a queue, as in 'https://sqs.eu-west-1.amazonaws.com/123/orders'";
/// Members of `config` of each kind.
const CONFIG_FIELDS_BY_KIND: [(BrokerKind, &[&str]); 5] = [
    (
        BrokerKind::RabbitMq,
        &["exchange", "routingKey", "queue", "persistent", "mandatory"],
    ),
    (BrokerKind::Redis, &["mode", "maxlen", "channel"]),
    (
        BrokerKind::Nats,
        &[
            "jetstream",
            "token",
            "credentials",
            "inboxPrefix",
            "servers",
            "user",
            "pass",
            "name",
            "maxReconnectAttempts",
            "reconnectTimeWait",
        ],
    ),
    (BrokerKind::Mqtt, &["qos", "retain"]),
    (BrokerKind::Kafka, &["brokers", "clientId", "groupId", "sasl", "topic"]),
];
/// Members of a topic that are specific to one kind.
const TOPIC_FIELDS: [(&str, BrokerKind); 13] = [
    ("exchange", BrokerKind::RabbitMq),
    ("routingKey", BrokerKind::RabbitMq),
    ("persistent", BrokerKind::RabbitMq),
    ("mandatory", BrokerKind::RabbitMq),
    ("stream", BrokerKind::Redis),
    ("channel", BrokerKind::Redis),
    ("maxlen", BrokerKind::Redis),
    ("subject", BrokerKind::Nats),
    ("jetstream", BrokerKind::Nats),
    ("qos", BrokerKind::Mqtt),
    ("retain", BrokerKind::Mqtt),
    ("queueUrls", BrokerKind::AwsSqs),
    ("queueUrl", BrokerKind::AwsSqs),
];

pub(super) fn read(broker: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    broker.refuse_unknown(&["tag", "name", "description", "envs", "topics"]);
    let tag = required_tag(broker);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(broker) {
        envs.extend(read_env(slug, &mut env));
        broker.absorb(env);
    }
    let topics = broker
        .raw("topics")
        .is_some()
        .then(|| read_topics(broker, tag.as_deref(), &envs));
    let Some(tag) = tag else {
        return;
    };
    let read = Broker {
        tag: tag.as_ref().into(),
        envs,
        topics,
    };
    if !resources.brokers.add(product, &tag, read) {
        broker.problem("tag", format!("'{tag}' is the tag of another broker of the product"));
    }
}

/// Reads one environment. `None`: invalid.
fn read_env(slug: Box<str>, env: &mut Fields<'_>) -> Option<BrokerEnv> {
    env.refuse_unknown(&["slug", "type", "config", "description"]);
    let kind = env.server_type("type", &BrokerKind::NAMES, BrokerKind::is_built_in);
    if env.raw("config").is_none() {
        env.problem(
            "config",
            "is missing; say how to reach the broker, as in { \"url\": \"amqp://…\" }",
        );
    }
    let mut config = env.object("config")?;
    let read = kind.and_then(|kind| read_config(kind, &mut config));
    env.absorb(config);
    Some(BrokerEnv {
        slug,
        kind: kind?,
        config: read?,
    })
}

fn read_config(kind: BrokerKind, config: &mut Fields<'_>) -> Option<BrokerConfig> {
    let own = CONFIG_FIELDS_BY_KIND
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or(&[][..], |(_, own)| own);
    let read = match cloud::fields(kind) {
        Some(known) => {
            config.refuse_unknown(known);
            cloud::read(kind, config)
        }
        None => {
            config.refuse_unknown(&[&servers::SERVER_FIELDS[..], own].concat());
            servers::read(kind, config)
        }
    };
    let inbox_prefix = read_name(config, "inboxPrefix", BrokerKind::Nats);
    let mut destination = None;
    let mut defaults = TopicOptions::default();
    match kind {
        BrokerKind::RabbitMq => {
            read_rabbitmq(config, &mut defaults);
            read_queue(config, &mut defaults);
        }
        BrokerKind::Redis => read_redis(config, &mut defaults),
        BrokerKind::Nats => defaults.jetstream = config.boolean("jetstream"),
        BrokerKind::Kafka => destination = read_name(config, "topic", kind),
        BrokerKind::AwsSqs => destination = read_queue_url(config),
        BrokerKind::GooglePubSub => destination = read_name(config, "topicName", kind),
        BrokerKind::AzureServiceBus => destination = read_name(config, "queueName", kind),
        _ => read_mqtt(config, &mut defaults),
    }
    Some(BrokerConfig {
        inbox_prefix,
        destination,
        defaults,
        ..read?
    })
}

/// SQS: the queue of all topics that name none.
fn read_queue_url(config: &mut Fields<'_>) -> Option<Box<str>> {
    let address = config.string("queueUrl")?;
    if !cloud::is_http(&address) {
        config.problem("queueUrl", QUEUE_URL_PROBLEM);
    }
    Some(address.as_ref().into())
}

/// SQS: the queue of a topic in each environment.
fn read_queue_urls(topic: &mut Fields<'_>, envs: &[BrokerEnv]) -> Vec<(Box<str>, Text)> {
    let given = ["queueUrls", "queueUrl"].map(|name| (name, topic.raw(name).is_some()));
    if given.iter().all(|(_, given)| *given) {
        topic.problem("queueUrl", "says the same as `queueUrls`; give one of them");
    }
    let Some((name, _)) = given.into_iter().find(|(_, given)| *given) else {
        return Vec::new();
    };
    let mut all: Vec<(Box<str>, Text)> = Vec::new();
    for mut entry in members(topic, name) {
        entry.refuse_unknown(&["env_slug", "url"]);
        for required in ["env_slug", "url"] {
            if entry.raw(required).is_none() {
                entry.problem(
                    required,
                    "is missing; an entry is as in { env_slug: 'prd', url: 'https://…' }",
                );
            }
        }
        let (slug, url) = (entry.tag("env_slug"), entry.string("url"));
        if let (Some(slug), Some(url)) = (slug, url) {
            check_text(&mut entry, "url", &url);
            let url = Text::from(url.as_ref());
            if url.is_plain() && !cloud::is_http(url.as_written()) {
                entry.problem("url", QUEUE_URL_PROBLEM);
            }
            if envs.iter().all(|env| *env.slug != *slug) {
                entry.problem(
                    "env_slug",
                    format!("the broker has no environment '{}'", truncated(&slug)),
                );
            }
            if all.iter().any(|(known, _)| **known == *slug) {
                entry.problem("env_slug", format!("'{}' is there twice", truncated(&slug)));
            }
            all.push((slug.as_ref().into(), url));
        }
        topic.absorb(entry);
    }
    all
}

/// RabbitMQ: a queue, which the default exchange knows by its name.
fn read_queue(config: &mut Fields<'_>, defaults: &mut TopicOptions) {
    let Some(queue) = read_name(config, "queue", BrokerKind::RabbitMq) else {
        return;
    };
    // Beside an exchange it says which queue is bound there, and messages go by their routing keys.
    if defaults.exchange.as_ref().is_none_or(|exchange| exchange.is_empty()) {
        defaults.routing_key.get_or_insert(queue);
    }
}

fn read_redis(config: &mut Fields<'_>, defaults: &mut TopicOptions) {
    let mode = config.one_of("mode", &[("stream", true), ("pubsub", false)]);
    let channel = read_name(config, "channel", BrokerKind::Redis);
    if channel.is_some() && mode == Some(true) {
        config.problem(
            "channel",
            "is for `mode: 'pubsub'`; messages of a stream go by their topics",
        );
    }
    defaults.redis = match (mode, channel) {
        (_, Some(channel)) => Some(RedisTarget::Channel(Some(channel))),
        (Some(true), None) => Some(RedisTarget::Stream(None)),
        (Some(false), None) => Some(RedisTarget::Channel(None)),
        (None, None) => None,
    };
    defaults.maxlen = read_maxlen(config);
}

fn read_topics(broker: &mut Fields<'_>, broker_tag: Option<&str>, envs: &[BrokerEnv]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for mut topic in members(broker, "topics") {
        let mut known = vec!["tag", "name", "description", "headers", "sample"];
        known.extend(TOPIC_FIELDS.map(|(name, _)| name));
        topic.refuse_unknown(&known);
        refuse_fields_of_other_kinds(&mut topic, envs);
        let tag = required_tag(&mut topic);
        if let Some(tag) = &tag
            && topics.iter().any(|other| *other.tag == **tag)
        {
            topic.problem("tag", format!("'{tag}' is the tag of another topic of the broker"));
        }
        let read = read_topic(&mut topic, envs);
        // A tag may name the broker, as in `bus:orders`.
        let local = tag.as_deref().map(|tag| match (tag.split_once(':'), broker_tag) {
            (Some((named, local)), Some(own)) if named == own && !local.is_empty() => local,
            _ => tag,
        });
        check_name(&mut topic, local, &read, envs);
        if let Some(tag) = tag {
            topics.push(Topic {
                tag: tag.as_ref().into(),
                ..read
            });
        }
        broker.absorb(topic);
    }
    topics
}

/// Refuses members of kinds that no environment uses, since they would have no effect.
fn refuse_fields_of_other_kinds(topic: &mut Fields<'_>, envs: &[BrokerEnv]) {
    if envs.is_empty() {
        return;
    }
    for (name, kind) in TOPIC_FIELDS {
        if topic.raw(name).is_some() && envs.iter().all(|env| env.kind != kind) {
            let kind = kind.name();
            topic.problem(
                name,
                format!("is for {kind}, and no environment of the broker is of that type"),
            );
        }
    }
}

/// Reads everything but the tag.
fn read_topic(topic: &mut Fields<'_>, envs: &[BrokerEnv]) -> Topic {
    let mut options = TopicOptions::default();
    read_rabbitmq(topic, &mut options);
    read_mqtt(topic, &mut options);
    options.maxlen = read_maxlen(topic);
    options.jetstream = topic.boolean("jetstream");
    let stream = read_name(topic, "stream", BrokerKind::Redis);
    let channel = read_name(topic, "channel", BrokerKind::Redis);
    if channel.is_some() {
        for other in ["stream", "maxlen"] {
            if topic.raw(other).is_some() {
                topic.problem(
                    other,
                    "cannot go with `channel`: a message is appended to a stream or told to a channel",
                );
            }
        }
    }
    options.redis = match (stream, channel) {
        (Some(stream), _) => Some(RedisTarget::Stream(Some(stream))),
        (None, Some(channel)) => Some(RedisTarget::Channel(Some(channel))),
        (None, None) => None,
    };
    let subject = read_name(topic, "subject", BrokerKind::Nats);
    let name = topic.tag("name").map(|name| Box::from(name.as_ref()));
    if subject.is_some() && name.is_some() {
        topic.problem("subject", "says the same as `name`; give one of them");
    }
    Topic {
        tag: "".into(),
        name: subject.or(name),
        queue_urls: read_queue_urls(topic, envs),
        headers: read_headers(topic),
        options,
    }
}

/// Checks that the topic's name is valid on each of its servers.
fn check_name(topic: &mut Fields<'_>, tag: Option<&str>, read: &Topic, envs: &[BrokerEnv]) {
    let field = if read.name.is_some() { "name" } else { "tag" };
    let Some(name) = read.name.as_deref().or(tag) else {
        return;
    };
    let wrong = envs.iter().find_map(|env| {
        let elsewhere = match env.kind {
            BrokerKind::Kafka | BrokerKind::GooglePubSub | BrokerKind::AzureServiceBus => {
                read.name.is_none() && env.config.destination.is_some()
            }
            BrokerKind::AwsSqs => {
                read.name.is_none() && env.config.destination.is_some()
                    || read.queue_urls.iter().any(|(slug, _)| *slug == env.slug)
            }
            BrokerKind::RabbitMq => read.options.routing_key.is_some() || env.config.defaults.routing_key.is_some(),
            _ => false,
        };
        (!elsewhere).then(|| name_problem(env.kind, name)).flatten()
    });
    if let Some(message) = wrong {
        topic.problem(field, message);
    }
}

fn read_rabbitmq(fields: &mut Fields<'_>, options: &mut TopicOptions) {
    // Empty is valid here: the default exchange, and no routing key.
    for (name, place) in [
        ("exchange", &mut options.exchange),
        ("routingKey", &mut options.routing_key),
    ] {
        let Some(text) = fields.string(name) else {
            continue;
        };
        if !text.is_empty()
            && let Some(message) = tag_problem(&text).or_else(|| name_problem(BrokerKind::RabbitMq, &text))
        {
            fields.problem(name, message);
        }
        *place = Some(text.as_ref().into());
    }
    options.persistent = fields.boolean("persistent");
    options.mandatory = fields.boolean("mandatory");
}

fn read_mqtt(fields: &mut Fields<'_>, options: &mut TopicOptions) {
    options.qos = fields.integer("qos", 0, 2).and_then(|qos| u8::try_from(qos).ok());
    options.retain = fields.boolean("retain");
}

fn read_maxlen(fields: &mut Fields<'_>) -> Option<u64> {
    let count = fields.integer("maxlen", 1, MAX_STREAM_ENTRIES)?;
    u64::try_from(count).ok()
}

fn read_name(fields: &mut Fields<'_>, field: &str, kind: BrokerKind) -> Option<Box<str>> {
    let name = fields.tag(field)?;
    if let Some(message) = name_problem(kind, &name) {
        fields.problem(field, message);
    }
    Some(name.as_ref().into())
}

/// Why a name is invalid on servers of this kind.
fn name_problem(kind: BrokerKind, name: &str) -> Option<String> {
    let wrong = match kind {
        BrokerKind::RabbitMq if name.len() > MAX_NAME_BYTES => "must have at most 255 bytes",
        BrokerKind::Nats if name.contains(['*', '>']) => "cannot hold the wildcards '*' and '>'",
        BrokerKind::Nats if name.contains(char::is_whitespace) => "cannot hold white space",
        BrokerKind::Nats if name.split('.').any(str::is_empty) => {
            "must be words with single dots between them, as in 'orders.created'"
        }
        BrokerKind::Mqtt if name.contains(['#', '+']) => "cannot hold the wildcards '#' and '+'",
        BrokerKind::AwsSqs if !is_sqs_queue(name) => {
            "must be a name of a queue: at most 80 letters, digits, '-' and '_', and '.fifo' at the end of a FIFO queue"
        }
        BrokerKind::GooglePubSub if !is_pubsub_topic(name) => {
            "must be a name of a topic: 3 to 255 letters, digits and '-', '_', '.', '~', '+', '%', first a letter"
        }
        BrokerKind::AzureServiceBus if !is_service_bus_entity(name) => {
            "must be a name of a queue or topic: at most 260 letters, digits and '-', '_', '.', '/'"
        }
        BrokerKind::Kafka if !is_kafka_topic(name) => {
            "must be a name of a topic: at most 249 letters, digits and '.', '_', '-'"
        }
        _ => return None,
    };
    Some(wrong.to_owned())
}

fn is_sqs_queue(name: &str) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() <= 80 && !plain.is_empty() && plain.bytes().all(is_known)
}

fn is_pubsub_topic(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%".contains(&byte);
    (3..=255).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(is_known)
}

fn is_service_bus_entity(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    name.len() <= 260 && name.bytes().all(is_known) && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

fn is_kafka_topic(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= 249 && name.bytes().all(is_known) && !matches!(name, "." | "..")
}

fn read_headers(topic: &mut Fields<'_>) -> Vec<(Box<str>, Text)> {
    let Some(text) = topic.raw("headers") else {
        return Vec::new();
    };
    let Ok(entries) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
        topic.problem(
            "headers",
            format!("must be an object of strings, got {}", describe(text)),
        );
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, value) in &entries {
        let path = format!("headers.{}", truncated(name));
        match serde_json::from_str::<String>(value.get()) {
            _ if !is_header(name) => topic.problem(
                &path,
                "is no name of a header, which has 1 to 64 letters, digits, '-', '_' and '.'",
            ),
            _ if name.to_ascii_lowercase().starts_with("nats-") => topic.problem(
                &path,
                "begins with 'Nats-', as headers do by which NATS itself is steered; use another name, such as 'x-…'",
            ),
            _ if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) => topic.problem(
                &path,
                format!(
                    "is set by the package or the connection itself with some brokers, as are {}; use another name, such as 'x-…'",
                    OWN_HEADERS.join(", ")
                ),
            ),
            Ok(value) if value.chars().any(char::is_control) => {
                topic.problem(&path, "must not contain control characters");
            }
            Ok(value) => {
                check_text(topic, &path, &value);
                headers.push((Box::from(name.as_str()), Text::from(value.as_str())));
            }
            Err(_) => topic.problem(&path, format!("must be a string, got {}", describe(value.get()))),
        }
    }
    if headers.len() > MAX_HEADERS {
        topic.problem(
            "headers",
            format!("must have at most {MAX_HEADERS} entries, got {}", headers.len()),
        );
    }
    headers
}

/// Headers, fields, attributes and properties that carry the message itself, or the request that it is sent by.
const OWN_HEADERS: [&str; 8] = [
    "message",
    "message_id",
    "content_type",
    "Content-Type",
    "Content-Length",
    "BrokerProperties",
    "Authorization",
    "Host",
];

/// Whether a header name is valid for all kinds of servers.
fn is_header(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(known)
}
