//! Which events webhooks want, as the writer remembers it.
//!
//! Invariant: [`Subscriptions`] is as the tables are in the transaction that asks, whichever process wrote them last.

use crate::error::Result;
use crate::model::{EventKind, EventMask};
use rusqlite::Connection;

const SELECT_WANTED_EVENTS: &str = include_str!("sql/select_wanted_events.sql");

/// Which events are wanted, as the writer last read it.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted_events: EventMask,
    /// The database's version then; `None`: to be read again.
    version: Option<i64>,
}

impl Subscriptions {
    /// Brings it up to date within a transaction: one pragma, and nothing else unless another process has committed.
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

    /// Whether a webhook wants this, as of the last refresh.
    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.wanted_events.has(kind)
    }

    /// The tables are, or may be, other than what was read.
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
