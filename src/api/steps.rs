//! The steps of an attempt that a handler of the program's has: for its side of the package, not for its users.
//!
//! Knows no JavaScript. Invariant: an attempt that is over, or was given up, writes nothing down.

use super::instance::Instance;
use crate::engine::steps::Steps;
use crate::error::{Error, ErrorCode, Result};
use crate::store::Token;
use serde_json::value::RawValue;

/// Answers `steps.recall`, `steps.record` and `steps.forget`.
pub(super) async fn call(instance: &Instance, method: &str, arguments: &[&RawValue]) -> Result<String> {
    let token: Token = read(arguments.first())?;
    let engine = instance.engine_if_open().await.ok_or_else(Error::closed)?;
    let steps = Steps::of_token(&engine, token)?;
    match method {
        "steps.recall" => {
            let finished = steps.finished().await?;
            let pairs: Vec<_> = finished.iter().map(|step| (&step.tag, &step.result)).collect();
            serde_json::to_string(&pairs).map_err(|_| unreadable())
        }
        "steps.record" => {
            let tag: Box<str> = read(arguments.get(1))?;
            let result: Option<Box<str>> = match arguments.get(2) {
                None => None,
                given => read(given)?,
            };
            steps.record(&tag, result.as_deref()).await?;
            Ok(String::new())
        }
        _ => {
            steps.forget().await?;
            Ok(String::new())
        }
    }
}

fn read<'a, T: serde::Deserialize<'a>>(argument: Option<&&'a RawValue>) -> Result<T> {
    let text = argument.map_or("null", |raw| raw.get());
    serde_json::from_str(text).map_err(|_| unreadable())
}

fn unreadable() -> Error {
    Error::new(ErrorCode::ValidationError, "unreadable step")
}
