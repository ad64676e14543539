//! Sets up the cases of the table on a store, and compares what its tables then hold.

use super::{COMPLETED, CompletionCase, ENDED, JobCase, NOW, STARTED, completions, insertions};
use crate::clock::Millis;
use crate::model::{EventMask, JobId, NewJob, WebhookSecret};
use crate::store::contract::TestStore;
use crate::store::contract::test_support::{every, one_off, route, step};
use crate::store::rules::series::SeriesState;
use crate::store::{
    Change, ClaimParams, ClaimRef, ClaimedRun, CompleteParams, Completed, Completion, ComputeMove, InstanceId, JobSeq,
    NewWebhook, RecoverParams, RouteId, ServedRoute, Step,
};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A lease that no test outlives, and one that ends at once, ms.
const LONG_LEASE: i64 = 1 << 40;
const SHORT_LEASE: i64 = 1;
/// Numbers of the [`EventKind`](crate::model::EventKind)s that a case is about.
const DISPATCH_EVENTS: &str = "0";
const END_EVENTS: &str = "2, 3";

/// SQL beside the store. Tables are written `ductape.runs`, which each database changes to what it calls them.
#[async_trait]
pub(in crate::store) trait Probe: Send + Sync {
    /// Executes statements.
    async fn execute(&self, sql: &str);
    /// Rows of one column of text.
    async fn lines(&self, sql: &str) -> Vec<String>;
}

struct Table<'a> {
    store: &'a TestStore,
    probe: &'a dyn Probe,
    instance: InstanceId,
}

/// Runs every row of [`completions`].
pub(in crate::store) async fn check_completions(store: &TestStore, probe: &dyn Probe) {
    let table = Table::new(store, probe).await;
    for (number, case) in completions().into_iter().enumerate() {
        table.check_completion(&format!("case{number}"), case).await;
    }
    // Run 0, which never was, leaves steps behind that only a run that fails takes away.
    probe.execute("DELETE FROM ductape.steps WHERE run = 0").await;
    store.check().await;
}

/// Runs every row of [`insertions`].
pub(in crate::store) async fn check_insertions(store: &TestStore, probe: &dyn Probe) {
    let table = Table::new(store, probe).await;
    let none = BTreeMap::new();
    let mut inserted = Vec::new();
    for (number, case) in (1_u128..).zip(insertions()) {
        let name = format!("case{number}");
        let id = match case.named {
            true => JobId::parse(&name).unwrap(),
            false => JobId::Generated(uuid::Uuid::from_u128(number)),
        };
        let job = NewJob {
            id,
            due: Some(case.due),
            route: route(&name).into(),
            ..one_off("a")
        };
        store.insert_at(vec![job], NOW).await;
        let route = store.route_id(&name).await;
        assert_eq!(
            table.observe(route, &none, DISPATCH_EVENTS).await,
            case.expected(),
            "{case:?}"
        );
        inserted.push((route, case));
    }
    for (route, case) in inserted {
        table.promote(case.due.max(NOW)).await;
        let observed = table.observe(route, &none, DISPATCH_EVENTS).await;
        assert_eq!(observed, case.expected_when_due(), "{case:?} when it is due");
    }
    store.check().await;
}

impl<'a> Table<'a> {
    async fn new(store: &'a TestStore, probe: &'a dyn Probe) -> Self {
        let webhook = NewWebhook {
            id: "hook".into(),
            url: "https://example.com/hook".into(),
            events: EventMask(u32::MAX >> 16),
            secret: WebhookSecret::parse(&"k".repeat(32)).unwrap(),
        };
        store.store.set_webhook(webhook, 10, NOW).await.unwrap();
        let instance = store.store.register(LONG_LEASE, 10).await.unwrap();
        Self { store, probe, instance }
    }

