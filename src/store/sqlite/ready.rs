//! The runs that the next claim may find.
//!
//! Knows no verb, and nothing of full keys: see [`super::keys`].

use super::run_rows::{Rank, Waiting};
use super::tx::Tx;
use crate::error::Result;
use crate::store::JobSeq;
use rusqlite::Connection;

const DELETE_READY: &str = include_str!("sql/delete_ready.sql");

/// Puts a run where the next claim finds it, whether or not its key is full.
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
