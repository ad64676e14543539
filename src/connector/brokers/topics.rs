//! Which topic an event is, and how it is published to.
//!
//! Invariant: a topic's options win over the broker's, and those over the defaults.

use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{Broker, BrokerEnv, RedisTarget, TopicOptions};
use std::borrow::Cow;

/// How names begin by which servers are steered: of JetStream, its buckets and objects, answers, and the server's own figures. Who may
/// choose an event must not purge a stream by it.
const OWN_NAMES: [&str; 5] = ["$JS.", "$KV.", "$O.", "$SYS", "_INBOX."];

/// The topics of a broker in one environment.
pub(super) struct Topics {
    broker: Box<str>,
    /// `None`: any event is one.
    known_topics: Option<Vec<(Box<str>, Destination)>>,
    /// Where events go that are not known by themselves.
    destination: Option<Box<str>>,
    defaults: TopicOptions,
}

/// Where a message goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// Its name at the server.
    pub(super) name: Box<str>,
    /// Names and values that go with each message.
    pub(super) headers: Vec<(Box<str>, String)>,
    /// The topic's own, then the broker's.
    pub(super) options: TopicOptions,
}

/// The name of an event that says which broker it is of.
pub(super) fn qualified_event(broker: &str, topic: &str) -> Box<str> {
    format!("{broker}:{topic}").into()
}

/// An event without the broker that it may name.
pub(super) fn local_event<'a>(broker: &str, event: &'a str) -> &'a str {
    let local = event.strip_prefix(broker).and_then(|rest| rest.strip_prefix(':'));
    local.filter(|local| !local.is_empty()).unwrap_or(event)
}

impl Topics {
    /// Reads a broker's topics, and puts the secrets into their headers.
    pub(super) async fn reveal(
        broker: &Broker,
        env: &BrokerEnv,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let config = &env.config;
        let mut known_topics = None;
        for topic in broker.topics.iter().flatten() {
            let mut headers = Vec::with_capacity(topic.headers.len());
            for (name, value) in &topic.headers {
                headers.push((name.clone(), expressions.reveal(value.as_written()).await?));
            }
            let local: Box<str> = local_event(&broker.tag, &topic.tag).into();
            let named = topic.name.as_ref().or(config.destination.as_ref()).unwrap_or(&local);
            let queue_url = topic.queue_urls.iter().find(|(slug, _)| *slug == env.slug);
            let destination = Destination {
                name: match queue_url {
                    Some((_, url)) => expressions.reveal(url.as_written()).await?.into(),
                    None => named.clone(),
                },
                headers,
                options: merge_options(&topic.options, &config.defaults),
            };
            known_topics
                .get_or_insert_with(Vec::new)
                .push((topic.tag.clone(), destination));
        }
        if broker.topics.is_some() && known_topics.is_none() {
            known_topics = Some(Vec::new());
        }
        Ok(Self {
            broker: broker.tag.clone(),
            known_topics,
            destination: config.destination.clone(),
            defaults: config.defaults.clone(),
        })
    }

    /// The topic of an event: `topic`, or `broker:topic`.
    ///
    /// # Errors
    /// `NOT_FOUND` when topics are listed and it is none of them.
    pub(super) fn find(&self, event: &str) -> Result<Cow<'_, Destination>, Failure> {
        let named = |tag: &str| {
            let known_topics = self.known_topics.iter().flatten();
            known_topics
                .filter(|(known, _)| **known == *tag)
                .map(|(_, destination)| destination)
                .next()
        };
        let local = event.strip_prefix(&*qualified_event(&self.broker, ""));
        if self.known_topics.is_some() {
            return named(event)
                .or_else(|| named(local?))
                .or_else(|| named(&qualified_event(&self.broker, event)))
                .map(Cow::Borrowed)
                .ok_or_else(|| {
                    Failure::not_found(format!("the broker has no topic '{event}'; name it in its `topics`"))
                });
        }
        let named = local.unwrap_or(event);
        if self.destination.is_none() && OWN_NAMES.iter().any(|own| named.starts_with(own)) {
            return Err(Failure::invalid(format!(
                "'{event}' begins as names of the server itself do; name it in the broker's `topics` if it is meant"
            )));
        }
        Ok(Cow::Owned(Destination {
            name: self.destination.clone().unwrap_or_else(|| named.into()),
            headers: Vec::new(),
            options: self.defaults.clone(),
        }))
    }
}

