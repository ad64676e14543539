//! The writer's cache of the events that webhooks subscribe to.
//!
//! Invariant: within a transaction [`Subscriptions`] agrees with the tables, whichever process wrote them last.

use crate::error::Result;
use crate::model::{EventKind, EventMask};
use rusqlite::Connection;

const SELECT_WANTED_EVENTS: &str = include_str!("sql/select_wanted_events.sql");

/// The subscribed events, as last read.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted_events: EventMask,
    /// The `data_version` at that time; `None`: stale.
    version: Option<i64>,
}

impl Subscriptions {
    /// Updates the cache within a transaction. Costs one pragma unless another process has committed.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<()> {
        let version = connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            self.wanted_events = wanted_events(connection)?;
            self.version = Some(version);
        }
        Ok(())
    }

    /// Whether a webhook subscribes to this event, as of the last refresh.
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.wanted_events.has(kind)
    }

    /// Invalidates the cache, since the tables have or may have changed.
    pub(super) fn clear(&mut self) {
        self.version = None;
    }
}

fn wanted_events(connection: &Connection) -> Result<EventMask> {
    let mut select = connection.prepare_cached(SELECT_WANTED_EVENTS)?;
    let mut rows = select.query([])?;
    let mut wanted_events = EventMask::default();
    while let Some(row) = rows.next()? {
        wanted_events.0 |= row.get::<_, u32>(0)?;
    }
    Ok(wanted_events)
}
