//! What only NATS has.

use super::common::common_tests;
use super::support::{
    Listener, PublishMode, Received, address, at_port, config, host_and_port, open, plain, publish, publish_as, topic,
    unique,
};
use crate::model::JobId;
use crate::resources::{BrokerKind, Topic, TopicOptions};
use crate::testing::proxy::Proxy;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, Subscriber};
use async_trait::async_trait;
use futures_util::{StreamExt, stream as futures};
use std::time::Duration;

const KIND: BrokerKind = BrokerKind::Nats;

fn stored() -> TopicOptions {
    TopicOptions {
        jetstream: Some(true),
        ..TopicOptions::default()
    }
}

/// To whoever listens.
struct Core;
/// Into a stream.
struct Stored;

struct NatsListener {
    client: Client,
    subscription: Subscriber,
    stream: Option<String>,
}

async fn listen(url: &str, name: &str, with_stream: bool) -> Box<dyn Listener> {
    let client = async_nats::connect(url).await.unwrap();
    if with_stream {
        make_stream(&client, name).await;
    }
    let subscription = client.subscribe(name.to_owned()).await.unwrap();
    client.flush().await.unwrap();
    // So that the server has it before anything is published.
    let _ = client.request(client.new_inbox(), "".into()).await;
    Box::new(NatsListener {
        client,
        subscription,
        stream: with_stream.then(|| name.to_owned()),
    })
}

async fn make_stream(client: &Client, name: &str) -> stream::Stream {
    make_limited_stream(client, name, stream::Config::default()).await
}

async fn make_limited_stream(client: &Client, name: &str, limits: stream::Config) -> stream::Stream {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![name.to_owned()],
        storage: stream::StorageType::Memory,
        ..limits
    };
    jetstream::new(client.clone()).create_stream(config).await.unwrap()
}

#[async_trait]
impl Listener for NatsListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        let message = tokio::time::timeout(wait, self.subscription.next()).await.ok()??;
        let headers = message.headers.unwrap_or_default();
        let mut all: std::collections::BTreeMap<String, String> = headers
            .iter()
            .map(|(name, values)| (name.to_string(), values[0].to_string()))
            .collect();
        Some(Received {
            body: message.payload.to_vec(),
            id: all.remove("Nats-Msg-Id"),
            content_type: all.remove("Content-Type"),
            headers: all,
            flags: Vec::new(),
        })
    }

    async fn remove(self: Box<Self>) {
        if let Some(stream) = &self.stream {
            jetstream::new(self.client.clone()).delete_stream(stream).await.unwrap();
        }
    }
}

#[async_trait]
impl PublishMode for Core {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        TopicOptions::default()
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        listen(url, name, false).await
    }
}

#[async_trait]
impl PublishMode for Stored {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        stored()
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        listen(url, name, true).await
    }
}

mod core {
    use super::*;
    common_tests!(Core);
}

mod jet_stream {
    use super::*;
    common_tests!(Stored);
}

#[tokio::test]
async fn nats_stream_deduplicates_a_repeated_message() {
    let Some(url) = address(KIND, "nats_stream_deduplicates_a_repeated_message") else {
        return;
    };
    let (connector, name) = (plain(KIND, &url, stored()).await, unique());
    let client = async_nats::connect(&url).await.unwrap();
    let mut stream = make_stream(&client, &name).await;
    let id = JobId::generate();
    let first = publish_as(&connector, &name, "{}", id.clone()).await.unwrap();
    assert_eq!(
        (&first["stream"], &first["seq"], &first["duplicate"]),
        (&name.as_str().into(), &1.into(), &false.into())
    );
    let second = publish_as(&connector, &name, "{}", id).await.unwrap();
    assert_eq!((&second["seq"], &second["duplicate"]), (&1.into(), &true.into()));
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
    jetstream::new(client).delete_stream(&name).await.unwrap();
}

#[tokio::test]
async fn nats_is_found_by_any_server_of_the_list() {
    let Some(url) = address(KIND, "nats_is_found_by_any_server_of_the_list") else {
        return;
    };
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = config(&format!("nats://{gone}"), TopicOptions::default());
    settings.others = vec![url.as_str().into()];
    let connector = open(KIND, settings, None).await.unwrap();
    publish(&connector, &unique(), "{}").await.unwrap();
    connector.check().await.unwrap();
}

#[tokio::test]
async fn nats_subject_without_a_stream_is_not_found() {
    let Some(url) = address(KIND, "nats_subject_without_a_stream_is_not_found") else {
        return;
    };
    let connector = plain(KIND, &url, stored()).await;
    let failure = publish(&connector, &unique(), "{}").await.unwrap_err();
    assert_eq!(&*failure.code, "NOT_FOUND");
    assert!(failure.message.contains("stream"));
}

