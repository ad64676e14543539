//! Finished steps of a run, and which later attempts get them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::error::{ErrorCode, Result};
use crate::model::{NewJob, RunOutcome, Status};
use crate::store::{
    Change, ChangeOutcome, ClaimRef, ClaimedRun, InstanceId, MAX_STEP_RESULT_BYTES, MAX_STEP_TAG_BYTES,
    MAX_STEPS_PER_RUN, RecoverParams, Retention, RetentionLimit, Step,
};

fn step_of(tag: &str, result: Option<&str>) -> Step {
    Step {
        tag: tag.into(),
        result: result.map(Into::into),
    }
}

impl TestStore {
    pub async fn finish_step(&self, process: InstanceId, run: &ClaimedRun, tag: &str) -> Result<()> {
        let holder = ClaimRef::of(process, run);
        self.store.record_step(holder, step_of(tag, Some("1"))).await
    }

    async fn forget(&self, process: InstanceId, run: &ClaimedRun, tags: &[&str]) -> Result<()> {
        let tags = tags.iter().map(|tag| Box::from(*tag)).collect();
        self.store.forget_steps(ClaimRef::of(process, run), tags).await
    }

    pub async fn finished(&self, run: &ClaimedRun) -> Vec<String> {
        let steps = self.store.steps(run.job, run.run).await.unwrap();
        steps.into_iter().map(|step| step.tag.into()).collect()
    }
}

fn is_lost(outcome: Result<()>) -> bool {
    outcome.is_err_and(|error| error.code == ErrorCode::LeaseLost)
}

pub async fn steps_come_in_the_order_in_which_they_were_finished(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.store.steps(run.job, run.run).await.unwrap(), vec![]);
    let steps = [
        step_of("z", Some("{\"b\":1,\"a\":12345678901234567890}")),
        step_of("a", None),
        step_of("Ä/ü", Some("null")),
    ];
    for step in &steps {
        s.store
            .record_step(ClaimRef::of(process, &run), step.clone())
            .await
            .unwrap();
    }
    assert_eq!(s.store.steps(run.job, run.run).await.unwrap(), steps);
    assert_eq!(s.store.steps(run.job, run.run + 1).await.unwrap(), vec![]);
}

pub async fn recording_a_step_again_keeps_the_first_result(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    for result in [Some("1"), Some("2"), None] {
        let step = step_of("a", result);
        s.store.record_step(ClaimRef::of(process, &run), step).await.unwrap();
    }
    assert_eq!(
        s.store.steps(run.job, run.run).await.unwrap(),
        vec![step_of("a", Some("1"))]
    );
}

pub async fn steps_are_available_to_later_attempts(s: &TestStore) {
    s.add(NewJob {
        retries: 1,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    let again = [
        RunOutcome::Snoozed { due: T0 },
        RunOutcome::Released,
        retry(T0),
        RunOutcome::Snoozed { due: T0 },
    ];
    let mut known = Vec::new();
    for (n, outcome) in again.into_iter().enumerate() {
        let run = s.claim_one(process, T0).await;
        assert_eq!(s.finished(&run).await, known);
        known.push(n.to_string());
        s.finish_step(process, &run, &n.to_string()).await.unwrap();
        s.complete(process, &run, outcome, T0).await;
        s.check().await;
    }
    s.change("x", pause(), T0).await;
    s.change("x", resume(Some(T0)), T0).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.finished(&run).await, known);
}

pub async fn steps_survive_the_death_of_their_process(s: &TestStore) {
    s.add(one_off("x")).await;
    let dead = s.process().await;
    let lost = s.claim_one(dead, T0).await;
    s.finish_step(dead, &lost, "a").await.unwrap();
    s.crash(dead);
    s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    assert!(is_lost(s.finish_step(dead, &lost, "b").await));
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.finished(&run).await, ["a"]);
    // The dead process may not record steps either, now that another has claimed the run.
    assert!(is_lost(s.finish_step(dead, &lost, "b").await));
    s.finish_step(process, &run, "b").await.unwrap();
    s.store.unregister(process, T0).await.unwrap();
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.finished(&run).await, ["a", "b"]);
}

pub async fn step_requires_a_valid_claim(s: &TestStore) {
    s.add(one_off("x")).await;
    let (process, other) = (s.process().await, s.process().await);
    let run = s.claim_one(process, T0).await;
    let mut forged = run.clone();
    forged.token = forged.token.plus(1);
    assert!(is_lost(s.finish_step(process, &forged, "a").await));
    assert!(is_lost(s.finish_step(other, &run, "a").await));
    assert!(is_lost(s.forget(other, &run, &["a"]).await));
    s.finish_step(process, &run, "a").await.unwrap();
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    assert!(is_lost(s.finish_step(process, &run, "b").await));
    assert!(is_lost(s.forget(process, &run, &["a"]).await));
    assert_eq!(s.finished(&run).await, ["a"]);
}

