//! Servers that are unreachable, refuse, stall or break, and statements that are cancelled.

use super::support::{TestGraph, open, open_with, query, run};
use crate::connector::graphs::address::{Address, Credentials};
use crate::connector::graphs::connector::GraphConnector;
use crate::connector::graphs::server::Servers;
use crate::connector::{Connector, Failure};
use crate::resources::GraphKind;
use crate::testing::eventually::eventually;
use crate::testing::proxy::Proxy;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// Failures of a check and of an operation at an address.
async fn answers(url: &str) -> [Failure; 2] {
    let connector = open(url).unwrap();
    let operated = run(&connector, "countNodes", "{}").await.unwrap_err();
    [connector.check().await.unwrap_err(), operated]
}

#[tokio::test]
async fn unreachable_graph_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for url in [
        format!("bolt://u:s3cret-word@127.0.0.1:{port}"),
        format!("neo4j://u:s3cret-word@127.0.0.1:{port}"),
        format!("bolt+s://u:s3cret-word@localhost:{port}"),
        format!("bolt://u:s3cret-word@no-such-host.invalid:{port}"),
    ] {
        for failure in answers(&url).await {
            assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_speak_bolt_is_a_connection_error() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"",
        &[0, 0, 0, 0],
        &[0, 0, 4, 5, 0, 2, 0xC1, 1, 0, 0],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.write_all(garbage).await;
                let _ = socket.shutdown().await;
            }
        });
        for failure in answers(&format!("bolt://u:s3cret-word@127.0.0.1:{port}")).await {
            assert_eq!(&*failure.code, "CONNECTION_ERROR", "{garbage:?}: {failure:?}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
        serving.abort();
    }
}

#[tokio::test]
async fn unresponsive_graph_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    let failure = open(&format!("bolt://127.0.0.1:{port}"))
        .unwrap()
        .check()
        .await
        .unwrap_err();
    assert!(
        &*failure.code == "CONNECTION_ERROR" && failure.message.contains("no answer"),
        "{failure:?}"
    );
    serving.abort();
}

#[tokio::test]
async fn refused_credentials_and_missing_databases_are_named_without_the_password() {
    let Some(graph) = TestGraph::new().await else { return };
    let wrong = graph.url.replace(":password@", ":s3cret-word@");
    for failure in answers(&wrong).await {
        assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
        assert!(!failure.message.contains("s3cret"), "{failure:?}");
    }
    let nobody = graph.url.replace("neo4j:password@", "");
    for failure in answers(&nobody).await {
        assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
    }
    // What the definition says beside the address counts.
    let given = Credentials {
        username: Some("neo4j"),
        password: Some("password"),
        ca: None,
    };
    let connector = open_with(&nobody, &given, Some("neo4j")).unwrap();
    connector.check().await.unwrap();
    connector.close().await;
    let nowhere = open_with(&graph.url, &Credentials::default(), Some("no-such-database")).unwrap();
    for failure in [
        nowhere.check().await.unwrap_err(),
        run(&nowhere, "countNodes", "{}").await.unwrap_err(),
    ] {
        assert_eq!(&*failure.code, "NOT_FOUND", "{failure:?}");
    }
}

