//! Tags of jobs.
//!
//! Invariant: a job has one row here for each distinct tag in its options; code that writes or deletes the job's row
//! maintains this. Rows are found by the options, so that no second index is needed.

use super::param::{params, storable};
use super::tx::Tx;
use crate::store::JobSeq;

/// Deletes the tags of a job whose row has not changed since they were written.
pub(super) const DELETE_TAGS: &str = include_str!("sql/delete_tags.sql");
const INSERT_TAG: &str = include_str!("sql/insert_tag.sql");

/// Replaces the tags of a job.
pub(super) fn replace(tx: &mut Tx<'_>, job: JobSeq, tags: &[Box<str>]) {
    tx.write_later(DELETE_TAGS, params![job]);
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|tag| storable(tag).into_owned()).collect();
        tx.write_later(INSERT_TAG, params![tags, job]);
    }
}
