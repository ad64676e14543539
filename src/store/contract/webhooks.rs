//! Webhooks, the outbox of events, and deliveries.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc
)]

use super::test_support::*;
use crate::model::{EventKind, EventMask, JobId, Namespace, NewJob, Route, RunOutcome, Status, WebhookSecret};
use crate::store::{
    Change, DeliveryReport, ListFilter, NewWebhook, RecoverParams, RelayedEvent, StoredEvent, Webhook, WebhookSet,
};

const SECRET: &str = "a plain text of 24 bytes";

pub fn webhook(url: &str, kinds: &[EventKind]) -> NewWebhook {
    NewWebhook {
        id: format!("wh_{url}").into(),
        url: url.into(),
        events: EventMask::of(kinds),
        secret: WebhookSecret::parse(SECRET).unwrap(),
    }
}

async fn set(s: &TestStore, url: &str, kinds: &[EventKind]) -> Webhook {
    match s.store.set_webhook(webhook(url, kinds), 10, T0).await.unwrap() {
        WebhookSet::Done(webhook) => webhook,
        WebhookSet::Full => panic!("full"),
    }
}

async fn events(s: &TestStore) -> Vec<StoredEvent> {
    s.store.outbox(100).await.unwrap()
}

async fn kinds(s: &TestStore) -> Vec<(EventKind, String, Status)> {
    let events = events(s).await;
    events
        .into_iter()
        .map(|event| (event.kind, event.id.to_string(), event.status))
        .collect()
}

fn delivery(event: &StoredEvent) -> NewJob {
    NewJob {
        id: JobId::generate(),
        route: Route {
            namespace: Namespace::Webhooks,
            product: "".into(),
            env: "".into(),
            target: vec!["wh_a".into()],
        }
        .into(),
        input: format!("{{\"seq\":{}}}", event.seq).into(),
        ..one_off("unused")
    }
}

pub async fn a_webhook_is_kept_with_its_secret(s: &TestStore) {
    let made = set(s, "a", &[EventKind::Failed]).await;
    set(s, "b", &[EventKind::Completed]).await;
    let all = s.store.webhooks().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0], made);
    assert_eq!((&*made.url, made.secret.expose(), made.created_at), ("a", SECRET, T0));
    assert_eq!((made.failed_count, made.disabled_at), (0, None));
}

pub async fn a_webhook_that_is_set_again_keeps_its_id(s: &TestStore) {
    let first = set(s, "a", &[EventKind::Failed]).await;
    let again = NewWebhook {
        id: "another".into(),
        ..webhook("a", &[EventKind::Completed])
    };
    let WebhookSet::Done(second) = s.store.set_webhook(again, 1, T0 + 5).await.unwrap() else {
        panic!("full")
    };
    assert_eq!(
        (&second.id, second.created_at, second.updated_at),
        (&first.id, T0, T0 + 5)
    );
    assert_eq!(second.events, EventMask::of(&[EventKind::Completed]));
    assert_eq!(s.store.webhooks().await.unwrap(), [second]);
}

pub async fn webhooks_beyond_the_limit_are_refused(s: &TestStore) {
    set(s, "a", &[EventKind::Failed]).await;
    let answer = s.store.set_webhook(webhook("b", &[EventKind::Failed]), 1, T0).await;
    assert_eq!(answer.unwrap(), WebhookSet::Full);
    assert_eq!(s.store.webhooks().await.unwrap().len(), 1);
}

pub async fn a_webhook_is_deleted_by_its_id_or_url(s: &TestStore) {
    set(s, "a", &[EventKind::Scheduled]).await;
    set(s, "b", &[EventKind::Scheduled]).await;
    assert!(s.store.delete_webhook("wh_a").await.unwrap());
    assert!(!s.store.delete_webhook("wh_a").await.unwrap());
    assert!(s.store.delete_webhook("b").await.unwrap());
    s.add(one_off("x")).await;
    assert_eq!(events(s).await, []);
}

pub async fn without_a_webhook_nothing_is_written_to_the_outbox(s: &TestStore) {
    set(s, "a", &[EventKind::Paused]).await;
    let process = s.process().await;
    s.add(one_off("x")).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, done(), T0).await;
    assert_eq!(events(s).await, []);
}

