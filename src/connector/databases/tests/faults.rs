//! Servers that are unreachable, refuse, stall or die, cancelled statements, and invalid files.

use super::support::{TestDatabase, open, run};
use crate::connector::databases::dialect::Dialect;
use crate::connector::{Connector, Failure};
use crate::resources::DatabaseKind;
use crate::testing::eventually::eventually;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Failures of a check and of an operation at an address.
async fn answers(kind: DatabaseKind, url: &str) -> [Failure; 2] {
    let connector = match open(kind, url) {
        Ok(connector) => connector,
        Err(failure) => return [failure.clone(), failure],
    };
    let operated = run(&connector, "count", r#"{"table":"t"}"#).await.unwrap_err();
    [connector.check().await.unwrap_err(), operated]
}

/// Kinds of servers in this build, with the schemes of their URLs.
fn servers() -> impl Iterator<Item = (DatabaseKind, &'static str)> {
    let all = [(DatabaseKind::Postgresql, "postgres"), (DatabaseKind::Mysql, "mysql")];
    all.into_iter().take(if cfg!(feature = "mysql") { 2 } else { 1 })
}

#[tokio::test]
async fn unreachable_database_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (kind, scheme) in servers() {
        for url in [
            format!("{scheme}://u:s3cret-word@127.0.0.1:{port}/d"),
            format!("{scheme}://u:s3cret-word@no-such-host.invalid/d"),
        ] {
            for failure in answers(kind, &url).await {
                assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
                assert!(!failure.message.contains("s3cret"), "{failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_or_closed_handshake_is_a_connection_error() {
    use tokio::io::AsyncWriteExt;
    for garbage in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.write_all(garbage).await;
            }
        });
        for (kind, scheme) in servers() {
            for failure in answers(
                kind,
                &format!("{scheme}://u:s3cret-word@127.0.0.1:{port}/d?sslmode=disable"),
            )
            .await
            {
                assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
                assert!(!failure.message.contains("s3cret"), "{failure:?}");
            }
        }
        serving.abort();
    }
}

#[tokio::test]
async fn unresponsive_database_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    let checks = servers().map(|(kind, scheme)| {
        let connector = open(kind, &format!("{scheme}://u:p@127.0.0.1:{port}/d?sslmode=disable")).unwrap();
        async move { connector.check().await.unwrap_err() }
    });
    for failure in futures_util::future::join_all(checks).await {
        assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
        assert!(failure.message.contains("no answer"), "{failure:?}");
    }
    serving.abort();
}

