//! Processes: leases, crashes, and orderly shutdowns.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::error::ErrorCode;
use crate::model::{NewJob, RunStatus, Status};
use crate::store::{Completed, InsertParams, ListFilter, RecoverParams, Recovered, Retention};

pub async fn a_crashed_run_is_reclaimed_after_its_lease(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    assert_eq!(
        s.store.recover(RecoverParams::new(T0, 10)).await.unwrap(),
        Recovered::default()
    );
    s.pass(LEASE + 1);
    let found = s.store.recover(RecoverParams::new(T0 + 5, 10)).await.unwrap();
    assert_eq!(
        found,
        Recovered {
            instances: 1,
            requeued: 1,
            failed: 0
        }
    );
    let other = s.process().await;
    let again = s.claim_one(other, T0 + 6).await;
    assert_eq!((again.run, again.attempt, again.crashes, again.due), (1, 2, 1, T0));
    assert_eq!(s.complete(process, &run, done(), T0 + 7).await, Completed::LeaseLost);
    assert!(!s.store.renew(process, LEASE).await.unwrap());
    assert_eq!(
        s.complete(other, &again, done(), T0 + 8).await,
        Completed::Accepted(Status::Completed)
    );
    let entries = s.store.history(&id("x"), 9).await.unwrap().unwrap().entries;
    assert_eq!(
        entries.iter().map(|entry| entry.status).collect::<Vec<_>>(),
        [RunStatus::Completed, RunStatus::Crashed]
    );
}

pub async fn a_renewed_lease_protects_its_runs(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    for _ in 0..5 {
        s.pass(LEASE - 1);
        assert!(s.store.renew(process, LEASE).await.unwrap());
        assert_eq!(
            s.store.recover(RecoverParams::new(T0, 10)).await.unwrap(),
            Recovered::default()
        );
    }
    assert_eq!(
        s.complete(process, &run, done(), T0).await,
        Completed::Accepted(Status::Completed)
    );
}

pub async fn a_lease_of_another_boot_is_dead(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    s.claim_one(process, T0).await;
    *s.boot.lock().unwrap() = "another".into();
    assert!(!s.store.renew(process, LEASE).await.unwrap());
    assert_eq!(s.store.recover(RecoverParams::new(T0, 10)).await.unwrap().requeued, 1);
}

pub async fn a_run_that_crashes_too_often_fails(s: &TestStore) {
    s.add(one_off("x")).await;
    for crash in 1..=3 {
        let process = s.process().await;
        assert_eq!(s.claim_one(process, T0).await.attempt, crash);
        s.pass(LEASE + 1);
        let found = s.store.recover(RecoverParams::new(T0 + 1, 3)).await.unwrap();
        assert_eq!((found.requeued, found.failed), if crash < 3 { (1, 0) } else { (0, 1) });
    }
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.error.map(|error| error.code)),
        (Status::Failed, Some("CRASHED".into()))
    );
}

pub async fn a_crash_spends_no_retry(s: &TestStore) {
    s.add(NewJob {
        retries: 1,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    s.claim_one(process, T0).await;
    s.pass(LEASE + 1);
    s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    let other = s.process().await;
    let run = s.claim_one(other, T0).await;
    assert_eq!((run.attempt, run.crashes), (2, 1));
    s.complete(other, &run, retry(T0 + 1), T0).await;
    let run = s.claim_one(other, T0 + 1).await;
    assert_eq!((run.attempt, run.crashes), (3, 1));
    s.complete(other, &run, done(), T0 + 2).await;
    assert_eq!(s.store.stats(None).await.unwrap().retries, 1);
}

pub async fn a_process_that_ends_hands_back_its_runs(s: &TestStore) {
    s.insert(vec![one_off("x"), series("y")]).await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    let process = s.process().await;
    assert_eq!(s.claim(process, T0).await.len(), 2);
    s.store.unregister(process, T0).await.unwrap();
    assert!(s.store.claims_of(process).await.unwrap().is_empty());
    let other = s.process().await;
    let runs = s.claim(other, T0).await;
    assert!(runs.len() == 2 && runs.iter().all(|run| run.attempt == 1 && run.crashes == 0));
    assert!(!s.store.renew(process, LEASE).await.unwrap());
}

pub async fn instance_ids_are_never_reused(s: &TestStore) {
    let first = s.process().await;
    s.store.unregister(first, T0).await.unwrap();
    assert!(s.process().await > first);
}

pub async fn claims_of_an_instance_are_listed(s: &TestStore) {
    s.insert(vec![one_off("x"), one_off("y")]).await;
    let process = s.process().await;
    let claims: Vec<_> = s
        .claim(process, T0)
        .await
        .iter()
        .map(|run| (run.job, run.run, run.token))
        .collect();
    assert_eq!(s.store.claims_of(process).await.unwrap(), claims);
}

pub async fn many_runs_of_a_dead_process_are_all_taken_back(s: &TestStore) {
    s.insert((0..1_200).map(|n| one_off(&n.to_string())).collect()).await;
    let process = s.process().await;
    assert_eq!(s.claim_with(process, T0, 5_000).await.runs.len(), 1_200);
    s.pass(LEASE + 1);
    let found = s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    assert_eq!(
        found,
        Recovered {
            instances: 1,
            requeued: 1_200,
            failed: 0
        }
    );
}

pub async fn a_closed_store_refuses_every_verb(s: &TestStore) {
    let params = InsertParams {
        jobs: vec![one_off("x")],
        all_or_nothing: false,
        now: T0,
    };
    s.check().await;
    s.store.close().await.unwrap();
    s.store.close().await.unwrap();
    assert_eq!(s.store.insert(params).await.unwrap_err().code, ErrorCode::Closed);
    assert_eq!(s.store.get(&id("x")).await.unwrap_err().code, ErrorCode::Closed);
    assert_eq!(
        s.store.list(ListFilter::default()).await.unwrap_err().code,
        ErrorCode::Closed
    );
    assert_eq!(
        s.store.sweep(Retention::default(), T0, 9).await.unwrap_err().code,
        ErrorCode::Closed
    );
}