    async fn check_completion(&self, name: &str, case: CompletionCase) {
        let reported = case.reported();
        let instance = match reported {
            Some(_) => self.instance,
            None => self.store.store.register(SHORT_LEASE, 10).await.unwrap(),
        };
        let (route, run) = self.set_up(name, case, instance).await;
        let before = self.counters(route).await;
        let answer = match reported {
            Some(outcome) => self.complete(&run, outcome).await,
            None => {
                // Not known when it was last seen: it ends now.
                let unseen = format!("UPDATE ductape.instances SET seen = NULL WHERE id = {instance}");
                self.probe.execute(&unseen).await;
                (self.store.kill)(instance);
                self.store.pass(SHORT_LEASE + 1);
                let recovered = self
                    .store
                    .store
                    .recover(RecoverParams::new(COMPLETED, case.max_crashes()))
                    .await
                    .unwrap();
                assert_eq!(recovered.requeued + recovered.failed, 1, "{case:?}");
                None
            }
        };
        let (expected, state) = case.expected();
        assert_eq!(self.observe(route, &before, END_EVENTS).await, expected, "{case:?}");
        if let Some(answer) = answer {
            assert_eq!(answer, Completed::Accepted(state), "{case:?}");
        }
        let jobs = format!("SELECT CAST(seq AS text) FROM ductape.jobs WHERE route = {route}");
        for job in self.probe.lines(&jobs).await {
            let number = JobSeq::new(job.parse().unwrap());
            let all = vec![number];
            let (statuses, change) = (Vec::new(), Change::Cancel { reason: None });
            self.store
                .store
                .change_many(all, statuses, change, COMPLETED)
                .await
                .unwrap();
        }
    }

    /// A claimed run as the case has it, with a step of its own and, of a series, one of an earlier run.
    async fn set_up(&self, name: &str, case: CompletionCase, instance: InstanceId) -> (RouteId, ClaimedRun) {
        let recurring = case.job != JobCase::OneOff;
        let job = NewJob {
            recurrence: recurring.then(|| every(1_000)),
            route: route(name).into(),
            ..one_off(name)
        };
        self.store.insert_at(vec![job], NOW).await;
        if recurring {
            let SeriesState { next_at, .. } = case.series();
            let due = self.store.due_series(NOW).await.remove(0);
            let advances = vec![step(&due, next_at)];
            assert_eq!(self.store.store.advance(NOW, advances).await.unwrap(), 1);
        }
        let route = self.store.route_id(name).await;
        let run = self.claim(route, instance, NOW).await;
        if case.job == JobCase::PausedSeries {
            self.store
                .change(name, Change::Pause(ComputeMove::nothing()), NOW)
                .await;
        }
        let tag = Step {
            tag: "one".into(),
            result: None,
        };
        self.store
            .store
            .record_step(ClaimRef::of(instance, &run), tag)
            .await
            .unwrap();
        let (job, attempt, crashes) = (run.job, case.attempt, case.crashes);
        self.probe
            .execute(&format!(
                "UPDATE ductape.running SET attempt = {attempt}, crashes = {crashes} WHERE job = {job}"
            ))
            .await;
        if recurring {
            self.probe
                .execute(&format!(
                    "INSERT INTO ductape.steps (job, run, tag) VALUES ({job}, 0, 'earlier')"
                ))
                .await;
        }
        if case.snoozed {
            self.probe
                .execute(&format!(
                    "INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due) \
                     VALUES ({job}, 1, {attempt}, 8, {STARTED}, {STARTED}, {NOW})"
                ))
                .await;
        }
        (route, run)
    }