#[tokio::test]
async fn refused_credentials_and_missing_databases_are_named_without_the_password() {
    if let Some(database) = TestDatabase::mysql().await {
        let wrong = database.url.replace("root@", "nobody:s3cret-word@");
        for failure in answers(DatabaseKind::Mysql, &wrong).await {
            assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
        let base = &database.url[..database.url.rfind('/').unwrap()];
        for failure in answers(DatabaseKind::Mysql, &format!("{base}/no_such_database")).await {
            assert_eq!(&*failure.code, "NOT_FOUND", "{failure:?}");
        }
    }
    if let Some(database) = TestDatabase::postgres().await {
        let role = format!("r{}", uuid::Uuid::now_v7().simple());
        let missing = database.url.replacen("root@", &format!("{role}:s3cret-word@"), 1);
        for failure in answers(DatabaseKind::Postgresql, &missing).await {
            assert_eq!(&*failure.code, "UNAUTHORIZED", "{failure:?}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
        database.sql("CREATE TABLE mine (id int)").await;
        database.sql(&format!("CREATE ROLE {role} LOGIN")).await;
        let schema = database.url.rsplit("%3D").next().unwrap().to_owned();
        database.sql(&format!("GRANT USAGE ON SCHEMA {schema} TO {role}")).await;
        let stranger = open(DatabaseKind::Postgresql, &missing.replace(":s3cret-word", "")).unwrap();
        let refused = run(&stranger, "find", r#"{"table":"mine"}"#).await.unwrap_err();
        stranger.close().await;
        database.sql(&format!("DROP OWNED BY {role}")).await;
        database.sql(&format!("DROP ROLE {role}")).await;
        assert_eq!(&*refused.code, "FORBIDDEN", "{refused:?}");
        let nowhere = database.url.replacen("/test?", "/no_such_database?", 1);
        for failure in answers(DatabaseKind::Postgresql, &nowhere).await {
            assert_eq!(&*failure.code, "NOT_FOUND", "{failure:?}");
        }
    }
}

#[tokio::test]
async fn constraints_are_named_and_values_are_not() {
    for database in TestDatabase::all().await {
        database
            .sql("CREATE TABLE k (id int PRIMARY KEY, mail varchar(90) NOT NULL, CONSTRAINT one_mail UNIQUE (mail))")
            .await;
        database
            .run("insert", r#"{"table":"k","data":{"id":1,"mail":"s3cret@example.org"}}"#)
            .await;
        let (code, message) = database
            .refusal("insert", r#"{"table":"k","data":{"id":2,"mail":"s3cret@example.org"}}"#)
            .await;
        assert_eq!(code, "VALIDATION_ERROR");
        assert!(!message.contains("s3cret") && message.contains("mail"), "{message}");
        let (code, message) = database
            .refusal("insert", r#"{"table":"k","data":{"id":3,"mail":null}}"#)
            .await;
        assert!(code == "VALIDATION_ERROR" && message.contains("mail"), "{message}");
        // The connection is still usable.
        assert_eq!(database.run("count", r#"{"table":"k"}"#).await, r#"{"count":1}"#);
    }
}

/// Whether a statement with this mark is running on the server.
async fn is_running(database: &TestDatabase, mark: &str) -> bool {
    let sql = match database.dialect {
        Dialect::Postgres => format!(
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{mark}%' AND pid <> pg_backend_pid()"
        ),
        _ => format!(
            "SELECT count(*) AS n FROM information_schema.processlist WHERE info LIKE '%{mark}%' AND id <> connection_id()"
        ),
    };
    !database.sql(&sql).await.contains("\"n\":0")
}

/// The first `id` in a result.
fn id_in(answer: &str) -> u64 {
    let (_, rest) = answer.split_once("\"id\":").unwrap();
    rest.split('}').next().unwrap().parse().unwrap()
}

/// Starts a statement with a mark in it that runs for a minute on the server.
async fn start_sleeping_statement(database: &TestDatabase) -> (String, JoinHandle<Result<String, Failure>>) {
    let mark = format!("m{}", uuid::Uuid::now_v7().simple());
    let sql = format!(
        "SELECT {} AS x /* {mark} */",
        database.per_dialect("pg_sleep(60)", "SLEEP(60)", "")
    );
    let connector = Arc::clone(&database.connector);
    let task = tokio::spawn(async move { run(&connector, "raw", &format!(r#"{{"sql":"{sql}"}}"#)).await });
    eventually("the statement runs", async || is_running(database, &mark).await).await;
    (mark, task)
}

#[tokio::test]
async fn dropped_job_cancels_its_statement_on_the_server() {
    for database in TestDatabase::all()
        .await
        .into_iter()
        .filter(|database| database.dialect != Dialect::Sqlite)
    {
        let (mark, task) = start_sleeping_statement(&database).await;
        task.abort();
        eventually("the statement has stopped", async || {
            !is_running(&database, &mark).await
        })
        .await;
        // That connection is not reused.
        database.sql("SELECT 1 AS x").await;
    }
}

#[tokio::test]
async fn dropped_job_interrupts_its_sqlite_statement() {
    let database = TestDatabase::sqlite();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS n FROM n";
    let input = format!(r#"{{"sql":"{endless}"}}"#);
    let stopped = tokio::time::timeout(Duration::from_millis(300), database.try_run("raw", &input)).await;
    assert!(stopped.is_err());
    // All connections are available again: none is busy any more.
    let again = futures_util::future::join_all((0..8).map(|_| database.sql("SELECT 1 AS one")));
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
}

#[tokio::test]
async fn statement_is_limited_by_the_job_timeout() {
    for database in TestDatabase::all().await {
        let sql = database.per_dialect(
            "SELECT pg_sleep(30)",
            "SELECT SLEEP(30) AS x",
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS n FROM n",
        );
        let input = crate::connector::databases::json::Json::read(&format!(r#"{{"sql":"{sql}"}}"#)).unwrap();
        let operation =
            crate::connector::databases::request::read("raw", &input, database.connector.context()).unwrap();
        let since = Instant::now();
        let answer = database
            .connector
            .run_operation(&operation, Duration::from_millis(200), "run")
            .await;
        assert!(since.elapsed() < Duration::from_secs(15));
        match (database.dialect, answer) {
            // An interrupted SLEEP returns 1.
            (Dialect::MySql, Ok(_)) => {}
            (_, answer) => assert_eq!(&*answer.unwrap_err().code, "TIMEOUT"),
        }
    }
}

#[tokio::test]
async fn killed_connection_is_replaced() {
    for database in TestDatabase::all()
        .await
        .into_iter()
        .filter(|database| database.dialect != Dialect::Sqlite)
    {
        database.sql("CREATE TABLE t (id int)").await;
        let (own, list) = match database.dialect {
            Dialect::Postgres => ("SELECT pg_backend_pid() AS id", "SELECT pg_terminate_backend({}) AS x"),
            _ => ("SELECT connection_id() AS id", "KILL {}"),
        };
        let id = database.run("raw", &format!(r#"{{"sql":"{own}"}}"#)).await;
        let id = id_in(&id);
        let other = open(
            if database.dialect == Dialect::Postgres {
                DatabaseKind::Postgresql
            } else {
                DatabaseKind::Mysql
            },
            &database.url,
        )
        .unwrap();
        run(
            &other,
            "raw",
            &format!(r#"{{"sql":"{}"}}"#, list.replace("{}", &id.to_string())),
        )
        .await
        .unwrap();
        other.close().await;
        // Real time: a connection is checked before use when it was idle for half a second.
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(database.run("count", r#"{"table":"t"}"#).await, r#"{"count":0}"#);
    }
}

#[tokio::test]
async fn connection_lost_during_a_statement_is_a_connection_error() {
    for database in TestDatabase::all()
        .await
        .into_iter()
        .filter(|database| database.dialect != Dialect::Sqlite)
    {
        let (mark, task) = start_sleeping_statement(&database).await;
        if database.dialect == Dialect::Postgres {
            database.sql(&format!("SELECT pg_terminate_backend(pid) AS x FROM pg_stat_activity WHERE query LIKE '%{mark}%' AND pid <> pg_backend_pid()")).await;
        } else {
            let id = database
                .sql(&format!(
                    "SELECT id FROM information_schema.processlist WHERE info LIKE '%{mark}%' AND id <> connection_id()"
                ))
                .await;
            let id = id_in(&id);
            database.sql(&format!("KILL {id}")).await;
        }
        let failure = task.await.unwrap().unwrap_err();
        assert_eq!(&*failure.code, "CONNECTION_ERROR", "{failure:?}");
        database.sql("SELECT 1 AS x").await;
    }
}

#[tokio::test]
async fn store_files_and_non_databases_are_refused() {
    use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite:{}", at(name).display());
    let missing = answers(DatabaseKind::Sqlite, &url("missing.db")).await;
    assert!(
        missing.iter().all(|failure| &*failure.code == "NOT_FOUND"),
        "{missing:?}"
    );
    assert!(!at("missing.db").exists());
    let made = open(DatabaseKind::Sqlite, &url("missing.db")).unwrap();
    run(&made, "raw", r#"{"sql":"CREATE TABLE t (id int)"}"#).await.unwrap();
    assert_eq!(run(&made, "count", r#"{"table":"t"}"#).await.unwrap(), r#"{"count":0}"#);
    let astray = open(DatabaseKind::Sqlite, &url("no/such/folder.db")).unwrap();
    assert_eq!(
        &*run(&astray, "raw", r#"{"sql":"SELECT 1"}"#).await.unwrap_err().code,
        "NOT_FOUND"
    );
    let store = SqliteStore::open(SqliteConfig::new(Location::File(at("jobs.db")))).unwrap();
    for failure in answers(DatabaseKind::Sqlite, &url("jobs.db")).await {
        assert!(
            &*failure.code == "VALIDATION_ERROR" && failure.message.contains("store of jobs"),
            "{failure:?}"
        );
    }
    drop(store);
    std::fs::write(
        at("text.db"),
        "this is no database, but a text that is long enough to be read as one ".repeat(20),
    )
    .unwrap();
    for failure in answers(DatabaseKind::Sqlite, &url("text.db")).await {
        assert_eq!(&*failure.code, "VALIDATION_ERROR", "{failure:?}");
    }
    let database = TestDatabase::sqlite();
    for sql in [
        "ATTACH DATABASE 'x.db' AS x",
        " /* a */ -- b\n attach 'x.db' as x",
        ";ATTACH 'x' AS y",
        "VACUUM INTO 'copy.db'",
    ] {
        let mut input = String::from("{\"sql\":");
        crate::connector::databases::json::push_string(&mut input, sql);
        input.push('}');
        assert_eq!(database.refusal("raw", &input).await.0, "VALIDATION_ERROR", "{sql}");
    }
    for wrong in [":memory:", "sqlite::memory:", "file:x?mode=rwc", ""] {
        assert_eq!(
            &*open(DatabaseKind::Sqlite, wrong).err().unwrap().code,
            "VALIDATION_ERROR",
            "{wrong}"
        );
    }
    assert_eq!(
        &*open(DatabaseKind::Cassandra, "h").err().unwrap().code,
        "VALIDATION_ERROR"
    );
}

/// Waiting for SQLite's lock is polling, which grows slower with the number of those that wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_write_to_a_file_at_once_are_about_as_fast_as_one_after_the_other() {
    const WRITES: usize = 200;
    let database = TestDatabase::sqlite();
    let connector = &database.connector;
    run(connector, "raw", r#"{"sql":"CREATE TABLE t (n INTEGER)"}"#)
        .await
        .unwrap();
    let write = || run(connector, "insert", r#"{"table":"t","data":{"n":1}}"#);
    let started = Instant::now();
    for _ in 0..WRITES {
        write().await.unwrap();
    }
    let one_by_one = started.elapsed();
    let started = Instant::now();
    for written in futures_util::future::join_all((0..WRITES).map(|_| write())).await {
        written.unwrap();
    }
    let at_once = started.elapsed();
    // With all of them polling, this is many times as long.
    assert!(at_once < one_by_one * 4, "{at_once:?}, one by one {one_by_one:?}");
}
