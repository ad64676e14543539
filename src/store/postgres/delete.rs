//! Takes jobs away with everything they have left behind.
//!
//! Invariant: of a deleted job no table holds a row; a run that a process has is never taken from under it.

use super::queue;
use super::state::{Place, Subject};
use super::tx::{Tx, params};
use crate::model::Status;
use crate::store::{Changed, JobSeq};

/// Everything a job that is in no queue has left behind, by its number; [`super::tags`] go first, as they are found by
/// its row.
const DROP_JOB: [&str; 10] = [
    super::tags::REMOVE,
    super::uniques::RELEASE,
    "DELETE FROM ductape.jobs WHERE seq = $1",
    "DELETE FROM ductape.series WHERE job = $1",
    "DELETE FROM ductape.occurrences WHERE job = $1",
    "DELETE FROM ductape.runs WHERE job = $1",
    "DELETE FROM ductape.gaps WHERE job = $1",
    "DELETE FROM ductape.progress WHERE job = $1",
    "DELETE FROM ductape.logs WHERE job = $1",
    super::steps::DROP_JOB,
];

/// Deletes a job that is not running.
pub(super) fn apply(tx: &mut Tx<'_>, subject: &Subject) -> Changed {
    let (job, status) = (&subject.job, subject.status());
    if subject.series.as_ref().is_some_and(|series| series.live.running > 0) {
        // Paused, and its last run is still going.
        return Changed::Forbidden(Status::Running);
    }
    for run in &subject.runs {
        subject.remove(tx, run);
    }
    let ended = match (&subject.series, subject.runs.first().map(|run| run.place)) {
        (Some(series), _) => series.ended_at,
        (None, Some(Place::Ended(last))) => Some(last.ended),
        (None, _) => None,
    };
    if let Some(ended) = ended {
        queue::take_ended(tx, status, ended, job.seq);
    }
    tx.shift(job.route, Some(status), None);
    forget(tx, job.seq);
    Changed::done(job.seq)
}

/// Deletes all rows of a job that is in no queue.
pub(super) fn forget(tx: &mut Tx<'_>, job: JobSeq) {
    for statement in DROP_JOB {
        tx.later(statement, params![job]);
    }
}
