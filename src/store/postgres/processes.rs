//! Tells of the processes that are registered.

use super::PostgresStore;
use super::failure::DbResult;
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::process::by_clock;
use crate::store::{Liveness, Process, ProcessStore};
use async_trait::async_trait;
use tokio_postgres::Row;

const SELECT_PROCESSES: &str = include_str!("sql/select_processes.sql");

#[async_trait]
impl ProcessStore for PostgresStore {
    async fn processes(&self, now: Millis) -> Result<Vec<Process>> {
        let (inner, clock) = (self.inner_if_open()?, self.lease_now());
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            all(session, clock, now)
        }))
    }
}

async fn all(session: &Session, clock: Option<Millis>, now: Millis) -> DbResult<Vec<Process>> {
    let rows = session.query(SELECT_PROCESSES, &[&clock]).await?;
    rows.iter().map(|row| process(row, now)).collect()
}

fn process(row: &Row, now: Millis) -> DbResult<Process> {
    let clock: Millis = row.try_get(8)?;
    let lease: Millis = row.try_get(1)?;
    let (seen, registered): (Option<Millis>, Option<Millis>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Process {
        id: row.try_get(0)?,
        host: row.try_get(5)?,
        pid: row.try_get(6)?,
        registered_at: registered.map(|at| by_clock(at, clock, now)),
        seen_at: seen.map(|at| by_clock(at, clock, now)),
        lease_ends_at: Some(by_clock(lease, clock, now)),
        // Nothing but its silence is known of a process that may be on another machine.
        liveness: match lease <= clock {
            true => Liveness::Silent,
            false => Liveness::Alive,
        },
        slots: row.try_get(2)?,
        claimed: row.try_get(7)?,
    })
}
