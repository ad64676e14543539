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
use crate::store::process::host_name;
use crate::store::rules::completion::{self, AttemptOutcome, RunFate};
use crate::store::rules::crash::GoneProcess;
use crate::store::{FailedRun, InstanceId, JobSeq, RecoverParams, Recovered, Token};
use tokio_postgres::Row;
use uuid::Uuid;

/// Most runs recovered in one transaction.
const MAX_RUNS_PER_TRANSACTION: i64 = 500;

/// What is behind the time in a UUID of version 7, bits.
const TIME_BITS_BEHIND: u32 = 80;
/// What is drawn at random in the number of a registration, bits.
const RANDOM_BITS: u32 = 20;

const INSERT_INSTANCE: &str = include_str!("sql/insert_instance.sql");
const UPDATE_INSTANCE_LEASE: &str = include_str!("sql/update_instance_lease.sql");
const SELECT_ANY_DEAD_INSTANCE: &str = include_str!("sql/select_any_dead_instance.sql");
const LOCK_DEAD_INSTANCE: &str = include_str!("sql/lock_dead_instance.sql");
const LOCK_INSTANCE: &str = include_str!("sql/lock_instance.sql");
const DELETE_INSTANCE: &str = include_str!("sql/delete_instance.sql");
const SELECT_CLAIMS_OF_INSTANCE: &str = include_str!("sql/select_claims_of_instance.sql");
const SELECT_HELD_AMONG: &str = include_str!("sql/select_held_among.sql");
const SELECT_LAST_CLAIMS_OF_INSTANCE: &str = include_str!("sql/select_last_claims_of_instance.sql");

/// Registers a process, under a number of the time and drawn at random: one of a sequence would be given twice by a server
/// that loses what it has committed. `clock`: replaces the server's time in tests.
pub(super) async fn register(
    session: &Session,
    clock: Option<Millis>,
    lease: i64,
    slots: usize,
) -> DbResult<InstanceId> {
    let (slots, pid) = (super::param::rows(slots), i64::from(std::process::id()));
    let drawn = Uuid::now_v7().as_u128();
    // The time comes first in it, in ms: who registered earlier has a lower number.
    let number = (drawn >> TIME_BITS_BEHIND) << RANDOM_BITS | drawn & ((1 << RANDOM_BITS) - 1);
    let number = InstanceId::new(i64::try_from(number).unwrap_or(i64::MAX));
    let rows = session
        .query(INSERT_INSTANCE, &[&clock, &lease, &slots, &number, &host_name(), &pid])
        .await?;
    match rows.first() {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(super::failure::damaged("no registration").into()),
    }
}

