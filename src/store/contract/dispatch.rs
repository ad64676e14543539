//! Inserts of new jobs, and of jobs whose id is taken.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::model::{JobId, NewJob, OnConflict, Status, Unique};
use crate::store::{InsertParams, Inserted, JobRecord, JobSeq, ListFilter};

pub async fn a_new_job_that_is_due_is_queued(s: &TestStore) {
    assert_eq!(s.add(one_off("x")).await, Inserted::Created);
    let record = s.record("x").await;
    assert_eq!(
        (record.status, record.scheduled_at, record.attempt),
        (Status::Queued, T0, 0)
    );
    assert_eq!(&*record.input, "{\"id\":\"x\"}");
}

pub async fn a_new_job_that_is_due_later_is_scheduled(s: &TestStore) {
    for (text, due) in [("soon", T0 + 1), ("far", T0 + 40 * DAY)] {
        s.add(NewJob {
            due: Some(due),
            ..one_off(text)
        })
        .await;
        let record = s.record(text).await;
        assert_eq!((record.status, record.scheduled_at), (Status::Scheduled, due));
    }
}

pub async fn existing_id_returns_the_existing_job(s: &TestStore) {
    s.add(NewJob {
        due: Some(T0 + 5),
        ..one_off("x")
    })
    .await;
    let Inserted::Existing(summary) = s.add(one_off("x")).await else {
        panic!("not existing")
    };
    assert_eq!((summary.status, summary.scheduled_at), (Status::Scheduled, T0 + 5));
    assert!(!summary.recurring && summary.next_run_at.is_none());
}

pub async fn existing_id_is_a_conflict_on_request(s: &TestStore) {
    s.add(one_off("x")).await;
    let answer = s
        .add(NewJob {
            on_conflict: OnConflict::Error,
            ..one_off("x")
        })
        .await;
    assert!(matches!(answer, Inserted::Conflict(why) if why.contains("x exists")));
}

pub async fn a_waiting_job_is_replaced_by_a_new_dispatch(s: &TestStore) {
    for (before, after) in [(T0, T0 + 40 * DAY), (T0 + 40 * DAY, T0 + 5), (T0 + 5, T0)] {
        s.add(NewJob {
            due: Some(before),
            ..one_off("x")
        })
        .await;
        let new = NewJob {
            due: Some(after),
            route: route("b").into(),
            priority: 3,
            input: "[]".into(),
            ..one_off("x")
        };
        let Inserted::Replaced(summary) = s.add(replacing(new)).await else {
            panic!("not replaced")
        };
        assert_eq!(summary.scheduled_at, after);
        let record = s.record("x").await;
        assert_eq!(
            (&*record.input, record.priority, record.route),
            ("[]", 3, s.route_id("b").await)
        );
    }
    let process = s.process().await;
    assert_eq!(s.claim_one(process, T0).await.run, 1);
}

pub async fn ended_job_is_reopened_with_a_new_run(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0 + 1).await;
    assert!(matches!(s.add(replacing(one_off("x"))).await, Inserted::Replaced(_)));
    let again = s.claim_one(process, T0).await;
    assert_eq!((again.run, again.attempt), (2, 1));
    s.complete(process, &again, failed(), T0 + 2).await;
    let record = s.record("x").await;
    assert_eq!((record.status, record.execution_count), (Status::Failed, 2));
}

pub async fn job_waiting_for_a_retry_restarts_when_replaced(s: &TestStore) {
    s.add(NewJob {
        retries: 3,
        ..one_off("x")
    })
    .await;
    let process = s.process().await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, retry(T0 + 900), T0 + 1).await;
    s.add(replacing(one_off("x"))).await;
    let again = s.claim_one(process, T0 + 2).await;
    assert_eq!((again.attempt, again.crashes, again.due), (1, 0, T0));
    assert_eq!(s.store.history(&id("x"), 9).await.unwrap().unwrap().entries.len(), 1);
}

pub async fn a_running_job_is_not_replaced(s: &TestStore) {
    s.add(one_off("x")).await;
    let process = s.process().await;
    s.claim_one(process, T0).await;
    let answer = s.add(replacing(one_off("x"))).await;
    assert!(matches!(answer, Inserted::Conflict(why) if why.contains("is running")));
}

pub async fn one_off_and_series_cannot_replace_each_other(s: &TestStore) {
    s.insert(vec![one_off("x"), series("y")]).await;
    let answers = s.insert(vec![series("x"), replacing(one_off("y"))]).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Inserted::Conflict(_))),
        "{answers:?}"
    );
}

