//! Deletes the rows of a job in all tables except the queues.
//!
//! Invariant: no table has a row of a deleted job.

use super::param::params;
use super::tx::Tx;
use crate::store::JobSeq;

/// Statements that delete all rows of a job that is in no queue, by its number. [`super::tags`] must be deleted before,
/// since they are found by its row.
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
