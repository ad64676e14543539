//! Amazon SQS, on a server that answers as it does: `DUCTAPE_TEST_SQS` is its address.

use super::support::{open, publish, publish_as, topic, unique};
use crate::connector::{Connector, Failure};
use crate::model::JobId;
use crate::resources::{BrokerConfig, BrokerKind, CloudBroker, SqsConfig, TopicOptions};
use crate::testing::skipped;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// What the server says to an operation; it checks no signature.
async fn ask(endpoint: &str, operation: &str, request: Value) -> Value {
    crate::tls::install_crypto_provider();
    let answer = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=a",
        )
        .body(request.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{operation}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

struct TestQueue {
    endpoint: String,
    name: String,
    url: String,
}

impl TestQueue {
    async fn make(endpoint: &str, fifo: bool) -> Self {
        let (name, attributes) = if fifo {
            (format!("{}.fifo", unique()), json!({ "FifoQueue": "true" }))
        } else {
            (unique(), json!({}))
        };
        let made = ask(
            endpoint,
            "CreateQueue",
            json!({ "QueueName": name, "Attributes": attributes }),
        )
        .await;
        Self {
            endpoint: endpoint.to_owned(),
            name,
            url: made["QueueUrl"].as_str().unwrap().to_owned(),
        }
    }

    /// All messages, in the order that they come in.
    async fn receive_all(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let request = json!({
                "QueueUrl": self.url,
                "MaxNumberOfMessages": 10,
                "AttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            });
            let answer = ask(&self.endpoint, "ReceiveMessage", request).await;
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in messages {
                let request = json!({ "QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"] });
                ask_for_nothing(&self.endpoint, request).await;
                all.push(message);
            }
        }
    }

    async fn remove(self) {
        let request = json!({ "QueueUrl": self.url }).to_string();
        let _ = reqwest::Client::new()
            .post(&self.endpoint)
            .header("x-amz-target", "AmazonSQS.DeleteQueue")
            .header("content-type", "application/x-amz-json-1.0")
            .body(request)
            .send()
            .await;
    }
}

/// Deletes a message, which is answered with nothing.
async fn ask_for_nothing(endpoint: &str, request: Value) {
    let answer = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "AmazonSQS.DeleteMessage")
        .body(request.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

fn config(endpoint: &str) -> BrokerConfig {
    BrokerConfig {
        cloud: Some(CloudBroker::Sqs(SqsConfig {
            region: "us-east-1".into(),
            access_key_id: Some("test".into()),
            secret_access_key: Some("s3cret".into()),
            session_token: None,
            profile: None,
            endpoint: Some(endpoint.into()),
        })),
        ..BrokerConfig::default()
    }
}

async fn plain(endpoint: &str) -> Arc<dyn Connector> {
    open(BrokerKind::AwsSqs, config(endpoint), None).await.unwrap()
}

fn server(test: &str) -> Option<String> {
    skipped::address("DUCTAPE_TEST_SQS", test)
}

#[tokio::test]
async fn sqs_message_arrives_unchanged_by_name_or_address() {
    let Some(endpoint) = server("sqs_message_arrives_unchanged_by_name_or_address") else {
        return;
    };
    let queue = TestQueue::make(&endpoint, false).await;
    let mut orders = topic("orders", TopicOptions::default());
    orders.name = Some("not-this-one".into());
    orders.queue_urls = vec![
        ("other".into(), "http://no/such".into()),
        ("e".into(), queue.url.as_str().into()),
    ];
    orders.headers = vec![("x-source".into(), "shop \u{fc}".into())];
    let mut named = topic("named", TopicOptions::default());
    named.name = Some(queue.name.as_str().into());
    let connector = open(BrokerKind::AwsSqs, config(&endpoint), Some(vec![orders, named]))
        .await
        .unwrap();
    let id = JobId::generate();
    let message = r#"{ "z":1, "a":12345678901234567890, "n": 1.50, "s":"\u00fc \" \n" }"#;
    let sent = publish_as(&connector, "orders", message, id.clone()).await.unwrap();
    assert_eq!(
        (&sent["message_id"], &sent["queue"]),
        (&json!(format!("{id}/1")), &json!(queue.name))
    );
    publish(&connector, "b:named", "\"a \\\"text\\\"\"").await.unwrap();
    let received = queue.receive_all().await;
    assert_eq!(received.len(), 2);
    assert_eq!(received[0]["Body"], message);
    assert_eq!(received[0]["MessageId"], sent["id"]);
    assert_eq!(received[1]["Body"], "a \"text\"");
    let attribute = |name: &str| received[0]["MessageAttributes"][name]["StringValue"].clone();
    assert_eq!(attribute("message_id"), format!("{id}/1"));
    assert_eq!(attribute("content_type"), "application/json");
    assert_eq!(attribute("x-source"), "shop ü");
    connector.check().await.unwrap();
    connector.close().await;
    queue.remove().await;
}

#[tokio::test]
async fn sqs_fifo_queue_takes_a_repeated_message_once() {
    let Some(endpoint) = server("sqs_fifo_queue_takes_a_repeated_message_once") else {
        return;
    };
    let queue = TestQueue::make(&endpoint, true).await;
    let connector = plain(&endpoint).await;
    let mut topics = topic("orders", TopicOptions::default());
    topics.name = Some(queue.name.as_str().into());
    let by_name = open(BrokerKind::AwsSqs, config(&endpoint), Some(vec![topics]))
        .await
        .unwrap();
    let id = JobId::generate();
    for _ in 0..3 {
        publish_as(&by_name, "orders", "1", id.clone()).await.unwrap();
    }
    let other = publish(&connector, &queue.name, "2").await.unwrap();
    assert!(other["sequence_number"].is_string(), "{other}");
    let received = queue.receive_all().await;
    let bodies: Vec<&str> = received.iter().filter_map(|message| message["Body"].as_str()).collect();
    assert_eq!(bodies, ["1", "2"]);
    assert_eq!(received[0]["Attributes"]["MessageGroupId"], queue.name);
    assert_eq!(received[0]["Attributes"]["MessageDeduplicationId"], format!("{id}/1"));
    queue.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_concurrent_messages_arrive_once_each() {
    let Some(endpoint) = server("sqs_concurrent_messages_arrive_once_each") else {
        return;
    };
    let queue = TestQueue::make(&endpoint, false).await;
    let connector = plain(&endpoint).await;
    let (connector, name) = (&connector, &queue.name);
    let sent: Vec<Result<Value, Failure>> = stream::iter(0..200)
        .map(|number| async move { publish(connector, name, &number.to_string()).await })
        .buffer_unordered(50)
        .collect()
        .await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let received = queue.receive_all().await;
    let bodies: HashSet<&str> = received.iter().filter_map(|message| message["Body"].as_str()).collect();
    assert_eq!((received.len(), bodies.len()), (200, 200));
    queue.remove().await;
}

#[tokio::test]
async fn sqs_failures_have_their_codes_and_no_secret() {
    let Some(endpoint) = server("sqs_failures_have_their_codes_and_no_secret") else {
        return;
    };
    let queue = TestQueue::make(&endpoint, false).await;
    let connector = plain(&endpoint).await;
    let missing = queue.url.replace(&queue.name, &unique());
    let large = format!("\"{}\"", "x".repeat(1_100_000));
    for (event, message, code) in [
        (unique().as_str(), "1", "NOT_FOUND"),
        (missing.as_str(), "1", "NOT_FOUND"),
        ("no queue", "1", "VALIDATION_ERROR"),
        (&queue.name, "\"\"", "VALIDATION_ERROR"),
        (&queue.name, large.as_str(), "VALIDATION_ERROR"),
    ] {
        let failure = publish(&connector, event, message).await.unwrap_err();
        assert_eq!(&*failure.code, code, "{failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
    }
    queue.remove().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let unreachable = plain(&format!("http://{gone}")).await;
    let failure = publish(&unreachable, "q", "1").await.unwrap_err();
    assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
    assert_eq!(&*unreachable.check().await.unwrap_err().code, "CONNECTION_ERROR");
}
