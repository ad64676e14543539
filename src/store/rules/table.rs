//! Every case that the rules tell apart, with what they say: each store is held to it, and above all PL/pgSQL, which
//! decides by itself.
//!
//! A case is set up, done, and looked at through SQL that both databases know; what the tables then hold is compared as
//! lines of text.

mod check;

pub(in crate::store) use check::{Probe, check_completions, check_insertions};

use super::completion::{self, AttemptEnd, AttemptOutcome, ClaimedAttempt, RunFate, StepsAfterRun};
use super::counters::{self, RunCounter};
use super::phase::{LiveRuns, Phase};
use super::placement::{self, Place};
use super::series::{RunEnd, SeriesState};
use crate::clock::Millis;
use crate::model::{RunError, RunOutcome, Status};
use crate::store::Settled;
use crate::store::contract::test_support::{DAY, T0};

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Outcome {
    Completed,
    Failed,
    Retry,
    Snoozed,
    Discarded,
    Released,
    Interrupted,
    TakenBack,
    /// And the run may crash again.
    Crashed,
    /// For the last time that it may.
    CrashedTooOften,
}

impl Outcome {
    pub(in crate::store) const ALL: [Self; 10] = [
        Self::Completed,
        Self::Failed,
        Self::Retry,
        Self::Snoozed,
        Self::Discarded,
        Self::Released,
        Self::Interrupted,
        Self::TakenBack,
        Self::Crashed,
        Self::CrashedTooOften,
    ];
}

/// Whose run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum JobCase {
    OneOff,
    /// A series with an occurrence to come.
    Series,
    /// A series that ends with this run.
    LastOfSeries,
    /// A series that was paused while the run was going.
    PausedSeries,
}

/// One row: the end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct CompletionCase {
    pub(in crate::store) job: JobCase,
    pub(in crate::store) outcome: Outcome,
    pub(in crate::store) attempt: u32,
    pub(in crate::store) crashes: u32,
    /// When the next attempt is to be due, from `NOW` on.
    pub(in crate::store) due_in: Millis,
    /// The same attempt was snoozed before, so that history has a row of it.
    pub(in crate::store) snoozed: bool,
}

/// When the attempts of the table are claimed.
pub(in crate::store) const NOW: Millis = T0;
/// When they began and ended.
pub(in crate::store) const STARTED: Millis = T0 + 40;
pub(in crate::store) const ENDED: Millis = T0 + 50;
/// When they are completed.
pub(in crate::store) const COMPLETED: Millis = T0 + 60;
/// The next occurrence of a series that has one.
pub(in crate::store) const NEXT_AT: Millis = T0 + 1_000_000;

pub(in crate::store) fn retry(due: Millis) -> RunOutcome {
    RunOutcome::Retry { error: error(), due }
}

fn error() -> RunError {
    RunError::new("Error", "it broke", Some("at line 1"))
}

/// All of them.
pub(in crate::store) fn completions() -> Vec<CompletionCase> {
    let mut cases = Vec::new();
    for job in [
        JobCase::OneOff,
        JobCase::Series,
        JobCase::LastOfSeries,
        JobCase::PausedSeries,
    ] {
        for outcome in Outcome::ALL {
            let dues: &[Millis] = match outcome {
                Outcome::Retry | Outcome::Snoozed => &[-1, 0, 1],
                _ => &[0],
            };
            for (attempt, crashes) in [(1, 0), (2, 0), (2, 1), (3, 1)] {
                for due_in in dues {
                    for snoozed in [false, true] {
                        cases.push(CompletionCase {
                            job,
                            outcome,
                            attempt,
                            crashes,
                            due_in: *due_in,
                            snoozed,
                        });
                    }
                }
            }
        }
    }
    // Only one-offs are discarded, and only first attempts of series are taken back or due anew.
    cases.retain(|case| case.outcome != Outcome::Discarded || case.job == JobCase::OneOff);
    let is_first = |case: &CompletionCase| case.recurring() && case.attempt == 1 && !case.snoozed;
    cases.retain(|case| !matches!(case.outcome, Outcome::TakenBack | Outcome::Interrupted) || is_first(case));
    cases
}

