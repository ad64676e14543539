//! `health(options)`: facts about the store, without opening it as one.

use super::fields::Fields;
use super::jobs::to_json;
use super::opener::StoreOpener;
use crate::error::{Error, Result};
use crate::store::DEFAULT_LOOK;
use std::time::Duration;

/// Longest time of a look, ms.
const MAX_LOOK_MS: i64 = 600_000;

/// `health({ limit })`.
///
/// # Errors
/// `VALIDATION_ERROR`; what the store says.
pub(super) async fn health(opener: &dyn StoreOpener, options: &str) -> Result<String> {
    let mut fields = Fields::read(options, "options")?;
    fields.refuse_unknown(&["limit"]);
    let limit = fields.integer("limit", 0, MAX_LOOK_MS);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    let limit = limit.map_or(DEFAULT_LOOK, |ms| Duration::from_millis(ms.unsigned_abs()));
    to_json(&opener.health(limit).await?)
}
