//! A file that may be an end of a move.

use super::{Location, SqliteConfig, SqliteEnd, SqliteStore};
use crate::error::{Error, ErrorCode, Result};
use crate::store::Store;
use crate::store::transfer::{TransferEnd, TransferPlace};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that may be an end of a move.
#[derive(Debug)]
pub struct SqlitePlace {
    path: PathBuf,
    label: String,
}

impl SqlitePlace {
    /// Opens nothing.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let label = format!("sqlite:{}", path.display());
        Self { path, label }
    }
}

#[async_trait]
impl TransferPlace for SqlitePlace {
    fn label(&self) -> &str {
        &self.label
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        let config = SqliteConfig::new(Location::File(self.path.clone()));
        Ok(blocking(move || SqliteStore::open(config)).await?)
    }

    async fn end(&self) -> Result<Option<Box<dyn TransferEnd>>> {
        let path = self.path.clone();
        let end = blocking(move || SqliteEnd::open(&path)).await?;
        Ok(end.map(|end| Box::new(end) as Box<dyn TransferEnd>))
    }
}

async fn blocking<R: Send + 'static>(open: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let interrupted = |error| Error::new(ErrorCode::StoreError, "opening the store was interrupted").with_source(error);
    tokio::task::spawn_blocking(open).await.map_err(interrupted)?
}
