//! Moves by which a user changes jobs, and their effects in the model.

use super::super::test_support::*;
use super::Walk;
use super::model::{Job, Run, first};
use crate::clock::Millis;
use crate::model::{EventKind, Kind, Status};
use crate::store::{Change, ChangeOutcome, ComputeMove, ListFilter, Timing, begin_anew};

impl Walk<'_> {
    pub(super) async fn change(&mut self) {
        let name = self.random_name();
        let due = self.random_time();
        let over = self.rng.below(8) == 0;
        let recurring = self.jobs.get(&name).is_some_and(|job| job.recurring);
        let change = match self.rng.below(7) {
            0 | 1 => pause(),
            2 | 3 => resume((!over).then_some(due)),
            4 => Change::Retry { due },
            5 => Change::Reschedule(Timing {
                due: (!over || !recurring).then_some(due),
                series: recurring.then(|| begins_anew((!over).then_some(due))),
            }),
            _ if over => Change::Delete,
            _ => Change::CancelRun { reason: None },
        };
        let answer = self.s.change(&name, change.clone(), self.now).await;
        self.check_change(&name, &change, &answer);
    }

    pub(super) async fn cancel(&mut self) {
        let name = self.random_name();
        let answer = self
            .s
            .store
            .cancel(&id(&name), Some("why not"), self.now)
            .await
            .unwrap();
        let Some(job) = self.jobs.get_mut(&name) else {
            assert_eq!(answer, ChangeOutcome::NotFound);
            return;
        };
        if job.status().is_ended() {
            assert_eq!(answer, ChangeOutcome::Forbidden(job.status()));
            return;
        }
        let running = job
            .runs
            .values()
            .filter(|(run, _)| matches!(run, Run::Running(..)))
            .count();
        assert!(
            matches!(answer, ChangeOutcome::Done { running: ref told, .. } if told.len() == running),
            "{answer:?} {job:?}"
        );
        job.executions += i64::try_from(job.runs.len()).unwrap();
        for run in std::mem::take(&mut job.runs).into_keys() {
            job.steps.run_ended(run, job.recurring, Status::Cancelled, self.now);
        }
        (job.ended, job.next_at, job.paused) = (Some(Status::Cancelled), None, false);
        self.expect_event(EventKind::Cancelled, &name);
    }

    /// The same change of several jobs, some of which do not allow it.
    pub(super) async fn change_many(&mut self) {
        let recurring = Some(self.rng.below(2) == 0);
        let filter = ListFilter {
            recurring,
            limit: 5,
            ..ListFilter::default()
        };
        let jobs = self.s.store.matching_jobs(filter.clone()).await.unwrap();
        let names = self.s.list(filter).await;
        let (change, wanted) = self.bulk_change();
        let done = self
            .s
            .store
            .change_many(jobs.clone(), vec![wanted], change.clone(), self.now)
            .await
            .unwrap();
        for (job, name) in jobs.into_iter().zip(names) {
            let known = &self.jobs[&name];
            let (allowed, status) = (self.allows(known, &change), known.status());
            let expected = allowed && status == wanted;
            assert_eq!(done.jobs.contains(&job), expected, "{name} {change:?} {known:?}");
            if expected {
                self.apply(&name, &change);
            }
        }
    }

    fn bulk_change(&mut self) -> (Change, Status) {
        match self.rng.below(3) {
            0 => (pause(), Status::Scheduled),
            1 => (resume(Some(self.now + 1)), Status::Paused),
            _ => (Change::Retry { due: self.now }, Status::Failed),
        }
    }

    fn check_change(&mut self, name: &str, change: &Change, answer: &ChangeOutcome) {
        let Some(job) = self.jobs.get(name) else {
            assert_eq!(*answer, ChangeOutcome::NotFound);
            return;
        };
        let allowed = self.allows(job, change);
        let context = format!("{name} {change:?} {job:?} {answer:?}");
        match answer {
            ChangeOutcome::Done { running, .. } => {
                assert!(allowed, "{context}");
                let cancels = matches!(change, Change::CancelRun { .. });
                assert_eq!(running.len(), usize::from(cancels && job.is_running()), "{context}");
                self.apply(name, change);
            }
            ChangeOutcome::Forbidden(_) | ChangeOutcome::NoRun(_) => assert!(!allowed, "{context}"),
            ChangeOutcome::NotFound | ChangeOutcome::OtherKind(_) => panic!("{context}"),
        }
    }

    fn allows(&self, job: &Job, change: &Change) -> bool {
        let allowed_by_state = job.status().allows(change.action(), Kind::of(job.recurring));
        allowed_by_state
            && match change {
                Change::CancelRun { .. } => !job.recurring || !job.runs.is_empty(),
                Change::Retry { .. } => !job.recurring || (job.failed && job.runs.is_empty()),
                Change::Delete => !job.is_running(),
                _ => true,
            }
    }

    fn apply(&mut self, name: &str, change: &Change) {
        let now = self.now;
        self.reached.changes += 1;
        self.apply_to_model(name, change, now);
        let kind = match change {
            Change::Pause(_) => EventKind::Paused,
            Change::Resume(_) => EventKind::Resumed,
            Change::Retry { .. } | Change::Reschedule(_) => EventKind::Scheduled,
            Change::CancelRun { .. } if self.jobs[name].status() == Status::Cancelled => EventKind::Cancelled,
            _ => return,
        };
        self.expect_event(kind, name);
    }

    fn apply_to_model(&mut self, name: &str, change: &Change, now: Millis) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        match change {
            Change::Pause(_) => job.pause(),
            Change::Resume(next) => job.resume(next.of(&some_series(Some(0))).unwrap().advance.next_at, now),
            Change::Retry { due } => job.retry(*due, now),
            Change::Reschedule(timing) => job.reschedule(timing.due, now),
            Change::CancelRun { .. } => {
                let run = job.current_run();
                job.run_ended(run, Status::Cancelled, now);
            }
            Change::Cancel { .. } | Change::RunNow(_) | Change::SkipNext(_) => {}
            Change::Delete => {
                self.forget_unique(name);
                self.jobs.remove(name);
            }
        }
    }
}

