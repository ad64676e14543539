//! Facts about a schema and its server.

use super::super::{Address, PostgresConfig, health};
use super::test_support::{Schema, add, schema};
use crate::store::{CountedJobs, ServerFacts, Store, StoreHealth, StorePlace};
use std::time::Duration;

async fn look(schema: &Schema) -> (StoreHealth, Option<i64>) {
    let address = Address::parse(&schema.url_with("")).unwrap();
    let told = health(PostgresConfig::new(address), Duration::from_secs(30))
        .await
        .unwrap();
    let stored = told.jobs.map(|jobs| jobs.stored);
    (told, stored)
}

fn server(health: &StoreHealth) -> &ServerFacts {
    match &health.place {
        StorePlace::Server(facts) => facts,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn schema_and_server_are_told_as_they_are_and_nothing_is_made() {
    let Some(schema) = schema("schema_and_server_are_told_as_they_are_and_nothing_is_made") else {
        return;
    };
    let (told, stored) = look(&schema).await;
    assert_eq!((told.schema_version, stored), (0, None));
    let store = schema.open().await;
    add(&store, "x").await.unwrap();
    let (told, _) = look(&schema).await;
    assert_eq!(told.schema_version, told.known_schema_version);
    assert_eq!(told.jobs, Some(CountedJobs { counted: 1, stored: 1 }));
    let facts = server(&told);
    assert!(facts.version >= 130_000 && !facts.is_replica && facts.bytes > 0);
    assert!(facts.connections > 0 && facts.max_connections >= facts.connections);
    for name in ["fsync", "full_page_writes", "synchronous_commit", "autovacuum"] {
        assert!(facts.settings.contains_key(name), "{name}");
    }
    // What each session of this package sets for itself is not what counts.
    assert_ne!(facts.settings["statement_timeout"], "60000");
}

#[tokio::test]
async fn look_at_another_version_of_a_schema_migrates_nothing() {
    let Some(schema) = schema("look_at_another_version_of_a_schema_migrates_nothing") else {
        return;
    };
    schema.open().await.close().await.unwrap();
    let client = schema.client().await;
    for (change, version) in [
        ("DELETE FROM {}.versions WHERE number > 2", 2),
        ("INSERT INTO {}.versions (number) VALUES (99)", 99),
    ] {
        let quoted = format!("\"{}\"", schema.name);
        client.batch_execute(&change.replace("{}", &quoted)).await.unwrap();
        assert_eq!(look(&schema).await.0.schema_version, version);
        let found = client
            .query_one(&format!("SELECT max(number) FROM {quoted}.versions"), &[])
            .await
            .unwrap();
        assert_eq!(i64::from(found.get::<_, i32>(0)), version);
    }
}
