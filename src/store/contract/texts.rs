//! Columns with payloads, read row by row and replaced.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

use super::test_support::*;
use super::webhooks::webhook;
use crate::model::job::Session;
use crate::model::{EventKind, JobOptions, NewJob, RunError, RunOutcome};
use crate::store::{
    Change, ClaimRef, DeliveryReport, Entry, EntryKey, EntryKind, MAX_TEXT_PAGE_BYTES, Note, NoteKind, Step,
    StoredText, TextColumn, TextKey, TextQuery, TextReplacement,
};
use std::collections::HashMap;

/// What stands in every payload that [`fill`] writes.
pub const MARKER: &str = "MARKER-7f3a";

/// Payloads of [`fill`], by column.
pub const FILLED: [(TextColumn, usize); 12] = [
    (TextColumn::Inputs, 3),
    (TextColumn::Options, 1),
    (TextColumn::Results, 1),
    (TextColumn::Errors, 1),
    (TextColumn::Steps, 1),
    (TextColumn::Progress, 1),
    (TextColumn::LogLines, 1),
    (TextColumn::Entries, 2),
    (TextColumn::WebhookSecrets, 1),
    (TextColumn::WebhookErrors, 1),
    (TextColumn::CancelReasons, 1),
    (TextColumn::EventErrors, 1),
];

pub fn entry_at(kind: EntryKind) -> EntryKey {
    EntryKey {
        kind,
        space: "space".into(),
        key: "key".into(),
    }
}

/// A job that completed, one that failed, and a series that was cancelled; a webhook, an event, and two entries.
pub async fn fill(s: &TestStore) {
    let with_marker = |text: &str| NewJob {
        input: format!("{{\"input\":\"{MARKER}\"}}").into(),
        ..one_off(text)
    };
    let session = Session {
        tag: "user".into(),
        token: MARKER.into(),
    };
    let done = NewJob {
        options: JobOptions {
            session: Some(session),
            ..JobOptions::default()
        },
        ..with_marker("done")
    };
    let process = s.process().await;
    s.add(done).await;
    let run = s.claim_one(process, T0).await;
    let step = Step {
        tag: "step".into(),
        result: Some(format!("\"step {MARKER}\"").into()),
    };
    s.store.record_step(ClaimRef::of(process, &run), step).await.unwrap();
    let note = |kind| Note {
        job: run.job,
        created: run.created,
        run: run.run,
        attempt: 1,
        at: T0,
        kind,
    };
    let notes = [
        NoteKind::Progress(format!("\"progress {MARKER}\"").into()),
        NoteKind::Log(format!("log {MARKER}").into()),
    ];
    s.store.save_notes(notes.map(note).into()).await.unwrap();
    let result = Some(format!("\"result {MARKER}\"").into());
    s.complete(process, &run, RunOutcome::Completed { result }, T0 + 2)
        .await;
    // Steps of a run that completed are gone.
    s.add(series("going")).await;
    let webhook = webhook("a", &[EventKind::Failed]);
    let id = webhook.id.clone();
    let webhook = crate::store::NewWebhook {
        secret: crate::model::WebhookSecret::parse(&format!("a secret of 24 bytes: {MARKER}")).unwrap(),
        ..webhook
    };
    s.store.set_webhook(webhook, 10, T0).await.unwrap();
    let report = DeliveryReport::Failed {
        error: format!("delivery {MARKER}").into(),
        given_up: true,
        gone: None,
    };
    s.store.note_delivery(&id, report, T0).await.unwrap();
    s.add(with_marker("failed")).await;
    let run = s.claim_one(process, T0 + 3).await;
    let step = Step {
        tag: "step".into(),
        result: Some(format!("\"step {MARKER}\"").into()),
    };
    s.store.record_step(ClaimRef::of(process, &run), step).await.unwrap();
    let stack = format!("stack {MARKER}");
    let error = RunError::new("E_CODE", &format!("message {MARKER}"), Some(&stack));
    s.complete(process, &run, RunOutcome::Failed { error }, T0 + 4).await;
    let reason = Some(format!("reason {MARKER}").into());
    s.change("going", Change::Cancel { reason }, T0 + 5).await;
    for kind in [EntryKind::Cache, EntryKind::Session] {
        let entry = Entry {
            at: entry_at(kind),
            value: format!("value {MARKER}").into(),
            expires: T0 + DAY,
        };
        s.store.put_entry(entry).await.unwrap();
    }
}

/// All texts of a column that do not hold `except`, read `limit` rows at a time.
pub async fn texts_of(s: &TestStore, column: TextColumn, except: &str, limit: usize) -> Vec<StoredText> {
    let (mut texts, mut after) = (Vec::new(), Some(TextKey::first()));
    let mut pages = 0;
    while let Some(key) = after {
        let query = TextQuery {
            column,
            after: key,
            except: except.into(),
            limit,
        };
        let page = s.store.texts_after(query).await.unwrap();
        texts.extend(page.texts);
        after = page.next;
        pages += 1;
        assert!(pages < 1_000, "{column:?} has no end");
    }
    texts
}

fn replacement(stored: &StoredText, before: &str, after: &str) -> TextReplacement {
    TextReplacement {
        key: stored.key.clone(),
        before: before.into(),
        after: after.into(),
        digest: None,
    }
}

