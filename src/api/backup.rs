//! `backup(path)` and `Ductape.restore({ from, to })`: reads their arguments.

use super::fields::{Fields, describe};
use super::opener::StoreOpener;
use crate::engine::Engine;
use crate::error::{Error, Problem, Result};
use std::path::PathBuf;

/// `backup(path)`.
///
/// # Errors
/// `VALIDATION_ERROR`; what the store says.
pub(super) async fn back_up(engine: &Engine, text: &str) -> Result<String> {
    let path: String = serde_json::from_str(text)
        .ok()
        .filter(|path: &String| !path.is_empty())
        .ok_or_else(|| {
            Problem::new(
                "path",
                format!("must be the path of a new file, got {}", describe(text)),
            )
        })?;
    engine.store.back_up(&absolute("path", &path)?).await?;
    Ok(String::new())
}

/// `restore({ from })`, into the store that the options name; nothing is open.
///
/// # Errors
/// `VALIDATION_ERROR`; what the store says.
pub(super) async fn restore(opener: &dyn StoreOpener, options: &str) -> Result<String> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["from"]);
    let from = fields
        .string("from")
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    if from.is_empty() && fields.problems.is_empty() {
        fields.problem("from", "must be the path of a backup");
    }
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    opener.restore(absolute("from", &from)?).await?;
    Ok(String::new())
}

fn absolute(name: &str, path: &str) -> Result<PathBuf> {
    let unusable = |error| Problem::new(name, format!("'{path}' is no usable path: {error}"));
    Ok(std::path::absolute(path).map_err(unusable)?)
}
