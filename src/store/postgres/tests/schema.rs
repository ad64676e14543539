//! Creating, migrating and refusing schemas, with the messages.

use super::super::migrate::TABLES;
use super::super::{Address, PostgresConfig, PostgresStore};
use super::test_support::{Server, add, claim, schema};
use crate::error::{Error, ErrorCode};
use crate::model::RunStatus;
use crate::store::contract::test_support::{T0, id, series};
use crate::store::{InsertParams, Inserted, RecoverParams, Store};
use std::sync::Arc;

/// Drops what the migration of this version has added to `series`.
const OF_VERSION_6: &str = "DROP COLUMN last_run, DROP COLUMN last_status, DROP COLUMN last_ended, DROP COLUMN failing_runs, \
                            DROP COLUMN failing_since";
/// The same of `instances`.
const OF_VERSION_7: &str =
    "DROP COLUMN host, DROP COLUMN pid, DROP COLUMN registered, DROP COLUMN version, DROP COLUMN handlers";

async fn refusal(url: &str) -> Error {
    let address = Address::parse(url).unwrap();
    PostgresStore::open(PostgresConfig::new(address)).await.unwrap_err()
}

#[tokio::test]
async fn reopened_schema_has_its_jobs() {
    let Some(schema) = schema("reopened_schema_has_its_jobs") else {
        return;
    };
    let store = schema.open().await;
    add(&store, "x").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.get(&id("x")).await.unwrap_err().code, ErrorCode::Closed);
    let again = schema.open().await;
    assert!(again.get(&id("x")).await.unwrap().is_some());
    assert!(matches!(
        add(&again, "x").await.unwrap().as_slice(),
        [Inserted::Existing(_)]
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_create_the_schema_once() {
    let Some(schema) = schema("processes_that_start_together_create_the_schema_once") else {
        return;
    };
    let schema = Arc::new(schema);
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let schema = Arc::clone(&schema);
            tokio::spawn(async move {
                let store = schema.open().await;
                add(&store, &format!("x{n}")).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let store = schema.open().await;
    assert_eq!(store.stats(None).await.unwrap().by_status.iter().sum::<i64>(), 6);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let Some(schema) = schema("a_newer_schema_is_refused_with_both_versions") else {
        return;
    };
    schema.open().await.close().await.unwrap();
    let client = schema.client().await;
    let newer = format!("INSERT INTO \"{}\".versions (number) VALUES (99)", schema.name);
    client.batch_execute(&newer).await.unwrap();
    let error = refusal(&schema.url_with("")).await;
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(
        error.message.contains("version 99") && error.message.contains("knows 8"),
        "{error}"
    );
}

#[tokio::test]
async fn schema_of_version_1_is_migrated_beside_a_process_that_uses_it() {
    let Some(schema) = schema("schema_of_version_1_is_migrated_beside_a_process_that_uses_it") else {
        return;
    };
    let store = schema.open().await;
    add(&store, "x").await.unwrap();
    let process = store.register(-1, 10).await.unwrap();
    assert_eq!(claim(&store, process, 1).await.unwrap().runs.len(), 1);
    store.close().await.unwrap();
    let client = schema.client().await;
    client
        .batch_execute(&format!(
            "SET search_path TO \"{}\"; DROP TABLE figures, audit; DROP INDEX ready_suspects, held_suspects; DROP FUNCTION claim_v2, heads_v2;
             DROP FUNCTION dispatch_v2, check_routes_v1; ALTER TABLE instances DROP COLUMN slots, DROP COLUMN seen, {OF_VERSION_7};
             ALTER TABLE series DROP COLUMN settled, {OF_VERSION_6};
             ALTER TABLE routes DROP COLUMN added; UPDATE routes SET id = 1; UPDATE jobs SET route = 1;
             UPDATE running SET route = 1; UPDATE counters SET route = 1; DELETE FROM versions WHERE number > 1",
            schema.name
        ))
        .await
        .unwrap();
    let store = schema.open().await;
    // How many of its claims were executed is not known: all count.
    assert_eq!(store.recover(RecoverParams::new(T0, 10)).await.unwrap().requeued, 1);
    assert_eq!(store.get(&id("x")).await.unwrap().unwrap().crashes, 1);
    // A process of the older version goes on.
    let older = client
        .query_one("INSERT INTO instances (lease) VALUES (9e15) RETURNING id", &[])
        .await
        .unwrap();
    let older: i64 = older.get(0);
    let claimed = client
        .query(
            "SELECT job FROM claim_v1($1, -1, $2, 5, (SELECT array_agg(id) FROM routes), ARRAY[0], ARRAY[-9],
                 ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[0::bigint], ARRAY[9::bigint], ARRAY[1], 1, 32) AS claimed
             WHERE job IS NOT NULL",
            &[&T0, &older],
        )
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    store.check_invariants().await;
    // Routes keep the numbers that they have, so that its jobs are found.
    add(&store, "y").await.unwrap();
    let numbers = client.query("SELECT DISTINCT route FROM jobs", &[]).await.unwrap();
    assert_eq!(numbers.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [1]);
}

#[tokio::test]
async fn schema_of_version_3_is_migrated_and_its_jobs_are_claimed() {
    let Some(schema) = schema("schema_of_version_3_is_migrated_and_its_jobs_are_claimed") else {
        return;
    };
    let store = schema.open().await;
    add(&store, "x").await.unwrap();
    store.close().await.unwrap();
    let older = format!(
        "SET search_path TO \"{}\"; DROP TABLE figures, audit; ALTER TABLE counters REPLICA IDENTITY DEFAULT;
         ALTER TABLE instances DROP COLUMN seen, {OF_VERSION_7}; ALTER TABLE series DROP COLUMN settled, {OF_VERSION_6};
         DELETE FROM marks; DELETE FROM versions WHERE number > 3",
        schema.name
    );
    schema.client().await.batch_execute(&older).await.unwrap();
    let store = schema.open().await;
    let process = store.register(60_000, 10).await.unwrap();
    assert_eq!(claim(&store, process, 1).await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn schema_of_version_5_is_migrated_and_knows_how_its_series_went() {
    let Some(schema) = schema("schema_of_version_5_is_migrated_and_knows_how_its_series_went") else {
        return;
    };
    let store = schema.open().await;
    let params = InsertParams {
        jobs: vec![series("x"), series("new")],
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    store.close().await.unwrap();
    let older = format!(
        "SET search_path TO \"{}\"; DROP TABLE figures, audit; ALTER TABLE series {OF_VERSION_6}; ALTER TABLE instances {OF_VERSION_7};
         DELETE FROM versions WHERE number > 5;
         UPDATE series SET ended = 5, succeeded = 2, failed = 3 WHERE job = (SELECT seq FROM jobs WHERE name = 'x');
         INSERT INTO runs (job, run, attempt, status, ended, error)
         SELECT seq, v.* FROM jobs CROSS JOIN (VALUES
             (1, 1, 4, 10, NULL), (2, 1, 3, 20, NULL), (3, 1, 4, 30, NULL), (4, 1, 5, 40, NULL),
             (5, 1, 7, 50, NULL), (5, 2, 4, 60, '{{\"code\":\"E\",\"message\":\"no\"}}'), (6, 1, 7, 70, NULL)) AS v
         WHERE name = 'x'",
        schema.name
    );
    schema.client().await.batch_execute(&older).await.unwrap();
    let store = schema.open().await;
    let record = store.get(&id("x")).await.unwrap().unwrap();
    let last = record.last_run.unwrap();
    assert_eq!((last.status, last.ended_at), (RunStatus::Failed, 60));
    assert_eq!(&*last.error.unwrap().message, "no");
    assert_eq!(
        record.failing.map(|failing| (failing.since, failing.runs)),
        Some((30, 2))
    );
    let record = store.get(&id("new")).await.unwrap().unwrap();
    assert_eq!((record.last_run, record.failing), (None, None));
}

#[tokio::test]
async fn schema_that_lacks_something_is_refused_and_left_alone() {
    let Some(schema) = schema("schema_that_lacks_something_is_refused_and_left_alone") else {
        return;
    };
    schema.open().await.close().await.unwrap();
    let client = schema.client().await;
    for (change, named) in [
        ("ALTER TABLE runs RENAME TO runs_of_before", "lacks runs;"),
        (
            "ALTER FUNCTION complete_v1 RENAME TO complete_v0",
            "lacks runs, complete_v1;",
        ),
        ("TRUNCATE versions", "does not say of which version"),
        ("DROP TABLE versions", "does not say of which version"),
    ] {
        let change = format!("SET search_path TO \"{}\"; {change}", schema.name);
        client.batch_execute(&change).await.unwrap();
        let error = refusal(&schema.url_with("")).await;
        assert_eq!(error.code, ErrorCode::StoreCorrupt, "{error}");
        let remedy = format!("DROP SCHEMA \"{}\" CASCADE", schema.name);
        assert!(
            error.message.contains(named) && error.message.contains(&remedy),
            "{error}"
        );
    }
    // Tables of others that happen to have such names.
    let foreign = "CREATE TABLE versions (mine text)";
    let drop = "DROP SCHEMA \"{}\" CASCADE; CREATE SCHEMA \"{}\"".replace("{}", &schema.name);
    client.batch_execute(&format!("{drop}; {foreign}")).await.unwrap();
    let error = refusal(&schema.url_with("")).await;
    assert!(error.message.contains("another program"), "{error}");
}

#[tokio::test]
async fn list_of_tables_is_that_of_the_migrations() {
    let Some(schema) = schema("list_of_tables_is_that_of_the_migrations") else {
        return;
    };
    schema.open().await;
    let made = "SELECT relname::text FROM pg_class
         WHERE relnamespace = $1::text::regnamespace AND relname <> 'versions'
           AND (relkind = 'r' OR relkind = 'S' AND NOT EXISTS (SELECT 1 FROM pg_depend
                WHERE objid = pg_class.oid AND deptype = 'i'))
         ORDER BY relname COLLATE \"C\"";
    let found = schema.client().await.query(made, &[&schema.name]).await.unwrap();
    let names: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, TABLES);
}

#[tokio::test]
async fn every_table_says_which_row_is_meant_to_who_copies_changes() {
    let Some(schema) = schema("every_table_says_which_row_is_meant_to_who_copies_changes") else {
        return;
    };
    schema.open().await;
    let without = "SELECT relname::text FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'r'
         AND relreplident <> 'f' AND NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)";
    let found = schema.client().await.query(without, &[&schema.name]).await.unwrap();
    let names: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, [""; 0]);
}

#[tokio::test]
async fn schema_that_is_migrated_while_open_is_left_alone_from_the_next_renewal_on() {
    let Some(schema) = schema("schema_that_is_migrated_while_open_is_left_alone_from_the_next_renewal_on") else {
        return;
    };
    let store = schema.open().await;
    let instance = store.register(60_000, 1).await.unwrap();
    assert!(store.renew(instance, 60_000).await.unwrap());
    let client = schema.client().await;
    let newer = format!("INSERT INTO \"{}\".versions (number) VALUES (99)", schema.name);
    client.batch_execute(&newer).await.unwrap();
    for error in [
        store.renew(instance, 60_000).await.unwrap_err(),
        add(&store, "x").await.unwrap_err(),
        store.stats(None).await.unwrap_err(),
        store.unregister(instance, 0).await.unwrap_err(),
    ] {
        assert_eq!(error.code, ErrorCode::StoreError);
        assert!(
            error.message.contains("it has version 99, this process writes 8"),
            "{error}"
        );
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn backup_is_left_to_the_servers_tools() {
    let Some(schema) = schema("backup_is_left_to_the_servers_tools") else {
        return;
    };
    let store = schema.open().await;
    let error = store.back_up(std::path::Path::new("/nowhere/copy")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreError);
    let named = format!("pg_dump --schema={}", schema.name);
    assert!(error.message.contains(&named), "{error}");
}

#[tokio::test]
async fn schema_of_another_program_is_refused_unchanged() {
    let Some(schema) = schema("schema_of_another_program_is_refused_unchanged") else {
        return;
    };
    let client = schema.client().await;
    let foreign = format!(
        "CREATE SCHEMA \"{0}\"; CREATE TABLE \"{0}\".jobs (mine text)",
        schema.name
    );
    client.batch_execute(&foreign).await.unwrap();
    let error = refusal(&schema.url_with("")).await;
    assert!(error.message.contains("another program"), "{error}");
    let columns = format!(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = '{}'",
        schema.name
    );
    assert_eq!(client.query_one(&columns, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_schema_with_any_name_works() {
    let Some(mut schema) = schema("a_schema_with_any_name_works") else {
        return;
    };
    schema.name = format!("{} Über-Jobs", schema.name);
    let store = PostgresStore::open(PostgresConfig::new(schema.address()))
        .await
        .unwrap();
    add(&store, "x").await.unwrap();
    store.check_invariants().await;
}

#[tokio::test]
async fn pooled_mode_keeps_no_session_state() {
    let Some(schema) = schema("through_a_pooler_nothing_is_kept_in_the_session") else {
        return;
    };
    let address = Address::parse(&schema.url_with("&pgbouncer=true&connections=1")).unwrap();
    let store = PostgresStore::open(PostgresConfig::new(address)).await.unwrap();
    add(&store, "x").await.unwrap();
    store.cancel(&id("x"), None, 5).await.unwrap();
    assert!(store.get(&id("x")).await.unwrap().is_some());
    // Each verb may get another connection, so none may rely on what an earlier one prepared or set.
    let kept = attempt(&store).await;
    assert_eq!(kept, (0, "on".to_owned()));
}

async fn attempt(store: &PostgresStore) -> (i64, String) {
    let kept =
        "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''), current_setting('enable_seqscan')";
    let found: Result<_, Error> = async {
        Ok(super::super::pool::with_session!(
            store.inner.general,
            super::super::pool::WriteOptions::LONG_RUNNING,
            |session| session.query(kept, &[])
        ))
    }
    .await;
    let rows = found.unwrap();
    (rows[0].get(0), rows[0].get(1))
}

#[tokio::test]
async fn missing_create_privilege_names_the_grant() {
    let Some(schema) = schema("who_may_not_create_the_schema_is_told_what_to_grant") else {
        return;
    };
    let client = schema.client().await;
    let role = format!("{}_user", schema.name);
    client
        .batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 's3cret'"))
        .await
        .unwrap();
    let url = schema
        .url_with("")
        .replacen("://root@", &format!("://{role}:s3cret@"), 1);
    let error = refusal(&url).await;
    assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
    assert!(
        error.message.contains("CREATE") && !error.message.contains("s3cret"),
        "{error}"
    );
    // With a schema of its own, the role needs no further privilege.
    let own = format!("CREATE SCHEMA \"{}\" AUTHORIZATION {role}", schema.name);
    client.batch_execute(&own).await.unwrap();
    let store = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap()))
        .await
        .unwrap();
    add(&store, "x").await.unwrap();
    store.close().await.unwrap();
    client
        .batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn connection_errors_name_the_cause_without_the_password() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("connection_errors_name_the_cause_without_the_password");
    };
    let missing = server.url().replacen("/test", "/no_such_database", 1);
    let error = refusal(&missing).await;
    assert_eq!(error.code, ErrorCode::ConnectionError, "{error}");
    assert!(
        error.message.contains("no_such_database") && error.message.contains("create"),
        "{error}"
    );
    let address = server.schema().server();
    let error = refusal(&format!("postgres://me:s3cret@{address}/test")).await;
    assert_eq!(error.code, ErrorCode::Unauthorized, "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}
