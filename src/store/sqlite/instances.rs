//! The processes that run jobs: registration, lease, and what becomes of their runs when they go or die.
//!
//! Invariant: a registration is deleted only when it holds no run any more, so that every run in `running` has an owner
//! that somebody watches.

use super::complete::{Final, Next, Taken, error_text};
use super::instance_lock::{self, InstanceLock};
use super::queue::{self, Ended};
use super::tx::Tx;
use crate::clock::{BootTime, Millis};
use crate::error::{ErrorCode, Result};
use crate::model::{RunError, RunStatus};
use crate::store::{InstanceId, JobSeq, Recovered, Token};
use rusqlite::Connection;

/// Runs taken back in one transaction.
const RUNS: usize = 500;

const REGISTER: &str = "INSERT INTO instances (boot, lease) VALUES (?1, ?2)";
const RENEW: &str = "UPDATE instances SET lease = ?2 WHERE id = ?1 AND boot = ?3";
const UNREGISTER: &str = "DELETE FROM instances WHERE id = ?1";
const ALL: &str = "SELECT id, boot, lease FROM instances";
const HELD: &str = "SELECT job, run, token FROM running WHERE owner = ?1 ORDER BY job, run LIMIT ?2";

/// Registers a process and locks its file before anybody can see the registration.
pub(super) fn register(tx: &mut Tx<'_>, time: &BootTime, lease: i64) -> Result<(InstanceId, Option<InstanceLock>)> {
    let instance = tx
        .connection
        .prepare_cached(REGISTER)?
        .insert((&time.boot, time.millis.saturating_add(lease)))?;
    // Where the folder cannot be written, only the lease will tell.
    let lock = tx
        .locks
        .and_then(|folder| InstanceLock::take(folder, instance).ok().flatten());
    Ok((instance, lock))
}

/// Renews a lease that has not been taken away.
pub(super) fn renew(tx: &mut Tx<'_>, instance: InstanceId, time: &BootTime, lease: i64) -> Result<bool> {
    let row = (instance, time.millis.saturating_add(lease), &time.boot);
    Ok(tx.connection.prepare_cached(RENEW)?.execute(row)? > 0)
}

/// Hands back runs of a process that ends, and its registration with the last of them. `true`: there are more.
pub(super) fn hand_back(tx: &mut Tx<'_>, instance: InstanceId, now: Millis) -> Result<bool> {
    let held = held_some(tx.connection, instance, RUNS)?;
    for (job, run, token) in &held {
        if let Some(taken) = Taken::from_holder(tx, (*job, *run), instance, *token)? {
            taken.requeue(tx, taken.released(), now)?;
        }
    }
    delete_if_done(tx, instance, held.len())
}

fn delete_if_done(tx: &mut Tx<'_>, instance: InstanceId, taken: usize) -> Result<bool> {
    let more = taken == RUNS;
    if !more && tx.connection.prepare_cached(UNREGISTER)?.execute([instance])? > 0 {
        tx.gone(instance);
    }
    Ok(more)
}

/// One step of a recovery.
#[derive(Clone, Debug, Default)]
pub(super) struct RecoveryStep {
    pub(super) found: Recovered,
    /// Not all could be taken back in one transaction.
    pub(super) more: bool,
}

/// Takes back runs of processes that are dead. `own` are registrations of this process: their locks prove nothing here.
pub(super) fn recover(
    tx: &mut Tx<'_>,
    time: &BootTime,
    own: &[InstanceId],
    now: Millis,
    max_crashes: u32,
) -> Result<RecoveryStep> {
    let mut step = RecoveryStep::default();
    for instance in dead(tx, time, own)? {
        let held = held_some(tx.connection, instance, RUNS)?;
        for (job, run, token) in &held {
            if let Some(taken) = Taken::from_holder(tx, (*job, *run), instance, *token)? {
                let failed = crash(tx, &taken, now, max_crashes)?;
                step.found.failed += usize::from(failed);
                step.found.requeued += usize::from(!failed);
            }
        }
        if delete_if_done(tx, instance, held.len())? {
            step.more = true;
            break;
        }
        step.found.instances += 1;
    }
    Ok(step)
}

fn dead(tx: &Tx<'_>, time: &BootTime, own: &[InstanceId]) -> Result<Vec<InstanceId>> {
    let mut select = tx.connection.prepare_cached(ALL)?;
    let mut rows = select.query([])?;
    let mut dead = Vec::new();
    while let Some(row) = rows.next()? {
        let (instance, boot, lease): (InstanceId, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let freed =
            || !own.contains(&instance) && tx.locks.is_some_and(|folder| instance_lock::is_dead(folder, instance));
        if boot != time.boot || lease <= time.millis || freed() {
            dead.push(instance);
        }
    }
    Ok(dead)
}

/// An attempt whose process died: the run goes on with another one, or fails. `true`: it failed.
fn crash(tx: &mut Tx<'_>, taken: &Taken, now: Millis, max_crashes: u32) -> Result<bool> {
    let crashes = taken.crashes + 1;
    if crashes >= max_crashes {
        let message = format!("the process that ran it died {crashes} times");
        let error = error_text(&RunError::new(ErrorCode::Crashed.as_str(), &message, None))?;
        let end = Final {
            status: RunStatus::Failed,
            started: taken.started,
            ended: now,
            error: Some(&error),
            result: None,
        };
        taken.finish(tx, end, now)?;
        return Ok(true);
    }
    let error = error_text(&RunError::new(
        ErrorCode::Crashed.as_str(),
        "the process that ran it died",
        None,
    ))?;
    let row = taken.history(RunStatus::Crashed, Some(taken.started), now);
    queue::put_attempt(
        tx.connection,
        Ended {
            next_due: Some(taken.due),
            error: Some(&error),
            ..row
        },
    )?;
    let next = Next {
        attempt: taken.attempt + 1,
        crashes,
        due: taken.due,
        at_once: true,
    };
    taken.requeue(tx, next, now)?;
    Ok(false)
}

/// All claims of a process.
pub(super) fn held(connection: &Connection, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
    held_some(connection, instance, usize::MAX)
}

fn held_some(connection: &Connection, instance: InstanceId, most: usize) -> Result<Vec<(JobSeq, i64, Token)>> {
    let mut select = connection.prepare_cached(HELD)?;
    let rows = select.query_map((instance, queue::rows(most)), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
