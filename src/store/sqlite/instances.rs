//! Processes that run jobs: registration, lease, and recovery of their runs when they stop or crash.
//!
//! Invariant: a registration is deleted only when it holds no claims, so that every run in `running` has a registered
//! owner.

use super::complete::{AttemptTimes, EndedClaim};
use super::instance_lock::{self, LockState, PendingInstanceLock};
use super::jobs;
use super::outbox;
use super::run_rows::rows;
use super::series_snapshot;
use super::silence::SilenceWatch;
use super::tx::Tx;
use crate::clock::{BootTime, Millis};
use crate::error::Result;
use crate::store::process::host_name;
use crate::store::rules::completion::{self, AttemptOutcome, RunFate};
use crate::store::rules::crash::GoneProcess;
use crate::store::{FailedRun, InstanceId, JobSeq, RecoverParams, Recovered, RouteId, Takeover, Token};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

/// Most runs recovered in one transaction.
const MAX_RUNS_PER_TRANSACTION: usize = 500;

const INSERT_INSTANCE: &str = include_str!("sql/insert_instance.sql");
const UPDATE_INSTANCE_LEASE: &str = include_str!("sql/update_instance_lease.sql");
const DELETE_INSTANCE: &str = include_str!("sql/delete_instance.sql");
const SELECT_INSTANCES: &str = include_str!("sql/select_instances.sql");
const SELECT_CLAIMS_OF_INSTANCE: &str = include_str!("sql/select_claims_of_instance.sql");
const SELECT_LAST_CLAIMS_OF_INSTANCE: &str = include_str!("sql/select_last_claims_of_instance.sql");
const SELECT_ROUTES_OF_SUSPECTS: &str = include_str!("sql/select_routes_of_suspects.sql");

/// Registers a process and locks its file before anybody can see the registration.
pub(super) fn register(
    tx: &mut Tx<'_>,
    time: &BootTime,
    lease: i64,
    slots: usize,
) -> Result<(InstanceId, Option<PendingInstanceLock>)> {
    let instance = tx.connection.prepare_cached(INSERT_INSTANCE)?.insert((
        &time.boot,
        time.millis.saturating_add(lease),
        rows(slots),
        time.millis,
        host_name(),
        std::process::id(),
    ))?;
    let instance = InstanceId::new(instance);
    // If the folder is not writable, only the lease counts.
    let lock = tx.locks.and_then(|folder| PendingInstanceLock::take(folder, instance));
    Ok((instance, lock))
}

/// Renews a lease; `false`: the registration was deleted.
pub(super) fn renew(tx: &mut Tx<'_>, instance: InstanceId, time: &BootTime, lease: i64) -> Result<bool> {
    let row = (instance, time.millis.saturating_add(lease), &time.boot, time.millis);
    Ok(tx.connection.prepare_cached(UPDATE_INSTANCE_LEASE)?.execute(row)? > 0)
}

/// Ends claims of a process that stops, and deletes its registration with the last of them: they are handed back, or have
/// crashed, in which case a run fails with its `max_crashes`th crash. Returns the runs that have failed, and whether there are more
/// claims.
pub(super) fn end_claims(
    tx: &mut Tx<'_>,
    instance: InstanceId,
    now: Millis,
    max_crashes: Option<u32>,
) -> Result<(Vec<FailedRun>, bool)> {
    let mut failed_runs = Vec::new();
    let claims = some_claims_of(tx.connection, instance, MAX_RUNS_PER_TRANSACTION)?;
    for (job, run, token) in &claims {
        let Some(ended_claim) = EndedClaim::end_claim(tx, (*job, *run), instance, *token)? else {
            continue;
        };
        match max_crashes {
            Some(max_crashes) => failed_runs.extend(crash(tx, &ended_claim, None, (now, max_crashes))?),
            None => ended_claim.release(tx, now)?,
        }
    }
    Ok((failed_runs, delete_if_done(tx, instance, claims.len())?))
}

fn delete_if_done(tx: &mut Tx<'_>, instance: InstanceId, claim_count: usize) -> Result<bool> {
    let more = claim_count == MAX_RUNS_PER_TRANSACTION;
    if !more && tx.connection.prepare_cached(DELETE_INSTANCE)?.execute([instance])? > 0 {
        tx.instance_ended(instance);
    }
    Ok(more)
}

/// The outcome of one step of recovery.
#[derive(Clone, Debug, Default)]
pub(super) struct RecoveryStep {
    pub(super) found: Recovered,
    /// More runs remain for another transaction.
    pub(super) more: bool,
}

/// Recovers runs of dead processes. `own` are registrations of this process, for which locks prove nothing.
pub(super) fn recover(
    tx: &mut Tx<'_>,
    time: &BootTime,
    own: &[InstanceId],
    silence: &mut SilenceWatch,
    params: &RecoverParams,
) -> Result<RecoveryStep> {
    let mut step = RecoveryStep::default();
    let dead_instances = dead_instances(tx, time, own, silence, params)?;
    if let Some(folder) = tx.locks.filter(|_| !dead_instances.is_empty()) {
        // Those that this transaction has deleted keep theirs until it is committed.
        let registered = registered(tx.connection)?;
        instance_lock::sweep(folder, &[&registered[..], tx.ended_instances()].concat());
    }
    for (instance, process, seen) in dead_instances {
        let claims = last_claims_of(tx.connection, instance)?;
        for (job, run, token, place) in &claims {
            if let Some(ended_claim) = EndedClaim::end_claim(tx, (*job, *run), instance, *token)? {
                let failed = if process.crashed(*place) {
                    let failed_run = crash(tx, &ended_claim, seen, (params.now, params.max_crashes))?;
                    let failed = failed_run.is_some();
                    step.found.crashed.push((ended_claim.route, failed));
                    step.found.failed_runs.extend(failed_run);
                    failed
                } else {
                    ended_claim.release(tx, params.now)?;
                    false
                };
                step.found.failed += usize::from(failed);
                step.found.requeued += usize::from(!failed);
            }
        }
        if delete_if_done(tx, instance, claims.len())? {
            step.more = true;
            break;
        }
        step.found.instances += 1;
    }
    step.found.suspects = routes_of_suspects(tx.connection)?;
    step.found.has_events = outbox::has_events(tx.connection)?;
    Ok(step)
}

