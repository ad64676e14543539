//! The state of a series, and how it moves: with its runs, its occurrences, and what users do to it.
//!
//! Invariant: the state of a series is what its numbers say (ended, else paused, running, queued or at rest by its live
//! runs), and a series with nothing to come and nothing that goes on has ended.

use super::phase::{LiveRuns, Phase};
use crate::clock::Millis;
use crate::model::{JobId, RunStatus, Status};
use crate::store::{Failing, JobSeq, SeriesSnapshot, Settled, without};

/// What the rules need to know of a series, and what they change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct SeriesState {
    /// Rises with every change that makes an advance computed before it void.
    pub(in crate::store) version: i64,
    /// As what it has ended, with [`Self::ended_at`].
    pub(in crate::store) ended_as: Option<Status>,
    pub(in crate::store) ended_at: Option<Millis>,
    /// The next occurrence.
    pub(in crate::store) next_at: Option<Millis>,
    /// `next_at` is not due before the live runs have ended.
    pub(in crate::store) after_live_runs: bool,
    /// Runs that were made of occurrences or on request.
    pub(in crate::store) runs: i64,
    /// Runs on request, and such as were taken back, among `runs`.
    pub(in crate::store) reruns: i64,
    pub(in crate::store) ended: i64,
    pub(in crate::store) succeeded: i64,
    pub(in crate::store) failed: i64,
    pub(in crate::store) live: LiveRuns,
    pub(in crate::store) paused: bool,
    /// The occurrence of the last run that failed and was not run again.
    pub(in crate::store) failed_at: Option<Millis>,
    /// The last run that is over.
    pub(in crate::store) last: Option<RunEnd>,
    /// That its runs fail.
    pub(in crate::store) failing: Option<Failing>,
}

/// A run of a series that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct RunEnd {
    pub(in crate::store) run: i64,
    pub(in crate::store) status: RunStatus,
    pub(in crate::store) ended_at: Millis,
}

impl RunEnd {
    /// As stores have it.
    pub(in crate::store) fn stored(run: Option<i64>, status: Option<i64>, ended_at: Option<Millis>) -> Option<Self> {
        Some(Self {
            run: run?,
            status: RunStatus::from_code(status?)?,
            ended_at: ended_at?,
        })
    }
}

impl Failing {
    /// As stores have it; none in a row: it is not.
    pub(in crate::store) fn stored(runs: i64, since: Option<Millis>) -> Option<Self> {
        let since = since.filter(|_| runs > 0)?;
        Some(Self { since, runs })
    }
}

/// What the end of a run means for its series, besides the series' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct AfterRun {
    /// It was the last one: the series has ended with it.
    pub(in crate::store) ended: bool,
    /// The occurrence that waited for this run can be made now.
    pub(in crate::store) wakes_claimer: bool,
}

impl SeriesState {
    /// The state of its job.
    pub(in crate::store) fn status(&self) -> Status {
        self.ended_as.unwrap_or_else(|| self.live.status(self.paused))
    }

    /// The number that stores write for how it ended; 0: it goes on.
    pub(in crate::store) fn end_code(&self) -> i32 {
        self.ended_as.map_or(0, |status| status as i32)
    }

    /// How it ended by that number.
    pub(in crate::store) fn ended_as(code: i64) -> Option<Status> {
        Status::from_code(code).filter(|status| status.is_ended())
    }

    /// Whether a limit on its runs leaves room for another one. Runs on request do not count.
    pub(in crate::store) fn has_runs_left(&self, limit: Option<i64>) -> bool {
        limit.is_none_or(|limit| self.counted_runs() < limit)
    }

    /// Runs that count towards the limit.
    pub(in crate::store) fn counted_runs(&self) -> i64 {
        self.runs - self.reruns
    }

    /// As those see it who compute how it moves, without when its runs were being done.
    pub(in crate::store) fn snapshot(
        &self,
        (job, id): (JobSeq, JobId),
        recurrence: &str,
        settled: &Settled,
    ) -> SeriesSnapshot {
        SeriesSnapshot {
            job,
            id,
            version: self.version,
            recurrence: recurrence.into(),
            next_at: self.next_at,
            runs: self.counted_runs(),
            live: self.live.total(),
            claimed_by_others: false,
            busy: Vec::new(),
            settled: settled.clone().of_paused(self.paused),
            ended: self.ended_as.is_some(),
            accounted_to: None,
        }
    }

