//! What holds for every way to publish.

use super::kit::{
    Listener, Way, address, all, at_port, config, open, place, plain, publish, publish_as, topic, unique,
};
use crate::connector::{Connector, Failure};
use crate::model::JobId;
use crate::testing::proxy::Proxy;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A server, a name that is this test's, and a listener to it.
struct Scene {
    url: String,
    name: String,
    listener: Box<dyn Listener>,
}

async fn scene(way: &dyn Way, test: &str) -> Option<Scene> {
    let url = address(way.kind(), test)?;
    let name = unique();
    let listener = way.listen(&url, &name).await;
    Some(Scene { url, name, listener })
}

pub(super) async fn a_message_arrives_as_it_is(way: &dyn Way) {
    let Some(mut scene) = scene(way, "a_message_arrives_as_it_is").await else {
        return;
    };
    let mut orders = topic("orders", way.options());
    orders.name = Some(scene.name.as_str().into());
    orders.headers = vec![("x-source".into(), "shop \u{fc}".into())];
    let connector = open(way.kind(), config(&scene.url, way.options()), Some(vec![orders]))
        .await
        .unwrap();
    let id = JobId::generate();
    let message = r#"{ "z":1, "a":12345678901234567890, "n": 1.50, "s":"\u00fc \" \n" }"#;
    let result = publish_as(&connector, "orders", message, id.clone()).await.unwrap();
    assert_eq!(result["message_id"], format!("{id}/1"));
    publish(&connector, "b:orders", "\"a \\\"text\\\"\"").await.unwrap();
    let received = all(&mut scene.listener, 2).await;
    assert_eq!(received.len(), 2);
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
    }
    let unknown = publish(&connector, "other", "{}").await.unwrap_err();
    assert_eq!(&*unknown.code, "NOT_FOUND");
    connector.check().await.unwrap();
    connector.close().await;
    scene.listener.remove().await;
}

pub(super) async fn a_thousand_at_once_arrive_once_each(way: &dyn Way) {
    let Some(mut scene) = scene(way, "a_thousand_at_once_arrive_once_each").await else {
        return;
    };
    let proxy = Proxy::to(&place(&scene.url)).await;
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    let began = Instant::now();
    let sent = stream::iter(0..1_000)
        .map(|number| {
            let (connector, name) = (Arc::clone(&connector), scene.name.clone());
            async move { publish(&connector, &name, &format!("{{\"number\":{number}}}")).await }
        })
        .buffer_unordered(100)
        .collect::<Vec<_>>()
        .await;
    let took = began.elapsed();
    eprintln!(
        "{}: {:.0} publishes/s, 100 at once, each acknowledged, through a proxy",
        way.kind().name(),
        1_000.0 / took.as_secs_f64()
    );
    assert!(
        sent.iter().all(Result::is_ok),
        "{:?}",
        sent.iter().find(|sent| sent.is_err())
    );
    assert_eq!(proxy.connections(), 1);
    let mut counts = HashMap::new();
    for received in all(&mut scene.listener, 1_000).await {
        *counts.entry(received.body).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 1_000);
    assert!(counts.values().all(|count| *count == 1));
    connector.close().await;
    scene.listener.remove().await;
}

pub(super) async fn a_connection_that_was_cut_is_mended(way: &dyn Way) {
    let Some(mut scene) = scene(way, "a_connection_that_was_cut_is_mended").await else {
        return;
    };
    let proxy = Proxy::to(&place(&scene.url)).await;
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    publish(&connector, &scene.name, "1").await.unwrap();
    proxy.cut();
    // Long enough for clients to see it, and for one that does not look to be asked.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    publish(&connector, &scene.name, "2").await.unwrap();
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    connector.check().await.ok();
    connector.check().await.unwrap();
    let received = all(&mut scene.listener, 2).await;
    assert_eq!(
        received.into_iter().map(|message| message.body).collect::<Vec<_>>(),
        [b"1", b"2"]
    );
    assert_eq!(proxy.connections(), 3);
    connector.close().await;
    scene.listener.remove().await;
}

