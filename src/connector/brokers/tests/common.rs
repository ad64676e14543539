//! What holds for every way to publish.

use super::support::{
    Listener, PublishMode, address, at_port, config, open, plain, publish, publish_as, publish_traced, receive_all,
    topic, unique,
};
use crate::connector::{Connector, Failure};
use crate::model::JobId;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server, a name that is this test's, and a listener to it.
struct TestBroker {
    url: String,
    name: String,
    listener: Box<dyn Listener>,
}

async fn test_broker(mode: &dyn PublishMode, test: &str) -> Option<TestBroker> {
    let url = address(mode.kind(), test)?;
    let name = unique();
    let listener = mode.listen(&url, &name).await;
    Some(TestBroker { url, name, listener })
}

pub(super) async fn message_arrives_unchanged(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "message_arrives_unchanged").await else {
        return;
    };
    let mut orders = topic("orders", mode.options());
    orders.name = Some(test_broker.name.as_str().into());
    orders.headers = vec![("x-source".into(), "shop \u{fc}".into())];
    let connector = open(
        mode.kind(),
        config(&test_broker.url, mode.options()),
        Some(vec![orders]),
    )
    .await
    .unwrap();
    let id = JobId::generate();
    let message = r#"{ "z":1, "a":12345678901234567890, "n": 1.50, "s":"\u00fc \" \n" }"#;
    let result = publish_as(&connector, "orders", message, id.clone()).await.unwrap();
    assert_eq!(result["message_id"], format!("{id}/1"));
    publish(&connector, "b:orders", "\"a \\\"text\\\"\"").await.unwrap();
    let trace = [("traceparent", "00-a-b-01"), ("tracestate", "c=1")];
    publish_traced(&connector, "orders", "{}", (JobId::generate(), &trace))
        .await
        .unwrap();
    let received = receive_all(&mut test_broker.listener, 3).await;
    assert_eq!(received.len(), 3);
    assert_eq!(String::from_utf8_lossy(&received[0].body), message);
    assert_eq!(received[1].body, b"a \"text\"");
    if received[0].id.is_some() {
        assert_eq!(received[0].id, Some(format!("{id}/1")));
        assert_eq!(received[0].content_type.as_deref(), Some("application/json"));
        assert_eq!(received[1].content_type.as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(
            received[0].headers,
            BTreeMap::from([("x-source".into(), "shop ü".into())])
        );
        let mut with_trace = received[0].headers.clone();
        with_trace.extend(trace.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(received[2].headers, with_trace);
    }
    let unknown = publish(&connector, "other", "{}").await.unwrap_err();
    assert_eq!(&*unknown.code, "NOT_FOUND");
    connector.check().await.unwrap();
    connector.close().await;
    test_broker.listener.remove().await;
}

pub(super) async fn thousand_concurrent_messages_arrive_exactly_once(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "thousand_concurrent_messages_arrive_exactly_once").await else {
        return;
    };
    let proxy = mode.proxy(&test_broker.url).await;
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    let began = Instant::now();
    let sent = stream::iter(0..1_000)
        .map(|number| {
            let (connector, name) = (Arc::clone(&connector), test_broker.name.clone());
            async move { publish(&connector, &name, &format!("{{\"number\":{number}}}")).await }
        })
        .buffer_unordered(100)
        .collect::<Vec<_>>()
        .await;
    let took = began.elapsed();
    eprintln!(
        "{}: {:.0} publishes/s, 100 at once, each acknowledged, through a proxy",
        mode.kind().name(),
        1_000.0 / took.as_secs_f64()
    );
    assert!(
        sent.iter().all(Result::is_ok),
        "{:?}",
        sent.iter().find(|sent| sent.is_err())
    );
    assert_eq!(proxy.connections(), 1);
    let mut counts = HashMap::new();
    for received in receive_all(&mut test_broker.listener, 1_000).await {
        *counts.entry(received.body).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 1_000);
    assert!(counts.values().all(|count| *count == 1));
    connector.close().await;
    test_broker.listener.remove().await;
}

pub(super) async fn cut_connection_is_replaced(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "cut_connection_is_replaced").await else {
        return;
    };
    let proxy = mode.proxy(&test_broker.url).await;
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    publish(&connector, &test_broker.name, "1").await.unwrap();
    proxy.cut();
    // Real time: a client notices the loss by itself and gives no signal, or checks a connection that was idle for
    // this long.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    publish(&connector, &test_broker.name, "2").await.unwrap();
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    connector.check().await.ok();
    connector.check().await.unwrap();
    let received = receive_all(&mut test_broker.listener, 2).await;
    assert_eq!(
        received.into_iter().map(|message| message.body).collect::<Vec<_>>(),
        [b"1", b"2"]
    );
    assert_eq!(proxy.connections(), 3);
    connector.close().await;
    test_broker.listener.remove().await;
}

pub(super) async fn message_failed_during_an_outage_is_not_sent_later(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "message_failed_during_an_outage_is_not_sent_later").await else {
        return;
    };
    let proxy = mode.proxy(&test_broker.url).await;
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    publish(&connector, &test_broker.name, "\"before\"").await.unwrap();
    proxy.refuse(true);
    proxy.cut_all().await;
    let began = Instant::now();
    let lost = (0..20).map(|_| publish(&connector, &test_broker.name, "\"lost\""));
    for answer in futures_util::future::join_all(lost).await {
        assert_eq!(&*answer.unwrap_err().code, "CONNECTION_ERROR");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(connector.check().await.is_err());
    proxy.refuse(false);
    publish(&connector, &test_broker.name, "\"after\"").await.unwrap();
    let received: Vec<_> = receive_all(&mut test_broker.listener, 2)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(received, [&b"before"[..], b"after"]);
    connector.close().await;
    test_broker.listener.remove().await;
}

