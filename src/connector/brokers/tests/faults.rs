//! Addresses behind which there is no broker, or none that lets us in.

use super::support::{SHORT_TIMEOUTS, config, plain, publish};
use crate::connector::Connector;
use crate::resources::{BrokerKind, TopicOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const KINDS: [(BrokerKind, &str); 5] = [
    (BrokerKind::RabbitMq, "amqp"),
    (BrokerKind::Redis, "redis"),
    (BrokerKind::Nats, "nats"),
    (BrokerKind::Mqtt, "mqtt"),
    (BrokerKind::Kafka, "kafka"),
];

/// A broker of each kind at this port.
async fn at(port: u16) -> Vec<(&'static str, Arc<dyn Connector>)> {
    let mut connectors = Vec::new();
    for (kind, scheme) in KINDS {
        let url = format!("{scheme}://user:hidden@127.0.0.1:{port}");
        connectors.push((scheme, plain(kind, &url, TopicOptions::default()).await));
    }
    connectors
}

async fn code(connector: &Arc<dyn Connector>) -> String {
    let failure = publish(connector, "x", "\"a secret message\"").await.unwrap_err();
    for secret in ["hidden", "secret"] {
        assert!(!failure.message.contains(secret), "{failure:?}");
    }
    let checked = connector.check().await.unwrap_err();
    assert_eq!(checked.code, failure.code, "{checked:?}, and {failure:?}");
    failure.code.to_string()
}

#[tokio::test]
async fn unreachable_broker_is_a_connection_error() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (kind, scheme) in KINDS {
        for host_and_port in [format!("127.0.0.1:{free}"), format!("no-such-host.invalid:{free}")] {
            let url = format!("{scheme}://user:hidden@{host_and_port}");
            let connector = plain(kind, &url, TopicOptions::default()).await;
            assert_eq!(code(&connector).await, "CONNECTION_ERROR", "{scheme} {host_and_port}");
        }
    }
}

/// Answers whoever connects with this, and then says no more.
async fn fake_server(answer: Option<&'static [u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Some(answer) = answer {
                    let _ = client.write_all(answer).await;
                }
                let mut heard = [0; 1_024];
                while client.read(&mut heard).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    port
}

#[tokio::test]
async fn unresponsive_server_is_a_connection_error_in_time() {
    let port = fake_server(None).await;
    for (scheme, connector) in at(port).await {
        let began = Instant::now();
        // Those that come while one waits share its wait.
        let waiting = (0..10).map(|_| publish(&connector, "x", "{}"));
        for answer in futures_util::future::join_all(waiting).await {
            assert_eq!(&*answer.unwrap_err().code, "CONNECTION_ERROR", "{scheme}");
        }
        assert!(
            began.elapsed() < SHORT_TIMEOUTS.connect + Duration::from_secs(1),
            "{scheme}"
        );
    }
}

#[tokio::test]
async fn server_of_another_protocol_is_a_connection_error() {
    let port = fake_server(Some(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")).await;
    for (scheme, connector) in at(port).await {
        assert_eq!(code(&connector).await, "CONNECTION_ERROR", "{scheme}");
    }
}

#[tokio::test]
async fn endless_server_greeting_is_a_connection_error() {
    static NOISE: [u8; 1 << 20] = [b'0'; 1 << 20];
    let port = fake_server(Some(&NOISE)).await;
    for (scheme, connector) in at(port).await {
        assert_eq!(code(&connector).await, "CONNECTION_ERROR", "{scheme}");
    }
}

#[tokio::test]
async fn invalid_definition_fails_on_open() {
    for (kind, scheme) in KINDS {
        let mut with_ca = config(
            &format!("{scheme}s://h").replace("natss", "tls"),
            TopicOptions::default(),
        );
        with_ca.ca = Some("-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----".into());
        let failure = super::support::open(kind, with_ca.clone(), None).await.err().unwrap();
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{scheme}");
        assert!(
            failure.message.starts_with("config.ca") && !failure.message.contains("hidden"),
            "{failure:?}"
        );
        with_ca.ca = Some("/no/such/file.pem".into());
        let failure = super::support::open(kind, with_ca, None).await.err().unwrap();
        assert!(failure.message.starts_with("config.ca"), "{failure:?}");
    }
    let wrong = config("redis://h/twelve", TopicOptions::default());
    let failure = super::support::open(BrokerKind::Redis, wrong, None)
        .await
        .err()
        .unwrap();
    assert!(failure.message.starts_with("config.url"), "{failure:?}");
    let mut wrong = config("nats://h", TopicOptions::default());
    wrong.credentials = Some("hidden".into());
    let nats = super::support::open(BrokerKind::Nats, wrong, None).await.unwrap();
    assert_eq!(code(&nats).await, "VALIDATION_ERROR");
}
