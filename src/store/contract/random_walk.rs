//! Thousands of mixed verbs with seeded chance, against a plain model: whatever the order of events, the store and the
//! model agree on every answer and every state.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

mod changes;
mod keys;
mod steps;

use self::keys::{Keys, Uniques};
use self::steps::Steps;
use super::test_support::*;
use crate::clock::Millis;
use crate::model::{Action, EventKind, Kind, NewJob, RunOutcome, Status};
use crate::store::{
    ChangeOutcome, ClaimedRun, Completed, GapKind, Inserted, InstanceId, Occurrence, OccurrenceGap, RelayedEvent,
    Retention, RetentionLimit, SeriesAdvance, Token,
};
use std::collections::BTreeMap;

const WALK_STEPS: usize = 10_000;
const MAX_NAMES: u64 = 60;
const MAX_CRASHES: u32 = 3;

/// A small generator of numbers (splitmix64), the same on every machine.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Run {
    Waiting(Millis),
    Ready,
    /// Until the job is resumed.
    Paused(Millis),
    /// With the concurrency key it was claimed with.
    Running(InstanceId, Token, Option<&'static str>),
}

#[derive(Clone, Debug)]
struct Job {
    recurring: bool,
    /// Runs that have not ended, with their crashes. That of a one-off is 0: its number is the store's business.
    runs: BTreeMap<i64, (Run, u32)>,
    created_runs: i64,
    ended: Option<Status>,
    next_at: Option<Millis>,
    /// Of its schedule, when it recurs.
    interval: i64,
    executions: i64,
    paused: bool,
    /// A run of the series failed last and was not run again.
    failed: bool,
    /// Tells it from others that had its name before.
    incarnation: usize,
    key: Option<&'static str>,
    /// What its runs have finished, as far as it is remembered.
    steps: Steps,
}

impl Job {
    fn status(&self) -> Status {
        let has = |wanted: fn(&Run) -> bool| self.runs.values().any(|(run, _)| wanted(run));
        match self.ended {
            Some(status) => status,
            None if self.paused => Status::Paused,
            None if has(|run| matches!(run, Run::Running(..))) => Status::Running,
            None if has(|run| matches!(run, Run::Ready)) => Status::Queued,
            None => Status::Scheduled,
        }
    }

    /// A run is over; so is the job, if it was the last.
    fn run_ended(&mut self, run: i64, status: Status, now: Millis) {
        self.runs.remove(&run);
        self.steps.run_ended(run, self.recurring, status, now);
        self.executions += 1;
        self.failed |= status == Status::Failed;
        if !self.recurring {
            (self.ended, self.paused) = (Some(status), false);
        } else if self.next_at.is_none() && self.runs.is_empty() {
            (self.ended, self.paused) = (Some(Status::Completed), false);
        }
    }

    /// Puts a run back that a process had.
    fn return_run(&mut self, run: i64, to: Run) {
        if let Some((position, _)) = self.runs.get_mut(&run) {
            *position = if self.paused { to.paused() } else { to };
        }
    }
}

struct Walk<'a> {
    s: &'a TestStore,
    rng: Rng,
    now: Millis,
    jobs: BTreeMap<String, Job>,
    processes: Vec<InstanceId>,
    claims: Vec<(InstanceId, String, ClaimedRun)>,
    /// Completions, by their answer.
    counted: usize,
    refused: usize,
    /// Changes by a user that were done.
    changed: usize,
    /// Claims that left runs behind full keys.
    crowded: usize,
    duplicates: usize,
    incarnation: usize,
    limits: Keys,
    uniques: Uniques,
    /// What webhooks are to be told since the last comparison, with the state of the job then.
    expected_events: Vec<(EventKind, String, Status)>,
    events: usize,
    /// Steps that were written down.
    finished: usize,
    /// Claims of runs that had finished some.
    recalled: usize,
}

