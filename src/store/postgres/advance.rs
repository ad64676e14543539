//! Turns due occurrences into runs and advances their series, in one transaction.
//!
//! Invariant: an advance is applied once, and only if its series is unchanged since the advance was computed; otherwise
//! the series stays due, so that nothing is lost.

use super::failure::DbResult;
use super::param::{params, rows};
use super::run_rows::{NewOccurrence, Waiting};
use super::series::Series;
use super::series_changes;
use super::session::Session;
use super::state::{self, Run, RunState, StoredJob};
use super::tx::Tx;
use crate::clock::Millis;
use crate::store::{JobSeq, OccurrenceGap, SeriesAdvance};

const UPSERT_GAP: &str = include_str!("sql/upsert_gap.sql");
const CUT_GAP: &str = include_str!("sql/cut_gap.sql");

/// Applies the advances; returns how many took effect.
pub(super) async fn apply(session: &Session, now: Millis, advances: &[SeriesAdvance]) -> DbResult<usize> {
    let mut tx = Tx::begin(session).await?;
    let mut jobs: Vec<JobSeq> = advances.iter().map(|advance| advance.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut stored_jobs = state::lock_series(session, &jobs).await?;
    let mut counted = 0;
    for advance in advances {
        let stored_job = state::find_among(&mut stored_jobs, advance.job);
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
    let current = |series: &Series| series.state.is_at(advance.version);
    if !stored_job.series.as_ref().is_some_and(current) {
        return false;
    }
    let (route, before) = (stored_job.job.route, stored_job.status());
    write(tx, stored_job, advance, now);
    series_changes::count(tx, (route, before), (route, stored_job.status()));
    true
}

/// Writes the gaps and runs of an advance, and changes the series, which is not saved.
pub(super) fn write(tx: &mut Tx<'_>, stored_job: &mut StoredJob, advance: &SeriesAdvance, now: Millis) {
    let job = stored_job.job.seq;
    let Some(series) = stored_job.series.as_mut() else {
        return;
    };
    let (runs, next_at) = (series.state.runs, series.state.next_at);
    for gap in &advance.cut_gaps {
        tx.write_later(CUT_GAP, params![job, gap.kind as i32, gap.first, gap.last, gap.count]);
    }
    for gap in &advance.gaps {
        let continues = advance.continues(gap, next_at);
        insert_gap(tx, job, gap, (runs + advance.runs_before(gap), continues));
    }
    let count = rows(advance.occurrences.len());
    series
        .state
        .advanced(count, advance.next_at, advance.after_live_runs, now);
    series.settled = advance.settled.clone();
    series.last_at = advance
        .occurrences
        .last()
        .map(|run| run.scheduled_at)
        .or(series.last_at);
    for (run, occurrence) in (runs + 1..).zip(&advance.occurrences) {
        let due = occurrence.scheduled_at;
        add_run(tx, stored_job, run, (due, due, occurrence.missed));
    }
}

/// Makes a run of a series, due at `due`.
pub(super) fn add_run(
    tx: &mut Tx<'_>,
    stored_job: &mut StoredJob,
    run: i64,
    (scheduled_at, due, missed): (Millis, Millis, i64),
) {
    let job = stored_job.job.seq;
    tx.inserts.occurrences.push(NewOccurrence {
        job,
        run,
        scheduled_at,
        due,
        missed,
    });
    let waiting = Waiting::first(job, run, true);
    tx.inserts.ready.push((stored_job.rank(due), waiting));
    stored_job.runs.push(Run {
        run,
        first_due: due,
        scheduled_at,
        run_state: RunState::Ready(due, waiting),
        last: None,
    });
}

/// Records a gap. One that continues the last gap, with nothing in between, extends it.
fn insert_gap(tx: &mut Tx<'_>, job: JobSeq, gap: &OccurrenceGap, (runs, continues): (i64, bool)) {
    tx.write_later(
        UPSERT_GAP,
        params![job, gap.kind as i32, runs, gap.first, gap.last, gap.count, continues],
    );
}
