//! The keys of a dispatch: `unique` and `concurrency`.

use super::fields::{Fields, MAX_SAFE_INTEGER};
use crate::model::{Concurrency, Unique};

/// Highest `limit` of a concurrency key.
pub const MAX_CONCURRENCY_LIMIT: i64 = 1_000_000;

/// `unique: { key, period? }`
pub(super) fn read_unique(fields: &mut Fields<'_>) -> Option<Unique> {
    let mut inner = fields.object("unique")?;
    inner.refuse_unknown(&["key", "period"]);
    let key = read_key(&mut inner);
    let period = inner.integer("period", 1, MAX_SAFE_INTEGER);
    fields.absorb(inner);
    Some(Unique { key: key?, period })
}

/// `concurrency: { key, limit }`
pub(super) fn read_concurrency(fields: &mut Fields<'_>) -> Option<Concurrency> {
    let mut inner = fields.object("concurrency")?;
    inner.refuse_unknown(&["key", "limit"]);
    let key = read_key(&mut inner);
    if inner.raw("limit").is_none() {
        inner.problem(
            "limit",
            format!("is missing; it must be an integer from 1 to {MAX_CONCURRENCY_LIMIT}"),
        );
    }
    let limit = inner.integer("limit", 1, MAX_CONCURRENCY_LIMIT);
    fields.absorb(inner);
    Some(Concurrency {
        key: key?,
        limit: limit?,
    })
}

fn read_key(inner: &mut Fields<'_>) -> Option<Box<str>> {
    if inner.raw("key").is_none() {
        inner.problem("key", "is missing; it must be a string");
    }
    inner.tag("key").map(|key| key.as_ref().into())
}
