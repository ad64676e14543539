//! Moves between stores of both kinds: what is there afterwards, what is refused, and what an interruption leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{MoveAction, MoveOutcome, StoreLocation, TransferProgress, run};
use crate::error::{Error, ErrorCode};
use crate::model::NewJob;
use crate::store::contract::random_walk::random_walk_goes_on_in_moved_stores;
use crate::store::contract::test_support::{T0, one_off, series};
use crate::store::postgres::tests::test_store_in;
use crate::store::postgres::tests::test_support::{Schema, schema};
use crate::store::postgres::{PostgresConfig, PostgresStore};
use crate::store::sqlite::tests::test_store_at;
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use crate::store::transfer::TransferStage;
use crate::store::{InsertParams, Store, begin_anew};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn file(path: &Path) -> StoreLocation {
    StoreLocation::Sqlite {
        path: path.into(),
        default: false,
    }
}

fn database(schema: &Schema) -> StoreLocation {
    StoreLocation::Postgres(Box::new(schema.address()))
}

async fn moved(from: &StoreLocation, to: &StoreLocation, action: MoveAction) -> Result<MoveOutcome, Error> {
    run(from, to, action, &Arc::<TransferProgress>::default()).await
}

async fn move_all(from: &StoreLocation, to: &StoreLocation) {
    let outcome = moved(from, to, MoveAction::Move).await.unwrap();
    assert!(
        matches!(outcome, MoveOutcome::Moved(ref report) if report.rows > 0),
        "{outcome:?}"
    );
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteConfig::new(Location::File(path.into()))).unwrap()
}

async fn filled(path: &Path, count: usize) {
    let store = open(path);
    let ones = (0..count).map(|number| one_off(&format!("job {number}")));
    let all = ones.chain([series("nightly")]).collect();
    store.insert(jobs(all)).await.unwrap();
    store.close().await.unwrap();
}

fn jobs(jobs: Vec<NewJob>) -> InsertParams {
    InsertParams {
        jobs,
        all_or_nothing: false,
        now: T0,
        since: Instant::now(),
        replaced: begin_anew,
    }
}

async fn count(store: &dyn Store) -> i64 {
    store.stats(None).await.unwrap().by_status.iter().sum()
}

/// Whatever a walk through all verbs leaves behind is in the next store, and the walk goes on there as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_random_walk_goes_on_in_each_store_it_is_moved_to() {
    let Some(first) = schema("a_random_walk_goes_on_in_each_store_it_is_moved_to") else {
        return;
    };
    let second = schema("").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let places = [file(&a), database(&first), database(&second), file(&b)];
    let stores = [
        test_store_at(&a, Box::new(())).await,
        test_store_in(Arc::new(first), "").await,
        test_store_in(Arc::new(second), "").await,
        test_store_at(&b, Box::new(())).await,
    ];
    let (stores_ref, places_ref) = (&stores, &places);
    random_walk_goes_on_in_moved_stores(&stores, |from, to| async move {
        move_all(&places_ref[from], &places_ref[to]).await;
        // Who had it open reads and writes nothing any more, and is told where all is.
        let store = &stores_ref[from].store;
        for error in [
            store.insert(jobs(vec![one_off("late")])).await.unwrap_err(),
            store.register(1_000, 1).await.unwrap_err(),
        ] {
            assert_eq!(error.code, ErrorCode::StoreError, "{error:?}");
            assert!(error.message.contains("moved"), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_moved_store_is_not_opened_and_the_same_call_says_that_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&a, 20).await;
    move_all(&file(&a), &file(&b)).await;
    let error = SqliteStore::open(SqliteConfig::new(Location::File(a.clone()))).unwrap_err();
    assert!(
        error.message.contains("was moved to sqlite:") && error.message.contains("b.db"),
        "{error:?}"
    );
    let again = moved(&file(&a), &file(&b), MoveAction::Move).await.unwrap();
    assert!(
        matches!(again, MoveOutcome::Moved(ref report) if report.resumed && report.jobs == 21),
        "{again:?}"
    );
    let elsewhere = moved(&file(&a), &file(&folder.path().join("c.db")), MoveAction::Move)
        .await
        .unwrap_err();
    assert!(elsewhere.message.contains("was moved to"), "{elsewhere:?}");
    let given_up = moved(&file(&a), &file(&b), MoveAction::GiveUp).await.unwrap_err();
    assert!(given_up.message.contains("no move"), "{given_up:?}");
    let store = open(&b);
    assert_eq!(count(&*store).await, 21);
    store.check_invariants().await;
    // A store that was moved to can be moved on.
    store.close().await.unwrap();
    move_all(&file(&b), &file(&folder.path().join("d.db"))).await;
}

#[tokio::test]
async fn a_store_that_a_process_works_on_is_not_moved() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&a, 3).await;
    let store = open(&a);
    let process = store.register(1_000, 1).await.unwrap();
    let renewing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                store.renew(process, 1_000).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    });
    let error = moved(&file(&a), &file(&b), MoveAction::Move).await.unwrap_err();
    assert!(error.message.contains("1 process works on the store"), "{error:?}");
    let plan = moved(&file(&a), &file(&b), MoveAction::Plan).await.unwrap();
    assert!(
        matches!(plan, MoveOutcome::Planned(ref plan) if plan.processes == 1 && plan.jobs == 4 && plan.stage == TransferStage::New)
    );
    renewing.abort();
    store.insert(jobs(vec![one_off("more")])).await.unwrap();
    store.unregister(process, T0).await.unwrap();
    move_all(&file(&a), &file(&b)).await;
    assert_eq!(count(&*open(&b)).await, 5);
}