/// Removes lock files that dead processes have left behind. Waits for nobody: while others write, their next look will do.
pub(super) fn sweep_locks(connection: &Connection, folder: &Path) -> Result<()> {
    if !instance_lock::has_others(folder, &registered(connection)?) {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    instance_lock::sweep(folder, &registered(&transaction)?);
    Ok(transaction.rollback()?)
}

fn registered(connection: &Connection) -> Result<Vec<InstanceId>> {
    let mut select = connection.prepare_cached("SELECT id FROM instances")?;
    let ids = select.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Routes with ready runs that wait to run alone.
fn routes_of_suspects(connection: &Connection) -> Result<Vec<RouteId>> {
    let mut select = connection.prepare_cached(SELECT_ROUTES_OF_SUSPECTS)?;
    let routes = select.query_map([], |row| row.get(0))?;
    Ok(routes.collect::<rusqlite::Result<_>>()?)
}

/// Registrations whose claims are taken back, and what is known of their processes: also when they were seen last.
fn dead_instances(
    tx: &Tx<'_>,
    time: &BootTime,
    own: &[InstanceId],
    silence: &mut SilenceWatch,
    params: &RecoverParams,
) -> Result<Vec<(InstanceId, GoneProcess, Option<Millis>)>> {
    let mut select = tx.connection.prepare_cached(SELECT_INSTANCES)?;
    let mut rows = select.query([])?;
    let (mut seen, mut dead_instances) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (instance, boot, lease): (InstanceId, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        seen.push(instance);
        if params.by == Some(instance) {
            continue;
        }
        let booted_anew = boot != time.boot;
        let lock = match tx.locks {
            _ if own.contains(&instance) => LockState::Held,
            Some(folder) => instance_lock::state(folder, instance),
            None => LockState::Unknown,
        };
        // Looked at in any case: silence counts from the first look on.
        let is_silent = silence.is_silent(instance, lease, time.millis);
        let is_taken_over = params.takeover == Takeover::ProvenOrSilent && is_silent;
        if booted_anew || is_taken_over || lock == LockState::Free {
            // With its lock it is stopped or hangs, and after a power cut nobody knows.
            let died = !booted_anew && lock != LockState::Held;
            let slots = row.get(3)?;
            let seen = series_snapshot::seen(Some(boot), row.get(4)?, time, params.now);
            dead_instances.push((instance, GoneProcess { died, slots }, seen));
        }
    }
    silence.retain(|instance| seen.contains(&instance));
    Ok(dead_instances)
}

/// Ends an attempt whose process crashed; of a series with the last sign of life of that, since it matters what fell due after it.
/// Returns the run if it failed.
fn crash(
    tx: &mut Tx<'_>,
    ended_claim: &EndedClaim,
    seen: Option<Millis>,
    (now, max_crashes): (Millis, u32),
) -> Result<Option<FailedRun>> {
    let times = AttemptTimes {
        started: ended_claim.started,
        ended: seen
            .filter(|_| ended_claim.recurring)
            .map_or(now, |seen| seen.max(ended_claim.started)),
    };
    // Before the job may be gone.
    let is_last = ended_claim.crashes + 1 >= max_crashes;
    let id = is_last
        .then(|| jobs::id_of(tx.connection, ended_claim.job))
        .transpose()?;
    let (fate, _) = ended_claim.end(tx, AttemptOutcome::Crashed { max_crashes, now }, times, now)?;
    let failed_run = |job| FailedRun {
        job,
        route: ended_claim.route,
        run: ended_claim.run,
        attempt: ended_claim.attempt,
        error: completion::last_crash(ended_claim.crashes + 1),
    };
    Ok(id.filter(|_| matches!(fate, RunFate::Over(_))).map(failed_run))
}

/// The claims of a process.
pub(super) fn claims_of(connection: &Connection, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token)>> {
    some_claims_of(connection, instance, usize::MAX)
}

fn some_claims_of(connection: &Connection, instance: InstanceId, most: usize) -> Result<Vec<(JobSeq, i64, Token)>> {
    let mut select = connection.prepare_cached(SELECT_CLAIMS_OF_INSTANCE)?;
    let rows = select.query_map((instance, rows(most)), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last claims of a process, by token, and the place of each among all that it has.
fn last_claims_of(connection: &Connection, instance: InstanceId) -> Result<Vec<(JobSeq, i64, Token, i64)>> {
    let mut select = connection.prepare_cached(SELECT_LAST_CLAIMS_OF_INSTANCE)?;
    let claims = select.query_map((instance, rows(MAX_RUNS_PER_TRANSACTION)), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(claims.collect::<rusqlite::Result<_>>()?)
}