pub async fn one_conflict_among_all_or_nothing_writes_nothing(s: &TestStore) {
    s.add(one_off("x")).await;
    let taken = NewJob {
        on_conflict: OnConflict::Error,
        ..one_off("x")
    };
    let jobs = vec![
        one_off("new"),
        NewJob {
            route: route("b").into(),
            ..one_off("other")
        },
        taken,
    ];
    let params = InsertParams {
        jobs,
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    let answers = s.store.insert(params).await.unwrap();
    assert!(matches!(answers[2], Inserted::Conflict(_)));
    assert!(s.store.get(&id("new")).await.unwrap().is_none());
    assert_eq!(s.store.stats(None).await.unwrap().by_status[Status::Queued as usize], 1);
    assert_eq!(
        s.add(NewJob {
            route: route("b").into(),
            ..one_off("other")
        })
        .await,
        Inserted::Created
    );
}

pub async fn conflict_without_all_or_nothing_affects_only_its_job(s: &TestStore) {
    s.add(one_off("x")).await;
    let taken = NewJob {
        on_conflict: OnConflict::Error,
        ..one_off("x")
    };
    let answers = s.insert(vec![one_off("a"), taken, one_off("b")]).await;
    assert!(matches!(
        answers[..],
        [Inserted::Created, Inserted::Conflict(_), Inserted::Created]
    ));
}

pub async fn duplicates_in_one_batch_behave_as_if_dispatched_in_turn(s: &TestStore) {
    let again = NewJob {
        due: Some(T0 + 7),
        ..replacing(one_off("x"))
    };
    let answers = s.insert(vec![one_off("x"), one_off("x"), again]).await;
    assert!(matches!(
        answers[..],
        [Inserted::Created, Inserted::Existing(_), Inserted::Replaced(_)]
    ));
    assert_eq!(s.record("x").await.scheduled_at, T0 + 7);
}

/// One of many jobs: most are alike, some have properties that a store may treat specially. Ids begin with `set`.
fn one_of_many(set: &str, n: usize) -> NewJob {
    let mut job = NewJob {
        priority: i32::try_from(n % 3).unwrap(),
        retries: u32::try_from(n % 5).unwrap(),
        ..one_off(&format!("{set}{n}"))
    };
    match n {
        // The exceptions: a taken id, an id that comes twice, a key, a later time, tags, a series, another route.
        30 => job.id = id(&format!("{set}there")),
        50 => job.id = id(&format!("{set}49")),
        70 => job.options.unique = Some(unique(&format!("{set}key"))),
        71 => job.options.unique = Some(unique(&format!("{set}key"))),
        90 => job.due = Some(T0 + 5),
        91 => job.due = Some(T0 - 5),
        110 => job.options.tags = vec![format!("{set}tag").into()],
        111 => job.options.timeout = Some(7),
        130 => job = series(&format!("{set}{n}")),
        131..140 => job.route = route("b").into(),
        _ => {}
    }
    job
}

fn unique(key: &str) -> Unique {
    Unique {
        key: key.into(),
        period: None,
    }
}

pub async fn batch_insert_equals_single_inserts(s: &TestStore) {
    const MANY: usize = 150;
    let mut told = Vec::new();
    for n in 0..MANY {
        if n == 0 {
            s.add(one_off("one-there")).await;
        }
        told.push(s.add(one_of_many("one-", n)).await);
    }
    s.add(one_off("all-there")).await;
    let together = s.insert((0..MANY).map(|n| one_of_many("all-", n)).collect()).await;
    assert_eq!(format!("{together:?}").replace("all-", "one-"), format!("{told:?}"));
    for n in 0..MANY {
        // All fields except the number.
        let text = |record: Option<JobRecord>| {
            let record = record.map(|record| JobRecord {
                job: JobSeq::new(0),
                ..record
            });
            format!("{record:?}").replace("all-", "one-")
        };
        let one = s.store.get(&one_of_many("one-", n).id).await.unwrap();
        let all = s.store.get(&one_of_many("all-", n).id).await.unwrap();
        assert_eq!(text(all), text(one), "{n}");
    }
    let filter = |set: &str| ListFilter {
        tags: vec![format!("{set}tag").into()],
        limit: MANY,
        ..ListFilter::default()
    };
    assert_eq!(s.store.matching_jobs(filter("all-")).await.unwrap().len(), 1);
    // The due jobs of both can be claimed.
    let process = s.process().await;
    let mut claimed = Vec::new();
    loop {
        let runs = s.claim(process, T0).await;
        if runs.is_empty() {
            break;
        }
        claimed.extend(runs.into_iter().map(|run| run.id.to_string()));
    }
    let of = |set: &str| {
        let mut of: Vec<&str> = claimed.iter().filter_map(|id| id.strip_prefix(set)).collect();
        of.sort_unstable();
        of.join(" ")
    };
    assert_eq!(of("all-"), of("one-"));
    assert!(claimed.len() > 2 * (MANY - 8), "{}", claimed.len());
}

pub async fn resent_dispatch_is_written_once(s: &TestStore) {
    let job = NewJob {
        id: JobId::generate(),
        on_conflict: OnConflict::Error,
        ..one_off("x")
    };
    assert_eq!(s.add(job.clone()).await, Inserted::Created);
    assert_eq!(s.add(job.clone()).await, Inserted::Created);
    assert_eq!(s.store.stats(None).await.unwrap().by_status[Status::Queued as usize], 1);
    // The same id in a later dispatch is not a resend: its caller reuses the id.
    let reused = NewJob { created: T0 + 1, ..job };
    assert!(matches!(s.add(reused).await, Inserted::Conflict(_)));
}

pub async fn insert_notifies_watchers(s: &TestStore) {
    let mut changes = s.store.changes();
    changes.mark_unchanged();
    s.add(one_off("x")).await;
    assert!(changes.has_changed().unwrap());
}