pub async fn each_subscribed_change_is_one_event(s: &TestStore) {
    set(s, "a", &EventKind::DELIVERED_TO_WEBHOOKS).await;
    let process = s.process().await;
    s.add(one_off("x")).await;
    let run = s.claim_one(process, T0 + 1).await;
    s.complete(process, &run, done(), T0 + 2).await;
    s.add(one_off("y")).await;
    s.change("y", pause(), T0).await;
    s.change("y", resume(None), T0).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, failed(), T0 + 3).await;
    s.change("y", Change::Retry { due: T0 + DAY }, T0).await;
    s.change("y", Change::Cancel { reason: None }, T0).await;
    use EventKind::*;
    let expected = [
        (Scheduled, "x", Status::Queued),
        (Started, "x", Status::Running),
        (Completed, "x", Status::Completed),
        (Scheduled, "y", Status::Queued),
        (Paused, "y", Status::Paused),
        (Resumed, "y", Status::Queued),
        (Started, "y", Status::Running),
        (Failed, "y", Status::Failed),
        (Scheduled, "y", Status::Scheduled),
        (Cancelled, "y", Status::Cancelled),
    ];
    let expected: Vec<_> = expected.map(|(kind, id, status)| (kind, id.to_owned(), status)).into();
    assert_eq!(kinds(s).await, expected);
    let events = events(s).await;
    let counts: Vec<i64> = events.iter().map(|event| event.execution_count).collect();
    assert_eq!(counts, [0, 0, 1, 0, 0, 0, 0, 1, 1, 2]);
    assert_eq!((events[1].at, events[2].at, events[7].at), (T0 + 1, T0 + 2, T0 + 3));
    let error = events[7].error.as_ref().unwrap();
    assert_eq!(
        (&*error.code, &*error.message, &error.stack),
        ("Error", "it broke", &None)
    );
}

pub async fn changes_without_effect_leave_no_event(s: &TestStore) {
    set(s, "a", &EventKind::DELIVERED_TO_WEBHOOKS).await;
    let process = s.process().await;
    s.add(one_off("x")).await;
    s.add(one_off("x")).await;
    s.change("x", resume(None), T0).await;
    s.change("nobody", pause(), T0).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, retry(T0), T0).await;
    s.complete(process, &run, done(), T0).await;
    s.change("x", Change::Delete, T0).await;
    assert_eq!(
        kinds(s).await.into_iter().map(|(kind, ..)| kind).collect::<Vec<_>>(),
        [EventKind::Scheduled, EventKind::Started]
    );
}

pub async fn the_runs_of_a_series_are_events_and_its_occurrences_are_not(s: &TestStore) {
    set(s, "a", &EventKind::DELIVERED_TO_WEBHOOKS).await;
    let process = s.process().await;
    s.add(series("x")).await;
    s.add(NewJob {
        due: None,
        ..series("over")
    })
    .await;
    s.run_due_occurrence(T0, Some(T0 + 1_000)).await;
    let run = s.claim_one(process, T0 + 5).await;
    s.complete(process, &run, done(), T0 + 9).await;
    s.run_due_occurrence(T0 + 1_000, Some(T0 + 2_000)).await;
    s.change("x", Change::CancelRun { reason: None }, T0 + 1_001).await;
    s.change("x", by(every(3_000), Some(T0 + 3_000)), T0 + 1_002).await;
    let seen: Vec<_> = events(s)
        .await
        .into_iter()
        .map(|event| (event.kind, event.status, event.scheduled_at, event.execution_count))
        .collect();
    let expected = [
        (EventKind::Scheduled, Status::Scheduled, T0, 0),
        (EventKind::Started, Status::Running, T0, 0),
        (EventKind::Completed, Status::Scheduled, T0, 1),
        (EventKind::Scheduled, Status::Scheduled, T0 + 3_000, 2),
    ];
    assert_eq!(seen, expected);
}

pub async fn a_run_that_crashed_too_often_is_an_event(s: &TestStore) {
    set(s, "a", &[EventKind::Failed]).await;
    let process = s.process().await;
    s.add(one_off("x")).await;
    s.claim_one(process, T0).await;
    s.crash(process);
    s.store.recover(RecoverParams::new(T0 + 7, 1)).await.unwrap();
    let events = events(s).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].at), (EventKind::Failed, T0 + 7));
    assert_eq!(&*events[0].error.as_ref().unwrap().code, "CRASHED");
}