/// Renews a lease; returns the version that the schema has now. `None`: the registration was deleted.
pub(super) async fn renew(
    session: &Session,
    clock: Option<Millis>,
    instance: InstanceId,
    lease: i64,
) -> DbResult<Option<i32>> {
    let row = session
        .query_opt(UPDATE_INSTANCE_LEASE, &[&clock, &lease, &instance])
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Ends claims of a process that stops, and deletes its registration with the last of them: they are handed back, or have
/// crashed, in which case a run fails with its `max_crashes`th crash. Returns the runs that have failed; `true`: there are more claims.
pub(super) async fn end_registered_claims(
    session: &Session,
    instance: InstanceId,
    now: Millis,
    max_crashes: Option<u32>,
) -> DbResult<(Vec<FailedRun>, bool, Effects)> {
    let mut failed_runs = Vec::new();
    let mut tx = Tx::begin(session).await?;
    session.query(LOCK_INSTANCE, &[&instance]).await?;
    let mut end = |tx: &mut Tx<'_>, mut ended_claim: EndedClaim<'_>, _| match max_crashes {
        Some(max_crashes) => {
            failed_runs.extend(crash(tx, ended_claim, None, (now, max_crashes))?);
            Ok(())
        }
        None => ended_claim.release(tx, now),
    };
    let more = end_claims(&mut tx, instance, &mut end).await?;
    let after = tx.commit().await?;
    Ok((failed_runs, more, after))
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
    // Nothing but its silence is known of a process that may be on another machine.
    let process = GoneProcess {
        died: true,
        slots: dead.try_get(1)?,
    };
    let seen: Option<Millis> = dead.try_get(2)?;
    let found = &mut step.found;
    let mut take_back = |tx: &mut Tx<'_>, mut ended_claim: EndedClaim<'_>, place: i64| {
        let failed = if process.crashed(place) {
            let route = ended_claim.stored_job.job.route;
            let failed_run = crash(tx, ended_claim, seen, (params.now, params.max_crashes))?;
            let failed = failed_run.is_some();
            found.crashed.push((route, failed));
            found.failed_runs.extend(failed_run);
            failed
        } else {
            ended_claim.release(tx, params.now)?;
            false
        };
        found.failed += usize::from(failed);
        found.requeued += usize::from(!failed);
        Ok(())
    };
    let rest = end_claims(&mut tx, instance, &mut take_back).await?;
    step.after = tx.commit().await?;
    step.found.instances = usize::from(!rest);
    step.more = true;
    Ok(step)
}

/// Ends claims of a process whose registration is locked, the last ones first, and deletes the registration with the first of
/// them. `each` is told the place of a claim among all, by token.
async fn end_claims(
    tx: &mut Tx<'_>,
    instance: InstanceId,
    each: &mut (dyn FnMut(&mut Tx<'_>, EndedClaim<'_>, i64) -> DbResult<()> + Send),
) -> DbResult<bool> {
    let claims = last_claims_of(tx.session, instance).await?;
    let mut jobs: Vec<JobSeq> = claims.iter().map(|(job, ..)| *job).collect();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(tx.session, &jobs).await?;
    for (job, run, token, place) in &claims {
        let stored_job = state::find_among(&mut stored_jobs, *job);
        let wanted = |found: &Run| {
            found.run == *run
                && matches!(&found.run_state, RunState::Running(running) if running.token == *token && running.owner == instance)
        };
        if let Some(ended_claim) = stored_job.and_then(|stored_job| EndedClaim::from(stored_job, wanted)) {
            each(tx, ended_claim, *place)?;
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

/// Ends an attempt whose process crashed; of a series with the last sign of life of that, since it matters what fell due after it.
/// Returns the run if it failed.
fn crash(
    tx: &mut Tx<'_>,
    mut ended_claim: EndedClaim<'_>,
    seen: Option<Millis>,
    (now, max_crashes): (Millis, u32),
) -> DbResult<Option<FailedRun>> {
    let started = ended_claim.running.started;
    let times = AttemptTimes {
        started,
        ended: seen
            .filter(|_| ended_claim.is_recurring())
            .map_or(now, |seen| seen.max(started)),
    };
    let failed_run = FailedRun {
        job: ended_claim.stored_job.job.id.clone(),
        route: ended_claim.stored_job.job.route,
        run: ended_claim.run.run,
        attempt: ended_claim.running.attempt,
        error: completion::last_crash(ended_claim.running.crashes + 1),
    };
    let (fate, _) = ended_claim.end(tx, AttemptOutcome::Crashed { max_crashes, now }, times, now)?;
    Ok(matches!(fate, RunFate::Over(_)).then_some(failed_run))
}

/// The claims of a process.
pub(super) async fn claims_of(session: &Session, instance: InstanceId) -> DbResult<Vec<(JobSeq, i64, Token)>> {
    let rows = session.query(SELECT_CLAIMS_OF_INSTANCE, &[&instance]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

/// Tokens of those of these claims that the process still has, each found by its key.
pub(super) async fn held_among(
    session: &Session,
    instance: InstanceId,
    claims: &[(JobSeq, i64, Token)],
) -> DbResult<Vec<Token>> {
    let jobs: Vec<JobSeq> = claims.iter().map(|(job, ..)| *job).collect();
    let runs: Vec<i64> = claims.iter().map(|(_, run, _)| *run).collect();
    let tokens: Vec<Token> = claims.iter().map(|(.., token)| *token).collect();
    let rows = session
        .query(SELECT_HELD_AMONG, &[&instance, &jobs, &runs, &tokens])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The last claims of a process, by token, and the place of each among all that it has; in the order of the jobs.
async fn last_claims_of(session: &Session, instance: InstanceId) -> DbResult<Vec<(JobSeq, i64, Token, i64)>> {
    let rows = session
        .query(SELECT_LAST_CLAIMS_OF_INSTANCE, &[&instance, &MAX_RUNS_PER_TRANSACTION])
        .await?;
    let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?));
    let mut claims: Vec<(JobSeq, i64, Token, i64)> = rows.iter().map(read).collect::<DbResult<_>>()?;
    claims.sort_unstable();
    Ok(claims)
}
