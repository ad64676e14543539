//! What a cancellation does to a run, and to a whole series.

use super::completion::{HistoryRow, StepsAfterRun, steps_after};
use super::phase::LiveRuns;
use super::series::SeriesState;
use crate::clock::Millis;
use crate::model::{RunError, RunStatus, Status};
use crate::store::payload::looks_sealed;
use std::borrow::Cow;

/// Code of the error that history keeps of a cancellation with a reason.
const CANCELLED_CODE: &str = "CANCELLED";

/// A run that was cancelled, wherever it was.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct CancelledRun {
    pub(in crate::store) history: HistoryRow<'static>,
    pub(in crate::store) steps: StepsAfterRun,
    /// The state of its job, if that is a one-off.
    pub(in crate::store) job: Status,
}

/// What follows for a run that has not ended.
pub(in crate::store) fn cancel_run(recurring: bool, reason: Option<&str>) -> CancelledRun {
    CancelledRun {
        history: HistoryRow {
            status: RunStatus::Cancelled,
            next_due: None,
            error: reason.map(|reason| Cow::Owned(error_of(reason))),
            result: None,
        },
        steps: steps_after(RunStatus::Cancelled, recurring),
        job: Status::Cancelled,
    }
}

fn error_of(reason: &str) -> RunError {
    if looks_sealed(reason) {
        // Cut, it would not open any more; whoever sealed it has cut it before.
        return RunError {
            code: CANCELLED_CODE.into(),
            message: reason.into(),
            stack: None,
            origin: None,
        };
    }
    RunError::new(CANCELLED_CODE, reason, None)
}

/// A series ends with all its runs.
pub(in crate::store) fn cancel_series(series: &mut SeriesState, now: Millis) {
    series.ended += series.live.total();
    series.live = LiveRuns::default();
    series.end(Status::Cancelled, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_kept_as_the_error_of_the_attempt() {
        let cancelled = cancel_run(false, Some("no longer wanted"));
        let error = cancelled.history.error.unwrap();
        assert_eq!((&*error.code, &*error.message), ("CANCELLED", "no longer wanted"));
        assert_eq!(cancel_run(false, None).history.error, None);
    }

    #[test]
    fn a_cancelled_series_has_no_live_run_and_nothing_to_come() {
        let mut series = SeriesState {
            runs: 3,
            ended: 1,
            live: LiveRuns {
                queued: 1,
                running: 1,
                waiting: 0,
            },
            next_at: Some(9),
            paused: true,
            ..SeriesState::default()
        };
        cancel_series(&mut series, 7);
        assert_eq!((series.ended, series.live.total(), series.next_at), (3, 0, None));
        assert_eq!(
            (series.status(), series.ended_at, series.paused),
            (Status::Cancelled, Some(7), false)
        );
    }
}
