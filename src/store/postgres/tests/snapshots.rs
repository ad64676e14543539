//! While an old transaction is open, the rows of claimed runs stay in the pages of the queue: claims, lists and what is done in the
//! background must not step over them each time. Counted in pages and entries of indexes, which does not depend on how busy the machine
//! is.

use super::super::session::Session;
use super::super::sweep::SweepPositions;
use super::super::{PostgresStore, counters, instances, list, sweep};
use super::test_support::{Schema, Server, served};
use crate::model::NewJob;
use crate::model::Status;
use crate::store::contract::test_support::{T0, done, one_off, retry};
use crate::store::{
    ClaimParams, ClaimedRun, CompleteParams, Completed, Completion, InsertParams, InstanceId, ListFilter, Retention,
    RetentionLimit, Store,
};
use crate::testing::eventually::eventually;
use std::sync::Arc;
use std::time::Duration;

/// Jobs that are completed while the snapshot is open.
const COMPLETED_JOBS: usize = 20_000;
/// Wall time of all operations; the completed jobs were due at `T0`.
const NOW: i64 = T0 + 2_000;

async fn add(store: &PostgresStore, name: &str, count: usize, change: impl Fn(NewJob) -> NewJob) {
    for from in (0..count).step_by(2_000) {
        let jobs = (from..count.min(from + 2_000))
            .map(|n| change(one_off(&format!("{name}{n}"))))
            .collect();
        let params = InsertParams {
            jobs,
            all_or_nothing: true,
            now: NOW,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        };
        store.insert(params).await.unwrap();
    }
}

async fn claim(store: &PostgresStore, instance: InstanceId, slots: usize) -> Vec<ClaimedRun> {
    let params = ClaimParams {
        now: NOW,
        instance,
        served: served(store).await,
        group_slots: vec![slots],
        slots,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await.unwrap().runs
}

async fn complete_all(store: &PostgresStore, instance: InstanceId, runs: Vec<ClaimedRun>) {
    let completions = runs.iter().map(|run| Completion {
        job: run.job,
        run: run.run,
        token: run.token,
        recurring: run.recurring,
        started_at: T0,
        ended_at: T0,
        outcome: done(),
    });
    let params = CompleteParams {
        now: T0,
        instance,
        completions: completions.collect(),
    };
    let counted = store.complete(params).await.unwrap();
    assert!(counted.iter().all(|answer| matches!(answer, Completed::Accepted(_))));
}

/// A store with many jobs completed since an open snapshot, and the connection that holds the snapshot.
async fn store_with_old_snapshot(schema: &Schema) -> (Arc<PostgresStore>, InstanceId, tokio_postgres::Client) {
    let store = schema.open().await;
    let instance = store.register(3_600_000, 10).await.unwrap();
    let old = schema.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await
        .unwrap();
    add(&store, "done", COMPLETED_JOBS, |job| job).await;
    loop {
        let runs = claim(&store, instance, 500).await;
        if runs.is_empty() {
            break;
        }
        complete_all(&store, instance, runs).await;
    }
    (store, instance, old)
}

/// Pages that a claim of newly added runs reads.
async fn pages_read_by_claim(store: &PostgresStore, instance: InstanceId, name: &str) -> i64 {
    let later = |job: NewJob| NewJob {
        due: Some(T0 + 1_000),
        ..job
    };
    add(store, name, 5, later).await;
    let before = store.inner.scan_positions.pages().0;
    let runs = claim(store, instance, 10).await;
    assert_eq!(runs.len(), 5, "{name}");
    complete_all(store, instance, runs).await;
    store.inner.scan_positions.pages().0 - before
}

#[tokio::test]
async fn claims_skip_dead_rows_kept_by_an_old_snapshot() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("claims_skip_dead_rows_kept_by_an_old_snapshot");
    };
    let schema = server.schema();
    let (store, instance, old) = store_with_old_snapshot(&schema).await;
    store.inner.scan_positions.end_rest();
    let from_the_beginning = pages_read_by_claim(&store, instance, "first").await;
    store.inner.scan_positions.prolong_rest();
    let mut behind = Vec::new();
    for n in 0..10 {
        behind.push(pages_read_by_claim(&store, instance, &format!("then{n}-")).await);
    }
    assert!(
        from_the_beginning > 300,
        "{from_the_beginning} pages: no dead rows to step over"
    );
    assert!(
        behind.iter().all(|pages| *pages * 5 < from_the_beginning),
        "{from_the_beginning} pages from the beginning, then {behind:?}"
    );
    drop(old);
    store.check_invariants().await;
}

