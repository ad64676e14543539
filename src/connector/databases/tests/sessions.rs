//! What SQL of one job leaves on its connection is gone for the next one.

use super::support::TestDatabase;

/// What a job does to its session by a statement that looks harmless, and how the next one would see it.
async fn is_gone(database: &TestDatabase, changes: &[&str], seen: &str, clean: &str) {
    for change in changes {
        database.sql(change).await;
    }
    // On the connection that was used last, if it is still there.
    for _ in 0..3 {
        let found = database.sql(seen).await;
        assert!(found.contains(clean), "{changes:?}: {seen}: {found}");
    }
}

#[tokio::test]
async fn sql_of_a_job_leaves_nothing_to_the_next_one_on_postgresql() {
    let Some(database) = TestDatabase::postgres().await else {
        return;
    };
    let before = database.sql("SELECT current_setting('search_path') AS found").await;
    is_gone(
        &database,
        &["SELECT set_config('search_path', 'pg_temp', false)"],
        "SELECT current_setting('search_path') AS found",
        &before,
    )
    .await;
    is_gone(
        &database,
        &["SELECT set_config('statement_timeout', '1', false)"],
        "SELECT current_setting('statement_timeout') AS found",
        r#""found":"30s""#,
    )
    .await;
    is_gone(
        &database,
        &["SELECT pg_advisory_lock(4711)"],
        "SELECT count(*) AS found FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711",
        r#""found":0"#,
    )
    .await;
    is_gone(
        &database,
        &["SELECT set_config('role', 'pg_monitor', false)"],
        "SELECT current_user = session_user AS found",
        r#""found":true"#,
    )
    .await;
    is_gone(
        &database,
        &["WITH t AS (SELECT set_config('my.tenant', 'other', false)) SELECT * FROM t"],
        "SELECT coalesce(current_setting('my.tenant', true), '') = '' AS found",
        r#""found":true"#,
    )
    .await;
}

#[tokio::test]
async fn sql_of_a_job_leaves_nothing_to_the_next_one_on_mysql() {
    let Some(database) = TestDatabase::mysql().await else {
        return;
    };
    is_gone(
        &database,
        &["SELECT GET_LOCK('ductape-test-lock', 5)"],
        "SELECT IS_USED_LOCK('ductape-test-lock') IS NULL AS found",
        r#""found":1"#,
    )
    .await;
    is_gone(
        &database,
        &["SELECT @tenant := 'other'"],
        "SELECT @tenant IS NULL AS found",
        r#""found":1"#,
    )
    .await;
    is_gone(
        &database,
        &["SELECT 1"],
        "SELECT @@time_zone = '+00:00' AND @@sql_mode LIKE '%STRICT_ALL_TABLES%' AS found",
        r#""found":1"#,
    )
    .await;
}
