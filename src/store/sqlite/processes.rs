//! Tells of the processes that are registered.
//!
//! Invariant: their locks are looked at under SQLite's write lock, since to look is to take a lock for a moment, and who looks for dead
//! processes at the same time would find it held.

use super::SqliteStore;
use super::instance_lock::{self, LockState};
use super::tx::Tx;
use super::write_operation::WriteOptions;
use crate::clock::{BootTime, Millis};
use crate::error::Result;
use crate::store::process::by_clock;
use crate::store::{InstanceId, Liveness, Process, ProcessStore};
use async_trait::async_trait;
use rusqlite::Row;
use std::sync::Arc;

const UPDATE_DESCRIPTION: &str = include_str!("sql/update_description.sql");
const SELECT_PROCESSES: &str = include_str!("sql/select_processes.sql");

#[async_trait]
impl ProcessStore for SqliteStore {
    async fn processes(&self, now: Millis) -> Result<Vec<Process>> {
        let clock = Arc::clone(&self.lease_clock);
        let own: Arc<[InstanceId]> = self.instance_locks().keys().copied().collect();
        self.write(WriteOptions::plain(1), move |tx| all(tx, &clock(), &own, now))
            .await
    }

    async fn describe(&self, instance: InstanceId, version: &str, handlers: &str) -> Result<()> {
        let (version, handlers) = (version.to_owned(), handlers.to_owned());
        self.write(WriteOptions::plain(1), move |tx| {
            let row = (instance, &*version, &*handlers);
            tx.connection.prepare_cached(UPDATE_DESCRIPTION)?.execute(row)?;
            Ok(())
        })
        .await
    }
}

/// All of them. `own` are registrations of this process.
fn all(tx: &Tx<'_>, time: &BootTime, own: &[InstanceId], now: Millis) -> Result<Vec<Process>> {
    let mut select = tx.connection.prepare_cached(SELECT_PROCESSES)?;
    let found = select.query_map([], |row| process(row, time, now))?;
    let mut processes = Vec::new();
    for found in found {
        let (mut process, is_of_this_boot) = found?;
        let lock = match tx.locks {
            _ if own.contains(&process.id) => LockState::Held,
            Some(folder) => instance_lock::state(folder, process.id),
            None => LockState::Unknown,
        };
        process.liveness = match lock {
            _ if !is_of_this_boot => Liveness::Dead,
            LockState::Free => Liveness::Dead,
            _ if process.lease_ends_at.is_some_and(|end| end <= now) => Liveness::Silent,
            _ => Liveness::Alive,
        };
        processes.push(process);
    }
    Ok(processes)
}

/// A process, and whether its machine has not been started anew since.
fn process(row: &Row<'_>, time: &BootTime, now: Millis) -> rusqlite::Result<(Process, bool)> {
    let is_of_this_boot = row.get_ref(1)?.as_str().is_ok_and(|boot| boot == time.boot);
    let instant = |at: Option<i64>| at.filter(|_| is_of_this_boot).map(|at| by_clock(at, time.millis, now));
    let process = Process {
        id: row.get(0)?,
        host: row.get(6)?,
        pid: row.get(7)?,
        registered_at: instant(row.get(5)?),
        seen_at: instant(row.get(4)?),
        lease_ends_at: instant(row.get(2)?),
        liveness: Liveness::Alive,
        slots: row.get(3)?,
        claimed: row.get(8)?,
        version: row.get(9)?,
        handlers: row.get(10)?,
    };
    Ok((process, is_of_this_boot))
}
