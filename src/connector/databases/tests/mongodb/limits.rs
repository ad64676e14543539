//! Limits of time: what the server is told, and what becomes of operations that nobody waits for any more.

use super::super::support::{new_run, open, run};
use crate::connector::Connector;
use crate::connector::databases::connector::DatabaseConnector;
use crate::connector::databases::json::Json;
use crate::connector::databases::request;
use crate::resources::DatabaseKind;
use crate::testing::eventually::eventually;
use crate::testing::proxy::Proxy;
use crate::testing::skipped::address;
use std::sync::Arc;
use std::time::Duration;

/// A database of its own behind a proxy, which is dropped at the end.
struct Proxied {
    connector: Arc<DatabaseConnector>,
    proxy: Proxy,
}

impl Proxied {
    async fn new() -> Option<Self> {
        let server = address("DUCTAPE_TEST_MONGODB", "a test of MongoDB")?;
        let rest = server.strip_prefix("mongodb://").unwrap();
        let host = rest.split('/').next().unwrap();
        let proxy = Proxy::to(host.rsplit('@').next().unwrap()).await;
        let url = format!(
            "mongodb://127.0.0.1:{}/t{}?directConnection=true",
            proxy.port(),
            uuid::Uuid::now_v7().simple()
        );
        Some(Self {
            connector: Arc::new(open(DatabaseKind::Mongodb, &url).unwrap()),
            proxy,
        })
    }

    async fn end(self) {
        run(&self.connector, "raw", r#"{"command":{"dropDatabase":1}}"#)
            .await
            .unwrap();
        self.connector.close().await;
    }
}

/// The values of `maxTimeMS` in what was sent, ms.
fn limits(sent: &[u8]) -> Vec<i64> {
    const NAME: &[u8] = b"maxTimeMS\0";
    let places = sent.windows(NAME.len()).enumerate().filter(|(_, part)| *part == NAME);
    places
        .map(|(at, _)| {
            let value = &sent[at + NAME.len()..];
            match sent[at - 1] {
                0x10 => i32::from_le_bytes(value[..4].try_into().unwrap()).into(),
                0x12 => i64::from_le_bytes(value[..8].try_into().unwrap()),
                kind => panic!("maxTimeMS is of the type {kind}"),
            }
        })
        .collect()
}

#[tokio::test]
async fn mongodb_is_told_how_long_an_operation_may_take() {
    let Some(proxied) = Proxied::new().await else { return };
    let rows = r#"{"table":"t","data":[{"_id":1,"n":1,"other":2},{"_id":2,"n":2}]}"#;
    run(&proxied.connector, "insertMany", rows).await.unwrap();
    for (operation, input, commands) in [
        ("find", r#"{"table":"t"}"#, 1),
        ("findOne", r#"{"table":"t"}"#, 1),
        (
            "find",
            r#"{"table":"t","include":{"relation":"o","table":"t","type":"many-to-one","foreignKey":"other"}}"#,
            2,
        ),
        ("count", r#"{"table":"t"}"#, 1),
        ("count", r#"{"table":"t","column":"n","distinct":true}"#, 1),
        ("sum", r#"{"table":"t","column":"n"}"#, 1),
        (
            "groupBy",
            r#"{"table":"t","groupBy":"n","aggregate":{"c":{"$count":"*"}}}"#,
            1,
        ),
        ("aggregate", r#"{"table":"t","pipeline":[{"$match":{"n":1}}]}"#, 1),
        ("update", r#"{"table":"t","where":{"n":1},"data":{"m":1}}"#, 1),
        ("updateOne", r#"{"table":"t","where":{"n":1},"data":{"m":2}}"#, 1),
        (
            "upsert",
            r#"{"table":"t","data":[{"n":1,"m":3},{"n":2,"m":3}],"conflictKeys":["n"]}"#,
            2,
        ),
        ("deleteOne", r#"{"table":"t","where":{"n":1}}"#, 1),
        ("delete", r#"{"table":"t","where":{"n":1}}"#, 1),
        ("raw", r#"{"collection":"t","query":{"n":1}}"#, 1),
        ("raw", r#"{"command":{"count":"t"}}"#, 1),
    ] {
        proxied.proxy.hear();
        let read = request::read(operation, &Json::read(input).unwrap(), proxied.connector.context()).unwrap();
        let timeout = Duration::from_millis(7_000);
        let answer = proxied.connector.run_operation(&read, timeout, &new_run()).await;
        assert!(answer.is_ok(), "{operation} {input}: {answer:?}");
        let limits = limits(&proxied.proxy.heard());
        assert_eq!(limits.len(), commands, "{operation} {input}: {limits:?}");
        // What comes later has what is left.
        assert!(limits.iter().all(|limit| (1..=7_000).contains(limit)), "{limits:?}");
        assert!(limits.is_sorted_by(|before, after| before >= after), "{limits:?}");
    }
    proxied.end().await;
}

#[tokio::test]
async fn mongodb_operation_that_is_aborted_ends_its_connection() {
    let Some(proxied) = Proxied::new().await else { return };
    let count = r#"{"table":"t"}"#;
    run(&proxied.connector, "count", count).await.unwrap();
    let open = proxied.proxy.open();
    proxied.proxy.stall(true);
    let connector = Arc::clone(&proxied.connector);
    let slow = tokio::spawn(async move { run(&connector, "count", count).await });
    eventually("the operation is sent", async || proxied.proxy.lost_bytes() > 0).await;
    slow.abort();
    eventually("the connection ends", async || proxied.proxy.open() < open).await;
    proxied.proxy.stall(false);
    let again = run(&proxied.connector, "count", count).await;
    assert_eq!(again.unwrap(), r#"{"count":0}"#);
    proxied.end().await;
}

#[tokio::test]
async fn mongodb_cursor_that_nobody_reads_on_is_closed() {
    let Some(proxied) = Proxied::new().await else { return };
    let text = "x".repeat(20_000);
    let rows: Vec<String> = (0..150).map(|id| format!(r#"{{"_id":{id},"s":"{text}"}}"#)).collect();
    for rows in rows.chunks(50) {
        let rows = format!(r#"{{"table":"t","data":[{}]}}"#, rows.join(","));
        run(&proxied.connector, "insertMany", &rows).await.unwrap();
    }
    proxied.proxy.hear();
    let found = run(&proxied.connector, "find", r#"{"table":"t"}"#).await.unwrap();
    assert!(found.ends_with(r#""truncated":true}"#));
    let name = b"killCursors";
    eventually("the cursor is closed", async || {
        proxied.proxy.heard().windows(name.len()).any(|part| part == name)
    })
    .await;
    proxied.end().await;
}
