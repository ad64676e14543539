//! Puts stores, engines and work in Rust together: the only module that opens a concrete store or connector.

mod transfer;

use crate::api::StoreOpener;
use crate::api::encryption_keys::{self, EncryptionKeys, KeySource, read_keys};
use crate::api::ephemeral_disk::Host;
use crate::api::options::{Durability, Options, StoreLocation};
use crate::api::resources::check::{Connections, ResourceFilter, ResourceReport};
use crate::api::transfer::{MoveAction, MoveOutcome};
use crate::clock::Clock;
use crate::connector::{self, Limits, Registry};
use crate::engine::inputs::{ExpressionResolver, Masker, SingleFlight};
use crate::engine::routing::Routing;
use crate::engine::spans::Tracer;
use crate::engine::{HandlerSpec, Level, Logger};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::feature::{self, FeatureContext};
use crate::resources::{OutboundRules, Resources};
use crate::store::postgres::{self, PostgresConfig, PostgresStore};
use crate::store::sealed::{Keyring, SealedStore};
use crate::store::sqlite::{self, SqliteConfig, SqliteStore};
use crate::store::transfer::{Phase, TransferProgress};
use crate::store::{Store, StoreHealth};
use crate::webhook::DeliveryHandler;
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long the function `encryptionKeys` may take to answer: `close` waits for it, too.
const KEY_SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is wrong with definitions that only their connectors can tell.
#[must_use]
pub fn definition_problems(resources: &Resources) -> Vec<Problem> {
    connector::problems(resources)
}

/// Opens the store that the constructor's options name.
pub struct ConfiguredStore {
    location: StoreLocation,
    host: Option<Host>,
    durability: Durability,
    manual_clock: bool,
    store_timeout: Option<Duration>,
    encryption_keys: EncryptionKeys,
    key_source: Option<Arc<dyn KeySource>>,
    tracer: Option<Arc<dyn Tracer>>,
    logger: Arc<dyn Logger>,
    connections: Arc<ConfiguredConnections>,
    expressions: Arc<ExpressionResolver>,
    resources: Arc<Resources>,
    outbound: OutboundRules,
    /// Of a move that is under way.
    progress: Arc<TransferProgress>,
}

