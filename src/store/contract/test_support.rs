//! Fixtures of the suite: a store under test, jobs to dispatch, and shorthands for the store's operations.
#![allow(missing_docs, clippy::missing_panics_doc)]

use crate::clock::Millis;
use crate::model::{
    JobId, JobOptions, Namespace, NewJob, OnConflict, Recurrence, Route, Rule, RunError, RunOutcome, Status,
};
use crate::store::{
    Change, ChangeOutcome, ClaimParams, Claimed, ClaimedRun, CompleteParams, Completed, Completion, ComputeMove,
    InsertParams, Inserted, InstanceId, JobRecord, JobSeq, ListFilter, Occurrence, RouteId, RouteMark, SeriesAdvance,
    SeriesMove, SeriesSnapshot, ServedRoute, Settled, Store, StoredRoute, Timing, begin_anew,
};
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The time at which every test starts.
pub const T0: Millis = 1_700_000_000_000;
pub const DAY: i64 = 86_400_000;
/// Lease of a test's processes, ms.
pub const LEASE: i64 = 10_000;

type Kill = Box<dyn Fn(InstanceId) + Send + Sync>;
type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A new store, its lease clock in ms, and a check of its invariants.
pub struct TestStore {
    pub store: Arc<dyn Store>,
    pub lease_clock: Arc<AtomicI64>,
    pub boot: Arc<std::sync::Mutex<String>>,
    pub check: Check,
    /// Ends a process as far as the store can tell, besides its lease.
    pub kill: Kill,
    /// Resources that must live as long as the store, such as a folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

pub fn route(name: &str) -> Route {
    Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "prd".into(),
        target: vec![name.into()],
    }
}

pub fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

/// A one-off on the route `a`, due at [`T0`].
pub fn one_off(text: &str) -> NewJob {
    NewJob {
        id: id(text),
        on_conflict: OnConflict::Return,
        route: route("a").into(),
        priority: 0,
        due: Some(T0),
        created: T0,
        retries: 0,
        options: JobOptions::default(),
        input: format!("{{\"id\":\"{text}\"}}").into(),
        input_digest: None,
        recurrence: None,
    }
}

pub fn every(interval: i64) -> Recurrence {
    Recurrence::new(Rule::Every { interval, anchor: T0 })
}

/// A series on the route `a`, next due at [`T0`].
pub fn series(text: &str) -> NewJob {
    NewJob {
        recurrence: Some(every(1_000)),
        on_conflict: OnConflict::Replace,
        ..one_off(text)
    }
}

pub fn replacing(job: NewJob) -> NewJob {
    NewJob {
        on_conflict: OnConflict::Replace,
        ..job
    }
}

pub fn failure() -> RunError {
    RunError::new("Error", "it broke", None)
}

pub fn done() -> RunOutcome {
    RunOutcome::Completed {
        result: Some("42".into()),
    }
}

pub fn failed() -> RunOutcome {
    RunOutcome::Failed { error: failure() }
}

pub fn retry(due: Millis) -> RunOutcome {
    RunOutcome::Retry { error: failure(), due }
}

impl TestStore {
    pub async fn check(&self) {
        (self.check)().await;
    }

    /// Advances the lease clock.
    pub fn pass(&self, ms: i64) {
        self.lease_clock.fetch_add(ms, Ordering::SeqCst);
    }

    pub async fn insert(&self, jobs: Vec<NewJob>) -> Vec<Inserted> {
        self.insert_at(jobs, T0).await
    }

    pub async fn insert_at(&self, jobs: Vec<NewJob>, now: Millis) -> Vec<Inserted> {
        self.store
            .insert(InsertParams {
                jobs,
                all_or_nothing: false,
                now,
                since: std::time::Instant::now(),
                replaced: keep_or_begin_anew,
            })
            .await
            .unwrap()
    }

    pub async fn add(&self, job: NewJob) -> Inserted {
        self.insert(vec![job]).await.remove(0)
    }

    /// A process that executes all that it claims.
    pub async fn process(&self) -> InstanceId {
        self.process_with(usize::MAX).await
    }

    /// A process that executes so many runs at once.
    pub async fn process_with(&self, slots: usize) -> InstanceId {
        self.store.register(LEASE, slots).await.unwrap()
    }

    /// A process dies, and the leases of all end.
    pub fn crash(&self, process: InstanceId) {
        (self.kill)(process);
        self.pass(LEASE + 1);
    }

