//! Fixtures of tests on a server: a schema for each test, and additional connections.

use super::super::{Address, PostgresConfig, PostgresStore};
use crate::error::Error;
use crate::store::contract::report_skipped;
use crate::store::contract::test_support::{T0, one_off};
use crate::store::{
    ClaimParams, Claimed, InsertParams, Inserted, InstanceId, RouteMark, ServedRoute, Store, StoredRoute,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The server of the tests.
#[derive(Clone, Debug)]
pub(super) struct Server(String);

impl Server {
    /// The server named by the environment.
    pub(super) fn named() -> Option<Self> {
        Self::of("DUCTAPE_TEST_POSTGRES")
    }

    /// The server behind the pooler named by the environment.
    pub(super) fn pooled() -> Option<Self> {
        Self::of("DUCTAPE_TEST_PGBOUNCER")
    }

    fn of(variable: &str) -> Option<Self> {
        let url = std::env::var(variable).ok().filter(|url| !url.is_empty())?;
        Some(Self(url))
    }

    /// A schema of this test's own, dropped with it.
    pub(super) fn schema(&self) -> Schema {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Schema {
            url: self.0.clone(),
            name: format!("ductape_test_{}_{number}", std::process::id()),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.0
    }
}

/// A schema of the test's own, where the environment names a server; else the test is reported as skipped.
pub(crate) fn schema(test: &str) -> Option<Schema> {
    let server = Server::named();
    if server.is_none() {
        report_skipped(test);
    }
    server.map(|server| server.schema())
}

/// A schema that is deleted when dropped.
#[derive(Debug)]
pub(crate) struct Schema {
    url: String,
    pub(crate) name: String,
}

impl Schema {
    /// The address, with `more` parameters such as `&pgbouncer=true`.
    pub(crate) fn url_with(&self, more: &str) -> String {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{sign}schema={}{more}", self.url, self.name)
    }

    /// Host and port of the server.
    pub(super) fn server(&self) -> String {
        let address = self
            .url
            .split(['@', '/', '?'])
            .find(|part| part.contains(':') && !part.ends_with(':'));
        address.unwrap().to_owned()
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(&self.url_with("")).unwrap()
    }

    pub(crate) async fn open(&self) -> Arc<PostgresStore> {
        PostgresStore::open(PostgresConfig::new(self.address())).await.unwrap()
    }

    /// A store that connects to this local port; `more` as in [`url_with`](Self::url_with).
    pub(super) async fn open_at(&self, port: u16, more: &str) -> Result<Arc<PostgresStore>, Error> {
        let url = self
            .url_with(more)
            .replacen(&self.server(), &format!("127.0.0.1:{port}"), 1);
        PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap())).await
    }

    pub(crate) async fn client(&self) -> Client {
        client(&self.url).await
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = client(&url).await;
                client
                    .batch_execute(&format!(
                        "SET client_min_messages = error; DROP SCHEMA IF EXISTS \"{name}\" CASCADE"
                    ))
                    .await
            })
        });
        let _ = dropped.join();
    }
}

/// A connection of the test's own.
pub(super) async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

pub(super) async fn add(store: &PostgresStore, text: &str) -> Result<Vec<Inserted>, Error> {
    let jobs = vec![one_off(text)];
    store
        .insert(InsertParams {
            jobs,
            all_or_nothing: false,
            now: T0,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        })
        .await
}

pub(super) async fn served(store: &PostgresStore) -> Arc<[ServedRoute]> {
    let known = store.routes_after(RouteMark::new(0)).await.unwrap();
    let served = |known: StoredRoute| ServedRoute {
        route: known.id,
        group: 0,
    };
    known.routes.into_iter().map(served).collect()
}

pub(super) async fn claim(store: &PostgresStore, instance: InstanceId, slots: usize) -> Result<Claimed, Error> {
    let params = ClaimParams {
        now: T0,
        instance,
        served: served(store).await,
        group_slots: vec![slots],
        slots,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await
}
