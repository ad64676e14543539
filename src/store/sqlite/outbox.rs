//! Events on their way to webhooks: appended in the transaction of the change, taken out when deliveries are made.
//!
//! Knows no webhook and no payload. Invariant: a row is taken out in the transaction that inserts its deliveries.

use super::failure::damaged;
use super::jobs::{self, IdColumn};
use super::read::{self, JobState};
use super::tx::Tx;
use super::{insert, queue};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{EventKind, RunError, Status};
use crate::store::{InsertParams, JobSeq, RelayedEvent, StoredEvent};
use rusqlite::{Connection, Row};

const INSERT_EVENT: &str = include_str!("sql/insert_event.sql");
const SELECT_OLDEST_EVENTS: &str = include_str!("sql/select_oldest_events.sql");
const DELETE_EVENT: &str = include_str!("sql/delete_event.sql");

/// An event, but for what is read of its job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) kind: EventKind,
    pub(super) job: JobSeq,
    pub(super) at: Millis,
    /// When its run was due; `None`: as the job says.
    pub(super) scheduled_at: Option<Millis>,
    /// JSON text of a [`RunError`].
    pub(super) error: Option<&'a str>,
}

impl Event<'_> {
    /// An event with nothing but what all have.
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

/// Appends an event that a webhook wants. To be called when the change is complete in the tables; costs nothing when
/// nobody wants it.
pub(super) fn append(tx: &mut Tx<'_>, event: Event<'_>) -> Result<()> {
    if !tx.wants(event.kind)? {
        return Ok(());
    }
    let connection = tx.connection;
    let job = jobs::expect(connection, event.job)?;
    let state = JobState::of(connection, &job)?;
    // One run of a series was cancelled: the job itself goes on, and is not what the event would say.
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
        tx.wake();
    }
    Ok(())
}

fn without_stack(error: &str) -> Result<String> {
    let error = read::read_error(error)?;
    serde_json::to_string(&RunError { stack: None, ..error }).map_err(|_| damaged("an error that cannot be written"))
}

/// The oldest events.
pub(super) fn oldest(connection: &Connection, limit: usize) -> Result<Vec<StoredEvent>> {
    let mut select = connection.prepare_cached(SELECT_OLDEST_EVENTS)?;
    let mut rows = select.query([queue::rows(limit)])?;
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
        error: error.as_deref().map(read::read_error).transpose()?,
    })
}

/// Takes events out and inserts their deliveries; returns how many events were still there.
pub(super) fn relay(tx: &mut Tx<'_>, relayed: &[RelayedEvent], now: Millis) -> Result<usize> {
    let mut counted = 0;
    for RelayedEvent { event, deliveries } in relayed {
        if tx.connection.prepare_cached(DELETE_EVENT)?.execute([event])? == 0 {
            continue;
        }
        counted += 1;
        let params = InsertParams {
            jobs: deliveries.clone(),
            all_or_nothing: false,
            now,
        };
        insert::apply(tx, &params)?;
    }
    Ok(counted)
}