#[tokio::test]
async fn runs_added_behind_the_scan_position_are_claimed_next() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("runs_added_behind_the_scan_position_are_claimed_next");
    };
    let schema = server.schema();
    let (store, instance, _old) = store_with_old_snapshot(&schema).await;
    store.inner.scan_positions.end_rest();
    pages_read_by_claim(&store, instance, "first").await;
    store.inner.scan_positions.prolong_rest();
    assert!(!store.inner.scan_positions.pages().1, "no scan position is kept");
    // Due before all completed runs, and of higher priority.
    let early = |job: NewJob| NewJob {
        due: Some(T0 - 5_000),
        ..job
    };
    let urgent = |job: NewJob| NewJob { priority: -7, ..job };
    add(&store, "early", 3, early).await;
    add(&store, "urgent", 2, urgent).await;
    let first = claim(&store, instance, 2).await;
    assert!(first.iter().all(|run| run.priority == -7), "{first:?}");
    // More runs than slots: the rest is claimed next.
    for left in [2, 1] {
        assert_eq!(claim(&store, instance, 1).await.len(), 1, "{left} left");
    }
    let last = claim(&store, instance, 1).await;
    assert_eq!(last.len(), 1);
    let completion = Completion {
        job: last[0].job,
        run: last[0].run,
        token: last[0].token,
        recurring: last[0].recurring,
        started_at: T0,
        ended_at: T0,
        outcome: retry(T0 - 1_000),
    };
    let params = CompleteParams {
        now: T0,
        instance,
        completions: vec![completion],
    };
    store.complete(params).await.unwrap();
    assert_eq!(claim(&store, instance, 10).await.len(), 1, "the retry");
}

