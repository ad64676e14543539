//! The stores that are the ends of a move.

use crate::api::options::StoreLocation;
use crate::api::transfer::{MoveAction, MoveOutcome};
use crate::clock::SystemClock;
use crate::engine::EngineConfig;
use crate::error::{Problem, Result};
use crate::store::postgres::PostgresPlace;
use crate::store::sqlite::SqlitePlace;
use crate::store::transfer::{MoveParams, TransferPlace, TransferProgress, give_up, plan, transfer};
use std::sync::Arc;
use uuid::Uuid;

/// Does what is wanted of a move.
pub(super) async fn run(
    from: &StoreLocation,
    to: &StoreLocation,
    action: MoveAction,
    progress: &Arc<TransferProgress>,
) -> Result<MoveOutcome> {
    let (from, to) = (place(from, "options.from")?, place(to, "options.to")?);
    if from.label() == to.label() {
        return Err(Problem::new("options.to", "must be another store than `from`").into());
    }
    Ok(match action {
        MoveAction::Plan => MoveOutcome::Planned(plan(&*from, &*to).await?),
        MoveAction::GiveUp => {
            give_up(&*from, &*to).await?;
            MoveOutcome::GivenUp
        }
        MoveAction::Move => {
            let params = MoveParams {
                from: &*from,
                to: &*to,
                id: Uuid::now_v7().to_string(),
                max_crashes: EngineConfig::default().max_crashes,
                clock: Arc::new(SystemClock),
                progress: Arc::clone(progress),
            };
            MoveOutcome::Moved(transfer(&params).await?)
        }
    })
}

fn place(location: &StoreLocation, argument: &str) -> Result<Box<dyn TransferPlace>> {
    match location {
        StoreLocation::Sqlite { path, .. } => Ok(Box::new(SqlitePlace::new(path.clone()))),
        StoreLocation::Postgres(address) => Ok(Box::new(PostgresPlace::new((**address).clone()))),
        StoreLocation::Memory(_) | StoreLocation::Serverless(_) => {
            Err(Problem::new(argument, "must be a store that lasts: 'sqlite:PATH' or 'postgres://…'").into())
        }
    }
}