impl CompletionCase {
    fn recurring(&self) -> bool {
        self.job != JobCase::OneOff
    }

    /// As whoever ran it reports it; `None`: its process died.
    pub(in crate::store) fn reported(&self) -> Option<RunOutcome> {
        let due = COMPLETED + self.due_in;
        Some(match self.outcome {
            Outcome::Completed => RunOutcome::Completed {
                result: Some("42".into()),
            },
            Outcome::Failed => RunOutcome::Failed { error: error() },
            Outcome::Retry => retry(due),
            Outcome::Snoozed => RunOutcome::Snoozed { due },
            Outcome::Discarded => RunOutcome::Discarded,
            Outcome::Released => RunOutcome::Released,
            Outcome::Interrupted => RunOutcome::Interrupted { at: ENDED },
            Outcome::TakenBack => RunOutcome::TakenBack,
            Outcome::Crashed | Outcome::CrashedTooOften => return None,
        })
    }

    /// Crashes with which a run fails.
    pub(in crate::store) fn max_crashes(&self) -> u32 {
        self.crashes + if self.outcome == Outcome::Crashed { 2 } else { 1 }
    }

    /// The series as it is while the run is going.
    pub(in crate::store) fn series(&self) -> SeriesState {
        SeriesState {
            runs: 1,
            next_at: (self.job != JobCase::LastOfSeries).then_some(NEXT_AT),
            live: LiveRuns::one(Phase::Running),
            paused: self.job == JobCase::PausedSeries,
            ..SeriesState::default()
        }
    }

    /// The state of the job while the run is going.
    fn state(&self) -> Status {
        if self.recurring() {
            self.series().status()
        } else {
            Status::Running
        }
    }

    /// What the tables hold afterwards by the rules, and the state of the job.
    pub(in crate::store) fn expected(&self) -> (Vec<String>, Status) {
        let claimed = ClaimedAttempt {
            attempt: self.attempt,
            crashes: self.crashes,
            due: NOW,
            recurring: self.recurring(),
        };
        let reported = self.reported();
        let outcome = match &reported {
            Some(reported) => AttemptOutcome::Reported(reported),
            None => AttemptOutcome::Crashed {
                max_crashes: self.max_crashes(),
                now: COMPLETED,
            },
        };
        let AttemptEnd { history, run } = completion::end_attempt(claimed, outcome);
        let (started, ended) = match reported {
            Some(_) => (STARTED, ENDED),
            None => (NOW, COMPLETED),
        };
        let mut lines = Vec::new();
        let mut add = |line: String| lines.push(line);
        if let Some(row) = history {
            let error = row.error.map(|error| serde_json::to_string(&*error).unwrap());
            add(format!(
                "history {} {} {started} {ended} {} {} {}",
                self.attempt,
                row.status as i32,
                or_dash(row.next_due),
                error.as_deref().unwrap_or("-"),
                row.result.unwrap_or("-"),
            ));
        } else if self.snoozed && run != RunFate::Deleted {
            add(format!("history {} 8 {STARTED} {STARTED} {NOW} - -", self.attempt));
        }
        let state = match run {
            RunFate::Over(over) => self.add_end(over, ended, &mut add),
            RunFate::GoesOn(next) => Some(self.add_requeued(next, &mut add)),
            RunFate::Deleted => None,
            RunFate::TakenBack => {
                let mut series = self.series();
                series.run_taken_back(&mut Settled::default(), Phase::Running, NOW);
                add("step 0".to_owned());
                add(series_line(&series));
                Some(series.status())
            }
        };
        if let Some(state) = state {
            add(format!("job {}", u8::from(self.recurring())));
            add_transition(self.state(), Some(state), &mut add);
        } else {
            add_transition(self.state(), None, &mut add);
        }
        lines.sort();
        (lines, state.unwrap_or(Status::Completed))
    }

