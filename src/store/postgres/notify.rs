//! Notifies other processes that there is something to claim, and listens for their notifications.
//!
//! A notification inside a transaction would serialise the commits of all processes, so it is sent separately, after the
//! commit, at most once in ten milliseconds. Invariant: notifications only reduce latency; a process that misses one polls
//! within a second.

use super::Inner;
use super::pool::{WriteOptions, with_session};
use super::session::{Connector, Session};
use crate::error::Result;
use crate::model::schedule::{FNV1A_OFFSET_BASIS, fnv1a};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Minimum time between two notifications of a process.
const MIN_NOTIFY_INTERVAL: Duration = Duration::from_millis(10);
/// How often a silent connection is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
/// How often to poll without a listening connection.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(5);

const CALL_NOTIFY: &str = include_str!("sql/call_notify.sql");

/// The notification channel of a schema.
fn channel(schema: &str) -> String {
    format!("ductape_{:016x}", fnv1a(FNV1A_OFFSET_BASIS, schema))
}

/// Sends notifications until the store is closed.
pub(super) async fn notify_others(inner: Arc<Inner>) {
    let channel = channel(&inner.connector.address.schema);
    loop {
        inner.wake_others.notified().await;
        if inner.is_closed() {
            return;
        }
        // On failure, the others poll.
        let _ = notify(&inner, &channel).await;
        tokio::time::sleep(MIN_NOTIFY_INTERVAL).await;
    }
}

async fn notify(inner: &Inner, channel: &str) -> Result<()> {
    let (channel, name) = (channel.to_owned(), inner.name.clone());
    with_session!(inner.urgent, WriteOptions::HEARTBEAT, |session| session
        .query(CALL_NOTIFY, &[&channel, &name]));
    Ok(())
}

/// Listens while there are subscribers, until the store is closed.
pub(super) async fn listen(inner: Arc<Inner>) {
    let mut watched = inner.watch_other_processes.subscribe();
    let mut pause = MIN_NOTIFY_INTERVAL;
    while watched.wait_for(|watched| *watched).await.is_ok() && !inner.is_closed() {
        if inner.connector.address.pooled {
            // LISTEN does not work through a pooler, which shares connections.
            let _ = tokio::time::timeout(POLL_INTERVAL, watched.wait_for(|watched| !*watched)).await;
            inner.notify_changes();
            continue;
        }
        if let Some(session) = connect(&inner).await {
            pause = MIN_NOTIFY_INTERVAL;
            // Notifications may have been missed before this connection was made.
            inner.notify_changes();
            watch_session(&session, &mut watched).await;
        }
        pause = (pause * 2).min(MAX_RECONNECT_PAUSE);
        let _ = tokio::time::timeout(pause, watched.wait_for(|watched| !*watched)).await;
    }
}

async fn connect(inner: &Arc<Inner>) -> Option<Session> {
    let connector: &Arc<Connector> = &inner.connector;
    let listener = Arc::clone(inner);
    let on_notification = move |notification: &tokio_postgres::Notification| {
        if notification.payload() != listener.name {
            listener.notify_changes();
        }
    };
    let limit = connector.address.connect_timeout;
    let session = tokio::time::timeout(limit * 2, connector.connect(limit, on_notification))
        .await
        .ok()?
        .ok()?;
    let listen = format!("LISTEN {}", channel(&connector.address.schema));
    tokio::time::timeout(limit, session.run(&listen)).await.ok()?.ok()?;
    Some(session)
}

/// Returns when the connection is lost or there are no subscribers left.
async fn watch_session(session: &Session, watched: &mut watch::Receiver<bool>) {
    while session.is_usable() {
        let stop = watched.wait_for(|watched| !*watched);
        if tokio::time::timeout(PROBE_INTERVAL, stop).await.is_ok() {
            return;
        }
        let alive = tokio::time::timeout(PROBE_INTERVAL, session.run("SELECT 1")).await;
        if !matches!(alive, Ok(Ok(()))) {
            return;
        }
    }
}
