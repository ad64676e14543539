//! The stores that are the ends of a move.

use crate::api::options::StoreLocation;
use crate::api::transfer::{MoveAction, MoveOutcome};
use crate::clock::SystemClock;
use crate::engine::EngineConfig;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::store::Store;
use crate::store::postgres::{Address, PostgresConfig, PostgresEnd, PostgresStore};
use crate::store::sqlite::{Location, SqliteConfig, SqliteEnd, SqliteStore};
use crate::store::transfer::{MoveParams, TransferEnd, TransferPlace, TransferProgress, give_up, plan, transfer};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Does what is wanted of a move.
pub(super) async fn run(
    from: &StoreLocation,
    to: &StoreLocation,
    action: MoveAction,
    progress: &Arc<TransferProgress>,
) -> Result<MoveOutcome> {
    let (from, to) = (Place::new(from, "options.from")?, Place::new(to, "options.to")?);
    if from.label() == to.label() {
        return Err(Problem::new("options.to", "must be another store than `from`").into());
    }
    Ok(match action {
        MoveAction::Plan => MoveOutcome::Planned(plan(&from, &to).await?),
        MoveAction::GiveUp => {
            give_up(&from, &to).await?;
            MoveOutcome::GivenUp
        }
        MoveAction::Move => {
            let params = MoveParams {
                from: &from,
                to: &to,
                id: Uuid::new_v4().to_string(),
                max_crashes: EngineConfig::default().max_crashes,
                clock: Arc::new(SystemClock),
                progress: Arc::clone(progress),
            };
            MoveOutcome::Moved(transfer(&params).await?)
        }
    })
}

/// A store that may be an end of a move.
struct Place {
    label: String,
    at: At,
}

enum At {
    File(PathBuf),
    Database(Box<Address>),
}

impl Place {
    fn new(location: &StoreLocation, argument: &str) -> Result<Self> {
        match location {
            StoreLocation::Sqlite { path, .. } => Ok(Self {
                label: format!("sqlite:{}", path.display()),
                at: At::File(path.clone()),
            }),
            StoreLocation::Postgres(address) => Ok(Self {
                label: address.label(),
                at: At::Database(address.clone()),
            }),
            StoreLocation::Memory(_) | StoreLocation::Serverless(_) => {
                Err(Problem::new(argument, "must be a store that lasts: 'sqlite:PATH' or 'postgres://…'").into())
            }
        }
    }
}

#[async_trait]
impl TransferPlace for Place {
    fn label(&self) -> &str {
        &self.label
    }

    async fn open(&self) -> Result<Arc<dyn Store>> {
        match &self.at {
            At::File(path) => {
                let config = SqliteConfig::new(Location::File(path.clone()));
                Ok(blocking(move || SqliteStore::open(config)).await?)
            }
            At::Database(address) => Ok(PostgresStore::open(PostgresConfig::new((**address).clone())).await?),
        }
    }

    async fn end(&self) -> Result<Option<Box<dyn TransferEnd>>> {
        match &self.at {
            At::File(path) => {
                let path = path.clone();
                let end = blocking(move || SqliteEnd::open(&path)).await?;
                Ok(end.map(|end| Box::new(end) as Box<dyn TransferEnd>))
            }
            At::Database(address) => {
                let end = PostgresEnd::open((**address).clone()).await?;
                Ok(end.map(|end| Box::new(end) as Box<dyn TransferEnd>))
            }
        }
    }
}

async fn blocking<R: Send + 'static>(open: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let interrupted = |error| Error::new(ErrorCode::StoreError, "opening the store was interrupted").with_source(error);
    tokio::task::spawn_blocking(open).await.map_err(interrupted)?
}
