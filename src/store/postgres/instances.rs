//! Processes that run jobs: registration, lease, and recovery of their runs when they stop or crash.
//!
//! Leases are measured by the server's clock, which all processes share. Invariant: a registration is deleted only when it
//! holds no claims and cannot get new ones, so that every run in `running` has a registered owner.

use super::complete::{AttemptTimes, EndedClaim};
use super::failure::DbResult;
use super::param::params;
use super::session::Session;
use super::state::{self, Run, RunState};
use super::tx::{Effects, Tx};
use crate::clock::Millis;
use crate::store::rules::completion::{AttemptOutcome, RunFate};
use crate::store::{InstanceId, JobSeq, RecoverParams, Recovered, Token};

/// Most runs recovered in one transaction.
const MAX_RUNS_PER_TRANSACTION: i64 = 500;

const INSERT_INSTANCE: &str = include_str!("sql/insert_instance.sql");
const UPDATE_INSTANCE_LEASE: &str = include_str!("sql/update_instance_lease.sql");
const SELECT_ANY_DEAD_INSTANCE: &str = include_str!("sql/select_any_dead_instance.sql");
const LOCK_DEAD_INSTANCE: &str = include_str!("sql/lock_dead_instance.sql");
const LOCK_INSTANCE: &str = include_str!("sql/lock_instance.sql");
const DELETE_INSTANCE: &str = include_str!("sql/delete_instance.sql");
const SELECT_CLAIMS_OF_INSTANCE: &str = include_str!("sql/select_claims_of_instance.sql");

/// Registers a process. `clock`: replaces the server's time in tests.
pub(super) async fn register(session: &Session, clock: Option<Millis>, lease: i64) -> DbResult<InstanceId> {
    let rows = session.query(INSERT_INSTANCE, &[&clock, &lease]).await?;
    match rows.first() {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(super::failure::damaged("no registration").into()),
    }
}

/// Renews a lease; `false`: the registration was deleted.
pub(super) async fn renew(
    session: &Session,
    clock: Option<Millis>,
    instance: InstanceId,
    lease: i64,
) -> DbResult<bool> {
    Ok(session
        .execute(UPDATE_INSTANCE_LEASE, &[&clock, &lease, &instance])
        .await?
        > 0)
}

/// Releases claims of a process that stops, and deletes its registration with the last of them. `true`: there are more.
pub(super) async fn release_claims(session: &Session, instance: InstanceId, now: Millis) -> DbResult<(bool, Effects)> {
    let mut tx = Tx::begin(session).await?;
    session.query(LOCK_INSTANCE, &[&instance]).await?;
    let mut release = |tx: &mut Tx<'_>, mut ended_claim: EndedClaim<'_>| ended_claim.release(tx, now);
    let more = end_claims(&mut tx, instance, &mut release).await?;
    let after = tx.commit().await?;
    Ok((more, after))
}

/// The outcome of one step of recovery.
#[derive(Debug, Default)]
pub(super) struct RecoveryStep {
    pub(super) found: Recovered,
    /// There may be another dead process, or more runs of this one.
    pub(super) more: bool,
    pub(super) after: Effects,
}

/// Recovers runs of a process whose lease has expired, if there is one.
pub(super) async fn recover(
    session: &Session,
    clock: Option<Millis>,
    params: &RecoverParams,
) -> DbResult<RecoveryStep> {
    let mut step = RecoveryStep::default();
    if session
        .query(SELECT_ANY_DEAD_INSTANCE, &[&clock, &params.by])
        .await?
        .is_empty()
    {
        return Ok(step);
    }
    let mut tx = Tx::begin(session).await?;
    // Another process may be at the same one.
    let Some(dead) = session.query_opt(LOCK_DEAD_INSTANCE, &[&clock, &params.by]).await? else {
        tx.roll_back().await?;
        return Ok(step);
    };
    let instance: InstanceId = dead.try_get(0)?;
    let found = &mut step.found;
    let mut crashed = |tx: &mut Tx<'_>, ended_claim: EndedClaim<'_>| {
        let failed = crash(tx, ended_claim, params.now, params.max_crashes)?;
        found.failed += usize::from(failed);
        found.requeued += usize::from(!failed);
        Ok(())
    };
    let rest = end_claims(&mut tx, instance, &mut crashed).await?;
    step.after = tx.commit().await?;
    step.found.instances = usize::from(!rest);
    step.more = true;
    Ok(step)
}

/// Ends claims of a process whose registration is locked, and deletes the registration with the last of them.
async fn end_claims(
    tx: &mut Tx<'_>,
    instance: InstanceId,
    each: &mut (dyn FnMut(&mut Tx<'_>, EndedClaim<'_>) -> DbResult<()> + Send),
) -> DbResult<bool> {
    let claims = some_claims_of(tx.session, instance, MAX_RUNS_PER_TRANSACTION).await?;
    let mut jobs: Vec<JobSeq> = claims.iter().map(|(job, _, _)| *job).collect();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(tx.session, &jobs).await?;
    for (job, run, token) in &claims {
        let stored_job = stored_jobs.iter_mut().find(|stored_job| stored_job.job.seq == *job);
        let wanted = |found: &Run| {
            found.run == *run
                && matches!(&found.run_state, RunState::Running(running) if running.token == *token && running.owner == instance)
        };
        if let Some(ended_claim) = stored_job.and_then(|stored_job| EndedClaim::from(stored_job, wanted)) {
            each(tx, ended_claim)?;
        }
    }
    for stored_job in stored_jobs {
        if let Some(series) = stored_job.series {
            series.save(tx, stored_job.job.seq);
        }
    }
    let more = super::param::rows(claims.len()) == MAX_RUNS_PER_TRANSACTION;
    if !more {
        tx.write_later(DELETE_INSTANCE, params![instance]);
    }
    Ok(more)
}

/// Ends an attempt whose process crashed. `true`: its run failed.
fn crash(tx: &mut Tx<'_>, mut ended_claim: EndedClaim<'_>, now: Millis, max_crashes: u32) -> DbResult<bool> {
    let times = AttemptTimes {
        started: ended_claim.running.started,
        ended: now,
    };
    let (fate, _) = ended_claim.end(tx, AttemptOutcome::Crashed { max_crashes }, times, now)?;
    Ok(matches!(fate, RunFate::Over(_)))
}

/// The claims of a process.
pub(super) async fn claims_of(session: &Session, instance: InstanceId) -> DbResult<Vec<(JobSeq, i64, Token)>> {
    some_claims_of(session, instance, i64::MAX).await
}

async fn some_claims_of(session: &Session, instance: InstanceId, most: i64) -> DbResult<Vec<(JobSeq, i64, Token)>> {
    let rows = session.query(SELECT_CLAIMS_OF_INSTANCE, &[&instance, &most]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}
