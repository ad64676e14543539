//! Which jobs have which tags.
//!
//! Invariant: a job's rows here are the tags in its options, each once; whoever writes or deletes the job's row keeps
//! them so. Rows are found by way of the options, so that no second index is needed.

use super::param::{params, storable};
use super::tx::Tx;
use crate::store::JobSeq;

/// Removes the tags of a job whose row is as it was when they were written.
pub(super) const DELETE_TAGS: &str = include_str!("sql/delete_tags.sql");
const INSERT_TAG: &str = include_str!("sql/insert_tag.sql");

/// Gives a job other tags.
pub(super) fn replace(tx: &mut Tx<'_>, job: JobSeq, tags: &[Box<str>]) {
    tx.write_later(DELETE_TAGS, params![job]);
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|tag| storable(tag).into_owned()).collect();
        tx.write_later(INSERT_TAG, params![tags, job]);
    }
}
