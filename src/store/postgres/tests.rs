//! The contract suite on a server, and tests specific to servers. `DUCTAPE_TEST_POSTGRES` names the database; without it
//! each test is reported as skipped. `DUCTAPE_TEST_PGBOUNCER` names the same database behind a PgBouncer in transaction
//! mode: the contract suite then also runs through that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connection_failures;
mod costs;
mod health;
mod limits;
mod plans;
mod processes;
mod routes;
mod rules;
mod schema;
mod snapshots;
pub(crate) mod test_support;
mod tls_connections;
mod transfer;

use self::test_support::Server;
use super::{Address, LeaseClock, PostgresConfig, PostgresStore};
use crate::store::contract::TestStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A store in a schema of its own, whose lease clock is controlled by the test.
async fn test_store() -> Option<TestStore> {
    test_store_on(&Server::named()?, "").await
}

/// The same through a pooler.
async fn pooled_test_store() -> Option<TestStore> {
    test_store_on(&Server::pooled()?, "&pgbouncer=true").await
}

async fn test_store_on(server: &Server, more: &str) -> Option<TestStore> {
    Some(test_store_in(Arc::new(server.schema()), more).await)
}

/// The store in this schema.
pub(crate) async fn test_store_in(schema: Arc<test_support::Schema>, more: &str) -> TestStore {
    let lease_clock = Arc::new(AtomicI64::new(1_000));
    let millis = Arc::clone(&lease_clock);
    let clock: LeaseClock = Arc::new(move || millis.load(Ordering::SeqCst));
    let config = PostgresConfig {
        lease_clock: Some(clock),
        ..PostgresConfig::new(Address::parse(&schema.url_with(more)).unwrap())
    };
    let store = PostgresStore::open(config).await.unwrap();
    let checked = Arc::clone(&store);
    let check = Box::new(move || {
        let store = Arc::clone(&checked);
        Box::pin(async move { store.check_invariants().await }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
    });
    TestStore {
        store,
        kill: Box::new(|_| {}),
        lease_clock,
        boot: Arc::default(),
        check,
        keep: Box::new(schema),
    }
}

/// The same behind encryption.
async fn sealed_test_store() -> Option<TestStore> {
    Some(crate::store::sealed::tests::sealed(test_store().await?, &["k2", "k1"]))
}

mod sealed_contract {
    crate::store::contract::store_contract!(crate::store::postgres::tests::sealed_test_store);
}

mod contract {
    crate::store::contract::store_contract!(crate::store::postgres::tests::test_store);
}

mod pooled {
    crate::store::contract::store_contract!(crate::store::postgres::tests::pooled_test_store);
}