    fn add_requeued(&self, next: completion::NextAttempt, add: &mut impl FnMut(String)) -> Status {
        let place = next.place(self.job == JobCase::PausedSeries, COMPLETED);
        let table = match place {
            Place::Ready => "ready",
            Place::Scheduled => "scheduled",
            Place::Paused => "paused",
            Place::ScheduledByDay(_) => "far",
        };
        add(format!("{table} {} {} {}", next.due, next.attempt, next.crashes));
        add("step 1".to_owned());
        if !self.recurring() {
            return place.status();
        }
        let mut series = self.series();
        series.run_changed_phase(Some(Phase::Running), place.phase());
        add("step 0".to_owned());
        add(series_line(&series));
        series.status()
    }

    fn add_end(&self, over: completion::EndedRun, ended: Millis, add: &mut impl FnMut(String)) -> Option<Status> {
        let mut series = self.series();
        let state = if self.recurring() {
            let run = RunEnd {
                run: 1,
                status: over.status,
                ended_at: ended,
            };
            series.run_ended(Phase::Running, run, Some(NOW), COMPLETED);
            add(series_line(&series));
            if let (Some(status), Some(at)) = (series.ended_as, series.ended_at) {
                add(format!("ended {} {at}", status as i32));
            }
            series.status()
        } else {
            add(format!("ended {} {ended}", over.job as i32));
            over.job
        };
        match over.steps {
            StepsAfterRun::Kept | StepsAfterRun::KeptInsteadOfEarlier => add("step 1".to_owned()),
            StepsAfterRun::Forgotten => {}
        }
        if self.recurring() && over.steps != StepsAfterRun::KeptInsteadOfEarlier {
            add("step 0".to_owned());
        }
        add(format!("event {} {}", over.event as i32, state as i32));
        add(format!("counter {} 1", over.counter as i32));
        if over.retries != 0 {
            add(format!("counter {} {}", RunCounter::Retries as i32, over.retries));
        }
        Some(state)
    }
}

fn series_line(series: &SeriesState) -> String {
    let live = series.live;
    format!(
        "series {} {} {} {} {} {} {} {} {} {}",
        series.end_code(),
        series.ended,
        series.succeeded,
        series.failed,
        live.queued,
        live.running,
        live.waiting,
        i32::from(series.paused),
        or_dash(series.next_at),
        or_dash(series.failed_at),
    )
}

fn or_dash(number: Option<Millis>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn add_transition(from: Status, to: Option<Status>, add: &mut impl FnMut(String)) {
    for (status, n) in counters::transition(Some(from), to).into_iter().flatten() {
        add(format!("counter {} {n}", status as i32));
    }
}

/// One row: the dispatch of a one-off, and what happens when it falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct InsertionCase {
    pub(in crate::store) due: Millis,
    /// Whether the job has an id of its caller's own.
    pub(in crate::store) named: bool,
}

/// All of them.
pub(in crate::store) fn insertions() -> Vec<InsertionCase> {
    let today = NOW - NOW.rem_euclid(DAY);
    let dues = [
        NOW - 1,
        NOW,
        NOW + 1,
        today + 2 * DAY - 1,
        today + 2 * DAY,
        today + 9 * DAY,
    ];
    let both = |due| [false, true].map(|named| InsertionCase { due, named });
    dues.into_iter().flat_map(both).collect()
}

impl InsertionCase {
    /// What the tables hold after the dispatch.
    pub(in crate::store) fn expected(&self) -> Vec<String> {
        let place = placement::of_first(self.due, NOW);
        let mut lines = vec![
            "job 0".to_owned(),
            format!("counter {} 1", place.status() as i32),
            format!("event 0 {}", place.status() as i32),
            match place {
                Place::Ready => format!("ready {} 1 0", self.due),
                Place::Scheduled => format!("scheduled {} 1 0", self.due),
                Place::ScheduledByDay(day) => format!("far {day}"),
                Place::Paused => "paused".to_owned(),
            },
        ];
        lines.sort();
        lines
    }

    /// What they hold once its time has come.
    pub(in crate::store) fn expected_when_due(&self) -> Vec<String> {
        let place = placement::of(self.due, self.due);
        let scheduled = placement::of_first(self.due, NOW).status();
        let mut lines = vec![
            "job 0".to_owned(),
            format!("counter {} 1", place.status() as i32),
            format!("event 0 {}", scheduled as i32),
            format!("ready {} 1 0", self.due),
        ];
        lines.sort();
        lines
    }
}