    async fn claim(&self, route: RouteId, instance: InstanceId, now: Millis) -> ClaimedRun {
        let params = ClaimParams {
            now,
            instance,
            served: vec![ServedRoute { route, group: 0 }].into(),
            group_slots: vec![1],
            slots: 1,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        self.store.store.claim(params).await.unwrap().runs.remove(0)
    }

    async fn promote(&self, now: Millis) {
        let params = ClaimParams {
            now,
            instance: self.instance,
            served: vec![].into(),
            group_slots: vec![],
            slots: 0,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        while self.store.store.claim(params.clone()).await.unwrap().more {}
    }

    async fn complete(&self, run: &ClaimedRun, outcome: crate::model::RunOutcome) -> Option<Completed> {
        let completion = Completion {
            job: run.job,
            run: run.run,
            token: run.token,
            recurring: run.recurring,
            started_at: STARTED,
            ended_at: ENDED,
            outcome,
        };
        let params = CompleteParams {
            now: COMPLETED,
            instance: self.instance,
            completions: vec![completion],
        };
        self.store.store.complete(params).await.unwrap().pop()
    }

    async fn counters(&self, route: RouteId) -> BTreeMap<i64, i64> {
        let sql = format!(
            "SELECT CAST(kind AS text) || ' ' || CAST(sum(n) AS text) FROM ductape.counters WHERE route = {route} GROUP BY kind"
        );
        let lines = self.probe.lines(&sql).await;
        let read = |line: &String| {
            let (kind, n) = line.split_once(' ').unwrap();
            (kind.parse().unwrap(), n.parse().unwrap())
        };
        lines.iter().map(read).collect()
    }

    /// What the tables hold of the job on this route, and by how much its counters have changed.
    async fn observe(&self, route: RouteId, before: &BTreeMap<i64, i64>, events: &str) -> Vec<String> {
        let mut lines = self.probe.lines(&job_sql(route, events)).await;
        for (kind, n) in self.counters(route).await {
            let changed = n - before.get(&kind).unwrap_or(&0);
            if changed != 0 {
                lines.push(format!("counter {kind} {changed}"));
            }
        }
        lines.sort();
        lines
    }
}

/// A line for each row of the job on a route.
fn job_sql(route: RouteId, events: &str) -> String {
    let text = |column: &str| format!("coalesce(CAST({column} AS text), '-')");
    let line = |name: &str, columns: &[&str]| {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!(" || ' ' || {}", text(column)))
            .collect();
        format!("SELECT '{name}'{}", columns.concat())
    };
    let of_job = format!("job IN (SELECT seq FROM ductape.jobs WHERE route = {route})");
    let flag = |column: &str| format!("CASE WHEN {column} THEN 1 ELSE 0 END");
    let (recurring, paused) = (flag("recurring"), flag("paused"));
    let waiting = ["due", "attempt", "crashes"];
    [
        format!("{} FROM ductape.jobs WHERE route = {route}", line("job", &[&recurring])),
        format!(
            "{} FROM ductape.runs WHERE {of_job}",
            line(
                "history",
                &["attempt", "status", "started", "ended", "next_due", "error", "result"]
            )
        ),
        format!("{} FROM ductape.ready WHERE {of_job}", line("ready", &waiting)),
        format!("{} FROM ductape.scheduled WHERE {of_job}", line("scheduled", &waiting)),
        format!("{} FROM ductape.paused WHERE {of_job}", line("paused", &waiting)),
        format!("{} FROM ductape.far WHERE {of_job}", line("far", &["day"])),
        format!("{} FROM ductape.running WHERE {of_job}", line("running", &waiting)),
        format!(
            "{} FROM ductape.ended WHERE {of_job}",
            line("ended", &["status", "ended"])
        ),
        format!("{} FROM ductape.steps WHERE {of_job}", line("step", &["run"])),
        format!(
            "{} FROM ductape.series WHERE {of_job}",
            line(
                "series",
                &[
                    "state",
                    "ended",
                    "succeeded",
                    "failed",
                    "live_queued",
                    "live_running",
                    "live_waiting",
                    &paused,
                    "next_at",
                    "failed_at",
                ]
            )
        ),
        format!(
            "{} FROM ductape.outbox WHERE route = {route} AND kind IN ({events})",
            line("event", &["kind", "status"])
        ),
    ]
    .join(" UNION ALL ")
}
