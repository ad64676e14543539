//! The outbox: events for webhooks, appended in the transaction of the change; [`super::relay`] removes them.
//!
//! Knows no webhook and no payload; the hot verbs append their events themselves.

use super::error_text::{error_of, event_error_text};
use super::failure::{DbResult, damaged};
use super::param::rows;
use super::session::Session;
use super::state::{self, read_id};
use crate::clock::Millis;
use crate::model::{EventKind, EventMask, RunError, Status};
use crate::store::{JobSeq, StoredEvent};
use tokio_postgres::Row;

const SELECT_WANTED_EVENTS: &str = include_str!("sql/select_wanted_events.sql");
const INSERT_EVENT: &str = include_str!("sql/insert_event.sql");
const SELECT_OLDEST_EVENTS: &str = include_str!("sql/select_oldest_events.sql");

/// An event, without what is read from its job.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) job: JobSeq,
    pub(super) at: Millis,
    /// When its run was due; `None`: the job's time.
    pub(super) scheduled_at: Option<Millis>,
    /// JSON text of a [`RunError`].
    pub(super) error: Option<String>,
}

impl Event {
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

/// The events that webhooks currently subscribe to.
pub(super) async fn wanted_events(session: &Session) -> DbResult<EventMask> {
    let row = session.query_opt(SELECT_WANTED_EVENTS, &[]).await?;
    let wanted_events: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(EventMask(u32::try_from(wanted_events).unwrap_or(0)))
}

/// Appends events whose changes are complete in the tables; `true`: there are events to relay.
pub(super) async fn append(session: &Session, events: &[Event]) -> DbResult<bool> {
    let mut appended = false;
    for event in events {
        let Some(stored_job) = state::of(session, &vec![event.job]).await?.pop() else {
            continue;
        };
        let status = stored_job.status();
        // Only one run of a series was cancelled: the job continues, and the event is about jobs.
        if event.kind == EventKind::Cancelled && status != Status::Cancelled {
            continue;
        }
        let error = event.error.as_deref().map(without_stack).transpose()?;
        let scheduled_at = event.scheduled_at.unwrap_or_else(|| stored_job.scheduled_at());
        let row: [&dyn super::param::Param; 6] = [
            &event.job,
            &(event.kind as i32),
            &event.at,
            &(status as i32),
            &scheduled_at,
            &error,
        ];
        appended |= session.execute(INSERT_EVENT, &row).await? > 0;
    }
    Ok(appended)
}

fn without_stack(error: &str) -> DbResult<String> {
    let error: RunError = serde_json::from_str(error).map_err(|_| damaged("an error that cannot be read"))?;
    event_error_text(&error)
}

/// The oldest events.
pub(super) async fn oldest(session: &Session, limit: usize) -> DbResult<Vec<StoredEvent>> {
    session
        .query(SELECT_OLDEST_EVENTS, &[&rows(limit)])
        .await?
        .iter()
        .map(read_event)
        .collect()
}

fn read_event(row: &Row) -> DbResult<StoredEvent> {
    let (kind, status): (i32, i32) = (row.try_get(1)?, row.try_get(6)?);
    Ok(StoredEvent {
        seq: row.try_get(0)?,
        kind: EventKind::from_code(i64::from(kind)).ok_or_else(|| damaged("an event of an unknown kind"))?,
        at: row.try_get(2)?,
        id: read_id(row, 3, 4)?,
        route: row.try_get(5)?,
        status: Status::from_code(i64::from(status)).ok_or_else(|| damaged("an event with an unknown state"))?,
        scheduled_at: row.try_get(7)?,
        execution_count: row.try_get(8)?,
        error: error_of(row, 9)?,
    })
}