fn merge_options(own: &TopicOptions, all: &TopicOptions) -> TopicOptions {
    TopicOptions {
        exchange: own.exchange.clone().or_else(|| all.exchange.clone()),
        routing_key: own.routing_key.clone().or_else(|| all.routing_key.clone()),
        persistent: own.persistent.or(all.persistent),
        mandatory: own.mandatory.or(all.mandatory),
        redis: own.redis.clone().or_else(|| all.redis.clone()),
        // The broker's is for its streams; a channel keeps nothing.
        maxlen: match &own.redis {
            Some(RedisTarget::Channel(_)) => None,
            _ => own.maxlen.or(all.maxlen),
        },
        jetstream: own.jetstream.or(all.jetstream),
        qos: own.qos.or(all.qos),
        retain: own.retain.or(all.retain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{BrokerConfig, BrokerKind, Text, Topic};

    fn config(defaults: TopicOptions) -> BrokerConfig {
        BrokerConfig {
            url: Text::from("nats://h"),
            defaults,
            ..BrokerConfig::default()
        }
    }

    async fn topics(topics: Option<Vec<Topic>>, defaults: TopicOptions) -> Topics {
        let broker = Broker {
            tag: "b".into(),
            envs: Vec::new(),
            topics,
        };
        let env = BrokerEnv {
            slug: "e".into(),
            kind: BrokerKind::Nats,
            config: config(defaults),
        };
        Topics::reveal(&broker, &env, &ExpressionResolver::default())
            .await
            .unwrap()
    }

    fn topic(tag: &str, name: Option<&str>, options: TopicOptions) -> Topic {
        Topic {
            tag: tag.into(),
            name: name.map(Into::into),
            queue_urls: Vec::new(),
            headers: Vec::new(),
            options,
        }
    }

    #[tokio::test]
    async fn an_event_is_a_topic_by_its_tag_with_or_without_the_broker() {
        let known_topics = topics(
            Some(vec![
                topic("orders", Some("shop.orders"), TopicOptions::default()),
                topic("b:orders", Some("odd"), TopicOptions::default()),
                topic("plain", None, TopicOptions::default()),
            ]),
            TopicOptions::default(),
        )
        .await;
        let name = |event: &str| known_topics.find(event).map(|found| found.name.to_string());
        assert_eq!(name("orders").unwrap(), "shop.orders");
        assert_eq!(name("b:orders").unwrap(), "odd");
        assert_eq!(name("b:plain").unwrap(), "plain");
        for unknown in ["other", "c:plain", "b:other", "shop.orders", ""] {
            assert_eq!(&*name(unknown).unwrap_err().code, "NOT_FOUND", "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_topic_may_name_its_broker_in_its_tag() {
        let topics = topics(
            Some(vec![topic("b:orders", None, TopicOptions::default())]),
            TopicOptions::default(),
        )
        .await;
        for event in ["orders", "b:orders"] {
            assert_eq!(&*topics.find(event).unwrap().name, "orders");
        }
        assert!(topics.find("c:orders").is_err());
    }

    #[tokio::test]
    async fn without_topics_an_event_goes_under_its_own_name() {
        let open = topics(None, TopicOptions::default()).await;
        for (event, name) in [("orders", "orders"), ("b:orders", "orders"), ("c:orders", "c:orders")] {
            assert_eq!(&*open.find(event).unwrap().name, name);
        }
        let none = topics(Some(Vec::new()), TopicOptions::default()).await;
        assert!(none.find("orders").is_err());
    }

    #[tokio::test]
    async fn names_of_the_server_itself_are_those_of_listed_topics_only() {
        let open = topics(None, TopicOptions::default()).await;
        let purge = "$JS.API.STREAM.PURGE.orders";
        for own in [purge, "b:$KV.bucket.key", "$SYS.REQ", "_INBOX.x"] {
            assert_eq!(&*open.find(own).unwrap_err().code, "VALIDATION_ERROR", "{own}");
        }
        assert!(open.find("orders.$JS.").is_ok());
        let listed = topics(
            Some(vec![topic(purge, None, TopicOptions::default())]),
            TopicOptions::default(),
        )
        .await;
        assert_eq!(&*listed.find(purge).unwrap().name, purge);
    }

    #[tokio::test]
    async fn topic_options_override_broker_options() {
        let all = TopicOptions {
            qos: Some(0),
            maxlen: Some(9),
            exchange: Some("x".into()),
            ..TopicOptions::default()
        };
        let own = TopicOptions {
            qos: Some(2),
            redis: Some(RedisTarget::Channel(Some("c".into()))),
            ..TopicOptions::default()
        };
        let found = topics(Some(vec![topic("t", None, own)]), all).await;
        let options = found.find("t").unwrap().options.clone();
        assert_eq!(
            (options.qos, options.exchange.as_deref(), options.maxlen),
            (Some(2), Some("x"), None)
        );
    }
}
