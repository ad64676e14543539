//! The processes that run jobs: registration, lease, and what becomes of their runs when they go or die.
//!
//! Leases are counted by the server's clock, which all processes share. Invariant: a registration is deleted only when it
//! holds no run any more, and claims nothing meanwhile, so that every run in `running` has an owner that somebody watches.

use super::complete::{Next, Taken, error_text};
use super::failure::Attempt;
use super::session::Session;
use super::state::{self, Place, Run};
use super::tx::{After, Tx, params};
use crate::clock::Millis;
use crate::error::ErrorCode;
use crate::model::{RunError, RunStatus};
use crate::store::{InstanceId, JobSeq, Recovered, Token};

/// Runs taken back in one transaction.
const RUNS: i64 = 500;

const REGISTER: &str = include_str!("sql/instances_register.sql");
const RENEW: &str = include_str!("sql/instances_renew.sql");
const ANY_DEAD: &str = include_str!("sql/instances_any_dead.sql");
const LOCK_DEAD: &str = include_str!("sql/instances_lock_dead.sql");
const LOCK: &str = "SELECT id FROM ductape.instances WHERE id = $1 FOR UPDATE";
const UNREGISTER: &str = "DELETE FROM ductape.instances WHERE id = $1";
const HELD: &str = "SELECT job, run, token FROM ductape.running WHERE owner = $1 ORDER BY job, run LIMIT $2";

/// Registers a process. `clock`: the time in place of the server's, for tests.
pub(super) async fn register(session: &Session, clock: Option<Millis>, lease: i64) -> Attempt<InstanceId> {
    let rows = session.query(REGISTER, &[&clock, &lease]).await?;
    match rows.first() {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(super::failure::damaged("no registration").into()),
    }
}

/// Renews a lease that has not been taken away.
pub(super) async fn renew(session: &Session, clock: Option<Millis>, instance: InstanceId, lease: i64) -> Attempt<bool> {
    Ok(session.execute(RENEW, &[&clock, &lease, &instance]).await? > 0)
}

/// Hands back runs of a process that ends, and its registration with the last of them. `true`: there are more.
pub(super) async fn hand_back(session: &Session, instance: InstanceId, now: Millis) -> Attempt<(bool, After)> {
    let mut tx = Tx::begin(session).await?;
    session.query(LOCK, &[&instance]).await?;
    let mut release = |tx: &mut Tx<'_>, mut taken: Taken<'_>| {
        taken.release(tx, now);
        Ok(())
    };
    let more = take_back(&mut tx, instance, &mut release).await?;
    let after = tx.commit().await?;
    Ok((more, after))
}

/// One step of a recovery.
#[derive(Debug, Default)]
pub(super) struct RecoveryStep {
    pub(super) found: Recovered,
    /// There may be another process, or more runs of this one.
    pub(super) more: bool,
    pub(super) after: After,
}

/// Takes back runs of a process whose lease has ended, if there is one.
pub(super) async fn recover(
    session: &Session,
    clock: Option<Millis>,
    now: Millis,
    max_crashes: u32,
) -> Attempt<RecoveryStep> {
    let mut step = RecoveryStep::default();
    if session.query(ANY_DEAD, &[&clock]).await?.is_empty() {
        return Ok(step);
    }
    let mut tx = Tx::begin(session).await?;
    // Another process may be at the same one.
    let Some(dead) = session.query_opt(LOCK_DEAD, &[&clock]).await? else {
        tx.roll_back().await?;
        return Ok(step);
    };
    let instance: InstanceId = dead.try_get(0)?;
    let found = &mut step.found;
    let mut crashed = |tx: &mut Tx<'_>, taken: Taken<'_>| {
        let failed = crash(tx, taken, now, max_crashes)?;
        found.failed += usize::from(failed);
        found.requeued += usize::from(!failed);
        Ok(())
    };
    let rest = take_back(&mut tx, instance, &mut crashed).await?;
    step.after = tx.commit().await?;
    step.found.instances = usize::from(!rest);
    step.more = true;
    Ok(step)
}

/// Takes runs from a process whose registration is locked, and deletes that with the last of them.
async fn take_back(
    tx: &mut Tx<'_>,
    instance: InstanceId,
    each: &mut (dyn FnMut(&mut Tx<'_>, Taken<'_>) -> Attempt<()> + Send),
) -> Attempt<bool> {
    let held = held_some(tx.session, instance, RUNS).await?;
    let mut jobs: Vec<JobSeq> = held.iter().map(|(job, _, _)| *job).collect();
    jobs.dedup();
    let mut subjects = state::lock_series(tx.session, &jobs).await?;
    for (job, run, token) in &held {
        let subject = subjects.iter_mut().find(|subject| subject.job.seq == *job);
        let wanted = |found: &Run| {
            found.run == *run
                && matches!(&found.place, Place::Running(running) if running.token == *token && running.owner == instance)
        };
        if let Some(taken) = subject.and_then(|subject| Taken::from(subject, wanted)) {
            each(tx, taken)?;
        }
    }
    for subject in subjects {
        if let Some(series) = subject.series {
            series.save(tx, subject.job.seq);
        }
    }
    let more = super::param::rows(held.len()) == RUNS;
    if !more {
        tx.later(UNREGISTER, params![instance]);
    }
    Ok(more)
}

/// An attempt whose process died: the run goes on with another one, or fails. `true`: it failed.
fn crash(tx: &mut Tx<'_>, mut taken: Taken<'_>, now: Millis, max_crashes: u32) -> Attempt<bool> {
    let running = taken.running;
    let crashes = running.crashes + 1;
    let fails = crashes >= max_crashes;
    let message = if fails {
        format!("the process that ran it died {crashes} times")
    } else {
        "the process that ran it died".to_owned()
    };
    let error = error_text(&RunError::new(ErrorCode::Crashed.as_str(), &message, None))?;
    let status = if fails { RunStatus::Failed } else { RunStatus::Crashed };
    let mut row = taken.history(status, running.started, now);
    row.error = Some(error);
    if fails {
        taken.finish(tx, row, now);
        return Ok(true);
    }
    row.next_due = Some(running.due);
    tx.puts.attempts.push(row);
    let next = Next {
        attempt: running.attempt + 1,
        crashes,
        due: running.due,
        at_once: true,
    };
    taken.requeue(tx, next, now);
    Ok(false)
}

/// All claims of a process.
pub(super) async fn held(session: &Session, instance: InstanceId) -> Attempt<Vec<(JobSeq, i64, Token)>> {
    held_some(session, instance, i64::MAX).await
}

async fn held_some(session: &Session, instance: InstanceId, most: i64) -> Attempt<Vec<(JobSeq, i64, Token)>> {
    let rows = session.query(HELD, &[&instance, &most]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}
