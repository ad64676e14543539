//! Tells of the processes that are registered.

use super::PostgresStore;
use super::failure::DbResult;
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::process::by_clock;
use crate::store::{InstanceId, Liveness, Process, ProcessStore};
use async_trait::async_trait;
use tokio_postgres::Row;

const UPDATE_DESCRIPTION: &str = include_str!("sql/update_description.sql");
const SELECT_PROCESSES: &str = include_str!("sql/select_processes.sql");

#[async_trait]
impl ProcessStore for PostgresStore {
    async fn processes(&self, now: Millis) -> Result<Vec<Process>> {
        let (inner, clock) = (self.inner_if_open()?, self.lease_now());
        Ok(with_session!(inner.general, WriteOptions::DEFAULT, |session| {
            all(session, clock, now)
        }))
    }

    async fn describe(&self, instance: InstanceId, version: &str, handlers: &str) -> Result<()> {
        let inner = self.inner_if_open()?;
        with_session!(inner.general, WriteOptions::ENGINE, |session| describe(
            session, instance, version, handlers
        ));
        Ok(())
    }
}

async fn describe(session: &Session, instance: InstanceId, version: &str, handlers: &str) -> DbResult<()> {
    session
        .execute(UPDATE_DESCRIPTION, &[&instance, &version, &handlers])
        .await?;
    Ok(())
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
        version: row.try_get(9)?,
        handlers: row.try_get(10)?,
    })
}
