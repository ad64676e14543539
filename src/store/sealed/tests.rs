//! Encryption around a real store: what reaches its columns, rotation, missing keys, and what was tampered with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{EncryptionKey, KEY_BYTES, Keyring, SealedStore};
use crate::error::ErrorCode;
use crate::model::job::Session;
use crate::model::{JobId, JobOptions, NewJob, RunOutcome};
use crate::store::contract::TestStore;
use crate::store::contract::test_support::{T0, id, one_off, series};
use crate::store::contract::texts::{FILLED, MARKER, entry_at, fill, texts_of};
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use crate::store::{
    ClaimRef, EntryKind, Inserted, ResealPosition, Step, Store, StoredText, TextColumn, TextReplacement, TextStore,
    Unreadable,
};
use std::sync::Arc;

/// The same store with its payloads sealed by the first of these keys.
pub(in crate::store) fn sealed(test_store: TestStore, keys: &[&str]) -> TestStore {
    let store = SealedStore::new(test_store.store, keyring(keys));
    TestStore { store, ..test_store }
}

/// Keys with these ids; those of the same id are the same.
fn keyring(ids: &[&str]) -> Arc<Keyring> {
    let key = |id: &&str| {
        let mut bytes = [7; KEY_BYTES];
        bytes.iter_mut().zip(id.bytes()).for_each(|(byte, other)| *byte = other);
        EncryptionKey {
            id: (*id).into(),
            bytes: bytes.into(),
        }
    };
    let keys: Vec<_> = ids.iter().map(key).collect();
    if keys.is_empty() {
        return Arc::default();
    }
    Keyring::new(&keys, "encryptionKeys").unwrap().into()
}

/// One database, as processes with these keys see it.
struct Database(Arc<SqliteStore>);

impl Database {
    fn new() -> Self {
        Self(SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap())
    }

    /// As a process with these keys sees it.
    fn with_keys(&self, keys: &[&str]) -> TestStore {
        self.seen_through(SealedStore::new(self.plain(), keyring(keys)))
    }

    /// As it is.
    fn as_it_is(&self) -> TestStore {
        self.seen_through(self.plain())
    }

