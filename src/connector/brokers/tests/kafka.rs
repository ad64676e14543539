//! What only Kafka has. Topics are made and read by a client of others.

use super::common::common_tests;
use super::support::{
    Listener, PublishMode, Received, address, at_port, config, host_and_port, open, plain, publish, publish_as, topic,
    unique,
};
use crate::connector::{Call, Connector, Failure, Limits, test_support};
use crate::engine::inputs::ExpressionResolver;
use crate::engine::steps::Steps;
use crate::model::{JobId, Namespace};
use crate::resources::{BrokerKind, SaslMechanism, TopicOptions};
use crate::store::sqlite::SqliteStore;
use crate::testing::proxy::Proxy;
use crate::testing::skipped;
use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::RecordAndOffset;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

const KIND: BrokerKind = BrokerKind::Kafka;

struct Topics;

/// Reads a topic from its beginning.
struct KafkaListener {
    client: Client,
    name: String,
    partitions: Vec<(PartitionClient, i64)>,
    received: VecDeque<RecordAndOffset>,
}

async fn make_topic(url: &str, name: &str, partitions: i32) -> KafkaListener {
    let client = ClientBuilder::new(vec![host_and_port(url)]).build().await.unwrap();
    let controller = client.controller_client().unwrap();
    controller.create_topic(name, partitions, 1, 5_000).await.unwrap();
    let mut clients = Vec::new();
    for partition in 0..partitions {
        let one = client
            .partition_client(name, partition, UnknownTopicHandling::Retry)
            .await
            .unwrap();
        clients.push((one, 0));
    }
    KafkaListener {
        client,
        name: name.to_owned(),
        partitions: clients,
        received: VecDeque::new(),
    }
}

impl KafkaListener {
    async fn next_record(&mut self, wait: Duration) -> Option<RecordAndOffset> {
        let until = tokio::time::Instant::now() + wait;
        while self.received.is_empty() {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return None;
            }
            let pause = i32::try_from(left.as_millis() / self.partitions.len() as u128).unwrap();
            for (partition, offset) in &mut self.partitions {
                let (records, _) = partition
                    .fetch_records(*offset, 1..4_000_000, pause.clamp(1, 500))
                    .await
                    .unwrap();
                *offset = records.last().map_or(*offset, |record| record.offset + 1);
                self.received.extend(records);
            }
        }
        self.received.pop_front()
    }

    async fn all_records(&mut self, count: usize) -> Vec<RecordAndOffset> {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(self.next_record(Duration::from_secs(10)).await.unwrap());
        }
        all.extend(self.next_record(Duration::from_millis(200)).await);
        all
    }

    async fn remove_topic(&self) {
        let controller = self.client.controller_client().unwrap();
        controller.delete_topic(&self.name, 5_000).await.unwrap();
    }
}

#[async_trait]
impl Listener for KafkaListener {
    async fn next(&mut self, wait: Duration) -> Option<Received> {
        let record = self.next_record(wait).await?.record;
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        let mut headers: std::collections::BTreeMap<String, String> = record
            .headers
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect();
        Some(Received {
            body: record.value.unwrap(),
            id: headers.remove("message_id"),
            content_type: headers.remove("content_type"),
            headers,
            flags: Vec::new(),
        })
    }

    async fn remove(self: Box<Self>) {
        self.remove_topic().await;
    }
}

#[async_trait]
impl PublishMode for Topics {
    fn kind(&self) -> BrokerKind {
        KIND
    }

    fn options(&self) -> TopicOptions {
        TopicOptions::default()
    }

    async fn listen(&self, url: &str, name: &str) -> Box<dyn Listener> {
        Box::new(make_topic(url, name, 1).await)
    }

    async fn proxy(&self, url: &str) -> Proxy {
        Proxy::to_kafka(&host_and_port(url)).await
    }
}

common_tests!(Topics);

/// One attempt of a job with this input.
async fn publish_input(connector: &Arc<dyn Connector>, event: &str, input: &str) -> Result<serde_json::Value, Failure> {
    let attempt = test_support::attempt(Namespace::Events, ["b", event], (JobId::generate(), 1), input);
    let steps = Steps::new(Weak::<SqliteStore>::new() as Weak<dyn crate::store::Store>, &attempt);
    let (expressions, limits) = (ExpressionResolver::default(), Limits::default());
    let call = Call {
        attempt: &attempt,
        expressions: &expressions,
        steps: &steps,
        limits: &limits,
    };
    let result = connector.run(&call).await?;
    Ok(serde_json::from_str(&result.unwrap()).unwrap())
}

