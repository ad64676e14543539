//! Entries: values with an expiry time.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::store::{Entry, EntryKey, EntryKind};

fn at(kind: EntryKind, space: &str, key: &str) -> EntryKey {
    EntryKey {
        kind,
        space: space.into(),
        key: key.into(),
    }
}

async fn put(s: &TestStore, at: EntryKey, value: &str, expires: i64) {
    let value = value.into();
    s.store.put_entry(Entry { at, value, expires }).await.unwrap();
}

pub async fn entry_exists_until_it_expires(s: &TestStore) {
    let key = at(EntryKind::Cache, "a", "k");
    put(s, key.clone(), "{\"v\":1}", T0 + 10).await;
    assert_eq!(
        s.store.entry(key.clone(), T0 + 9).await.unwrap().as_deref(),
        Some("{\"v\":1}")
    );
    assert_eq!(s.store.entry(key, T0 + 10).await.unwrap(), None);
    for other in [
        at(EntryKind::Session, "a", "k"),
        at(EntryKind::Cache, "b", "k"),
        at(EntryKind::Cache, "a", "l"),
    ] {
        assert_eq!(s.store.entry(other, T0).await.unwrap(), None);
    }
}

pub async fn put_replaces_an_existing_entry(s: &TestStore) {
    let key = at(EntryKind::Cache, "a", "k");
    put(s, key.clone(), "1", T0 + 10).await;
    put(s, key.clone(), "2", T0 + 20).await;
    assert_eq!(s.store.entry(key, T0 + 15).await.unwrap().as_deref(), Some("2"));
}

pub async fn entry_is_taken_exactly_once(s: &TestStore) {
    let key = at(EntryKind::Session, "a", "k");
    put(s, key.clone(), "1", T0 + 10).await;
    let both = tokio::join!(s.store.take_entry(key.clone(), T0), s.store.take_entry(key.clone(), T0));
    let got: Vec<_> = [both.0.unwrap(), both.1.unwrap()].into_iter().flatten().collect();
    assert_eq!(got, [Box::<str>::from("1")]);
    put(s, key.clone(), "1", T0 + 10).await;
    assert_eq!(s.store.take_entry(key.clone(), T0 + 10).await.unwrap(), None);
    assert_eq!(s.store.entry(key, T0).await.unwrap(), None);
}

pub async fn entries_of_a_space_are_cleared_together(s: &TestStore) {
    for n in 0..600 {
        put(s, at(EntryKind::Cache, "a", &n.to_string()), "1", T0 + 10).await;
    }
    put(s, at(EntryKind::Cache, "b", "k"), "1", T0 + 10).await;
    put(s, at(EntryKind::Session, "a", "k"), "1", T0 + 10).await;
    assert_eq!(s.store.clear_entries(EntryKind::Cache, "a").await.unwrap(), 600);
    assert_eq!(s.store.clear_entries(EntryKind::Cache, "a").await.unwrap(), 0);
    assert!(
        s.store
            .entry(at(EntryKind::Cache, "b", "k"), T0)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        s.store
            .entry(at(EntryKind::Session, "a", "k"), T0)
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn expired_and_excess_entries_are_swept(s: &TestStore) {
    for n in 0..10 {
        let key = n.to_string();
        put(s, at(EntryKind::Cache, "a", &key), "1", T0 + n).await;
        put(s, at(EntryKind::Session, "a", &key), "1", T0 + n).await;
    }
    assert_eq!(s.store.sweep_entries(T0 + 1, 100, 3).await.unwrap(), 3);
    assert_eq!(s.store.sweep_entries(T0 + 1, 100, 100).await.unwrap(), 1);
    // Of the eight entries left in the cache, those that expire last stay. Sessions have a limit of their own.
    assert_eq!(s.store.sweep_entries(T0 + 1, 5, 100).await.unwrap(), 3);
    let there = |kind, n: i64| s.store.entry(at(kind, "a", &n.to_string()), T0 + 1);
    assert!(there(EntryKind::Cache, 4).await.unwrap().is_none());
    assert!(there(EntryKind::Cache, 5).await.unwrap().is_some());
    assert!(there(EntryKind::Session, 2).await.unwrap().is_some());
}
