//! How the last run of a series went, and since when its runs fail.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{RunOutcome, RunStatus, Status};
use crate::store::{Change, ListFilter};

pub async fn failures_in_a_row_are_shown_and_found(s: &TestStore) {
    s.add(series("well")).await;
    s.add(one_off("once")).await;
    let process = s.process().await;
    let mut now = T0;
    // The first series is not due any more by the time the second is there.
    s.run_due_occurrence(now, None).await;
    for run in s.claim(process, now).await {
        s.complete(process, &run, if run.recurring { done() } else { failed() }, now)
            .await;
    }
    s.add(series("x")).await;
    let by = |last_run, failing| ListFilter {
        last_run,
        failing,
        limit: 9,
        count_up_to: Some(9),
        ..ListFilter::default()
    };
    let record = s.record("x").await;
    assert_eq!((record.last_run, record.failing), (None, None));
    let mut end = async |outcome: RunOutcome| {
        now += 1_000;
        s.run_due_occurrence(now, Some(now + 1_000)).await;
        let run = s.claim_one(process, now).await;
        s.complete(process, &run, outcome, now + 5).await;
        let record = s.record("x").await;
        let failing = record.failing.map(|failing| (failing.since - T0, failing.runs));
        let last = record.last_run.unwrap();
        assert_eq!(last.ended_at, now + 5);
        (last.status, last.error.map(|error| error.message), failing)
    };
    let broke = || Some("it broke".into());
    assert_eq!(end(done()).await, (RunStatus::Completed, None, None));
    assert_eq!(end(failed()).await, (RunStatus::Failed, broke(), Some((2_005, 1))));
    assert_eq!(end(failed()).await, (RunStatus::Failed, broke(), Some((2_005, 2))));
    for filter in [by(Some(RunStatus::Failed), None), by(None, Some(true))] {
        assert_eq!(s.list(filter.clone()).await, ["x"]);
        assert_eq!(s.store.list(filter).await.unwrap().total, Some(1));
    }
    for filter in [by(Some(RunStatus::Completed), None), by(None, Some(false))] {
        assert_eq!(s.list(filter).await, ["well"]);
    }
    for status in [Status::Scheduled, Status::Completed] {
        let filter = ListFilter {
            statuses: vec![status],
            ..by(Some(RunStatus::Failed), None)
        };
        let found = s.list(filter.clone()).await;
        assert_eq!(found.len(), usize::from(status == Status::Scheduled), "{status:?}");
        assert_eq!(s.store.list(filter).await.unwrap().total, Some(found.len()));
    }
    let elsewhere = ListFilter {
        routes: Some(vec![]),
        ..by(None, Some(true))
    };
    assert_eq!(s.list(elsewhere).await, Vec::<String>::new());
    // What was cancelled says nothing of how the others go.
    s.run_due_occurrence(T0 + 4_000, Some(T0 + 5_000)).await;
    let reason = Some("enough".into());
    s.change("x", Change::CancelRun { reason }, T0 + 4_007).await;
    let record = s.record("x").await;
    let last = record.last_run.unwrap();
    assert_eq!((last.status, last.ended_at), (RunStatus::Cancelled, T0 + 4_007));
    assert_eq!(&*last.error.unwrap().message, "enough");
    assert_eq!(record.failing.map(|failing| failing.runs), Some(2));
    assert_eq!(s.list(by(Some(RunStatus::Failed), None)).await, Vec::<String>::new());
    assert_eq!(s.list(by(Some(RunStatus::Cancelled), Some(true))).await, ["x"]);
    // The last run that failed is run again, in place of the one that is over.
    let found = s.store.matching_jobs(by(None, Some(true))).await.unwrap();
    let retry = Change::Retry { due: T0 + 4_500 };
    let retried = s.store.change_many(found, vec![], retry, T0 + 4_500).await.unwrap();
    assert_eq!(retried.ids, [id("x")]);
    let run = s.claim_one(process, T0 + 4_500).await;
    s.complete(process, &run, done(), T0 + 4_505).await;
    let record = s.record("x").await;
    assert_eq!(record.failing, None);
    assert_eq!(record.last_run.unwrap().status, RunStatus::Completed);
    assert_eq!(s.list(by(None, Some(true))).await, Vec::<String>::new());
    s.check().await;
}
