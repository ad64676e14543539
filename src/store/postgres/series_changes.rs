//! Changes of series: read under lock, changed in memory by the rules, and written once.
//!
//! Invariants: `ended` has a row for an ended series, and the job counters follow every change of its state.

use super::queue;
use super::series::Series;
use super::tx::Tx;
use crate::clock::Millis;
use crate::model::Status;
use crate::store::rules::phase::Phase;
use crate::store::rules::series::{RunEnd, SeriesState};
use crate::store::{JobSeq, RouteId};

impl Series {
    /// Writes it at the end of the transaction; does not update counters.
    pub(super) fn save(self, tx: &mut Tx<'_>, job: JobSeq) {
        let ended = |series: &SeriesState| series.ended_as.zip(series.ended_at);
        if ended(&self.stored) != ended(&self.state) {
            if let Some((status, at)) = ended(&self.stored) {
                queue::delete_ended(tx, status, at, job);
            }
            if let Some((status, at)) = ended(&self.state) {
                tx.inserts.ended.push((status, at, job));
            }
        }
        tx.series.put(job, self);
    }

    /// Records an ended run, and ends the series after its last run.
    pub(super) fn run_ended(
        &mut self,
        tx: &mut Tx<'_>,
        (job, run, scheduled_at): (JobSeq, RunEnd, Millis),
        from: Phase,
        now: Millis,
    ) {
        tx.inserts.ended_occurrences.push((job, run.run));
        let after = self.state.run_ended(from, run, Some(scheduled_at), now);
        if after.wakes_claimer {
            tx.wake();
        }
    }

    /// Deletes a run that nobody has begun; its occurrence is to be dealt with again.
    pub(super) fn run_taken_back(&mut self, tx: &mut Tx<'_>, (job, run): (JobSeq, i64), scheduled_at: Millis) {
        tx.inserts.ended_occurrences.push((job, run));
        self.state
            .run_taken_back(&mut self.settled, Phase::Running, scheduled_at);
    }
}

/// Updates the counters for a change of a series' state.
pub(super) fn count(tx: &mut Tx<'_>, before: (RouteId, Status), after: (RouteId, Status)) {
    if before != after {
        tx.count_transition(before.0, Some(before.1), None);
        tx.count_transition(after.0, None, Some(after.1));
    }
}
