//! Alarms of the server's memory or disk, during which it takes no messages.
//!
//! The server tells a connection of an alarm only when a message comes on it, and then reads no further: that message is neither
//! confirmed nor refused before the alarm is over.

use super::channels::STATUS_INTERVAL;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use lapin::{Connection, ConnectionStatus, Event};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest reason that is shown.
const MAX_REASON_CHARS: usize = 200;

/// What the server says beside its answers.
pub(super) struct Alarm {
    said: Mutex<(BoxStream<'static, Event>, String)>,
}

impl Alarm {
    /// Listens to a connection from now on.
    pub(super) fn of(connection: &Connection) -> Self {
        let events = connection.events_listener().boxed();
        Self {
            said: Mutex::new((events, String::new())),
        }
    }

    /// Why the server takes no messages, in its own words.
    pub(super) fn reason(&self) -> String {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, reason) = &mut *said;
        while let Some(Some(event)) = events.next().now_or_never() {
            if let Event::ConnectionBlocked(why) = event {
                *reason = why.chars().take(MAX_REASON_CHARS).collect();
            }
        }
        if reason.is_empty() {
            return "an alarm of its memory or disk".to_owned();
        }
        reason.clone()
    }
}

/// Ends when the server has taken nothing for so long.
pub(super) async fn blocked_for(status: &ConnectionStatus, patience: Duration) {
    let mut since = None;
    loop {
        if !status.blocked() {
            since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= patience {
            return;
        }
        tokio::time::sleep(STATUS_INTERVAL).await;
    }
}