pub(super) async fn what_failed_while_the_server_was_away_is_not_sent_later(way: &dyn Way) {
    let Some(mut scene) = scene(way, "what_failed_while_the_server_was_away_is_not_sent_later").await else {
        return;
    };
    let proxy = Proxy::to(&place(&scene.url)).await;
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    publish(&connector, &scene.name, "\"before\"").await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let lost = (0..20).map(|_| publish(&connector, &scene.name, "\"lost\""));
    for answer in futures_util::future::join_all(lost).await {
        assert_eq!(&*answer.unwrap_err().code, "CONNECTION_ERROR");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(connector.check().await.is_err());
    proxy.refuse(false);
    publish(&connector, &scene.name, "\"after\"").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let received: Vec<_> = all(&mut scene.listener, 2)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(received, [&b"before"[..], b"after"]);
    connector.close().await;
    scene.listener.remove().await;
}

pub(super) async fn every_message_arrives_although_connections_break(way: &dyn Way) {
    let Some(mut scene) = scene(way, "every_message_arrives_although_connections_break").await else {
        return;
    };
    let proxy = Arc::new(Proxy::to(&place(&scene.url)).await);
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    let going = Arc::new(AtomicBool::new(true));
    let cutter = {
        let (proxy, going) = (Arc::clone(&proxy), Arc::clone(&going));
        tokio::spawn(async move {
            while going.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(150)).await;
                proxy.cut();
            }
        })
    };
    let attempts: Vec<Vec<Failure>> = stream::iter(0..300)
        .map(|number| {
            let (connector, name) = (Arc::clone(&connector), scene.name.clone());
            async move {
                // So that the connection breaks under them several times.
                tokio::time::sleep(Duration::from_millis(20)).await;
                insist(&connector, &name, &number.to_string()).await
            }
        })
        .buffer_unordered(10)
        .collect()
        .await;
    going.store(false, Ordering::Relaxed);
    cutter.await.unwrap();
    let failures: Vec<Failure> = attempts.into_iter().flatten().collect();
    eprintln!("{}: {} attempts failed on the way", way.kind().name(), failures.len());
    for failure in &failures {
        assert!(matches!(&*failure.code, "CONNECTION_ERROR" | "TIMEOUT"), "{failure:?}");
    }
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for received in all(&mut scene.listener, 300).await {
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
    scene.listener.remove().await;
}

/// As the engine does it: the same job until it succeeds.
async fn insist(connector: &Arc<dyn Connector>, name: &str, message: &str) -> Vec<Failure> {
    let id = JobId::generate();
    let mut failures = Vec::new();
    loop {
        match publish_as(connector, name, message, id.clone()).await {
            Ok(_) => return failures,
            Err(failure) => failures.push(failure),
        }
        assert!(failures.len() < 200, "{failures:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn a_server_that_falls_silent_is_given_up(way: &dyn Way) {
    let Some(mut scene) = scene(way, "a_server_that_falls_silent_is_given_up").await else {
        return;
    };
    let proxy = Proxy::to(&place(&scene.url)).await;
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    publish(&connector, &scene.name, "1").await.unwrap();
    proxy.stall(true);
    let began = Instant::now();
    let failure = publish(&connector, &scene.name, "2").await.unwrap_err();
    assert!(matches!(&*failure.code, "TIMEOUT" | "CONNECTION_ERROR"), "{failure:?}");
    assert!(began.elapsed() < Duration::from_secs(6));
    // The next finds no connection in time; when the server speaks again, all is well.
    assert_eq!(
        &*publish(&connector, &scene.name, "3").await.unwrap_err().code,
        "CONNECTION_ERROR"
    );
    proxy.stall(false);
    publish(&connector, &scene.name, "4").await.unwrap();
    let received: Vec<_> = all(&mut scene.listener, 2)
        .await
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(received, [b"1", b"4"]);
    connector.close().await;
    scene.listener.remove().await;
}

pub(super) async fn an_attempt_that_is_dropped_disturbs_no_other(way: &dyn Way) {
    let Some(mut scene) = scene(way, "an_attempt_that_is_dropped_disturbs_no_other").await else {
        return;
    };
    let proxy = Proxy::to(&place(&scene.url)).await;
    let connector = plain(way.kind(), &at_port(&scene.url, proxy.port()), way.options()).await;
    publish(&connector, &scene.name, "\"first\"").await.unwrap();
    let attempts = (0..200).map(|number: u64| {
        let (connector, name) = (Arc::clone(&connector), scene.name.clone());
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
    publish(&connector, &scene.name, "\"last\"").await.unwrap();
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for received in all(&mut scene.listener, 102).await {
        *counts.entry(received.body).or_default() += 1;
    }
    assert!(counts.values().all(|count| *count == 1));
    let finished = answers.iter().enumerate().filter(|(_, answer)| answer.is_some());
    for (number, _) in finished {
        assert!(counts.contains_key(number.to_string().as_bytes()), "{number}");
    }
    assert_eq!(proxy.connections(), 1);
    connector.close().await;
    scene.listener.remove().await;
}

/// Makes the tests of a way to publish, which `$way` yields.
macro_rules! for_way {
    ($way:expr) => {
        crate::connector::brokers::tests::common::tests_of!($way;
            a_message_arrives_as_it_is,
            a_thousand_at_once_arrive_once_each,
            a_connection_that_was_cut_is_mended,
            what_failed_while_the_server_was_away_is_not_sent_later,
            every_message_arrives_although_connections_break,
            a_server_that_falls_silent_is_given_up,
            an_attempt_that_is_dropped_disturbs_no_other,
        );
    };
}
macro_rules! tests_of {
    ($way:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::connector::brokers::tests::common::$name(&$way).await;
            }
        )*
    };
}
pub(super) use {for_way, tests_of};