/// A series gets a schedule with this first occurrence.
fn begins_anew(due: Option<Millis>) -> ComputeMove {
    ComputeMove::new(move |series| Some(begin_anew(series, &every(1_000), due, 0)))
}

impl Job {
    fn is_running(&self) -> bool {
        self.runs.values().any(|(run, _)| matches!(run, Run::Running(..)))
    }

    /// One that is running, else the oldest.
    fn current_run(&self) -> i64 {
        let running = self.runs.iter().find(|(_, (run, _))| matches!(run, Run::Running(..)));
        *running.or(self.runs.iter().next()).unwrap().0
    }

    fn pause(&mut self) {
        self.paused = true;
        for (run, _) in self.runs.values_mut() {
            *run = run.paused();
        }
    }

    fn resume(&mut self, next: Option<Millis>, now: Millis) {
        self.paused = false;
        for (run, _) in self.runs.values_mut() {
            if let Run::Paused(due) = *run {
                *run = first(Some(due), now);
            }
        }
        if self.recurring {
            self.next_at = self.next_at.and(next);
            self.end_if_over();
        }
    }

    fn retry(&mut self, due: Millis, now: Millis) {
        self.ended = None;
        self.failed = false;
        self.created_runs += 1;
        let number = if self.recurring { self.created_runs } else { 0 };
        self.runs.insert(number, (first(Some(due), now), 0));
        if self.recurring {
            self.steps.rerun_failed(number);
        }
    }

    fn reschedule(&mut self, due: Option<Millis>, now: Millis) {
        if self.recurring {
            (self.next_at, self.interval) = (due, 1_000);
            self.end_if_over();
            return;
        }
        let paused = self.paused;
        for (run, _) in self.runs.values_mut() {
            let unpaused = first(due, now);
            *run = if paused {
                Run::Paused(due.unwrap_or(now))
            } else {
                unpaused
            };
        }
    }

    fn end_if_over(&mut self) {
        if self.next_at.is_none() && self.runs.is_empty() {
            self.ended = Some(Status::Completed);
            self.paused = false;
        }
    }
}

impl Run {
    /// The same run after its job was paused. A ready run is due whenever the job is resumed.
    pub(super) fn paused(self) -> Self {
        match self {
            Self::Waiting(due) => Self::Paused(due),
            Self::Ready => Self::Paused(Millis::MIN),
            other => other,
        }
    }
}