pub async fn a_relayed_event_leaves_the_outbox_for_its_deliveries(s: &TestStore) {
    set(s, "a", &[EventKind::Scheduled]).await;
    s.insert(vec![one_off("x"), one_off("y")]).await;
    let events = events(s).await;
    let relayed: Vec<RelayedEvent> = events
        .iter()
        .map(|event| RelayedEvent {
            event: event.seq,
            deliveries: vec![delivery(event)],
        })
        .collect();
    assert_eq!(s.store.relay(relayed.clone(), T0).await.unwrap(), 2);
    assert_eq!(s.store.outbox(10).await.unwrap(), []);
    // Another process may have read the same events before.
    let late = relayed
        .into_iter()
        .zip(&events)
        .map(|(relayed, event)| RelayedEvent {
            deliveries: vec![delivery(event)],
            ..relayed
        })
        .collect();
    assert_eq!(s.store.relay(late, T0).await.unwrap(), 0);
    let process = s.process().await;
    let mut inputs: Vec<_> = s.claim(process, T0).await.into_iter().map(|run| run.input).collect();
    inputs.retain(|input| input.contains("seq"));
    assert_eq!(inputs, ["{\"seq\":1}", "{\"seq\":2}"].map(Box::<str>::from));
}

pub async fn deliveries_raise_no_events_and_leave_nothing_behind(s: &TestStore) {
    set(s, "a", &EventKind::DELIVERED_TO_WEBHOOKS).await;
    let process = s.process().await;
    s.add(NewJob {
        due: Some(T0 + DAY),
        ..one_off("x")
    })
    .await;
    let event = events(s).await.remove(0);
    let job = delivery(&event);
    let id = job.id.clone();
    let relayed = RelayedEvent {
        event: event.seq,
        deliveries: vec![job],
    };
    s.store.relay(vec![relayed], T0).await.unwrap();
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, retry(T0), T0).await;
    let run = s.claim_one(process, T0).await;
    s.complete(process, &run, RunOutcome::Discarded, T0).await;
    assert!(s.store.get(&id).await.unwrap().is_none());
    assert_eq!(events(s).await, []);
    let stats = s.store.stats(None).await.unwrap();
    assert_eq!(
        (stats.by_status, stats.first_try, stats.retries),
        ([1, 0, 0, 0, 0, 0, 0], 0, 0)
    );
    let all = ListFilter {
        limit: 10,
        ..ListFilter::default()
    };
    assert_eq!(s.list(all).await, ["x"]);
}

pub async fn delivery_results_are_recorded(s: &TestStore) {
    set(s, "a", &[EventKind::Scheduled]).await;
    let failure = |given_up| DeliveryReport::Failed {
        error: "HTTP 500".into(),
        given_up,
        gone: None,
    };
    s.store.note_delivery("wh_a", failure(false), T0 + 1).await.unwrap();
    s.store.note_delivery("wh_a", failure(true), T0 + 2).await.unwrap();
    s.store
        .note_delivery("wh_a", DeliveryReport::Delivered, T0 + 3)
        .await
        .unwrap();
    s.store.note_delivery("nobody", failure(true), T0).await.unwrap();
    let noted = s.store.webhooks().await.unwrap().remove(0);
    assert_eq!((noted.failed_at, noted.delivered_at), (Some(T0 + 2), Some(T0 + 3)));
    assert_eq!((noted.last_error.as_deref(), noted.failed_count), (Some("HTTP 500"), 1));
    assert_eq!(noted.disabled_at, None);
}

pub async fn gone_webhook_receives_nothing_until_set_again(s: &TestStore) {
    let webhook = set(s, "a", &[EventKind::Scheduled]).await;
    let gone = DeliveryReport::Failed {
        error: "HTTP 410".into(),
        given_up: true,
        gone: Some(webhook.updated_at),
    };
    s.store.note_delivery("wh_a", gone.clone(), T0 + 1).await.unwrap();
    s.add(one_off("x")).await;
    assert_eq!(events(s).await, []);
    assert_eq!(s.store.webhooks().await.unwrap()[0].disabled_at, Some(T0 + 1));
    // Set again within the same millisecond.
    let again = set(s, "a", &[EventKind::Scheduled]).await;
    assert_eq!((again.disabled_at, again.created_at), (None, webhook.created_at));
    assert!(again.updated_at > webhook.updated_at);
    // An answer to what was delivered before.
    s.store.note_delivery("wh_a", gone, T0 + 2).await.unwrap();
    assert_eq!(s.store.webhooks().await.unwrap()[0].disabled_at, None);
    s.add(one_off("y")).await;
    assert_eq!(events(s).await.len(), 1);
}

pub async fn an_event_outlives_its_job(s: &TestStore) {
    set(s, "a", &[EventKind::Scheduled]).await;
    s.add(one_off("x")).await;
    s.change("x", Change::Delete, T0).await;
    assert_eq!(events(s).await[0].id, id("x"));
}