#[tokio::test]
async fn nothing_is_added_to_a_store_that_holds_something() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&a, 3).await;
    filled(&b, 1).await;
    for action in [MoveAction::Plan, MoveAction::Move] {
        let error = moved(&file(&a), &file(&b), action).await.unwrap_err();
        assert!(
            error.message.starts_with("to: ") && error.message.contains("not new"),
            "{error:?}"
        );
    }
    assert_eq!((count(&*open(&a)).await, count(&*open(&b)).await), (4, 2));
    for (from, to, argument) in [
        (
            file(&folder.path().join("none.db")),
            file(&folder.path().join("new.db")),
            "from",
        ),
        (file(&a), file(&a), "options.to"),
        (file(&a), StoreLocation::Memory(None), "options.to"),
    ] {
        let error = moved(&from, &to, MoveAction::Move).await.unwrap_err();
        let path = error.details.first().map(|problem| problem.path.to_string());
        assert!(
            path.as_deref() == Some(argument) || error.message.starts_with(argument),
            "{error:?}"
        );
    }
    assert!(!folder.path().join("none.db").exists());
}

/// A disk that is full, a server that goes away: what an interruption leaves is gone on with, or given up.
#[tokio::test]
async fn a_move_that_was_interrupted_is_given_up_and_begun_elsewhere() {
    let Some(schema) = schema("a_move_that_was_interrupted_is_given_up_and_begun_elsewhere") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&a, 5_000).await;
    // The rows of the first tables fit; those of jobs do not.
    let client = schema.client().await;
    let store = test_store_in(Arc::new(schema), "").await;
    let schema = store.keep.downcast_ref::<Arc<Schema>>().unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE \"{}\".jobs ADD CONSTRAINT full_disk CHECK (name IS DISTINCT FROM 'job 4000')",
            schema.name
        ))
        .await
        .unwrap();
    for _ in 0..2 {
        moved(&file(&a), &database(schema), MoveAction::Move).await.unwrap_err();
        let closed = SqliteStore::open(SqliteConfig::new(Location::File(a.clone()))).unwrap_err();
        assert!(closed.message.contains("is being moved to postgres://"), "{closed:?}");
        assert!(
            !closed.message.contains("password") && !closed.message.contains('@'),
            "{closed:?}"
        );
    }
    let half = store.store.insert(jobs(vec![one_off("early")])).await.unwrap_err();
    assert!(
        half.message.contains("takes no work: it is moved here from sqlite:"),
        "{half:?}"
    );
    let closed = PostgresStore::open(PostgresConfig::new(schema.address()))
        .await
        .unwrap_err();
    assert!(closed.message.contains("does not hold all of sqlite:"), "{closed:?}");
    let elsewhere = moved(&file(&a), &file(&b), MoveAction::Move).await.unwrap_err();
    assert!(
        elsewhere.message.contains("is being moved to postgres://"),
        "{elsewhere:?}"
    );
    moved(&file(&a), &database(schema), MoveAction::GiveUp).await.unwrap();
    let again = open(&a);
    assert_eq!(count(&*again).await, 5_001);
    again.insert(jobs(vec![one_off("new")])).await.unwrap();
    again.close().await.unwrap();
    // What was copied is of yesterday.
    let stale = moved(&file(&a), &database(schema), MoveAction::Move).await.unwrap_err();
    assert!(stale.message.contains("a part of another move"), "{stale:?}");
    move_all(&file(&a), &file(&b)).await;
    assert_eq!(count(&*open(&b)).await, 5_002);
}