    /// A run moved from one phase to another; `from` is `None` for a new run.
    pub(in crate::store) fn run_changed_phase(&mut self, from: Option<Phase>, to: Phase) {
        self.live = self.live.moved(from, Some(to));
    }

    /// A run is over that was made of the occurrence `scheduled_at`.
    pub(in crate::store) fn run_ended(
        &mut self,
        from: Phase,
        run: RunEnd,
        scheduled_at: Option<Millis>,
        now: Millis,
    ) -> AfterRun {
        self.live = self.live.moved(Some(from), None);
        self.ended += 1;
        self.last = Some(run);
        match run.status {
            RunStatus::Completed => {
                self.succeeded += 1;
                self.failing = None;
            }
            RunStatus::Failed => {
                self.failed += 1;
                self.failed_at = scheduled_at;
                let failing = self.failing.get_or_insert(Failing {
                    since: run.ended_at,
                    runs: 0,
                });
                failing.runs += 1;
            }
            // That a run was cancelled says nothing of how others go.
            _ => {}
        }
        let wakes_claimer = self.after_live_runs && self.live.total() == 0;
        AfterRun {
            ended: self.end_if_over(now),
            wakes_claimer,
        }
    }

    /// A run of the occurrence `scheduled_at` was never begun, and is no more: the series deals with it again, and with nothing
    /// else that has been dealt with.
    pub(in crate::store) fn run_taken_back(&mut self, settled: &mut Settled, from: Phase, scheduled_at: Millis) {
        self.live = self.live.moved(Some(from), None);
        self.reruns += 1;
        self.version += 1;
        if self.ended_as.is_some() {
            return;
        }
        settled.spans = without(&settled.spans, (scheduled_at, scheduled_at));
        let behind = scheduled_at.saturating_add(1);
        if let Some(next_at) = self.next_at.filter(|next_at| *next_at > behind) {
            settled.spans.push((behind, next_at - 1));
        }
        self.next_at = Some(self.next_at.map_or(scheduled_at, |next_at| next_at.min(scheduled_at)));
        self.after_live_runs = false;
    }

    /// Whether an advance counts that was computed from this version.
    pub(in crate::store) fn is_at(&self, version: i64) -> bool {
        self.version == version && self.ended_as.is_none()
    }

    /// Runs were made of its due occurrences, `count` of them, or occurrences were passed over.
    pub(in crate::store) fn advanced(
        &mut self,
        count: i64,
        next_at: Option<Millis>,
        after_live_runs: bool,
        now: Millis,
    ) -> bool {
        self.runs += count;
        self.live.queued += count;
        self.next_at = next_at;
        self.after_live_runs = after_live_runs;
        self.version += 1;
        self.end_if_over(now)
    }

    /// Makes no more runs until it is resumed.
    pub(in crate::store) fn pause(&mut self) {
        self.paused = self.ended_as.is_none();
        self.version += 1;
    }

    /// Goes on after a pause. `true`: it has ended, with nothing to come and nothing that goes on.
    pub(in crate::store) fn resume(&mut self, now: Millis) -> bool {
        self.paused = false;
        self.version += 1;
        self.end_if_over(now)
    }

    /// Has got another schedule, with a limit on its runs; one that has ended begins anew. A paused series stays
    /// paused: what is dispatched at every start must not undo that. `true`: it has ended.
    pub(in crate::store) fn reschedule(&mut self, limit: Option<i64>, now: Millis) -> bool {
        self.next_at = self.next_at.filter(|_| self.has_runs_left(limit));
        self.reopen();
        self.end_if_over(now)
    }

    /// Makes a run on request, due at once; returns its number.
    pub(in crate::store) fn extra_run(&mut self) -> i64 {
        self.runs += 1;
        self.reruns += 1;
        self.live.queued += 1;
        self.version += 1;
        self.runs
    }

    /// No occurrence comes any more.
    pub(in crate::store) fn end(&mut self, to: Status, now: Millis) {
        self.ended_as = Some(to);
        self.ended_at = Some(now);
        self.next_at = None;
        self.paused = false;
        self.version += 1;
    }

    /// Opens one that has ended.
    pub(super) fn reopen(&mut self) {
        self.ended_as = None;
        self.ended_at = None;
        self.version += 1;
    }