pub async fn steps_of_a_run_are_bounded(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    let refused = |outcome: Result<()>, about: &str| {
        let error = outcome.unwrap_err();
        assert_eq!(error.code, ErrorCode::ValidationError);
        assert!(error.message.contains(about), "{error}");
    };
    let holder = ClaimRef::of(process, &run);
    let large = "1".repeat(MAX_STEP_RESULT_BYTES);
    s.store
        .record_step(holder, step_of("large", Some(&large)))
        .await
        .unwrap();
    let larger = format!("{large}1");
    refused(
        s.store.record_step(holder, step_of("larger", Some(&larger))).await,
        "larger",
    );
    let tag = "t".repeat(MAX_STEP_TAG_BYTES);
    s.store.record_step(holder, step_of(&tag, None)).await.unwrap();
    refused(
        s.store.record_step(holder, step_of(&format!("{tag}t"), None)).await,
        "tag",
    );
    refused(s.store.record_step(holder, step_of("", None)).await, "tag");
    for n in 2..MAX_STEPS_PER_RUN {
        s.finish_step(process, &run, &n.to_string()).await.unwrap();
    }
    refused(s.finish_step(process, &run, "one too many").await, "at most 1000");
    // Steps that are recorded may be sent again, and what the package remembers does not count.
    s.finish_step(process, &run, "2").await.unwrap();
    s.finish_step(process, &run, "ductape:undoing").await.unwrap();
    refused(s.finish_step(process, &run, "one too many").await, "at most 1000");
    assert_eq!(s.finished(&run).await.len(), MAX_STEPS_PER_RUN + 1);
    s.forget(process, &run, &["2"]).await.unwrap();
    s.finish_step(process, &run, "in its place").await.unwrap();
}

pub async fn completed_run_deletes_its_steps(s: &TestStore) {
    s.insert(vec![one_off("x"), one_off("y")]).await;
    s.add(series("s")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    assert_eq!(runs.len(), 3);
    for run in &runs {
        s.finish_step(process, run, "a").await.unwrap();
    }
    for run in &runs {
        let outcome = if run.id == id("y") {
            RunOutcome::Discarded
        } else {
            done()
        };
        s.complete(process, run, outcome, T0).await;
        assert_eq!(s.finished(run).await, Vec::<String>::new());
        assert!(is_lost(s.finish_step(process, run, "b").await));
    }
}

pub async fn retried_failed_run_has_its_steps(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.finish_step(process, &run, "a").await.unwrap();
    s.complete(process, &run, failed(), T0).await;
    s.check().await;
    s.change("x", Change::Retry { due: T0 }, T0).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!((run.run, run.attempt), (2, 1));
    assert_eq!(s.finished(&run).await, ["a", "ductape:run:1"]);
    s.finish_step(process, &run, "b").await.unwrap();
    s.store.cancel(&id("x"), None, T0).await.unwrap();
    s.change("x", Change::Retry { due: T0 }, T0).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.finished(&run).await, ["a", "ductape:run:1", "b", "ductape:run:2"]);
    s.complete(process, &run, done(), T0).await;
    assert_eq!(s.finished(&run).await, Vec::<String>::new());
}

pub async fn a_series_runs_its_last_failed_run_again_with_its_steps(s: &TestStore) {
    s.add(series("s")).await;
    let process = s.process().await;
    let mut first = None;
    for n in 0..3 {
        let at = T0 + n * 1_000;
        s.run_due_occurrence(at, Some(at + 1_000)).await;
        let run = s.claim_one(process, at).await;
        s.finish_step(process, &run, &n.to_string()).await.unwrap();
        let outcome = if n == 2 { done() } else { failed() };
        s.complete(process, &run, outcome, at).await;
        s.check().await;
        first.get_or_insert(run);
    }
    // The second run failed last, so the steps of the first are not needed any more.
    assert_eq!(s.finished(&first.unwrap()).await, Vec::<String>::new());
    s.change("s", Change::Retry { due: T0 + 2_500 }, T0 + 2_500).await;
    let run = s.claim_one(process, T0 + 2_500).await;
    assert_eq!((run.run, run.scheduled_at), (4, T0 + 1_000));
    assert_eq!(s.finished(&run).await, ["1", "ductape:run:2"]);
    s.change("s", Change::CancelRun { reason: None }, T0 + 2_600).await;
    assert_eq!(s.finished(&run).await, Vec::<String>::new());
}

pub async fn runs_of_a_series_have_steps_of_their_own(s: &TestStore) {
    s.add(series("s")).await;
    let process = s.process().await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let one = s.claim_one(process, T0).await;
    s.run_due_occurrence(T0 + 1_000, Some(T0 + 2_000)).await;
    let two = s.claim_one(process, T0 + 1_000).await;
    s.finish_step(process, &one, "a").await.unwrap();
    s.finish_step(process, &two, "b").await.unwrap();
    s.complete(process, &one, failed(), T0 + 1_000).await;
    // A live run keeps its steps, however others end.
    assert_eq!(s.finished(&two).await, ["b"]);
    s.check().await;
    s.store.cancel(&id("s"), None, T0 + 1_000).await.unwrap();
    assert_eq!(s.finished(&two).await, Vec::<String>::new());
}