#[tokio::test]
async fn kafka_messages_of_a_key_are_in_one_partition_and_null_is_a_tombstone() {
    let Some(url) = address(
        KIND,
        "kafka_messages_of_a_key_are_in_one_partition_and_null_is_a_tombstone",
    ) else {
        return;
    };
    let (connector, name) = (plain(KIND, &url, TopicOptions::default()).await, unique());
    let mut listener = make_topic(&url, &name, 5).await;
    let mut partitions: HashMap<String, i64> = HashMap::new();
    for number in 0..20 {
        let key = format!("customer-{}", number % 4);
        let input = format!(r#"{{"message":{{"n":{number}}},"key":"{key}"}}"#);
        let stored = publish_input(&connector, &name, &input).await.unwrap();
        let partition = stored["partition"].as_i64().unwrap();
        assert_eq!(*partitions.entry(key).or_insert(partition), partition);
    }
    let input = r#"{"message":null,"key":"customer-0"}"#;
    let stored = publish_input(&connector, &name, input).await.unwrap();
    assert_eq!(stored["partition"], partitions["customer-0"]);
    assert!(stored["offset"].as_i64().unwrap() >= 5, "{stored}");
    let records = listener.all_records(21).await;
    assert_eq!(records.len(), 21);
    let tombstones = records.iter().filter(|record| record.record.value.is_none());
    let keys: Vec<_> = tombstones.map(|record| record.record.key.clone()).collect();
    assert_eq!(keys, [Some(b"customer-0".to_vec())]);
    // Without a key messages take turns.
    let mut used = std::collections::BTreeSet::new();
    for _ in 0..5 {
        used.insert(
            publish(&connector, &name, "1").await.unwrap()["partition"]
                .as_i64()
                .unwrap(),
        );
    }
    assert_eq!(used.len(), 5);
    listener.remove_topic().await;
}

#[tokio::test]
async fn kafka_topic_that_is_not_there_is_not_found_and_is_not_made() {
    let Some(url) = address(KIND, "kafka_topic_that_is_not_there_is_not_found_and_is_not_made") else {
        return;
    };
    let (connector, name) = (plain(KIND, &url, TopicOptions::default()).await, unique());
    for _ in 0..2 {
        let failure = publish(&connector, &name, "1").await.unwrap_err();
        assert_eq!(&*failure.code, "NOT_FOUND", "{failure:?}");
    }
    let failure = publish(&connector, "no topic", "1").await.unwrap_err();
    assert_eq!(&*failure.code, "VALIDATION_ERROR", "{failure:?}");
    // It is found once it is there, and missed once it is gone.
    let listener = make_topic(&url, &name, 1).await;
    publish(&connector, &name, "1").await.unwrap();
    listener.remove_topic().await;
    let failure = publish(&connector, &name, "1").await.unwrap_err();
    assert_eq!(&*failure.code, "NOT_FOUND", "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_message_that_is_too_large_fails_alone() {
    let Some(url) = address(KIND, "kafka_message_that_is_too_large_fails_alone") else {
        return;
    };
    let (connector, name) = (plain(KIND, &url, TopicOptions::default()).await, unique());
    let mut listener = make_topic(&url, &name, 1).await;
    let large = format!("\"{}\"", "x".repeat(1_100_000));
    let medium = format!("\"{}\"", "x".repeat(400_000));
    let messages = [&medium, &large, &medium, &medium, &large, &medium];
    let answers = futures_util::future::join_all(messages.map(|message| publish(&connector, &name, message))).await;
    for (message, answer) in messages.iter().zip(answers) {
        match answer {
            Ok(_) => assert_eq!(message.len(), medium.len()),
            Err(failure) => {
                assert_eq!((&*failure.code, message.len()), ("VALIDATION_ERROR", large.len()));
                assert!(failure.message.contains("1100"), "{failure:?}");
            }
        }
    }
    // The numbers of what was refused are those of what follows.
    publish(&connector, &name, "\"last\"").await.unwrap();
    assert_eq!(listener.all_records(5).await.len(), 5);
    listener.remove_topic().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_stores_each_message_once_although_connections_break() {
    let Some(url) = address(KIND, "kafka_stores_each_message_once_although_connections_break") else {
        return;
    };
    let proxy = Proxy::to_kafka(&host_and_port(&url)).await;
    let connector = plain(KIND, &at_port(&url, proxy.port()), TopicOptions::default()).await;
    let name = unique();
    let mut listener = make_topic(&url, &name, 3).await;
    let (connector, proxy, event) = (&connector, &proxy, &name);
    let publishes = stream::iter(0..400).map(|number| async move {
        // Breaks the connection under those that are publishing. The batch that is under way is sent again with its numbers.
        if number % 40 == 39 {
            proxy.cut();
        }
        publish_as(connector, event, &number.to_string(), JobId::generate()).await
    });
    let answers: Vec<_> = publishes.buffer_unordered(20).collect().await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(proxy.connections() > 5, "{}", proxy.connections());
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for record in listener.all_records(400 - failed).await {
        *counts.entry(record.record.value.unwrap()).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    // A connection may break twice in a row, which leaves the second time unknown.
    assert!(failed < 100, "{failed}");
    listener.remove_topic().await;
}

/// What a broker at this address says to a message and to a check.
async fn attempt(
    url: &str,
    mechanism: Option<SaslMechanism>,
    event: &str,
    change: impl FnOnce(&mut crate::resources::BrokerConfig),
) -> [String; 2] {
    let mut settings = config(url, TopicOptions::default());
    settings.sasl = mechanism;
    change(&mut settings);
    let connector = open(KIND, settings, None).await.unwrap();
    let answers = [
        publish(&connector, event, "\"a s3cret message\"").await.map(|_| ()),
        connector.check().await,
    ];
    connector.close().await;
    answers.map(|answer| match answer {
        Ok(()) => "ok".to_owned(),
        Err(failure) => {
            for secret in ["wr0ng", "r1ght", "s3cret"] {
                assert!(!failure.message.contains(secret), "{failure:?}");
            }
            failure.code.to_string()
        }
    })
}

#[tokio::test]
async fn kafka_users_log_in_by_each_mechanism() {
    let test = "kafka_users_log_in_by_each_mechanism";
    let (Some(plain), Some(url)) = (address(KIND, test), skipped::address("DUCTAPE_TEST_KAFKA_SASL", test)) else {
        return;
    };
    let name = unique();
    let mut listener = make_topic(&plain, &name, 1).await;
    let as_user = |user: &str| url.replace("ann:r1ght@", user);
    let mechanisms = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
    ];
    for mechanism in mechanisms {
        for (user, expected) in [
            ("ann:r1ght@", ["ok", "ok"]),
            // Who may log in, and no more.
            ("bob:r1ght@", ["FORBIDDEN", "ok"]),
            ("ann:wr0ng@", ["UNAUTHORIZED"; 2]),
            ("eve:r1ght@", ["UNAUTHORIZED"; 2]),
            ("", ["UNAUTHORIZED"; 2]),
        ] {
            let answers = attempt(&as_user(user), Some(mechanism), &name, |_| {}).await;
            assert_eq!(answers, expected, "{user} {mechanism:?}");
        }
        let on_plain = plain.replace("//", "//ann:r1ght@");
        let answers = attempt(&on_plain, Some(mechanism), &name, |_| {}).await;
        assert_eq!(answers, ["VALIDATION_ERROR"; 2]);
    }
    assert_eq!(listener.all_records(3).await.len(), 3);
    listener.remove_topic().await;
}

#[tokio::test]
async fn kafka_is_reached_by_tls() {
    let test = "kafka_is_reached_by_tls";
    let (Some(plain), Some(url)) = (address(KIND, test), skipped::address("DUCTAPE_TEST_KAFKA_TLS", test)) else {
        return;
    };
    let Some(ca) = skipped::address("DUCTAPE_TEST_KAFKA_CA", test) else {
        return;
    };
    let stranger = crate::testing::authority::Authority::new().ca;
    let name = unique();
    let mut listener = make_topic(&plain, &name, 1).await;
    let by_address = url.replace("localhost", "127.0.0.1");
    let unencrypted = url.replace("kafkas", "kafka");
    for (url, ca, tls, expected) in [
        (&url, Some(&ca), None, "ok"),
        (&unencrypted, Some(&ca), Some(true), "ok"),
        // The certificate bears another name.
        (&by_address, Some(&ca), None, "CONNECTION_ERROR"),
        (&url, Some(&stranger), None, "CONNECTION_ERROR"),
        // Not on the system's list.
        (&url, None, None, "CONNECTION_ERROR"),
        (&unencrypted, None, None, "CONNECTION_ERROR"),
        (&plain, Some(&ca), Some(true), "CONNECTION_ERROR"),
    ] {
        let change = |config: &mut crate::resources::BrokerConfig| {
            config.ca = ca.map(|ca| ca.as_str().into());
            config.tls = tls;
        };
        let answers = attempt(url, None, &name, change).await;
        assert_eq!(answers, [expected; 2], "{url}, ca: {}", ca.is_some());
    }
    assert_eq!(listener.all_records(2).await.len(), 2);
    listener.remove_topic().await;
}

#[tokio::test]
async fn kafka_is_found_by_any_server_of_the_list() {
    let Some(url) = address(KIND, "kafka_is_found_by_any_server_of_the_list") else {
        return;
    };
    let name = unique();
    let mut listener = make_topic(&url, &name, 1).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = config(&format!("kafka://{gone}"), TopicOptions::default());
    settings.others = vec![url.as_str().into()];
    let topics = vec![topic("orders", TopicOptions::default())];
    settings.destination = Some(name.as_str().into());
    let connector = open(KIND, settings, Some(topics)).await.unwrap();
    let stored = publish(&connector, "orders", "1").await.unwrap();
    assert_eq!(stored["topic"], name);
    assert_eq!(listener.all_records(1).await.len(), 1);
    listener.remove_topic().await;
}