pub async fn texts_of_every_column_are_read_row_by_row(s: &TestStore) {
    fill(s).await;
    for (column, count) in FILLED {
        let texts = texts_of(s, column, "?", 1).await;
        assert_eq!(texts.len(), count, "{column:?}: {texts:?}");
        assert_eq!(texts, texts_of(s, column, "?", 100).await, "{column:?}");
        let has_id = texts.iter().all(|stored| stored.id.is_some());
        assert_eq!(has_id, matches!(column, TextColumn::Inputs | TextColumn::Options));
    }
    let ids = texts_of(s, TextColumn::Inputs, "?", 2).await;
    let ids: Vec<_> = ids.into_iter().filter_map(|stored| stored.id).collect();
    assert_eq!(ids, ["done", "going", "failed"].map(id));
    let urls = texts_of(s, TextColumn::WebhookSecrets, "?", 2).await;
    assert_eq!(&*urls[0].webhook, "a");
    let webhooks = texts_of(s, TextColumn::WebhookErrors, "?", 2).await;
    assert_eq!(&*webhooks[0].webhook, "wh_a");
}

pub async fn text_is_replaced_only_while_it_is_what_was_read(s: &TestStore) {
    fill(s).await;
    for (column, count) in FILLED {
        let texts = texts_of(s, column, "?", 100).await;
        let new = |stored: &StoredText| format!("{} ", stored.text);
        let changed = texts.iter().map(|stored| replacement(stored, "something else", "x"));
        assert_eq!(s.store.replace_texts(column, changed.collect()).await.unwrap(), 0);
        let all = texts
            .iter()
            .map(|stored| replacement(stored, &stored.text, &new(stored)));
        let all: Vec<_> = all.collect();
        assert_eq!(
            s.store.replace_texts(column, all.clone()).await.unwrap(),
            count,
            "{column:?}"
        );
        assert_eq!(s.store.replace_texts(column, all).await.unwrap(), 0, "{column:?}");
        let read: HashMap<_, _> = texts_of(s, column, "?", 100)
            .await
            .into_iter()
            .map(|stored| (format!("{:?}", stored.key), stored.text.into_string()))
            .collect();
        for stored in &texts {
            assert_eq!(read[&format!("{:?}", stored.key)], new(stored), "{column:?}");
        }
        // So that what is checked at the end can be read.
        let back = texts
            .iter()
            .map(|stored| replacement(stored, &new(stored), &stored.text));
        s.store.replace_texts(column, back.collect()).await.unwrap();
    }
}

pub async fn texts_that_begin_with_what_is_excepted_are_passed_over(s: &TestStore) {
    fill(s).await;
    for (column, count) in FILLED {
        let texts = texts_of(s, column, "?", 100).await;
        let first: String = texts[0].text.chars().take(12).collect();
        let others = texts.iter().filter(|stored| !stored.text.starts_with(&first)).count();
        assert_eq!(
            texts_of(s, column, &first, 1).await.len(),
            others,
            "{column:?} of {count}"
        );
        let second = &first[1..];
        let within = matches!(
            column,
            TextColumn::Options | TextColumn::Errors | TextColumn::EventErrors
        );
        let expected = if within { 0 } else { count };
        assert_eq!(texts_of(s, column, second, 100).await.len(), expected, "{column:?}");
    }
}

pub async fn page_of_large_texts_is_bounded_by_their_bytes(s: &TestStore) {
    let large = format!("\"{}\"", "x".repeat(MAX_TEXT_PAGE_BYTES * 2 / 3));
    for text in ["a", "b", "c"] {
        s.add(NewJob {
            input: large.as_str().into(),
            ..one_off(text)
        })
        .await;
    }
    let mut after = TextKey::first();
    let mut seen = 0;
    loop {
        let query = TextQuery {
            column: TextColumn::Inputs,
            after,
            except: "?".into(),
            limit: 100,
        };
        let page = s.store.texts_after(query).await.unwrap();
        assert!(page.texts.len() < 3);
        seen += page.texts.len();
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen, 3);
}

pub async fn replaced_input_with_a_digest_identifies_its_series(s: &TestStore) {
    let anonymous = |digest: &str| NewJob {
        id: crate::model::JobId::generate(),
        input_digest: Some(digest.into()),
        ..series("unused")
    };
    // Without keys of its own the store compares by what the job says.
    if !s.store.encryption_keys().await.unwrap().is_empty() {
        return;
    }
    let first = anonymous("one");
    let first_id = first.id.clone();
    s.add(first).await;
    let stored = texts_of(s, TextColumn::Inputs, "?", 10).await.remove(0);
    let replacement = TextReplacement {
        digest: Some("two".into()),
        ..replacement(&stored, &stored.text, "{\"new\":1}")
    };
    let replaced = s.store.replace_texts(TextColumn::Inputs, vec![replacement]).await;
    assert_eq!(replaced.unwrap(), 1);
    assert_eq!(s.add(anonymous("one")).await, crate::store::Inserted::Created);
    assert_eq!(
        s.add(anonymous("two")).await,
        crate::store::Inserted::CreatedDuplicateSeries(first_id)
    );
}