impl ConfiguredStore {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(options: &Options, logger: Arc<dyn Logger>) -> Self {
        let engine = &options.engine;
        let log = Arc::clone(&logger);
        let warn: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |warning: &str| log.log(Level::Warn, warning));
        let definitions = connector::definitions(&engine.resources, &engine.outbound, &warn);
        let registry = Registry::new(definitions, &engine.expressions, Limits::default());
        Self {
            location: options.store.clone(),
            host: options.host,
            durability: options.durability,
            manual_clock: engine.manual_clock,
            store_timeout: options.store_timeout,
            encryption_keys: options.encryption_keys.clone(),
            key_source: None,
            tracer: None,
            logger,
            connections: Arc::new(ConfiguredConnections {
                registry,
                masker: Arc::clone(&engine.secrets.masker),
            }),
            expressions: Arc::clone(&engine.expressions),
            resources: Arc::clone(&engine.resources),
            outbound: engine.outbound.clone(),
            progress: Arc::default(),
        }
    }

    /// The same with a function that is asked for the encryption keys, when the options say so.
    #[must_use]
    pub fn with_key_source(self, source: Arc<dyn KeySource>) -> Self {
        Self {
            key_source: Some(source),
            ..self
        }
    }

    /// The same with somebody who makes spans of what is done in Rust.
    #[must_use]
    pub fn with_tracer(self, tracer: Option<Arc<dyn Tracer>>) -> Self {
        Self { tracer, ..self }
    }

    async fn keyring(&self) -> Result<Arc<Keyring>> {
        match (&self.encryption_keys, &self.key_source) {
            (EncryptionKeys::None, _) => Ok(Arc::default()),
            (EncryptionKeys::Given(keys), _) => Ok(Arc::clone(keys)),
            (EncryptionKeys::Asked, Some(source)) => {
                let answer = tokio::time::timeout(KEY_SOURCE_TIMEOUT, source.keys()).await;
                let text = answer.unwrap_or_else(|_| Err(no_keys_in_time()))?;
                read_keys(&text, encryption_keys::OPTION).map(Arc::new)
            }
            (EncryptionKeys::Asked, None) => read_keys("true", encryption_keys::OPTION).map(Arc::new),
        }
    }

    async fn open_inner(&self) -> Result<Arc<dyn Store>> {
        match &self.location {
            StoreLocation::Sqlite { path, default } => {
                let store = self.open_sqlite(sqlite::Location::File(path.clone())).await?;
                if let Some(warning) = self.host.and_then(|host| host.warning(path)) {
                    self.logger.log(Level::Warn, &warning);
                }
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
                let store = PostgresStore::open(config).await?;
                for warning in store.warnings() {
                    self.logger.log(Level::Warn, warning);
                }
                Ok(store)
            }
            StoreLocation::Serverless(host) => Err(Error::new(
                ErrorCode::StoreError,
                format!(
                    "store: this is {host}, whose disk does not outlive the call, so jobs would be lost; name a store that lasts, as in `store: 'sqlite:/mnt/volume/jobs.db'` or `store: 'postgres://user:password@host/database'`"
                ),
            )),
        }
    }

    async fn open_sqlite(&self, location: sqlite::Location) -> Result<Arc<SqliteStore>> {
        let mut config = SqliteConfig::new(location);
        config.durability = match self.durability {
            Durability::Full => sqlite::Durability::Full,
            Durability::Relaxed => sqlite::Durability::Relaxed,
        };
        // Moving a clock by hand is one call after the other.
        config.on_callers_threads = self.manual_clock;
        config.call_timeout = self.store_timeout.unwrap_or(config.call_timeout);
        let logger = Arc::clone(&self.logger);
        config.warn = Arc::new(move |warning| logger.log(Level::Warn, warning));
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(config)).await;
        let store = opened.map_err(|error| {
            Error::new(ErrorCode::StoreError, "opening the store was interrupted").with_source(error)
        })??;
        for warning in store.warnings() {
            self.logger.log(Level::Warn, warning);
        }
        Ok(store)
    }
}

#[async_trait]
impl StoreOpener for ConfiguredStore {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        let keys = self.keyring().await?;
        Ok(SealedStore::new(self.open_inner().await?, keys))
    }

    fn native_handlers(
        &self,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        routing: &Arc<Routing>,
    ) -> Vec<HandlerSpec> {
        let (clock, logger) = (Arc::clone(clock), Arc::clone(&self.logger));
        routing.leave_to_handlers(self.connections.registry.left_to_handlers());
        let mut targets = self
            .connections
            .registry
            .targets(store, &self.logger, self.tracer.as_ref());
        let context = FeatureContext {
            routing: Arc::downgrade(routing),
            expressions: Arc::clone(&self.expressions),
            masker: Arc::clone(&self.connections.masker),
            store: Arc::downgrade(store),
            clock: Arc::clone(&clock),
            logger: Arc::clone(&logger),
            resources: Arc::clone(&self.resources),
            flights: SingleFlight::default(),
            tracer: self.tracer.clone(),
        };
        targets.extend(feature::targets(&self.resources, &context));
        let outbound = self.outbound.clone();
        let deliveries = DeliveryHandler::new(Arc::downgrade(store), clock, logger, outbound);
        targets.push(deliveries.target(self.tracer.clone()));
        targets
    }

    fn connections(&self) -> Option<Arc<dyn Connections>> {
        Some(Arc::clone(&self.connections) as Arc<dyn Connections>)
    }

    async fn health(&self, limit: Duration) -> Result<StoreHealth> {
        match &self.location {
            StoreLocation::Sqlite { path, .. } => {
                let path = path.clone();
                let looked = tokio::task::spawn_blocking(move || sqlite::health(&path, limit)).await;
                looked.map_err(|error| {
                    Error::new(ErrorCode::StoreError, "the look at the store was interrupted").with_source(error)
                })?
            }
            StoreLocation::Postgres(address) => {
                let mut config = PostgresConfig::new((**address).clone());
                config.synced = self.durability == Durability::Full;
                postgres::health(config, limit).await
            }
            StoreLocation::Memory(_) => Ok(StoreHealth::in_memory(sqlite::newest_schema())),
            StoreLocation::Serverless(_) => self.open_inner().await.map(|_| StoreHealth::in_memory(0)),
        }
    }

    async fn restore(&self, from: PathBuf) -> Result<()> {
        let to = match &self.location {
            StoreLocation::Sqlite { path, .. } => path.clone(),
            StoreLocation::Postgres(_) => return Err(no_file("in PostgreSQL; use `pg_restore`")),
            StoreLocation::Memory(_) => return Err(no_file("in memory")),
            StoreLocation::Serverless(host) => {
                return Err(no_file(&format!("on the disk of {host}, which does not last")));
            }
        };
        let restored = tokio::task::spawn_blocking(move || sqlite::restore(&from, &to)).await;
        restored
            .map_err(|error| Error::new(ErrorCode::StoreError, "the restoring was interrupted").with_source(error))?
    }

    async fn transfer(&self, to: StoreLocation, action: MoveAction) -> Result<MoveOutcome> {
        transfer::run(&self.location, &to, action, &self.progress).await
    }

    fn transfer_progress(&self) -> (Phase, u64, u64) {
        self.progress.now()
    }

    async fn release(&self, store: Arc<dyn Store>) -> Result<()> {
        // A named memory store may have other users in this process; it ends when the last of them lets go.
        if matches!(self.location, StoreLocation::Memory(Some(_))) {
            return Ok(());
        }
        store.close().await
    }
}