#[tokio::test]
async fn runs_added_by_others_behind_the_scan_position_are_claimed_after_the_rest() {
    let Some(server) = Server::named() else {
        let name = "runs_added_by_others_behind_the_scan_position_are_claimed_after_the_rest";
        return crate::store::contract::report_skipped(name);
    };
    let schema = server.schema();
    let (store, instance, _old) = store_with_old_snapshot(&schema).await;
    let other = schema.open().await;
    store.inner.scan_positions.end_rest();
    pages_read_by_claim(&store, instance, "first").await;
    let early = |job: NewJob| NewJob {
        due: Some(T0 - 5_000),
        ..job
    };
    add(&other, "early", 1, early).await;
    // The rest ends by itself, in real time.
    eventually("the run is claimed", async || {
        !claim(&store, instance, 10).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn runs_added_by_others_shortly_before_the_scan_position_need_no_scan_from_the_head() {
    let Some(server) = Server::named() else {
        let name = "runs_added_by_others_shortly_before_the_scan_position_need_no_scan_from_the_head";
        return crate::store::contract::report_skipped(name);
    };
    let schema = server.schema();
    let (store, instance, _old) = store_with_old_snapshot(&schema).await;
    let other = schema.open().await;
    store.inner.scan_positions.end_rest();
    pages_read_by_claim(&store, instance, "first").await;
    store.inner.scan_positions.prolong_rest();
    // The last claimed run was due at T0 + 1,000, and the claim was made at NOW.
    let late = |job: NewJob| NewJob {
        due: Some(T0 + 500),
        ..job
    };
    add(&other, "late", 3, late).await;
    assert_eq!(claim(&store, instance, 10).await.len(), 0, "behind the position");
    // A scan from near it that finds more than there are slots for leaves the rest to those that follow.
    store.inner.scan_positions.end_near_rest();
    assert_eq!(claim(&store, instance, 2).await.len(), 2, "near it");
    store.inner.scan_positions.prolong_rest();
    assert_eq!(claim(&store, instance, 2).await.len(), 1, "the rest");
    assert!(!store.inner.scan_positions.pages().1, "a scan from the head");
}

/// A session for statements that are counted.
async fn session(store: &PostgresStore) -> Session {
    store
        .inner
        .connector
        .connect(Duration::from_secs(10), |_| ())
        .await
        .unwrap()
}

/// Entries of the schema's indexes that were read in this transaction, those of dead rows too.
async fn entries_read(session: &Session) -> i64 {
    let sql = "SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint FROM pg_class WHERE relkind = 'i' \
        AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'ductape.ready'::regclass)";
    let row = session.query_opt(sql, &[]).await.unwrap();
    row.unwrap().get(0)
}

/// Waits until the server counts the rows that were deleted, which processes tell it a while later.
async fn dead_rows_are_known(schema: &Schema, store: &PostgresStore, instance: InstanceId) {
    let client = schema.client().await;
    let sql = format!("SELECT pg_stat_get_dead_tuples('{}.ready'::regclass)", schema.name);
    eventually("the server counts the dead rows", async || {
        // What was counted is told with a later transaction of the same connection.
        let claims = (0..8).map(|_| claim(store, instance, 1));
        futures_util::future::join_all(claims).await;
        let dead: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        dead > 10_000
    })
    .await;
}

#[tokio::test]
async fn lists_and_looks_skip_dead_rows_kept_by_an_old_snapshot() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("lists_and_looks_skip_dead_rows_kept_by_an_old_snapshot");
    };
    let schema = server.schema();
    let (store, instance, _old) = store_with_old_snapshot(&schema).await;
    dead_rows_are_known(&schema, &store, instance).await;
    add(&store, "new", 5, |job| job).await;
    let running = claim(&store, instance, 2).await;
    let session = session(&store).await;
    session.snapshot().await.unwrap();
    for (status, expected) in [(Status::Queued, 3), (Status::Running, 2)] {
        let filter = ListFilter {
            statuses: vec![status],
            limit: 100,
            ..ListFilter::default()
        };
        let before = entries_read(&session).await;
        let page = list::read_page(&session, &filter).await.unwrap();
        let read = entries_read(&session).await - before;
        assert_eq!(page.jobs.len(), expected, "{status:?}");
        assert!(read < 8_000, "{status:?}: {read} entries");
    }
    let before = entries_read(&session).await;
    let held: Vec<_> = running.iter().map(|run| (run.job, run.run, run.token)).collect();
    let found = instances::held_among(&session, instance, &held).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(counters::routes_in(&session, &[Status::Queued]).await.unwrap().len(), 1);
    let read = entries_read(&session).await - before;
    assert!(read < 200, "{read} entries");
    session.end_snapshot().await.unwrap();
}

#[tokio::test]
async fn retention_skips_jobs_that_it_has_deleted() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("retention_skips_jobs_that_it_has_deleted");
    };
    let schema = server.schema();
    let (store, _, _old) = store_with_old_snapshot(&schema).await;
    let (session, positions) = (session(&store).await, SweepPositions::default());
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
    let step = async || {
        session.begin().await.unwrap();
        let before = entries_read(&session).await;
        let deleted = sweep::jobs(&session, &positions, retention, NOW, 500).await.unwrap();
        let read = entries_read(&session).await - before;
        session.end_snapshot().await.unwrap();
        (deleted, read)
    };
    let first = step().await;
    for _ in 0..20 {
        // On a busy machine any step may count as long.
        positions.end_rest();
        assert_eq!(step().await.0, 500);
    }
    positions.end_rest();
    let stepped_over = step().await;
    assert!(
        stepped_over.1 > first.1 + 5_000,
        "{first:?}, {stepped_over:?}: no dead rows"
    );
    positions.take_as_long(Status::Completed);
    step().await;
    for _ in 0..3 {
        let (deleted, read) = step().await;
        assert_eq!(deleted, 500);
        assert!(read < first.1 + 1_500, "{read} entries, {first:?} at first");
    }
    // What ended before the position is found when the rest is over.
    positions.end_rest();
    assert_eq!(step().await.0, 500);
}
