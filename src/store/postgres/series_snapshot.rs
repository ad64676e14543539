//! Series as those see them who compute how they move: with what is known of when their runs were being done.

use super::failure::DbResult;
use super::param::rows;
use super::series::Series;
use super::session::Session;
use super::state::{StoredJob, read_id};
use crate::clock::Millis;
use crate::store::rules::busy::{self, BUSY_RUNS, MAX_BUSY_ATTEMPTS, PROMPT_MS, PastAttempt};
use crate::store::{InstanceId, JobSeq, SeriesSnapshot, Settled};
use tokio_postgres::Row;

const SELECT_GAPS_END: &str = include_str!("sql/select_gaps_end.sql");
const SELECT_BUSY: &str = include_str!("sql/select_busy.sql");

/// A series that is locked, for a change of it.
pub(super) async fn of(
    session: &Session,
    stored_job: &StoredJob,
    series: &Series,
    now: Millis,
) -> DbResult<SeriesSnapshot> {
    let state = &series.state;
    let job = (stored_job.job.seq, stored_job.job.id.clone());
    let snapshot = state.snapshot(job, &series.spec, &series.settled);
    let mut snapshots = [(snapshot, state.runs)];
    add_busy(session, &mut snapshots, None, now).await?;
    let [(mut snapshot, _)] = snapshots;
    if snapshot.tells_accounted_to() {
        let gaps = session.query_opt(SELECT_GAPS_END, &[&snapshot.job]).await?;
        let gap: Option<Millis> = gaps.map(|row| row.try_get(0)).transpose()?.flatten();
        snapshot.accounted_to = series.last_at.max(gap);
    }
    Ok(snapshot)
}

/// Reads a series that goes on, and the number of its last run.
pub(super) fn read(row: &Row) -> DbResult<(SeriesSnapshot, i64)> {
    let snapshot = SeriesSnapshot {
        job: row.try_get(0)?,
        id: read_id(row, 1, 2)?,
        version: row.try_get(3)?,
        recurrence: row.try_get(4)?,
        next_at: row.try_get(5)?,
        runs: row.try_get(6)?,
        live: row.try_get(7)?,
        claimed_by_others: false,
        busy: Vec::new(),
        settled: Settled::from_text(row.try_get(8)?),
        ended: false,
        accounted_to: row.try_get(10)?,
    };
    Ok((snapshot, row.try_get(9)?))
}

/// Adds when runs were being done, where that matters at `now` for who asks; each series with the number of its last run.
pub(super) async fn add_busy(
    session: &Session,
    snapshots: &mut [(SeriesSnapshot, i64)],
    asker: Option<InstanceId>,
    now: Millis,
) -> DbResult<()> {
    let (mut jobs, mut after, mut since) = (Vec::new(), Vec::new(), Vec::new());
    for (snapshot, runs) in snapshots.iter() {
        let Some(next_at) = snapshot.next_at.filter(|at| *at <= now) else {
            continue;
        };
        if snapshot.live > 0 || now.saturating_sub(next_at) > PROMPT_MS {
            jobs.push(snapshot.job);
            after.push(runs.saturating_sub(BUSY_RUNS));
            since.push(next_at);
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    let found = session
        .query(SELECT_BUSY, &[&jobs, &after, &since, &rows(MAX_BUSY_ATTEMPTS)])
        .await?;
    for row in &found {
        let job: JobSeq = row.try_get(0)?;
        if let Some((snapshot, _)) = snapshots.iter_mut().find(|(snapshot, _)| snapshot.job == job) {
            add(snapshot, row, asker, now)?;
        }
    }
    Ok(())
}

fn add(snapshot: &mut SeriesSnapshot, row: &Row, asker: Option<InstanceId>, now: Millis) -> DbResult<()> {
    let started: Millis = row.try_get(1)?;
    let Some(owner) = row.try_get::<_, Option<InstanceId>>(5)? else {
        let attempt = PastAttempt {
            started,
            ended: row.try_get(2)?,
            status: row.try_get::<_, i32>(3)?.into(),
            next_due: row.try_get(4)?,
        };
        snapshot.busy.extend(attempt.busy());
        return Ok(());
    };
    // By who asks it is being done until now, by another as long as it is known to have been there.
    if asker == Some(owner) {
        snapshot.busy.extend(busy::span(started, now));
    } else {
        snapshot.claimed_by_others = true;
        let seen: Option<Millis> = row.try_get(6)?;
        snapshot.busy.extend(seen.and_then(|seen| busy::span(started, seen)));
    }
    Ok(())
}