    /// Claims a run that runs alone.
    pub async fn claim_suspect(&self, instance: InstanceId, now: Millis) -> Vec<ClaimedRun> {
        let params = ClaimParams {
            now,
            instance,
            served: self.served().await,
            group_slots: vec![1],
            slots: 1,
            suspect: true,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.claim(params).await.unwrap().runs
    }

    pub async fn served(&self) -> Arc<[ServedRoute]> {
        let served = |known: StoredRoute| ServedRoute {
            route: known.id,
            group: 0,
        };
        self.routes().await.into_iter().map(served).collect()
    }

    /// All routes, in the order in which they were added.
    pub async fn routes(&self) -> Vec<StoredRoute> {
        self.store.routes_after(RouteMark::new(0)).await.unwrap().routes
    }

    pub async fn route_id(&self, name: &str) -> RouteId {
        let routes = self.routes().await;
        routes.into_iter().find(|known| known.route == route(name)).unwrap().id
    }

    pub async fn claim_with(&self, instance: InstanceId, now: Millis, slots: usize) -> Claimed {
        let served = self.served().await;
        let params = ClaimParams {
            now,
            instance,
            served,
            group_slots: vec![slots],
            slots,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.claim(params).await.unwrap()
    }

    pub async fn claim(&self, instance: InstanceId, now: Millis) -> Vec<ClaimedRun> {
        self.claim_with(instance, now, 100).await.runs
    }

    pub async fn claim_one(&self, instance: InstanceId, now: Millis) -> ClaimedRun {
        let mut runs = self.claim(instance, now).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    pub async fn complete(
        &self,
        instance: InstanceId,
        run: &ClaimedRun,
        outcome: RunOutcome,
        now: Millis,
    ) -> Completed {
        let completion = Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            recurring: run.recurring,
            started_at: now - 1,
            ended_at: now,
            outcome,
        };
        let params = CompleteParams {
            now,
            instance,
            completions: vec![completion],
        };
        self.store.complete(params).await.unwrap().remove(0)
    }

    pub async fn change(&self, text: &str, change: Change, now: Millis) -> ChangeOutcome {
        self.store.change(&id(text), change, now).await.unwrap()
    }

    pub async fn record(&self, text: &str) -> JobRecord {
        self.store.get(&id(text)).await.unwrap().unwrap()
    }

    pub async fn status(&self, text: &str) -> Status {
        self.record(text).await.status
    }

    pub async fn due_series(&self, now: Millis) -> Vec<SeriesSnapshot> {
        let params = ClaimParams {
            now,
            instance: InstanceId::new(0),
            served: Arc::new([]),
            group_slots: vec![],
            slots: 0,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.claim(params).await.unwrap().series
    }

    /// Advances the one due series: its occurrence becomes a run, and the next is at `next_at`.
    pub async fn run_due_occurrence(&self, now: Millis, next_at: Option<Millis>) {
        let due = self.due_series(now).await.remove(0);
        let counted = self.store.advance(now, vec![step(&due, next_at)]).await.unwrap();
        assert_eq!(counted, 1);
    }

    pub async fn list(&self, filter: ListFilter) -> Vec<String> {
        let page = self.store.list(filter).await.unwrap();
        page.jobs.into_iter().map(|job| job.id.to_string()).collect()
    }
}

/// The advance that makes a due occurrence a run.
pub fn step(due: &SeriesSnapshot, next_at: Option<Millis>) -> SeriesAdvance {
    SeriesAdvance {
        occurrences: vec![Occurrence {
            scheduled_at: due.next_at.unwrap(),
            missed: 0,
        }],
        next_at,
        ..SeriesAdvance::unchanged(due)
    }
}

/// A series that gets the schedule it has keeps its place in it, and begins anew otherwise.
pub fn keep_or_begin_anew(series: &SeriesSnapshot, new: &Recurrence, first: Option<Millis>, now: Millis) -> SeriesMove {
    let known: Recurrence = serde_json::from_str(&series.recurrence).unwrap();
    if series.ended || !known.is_same_schedule(new) {
        return begin_anew(series, new, first, now);
    }
    SeriesMove {
        recurrence: Some(known),
        ..SeriesMove::of(SeriesAdvance::unchanged(series))
    }
}

pub fn pause() -> Change {
    Change::Pause(ComputeMove::nothing())
}

/// Resumes a job; a series that has an occurrence to come continues at `next`.
pub fn resume(next: Option<Millis>) -> Change {
    Change::Resume(ComputeMove::new(move |series| {
        Some(SeriesMove::of(SeriesAdvance {
            next_at: series.next_at.and(next),
            ..SeriesAdvance::unchanged(series)
        }))
    }))
}

/// Gives a series another schedule.
pub fn by(recurrence: Recurrence, due: Option<Millis>) -> Change {
    Change::Reschedule(Timing {
        due,
        series: Some(ComputeMove::new(move |series| {
            Some(begin_anew(series, &recurrence, due, 0))
        })),
    })
}

/// A series that is not stored, to ask what a change would make of it.
pub fn some_series(next_at: Option<Millis>) -> SeriesSnapshot {
    SeriesSnapshot {
        job: JobSeq::MIN,
        id: id("some"),
        version: 0,
        recurrence: "".into(),
        next_at,
        runs: 0,
        live: 0,
        claimed_by_others: false,
        busy: Vec::new(),
        settled: Settled::default(),
        ended: false,
        accounted_to: None,
    }
}
