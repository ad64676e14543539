//! PostgreSQL through a PgBouncer in transaction mode: `DUCTAPE_TEST_PGBOUNCER` names one.

use super::support::{open, run};
use crate::connector::databases::connector::DatabaseConnector;
use crate::resources::DatabaseKind;
use crate::testing::skipped::address;
use std::time::Duration;

/// A table of its own, dropped at the end.
struct Pooled {
    connector: DatabaseConnector,
    url: String,
    table: String,
}

async fn pooled() -> Option<Pooled> {
    let server = address("DUCTAPE_TEST_PGBOUNCER", "a test of databases through a pooler")?;
    let joint = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{joint}pgbouncer=true");
    let pooled = Pooled {
        connector: open(DatabaseKind::Postgresql, &url).unwrap(),
        table: format!("t{}", uuid::Uuid::now_v7().simple()),
        url,
    };
    let table = &pooled.table;
    pooled
        .sql(&format!("CREATE TYPE {table}_mood AS ENUM ('good', 'bad')"))
        .await;
    pooled
        .sql(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, n int, mood {table}_mood, tags text[])"
        ))
        .await;
    pooled
        .run("insert", r#""data":{"id":1,"n":0,"mood":"good"}"#)
        .await
        .unwrap();
    Some(pooled)
}

impl Pooled {
    async fn sql(&self, sql: &str) -> String {
        run(&self.connector, "raw", &format!(r#"{{"sql":"{sql}"}}"#))
            .await
            .unwrap()
    }

    async fn run(&self, operation: &str, members: &str) -> Result<String, crate::connector::Failure> {
        let input = format!(r#"{{"table":"{}",{members}}}"#, self.table);
        run(&self.connector, operation, &input).await
    }

    async fn end(self) {
        self.sql(&format!("DROP TABLE {}", self.table)).await;
        self.sql(&format!("DROP TYPE {}_mood", self.table)).await;
    }
}

#[tokio::test]
async fn many_jobs_of_several_clients_run_through_a_pooler() {
    let Some(pooled) = pooled().await else { return };
    let others: Vec<DatabaseConnector> = (0..3)
        .map(|_| open(DatabaseKind::Postgresql, &pooled.url).unwrap())
        .collect();
    let table = &pooled.table;
    let jobs = (0..120).map(|number: usize| {
        let connector = others.get(number % 3).unwrap();
        async move {
            // One with a type that the driver has to ask for, one that changes lists, one that fails.
            let (operation, members, expected) = match number % 4 {
                0 => (
                    "update",
                    r#""data":{"n":{"$inc":1}},"where":{"id":1,"mood":"good"}"#,
                    Some(r#"{"count":1}"#),
                ),
                1 => (
                    "find",
                    r#""fields":["mood"],"where":{"id":1}"#,
                    Some(r#"{"rows":[{"mood":"good"}],"count":1}"#),
                ),
                2 => (
                    "update",
                    r#""data":{"tags":{"$addToSet":"x"}},"where":{"id":1}"#,
                    Some(r#"{"count":1}"#),
                ),
                _ => ("insert", r#""data":{"id":1}"#, None),
            };
            let input = format!(r#"{{"table":"{table}",{members}}}"#);
            match (run(connector, operation, &input).await, expected) {
                (Ok(answer), Some(expected)) => assert_eq!(answer, expected),
                (Err(failure), None) => assert_eq!(&*failure.code, "VALIDATION_ERROR", "{failure:?}"),
                (answer, _) => panic!("{input}: {answer:?}"),
            }
        }
    });
    futures_util::future::join_all(jobs).await;
    let found = pooled.run("findOne", r#""fields":["n","tags"]"#).await.unwrap();
    assert_eq!(found, r#"{"n":30,"tags":["x"]}"#);
    pooled.end().await;
}

#[tokio::test]
async fn nothing_of_a_job_is_left_on_a_connection_of_a_pooler() {
    let Some(pooled) = pooled().await else { return };
    for _ in 0..8 {
        pooled.run("find", r#""where":{"mood":"good"}"#).await.unwrap();
    }
    for sql in [
        "SET statement_timeout = 1",
        "RESET ALL",
        "DEALLOCATE ALL",
        "/* x */ SET statement_timeout = 1",
        "-- c\\nSET statement_timeout = 1",
        "; /**/RESET ALL",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "CREATE TEMP TABLE left_over (n int)",
        "BEGIN",
        "COMMIT",
    ] {
        let refused = run(&pooled.connector, "raw", &format!(r#"{{"sql":"{sql}"}}"#)).await;
        assert!(refused.unwrap_err().message.contains("pgbouncer=true"), "{sql}");
    }
    let url = pooled.url.split('?').next().unwrap();
    for _ in 0..4 {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let task = tokio::spawn(connection);
        for (sql, expected) in [
            ("SELECT current_setting('statement_timeout')", "0"),
            (
                "SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^s[0-9]+$'",
                "0",
            ),
        ] {
            let messages = client.simple_query(sql).await.unwrap();
            let row = messages.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            assert_eq!(row, Some(expected), "{sql}");
        }
        drop(client);
        let _ = task.await;
    }
    pooled.end().await;
}

#[tokio::test]
async fn slow_statement_ends_in_time_through_a_pooler() {
    let Some(pooled) = pooled().await else { return };
    let input = crate::connector::databases::json::Json::read(r#"{"sql":"SELECT pg_sleep(20)"}"#).unwrap();
    let operation = crate::connector::databases::request::read("raw", &input, pooled.connector.context()).unwrap();
    let from = std::time::Instant::now();
    let failure = pooled
        .connector
        .run_operation(&operation, Duration::from_millis(300), "run")
        .await
        .unwrap_err();
    assert_eq!(&*failure.code, "TIMEOUT");
    // A real wait: the limit is the server's. Far less than the statement takes.
    assert!(from.elapsed() < Duration::from_secs(5));
    pooled.end().await;
}
