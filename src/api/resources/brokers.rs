//! Reads message brokers and their topics.

use super::environments::environments;
use super::members::{members, required_tag};
use crate::api::fields::{Fields, describe, tag_problem, truncated};
use crate::resources::{
    Broker, BrokerConfig, BrokerEnv, BrokerKind, RedisTarget, Resources, Text, Topic, TopicOptions,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use url::Url;

/// Longest name of a topic, queue or exchange, in bytes: the limit of AMQP.
const MAX_NAME_BYTES: usize = 255;
/// Most headers of a topic.
const MAX_HEADERS: usize = 50;
/// Upper limit of `maxlen`.
const MAX_STREAM_ENTRIES: i64 = 1_000_000_000_000;

/// Members of `config` common to all kinds.
const COMMON_CONFIG_FIELDS: [&str; 4] = ["url", "username", "password", "ca"];
/// Members of `config` of each kind.
const CONFIG_FIELDS_BY_KIND: [(BrokerKind, &[&str]); 4] = [
    (
        BrokerKind::RabbitMq,
        &["exchange", "routingKey", "persistent", "mandatory"],
    ),
    (BrokerKind::Redis, &["mode", "maxlen"]),
    (BrokerKind::Nats, &["jetstream", "token", "credentials", "inboxPrefix"]),
    (BrokerKind::Mqtt, &["qos", "retain"]),
];
/// Members of a topic that are specific to one kind.
const TOPIC_FIELDS: [(&str, BrokerKind); 11] = [
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
];

pub(super) fn read(broker: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    broker.refuse_unknown(&["tag", "name", "description", "envs", "topics"]);
    let tag = required_tag(broker);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(broker) {
        envs.extend(read_env(slug, &mut env));
        broker.absorb(env);
    }
    let topics = broker.raw("topics").is_some().then(|| read_topics(broker, &envs));
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
    if let Some(kind) = kind.filter(|kind| !kind.is_described()) {
        // Its handlers know what to do with the rest.
        let config = BrokerConfig::default();
        return Some(BrokerEnv { slug, kind, config });
    }
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
    config.refuse_unknown(&[&COMMON_CONFIG_FIELDS[..], own].concat());
    let url = read_url(kind, config);
    let mut defaults = TopicOptions::default();
    match kind {
        BrokerKind::RabbitMq => read_rabbitmq(config, &mut defaults),
        BrokerKind::Redis => {
            let mode = config.one_of("mode", &[("stream", true), ("pubsub", false)]);
            defaults.redis = mode.map(|stream| {
                if stream {
                    RedisTarget::Stream(None)
                } else {
                    RedisTarget::Channel(None)
                }
            });
            defaults.maxlen = read_maxlen(config);
        }
        BrokerKind::Nats => defaults.jetstream = config.boolean("jetstream"),
        _ => read_mqtt(config, &mut defaults),
    }
    let secret = |config: &mut Fields<'_>, name: &str| config.string(name).map(|text| Text::from(text.as_ref()));
    if kind == BrokerKind::Nats {
        check_nats_credentials(config);
    }
    Some(BrokerConfig {
        username: secret(config, "username"),
        password: secret(config, "password"),
        token: secret(config, "token"),
        credentials: secret(config, "credentials"),
        inbox_prefix: read_name(config, "inboxPrefix", BrokerKind::Nats),
        ca: secret(config, "ca"),
        defaults,
        url: url?,
    })
}

fn check_nats_credentials(config: &mut Fields<'_>) {
    let given: Vec<&str> = ["password", "token", "credentials"]
        .into_iter()
        .filter(|name| config.raw(name).is_some())
        .collect();
    if let [_, second, ..] = given.as_slice() {
        let message = format!("give one of {}, not several", given.join(", "));
        config.problem(second, message);
    }
}

/// Reads the URL, and checks it unless it holds a secret.
fn read_url(kind: BrokerKind, config: &mut Fields<'_>) -> Option<Text> {
    let example = kind.schemes().first().map_or("amqp", |(scheme, _)| scheme);
    if config.raw("url").is_none() {
        config.problem(
            "url",
            format!("is missing; it must be an address, as in '{example}://host'"),
        );
        return None;
    }
    let written = config.string("url")?;
    let text = Text::from(written.as_ref());
    if text.is_plain()
        && let Some(message) = url_problem(kind, &written)
    {
        config.problem("url", message);
        return None;
    }
    Some(text)
}

/// What is wrong with a URL, without repeating it, since it may hold a password.
fn url_problem(kind: BrokerKind, text: &str) -> Option<String> {
    let schemes: Vec<&str> = kind.schemes().iter().map(|(scheme, _)| *scheme).collect();
    let example = schemes.first().copied().unwrap_or_default();
    let Ok(url) = Url::parse(text) else {
        return Some(format!(
            "is no address; it must be as in '{example}://user:password@host:port', with special characters in user and password percent-encoded, or given as `username` and `password`"
        ));
    };
    if !schemes.contains(&url.scheme()) {
        let message = format!(
            "must begin with {}, got '{}://'",
            list(&schemes),
            truncated(url.scheme())
        );
        return Some(message);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some(format!("names no host; it must be as in '{example}://host'"));
    }
    (url.port() == Some(0)).then(|| "port 0 cannot be connected to".to_owned())
}

fn list(schemes: &[&str]) -> String {
    let quoted: Vec<String> = schemes.iter().map(|scheme| format!("'{scheme}://'")).collect();
    quoted.join(" or ")
}

fn read_topics(broker: &mut Fields<'_>, envs: &[BrokerEnv]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for mut topic in members(broker, "topics") {
        let mut known = vec!["tag", "name", "description", "headers"];
        known.extend(TOPIC_FIELDS.map(|(name, _)| name));
        topic.refuse_unknown(&known);
        refuse_fields_of_other_kinds(&mut topic, envs);
        let tag = required_tag(&mut topic);
        if let Some(tag) = &tag
            && topics.iter().any(|other| *other.tag == **tag)
        {
            topic.problem("tag", format!("'{tag}' is the tag of another topic of the broker"));
        }
        let read = read_topic(&mut topic);
        check_name(&mut topic, tag.as_deref(), &read, envs);
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
fn read_topic(topic: &mut Fields<'_>) -> Topic {
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
        _ => return None,
    };
    Some(wrong.to_owned())
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
                "is no name of a header; use letters, digits and '-', '_', '.', and none that begins with 'Nats-'",
            ),
            Ok(value) if value.chars().any(char::is_control) => {
                topic.problem(&path, "must not contain control characters");
            }
            Ok(value) => headers.push((Box::from(name.as_str()), Text::from(value.as_str()))),
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

/// Whether a header name is valid for all kinds of servers and has no special meaning to any.
fn is_header(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(known) && !name.to_ascii_lowercase().starts_with("nats-")
}
