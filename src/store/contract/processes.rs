//! Processes: leases, crashes, and orderly shutdowns.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::error::ErrorCode;
use crate::model::{Concurrency, NewJob, RunOutcome, RunStatus, Status};
use crate::store::{
    Change, ClaimParams, ClaimedRun, Completed, InsertParams, ListFilter, RecoverParams, Recovered, Retention,
    SUSPECT_AFTER, ServedRoute, Takeover,
};

/// Whatever the clock of the store shows.
fn without_time(found: Recovered) -> Recovered {
    Recovered {
        server_time: None,
        ..found
    }
}

pub async fn a_crashed_run_is_reclaimed_after_its_lease(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    let found = s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    assert_eq!(without_time(found), Recovered::default());
    s.crash(process);
    let found = s.store.recover(RecoverParams::new(T0 + 5, 10)).await.unwrap();
    assert_eq!(
        without_time(found),
        Recovered {
            instances: 1,
            requeued: 1,
            crashed: vec![(run.route, false)],
            ..Recovered::default()
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
        let found = s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
        assert_eq!(without_time(found), Recovered::default());
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
    // After a power cut nobody knows what the process would have done.
    let other = s.process().await;
    let run = s.claim_one(other, T0).await;
    assert_eq!((run.attempt, run.crashes), (1, 0));
}

pub async fn a_run_that_crashes_too_often_fails(s: &TestStore) {
    s.add(one_off("x")).await;
    let mut now = T0;
    for (crash, delay) in [(1, 0), (2, 1_000), (3, 2_000), (4, 4_000), (5, 0)] {
        let process = s.process().await;
        let runs = s.claim_with(process, now, 1).await.runs;
        let suspects = s.claim_suspect(process, now).await;
        // With three crashes it is claimed alone.
        assert_eq!((runs.len(), suspects.len()), if crash <= 3 { (1, 0) } else { (0, 1) });
        let run = runs.into_iter().chain(suspects).next().unwrap();
        assert_eq!((run.attempt, run.crashes), (crash, crash - 1));
        s.crash(process);
        let found = s.store.recover(RecoverParams::new(now, 5)).await.unwrap();
        assert_eq!((found.requeued, found.failed), if crash < 5 { (1, 0) } else { (0, 1) });
        let failed: Vec<_> = found
            .failed_runs
            .iter()
            .map(|failed| (failed.run, failed.attempt))
            .collect();
        assert_eq!(failed, if crash < 5 { vec![] } else { vec![(run.run, 5)] });
        for failed in found.failed_runs {
            assert_eq!((failed.job, failed.route), (id("x"), run.route));
            assert_eq!(
                (&*failed.error.code, &*failed.error.message),
                ("CRASHED", "the process that ran it died 5 times")
            );
        }
        if delay > 0 {
            assert_eq!(s.status("x").await, Status::Scheduled);
            assert_eq!(
                s.claim_with(process, now + delay - 1, 0).await.next_due,
                Some(now + delay)
            );
        }
        now += delay;
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
    s.crash(process);
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

pub async fn a_process_that_ends_by_a_failure_crashes_its_runs(s: &TestStore) {
    s.insert(vec![one_off("x"), series("y")]).await;
    s.run_due_occurrence(T0, Some(T0 + 1)).await;
    for crashes in 0..2 {
        let process = s.process().await;
        let runs = s.claim(process, T0 + 5_000).await;
        assert!(
            runs.len() == 2
                && runs
                    .iter()
                    .all(|run| run.crashes == crashes && run.attempt == crashes + 1)
        );
        let mut failed = s.store.unregister_crashed(process, T0, 2).await.unwrap();
        failed.sort_by_key(|failed| failed.job.to_string());
        let failed: Vec<_> = failed.into_iter().map(|failed| (failed.job, failed.run)).collect();
        assert_eq!(
            failed,
            if crashes == 0 {
                vec![]
            } else {
                vec![(id("x"), 1), (id("y"), 1)]
            }
        );
        assert!(s.store.claims_of(process).await.unwrap().is_empty());
        assert!(!s.store.renew(process, LEASE).await.unwrap());
    }
    assert_eq!(s.record("x").await.status, Status::Failed);
    assert_eq!(s.record("x").await.error.unwrap().code.as_ref(), "CRASHED");
    assert_eq!(s.record("y").await.status, Status::Scheduled);
}

pub async fn instance_ids_are_never_reused(s: &TestStore) {
    let first = s.process().await;
    s.store.unregister(first, T0).await.unwrap();
    assert_ne!(s.process().await, first);
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
    let (job, run, token) = claims[1];
    let asked = vec![
        (job, run, token),
        (job, run, crate::store::Token::new(token.get() + 100)),
    ];
    assert_eq!(s.store.held_among(process, asked.clone()).await.unwrap(), [token]);
    let other = s.process().await;
    assert_eq!(s.store.held_among(other, asked).await.unwrap(), []);
}

pub async fn only_runs_that_were_executed_crash_with_their_process(s: &TestStore) {
    s.insert(vec![one_off("x"), series("y")]).await;
    s.run_due_occurrence(T0, None).await;
    let process = s.process_with(2).await;
    assert_eq!(s.claim(process, T0).await.len(), 2);
    // Begun as soon as one of the first two has ended, which it has not.
    let late = NewJob {
        priority: -1,
        ..one_off("z")
    };
    s.add(late).await;
    assert_eq!(s.claim_one(process, T0).await.id, id("z"));
    s.crash(process);
    assert_eq!(s.store.recover(RecoverParams::new(T0, 10)).await.unwrap().requeued, 3);
    let other = s.process().await;
    let runs = s.claim(other, T0).await;
    let seen: Vec<_> = runs
        .iter()
        .map(|run| (run.id.to_string(), run.attempt, run.crashes))
        .collect();
    let seen: Vec<_> = seen
        .iter()
        .map(|(id, attempt, crashes)| (&**id, *attempt, *crashes))
        .collect();
    assert_eq!(seen, [("z", 1, 0), ("x", 2, 1), ("y", 2, 1)]);
}

/// Jobs that have crashed so often that they run alone.
async fn crash_until_suspect(s: &TestStore, jobs: Vec<NewJob>) {
    let count = jobs.len();
    s.insert(jobs).await;
    for crash in 0..i64::from(SUSPECT_AFTER) {
        let process = s.process().await;
        assert_eq!(s.claim(process, T0 + crash).await.len(), count);
        s.crash(process);
        // They wait for up to two seconds after that.
        let found = s
            .store
            .recover(RecoverParams::new(T0 + crash - 2_000, 10))
            .await
            .unwrap();
        assert_eq!(found.requeued, count);
    }
    s.claim_with(s.process().await, T0 + 9, 0).await;
}

pub async fn runs_that_crashed_often_are_claimed_alone(s: &TestStore) {
    let b = NewJob {
        route: route("b").into(),
        ..one_off("b")
    };
    crash_until_suspect(s, vec![one_off("x"), one_off("y"), b]).await;
    // What came later does not wait for them.
    s.insert((0..3).map(|n| one_off(&n.to_string())).collect()).await;
    let process = s.process().await;
    let (a, b) = (s.route_id("a").await, s.route_id("b").await);
    let mut routes = vec![a, b];
    routes.sort();
    let suspects = async || {
        let mut found = s
            .store
            .recover(RecoverParams {
                by: Some(process),
                takeover: Takeover::Proven,
                ..RecoverParams::new(T0, 10)
            })
            .await
            .unwrap();
        found.suspects.sort();
        found.suspects
    };
    assert_eq!(suspects().await, routes);
    let ids = |runs: &[ClaimedRun]| runs.iter().map(|run| run.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&s.claim_with(process, T0 + 9, 2).await.runs), ["0", "1"]);
    assert_eq!(s.status("x").await, Status::Queued);
    let params = ClaimParams {
        now: T0 + 9,
        instance: process,
        served: vec![ServedRoute { route: b, group: 0 }].into(),
        group_slots: vec![1],
        slots: 1,
        suspect: true,
        passed_over: Default::default(),
        planner: None,
    };
    assert_eq!(ids(&s.store.claim(params).await.unwrap().runs), ["b"]);
    assert_eq!(suspects().await, [a]);
    let run = s.claim_suspect(process, T0 + 9).await.remove(0);
    assert_eq!((run.id.to_string(), run.attempt, run.crashes), ("x".to_owned(), 4, 3));
    // Handed back or tried again, it still runs alone.
    s.complete(process, &run, RunOutcome::Released, T0 + 9).await;
    let run = s.claim_suspect(process, T0 + 9).await.remove(0);
    s.complete(process, &run, retry(T0 + 9), T0 + 9).await;
    assert_eq!(ids(&s.claim(process, T0 + 9).await), ["2"]);
    for expected in ["y", "x"] {
        let run = s.claim_suspect(process, T0 + 9).await.remove(0);
        assert_eq!(run.id, id(expected));
        s.complete(process, &run, done(), T0 + 9).await;
    }
    assert!(s.claim_suspect(process, T0 + 9).await.is_empty() && suspects().await.is_empty());
}

pub async fn a_run_that_runs_alone_waits_for_its_key_and_holds_nobody_up(s: &TestStore) {
    let keyed = |text: &str| {
        let mut job = one_off(text);
        job.options.concurrency = Some(Concurrency {
            key: "k".into(),
            limit: 1,
        });
        job
    };
    crash_until_suspect(s, vec![keyed("x")]).await;
    // They come after it.
    let late = |n: i64| NewJob {
        due: Some(T0 + 5),
        ..keyed(&n.to_string())
    };
    s.insert_at((0..4).map(late).collect(), T0 + 9).await;
    let process = s.process().await;
    for n in 0..2 {
        let run = s.claim_one(process, T0 + 9).await;
        assert_eq!(run.id.to_string(), n.to_string());
        assert!(s.claim_suspect(process, T0 + 9).await.is_empty());
        s.complete(process, &run, done(), T0 + 9).await;
    }
    let run = s.claim_suspect(process, T0 + 9).await.remove(0);
    assert_eq!(run.id, id("x"));
    assert!(s.claim(process, T0 + 9).await.is_empty());
    s.complete(process, &run, done(), T0 + 9).await;
    for n in 2..4 {
        let run = s.claim_one(process, T0 + 9).await;
        assert_eq!(run.id.to_string(), n.to_string());
        s.complete(process, &run, done(), T0 + 9).await;
    }
}

pub async fn a_run_that_runs_alone_can_be_changed_like_any_other(s: &TestStore) {
    crash_until_suspect(s, vec![one_off("x"), one_off("y"), one_off("z")]).await;
    s.change("x", pause(), T0 + 9).await;
    s.change("y", Change::Cancel { reason: None }, T0 + 9).await;
    let process = s.process().await;
    let run = s.claim_suspect(process, T0 + 9).await.remove(0);
    assert_eq!(run.id, id("z"));
    s.complete(process, &run, failed(), T0 + 9).await;
    s.change("x", resume(Some(T0 + 9)), T0 + 9).await;
    let run = s.claim_suspect(process, T0 + 9).await.remove(0);
    assert_eq!((run.id.clone(), run.crashes), (id("x"), 3));
    s.complete(process, &run, done(), T0 + 9).await;
    // A run on request is another one, and no suspect.
    s.change("z", Change::Retry { due: T0 + 9 }, T0 + 9).await;
    let run = s.claim_one(process, T0 + 9).await;
    assert_eq!((run.id.clone(), run.crashes), (id("z"), 0));
}

pub async fn many_runs_of_a_dead_process_are_all_taken_back(s: &TestStore) {
    s.insert((0..1_200).map(|n| one_off(&n.to_string())).collect()).await;
    // More claims than one transaction takes back, on either side.
    let process = s.process_with(600).await;
    assert_eq!(s.claim_with(process, T0, 5_000).await.runs.len(), 1_200);
    s.crash(process);
    let found = s.store.recover(RecoverParams::new(T0, 10)).await.unwrap();
    assert_eq!((found.instances, found.requeued, found.failed), (1, 1_200, 0));
    // As many as it could be executing.
    assert_eq!(found.crashed.len(), 600);
    let other = s.process().await;
    let runs = s.claim_with(other, T0, 5_000).await.runs;
    let crashed: Vec<bool> = runs.iter().map(|run| run.crashes == 1).collect();
    assert_eq!(crashed, [[true; 600], [false; 600]].concat());
}

pub async fn a_closed_store_refuses_every_verb(s: &TestStore) {
    let params = InsertParams {
        jobs: vec![one_off("x")],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
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