pub async fn random_walk_matches_the_model(s: &TestStore) {
    let mut walk = Walk {
        s,
        rng: Rng(7),
        now: T0,
        jobs: BTreeMap::new(),
        processes: vec![],
        claims: vec![],
        counted: 0,
        refused: 0,
        changed: 0,
        crowded: 0,
        duplicates: 0,
        incarnation: 0,
        limits: Keys::new(),
        uniques: Uniques::new(),
        expected_events: vec![],
        events: 0,
        finished: 0,
        recalled: 0,
    };
    let everything = super::webhooks::webhook("all", &EventKind::DELIVERED_TO_WEBHOOKS);
    s.store.set_webhook(everything, 1, T0).await.unwrap();
    walk.processes.push(s.process().await);
    for step in 0..WALK_STEPS {
        match walk.rng.below(26) {
            0..=5 => walk.insert().await,
            6..=9 => walk.claim().await,
            10..=13 => walk.complete().await,
            14 => walk.cancel().await,
            15 | 16 => walk.advance().await,
            17 => walk.pass().await,
            18 => walk.crash_or_leave().await,
            19..=21 => walk.change().await,
            22 => walk.change_many().await,
            23 | 24 => walk.finish_step().await,
            _ => walk.sweep().await,
        }
        if step % 20 == 0 {
            walk.compare().await;
        }
    }
    walk.compare().await;
    // A walk that hardly ever gets anywhere would prove nothing.
    assert!(
        walk.counted > 300 && walk.refused > 50 && walk.changed > 100 && walk.events > 1_000,
        "{} counted, {} refused, {} changed, {} events",
        walk.counted,
        walk.refused,
        walk.changed,
        walk.events
    );
    assert!(
        walk.crowded > 100 && walk.duplicates > 20,
        "{} crowded, {} duplicates",
        walk.crowded,
        walk.duplicates
    );
    assert!(
        walk.finished > 100 && walk.recalled > 50,
        "{} steps finished, {} claims of runs that had some",
        walk.finished,
        walk.recalled
    );
}

