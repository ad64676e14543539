//! What only Redis has.

use super::common::common_tests;
use super::support::{Listener, PublishMode, Received, address, config, open, plain, publish, topic, unique};
use crate::resources::{BrokerKind, RedisTarget, TopicOptions};
use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::streams::StreamRangeReply;
use redis::{AsyncCommands, Client};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const KIND: BrokerKind = BrokerKind::Redis;

async fn client(url: &str) -> MultiplexedConnection {
    Client::open(url)
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap()
}

struct Streams;

struct StreamListener {
    client: MultiplexedConnection,
    stream: String,
    last: String,
    ready: Vec<Received>,
}

#[async_trait]
impl PublishMode for Streams {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        TopicOptions::default()
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        Box::new(StreamListener {
            client: client(url).await,
            stream: name.to_owned(),
            last: "0".to_owned(),
            ready: Vec::new(),
        })
    }
}

#[async_trait]
impl Listener for StreamListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        let until = Instant::now() + wait;
        while self.ready.is_empty() && Instant::now() < until {
            let from = format!("({}", self.last);
            let found: StreamRangeReply = self.client.xrange(&self.stream, from, "+").await.unwrap();
            for entry in found.ids {
                self.last = entry.id.clone();
                let mut fields: BTreeMap<String, Vec<u8>> = entry
                    .map
                    .iter()
                    .map(|(name, value)| (name.clone(), redis::from_redis_value(value.clone()).unwrap()))
                    .collect();
                let mut text = |name: &str| fields.remove(name).map(|value| String::from_utf8(value).unwrap());
                let received = Received {
                    body: text("message").unwrap().into_bytes(),
                    id: text("message_id"),
                    content_type: text("content_type"),
                    ..Received::default()
                };
                let headers = fields.into_iter();
                self.ready.push(Received {
                    headers: headers
                        .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
                        .collect(),
                    ..received
                });
            }
            if self.ready.is_empty() {
                // A stream that is asked for a range gives no signal.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        (!self.ready.is_empty()).then(|| self.ready.remove(0))
    }

    async fn remove(mut self: Box<Self>) {
        let _: () = self.client.del(&self.stream).await.unwrap();
    }
}

struct Channels;

struct ChannelListener(PubSub);

#[async_trait]
impl PublishMode for Channels {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        TopicOptions {
            redis: Some(RedisTarget::Channel(None)),
            ..TopicOptions::default()
        }
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        let mut client = Client::open(url).unwrap().get_async_pubsub().await.unwrap();
        client.subscribe(name).await.unwrap();
        Box::new(ChannelListener(client))
    }
}

#[async_trait]
impl Listener for ChannelListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        let mut messages = self.0.on_message();
        let message = tokio::time::timeout(wait, messages.next()).await.ok()??;
        Some(Received {
            body: message.get_payload_bytes().to_vec(),
            ..Received::default()
        })
    }

    async fn remove(self: Box<Self>) {}
}

mod streams {
    use super::*;
    common_tests!(Streams);
}

mod channels {
    use super::*;
    common_tests!(Channels);
}

#[tokio::test]
async fn redis_result_reports_the_entry_id_or_receivers() {
    let Some(url) = address(KIND, "redis_result_reports_the_entry_id_or_receivers") else {
        return;
    };
    let (stream, channel) = (unique(), unique());
    let target = |redis| TopicOptions {
        redis: Some(redis),
        ..TopicOptions::default()
    };
    let topics = vec![
        topic("kept", target(RedisTarget::Stream(Some(stream.as_str().into())))),
        topic("told", target(RedisTarget::Channel(Some(channel.as_str().into())))),
    ];
    let connector = open(KIND, config(&url, TopicOptions::default()), Some(topics))
        .await
        .unwrap();
    let kept = publish(&connector, "kept", "{}").await.unwrap();
    let mut client = client(&url).await;
    let entries: StreamRangeReply = client.xrange_all(&stream).await.unwrap();
    assert_eq!(
        (kept["stream"].as_str(), kept["id"].as_str()),
        (Some(&*stream), Some(&*entries.ids[0].id))
    );
    assert_eq!(publish(&connector, "told", "{}").await.unwrap()["receivers"], 0);
    let listener = Channels.listen(&url, &channel).await;
    assert_eq!(publish(&connector, "told", "{}").await.unwrap()["receivers"], 1);
    listener.remove().await;
    let _: () = client.del(&stream).await.unwrap();
}

#[tokio::test]
async fn redis_stream_is_trimmed_to_about_maxlen() {
    let Some(url) = address(KIND, "redis_stream_is_trimmed_to_about_maxlen") else {
        return;
    };
    let defaults = TopicOptions {
        maxlen: Some(10),
        ..TopicOptions::default()
    };
    let (connector, stream) = (plain(KIND, &url, defaults).await, unique());
    futures_util::future::join_all((0..500).map(|_| publish(&connector, &stream, "{}"))).await;
    let mut client = client(&url).await;
    let kept: usize = client.xlen(&stream).await.unwrap();
    assert!((10..=200).contains(&kept), "{kept}");
    let _: () = client.del(&stream).await.unwrap();
}

#[tokio::test]
async fn redis_key_of_wrong_type_is_not_retried_and_keeps_the_connection() {
    let Some(url) = address(KIND, "redis_key_of_wrong_type_is_not_retried_and_keeps_the_connection") else {
        return;
    };
    let (connector, name) = (plain(KIND, &url, TopicOptions::default()).await, unique());
    let mut client = client(&url).await;
    let _: () = client.set(&name, "text").await.unwrap();
    let failure = publish(&connector, &name, "\"a secret message\"").await.unwrap_err();
    assert_eq!(&*failure.code, "VALIDATION_ERROR");
    assert!(failure.message.contains("WRONGTYPE") && !failure.message.contains("secret"));
    let _: () = client.del(&name).await.unwrap();
    publish(&connector, &name, "1").await.unwrap();
    let _: () = client.del(&name).await.unwrap();
}
