//! History of a one-off that is dispatched repeatedly: only that of its last runs is kept.

use super::tx::Tx;
use crate::error::Result;
use crate::store::JobSeq;
use crate::store::rules::replacement;

const DELETE_OLD_RUNS: &str = include_str!("sql/delete_old_runs.sql");

/// Deletes history beyond the limit, before the job gets the run `run`.
pub(super) fn delete(tx: &Tx<'_>, job: JobSeq, run: i64) -> Result<()> {
    if let Some(last) = replacement::last_dropped_run(run) {
        tx.connection.prepare_cached(DELETE_OLD_RUNS)?.execute((job, last))?;
    }
    Ok(())
}