    /// Completes it when nothing is to come and nothing goes on.
    pub(in crate::store) fn end_if_over(&mut self, now: Millis) -> bool {
        let over = self.next_at.is_none() && self.live.total() == 0 && self.ended_as.is_none();
        if over {
            self.end(Status::Completed, now);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(status: RunStatus) -> RunEnd {
        RunEnd {
            run: 1,
            status,
            ended_at: 6,
        }
    }

    #[test]
    fn failures_in_a_row_are_counted_until_a_run_completes() {
        let mut series = running(Some(9));
        let mut end = |run, status| {
            series.live = LiveRuns::one(Phase::Running);
            let ended_at = 10 * run;
            let over = RunEnd { run, status, ended_at };
            series.run_ended(Phase::Running, over, Some(5), ended_at);
            assert_eq!(series.last, Some(over));
            series.failing.map(|failing| (failing.since, failing.runs))
        };
        assert_eq!(end(1, RunStatus::Completed), None);
        assert_eq!(end(2, RunStatus::Failed), Some((20, 1)));
        assert_eq!(end(3, RunStatus::Failed), Some((20, 2)));
        assert_eq!(end(4, RunStatus::Cancelled), Some((20, 2)));
        assert_eq!(end(5, RunStatus::Failed), Some((20, 3)));
        assert_eq!(end(6, RunStatus::Completed), None);
        assert_eq!(end(7, RunStatus::Failed), Some((70, 1)));
    }

    fn running(next_at: Option<Millis>) -> SeriesState {
        SeriesState {
            runs: 1,
            next_at,
            live: LiveRuns::one(Phase::Running),
            ..SeriesState::default()
        }
    }

    #[test]
    fn a_series_ends_with_its_last_run() {
        for (next_at, ended) in [(Some(9), false), (None, true)] {
            let mut series = running(next_at);
            let after = series.run_ended(Phase::Running, over(RunStatus::Completed), Some(5), 7);
            assert_eq!(after.ended, ended);
            assert_eq!((series.ended, series.succeeded, series.failed), (1, 1, 0));
            assert_eq!(series.ended_at, ended.then_some(7));
            let status = if ended { Status::Completed } else { Status::Scheduled };
            assert_eq!(series.status(), status);
        }
    }

    #[test]
    fn a_failed_run_is_remembered_by_its_occurrence_and_a_cancelled_one_is_not() {
        let mut series = running(Some(9));
        series.run_ended(Phase::Running, over(RunStatus::Failed), Some(5), 7);
        assert_eq!((series.failed, series.failed_at), (1, Some(5)));
        let mut series = running(Some(9));
        series.run_ended(Phase::Running, over(RunStatus::Cancelled), Some(5), 7);
        assert_eq!((series.ended, series.failed, series.failed_at), (1, 0, None));
    }

    #[test]
    fn the_last_live_run_wakes_an_occurrence_that_waited_for_it() {
        let mut series = running(Some(9));
        series.after_live_runs = true;
        series.live.queued = 1;
        let after = series.run_ended(Phase::Running, over(RunStatus::Completed), Some(5), 7);
        assert!(!after.wakes_claimer);
        assert!(
            series
                .run_ended(Phase::Queued, over(RunStatus::Cancelled), Some(6), 7)
                .wakes_claimer
        );
    }

    #[test]
    fn a_schedule_whose_limit_is_reached_has_nothing_to_come() {
        let mut series = SeriesState {
            runs: 3,
            reruns: 1,
            ..SeriesState::default()
        };
        series.next_at = Some(9);
        assert!(!series.reschedule(Some(3), 7));
        assert_eq!(series.next_at, Some(9));
        assert!(series.reschedule(Some(2), 7));
        assert_eq!((series.status(), series.next_at), (Status::Completed, None));
        series.next_at = Some(9);
        assert!(!series.reschedule(None, 8));
        assert_eq!((series.status(), series.ended_at), (Status::Scheduled, None));
    }

    #[test]
    fn a_paused_series_stays_paused_when_it_is_rescheduled() {
        let mut series = running(Some(9));
        series.pause();
        assert!(!series.reschedule(None, 7));
        assert_eq!(series.status(), Status::Paused);
        series.next_at = None;
        assert!(!series.resume(8));
        assert_eq!(series.status(), Status::Running);
    }
}
