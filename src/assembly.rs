//! Puts stores, engines and work in Rust together: the only module that opens a concrete store or connector.

use crate::api::instance::OpenStore;
use crate::api::options::{Durability, StoreLocation};
use crate::clock::Clock;
use crate::engine::{Journal, Level, NativeTarget};
use crate::error::{Error, ErrorCode, Result};
use crate::store::Store;
use crate::store::postgres::{PostgresConfig, PostgresStore};
use crate::store::sqlite::{self, SqliteConfig, SqliteStore};
use crate::webhook::Delivery;
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Opens the store that the constructor's options name.
pub struct ConfiguredStore {
    location: StoreLocation,
    durability: Durability,
    journal: Arc<dyn Journal>,
}

impl ConfiguredStore {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(location: StoreLocation, durability: Durability, journal: Arc<dyn Journal>) -> Self {
        Self {
            location,
            durability,
            journal,
        }
    }

    async fn open_sqlite(&self, location: sqlite::Location) -> Result<Arc<SqliteStore>> {
        let mut config = SqliteConfig::new(location);
        config.durability = match self.durability {
            Durability::Full => sqlite::Durability::Full,
            Durability::Relaxed => sqlite::Durability::Relaxed,
        };
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(config)).await;
        let store = opened.map_err(|error| {
            Error::new(ErrorCode::StoreError, "opening the store was interrupted").with_source(error)
        })??;
        for warning in store.warnings() {
            self.journal.log(Level::Warn, warning);
        }
        Ok(store)
    }
}

#[async_trait]
impl OpenStore for ConfiguredStore {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        match &self.location {
            StoreLocation::Sqlite { path, default } => {
                let store = self.open_sqlite(sqlite::Location::File(path.clone())).await?;
                if *default {
                    ignore_in_git(path);
                }
                Ok(store)
            }
            StoreLocation::Memory(None) => Ok(self.open_sqlite(sqlite::Location::Memory).await?),
            StoreLocation::Memory(Some(name)) => self.open_shared(name).await,
            StoreLocation::Postgres(address) => {
                let mut config = PostgresConfig::new((**address).clone());
                config.synced = self.durability == Durability::Full;
                Ok(PostgresStore::open(config).await?)
            }
            StoreLocation::Serverless(host) => Err(Error::new(
                ErrorCode::StoreError,
                format!(
                    "store: this is {host}, whose disk does not outlive the call, so jobs would be lost; name a store that lasts, as in `store: 'sqlite:/mnt/volume/jobs.db'` or `store: 'postgres://user:password@host/database'`"
                ),
            )),
        }
    }

    fn targets(&self, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Vec<NativeTarget> {
        let (store, clock, journal) = (Arc::downgrade(store), Arc::clone(clock), Arc::clone(&self.journal));
        vec![Delivery::target(store, clock, journal)]
    }

    async fn release(&self, store: Arc<dyn Store>) -> Result<()> {
        // A named memory store may have other users in this process; it ends when the last of them lets go.
        if matches!(self.location, StoreLocation::Memory(Some(_))) {
            return Ok(());
        }
        store.close().await
    }
}

/// Memory stores that have a name, for as long as somebody uses them. Shared by all instances of the process, which is
/// what the name is for.
static SHARED: Mutex<Option<HashMap<Box<str>, Weak<SqliteStore>>>> = Mutex::new(None);

impl ConfiguredStore {
    async fn open_shared(&self, name: &str) -> Result<Arc<dyn Store>> {
        if let Some(store) = shared(name) {
            return Ok(store);
        }
        let opened = self.open_sqlite(sqlite::Location::Memory).await?;
        let mut stores = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let stores = stores.get_or_insert_default();
        stores.retain(|_, store| store.strong_count() > 0);
        // Another instance may have been faster.
        if let Some(store) = stores.get(name).and_then(Weak::upgrade) {
            return Ok(store);
        }
        stores.insert(name.into(), Arc::downgrade(&opened));
        Ok(opened)
    }
}

fn shared(name: &str) -> Option<Arc<dyn Store>> {
    let stores = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let store = stores.as_ref()?.get(name)?.upgrade()?;
    Some(store)
}

/// The default folder is the package's own; nobody wants it in a commit.
fn ignore_in_git(path: &Path) {
    let Some(folder) = path.parent() else { return };
    let file = folder.join(".gitignore");
    if !file.exists() {
        // Only a convenience: the store works without it.
        let _ = std::fs::write(file, "*\n");
    }
}
