//! Notifies other processes that there is something to claim, and listens for their notifications.
//!
//! A notification inside a transaction would serialise the commits of all processes, so it is sent separately, after the
//! commit, at most once in ten milliseconds, and one that comes wakes this process no more often either. The channel's name is
//! known to who may read the schema. Invariant: notifications only reduce latency; a process that misses one polls within a
//! second.

use super::pool::{WriteOptions, with_session};
use super::session::{Connector, Session};
use super::{Inner, metadata};
use crate::error::Result;
use crate::model::schedule::{FNV1A_OFFSET_BASIS, fnv1a};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Minimum time between two notifications of a process, and between two that wake it.
const MIN_NOTIFY_INTERVAL: Duration = Duration::from_millis(10);
/// How often the listening connection is probed: while it is dead unnoticed, jobs start by the poll of once a second.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// How long the answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to poll without a listening connection.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(5);

const CALL_NOTIFY: &str = include_str!("sql/call_notify.sql");
const CHANNEL_MARK: &str = "notification channel";

/// The notification channel of the schema: a secret among those that may read it, unless all its rows were deleted.
async fn channel(inner: &Inner) -> Result<&str> {
    let read = async {
        let stored = with_session!(inner.urgent, WriteOptions::HEARTBEAT, |session| {
            metadata::get(session, CHANNEL_MARK)
        });
        let schema = &inner.connector.address.schema;
        Ok(stored.unwrap_or_else(|| format!("ductape_{:016x}", fnv1a(FNV1A_OFFSET_BASIS, schema))))
    };
    inner.channel.get_or_try_init(|| read).await.map(String::as_str)
}

/// Sends notifications until the store is closed.
pub(super) async fn notify_others(inner: Arc<Inner>) {
    loop {
        inner.wake_others.notified().await;
        if inner.is_closed() {
            return;
        }
        // On failure, the others poll.
        let _ = notify(&inner).await;
        tokio::time::sleep(MIN_NOTIFY_INTERVAL).await;
    }
}

async fn notify(inner: &Inner) -> Result<()> {
    let (channel, name) = (channel(inner).await?.to_owned(), inner.name.clone());
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
            tokio::select! {
                () = watch_session(&session, &mut watched) => {}
                () = pass_on(&inner) => {}
            }
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
            listener.woken_by_others.notify_one();
        }
    };
    let limit = connector.address.connect_timeout;
    let session = tokio::time::timeout(limit * 2, connector.connect(limit, on_notification))
        .await
        .ok()?
        .ok()?;
    let listen = format!("LISTEN {}", channel(inner).await.ok()?);
    tokio::time::timeout(limit, session.run(&listen)).await.ok()?.ok()?;
    Some(session)
}

/// Wakes this process for notifications of others, however many there are.
async fn pass_on(inner: &Inner) {
    loop {
        inner.woken_by_others.notified().await;
        inner.notify_changes();
        tokio::time::sleep(MIN_NOTIFY_INTERVAL).await;
    }
}

/// Returns when the connection is lost or there are no subscribers left.
async fn watch_session(session: &Session, watched: &mut watch::Receiver<bool>) {
    while session.is_usable() {
        let stop = watched.wait_for(|watched| !*watched);
        if tokio::time::timeout(PROBE_INTERVAL, stop).await.is_ok() {
            return;
        }
        let alive = tokio::time::timeout(PROBE_TIMEOUT, session.run("SELECT 1")).await;
        if !matches!(alive, Ok(Ok(()))) {
            return;
        }
    }
}
