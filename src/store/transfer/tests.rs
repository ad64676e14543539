//! Moves between stores of both kinds: what is there afterwards, what is refused, and what an interruption leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{MoveParams, TransferPlace, TransferProgress, TransferReport, TransferStage, give_up, plan, transfer};
use crate::clock::SystemClock;
use crate::error::{Error, ErrorCode};
use crate::model::NewJob;
use crate::store::contract::random_walk::random_walk_goes_on_in_moved_stores;
use crate::store::contract::test_support::{T0, one_off, series};
use crate::store::postgres::tests::test_store_in;
use crate::store::postgres::tests::test_support::{Schema, schema};
use crate::store::postgres::{PostgresConfig, PostgresPlace, PostgresStore};
use crate::store::sqlite::tests::test_store_at;
use crate::store::sqlite::{Location, SqliteConfig, SqlitePlace, SqliteStore};
use crate::store::{InsertParams, Store, begin_anew};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn file(path: &Path) -> SqlitePlace {
    SqlitePlace::new(path.into())
}

fn database(schema: &Schema) -> PostgresPlace {
    PostgresPlace::new(schema.address())
}

async fn moved(from: &dyn TransferPlace, to: &dyn TransferPlace) -> Result<TransferReport, Error> {
    let params = MoveParams {
        from,
        to,
        id: uuid::Uuid::now_v7().to_string(),
        max_crashes: 10,
        clock: Arc::new(SystemClock),
        progress: Arc::<TransferProgress>::default(),
    };
    transfer(&params).await
}

async fn move_all(from: &dyn TransferPlace, to: &dyn TransferPlace) {
    assert!(moved(from, to).await.unwrap().rows > 0);
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
    let places: [Box<dyn TransferPlace>; 4] = [
        Box::new(file(&a)),
        Box::new(database(&first)),
        Box::new(database(&second)),
        Box::new(file(&b)),
    ];
    let stores = [
        test_store_at(&a, Box::new(())).await,
        test_store_in(Arc::new(first), "").await,
        test_store_in(Arc::new(second), "").await,
        test_store_at(&b, Box::new(())).await,
    ];
    let (stores_ref, places_ref) = (&stores, &places);
    random_walk_goes_on_in_moved_stores(&stores, |from, to| async move {
        move_all(&*places_ref[from], &*places_ref[to]).await;
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
    let again = moved(&file(&a), &file(&b)).await.unwrap();
    assert!(again.resumed && again.jobs == 21, "{again:?}");
    let elsewhere = moved(&file(&a), &file(&folder.path().join("c.db"))).await.unwrap_err();
    assert!(elsewhere.message.contains("was moved to"), "{elsewhere:?}");
    let given_up = give_up(&file(&a), &file(&b)).await.unwrap_err();
    assert!(given_up.message.contains("takes work"), "{given_up:?}");
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
    let error = moved(&file(&a), &file(&b)).await.unwrap_err();
    assert!(error.message.contains("1 process works on the store"), "{error:?}");
    let plan = plan(&file(&a), &file(&b)).await.unwrap();
    assert!(plan.processes == 1 && plan.jobs == 4 && plan.stage == TransferStage::New);
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
    for error in [
        plan(&file(&a), &file(&b)).await.unwrap_err(),
        moved(&file(&a), &file(&b)).await.unwrap_err(),
    ] {
        assert!(
            error.message.starts_with("to: ") && error.message.contains("not new"),
            "{error:?}"
        );
    }
    assert_eq!((count(&*open(&a)).await, count(&*open(&b)).await), (4, 2));
    let (none, new) = (folder.path().join("none.db"), folder.path().join("new.db"));
    let error = moved(&file(&none), &file(&new)).await.unwrap_err();
    assert!(error.message.starts_with("from: there is no store"), "{error:?}");
    assert!(!none.exists());
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
        moved(&file(&a), &database(schema)).await.unwrap_err();
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
    let elsewhere = moved(&file(&a), &file(&b)).await.unwrap_err();
    assert!(
        elsewhere.message.contains("is being moved to postgres://"),
        "{elsewhere:?}"
    );
    give_up(&file(&a), &database(schema)).await.unwrap();
    let again = open(&a);
    assert_eq!(count(&*again).await, 5_001);
    again.insert(jobs(vec![one_off("new")])).await.unwrap();
    again.close().await.unwrap();
    // What was copied is of yesterday.
    let stale = moved(&file(&a), &database(schema)).await.unwrap_err();
    assert!(stale.message.contains("a part of another move"), "{stale:?}");
    move_all(&file(&a), &file(&b)).await;
    assert_eq!(count(&*open(&b)).await, 5_002);
}

/// Two moves of one store at the same moment: one of them wins, and whoever loses says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_moves_at_once_to_different_stores_one_is_done() {
    let Some(schema) = schema("of_two_moves_at_once_to_different_stores_one_is_done") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let path = |name: &str| folder.path().join(format!("{name}{round}.db"));
        let (a, b, c) = (path("a"), path("b"), path("c"));
        filled(&a, 300).await;
        let from: Box<dyn TransferPlace> = if round == 0 {
            move_all(&file(&a), &database(&schema)).await;
            Box::new(database(&schema))
        } else {
            Box::new(file(&a))
        };
        let (first, second) = (file(&b), file(&c));
        let (one, other) = tokio::join!(moved(&*from, &first), moved(&*from, &second));
        assert_eq!(
            (one.is_ok(), other.is_ok()),
            (one.is_ok(), one.is_err()),
            "{one:?} {other:?}"
        );
        let (won, lost) = if one.is_ok() { (b, c) } else { (c, b) };
        assert_eq!(count(&*open(&won)).await, 301);
        if let Ok(store) = SqliteStore::open(SqliteConfig::new(Location::File(lost))) {
            assert_eq!(count(&*store).await, 0);
        }
    }
}

