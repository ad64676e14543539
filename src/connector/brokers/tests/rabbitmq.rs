//! What only RabbitMQ has.

use super::common::common_tests;
use super::support::{
    Listener, PublishMode, Received, address, at_port, config, host_and_port, open, plain, publish, publish_as,
    receive_all, topic, unique,
};
use crate::model::JobId;
use crate::resources::{BrokerKind, Topic, TopicOptions};
use crate::testing::eventually::eventually;
use crate::testing::proxy::Proxy;
use crate::testing::rabbitmq::RabbitMqServer;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use lapin::options::{
    BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KIND: BrokerKind = BrokerKind::RabbitMq;

/// To a queue, by the default exchange.
struct Queue;

struct QueueListener {
    _connection: Connection,
    channel: Channel,
    queue: String,
}

async fn listen(url: &str, name: &str, arguments: FieldTable) -> QueueListener {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let declare = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(name.into(), declare, arguments).await.unwrap();
    QueueListener {
        _connection: connection,
        channel,
        queue: name.to_owned(),
    }
}

#[async_trait]
impl PublishMode for Queue {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        TopicOptions::default()
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        Box::new(listen(url, name, FieldTable::default()).await)
    }
}

#[async_trait]
impl Listener for QueueListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        let until = Instant::now() + wait;
        let get = BasicGetOptions { no_ack: true };
        let message = loop {
            match self.channel.basic_get((&*self.queue).into(), get).await.unwrap() {
                Some(message) => break message.delivery,
                None if Instant::now() > until => return None,
                // A queue that is asked for one message gives no signal.
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let said = &message.properties;
        let headers = said.headers().clone().unwrap_or_default();
        Some(Received {
            id: said.message_id().as_ref().map(ToString::to_string),
            content_type: said.content_type().as_ref().map(ToString::to_string),
            headers: headers
                .inner()
                .iter()
                .filter_map(|(name, value)| match value {
                    AMQPValue::LongString(value) => Some((name.to_string(), value.to_string())),
                    _ => None,
                })
                .collect(),
            flags: vec![
                format!("delivery mode {:?}", said.delivery_mode()),
                format!("key {}", message.routing_key),
            ],
            body: message.data,
        })
    }

    async fn remove(self: Box<Self>) {
        let delete = QueueDeleteOptions::default();
        self.channel.queue_delete((&*self.queue).into(), delete).await.unwrap();
    }
}

mod queue {
    use super::*;
    common_tests!(Queue);
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind, internal: bool) {
    let declare = ExchangeDeclareOptions {
        internal,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, declare, FieldTable::default())
        .await
        .unwrap();
}

async fn remove_exchange(channel: &Channel, name: &str) {
    channel
        .exchange_delete(name.into(), ExchangeDeleteOptions::default())
        .await
        .unwrap();
}

/// Topics of an exchange: two whose key is bound, and two whose key is not.
fn exchange_topics(events: &str) -> Vec<Topic> {
    let to = |key: &str, persistent| TopicOptions {
        exchange: Some(events.into()),
        routing_key: Some(key.into()),
        persistent,
        ..TopicOptions::default()
    };
    vec![
        topic("kept", to("orders.created", None)),
        topic("brief", to("orders.seen", Some(false))),
        topic("lost", to("bills.created", None)),
        topic(
            "maybe",
            TopicOptions {
                mandatory: Some(false),
                ..to("bills.created", None)
            },
        ),
    ]
}

