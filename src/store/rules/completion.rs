//! The rule that ends a run: what follows from the end of one attempt, however it ended.
//!
//! A completion, a failure, a retry, a snooze, a discarded job, a run handed back, a crash of the process: [`end_attempt`]
//! says what is written about the attempt and whether its run is over, gone, or goes on; [`NextAttempt::place`] says where
//! one that goes on waits. What the end of a run means for its series says [`super::series`].

use super::counters::{self, RunCounter};
use super::crash;
use super::placement::{self, Place};
use crate::clock::Millis;
use crate::error::ErrorCode;
use crate::model::{EventKind, RunError, RunOutcome, RunStatus, Status};
use std::borrow::Cow;

/// A claimed attempt, as far as its end depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct ClaimedAttempt {
    /// 1-based.
    pub(in crate::store) attempt: u32,
    /// Attempts before it that ended by a crash.
    pub(in crate::store) crashes: u32,
    pub(in crate::store) due: Millis,
    pub(in crate::store) recurring: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) enum AttemptOutcome<'a> {
    /// As whoever ran it says.
    Reported(&'a RunOutcome),
    /// Its process died, which was found at `now`. The run fails with its `max_crashes`th crash.
    Crashed { max_crashes: u32, now: Millis },
}

/// What follows from the end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct AttemptEnd<'a> {
    /// Its row of history, in place of one that a snooze of the same attempt has left.
    pub(in crate::store) history: Option<HistoryRow<'a>>,
    pub(in crate::store) run: RunFate,
}

/// What history says of an attempt, besides its number and times.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct HistoryRow<'a> {
    pub(in crate::store) status: RunStatus,
    /// When the run goes on, if it does.
    pub(in crate::store) next_due: Option<Millis>,
    pub(in crate::store) error: Option<Cow<'a, RunError>>,
    /// JSON text.
    pub(in crate::store) result: Option<&'a str>,
}

/// What becomes of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RunFate {
    /// It is over, and a one-off with it.
    Over(EndedRun),
    /// It goes on.
    GoesOn(NextAttempt),
    /// It is deleted with its job, which is a one-off.
    Deleted,
    /// It is deleted, and its series deals with its occurrence anew.
    TakenBack,
}

/// A run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct EndedRun {
    pub(in crate::store) status: RunStatus,
    /// The state of its job, if that is a one-off.
    pub(in crate::store) job: Status,
    pub(in crate::store) event: EventKind,
    pub(in crate::store) counter: RunCounter,
    /// By which [`RunCounter::Retries`] rises.
    pub(in crate::store) retries: i64,
    pub(in crate::store) steps: StepsAfterRun,
}

/// What becomes of the steps of a run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum StepsAfterRun {
    /// They are kept, in case the run is run again.
    Kept,
    /// They are kept, and those of earlier runs of the series that are over are forgotten.
    KeptInsteadOfEarlier,
    Forgotten,
}

/// The attempt that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct NextAttempt {
    pub(in crate::store) attempt: u32,
    pub(in crate::store) crashes: u32,
    pub(in crate::store) due: Millis,
    /// Claimable whatever the clock says.
    pub(in crate::store) at_once: bool,
}