pub async fn retried_run_without_steps_knows_its_earlier_number(s: &TestStore) {
    s.add(one_off("x")).await;
    s.add(series("s")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    for run in s.claim(process, T0).await {
        s.complete(process, &run, failed(), T0).await;
    }
    for name in ["x", "s"] {
        s.change(name, Change::Retry { due: T0 }, T0).await;
    }
    s.check().await;
    for run in s.claim(process, T0).await {
        assert_eq!((run.run, s.finished(&run).await), (2, vec!["ductape:run:1".to_owned()]));
        s.complete(process, &run, done(), T0).await;
        assert_eq!(s.finished(&run).await, Vec::<String>::new());
    }
    // The next run of a one-off that is replaced is a first one.
    s.add(replacing(one_off("x"))).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!((run.run, s.finished(&run).await), (3, vec![]));
}

pub async fn undone_steps_are_deleted(s: &TestStore) {
    s.insert(vec![one_off("x"), one_off("y")]).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    for run in &runs {
        for tag in ["a", "b", "c"] {
            s.finish_step(process, run, tag).await.unwrap();
        }
    }
    s.forget(process, &runs[0], &["c", "never was", "a"]).await.unwrap();
    assert_eq!(s.finished(&runs[0]).await, ["b"]);
    assert_eq!(s.finished(&runs[1]).await, ["a", "b", "c"]);
    s.finish_step(process, &runs[0], "a").await.unwrap();
    assert_eq!(s.finished(&runs[0]).await, ["b", "a"]);
}

pub async fn a_replaced_one_off_begins_without_steps(s: &TestStore) {
    s.add(NewJob {
        retries: 1,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    for outcome in [RunOutcome::Released, retry(T0 + 9), failed()] {
        let run = s.claim_one(process, T0).await;
        assert_eq!(s.finished(&run).await, Vec::<String>::new());
        s.finish_step(process, &run, "a").await.unwrap();
        s.complete(process, &run, outcome, T0).await;
        s.add(replacing(one_off("x"))).await;
        s.check().await;
    }
    let run = s.claim_one(process, T0).await;
    assert_eq!(s.finished(&run).await, Vec::<String>::new());
}

pub async fn a_replaced_series_keeps_the_steps_of_its_live_runs(s: &TestStore) {
    s.add(series("s")).await;
    let process = s.process().await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0).await;
    s.finish_step(process, &run, "a").await.unwrap();
    s.complete(process, &run, retry(T0 + 5), T0).await;
    s.add(NewJob {
        input: "{\"other\":true}".into(),
        ..series("s")
    })
    .await;
    let run = s.claim_one(process, T0 + 5).await;
    assert_eq!((run.attempt, s.finished(&run).await), (2, vec!["a".to_owned()]));
}

pub async fn a_failed_run_keeps_its_steps_as_long_as_one_of_its_attempts_is_kept(s: &TestStore) {
    s.add(series("s")).await;
    let process = s.process().await;
    s.run_due_occurrence(T0, Some(T0 + 9 * DAY)).await;
    let run = s.claim_one(process, T0).await;
    s.finish_step(process, &run, "a").await.unwrap();
    s.complete(process, &run, retry(T0 + 2 * DAY), T0).await;
    let run = s.claim_one(process, T0 + 2 * DAY).await;
    s.complete(process, &run, failed(), T0 + 2 * DAY).await;
    let runs = RetentionLimit {
        age: Some(DAY),
        count: None,
    };
    let forever = RetentionLimit { age: None, count: None };
    let retention = Retention {
        completed: forever,
        failed: forever,
        cancelled: forever,
        runs,
    };
    s.store.sweep(retention, T0 + 2 * DAY, 100).await.unwrap();
    s.check().await;
    let kept = s.store.history(&id("s"), 10).await.unwrap().unwrap();
    assert_eq!(kept.entries.len(), 1);
    assert_eq!(s.finished(&run).await, ["a"]);
    s.store.sweep(retention, T0 + 4 * DAY, 100).await.unwrap();
    assert_eq!(s.finished(&run).await, Vec::<String>::new());
}

pub async fn deleted_job_deletes_its_steps(s: &TestStore) {
    s.insert(vec![one_off("deleted"), one_off("swept")]).await;
    s.add(series("s")).await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    for run in &runs {
        s.finish_step(process, run, "a").await.unwrap();
        s.complete(process, run, failed(), T0).await;
    }
    assert_eq!(
        s.change("deleted", Change::Delete, T0).await,
        ChangeOutcome::done(runs[0].job)
    );
    assert_eq!(s.status("s").await, Status::Scheduled);
    let none = RetentionLimit {
        age: None,
        count: Some(0),
    };
    let retention = Retention {
        completed: none,
        failed: none,
        cancelled: none,
        runs: none,
    };
    assert_eq!(s.store.sweep(retention, T0 + 1, 100).await.unwrap(), 1);
    for run in &runs {
        // Of the series, only the history of the run is deleted.
        assert_eq!(s.finished(run).await, Vec::<String>::new(), "{run:?}");
    }
}