async fn bind_orders(channel: &Channel, queue: &str, events: &str) {
    channel
        .queue_bind(
            queue.into(),
            events.into(),
            "orders.#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn rabbitmq_exchange_key_and_persistence_come_from_the_topic() {
    let Some(url) = address(KIND, "rabbitmq_exchange_key_and_persistence_come_from_the_topic") else {
        return;
    };
    let (name, events) = (unique(), unique());
    let listener = listen(&url, &name, FieldTable::default()).await;
    let channel = listener.channel.clone();
    exchange(&channel, &events, ExchangeKind::Topic, false).await;
    bind_orders(&channel, &name, &events).await;
    let connector = open(
        KIND,
        config(&url, TopicOptions::default()),
        Some(exchange_topics(&events)),
    )
    .await
    .unwrap();
    let result = publish(&connector, "kept", "1").await.unwrap();
    assert_eq!(
        (&result["exchange"], &result["routing_key"]),
        (&events.as_str().into(), &"orders.created".into())
    );
    publish(&connector, "brief", "2").await.unwrap();
    let failure = publish(&connector, "lost", "\"a secret\"").await.unwrap_err();
    assert_eq!(&*failure.code, "NOT_FOUND");
    assert!(failure.message.contains("bills.created") && !failure.message.contains("secret"));
    publish(&connector, "maybe", "4").await.unwrap();
    let mut listener: Box<dyn Listener> = Box::new(listener);
    let flags: Vec<_> = receive_all(&mut listener, 2)
        .await
        .into_iter()
        .map(|message| message.flags.join(", "))
        .collect();
    assert_eq!(
        flags,
        [
            "delivery mode Some(2), key orders.created",
            "delivery mode Some(1), key orders.seen"
        ]
    );
    remove_exchange(&channel, &events).await;
    listener.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_confirms_and_returns_are_matched_to_their_message() {
    let Some(url) = address(
        KIND,
        "the_server_s_word_on_one_message_is_not_taken_for_that_on_another",
    ) else {
        return;
    };
    let (name, nowhere, forbidden) = (unique(), unique(), unique());
    let mut listener: Box<dyn Listener> = Box::new(listen(&url, &name, FieldTable::default()).await);
    let helper = listen(&url, &unique(), FieldTable::default()).await;
    exchange(&helper.channel, &forbidden, ExchangeKind::Fanout, true).await;
    let to = |exchange: &str| TopicOptions {
        exchange: Some(exchange.into()),
        ..TopicOptions::default()
    };
    let topics = vec![
        topic(&name, TopicOptions::default()),
        topic("unrouted", TopicOptions::default()),
        topic("missing", to(&nowhere)),
        topic("internal", to(&forbidden)),
    ];
    let proxy = Proxy::to(&host_and_port(&url)).await;
    let server = config(&at_port(&url, proxy.port()), TopicOptions::default());
    let connector = open(KIND, server, Some(topics)).await.unwrap();
    let wanted = [
        (&*name, Ok(())),
        ("unrouted", Err("NOT_FOUND")),
        ("missing", Err("NOT_FOUND")),
        ("internal", Err("FORBIDDEN")),
    ];
    let attempts = stream::iter(0..400).map(|number: usize| {
        let (event, expected) = wanted[number % wanted.len()];
        let (connector, message) = (Arc::clone(&connector), number.to_string());
        async move {
            let answer = publish(&connector, event, &message).await;
            let code = answer.map(|_| ()).map_err(|failure| failure.code.to_string());
            assert_eq!(code, expected.map_err(str::to_owned), "{event}");
        }
    });
    attempts.buffer_unordered(50).collect::<Vec<()>>().await;
    assert_eq!(receive_all(&mut listener, 100).await.len(), 100);
    assert_eq!(proxy.connections(), 1);
    remove_exchange(&helper.channel, &forbidden).await;
    Box::new(helper).remove().await;
    listener.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_too_long_for_the_protocol_is_sent_as_its_hash() {
    let Some(url) = address(KIND, "an_id_that_is_too_long_for_the_protocol_is_sent_as_its_hash") else {
        return;
    };
    let name = unique();
    let mut listener: Box<dyn Listener> = Box::new(listen(&url, &name, FieldTable::default()).await);
    let connector = plain(KIND, &url, TopicOptions::default()).await;
    let id = JobId::parse(&"x".repeat(254)).unwrap();
    for _attempt in 0..2 {
        let result = publish_as(&connector, &name, "1", id.clone()).await.unwrap();
        let received = receive_all(&mut listener, 1).await;
        let sent = received[0].id.clone().unwrap();
        assert_eq!(result["message_id"], sent);
        assert_eq!(sent.len(), 64);
    }
    listener.remove().await;
}

#[tokio::test]
async fn full_queue_is_a_retryable_failure() {
    let Some(url) = address(KIND, "a_queue_that_is_full_refuses_and_is_tried_again") else {
        return;
    };
    let name = unique();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let listener = listen(&url, &name, arguments).await;
    let connector = plain(KIND, &url, TopicOptions::default()).await;
    publish(&connector, &name, "1").await.unwrap();
    let failure = publish(&connector, &name, "2").await.unwrap_err();
    assert_eq!(&*failure.code, "SERVICE_UNAVAILABLE");
    Box::new(listener).remove().await;
}

#[tokio::test]
async fn unknown_virtual_host_and_wrong_password_have_their_codes() {
    let Some(url) = address(KIND, "virtual_hosts_and_passwords_are_the_server_s_to_judge") else {
        return;
    };
    let host_and_port = host_and_port(&url);
    let cases = [
        (
            format!("amqp://guest:not-this-password@{host_and_port}"),
            "UNAUTHORIZED",
        ),
        (
            format!("amqp://nobody-there:not-this-password@{host_and_port}/"),
            "UNAUTHORIZED",
        ),
        (format!("amqp://guest:guest@{host_and_port}/no-such-host"), "NOT_FOUND"),
    ];
    for (url, code) in cases {
        let connector = plain(KIND, &url, TopicOptions::default()).await;
        let failure = publish(&connector, "x", "{}").await.unwrap_err();
        assert_eq!(&*failure.code, code, "{failure:?}");
        assert!(!failure.message.contains("not-this-password"));
        assert_eq!(connector.check().await.unwrap_err().code, failure.code);
    }
    for path in ["", "/", "/%2f"] {
        let connector = plain(
            KIND,
            &format!("amqp://guest:guest@{host_and_port}{path}"),
            TopicOptions::default(),
        )
        .await;
        connector.check().await.unwrap();
        connector.close().await;
    }
    let named = publish(
        &plain(KIND, &url, TopicOptions::default()).await,
        &"x".repeat(256),
        "{}",
    )
    .await;
    assert_eq!(&*named.unwrap_err().code, "VALIDATION_ERROR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_an_alarm_messages_are_refused_at_once_with_its_reason() {
    let test = "during_an_alarm_messages_are_refused_at_once_with_its_reason";
    let Some(server) = RabbitMqServer::start(test) else {
        return;
    };
    let url = server.url();
    let name = unique();
    let mut listener: Box<dyn Listener> = Box::new(listen(&url, &name, FieldTable::default()).await);
    let proxy = Proxy::to(&host_and_port(&url)).await;
    let through = at_port(&url, proxy.port());
    let used = plain(KIND, &through, TopicOptions::default()).await;
    publish(&used, &name, "\"before\"").await.unwrap();
    server.set_memory_alarm(true);
    let fresh = plain(KIND, &through, TopicOptions::default()).await;
    for (connector, message) in [(&used, "\"used\""), (&fresh, "\"fresh\"")] {
        // The server says so only after a message, which it may take when the alarm is over.
        let began = Instant::now();
        let failure = publish(connector, &name, message).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(&*failure.code, "SERVICE_UNAVAILABLE", "{failure:?}");
        for part in ["low on memory", "may take it later"] {
            assert!(failure.message.contains(part), "{failure:?}");
        }
        let began = Instant::now();
        let failure = publish(connector, &name, "\"not sent\"").await.unwrap_err();
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        assert_eq!(&*failure.code, "SERVICE_UNAVAILABLE", "{failure:?}");
        assert!(failure.message.contains("low on memory") && !failure.message.contains("later"));
        assert_eq!(&*connector.check().await.unwrap_err().code, "SERVICE_UNAVAILABLE");
    }
    // Also where many find out together, and where the process then has no time to wait.
    let crowd = plain(KIND, &through, TopicOptions::default()).await;
    let began = Instant::now();
    let attempts = (0..50).map(|_| publish(&crowd, "nowhere", "0"));
    for answer in futures_util::future::join_all(attempts).await {
        assert_eq!(&*answer.unwrap_err().code, "SERVICE_UNAVAILABLE");
    }
    crowd.close().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    server.set_memory_alarm(false);
    for connector in [&used, &fresh] {
        eventually("the alarm is over", async || connector.check().await.is_ok()).await;
        publish(connector, &name, "\"after\"").await.unwrap();
    }
    assert_eq!(proxy.connections(), 3);
    let mut bodies: Vec<_> = receive_all(&mut listener, 5)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    bodies.sort();
    let expected: [&[u8]; 5] = [b"after", b"after", b"before", b"fresh", b"used"];
    assert_eq!(bodies, expected);
    listener.remove().await;
}