pub(super) async fn every_message_arrives_despite_broken_connections(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "every_message_arrives_despite_broken_connections").await else {
        return;
    };
    let proxy = Arc::new(mode.proxy(&test_broker.url).await);
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    let attempts: Vec<Vec<Failure>> = stream::iter(0..300)
        .map(|number| {
            let (connector, proxy, name) = (Arc::clone(&connector), Arc::clone(&proxy), test_broker.name.clone());
            async move {
                // Breaks the connection under those that are publishing.
                if number % 30 == 29 {
                    proxy.cut();
                }
                publish_until_success(&connector, &name, &number.to_string()).await
            }
        })
        .buffer_unordered(10)
        .collect()
        .await;
    let failures: Vec<Failure> = attempts.into_iter().flatten().collect();
    eprintln!("{}: {} attempts failed on the way", mode.kind().name(), failures.len());
    for failure in &failures {
        assert!(matches!(&*failure.code, "CONNECTION_ERROR" | "TIMEOUT"), "{failure:?}");
    }
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for received in receive_all(&mut test_broker.listener, 300).await {
        *counts.entry(received.body).or_default() += 1;
    }
    assert_eq!(counts.len(), 300);
    // No more copies than attempts that nobody knew the end of.
    let copies: usize = counts.values().sum::<usize>() - 300;
    assert!(
        copies <= failures.len(),
        "{copies} copies after {} failures",
        failures.len()
    );
    connector.close().await;
    test_broker.listener.remove().await;
}

/// As the engine does it: the same job until it succeeds.
async fn publish_until_success(connector: &Arc<dyn Connector>, name: &str, message: &str) -> Vec<Failure> {
    let id = JobId::generate();
    let mut failures = Vec::new();
    loop {
        match publish_as(connector, name, message, id.clone()).await {
            Ok(_) => return failures,
            Err(failure) => failures.push(failure),
        }
        assert!(failures.len() < 200, "{failures:?}");
        // Real time: the pause between two attempts.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn stalled_server_connection_is_replaced(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "stalled_server_connection_is_replaced").await else {
        return;
    };
    let proxy = mode.proxy(&test_broker.url).await;
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    publish(&connector, &test_broker.name, "1").await.unwrap();
    proxy.stall(true);
    let began = Instant::now();
    let failure = publish(&connector, &test_broker.name, "2").await.unwrap_err();
    assert!(matches!(&*failure.code, "TIMEOUT" | "CONNECTION_ERROR"), "{failure:?}");
    assert!(began.elapsed() < Duration::from_secs(6));
    // The next finds no connection in time; when the server speaks again, all is well.
    assert_eq!(
        &*publish(&connector, &test_broker.name, "3").await.unwrap_err().code,
        "CONNECTION_ERROR"
    );
    proxy.stall(false);
    publish(&connector, &test_broker.name, "4").await.unwrap();
    let received: Vec<_> = receive_all(&mut test_broker.listener, 2)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(received, [b"1", b"4"]);
    connector.close().await;
    test_broker.listener.remove().await;
}

pub(super) async fn dropped_attempt_does_not_affect_others(mode: &dyn PublishMode) {
    let Some(mut test_broker) = test_broker(mode, "dropped_attempt_does_not_affect_others").await else {
        return;
    };
    let proxy = mode.proxy(&test_broker.url).await;
    let connector = plain(mode.kind(), &at_port(&test_broker.url, proxy.port()), mode.options()).await;
    publish(&connector, &test_broker.name, "\"first\"").await.unwrap();
    let attempts = (0..200).map(|number: u64| {
        let (connector, name) = (Arc::clone(&connector), test_broker.name.clone());
        async move {
            let message = number.to_string();
            let publish = publish(&connector, &name, &message);
            if number.is_multiple_of(2) {
                return Some(publish.await);
            }
            let wait = Duration::from_micros(number * 20);
            tokio::time::timeout(wait, publish).await.ok()
        }
    });
    let answers = futures_util::future::join_all(attempts).await;
    assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
    assert!(answers.iter().step_by(2).all(Option::is_some));
    publish(&connector, &test_broker.name, "\"last\"").await.unwrap();
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for received in receive_all(&mut test_broker.listener, 102).await {
        *counts.entry(received.body).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 1));
    let finished = answers.iter().enumerate().filter(|(_, answer)| answer.is_some());
    for (number, _) in finished {
        assert!(counts.contains_key(number.to_string().as_bytes()), "{number}");
    }
    assert_eq!(proxy.connections(), 1);
    connector.close().await;
    test_broker.listener.remove().await;
}

/// Makes the tests of a way to publish, which `$mode` yields.
macro_rules! common_tests {
    ($mode:expr) => {
        crate::connector::brokers::tests::common::selected_common_tests!($mode;
            message_arrives_unchanged,
            thousand_concurrent_messages_arrive_exactly_once,
            cut_connection_is_replaced,
            message_failed_during_an_outage_is_not_sent_later,
            every_message_arrives_despite_broken_connections,
            stalled_server_connection_is_replaced,
            dropped_attempt_does_not_affect_others,
        );
    };
}
macro_rules! selected_common_tests {
    ($mode:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::connector::brokers::tests::common::$name(&$mode).await;
            }
        )*
    };
}
pub(super) use {common_tests, selected_common_tests};
