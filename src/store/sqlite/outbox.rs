//! The outbox: events for webhooks, appended in the transaction of the change; [`super::relay`] removes them.
//!
//! Knows no webhook and no payload.

use super::error_text;
use super::failure::damaged;
use super::jobs::{self, IdColumn};
use super::read::{self, JobState};
use super::run_rows::rows;
use super::tx::Tx;
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, RunError, Status};
use crate::store::{JobSeq, StoredEvent};
use rusqlite::{Connection, Row};

const INSERT_EVENT: &str = include_str!("sql/insert_event.sql");
const SELECT_OLDEST_EVENTS: &str = include_str!("sql/select_oldest_events.sql");

/// An event, without what is read from its job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) kind: EventKind,
    pub(super) job: JobSeq,
    pub(super) at: Millis,
    /// When its run was due; `None`: the job's time.
    pub(super) scheduled_at: Option<Millis>,
    /// JSON text of a [`RunError`].
    pub(super) error: Option<&'a str>,
}

impl Event<'_> {
    /// An event with only the common members.
    pub(super) fn new(kind: EventKind, job: JobSeq, at: Millis) -> Self {
        Self {
            kind,
            job,
            at,
            scheduled_at: None,
            error: None,
        }
    }
}

/// Appends an event if a webhook subscribes to it. Call it when the change is complete in the tables; without subscribers
/// it costs nothing.
pub(super) fn append(tx: &mut Tx<'_>, event: Event<'_>) -> Result<()> {
    if !tx.wants(event.kind)? {
        return Ok(());
    }
    let connection = tx.connection;
    let job = jobs::expect(connection, event.job)?;
    let state = JobState::of(connection, &job)?;
    // Only one run of a series was cancelled: the job continues, and the event is about jobs.
    if event.kind == EventKind::Cancelled && state.status != Status::Cancelled {
        return Ok(());
    }
    let row = (
        event.job,
        event.kind as i64,
        event.at,
        state.status as i64,
        event.scheduled_at.unwrap_or(state.scheduled_at),
        read::executions(connection, &job, &state)?,
        event.error.map(without_stack).transpose()?,
    );
    if connection.prepare_cached(INSERT_EVENT)?.execute(row)? > 0 {
        tx.has_event();
    }
    Ok(())
}

fn without_stack(error: &str) -> Result<String> {
    let error = error_text::read_error(error)?;
    error_text::error_text(&RunError {
        stack: None,
        origin: None,
        ..error
    })
}

/// Whether there are events.
pub(super) fn has_events(connection: &Connection) -> Result<bool> {
    let mut select = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox)")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

/// The oldest events.
pub(super) fn oldest(connection: &Connection, limit: usize) -> Result<Vec<StoredEvent>> {
    let mut select = connection.prepare_cached(SELECT_OLDEST_EVENTS)?;
    let mut rows = select.query([rows(limit)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(read_event(row)?);
    }
    Ok(events)
}

fn read_event(row: &Row<'_>) -> Result<StoredEvent> {
    let IdColumn(id) = row.get(3)?;
    let error: Option<Box<str>> = row.get(8)?;
    Ok(StoredEvent {
        seq: row.get(0)?,
        kind: EventKind::from_code(row.get(1)?).ok_or_else(|| damaged("an event of an unknown kind"))?,
        at: row.get(2)?,
        id,
        route: row.get(4)?,
        status: Status::from_code(row.get(5)?).ok_or_else(|| damaged("an event with an unknown state"))?,
        scheduled_at: row.get(6)?,
        execution_count: row.get(7)?,
        error: error.as_deref().map(error_text::read_error).transpose()?,
    })
}
