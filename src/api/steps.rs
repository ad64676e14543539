//! The steps of an attempt whose handler is the program's: for the JavaScript of the package, not for its users.
//!
//! Knows no JavaScript. Invariant: an attempt that has ended, or was given up, records nothing.

use super::jobs::{not_found, read_id, to_json};
use super::method::{Arguments, StepsMethod};
use crate::engine::Engine;
use crate::engine::steps::Steps;
use crate::error::{Error, ErrorCode, Result};
use crate::store::Token;
use std::sync::Arc;

/// Answers `recall(claim)`, `record(claim, tag, result)`, `undo(claim)` and `forget(claim, tags)`.
///
/// # Errors
/// `LEASE_LOST` when the claim is no longer this process's; `VALIDATION_ERROR`; what the store says.
pub(super) async fn call(engine: &Arc<Engine>, method: StepsMethod, arguments: &Arguments<'_>) -> Result<String> {
    let token: Token = read(arguments.json(0))?;
    let steps = Steps::of_token(engine, token)?;
    match method {
        StepsMethod::Recall => {
            let finished = steps.finished().await?;
            let pairs: Vec<_> = finished.iter().map(|step| (&step.tag, &step.result)).collect();
            serde_json::to_string(&pairs).map_err(|_| unreadable())
        }
        StepsMethod::Record => {
            let tag: Box<str> = read(arguments.json(1))?;
            let result: Option<Box<str>> = read(arguments.json(2))?;
            steps.record(&tag, result.as_deref()).await?;
            Ok(String::new())
        }
        StepsMethod::Undo => {
            engine.in_flight.lift_timeout(token);
            Ok(String::new())
        }
        StepsMethod::Forget => {
            steps.forget(read(arguments.json(1))?).await?;
            Ok(String::new())
        }
    }
}

/// `steps(id)`: the number of the last run that has any, and what is recorded of them; else the number of the last run.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn of_job(engine: &Engine, id: &str) -> Result<String> {
    let id = read_id(id)?;
    let found = (engine.store.get(&id).await?, engine.store.history(&id, 1).await?);
    let (Some(record), Some(history)) = found else {
        return Err(not_found(&id.to_string()));
    };
    let last = history.entries.first().map_or(0, |entry| entry.run);
    // Of the run behind the last one no attempt has ended yet.
    for run in [last + 1, last] {
        let steps = engine.store.steps(record.job, run).await?;
        if !steps.is_empty() {
            let pairs: Vec<_> = steps.iter().map(|step| (&step.tag, &step.result)).collect();
            return to_json(&(run, pairs));
        }
    }
    to_json(&(last, [(); 0]))
}

fn read<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorCode::ValidationError, "unreadable step")
}