/// The servers that `resources` describe.
struct ConfiguredConnections {
    registry: Registry,
    /// Masks secrets in what a check found.
    masker: Arc<Masker>,
}

#[async_trait]
impl Connections for ConfiguredConnections {
    fn is_empty(&self) -> bool {
        self.registry.is_empty()
    }

    async fn check(&self, filter: &ResourceFilter, timeout: Duration) -> Vec<ResourceReport> {
        let fits = |wanted: &Option<Box<str>>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let checked = self.registry.check(
            |name| fits(&filter.product, &name.product) && fits(&filter.env, &name.env) && fits(&filter.tag, &name.tag),
            timeout,
        );
        let report = |checked: connector::CheckResult| ResourceReport {
            error: checked.failure.as_ref().map(|failure| {
                let mut error = Error::from(failure);
                error.message = self.masker.mask(&error.message).into_owned();
                error
            }),
            product: checked.name.product,
            env: checked.name.env,
            kind: checked.name.kind,
            tag: checked.name.tag,
            duration_ms: checked.duration_ms,
            calls: checked.usage.calls,
            failures: checked.usage.failures,
        };
        checked.await.into_iter().map(report).collect()
    }

    async fn close(&self) {
        self.registry.close().await;
    }
}

/// Memory stores that have a name, for as long as somebody uses them. Shared by all instances of the process, which is
/// what the name is for.
static SHARED_MEMORY_STORES: Mutex<Option<HashMap<Box<str>, Weak<SqliteStore>>>> = Mutex::new(None);

impl ConfiguredStore {
    async fn open_shared(&self, name: &str) -> Result<Arc<dyn Store>> {
        if let Some(store) = find_shared(name) {
            return Ok(store);
        }
        let opened = self.open_sqlite(sqlite::Location::Memory).await?;
        let mut stores = SHARED_MEMORY_STORES.lock().unwrap_or_else(PoisonError::into_inner);
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

fn find_shared(name: &str) -> Option<Arc<dyn Store>> {
    let stores = SHARED_MEMORY_STORES.lock().unwrap_or_else(PoisonError::into_inner);
    let store = stores.as_ref()?.get(name)?.upgrade()?;
    Some(store)
}

fn no_keys_in_time() -> Error {
    let message = format!(
        "the function `encryptionKeys` did not answer within {} s",
        KEY_SOURCE_TIMEOUT.as_secs()
    );
    Error::new(ErrorCode::Timeout, message)
}

fn no_file(place: &str) -> Error {
    let message =
        format!("to: only a store in a file can be restored, as in 'sqlite:data/jobs.db'; this one is {place}");
    Error::new(ErrorCode::StoreError, message)
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
