//! Turns due occurrences into runs and advances their series, in one transaction.
//!
//! Invariant: an advance is applied once, and only if its series is unchanged since the advance was computed; otherwise
//! the series stays due, so that nothing is lost.

use super::failure::DbResult;
use super::param::{params, rows};
use super::run_rows::{NewOccurrence, Rank, Waiting};
use super::series::Series;
use super::series_changes;
use super::session::Session;
use super::state::{self, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::store::{JobSeq, OccurrenceGap, SeriesAdvance};

const UPSERT_GAP: &str = include_str!("sql/upsert_gap.sql");

/// Applies the advances; returns how many took effect.
pub(super) async fn apply(session: &Session, now: Millis, advances: &[SeriesAdvance]) -> DbResult<usize> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<JobSeq> = advances.iter().map(|advance| advance.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(session, &jobs).await?;
    let mut counted = 0;
    for advance in advances {
        let stored_job = stored_jobs
            .iter_mut()
            .find(|stored_job| stored_job.job.seq == advance.job);
        counted += usize::from(stored_job.is_some_and(|stored_job| apply_one(&mut tx, stored_job, advance, now)));
    }
    if counted == 0 {
        tx.roll_back().await?;
        return Ok(0);
    }
    for stored_job in stored_jobs {
        if let Some(series) = stored_job.series {
            series.save(&mut tx, stored_job.job.seq);
        }
    }
    tx.commit().await?;
    Ok(counted)
}

fn apply_one(tx: &mut Tx<'_>, stored_job: &mut StoredJob, advance: &SeriesAdvance, now: Millis) -> bool {
    let current = |series: &&mut Series| series.state.is_at(advance.version);
    let rank = |due| Rank {
        route: stored_job.job.route,
        priority: stored_job.job.priority,
        due,
        key: stored_job.job.key,
    };
    let Some(series) = stored_job.series.as_mut().filter(current) else {
        return false;
    };
    let (job, route, before) = (stored_job.job.seq, stored_job.job.route, series.status());
    for gap in &advance.gaps {
        insert_gap(tx, job, gap, series.state.runs);
    }
    for (run, occurrence) in (series.state.runs + 1..).zip(&advance.occurrences) {
        tx.inserts.occurrences.push(NewOccurrence {
            job,
            run,
            scheduled_at: occurrence.scheduled_at,
            due: occurrence.scheduled_at,
            missed: occurrence.missed,
        });
        let first = Waiting::first(job, run, true);
        tx.inserts.ready.push((rank(occurrence.scheduled_at), first));
        series.last_at = Some(occurrence.scheduled_at);
    }
    let count = rows(advance.occurrences.len());
    series
        .state
        .advanced(count, advance.next_at, advance.after_live_runs, now);
    series_changes::count(tx, (route, before), (route, series.status()));
    true
}

/// Records a gap. One that continues the last gap, with no run in between, extends it.
fn insert_gap(tx: &mut Tx<'_>, job: JobSeq, gap: &OccurrenceGap, runs: i64) {
    tx.write_later(
        UPSERT_GAP,
        params![job, gap.kind as i32, runs, gap.first, gap.last, gap.count],
    );
}