#[tokio::test]
async fn a_full_stream_is_tried_again_and_takes_messages_once_there_is_room() {
    let Some(url) = address(
        KIND,
        "a_full_stream_is_tried_again_and_takes_messages_once_there_is_room",
    ) else {
        return;
    };
    let proxy = Proxy::to(&host_and_port(&url)).await;
    let connector = plain(KIND, &at_port(&url, proxy.port()), stored()).await;
    let client = async_nats::connect(&url).await.unwrap();
    let new = || stream::Config {
        discard: stream::DiscardPolicy::New,
        ..stream::Config::default()
    };
    let limits = [
        (
            "maximum messages exceeded",
            stream::Config {
                max_messages: 1,
                ..new()
            },
        ),
        (
            "maximum bytes exceeded",
            stream::Config {
                max_bytes: 300,
                ..new()
            },
        ),
        (
            "maximum messages per subject exceeded",
            stream::Config {
                max_messages: 10,
                max_messages_per_subject: 1,
                discard_new_per_subject: true,
                ..new()
            },
        ),
    ];
    for (words, limits) in limits {
        let name = unique();
        let stream = make_limited_stream(&client, &name, limits).await;
        publish(&connector, &name, "{}").await.unwrap();
        let failure = publish(&connector, &name, &format!("\"{}\"", "x".repeat(200)))
            .await
            .unwrap_err();
        assert_eq!(&*failure.code, "SERVICE_UNAVAILABLE", "{failure:?}");
        assert!(failure.message.starts_with(words), "{failure:?}");
        // As a consumer of a work queue does it.
        stream.purge().await.unwrap();
        publish(&connector, &name, "{}").await.unwrap();
        jetstream::new(client.clone()).delete_stream(&name).await.unwrap();
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn what_a_stream_never_takes_is_not_tried_again() {
    let Some(url) = address(KIND, "what_a_stream_never_takes_is_not_tried_again") else {
        return;
    };
    let proxy = Proxy::to(&host_and_port(&url)).await;
    let client = async_nats::connect(&url).await.unwrap();
    let (name, sealed) = (unique(), unique());
    let limits = stream::Config {
        max_message_size: 300,
        ..stream::Config::default()
    };
    make_limited_stream(&client, &name, limits).await;
    let mut closed = make_stream(&client, &sealed).await.cached_info().config.clone();
    closed.sealed = true;
    let streams = jetstream::new(client);
    streams.update_stream(closed).await.unwrap();
    let to = |tag: &str, name: &str, header: Option<&str>| Topic {
        name: Some(name.into()),
        headers: header.map(|header| (header.into(), "all".into())).into_iter().collect(),
        ..topic(tag, stored())
    };
    let topics = vec![
        to("sized", &name, None),
        to("sealed", &sealed, None),
        to("rolled", &name, Some("Nats-Rollup")),
        to("elsewhere", &name, Some("Nats-Expected-Stream")),
    ];
    let settings = config(&at_port(&url, proxy.port()), stored());
    let connector = open(KIND, settings, Some(topics)).await.unwrap();
    let large = format!("\"{}\"", "x".repeat(400));
    for (event, message, words) in [
        ("sized", &*large, "message size exceeds maximum allowed"),
        ("sealed", "{}", "invalid operation on sealed stream"),
        ("rolled", "{}", "rollup not permitted"),
        ("elsewhere", "{}", "expected stream does not match"),
    ] {
        let failure = publish(&connector, event, message).await.unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{event}: {failure:?}");
        assert!(failure.message.starts_with(words), "{event}: {failure:?}");
    }
    publish(&connector, "sized", "{}").await.unwrap();
    assert_eq!(proxy.connections(), 1);
    for name in [name, sealed] {
        streams.delete_stream(&name).await.unwrap();
    }
}

#[tokio::test]
async fn invalid_nats_subject_or_oversized_message_is_refused_before_sending() {
    let Some(url) = address(
        KIND,
        "invalid_nats_subject_or_oversized_message_is_refused_before_sending",
    ) else {
        return;
    };
    for options in [TopicOptions::default(), stored()] {
        let proxy = Proxy::to(&host_and_port(&url)).await;
        let connector = plain(KIND, &at_port(&url, proxy.port()), options).await;
        for subject in ["a..b", "orders.>", "a b", "*", "", "x\r\nPUB y 0"] {
            let failure = publish(&connector, subject, "{}").await.unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{subject}");
        }
        let large = format!("\"{}\"", "x".repeat(2 << 20));
        let failure = publish(&connector, &unique(), &large).await.unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        assert!(failure.message.len() < 300);
        connector.check().await.unwrap();
        assert_eq!(proxy.connections(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_stores_each_message_once_although_connections_break() {
    let Some(url) = address(KIND, "a_stream_stores_each_message_once_although_connections_break") else {
        return;
    };
    let proxy = Proxy::to(&host_and_port(&url)).await;
    let (connector, name) = (plain(KIND, &at_port(&url, proxy.port()), stored()).await, unique());
    let client = async_nats::connect(&url).await.unwrap();
    let mut stream = make_stream(&client, &name).await;
    let (connector, proxy, subject) = (&connector, &proxy, &name);
    let publishes = futures::iter(0..200).map(|number| async move {
        // Breaks the connection under those that are publishing.
        if number % 30 == 29 {
            proxy.cut();
        }
        let id = JobId::generate();
        while publish_as(connector, subject, "{}", id.clone()).await.is_err() {
            // Real time: the pause between two attempts.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    publishes.buffer_unordered(10).collect::<Vec<()>>().await;
    assert_eq!(stream.info().await.unwrap().state.messages, 200);
    jetstream::new(client).delete_stream(&name).await.unwrap();
}
