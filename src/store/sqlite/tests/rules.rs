//! The store follows the rules in every case of their table.

use super::super::write_operation::WriteOptions;
use super::super::{Location, SqliteConfig, SqliteStore};
use crate::clock::BootTime;
use crate::store::contract::TestStore;
use crate::store::rules::table::{Probe, check_completions, check_insertions};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

struct Side(Arc<SqliteStore>);

#[async_trait]
impl Probe for Side {
    async fn execute(&self, sql: &str) {
        let sql = sql.replace("ductape.", "");
        let options = WriteOptions::plain(1);
        self.0
            .write(options, move |tx| Ok(tx.connection.execute_batch(&sql)?))
            .await
            .unwrap();
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        let sql = sql.replace("ductape.", "");
        let options = WriteOptions::plain(1);
        let read = move |tx: &mut super::super::tx::Tx<'_>| {
            let mut select = tx.connection.prepare(&sql)?;
            let rows = select.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<Vec<String>>>()?)
        };
        self.0.write(options, read).await.unwrap()
    }
}

fn test_store() -> (TestStore, Side) {
    let lease_clock = Arc::new(AtomicI64::new(1_000));
    let millis = Arc::clone(&lease_clock);
    let clock = move || BootTime {
        boot: "this".to_owned(),
        millis: millis.load(Ordering::SeqCst),
    };
    let config = SqliteConfig {
        lease_clock: Arc::new(clock),
        ..SqliteConfig::new(Location::Memory)
    };
    let store = SqliteStore::open(config).unwrap();
    let checked = Arc::clone(&store);
    let check = Box::new(move || {
        let store = Arc::clone(&checked);
        Box::pin(async move { store.check_invariants().await }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    });
    let side = Side(Arc::clone(&store));
    let test_store = TestStore {
        store,
        kill: Box::new(|_| {}),
        lease_clock,
        boot: Arc::default(),
        check,
        keep: Box::new(()),
    };
    (test_store, side)
}

#[tokio::test]
async fn attempt_ends_follow_the_rules() {
    let (store, side) = test_store();
    check_completions(&store, &side).await;
}

#[tokio::test]
async fn dispatches_and_promotions_follow_the_rules() {
    let (store, side) = test_store();
    check_insertions(&store, &side).await;
}
