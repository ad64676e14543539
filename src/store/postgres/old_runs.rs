//! History of a one-off that is dispatched repeatedly: only that of its last runs is kept.

use super::param::params;
use super::tx::Tx;
use crate::store::JobSeq;
use crate::store::rules::replacement;

const DELETE_OLD_RUNS: &str = include_str!("sql/delete_old_runs.sql");

/// Deletes history beyond the limit, before the job gets the run `run`.
pub(super) fn delete(tx: &mut Tx<'_>, job: JobSeq, run: i64) {
    if let Some(last) = replacement::last_dropped_run(run) {
        tx.write_later(DELETE_OLD_RUNS, params![job, last]);
    }
}
