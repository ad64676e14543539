//! The steps of an attempt whose handler is the program's: for the JavaScript of the package, not for its users.
//!
//! Knows no JavaScript. Invariant: an attempt that has ended, or was given up, records nothing.

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

fn read<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorCode::ValidationError, "unreadable step")
}
