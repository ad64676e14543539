//! A schema that may be an end of a move.

use super::{Address, PostgresConfig, PostgresEnd, PostgresStore};
use crate::error::Result;
use crate::store::Store;
use crate::store::transfer::{TransferEnd, TransferPlace};
use async_trait::async_trait;
use std::sync::Arc;

/// A schema that may be an end of a move.
#[derive(Debug)]
pub struct PostgresPlace {
    address: Address,
    label: String,
}

impl PostgresPlace {
    /// Connects to nothing.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let label = address.label();
        Self { address, label }
    }
}

#[async_trait]
impl TransferPlace for PostgresPlace {
    fn label(&self) -> &str {
        &self.label
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(PostgresStore::open(PostgresConfig::new(self.address.clone())).await?)
    }

    async fn end(&self) -> Result<Option<Box<dyn TransferEnd>>> {
        let end = PostgresEnd::open(self.address.clone()).await?;
        Ok(end.map(|end| Box::new(end) as Box<dyn TransferEnd>))
    }
}