/// What follows when `claimed` ends with `outcome`.
pub(in crate::store) fn end_attempt(claimed: ClaimedAttempt, outcome: AttemptOutcome<'_>) -> AttemptEnd<'_> {
    let reported = match outcome {
        AttemptOutcome::Reported(reported) => reported,
        AttemptOutcome::Crashed { max_crashes, now } => return crashed(claimed, max_crashes, now),
    };
    match reported {
        RunOutcome::Completed { result } => AttemptEnd {
            history: Some(HistoryRow {
                result: result.as_deref(),
                ..history(RunStatus::Completed)
            }),
            run: RunFate::Over(EndedRun::of(claimed, RunStatus::Completed)),
        },
        RunOutcome::Failed { error } => failed(claimed, Cow::Borrowed(error)),
        RunOutcome::Retry { error, due } => AttemptEnd {
            history: Some(HistoryRow {
                next_due: Some(*due),
                error: Some(Cow::Borrowed(error)),
                ..history(RunStatus::Retried)
            }),
            run: RunFate::GoesOn(NextAttempt {
                attempt: claimed.attempt + 1,
                due: *due,
                ..NextAttempt::same(claimed)
            }),
        },
        RunOutcome::Snoozed { due } => AttemptEnd {
            history: Some(HistoryRow {
                next_due: Some(*due),
                ..history(RunStatus::Snoozed)
            }),
            run: RunFate::GoesOn(NextAttempt {
                due: *due,
                ..NextAttempt::same(claimed)
            }),
        },
        RunOutcome::Discarded => AttemptEnd {
            history: None,
            run: RunFate::Deleted,
        },
        RunOutcome::Released => AttemptEnd {
            history: None,
            run: RunFate::GoesOn(NextAttempt {
                at_once: true,
                ..NextAttempt::same(claimed)
            }),
        },
        RunOutcome::Interrupted { at } => AttemptEnd {
            history: None,
            run: RunFate::GoesOn(NextAttempt {
                at_once: true,
                due: *at,
                ..NextAttempt::same(claimed)
            }),
        },
        RunOutcome::TakenBack => AttemptEnd {
            history: None,
            run: RunFate::TakenBack,
        },
    }
}

/// An attempt whose process died: the run goes on with another one, which waits the longer the more often this happened, or
/// fails.
fn crashed(claimed: ClaimedAttempt, max_crashes: u32, now: Millis) -> AttemptEnd<'static> {
    let crashes = claimed.crashes + 1;
    let fails = crashes >= max_crashes;
    if fails {
        return failed(claimed, Cow::Owned(last_crash(crashes)));
    }
    let error = RunError::new(ErrorCode::Crashed.as_str(), "the process that ran it died", None);
    let delay = crash::delay(crashes);
    let at_once = delay == 0;
    let due = if at_once {
        claimed.due
    } else {
        now.saturating_add(delay)
    };
    AttemptEnd {
        history: Some(HistoryRow {
            next_due: Some(due),
            error: Some(Cow::Owned(error)),
            ..history(RunStatus::Crashed)
        }),
        run: RunFate::GoesOn(NextAttempt {
            attempt: claimed.attempt + 1,
            crashes,
            due,
            at_once,
        }),
    }
}

/// How a run fails with its last allowed crash, after so many in all.
pub(in crate::store) fn last_crash(crashes: u32) -> RunError {
    let message = format!("the process that ran it died {crashes} times");
    RunError::new(ErrorCode::Crashed.as_str(), &message, None)
}

fn failed(claimed: ClaimedAttempt, error: Cow<'_, RunError>) -> AttemptEnd<'_> {
    AttemptEnd {
        history: Some(HistoryRow {
            error: Some(error),
            ..history(RunStatus::Failed)
        }),
        run: RunFate::Over(EndedRun::of(claimed, RunStatus::Failed)),
    }
}

fn history(status: RunStatus) -> HistoryRow<'static> {
    HistoryRow {
        status,
        next_due: None,
        error: None,
        result: None,
    }
}

impl EndedRun {
    fn of(claimed: ClaimedAttempt, status: RunStatus) -> Self {
        let completed = status == RunStatus::Completed;
        let retries = counters::retries_spent(claimed.attempt, claimed.crashes);
        Self {
            status,
            job: if completed { Status::Completed } else { Status::Failed },
            event: if completed {
                EventKind::Completed
            } else {
                EventKind::Failed
            },
            counter: counters::of_ended_run(status, retries),
            retries,
            steps: steps_after(status, claimed.recurring),
        }
    }
}

/// What becomes of the steps of a run that ended with this status.
pub(in crate::store) fn steps_after(status: RunStatus, recurring: bool) -> StepsAfterRun {
    match status {
        RunStatus::Failed if recurring => StepsAfterRun::KeptInsteadOfEarlier,
        RunStatus::Failed => StepsAfterRun::Kept,
        // Of a series only a run that failed is run again.
        RunStatus::Cancelled if !recurring => StepsAfterRun::Kept,
        _ => StepsAfterRun::Forgotten,
    }
}

impl NextAttempt {
    fn same(claimed: ClaimedAttempt) -> Self {
        Self {
            attempt: claimed.attempt,
            crashes: claimed.crashes,
            due: claimed.due,
            at_once: false,
        }
    }

    /// Where it waits; `paused`: its series is. A running one-off cannot be paused.
    pub(in crate::store) fn place(self, paused: bool, now: Millis) -> Place {
        if paused {
            Place::Paused
        } else if self.at_once {
            Place::Ready
        } else {
            placement::of(self.due, now)
        }
    }
}