#[tokio::test]
async fn routed_address_finds_the_server_that_reads_and_writes() {
    let Some(graph) = TestGraph::new().await else { return };
    let connector = open(&graph.url.replace("bolt://", "neo4j://")).unwrap();
    connector.check().await.unwrap();
    let made = run(&connector, "createNode", &graph.named(r#"{"labels":["@L"]}"#))
        .await
        .unwrap();
    assert!(made.contains("\"created\":true"), "{made}");
    assert_eq!(
        run(&connector, "countNodes", &graph.named(r#"{"labels":["@L"]}"#))
            .await
            .unwrap(),
        r#"{"count":1}"#
    );
    connector.close().await;
    let failure = run(&connector, "countNodes", "{}").await.unwrap_err();
    assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
}

#[tokio::test]
async fn each_version_of_the_protocol_gives_the_same_answers() {
    let Some(graph) = TestGraph::new().await else { return };
    let id = graph
        .node(r#"{"at":{"$datetime":"2026-01-31T10:00[Europe/Berlin]"}}"#)
        .await;
    for (major, minor) in [(5, 4), (5, 2), (5, 0), (4, 4)] {
        let mut address = Address::read(&graph.url, &Credentials::default()).unwrap();
        address.transport.versions = [0, 0, minor, major, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let servers = Servers::new(GraphKind::Neo4j, address, None, 1);
        let connector = GraphConnector::new(super::support::graph(Vec::new()), servers);
        let answer = run(&connector, "findNodeById", &format!(r#"{{"id":{id}}}"#))
            .await
            .unwrap();
        assert!(
            answer.contains(r#""at":"2026-01-31T09:00:00.000Z""#),
            "{major}.{minor}: {answer}"
        );
        // Without ids of their own, nodes have the number as text.
        assert_eq!(
            answer.contains(&format!(r#""elementId":"{id}""#)),
            major == 4,
            "{major}.{minor}: {answer}"
        );
        let failure = run(&connector, "query", r#"{"query":"RETRUN 1"}"#).await.unwrap_err();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        connector.check().await.unwrap();
        connector.close().await;
        let wrong = graph.url.replace(":password@", ":wrong@");
        let mut address = Address::read(&wrong, &Credentials::default()).unwrap();
        address.transport.versions = [0, 0, minor, major, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let servers = Servers::new(GraphKind::Neo4j, address, None, 1);
        let failure = servers.check().await.unwrap_err();
        assert_eq!(&*failure.code, "UNAUTHORIZED", "{major}.{minor}: {failure:?}");
    }
}

/// Whether a statement with this mark runs on the server.
async fn is_running(graph: &TestGraph, mark: &str) -> bool {
    let text = "SHOW TRANSACTIONS YIELD currentQuery, status WHERE currentQuery CONTAINS $mark AND NOT currentQuery STARTS WITH 'SHOW' AND status STARTS WITH 'Running' RETURN count(*) AS n";
    let answer = graph
        .run("query", &query(text, &format!(r#"{{"mark":"{mark}"}}"#)))
        .await;
    answer["rows"] != json!([{ "n": 0 }])
}

/// A statement that takes minutes.
fn endless(mark: &str) -> String {
    query(
        &format!(
            "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b WITH a, b WHERE a + b < 0 RETURN count(*) /* {mark} */"
        ),
        "{}",
    )
}

#[tokio::test]
async fn dropped_job_ends_its_transaction_on_the_server() {
    let Some(graph) = TestGraph::new().await else { return };
    let mark = graph.label.clone();
    let (connector, input) = (Arc::clone(&graph.connector), endless(&mark));
    let task = tokio::spawn(async move { run(&connector, "query", &input).await });
    eventually("the statement runs", async || is_running(&graph, &mark).await).await;
    task.abort();
    eventually("the statement has stopped", async || !is_running(&graph, &mark).await).await;
    // Its connection is not used again, and so nobody gets its answer.
    for n in 0..8 {
        assert_eq!(graph.rows(&format!("RETURN {n} AS n")).await, json!([{ "n": n }]));
    }
}

#[tokio::test]
async fn jobs_that_are_dropped_at_any_moment_leave_no_answer_to_others() {
    let Some(graph) = TestGraph::new().await else { return };
    let graph = Arc::new(graph);
    for round in 0..60_u64 {
        let (connector, input) = (
            Arc::clone(&graph.connector),
            query(&format!("RETURN {round} AS dropped"), "{}"),
        );
        let dropped = async move { run(&connector, "query", &input).await };
        // From before the first byte to after the last one.
        let _ = tokio::time::timeout(Duration::from_micros(round * 100), dropped).await;
        assert_eq!(
            graph.rows(&format!("RETURN {round} AS mine")).await,
            json!([{ "mine": round }])
        );
    }
}

#[tokio::test]
async fn statement_is_limited_by_the_job_timeout() {
    let Some(graph) = TestGraph::new().await else { return };
    let input = crate::connector::databases::json::Json::read(&endless(&graph.label)).unwrap();
    let operation = crate::connector::graphs::request::read("query", &input, true).unwrap();
    let since = Instant::now();
    let failure = graph
        .connector
        .run_operation(&operation, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!(&*failure.code, "TIMEOUT", "{failure:?}");
    assert!(since.elapsed() < Duration::from_secs(10));
    eventually("the statement has stopped", async || {
        !is_running(&graph, &graph.label).await
    })
    .await;
}

/// A connector whose network the test breaks.
async fn through_proxy(graph: &TestGraph) -> (Proxy, Arc<GraphConnector>) {
    let (head, target) = graph.url.rsplit_once('@').unwrap();
    let proxy = Proxy::to(target).await;
    let connector = open(&format!("{head}@127.0.0.1:{}", proxy.port())).unwrap();
    (proxy, Arc::new(connector))
}

#[tokio::test]
async fn cut_connection_is_replaced_and_a_read_or_a_change_not_yet_committed_is_repeated() {
    let Some(graph) = TestGraph::new().await else { return };
    let (proxy, connector) = through_proxy(&graph).await;
    let create = graph.named(r#"{"labels":["@L"]}"#);
    run(&connector, "createNode", &create).await.unwrap();
    proxy.cut_all().await;
    run(&connector, "createNode", &create).await.unwrap();
    proxy.cut_all().await;
    run(&connector, "countNodes", "{}").await.unwrap();
    assert_eq!(graph.count().await, 2);
    // All that are kept are broken at once.
    let jobs = (0..4).map(|_| run(&connector, "countNodes", "{}"));
    futures_util::future::join_all(jobs).await;
    proxy.cut_all().await;
    run(&connector, "createNode", &create).await.unwrap();
    // Cut while the statement runs: nothing of it was done.
    let mark = graph.label.clone();
    let (other, input) = (Arc::clone(&connector), endless(&mark));
    let task = tokio::spawn(async move { run(&other, "query", &input).await });
    eventually("the statement runs", async || is_running(&graph, &mark).await).await;
    proxy.refuse(true);
    proxy.cut();
    let failure = task.await.unwrap().unwrap_err();
    assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
    proxy.refuse(false);
    run(&connector, "countNodes", "{}").await.unwrap();
}

#[tokio::test]
async fn stalled_connection_ends_with_the_time_limit() {
    let Some(graph) = TestGraph::new().await else { return };
    let (proxy, connector) = through_proxy(&graph).await;
    run(&connector, "countNodes", "{}").await.unwrap();
    proxy.stall(true);
    let input = crate::connector::databases::json::Json::read("{}").unwrap();
    let operation = crate::connector::graphs::request::read("countNodes", &input, true).unwrap();
    let since = Instant::now();
    let failure = connector
        .run_operation(&operation, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(&*failure.code, "TIMEOUT", "{failure:?}");
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    proxy.stall(false);
    run(&connector, "countNodes", "{}").await.unwrap();
}

#[tokio::test]
async fn commit_whose_answer_is_lost_is_not_repeated() {
    let server = super::support::ScriptedServer::that_hangs_up_at_commit().await;
    let connector = open(&server.url()).unwrap();
    let failure = run(&connector, "deleteNode", r#"{"id":1}"#).await.unwrap_err();
    assert!(
        &*failure.code == "CONNECTION_ERROR" && failure.message.contains("not known"),
        "{failure:?}"
    );
    assert_eq!(server.commits(), 1);
    // Of a read nothing can be done twice.
    let _ = run(&connector, "findNodeById", r#"{"id":1}"#).await.unwrap_err();
    assert_eq!(server.commits(), 3);
}

#[tokio::test]
async fn deadlocked_transactions_are_tried_again_until_both_are_done() {
    let Some(graph) = TestGraph::new().await else { return };
    for n in 0..2 {
        graph.node(&format!(r#"{{"n":{n},"count":0}}"#)).await;
    }
    let in_order = |first: i64, second: i64| {
        let text = format!(
            "MATCH (a:`{0}` {{n: {first}}}) SET a.count = a.count + 1 WITH a UNWIND range(1, 20000) AS i WITH a, count(i) AS n \
             MATCH (b:`{0}` {{n: {second}}}) SET b.count = b.count + 1",
            graph.label
        );
        query(&text, "{}")
    };
    let jobs = (0..16).map(|at| {
        let (connector, input) = (Arc::clone(&graph.connector), in_order(at % 2, 1 - at % 2));
        async move { run(&connector, "query", &input).await }
    });
    for outcome in futures_util::future::join_all(jobs).await {
        outcome.unwrap();
    }
    assert_eq!(
        graph
            .rows(&graph.named("MATCH (n:`@L`) RETURN sum(n.count) AS n"))
            .await,
        json!([{ "n": 32 }])
    );
}

#[tokio::test]
async fn connections_are_bounded() {
    let Some(graph) = TestGraph::new().await else { return };
    let (proxy, connector) = through_proxy(&graph).await;
    let jobs = (0..40).map(|_| run(&connector, "query", r#"{"query":"RETURN 1 AS n"}"#));
    for outcome in futures_util::future::join_all(jobs).await {
        outcome.unwrap();
    }
    assert!(proxy.connections() <= 4, "{}", proxy.connections());
}