impl Walk<'_> {
    fn later(&mut self) -> Millis {
        self.now + self.rng.of(&[-5, 0, 0, 1, 10, 100, 5_000, DAY, 3 * DAY, 40 * DAY])
    }

    async fn insert(&mut self) {
        let name = self.rng.below(MAX_NAMES).to_string();
        let recurring = name.ends_with('3') || name.ends_with('7');
        let (due, priority) = (self.later(), i32::try_from(self.rng.below(3)).unwrap());
        let on = self.rng.of(&["a", "b", "c"]);
        let interval = self.rng.of(&[1_000, 1_000, 2_000]);
        let base = NewJob {
            recurrence: recurring.then(|| every(interval)),
            ..if recurring { series(&name) } else { one_off(&name) }
        };
        let gone = recurring && self.rng.below(8) == 0;
        let job = NewJob {
            due: (!gone).then_some(due),
            priority,
            route: route(on).into(),
            created: self.now,
            options: self.options(),
            ..base
        };
        let job = if self.rng.below(3) > 0 {
            replacing(job)
        } else {
            NewJob {
                on_conflict: crate::model::OnConflict::Return,
                ..job
            }
        };
        let replace = job.on_conflict == crate::model::OnConflict::Replace;
        let answer = self.s.insert_at(vec![job.clone()], self.now).await.remove(0);
        let due = (!gone).then_some(due);
        let now = self.now;
        let unique_key_owner = self.unique_key_owner(&name, on, job.options.unique.as_ref());
        let Some(known) = self.jobs.get_mut(&name) else {
            if let Some(unique_key_owner) = unique_key_owner {
                self.check_duplicate(&unique_key_owner, &answer);
                return;
            }
            assert_eq!(answer, Inserted::Created);
            self.incarnation += 1;
            let new = new_job(recurring.then_some(interval), due, now, self.incarnation);
            self.jobs.insert(name.clone(), new);
            self.keep(&name, on, &job.options);
            if !gone {
                self.expect_event(EventKind::Scheduled, &name);
            }
            return;
        };
        match answer {
            Inserted::Existing(summary) => assert!(!replace && summary.status == known.status()),
            Inserted::Conflict(_) => assert!(
                replace
                    && (unique_key_owner.is_some()
                        || !known.recurring && !known.status().allows(Action::ReplaceOneOff, Kind::OneOff))
            ),
            Inserted::Replaced(summary) => {
                replace_in_model(known, due, interval, now);
                assert!(replace && unique_key_owner.is_none(), "{known:?} {unique_key_owner:?}");
                assert_eq!(summary.status, known.status(), "{known:?}");
                self.keep(&name, on, &job.options);
                self.expect_event(EventKind::Scheduled, &name);
            }
            other => panic!("{name} was there: {other:?}"),
        }
    }

    async fn claim(&mut self) {
        let Some(&process) = self.processes.first() else { return };
        let process = if self.rng.below(2) == 0 {
            process
        } else {
            *self.processes.last().unwrap()
        };
        let slots = self.rng.of(&[0, 1, 3, 50]);
        let claimed = self.s.claim_with(process, self.now, slots).await;
        self.fall_due();
        let open = self.claimable();
        assert_eq!(claimed.runs.len(), open.min(slots));
        assert!(
            claimed
                .runs
                .is_sorted_by_key(|run| (run.priority, run.due, run.job, run.run))
        );
        for run in claimed.runs {
            let name = run.id.to_string();
            let job = self.jobs.get_mut(&name).unwrap();
            let key = job.key;
            let (position, crashes) = job.runs.get_mut(&number(&run)).unwrap();
            assert_eq!((*position, *crashes), (Run::Ready, run.crashes));
            *position = Run::Running(process, run.token, key);
            self.expect_event(EventKind::Started, &name);
            self.check_steps(&name, &run).await;
            self.claims.push((process, name, run));
            assert!(key.is_none_or(|key| self.running_with(key) <= self.limits[key]));
        }
    }

    fn fall_due(&mut self) {
        for (run, _) in self.jobs.values_mut().flat_map(|job| job.runs.values_mut()) {
            if matches!(run, Run::Waiting(due) if *due <= self.now) {
                *run = Run::Ready;
            }
        }
    }

    async fn complete(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let at = usize::try_from(self.rng.below(self.claims.len() as u64)).unwrap();
        let (process, name, run) = self.claims.swap_remove(at);
        let due = self.later();
        let outcome = match self.rng.below(6) {
            0 | 1 => done(),
            2 => failed(),
            3 => retry(due),
            4 => RunOutcome::Snoozed { due },
            _ => RunOutcome::Released,
        };
        let answer = self.s.complete(process, &run, outcome.clone(), self.now).await;
        let now = self.now;
        let job = self.jobs.get_mut(&name);
        let number = number(&run);
        let claims = |job: &&mut Job| {
            job.runs.get(&number).is_some_and(
                |(position, _)| matches!(position, Run::Running(by, token, _) if (*by, *token) == (process, run.token)),
            )
        };
        let Some(job) = job.filter(claims).filter(|_| self.processes.contains(&process)) else {
            assert_eq!(answer, Completed::LeaseLost);
            self.refused += 1;
            return;
        };
        match outcome {
            RunOutcome::Completed { .. } => job.run_ended(number, Status::Completed, now),
            RunOutcome::Failed { .. } => job.run_ended(number, Status::Failed, now),
            RunOutcome::Retry { .. } | RunOutcome::Snoozed { .. } => {
                job.return_run(number, first(Some(due), now));
            }
            RunOutcome::Released => job.return_run(number, Run::Ready),
            RunOutcome::Discarded => panic!("no job of this walk is forgotten"),
        }
        assert_eq!(answer, Completed::Accepted(job.status()));
        self.counted += 1;
        match outcome {
            RunOutcome::Completed { .. } => self.expect_event(EventKind::Completed, &name),
            RunOutcome::Failed { .. } => self.expect_event(EventKind::Failed, &name),
            _ => {}
        }
    }

    async fn cancel(&mut self) {
        let name = self.rng.below(MAX_NAMES).to_string();
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
            matches!(answer, ChangeOutcome::Done { running: ref expected_events, .. } if expected_events.len() == running),
            "{answer:?} {job:?}"
        );
        job.executions += i64::try_from(job.runs.len()).unwrap();
        for run in std::mem::take(&mut job.runs).into_keys() {
            job.steps.run_ended(run, job.recurring, Status::Cancelled, self.now);
        }
        (job.ended, job.next_at, job.paused) = (Some(Status::Cancelled), None, false);
        self.expect_event(EventKind::Cancelled, &name);
    }

    /// A change that is an event; the job is as it left it.
    fn expect_event(&mut self, kind: EventKind, name: &str) {
        let status = self.jobs[name].status();
        self.expected_events.push((kind, name.to_owned(), status));
    }

    async fn advance(&mut self) {
        for due in self.s.due_series(self.now).await {
            let job = self.jobs.get_mut(&due.id.to_string()).unwrap();
            assert_eq!(
                (Some(due.next_at), due.live),
                (job.next_at, i64::try_from(job.runs.len()).unwrap())
            );
            let stale = self.rng.below(5) == 0;
            let new = usize::try_from(self.rng.below(3)).unwrap();
            let next_at =
                (self.rng.below(4) > 0).then_some(self.now + 1 + i64::try_from(self.rng.below(2_000)).unwrap());
            let gap = OccurrenceGap {
                kind: GapKind::Skipped,
                first: due.next_at,
                last: due.next_at,
                count: 1,
            };
            let occurrences = vec![
                Occurrence {
                    scheduled_at: due.next_at,
                    missed: 0
                };
                new
            ];
            let version = due.version - i64::from(stale);
            let advance = SeriesAdvance {
                job: due.job,
                version,
                occurrences,
                gaps: vec![gap],
                next_at,
                after_live_runs: false,
            };
            let counted = self.s.store.advance(self.now, vec![advance]).await.unwrap();
            assert_eq!(counted, usize::from(!stale));
            if stale {
                continue;
            }
            for _ in 0..new {
                job.created_runs += 1;
                job.runs.insert(job.created_runs, (Run::Ready, 0));
            }
            job.next_at = next_at;
            if next_at.is_none() && job.runs.is_empty() {
                job.ended = Some(Status::Completed);
            }
        }
        self.fall_due();
    }

    async fn pass(&mut self) {
        self.now += self.rng.of(&[1, 10, 1_000, DAY / 2, 2 * DAY]);
        if self.processes.len() < 3 {
            self.processes.push(self.s.process().await);
        }
    }

    /// One process leaves in order or all but the last die.
    async fn crash_or_leave(&mut self) {
        if self.rng.below(3) > 0 {
            return;
        }
        // Most of what the dead held is never heard of again.
        let Self { claims, rng, .. } = self;
        claims.retain(|_| rng.below(4) == 0);
        if self.rng.below(2) == 0 {
            let process = self.processes.remove(0);
            self.s.store.unregister(process, self.now).await.unwrap();
            self.take_back(&[process], |_| false);
        } else {
            self.compare_events().await;
            self.s.pass(LEASE + 1);
            let dead = std::mem::take(&mut self.processes);
            let found = self.s.store.recover(self.now, MAX_CRASHES).await.unwrap();
            let (requeued, failed) = self.take_back(&dead, |crashes| {
                *crashes += 1;
                *crashes >= MAX_CRASHES
            });
            assert_eq!(
                (found.instances, found.requeued, found.failed),
                (dead.len(), requeued, failed)
            );
            // A recovery takes the runs of a job in an order of its own, on which the states between depend.
            let stored = self.take_events().await.into_iter();
            let mut stored: Vec<_> = stored.map(|(kind, name, _)| (kind, name)).collect();
            let mut expected_events: Vec<_> = self
                .expected_events
                .drain(..)
                .map(|(kind, name, _)| (kind, name))
                .collect();
            stored.sort();
            expected_events.sort();
            assert_eq!(stored, expected_events);
        }
        if self.processes.is_empty() {
            self.processes.push(self.s.process().await);
        }
    }

    fn take_back(&mut self, from: &[InstanceId], fails: impl Fn(&mut u32) -> bool) -> (usize, usize) {
        let (mut requeued, mut failed) = (0, 0);
        let mut expected_events = Vec::new();
        for (name, job) in &mut self.jobs {
            for number in job.runs.keys().copied().collect::<Vec<_>>() {
                let (position, crashes) = job.runs.get_mut(&number).unwrap();
                if !matches!(position, Run::Running(process, ..) if from.contains(process)) {
                    continue;
                }
                if fails(crashes) {
                    job.run_ended(number, Status::Failed, self.now);
                    expected_events.push((EventKind::Failed, name.clone(), job.status()));
                    failed += 1;
                } else {
                    job.return_run(number, Run::Ready);
                    requeued += 1;
                }
            }
        }
        self.expected_events.extend(expected_events);
        (requeued, failed)
    }

    async fn sweep(&mut self) {
        if self.rng.below(10) > 0 {
            return;
        }
        let all = RetentionLimit {
            age: None,
            count: Some(0),
        };
        let some = RetentionLimit {
            age: Some(DAY),
            count: Some(2),
        };
        let retention = Retention {
            completed: all,
            failed: all,
            cancelled: all,
            runs: some,
        };
        let ended = self.jobs.values().filter(|job| job.ended.is_some()).count();
        assert_eq!(self.s.store.sweep(retention, self.now, 1_000).await.unwrap(), ended);
        self.sweep_uniques();
        for job in self.jobs.values_mut() {
            job.steps.swept();
        }
        self.jobs.retain(|_, job| job.ended.is_none());
    }

    async fn compare(&mut self) {
        self.s.check().await;
        self.compare_events().await;
        let mut by_status = [0_i64; 7];
        for (name, job) in &self.jobs {
            let record = self.s.record(name).await;
            let seen = (record.status, record.next_run_at, record.execution_count);
            let next_at = job.next_at.filter(|_| !job.paused);
            assert_eq!(
                seen,
                (job.status(), next_at, job.executions),
                "{name} {job:?} {record:?}"
            );
            by_status[job.status() as usize] += 1;
            self.check_position(name, job).await;
        }
        assert_eq!(self.s.store.stats(None).await.unwrap().by_status, by_status);
    }
}