impl RunFate {
    /// Whether there may be something to claim that was not there before, or something due earlier.
    pub(in crate::store) fn wakes_claimer(self) -> bool {
        matches!(self, Self::GoesOn(_) | Self::TakenBack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rules::table::{self, Outcome};

    const CLAIMED: ClaimedAttempt = ClaimedAttempt {
        attempt: 3,
        crashes: 1,
        due: 500,
        recurring: false,
    };

    #[test]
    fn a_retry_goes_on_with_the_next_attempt_and_a_snooze_with_the_same() {
        for (outcome, attempt) in [(table::retry(900), 4), (RunOutcome::Snoozed { due: 900 }, 3)] {
            let end = end_attempt(CLAIMED, AttemptOutcome::Reported(&outcome));
            assert_eq!(end.history.as_ref().unwrap().next_due, Some(900));
            let RunFate::GoesOn(next) = end.run else {
                panic!("{:?}", end.run)
            };
            assert_eq!((next.attempt, next.crashes, next.due), (attempt, 1, 900));
            assert_eq!(next.place(false, 899), Place::Scheduled);
            assert_eq!(next.place(false, 900), Place::Ready);
            assert_eq!(next.place(true, 900), Place::Paused);
        }
    }

    #[test]
    fn a_run_handed_back_leaves_no_history_and_is_claimable_at_once() {
        let end = end_attempt(CLAIMED, AttemptOutcome::Reported(&RunOutcome::Released));
        assert_eq!(end.history, None);
        let RunFate::GoesOn(next) = end.run else {
            panic!("{:?}", end.run)
        };
        assert_eq!((next.attempt, next.crashes, next.due), (3, 1, 500));
        assert_eq!(next.place(false, 0), Place::Ready);
    }

    #[test]
    fn a_run_fails_with_its_last_allowed_crash() {
        let crashed = |max_crashes| AttemptOutcome::Crashed { max_crashes, now: 600 };
        let end = end_attempt(CLAIMED, crashed(3));
        let row = end.history.unwrap();
        assert_eq!((row.status, row.next_due), (RunStatus::Crashed, Some(1_600)));
        assert!(matches!(end.run, RunFate::GoesOn(next) if (next.attempt, next.crashes) == (4, 2)));
        let end = end_attempt(CLAIMED, crashed(2));
        let row = end.history.unwrap();
        assert_eq!(&*row.error.unwrap().message, "the process that ran it died 2 times");
        assert!(matches!(end.run, RunFate::Over(ended) if ended.job == Status::Failed && ended.retries == 1));
    }

    #[test]
    fn a_run_is_claimable_at_once_after_its_first_crash_and_waits_after_others() {
        for (crashes, due, place) in [(0, 500, Place::Ready), (1, 1_600, Place::Scheduled)] {
            let claimed = ClaimedAttempt { crashes, ..CLAIMED };
            let outcome = AttemptOutcome::Crashed {
                max_crashes: 10,
                now: 600,
            };
            let end = end_attempt(claimed, outcome);
            assert_eq!(end.history.unwrap().next_due, Some(due));
            let RunFate::GoesOn(next) = end.run else {
                panic!("{:?}", end.run)
            };
            assert_eq!((next.crashes, next.due), (crashes + 1, due));
            // Whatever the clock says: it may have been set back.
            assert_eq!(next.place(false, 400), place);
            assert_eq!(next.place(true, 600), Place::Paused);
        }
    }

    #[test]
    fn only_runs_that_may_be_run_again_keep_their_steps() {
        for (status, recurring, steps) in [
            (RunStatus::Completed, false, StepsAfterRun::Forgotten),
            (RunStatus::Completed, true, StepsAfterRun::Forgotten),
            (RunStatus::Failed, false, StepsAfterRun::Kept),
            (RunStatus::Failed, true, StepsAfterRun::KeptInsteadOfEarlier),
            (RunStatus::Cancelled, false, StepsAfterRun::Kept),
            (RunStatus::Cancelled, true, StepsAfterRun::Forgotten),
        ] {
            assert_eq!(steps_after(status, recurring), steps, "{status:?} {recurring}");
        }
    }

    #[test]
    fn the_table_has_every_outcome() {
        for outcome in Outcome::ALL {
            assert!(table::completions().iter().any(|case| case.outcome == outcome));
        }
    }
}
