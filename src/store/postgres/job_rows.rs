//! Deletes the rows that a job has left behind in every table but the queues.
//!
//! Invariant: of a deleted job no table holds a row.

use super::param::params;
use super::tx::Tx;
use crate::store::JobSeq;

/// Everything a job that is in no queue has left behind, by its number; [`super::tags`] go first, as they are found by
/// its row.
const DELETE_JOB_ROWS: [&str; 10] = [
    super::tags::DELETE_TAGS,
    super::uniques::DELETE_UNIQUE_KEY,
    "DELETE FROM ductape.jobs WHERE seq = $1",
    "DELETE FROM ductape.series WHERE job = $1",
    "DELETE FROM ductape.occurrences WHERE job = $1",
    "DELETE FROM ductape.runs WHERE job = $1",
    "DELETE FROM ductape.gaps WHERE job = $1",
    "DELETE FROM ductape.progress WHERE job = $1",
    "DELETE FROM ductape.logs WHERE job = $1",
    super::steps::DELETE_STEPS_OF_JOB,
];

/// Deletes all rows of a job that is in no queue.
pub(super) fn delete(tx: &mut Tx<'_>, job: JobSeq) {
    for statement in DELETE_JOB_ROWS {
        tx.write_later(statement, params![job]);
    }
}