/// The same move begun twice at once: both resolve or one says that the other goes on with it; nothing is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_move_that_two_processes_make_copies_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let path = |name: &str| folder.path().join(format!("{name}{round}.db"));
        let (a, b) = (path("a"), path("b"));
        filled(&a, 3_000).await;
        let (from, to) = (file(&a), file(&b));
        let _ = tokio::join!(moved(&from, &to), moved(&from, &to));
        // Whatever became of the two, the same call goes on.
        moved(&from, &to).await.unwrap();
        let store = open(&b);
        assert_eq!(count(&*store).await, 3_001);
        store.check_invariants().await;
    }
}

/// A move is given up while it is made, at any moment: never do both stores take work, and one of them does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_that_is_given_up_while_it_is_made_leaves_one_store_that_takes_work() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let path = |name: &str| folder.path().join(format!("{name}{round}.db"));
        let (a, b) = (path("a"), path("b"));
        filled(&a, 2_000).await;
        let (from, to) = (file(&a), file(&b));
        let giving_up = async {
            tokio::time::sleep(std::time::Duration::from_millis(4 * round)).await;
            for _ in 0..200 {
                match give_up(&from, &to).await {
                    Err(error) if error.message.contains("no move of the store") => {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                    outcome => return outcome.is_ok(),
                }
            }
            false
        };
        let (made, given_up) = tokio::join!(moved(&from, &to), giving_up);
        let takes_work = |path: &Path| SqliteStore::open(SqliteConfig::new(Location::File(path.into()))).is_ok();
        assert_eq!(made.is_ok(), !given_up, "{made:?}");
        assert_eq!(
            (takes_work(&a), takes_work(&b)),
            (given_up, made.is_ok()),
            "round {round}: {made:?}"
        );
    }
}

#[tokio::test]
async fn a_move_whose_new_store_is_gone_is_not_said_to_be_done_and_can_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.db"), folder.path().join("b.db"));
    filled(&a, 10).await;
    move_all(&file(&a), &file(&b)).await;
    std::fs::remove_file(&b).unwrap();
    let error = moved(&file(&a), &file(&b)).await.unwrap_err();
    assert!(error.message.contains("is not there any more"), "{error:?}");
    filled(&b, 1).await;
    let error = moved(&file(&a), &file(&b)).await.unwrap_err();
    assert!(error.message.contains("another one is in its place"), "{error:?}");
    give_up(&file(&a), &file(&b)).await.unwrap();
    assert_eq!((count(&*open(&a)).await, count(&*open(&b)).await), (11, 2));
}

/// One store by two names is not moved to itself.
#[tokio::test]
async fn a_store_is_not_moved_to_itself_by_another_name() {
    let Some(schema) = schema("a_store_is_not_moved_to_itself_by_another_name") else {
        return;
    };
    let address = |host: &str| {
        let url = schema.url_with("").replace("127.0.0.1", host);
        crate::store::postgres::Address::parse(&url).unwrap()
    };
    let (one, other) = (
        PostgresPlace::new(address("127.0.0.1")),
        PostgresPlace::new(address("localhost")),
    );
    if one.label() == other.label() {
        // The server of the tests has another name.
        return;
    }
    schema.open().await.close().await.unwrap();
    let error = moved(&one, &other).await.unwrap_err();
    assert!(error.message.contains("by another name"), "{error:?}");
    schema.open().await.close().await.unwrap();
}