impl Walk<'_> {
    /// Each change has left one event, and nothing else has.
    async fn compare_events(&mut self) {
        let mut stored = self.take_events().await;
        let mut expected_events = std::mem::take(&mut self.expected_events);
        // A claim answers in another order than it works.
        stored.sort();
        expected_events.sort();
        assert_eq!(stored, expected_events);
    }

    async fn take_events(&mut self) -> Vec<(EventKind, String, Status)> {
        let stored = self.s.store.outbox(100_000).await.unwrap();
        let taken = stored.iter().map(|event| RelayedEvent {
            event: event.seq,
            deliveries: vec![],
        });
        let taken = self.s.store.relay(taken.collect(), self.now).await.unwrap();
        assert_eq!(taken, stored.len());
        self.events += taken;
        let events = stored.into_iter();
        events
            .map(|event| (event.kind, event.id.to_string(), event.status))
            .collect()
    }
}

fn number(run: &ClaimedRun) -> i64 {
    if run.recurring { run.run } else { 0 }
}

fn new_job(interval: Option<i64>, due: Option<Millis>, now: Millis, incarnation: usize) -> Job {
    let recurring = interval.is_some();
    let mut job = Job {
        recurring,
        interval: interval.unwrap_or_default(),
        runs: BTreeMap::new(),
        created_runs: 0,
        ended: None,
        next_at: None,
        executions: 0,
        paused: false,
        failed: false,
        incarnation,
        key: None,
        steps: Steps::default(),
    };
    if recurring {
        (job.next_at, job.ended) = (due, due.is_none().then_some(Status::Completed));
    } else {
        job.runs.insert(0, (first(due, now), 0));
    }
    job
}

fn first(due: Option<Millis>, now: Millis) -> Run {
    due.filter(|due| *due > now).map_or(Run::Ready, Run::Waiting)
}

fn replace_in_model(job: &mut Job, due: Option<Millis>, interval: i64, now: Millis) {
    if job.recurring && job.ended.is_none() && job.interval == interval {
        return;
    }
    job.ended = None;
    if job.recurring {
        (job.next_at, job.interval) = (due, interval);
        if due.is_none() && job.runs.is_empty() {
            (job.ended, job.paused) = (Some(Status::Completed), false);
        }
        return;
    }
    job.paused = false;
    job.steps = Steps::default();
    job.runs.clear();
    job.runs.insert(0, (first(due, now), 0));
}
