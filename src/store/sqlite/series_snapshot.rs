//! Series as those see them who compute how they move: with what is known of when their runs were being done.

use super::jobs::{self, JobKey};
use super::run_rows::rows;
use super::series::Series;
use crate::clock::{BootTime, Millis};
use crate::error::Result;
use crate::store::rules::busy::{self, BUSY_RUNS, MAX_BUSY_ATTEMPTS, PROMPT_MS, PastAttempt};
use crate::store::{InstanceId, SeriesSnapshot};
use rusqlite::Connection;

const SELECT_ATTEMPTS_SINCE: &str = include_str!("sql/select_attempts_since.sql");
const SELECT_GAPS_END: &str = include_str!("sql/select_gaps_end.sql");
const SELECT_CLAIMS_OF_JOB: &str = include_str!("sql/select_claims_of_job.sql");

/// A series whose row is read, for a change of it.
pub(super) fn of(connection: &Connection, job: &JobKey, series: &Series, now: Millis) -> Result<SeriesSnapshot> {
    let state = &series.state;
    let id = jobs::id_of(connection, job.seq)?;
    let mut snapshot = state.snapshot((job.seq, id), &series.spec, &series.settled);
    add_busy(connection, &mut snapshot, state.runs, None, now)?;
    if snapshot.tells_accounted_to() {
        let gap: Option<Millis> = connection
            .prepare_cached(SELECT_GAPS_END)?
            .query_row([job.seq], |row| row.get(0))?;
        snapshot.accounted_to = series.last_at.max(gap);
    }
    Ok(snapshot)
}

/// Adds when runs were being done, if that matters at `now` for who asks. `runs`: the number of the last run.
pub(super) fn add_busy(
    connection: &Connection,
    snapshot: &mut SeriesSnapshot,
    runs: i64,
    asker: Option<InstanceId>,
    now: Millis,
) -> Result<()> {
    let Some(next_at) = snapshot.next_at.filter(|at| *at <= now) else {
        return Ok(());
    };
    if snapshot.live == 0 && now.saturating_sub(next_at) <= PROMPT_MS {
        return Ok(());
    }
    past_attempts(connection, snapshot, runs, next_at)?;
    if snapshot.live > 0 {
        claims(connection, snapshot, asker, now)?;
    }
    Ok(())
}

fn past_attempts(connection: &Connection, snapshot: &mut SeriesSnapshot, runs: i64, since: Millis) -> Result<()> {
    let mut select = connection.prepare_cached(SELECT_ATTEMPTS_SINCE)?;
    let after = runs.saturating_sub(BUSY_RUNS);
    let found = select.query_map((snapshot.job, after, since, rows(MAX_BUSY_ATTEMPTS)), |row| {
        Ok(PastAttempt {
            started: row.get(0)?,
            ended: row.get(1)?,
            status: row.get(2)?,
            next_due: row.get(3)?,
        })
    })?;
    for attempt in found {
        snapshot.busy.extend(attempt?.busy());
    }
    Ok(())
}

/// What is claimed is being done: by who asks until now, by another as long as it is known to have been there.
fn claims(
    connection: &Connection,
    snapshot: &mut SeriesSnapshot,
    asker: Option<InstanceId>,
    now: Millis,
) -> Result<()> {
    let mut select = connection.prepare_cached(SELECT_CLAIMS_OF_JOB)?;
    let mut found = select.query([snapshot.job])?;
    while let Some(row) = found.next()? {
        let (owner, started): (InstanceId, Millis) = (row.get(0)?, row.get(1)?);
        if asker == Some(owner) {
            snapshot.busy.extend(busy::span(started, now));
            continue;
        }
        snapshot.claimed_by_others = true;
        let seen = seen(row.get(2)?, row.get(3)?, &BootTime::now(), now);
        snapshot.busy.extend(seen.and_then(|seen| busy::span(started, seen)));
    }
    Ok(())
}

/// When a process was last seen, by the wall clock as it goes now; `None`: not since the machine started.
pub(super) fn seen(boot: Option<String>, seen: Option<i64>, time: &BootTime, now: Millis) -> Option<Millis> {
    let seen = seen.filter(|_| boot.is_some_and(|boot| boot == time.boot))?;
    Some(now.saturating_sub(time.millis.saturating_sub(seen).max(0)))
}
