//! The functions of the schema, which implement the rules in SQL, follow them in every case of their table.

use super::super::{LeaseClock, PostgresConfig, PostgresStore};
use super::test_support::Server;
use crate::store::contract::{TestStore, report_skipped};
use crate::store::rules::table::{Probe, check_completions, check_insertions};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_postgres::Client;

struct Side {
    client: Client,
    schema: String,
}

impl Side {
    fn named(&self, sql: &str) -> String {
        sql.replace("ductape.", &format!("\"{}\".", self.schema))
    }
}

#[async_trait]
impl Probe for Side {
    async fn execute(&self, sql: &str) {
        self.client.batch_execute(&self.named(sql)).await.unwrap();
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.client.query(&self.named(sql), &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

async fn test_store() -> Option<(TestStore, Side)> {
    let schema = Server::named()?.schema();
    let lease_clock = Arc::new(AtomicI64::new(1_000));
    let millis = Arc::clone(&lease_clock);
    let clock: LeaseClock = Arc::new(move || millis.load(Ordering::SeqCst));
    let config = PostgresConfig {
        lease_clock: Some(clock),
        ..PostgresConfig::new(schema.address())
    };
    let store = PostgresStore::open(config).await.unwrap();
    let checked = Arc::clone(&store);
    let check = Box::new(move || {
        let store = Arc::clone(&checked);
        Box::pin(async move { store.check_invariants().await }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    });
    let side = Side {
        client: schema.client().await,
        schema: schema.name.clone(),
    };
    let test_store = TestStore {
        store,
        kill: Box::new(|_| {}),
        lease_clock,
        boot: Arc::default(),
        check,
        keep: Box::new(schema),
    };
    Some((test_store, side))
}

#[tokio::test]
async fn attempt_ends_follow_the_rules() {
    let Some((store, side)) = test_store().await else {
        return report_skipped("rules::attempt_ends_follow_the_rules");
    };
    check_completions(&store, &side).await;
}

#[tokio::test]
async fn dispatches_and_promotions_follow_the_rules() {
    let Some((store, side)) = test_store().await else {
        return report_skipped("rules::dispatches_and_promotions_follow_the_rules");
    };
    check_insertions(&store, &side).await;
}
