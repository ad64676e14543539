//! How a series moves on from a due occurrence.
//!
//! Pure: a schedule, the state of a series and `now` go in, a plan comes out; the store applies it in one transaction.
//! Invariant: every grid point ends up in exactly one of: a run, a missed range, a skipped range.

use super::timetable::{DuePoints, Timetable};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::{IfRunning, Misfire, Recurrence};
use crate::store::{DueSeries, GapKind, Occurrence, OccurrenceGap, SeriesAdvance};

/// How `series` moves on at `now`.
///
/// # Errors
/// As [`Timetable::compile`].
pub fn plan(recurrence: &Recurrence, series: &DueSeries, now: Millis) -> Result<SeriesAdvance> {
    let timetable = Timetable::compile(recurrence)?;
    let due = timetable.due(series.next_at, now);
    let overlapping = recurrence.if_running == IfRunning::Skip && series.live > 0;
    let (occurrences, gaps) = if overlapping {
        (Vec::new(), skip_all_due(&due))
    } else {
        catch_up(recurrence.misfire, &due)
    };
    if recurrence.misfire == Misfire::All && recurrence.if_running == IfRunning::Skip && occurrences.len() > 1 {
        return Ok(catch_up_one_by_one(recurrence, series, &due, gaps));
    }
    let room = recurrence
        .limit
        .map_or(i64::MAX, |limit| limit.saturating_sub(series.runs))
        .max(0);
    let occurrences: Vec<Occurrence> = occurrences
        .into_iter()
        .take(usize::try_from(room).unwrap_or(usize::MAX))
        .collect();
    let exhausted = room <= occurrences.len() as i64;
    Ok(SeriesAdvance {
        job: series.job,
        version: series.version,
        occurrences,
        gaps,
        next_at: due.next.filter(|_| !exhausted),
        after_live_runs: false,
    })
}

/// The next occurrence of a series that is resumed at `now` and has made `runs` runs; those it has missed meanwhile are
/// not made up for.
///
/// # Errors
/// As [`Timetable::compile`].
pub fn next_after_resume(recurrence: &Recurrence, runs: i64, now: Millis) -> Result<Option<Millis>> {
    if recurrence.limit.is_some_and(|limit| runs >= limit) {
        return Ok(None);
    }
    Ok(Timetable::compile(recurrence)?.after(now))
}

/// A backlog of which every point gets its run, without two at a time: one run now, the next point when it has ended.
fn catch_up_one_by_one(
    recurrence: &Recurrence,
    series: &DueSeries,
    due: &DuePoints,
    gaps: Vec<OccurrenceGap>,
) -> SeriesAdvance {
    let (job, version) = (series.job, series.version);
    let mut points = due.recent.iter().copied();
    let room = recurrence
        .limit
        .map_or(i64::MAX, |limit| limit.saturating_sub(series.runs));
    let occurrences = points.next().filter(|_| room > 0).map(|scheduled_at| Occurrence {
        scheduled_at,
        missed: 0,
    });
    let next_at = points.next().filter(|_| room > 1);
    SeriesAdvance {
        job,
        version,
        occurrences: occurrences.into_iter().collect(),
        gaps,
        next_at,
        after_live_runs: next_at.is_some(),
    }
}

/// A run is still going: all that came due meanwhile is passed over.
fn skip_all_due(due: &DuePoints) -> Vec<OccurrenceGap> {
    due.gap(GapKind::Skipped, due.count, due.last()).into_iter().collect()
}

/// Nothing is going. A point is missed when its successor is due too.
fn catch_up(misfire: Misfire, due: &DuePoints) -> (Vec<Occurrence>, Vec<OccurrenceGap>) {
    let on_time = |scheduled_at| Occurrence {
        scheduled_at,
        missed: 0,
    };
    match misfire {
        _ if !due.complete => (
            Vec::new(),
            due.gap(GapKind::Missed, due.count, due.last()).into_iter().collect(),
        ),
        _ if due.count == 1 => (vec![on_time(due.first)], Vec::new()),
        Misfire::Skip => (
            Vec::new(),
            due.gap(GapKind::Missed, due.count, due.last()).into_iter().collect(),
        ),
        Misfire::Once => {
            let last_missed = due.recent.iter().rev().nth(1).copied().unwrap_or(due.first);
            let gap = due.gap(GapKind::Missed, due.count - 1, last_missed);
            (
                vec![Occurrence {
                    scheduled_at: due.last(),
                    missed: due.count - 1,
                }],
                gap.into_iter().collect(),
            )
        }
        Misfire::All => {
            let dropped = due.count - due.recent.len() as i64;
            let gap = due.gap(GapKind::Missed, dropped, due.before.unwrap_or(due.first));
            (
                due.recent.iter().copied().map(on_time).collect(),
                gap.into_iter().collect(),
            )
        }
    }
}

#[cfg(test)]
mod tests;
