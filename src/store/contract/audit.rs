//! The audit log.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::store::{AuditEntry, MAX_AUDIT_ENTRIES};

fn entry(at: i64, id: &str) -> AuditEntry {
    AuditEntry {
        at,
        id: id.into(),
        who: "ann".into(),
        action: "jobs.cancel".into(),
        detail: r#"{"id":"x"}"#.into(),
    }
}

pub async fn entries_of_the_audit_log_are_told_newest_first(s: &TestStore) {
    for (at, id) in [(T0, "b"), (T0, "a"), (T0 + 1, "a"), (T0 + 1, "a")] {
        s.store.add_audit(entry(at, id)).await.unwrap();
    }
    let all = [entry(T0 + 1, "a"), entry(T0, "b"), entry(T0, "a")];
    assert_eq!(s.store.audit(None, 10).await.unwrap(), all);
    assert_eq!(s.store.audit(None, 1).await.unwrap(), all[..1]);
    let after = Some((T0 + 1, "a".into()));
    assert_eq!(s.store.audit(after, 10).await.unwrap(), all[1..]);
    assert!(s.store.audit(Some((T0, "a".into())), 10).await.unwrap().is_empty());
}

pub async fn only_the_newest_entries_of_the_audit_log_are_kept(s: &TestStore) {
    let count = i64::try_from(MAX_AUDIT_ENTRIES).unwrap();
    for chunk in (0..count + 2).collect::<Vec<_>>().chunks(500) {
        let mut adding = tokio::task::JoinSet::new();
        for at in chunk.iter().map(|n| T0 + n) {
            let store = std::sync::Arc::clone(&s.store);
            adding.spawn(async move { store.add_audit(entry(at, "x")).await });
        }
        for added in adding.join_all().await {
            added.unwrap();
        }
    }
    // Those that are added at the same time do not see each other.
    s.store.add_audit(entry(T0 + count + 2, "x")).await.unwrap();
    let kept = s.store.audit(None, MAX_AUDIT_ENTRIES + 10).await.unwrap();
    assert_eq!(kept.len(), MAX_AUDIT_ENTRIES);
    assert_eq!(kept.last().map(|entry| entry.at), Some(T0 + 3));
}
