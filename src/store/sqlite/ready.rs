//! The queue of claimable runs.
//!
//! Knows no verb and no concurrency limits: see [`super::keys`].

use super::run_rows::{Rank, Waiting};
use super::tx::Tx;
use crate::error::Result;
use crate::store::JobSeq;
use rusqlite::Connection;

const DELETE_READY: &str = include_str!("sql/delete_ready.sql");

/// Makes a run claimable, whether or not its key is full.
pub(super) fn insert_claimable(tx: &mut Tx<'_>, rank: Rank, run: Waiting) -> Result<()> {
    tx.insert_ready((
        rank.route,
        rank.priority,
        rank.due,
        run.job,
        run.run,
        run.attempt,
        run.crashes,
        rank.key,
    ))
}

pub(super) fn delete_ready(connection: &Connection, rank: Rank, job: JobSeq, run: i64) -> Result<()> {
    connection
        .prepare_cached(DELETE_READY)?
        .execute((rank.route, rank.priority, rank.due, job, run))?;
    Ok(())
}
