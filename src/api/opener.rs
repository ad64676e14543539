//! How an instance comes to its store: the seam between what users can ask for and what is opened.

use super::options::StoreLocation;
use super::resources::check::Connections;
use super::transfer::{MoveAction, MoveOutcome};
use crate::clock::Clock;
use crate::engine::HandlerSpec;
use crate::engine::routing::Routing;
use crate::error::{Error, ErrorCode, Result};
use crate::store::transfer::Phase;
use crate::store::{Store, StoreHealth};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Opens the store an instance was configured with.
#[async_trait]
pub trait StoreOpener: Send + Sync {
    /// Opens it; called again after a failure.
    async fn open(&self) -> Result<Arc<dyn Store>>;

    /// Handlers that are built in; none by default.
    fn native_handlers(
        &self,
        _store: &Arc<dyn Store>,
        _clock: &Arc<dyn Clock>,
        _routing: &Arc<Routing>,
    ) -> Vec<HandlerSpec> {
        Vec::new()
    }

    /// The servers that `resources` describe; none by default.
    fn connections(&self) -> Option<Arc<dyn Connections>> {
        None
    }

    /// Facts about it, without opening it as a store, and so without migrating it.
    async fn health(&self, _limit: Duration) -> Result<StoreHealth> {
        Err(Error::new(ErrorCode::StoreError, "nothing is known of this store"))
    }

    /// Puts a backup in its place; nothing of it is open in this instance.
    async fn restore(&self, _from: PathBuf) -> Result<()> {
        Err(Error::new(ErrorCode::StoreError, "this store has no file to restore"))
    }

    /// Moves the store, of which nothing is open in this instance, or does what else is wanted of a move.
    async fn transfer(&self, _to: StoreLocation, _action: MoveAction) -> Result<MoveOutcome> {
        Err(Error::new(ErrorCode::StoreError, "this store cannot be moved"))
    }

    /// How far a move has come.
    fn transfer_progress(&self) -> (Phase, u64, u64) {
        (Phase::Preparing, 0, 0)
    }

    /// Releases it; closes it when nobody else in the process uses it.
    async fn release(&self, store: Arc<dyn Store>) -> Result<()>;
}