    fn plain(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    fn seen_through(&self, store: Arc<dyn Store>) -> TestStore {
        TestStore {
            store,
            lease_clock: Arc::default(),
            boot: Arc::default(),
            check: Box::new(|| Box::pin(async {})),
            kill: Box::new(|_| {}),
            keep: Box::new(()),
        }
    }

    /// All texts with payloads, as they are stored.
    async fn texts(&self) -> Vec<(TextColumn, StoredText)> {
        let mut all = Vec::new();
        for column in TextColumn::ALL {
            let texts = texts_of(&self.as_it_is(), column, "?", 100).await;
            all.extend(texts.into_iter().map(|stored| (column, stored)));
        }
        all
    }

    /// Puts the text of one row in the place of that of another.
    async fn copy(&self, column: TextColumn, from: usize, to: usize) {
        let texts = texts_of(&self.as_it_is(), column, "?", 100).await;
        let replacement = TextReplacement {
            key: texts[to].key.clone(),
            before: texts[to].text.clone(),
            after: texts[from].text.clone(),
            digest: None,
        };
        assert_eq!(self.0.replace_texts(column, vec![replacement]).await.unwrap(), 1);
    }
}

/// Seals all anew; returns how many texts were and how many could not be.
async fn reseal(s: &TestStore, limit: usize) -> (usize, usize) {
    let (mut from, mut total) = (Some(ResealPosition::first()), (0, 0));
    while let Some(position) = from {
        let part = s.store.reseal(position, limit).await.unwrap();
        assert_eq!(part.changed, 0);
        total = (total.0 + part.sealed, total.1 + part.unreadable);
        from = part.next;
    }
    total
}

/// Everything that [`fill`] wrote, as it is shown.
async fn shown(s: &TestStore) -> String {
    let (done, failed, going) = (
        s.record("done").await,
        s.record("failed").await,
        s.record("going").await,
    );
    let histories = [
        s.store.history(&id("done"), 10).await.unwrap(),
        s.store.history(&id("failed"), 10).await.unwrap(),
    ];
    let logs = s.store.logs(&id("done")).await.unwrap();
    let steps = s.store.steps(failed.job, 1).await.unwrap();
    let entry = s.store.entry(entry_at(EntryKind::Session), T0).await.unwrap();
    let webhooks = s.store.webhooks().await.unwrap();
    let secrets: Vec<_> = webhooks.iter().map(|webhook| webhook.secret.expose()).collect();
    let events = s.store.outbox(10).await.unwrap();
    format!(
        "{done:?} {failed:?} {going:?} {histories:?} {logs:?} {steps:?} {entry:?} {webhooks:?} {secrets:?} {events:?}"
    )
}

#[tokio::test]
async fn no_payload_reaches_the_store_as_it_is_and_all_are_shown() {
    let (clear, sealed) = (Database::new(), Database::new());
    fill(&clear.with_keys(&[])).await;
    fill(&sealed.with_keys(&["k1"])).await;
    let (of_clear, of_sealed) = (clear.texts().await, sealed.texts().await);
    assert_eq!(of_clear.len(), FILLED.iter().map(|(_, count)| count).sum::<usize>());
    assert_eq!(of_clear.len(), of_sealed.len());
    for ((column, clear), (_, sealed)) in of_clear.iter().zip(&of_sealed) {
        let is_series = clear.text.contains("going");
        assert!(is_series || clear.text.contains(MARKER), "{column:?} {clear:?}");
        assert!(!sealed.text.contains(MARKER), "{column:?} {sealed:?}");
        assert!(
            sealed.text.contains("$sealed\":\"k1:") || sealed.text.contains("$sealed:k1:"),
            "{column:?}"
        );
    }
    assert_eq!(shown(&clear.as_it_is()).await, shown(&sealed.with_keys(&["k1"])).await);
    assert!(!shown(&sealed.with_keys(&["k1"])).await.contains("$sealed"));
}

#[tokio::test]
async fn rotation_seals_everything_anew_once() {
    for limit in [1, 2, 100] {
        let database = Database::new();
        fill(&database.with_keys(&["k1"])).await;
        let before = shown(&database.with_keys(&["k1"])).await;
        let count = database.texts().await.len();
        let rotated = database.with_keys(&["k2", "k1"]);
        assert_eq!(shown(&rotated).await, before);
        assert_eq!(reseal(&rotated, limit).await, (count, 0));
        assert_eq!(reseal(&rotated, limit).await, (0, 0));
        for (column, stored) in database.texts().await {
            assert!(
                !stored.text.contains("k1:") && stored.text.contains("k2:"),
                "{column:?}"
            );
        }
        assert_eq!(shown(&database.with_keys(&["k2"])).await, before);
    }
}

#[tokio::test]
async fn what_was_clear_is_sealed() {
    let database = Database::new();
    fill(&database.with_keys(&[])).await;
    let before = shown(&database.as_it_is()).await;
    let with_keys = database.with_keys(&["k1"]);
    assert_eq!(shown(&with_keys).await, before);
    assert_eq!(reseal(&with_keys, 3).await, (database.texts().await.len(), 0));
    assert!(
        database
            .texts()
            .await
            .iter()
            .all(|(_, stored)| !stored.text.contains(MARKER))
    );
    assert_eq!(shown(&with_keys).await, before);
}

#[tokio::test]
async fn texts_of_a_missing_key_are_left() {
    let database = Database::new();
    fill(&database.with_keys(&["k1"])).await;
    let texts = database.texts().await;
    assert_eq!(reseal(&database.with_keys(&["k2"]), 10).await, (0, texts.len()));
    assert_eq!(database.texts().await, texts);
    // Without keys nobody seals.
    assert_eq!(reseal(&database.with_keys(&[]), 10).await, (0, 0));
}

#[tokio::test]
async fn without_the_key_markers_are_shown_and_no_list_fails() {
    let database = Database::new();
    fill(&database.with_keys(&["k1"])).await;
    for keys in [&[][..], &["k2"]] {
        let s = database.with_keys(keys);
        let listed = s
            .store
            .list(crate::store::ListFilter {
                limit: 10,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(listed.jobs.len(), 3);
        let (done, failed) = (s.record("done").await, s.record("failed").await);
        assert_eq!(&*done.input, "{\"$encrypted\":\"k1\"}");
        assert_eq!(done.result.as_deref(), Some("{\"$encrypted\":\"k1\"}"));
        assert_eq!(done.progress.as_deref(), Some("{\"$encrypted\":\"k1\"}"));
        let error = failed.error.unwrap();
        assert_eq!((&*error.code, &*error.message), ("E_CODE", "[encrypted: k1]"));
        assert_eq!(
            s.record("going").await.cancel_reason.as_deref(),
            Some("[encrypted: k1]")
        );
        assert_eq!(
            &*s.store.logs(&id("done")).await.unwrap().unwrap()[0].message,
            "[encrypted: k1]"
        );
        assert_eq!(
            s.store.steps(failed.job, 1).await.unwrap_err().code,
            ErrorCode::StoreError
        );
        assert_eq!(s.store.entry(entry_at(EntryKind::Cache), T0).await.unwrap(), None);
        let session = s.store.entry(entry_at(EntryKind::Session), T0).await.unwrap_err();
        assert!(
            session.message.contains("'k1'") && session.message.contains("encryptionKeys"),
            "{session}"
        );
        let webhook = s.store.webhooks().await.unwrap().remove(0);
        assert_eq!(webhook.unreadable, Some(Unreadable::MissingKey("k1".into())));
    }
}

#[tokio::test]
async fn claimed_run_says_that_its_input_or_token_cannot_be_read() {
    let database = Database::new();
    let s = database.with_keys(&["k1"]);
    s.add(one_off("a")).await;
    let process = s.process().await;
    let keyless = database.with_keys(&[]).claim(process, T0).await.remove(0);
    assert_eq!(
        keyless.unreadable.as_deref(),
        Some(&Unreadable::MissingKey("k1".into()))
    );
    assert_eq!(&*keyless.input, "{\"$encrypted\":\"k1\"}");
    s.complete(process, &keyless, RunOutcome::Released, T0).await;
    let run = s.claim_one(process, T0).await;
    assert_eq!((&*run.input, &run.unreadable), ("{\"id\":\"a\"}", &None));
    s.complete(process, &run, RunOutcome::Completed { result: None }, T0 + 1)
        .await;
    let session = Session {
        tag: "user".into(),
        token: "t".into(),
    };
    let options = JobOptions {
        session: Some(session.clone()),
        tags: vec!["x".into()],
        ..JobOptions::default()
    };
    s.add(NewJob {
        options: options.clone(),
        ..one_off("b")
    })
    .await;
    let run = s.claim_one(process, T0).await;
    let read: JobOptions = serde_json::from_str(run.options.as_deref().unwrap()).unwrap();
    assert_eq!(read, options);
}

#[tokio::test]
async fn text_that_was_moved_to_another_job_does_not_open() {
    let database = Database::new();
    let s = database.with_keys(&["k1"]);
    s.add(one_off("a")).await;
    s.add(one_off("b")).await;
    database.copy(TextColumn::Inputs, 0, 1).await;
    let process = s.process().await;
    let runs = s.claim(process, T0).await;
    assert_eq!(runs[0].unreadable, None);
    assert_eq!(runs[1].unreadable.as_deref(), Some(&Unreadable::Damaged("k1".into())));
    assert_eq!(&*s.record("b").await.input, "{\"$encrypted\":\"k1\",\"damaged\":true}");
    for (run, tag) in runs.iter().zip(["one", "one"]) {
        let step = Step {
            tag: tag.into(),
            result: Some("1".into()),
        };
        s.store.record_step(ClaimRef::of(process, run), step).await.unwrap();
    }
    database.copy(TextColumn::Steps, 0, 1).await;
    assert_eq!(
        s.store.steps(runs[1].job, 1).await.unwrap_err().code,
        ErrorCode::StoreCorrupt
    );
}

#[tokio::test]
async fn inputs_that_look_sealed_stay_what_they_are() {
    let look_alike: Box<str> = "{\"$sealed\":\"k1:AAAA\"}".into();
    let database = Database::new();
    let job = |text: &str| NewJob {
        input: look_alike.clone(),
        ..one_off(text)
    };
    database.with_keys(&[]).add(job("before")).await;
    database.with_keys(&["k1"]).add(job("after")).await;
    for keys in [&["k1"][..], &["k2", "k1"]] {
        let s = database.with_keys(keys);
        assert_eq!(s.record("before").await.input, look_alike);
        assert_eq!(s.record("after").await.input, look_alike);
        assert_eq!(reseal(&s, 10).await.1, 0);
    }
    assert_eq!(database.with_keys(&["k2"]).record("before").await.input, look_alike);
}

#[tokio::test]
async fn a_series_that_is_dispatched_again_is_known_after_rotation() {
    let database = Database::new();
    let anonymous = || NewJob {
        id: JobId::generate(),
        ..series("unused")
    };
    let first = anonymous();
    let known = Inserted::CreatedDuplicateSeries(first.id.clone());
    assert_eq!(database.with_keys(&["k1"]).add(first).await, Inserted::Created);
    assert_eq!(database.with_keys(&["k1"]).add(anonymous()).await, known);
    let rotated = database.with_keys(&["k2", "k1"]);
    assert_eq!(reseal(&rotated, 10).await, (2, 0));
    assert_eq!(rotated.add(anonymous()).await, known);
    // Its input is sealed differently each time, and its schedule goes on.
    rotated.add(series("chosen")).await;
    let next = rotated.record("chosen").await.next_run_at;
    assert!(matches!(rotated.add(series("chosen")).await, Inserted::Replaced(_)));
    assert_eq!(rotated.record("chosen").await.next_run_at, next);
}

#[tokio::test]
async fn a_change_meanwhile_is_never_overwritten() {
    let database = Database::new();
    database.with_keys(&["k1"]).add(one_off("a")).await;
    let stale = texts_of(&database.as_it_is(), TextColumn::Inputs, "?", 10)
        .await
        .remove(0);
    let rotated = database.with_keys(&["k2", "k1"]);
    let replaced = NewJob {
        input: "\"new\"".into(),
        on_conflict: crate::model::OnConflict::Replace,
        ..one_off("a")
    };
    rotated.add(replaced).await;
    let replacement = TextReplacement {
        key: stale.key,
        before: stale.text.clone(),
        after: stale.text,
        digest: None,
    };
    let written = database.0.replace_texts(TextColumn::Inputs, vec![replacement]).await;
    assert_eq!(written.unwrap(), 0);
    assert_eq!(&*rotated.record("a").await.input, "\"new\"");
}

#[tokio::test]
async fn who_seals_writes_down_with_which_key() {
    let database = Database::new();
    let mark = async |key: &str| database.0.metadata(&crate::store::sealing_mark(key)).await.unwrap();
    database.with_keys(&[]).add(one_off("a")).await;
    assert_eq!(mark("k1").await, None);
    database.with_keys(&["k1"]).add(one_off("b")).await;
    let first = mark("k1").await;
    assert!(first.is_some());
    database.with_keys(&["k1"]).add(one_off("c")).await;
    assert_ne!(mark("k1").await, first);
}

#[tokio::test]
async fn who_knows_the_newer_key_seals_with_it_as_soon_as_anybody_does() {
    let database = Database::new();
    let sealed_with = async |text: &str| {
        let texts = texts_of(&database.as_it_is(), TextColumn::Inputs, "?", 10).await;
        let stored = texts
            .into_iter()
            .find(|stored| stored.id == Some(id(text)))
            .unwrap()
            .text;
        stored.split(['"', ':']).nth(4).unwrap().to_owned()
    };
    let [both, newer] = [&["k1", "k2"][..], &["k2", "k1"]];
    // The first step of a change of keys: nothing is sealed with the new one.
    let early = database.with_keys(both);
    early.add(one_off("a")).await;
    assert_eq!(
        early.store.encryption_keys().await.unwrap(),
        ["k1".into(), "k2".into()] as [Box<str>; 2]
    );
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    database.with_keys(newer).add(one_off("b")).await;
    // One that has the old key in front, and has not sealed for long.
    let late = database.with_keys(both);
    late.add(one_off("c")).await;
    assert_eq!(
        late.store.encryption_keys().await.unwrap(),
        ["k2".into(), "k1".into()] as [Box<str>; 2]
    );
    for (text, key) in [("a", "k1"), ("b", "k2"), ("c", "k2")] {
        assert_eq!(sealed_with(text).await, key, "{text}");
    }
    // It undoes nothing.
    assert_eq!(reseal(&late, 10).await, (1, 0));
    assert_eq!(sealed_with("b").await, "k2");
    // One that does not have it goes on with its own.
    database.with_keys(&["k1"]).add(one_off("d")).await;
    assert_eq!(sealed_with("d").await, "k1");
}

#[tokio::test]
async fn a_large_input_is_sealed_and_opened_elsewhere() {
    let database = Database::new();
    let s = database.with_keys(&["k1"]);
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    s.add(NewJob {
        input: large.as_str().into(),
        ..one_off("a")
    })
    .await;
    assert_eq!(&*s.record("a").await.input, large);
    let process = s.process().await;
    assert_eq!(&*s.claim_one(process, T0).await.input, large);
}
