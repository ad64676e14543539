//! How a series moves on from a due occurrence.
//!
//! Pure: a schedule, the state of a series and `now` go in, a plan comes out; the store applies it in one transaction.
//! Invariant: every grid point ends up in exactly one of: a run, a missed range, a skipped range. `docs/design/schedules.md`
//! has the rules.

use super::timetable::{DuePoints, MAX_CATCH_UP_RUNS, Timetable};
use crate::clock::Millis;
use crate::error::Result;
use crate::model::schedule::DEFAULT_GRACE_MS;
use crate::model::{IfRunning, Misfire, Recurrence};
use crate::store::{GapKind, Occurrence, OccurrenceGap, SeriesAdvance, SeriesSnapshot, Settled, Span};

/// How `series` moves on at `now`; `None`: not yet.
///
/// # Errors
/// As [`Timetable::compile`].
pub fn plan(recurrence: &Recurrence, series: &SeriesSnapshot, now: Millis) -> Result<Option<SeriesAdvance>> {
    let timetable = Timetable::compile(recurrence)?;
    Ok(plan_with(&timetable, recurrence, series, now))
}

/// The same with the instants of the schedule at hand.
pub(super) fn plan_with(
    timetable: &Timetable,
    recurrence: &Recurrence,
    series: &SeriesSnapshot,
    now: Millis,
) -> Option<SeriesAdvance> {
    let due = DueRanges::find(timetable, recurrence, series, now)?;
    let advance = decide(recurrence, series, now, &due)?;
    Some(SeriesAdvance {
        gaps: timetable.joined(advance.gaps),
        ..advance
    })
}

/// What becomes of the points that are due; `None`: that is not known yet.
fn decide(recurrence: &Recurrence, series: &SeriesSnapshot, now: Millis, due: &DueRanges) -> Option<SeriesAdvance> {
    let one_by_one = recurrence.if_running == IfRunning::Skip;
    if one_by_one && series.live > 0 && !due.free.is_empty() {
        return undecided(series, due);
    }
    let room = room(recurrence, series);
    let made = catch_up(recurrence, due, now);
    if recurrence.misfire == Misfire::All && one_by_one && made.occurrences.len() > 1 {
        return Some(catch_up_one_by_one(series, due, made, room));
    }
    let occurrences: Vec<Occurrence> = made
        .occurrences
        .into_iter()
        .take(usize::try_from(room).unwrap_or(usize::MAX))
        .collect();
    let exhausted = room <= occurrences.len() as i64;
    Some(advance(
        series,
        occurrences,
        merged(&due.passed, made.gaps),
        due.next.filter(|_| !exhausted),
        false,
    ))
}

/// Runs that the limit leaves.
pub(super) fn room(recurrence: &Recurrence, series: &SeriesSnapshot) -> i64 {
    recurrence
        .limit
        .map_or(i64::MAX, |limit| limit.saturating_sub(series.runs))
        .max(0)
}

fn advance(
    series: &SeriesSnapshot,
    occurrences: Vec<Occurrence>,
    gaps: Vec<OccurrenceGap>,
    next_at: Option<Millis>,
    after_live_runs: bool,
) -> SeriesAdvance {
    // Those that lie between what is accounted for last and the next one are kept: a range of the history does not go on beyond them.
    let ran = occurrences.last().map(|run| run.scheduled_at);
    let last = gaps.last().map(|gap| gap.last).max(ran).or(series.next_at);
    let mut settled = series.settled.clone();
    settled
        .spans
        .retain(|(_, to)| next_at.is_some() && last.is_none_or(|last| *to >= last));
    SeriesAdvance {
        occurrences,
        gaps,
        next_at,
        after_live_runs,
        settled,
        ..SeriesAdvance::unchanged(series)
    }
}

/// A run is there that nobody does, or of which another process knows more: of the points from the first one on that fell due
/// while none was being done, nothing can be said yet.
fn undecided(series: &SeriesSnapshot, due: &DueRanges) -> Option<SeriesAdvance> {
    let first = due.free.first()?.first;
    let passed = until(&due.passed, first);
    if series.claimed_by_others && passed.is_empty() {
        return None;
    }
    Some(advance(
        series,
        Vec::new(),
        passed,
        Some(first),
        !series.claimed_by_others,
    ))
}

/// A backlog of which every point gets its run, without two at a time: one run now, the next point when it has ended.
fn catch_up_one_by_one(series: &SeriesSnapshot, due: &DueRanges, made: CatchUp, room: i64) -> SeriesAdvance {
    let next_at = made.occurrences.get(1).map(|run| run.scheduled_at).filter(|_| room > 1);
    let occurrences = made.occurrences.into_iter().take(usize::from(room > 0)).collect();
    let mut gaps = merged(&due.passed, made.gaps);
    if let Some(next_at) = next_at {
        gaps = until(&gaps, next_at);
    }
    advance(series, occurrences, gaps, next_at, next_at.is_some())
}

fn until(gaps: &[OccurrenceGap], instant: Millis) -> Vec<OccurrenceGap> {
    gaps.iter().filter(|gap| gap.first < instant).copied().collect()
}

fn merged(passed: &[OccurrenceGap], missed: Vec<OccurrenceGap>) -> Vec<OccurrenceGap> {
    let mut gaps = missed;
    gaps.extend_from_slice(passed);
    gaps.sort_unstable_by_key(|gap| gap.first);
    gaps
}

/// The points of a series that are due, by what is known of them.
struct DueRanges {
    /// Points that nothing is known of.
    free: Vec<DuePoints>,
    /// Points that are passed over, whatever the schedule does with missed ones.
    passed: Vec<OccurrenceGap>,
    /// The first point after all of these.
    next: Option<Millis>,
}

impl DueRanges {
    /// `None`: nothing is due.
    fn find(timetable: &Timetable, recurrence: &Recurrence, series: &SeriesSnapshot, now: Millis) -> Option<Self> {
        let first = series.next_at.filter(|at| *at <= now)?;
        let mut places = Places::new(&series.settled);
        places.add(timetable.excepted_spans(first, now), GapKind::Except);
        if recurrence.if_running == IfRunning::Skip {
            places.add(series.busy.iter().copied(), GapKind::Overlap);
        }
        let (mut free, mut passed) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(at) = next.filter(|at| *at <= now) {
            let (place, until) = places.at(at);
            let due = timetable.due(at, until.min(now));
            next = due.next;
            let complete = due.complete;
            match place {
                Place::Free => free.push(due),
                Place::Settled => {}
                Place::Passed(kind) => passed.extend(due.gap(kind, due.count, due.last())),
            }
            if !complete {
                break;
            }
        }
        Some(Self { free, passed, next })
    }

    /// There is more than can be looked at in one step.
    fn is_complete(&self) -> bool {
        self.free.iter().all(|due| due.complete)
    }
}

/// What is known of a point before the schedule's own rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing.
    Free,
    /// It is accounted for.
    Settled,
    /// It is passed over for this reason.
    Passed(GapKind),
}

/// Spans of points of which something is known; of several, the one that was added first counts.
pub(super) struct Places(Vec<(Place, Vec<Span>)>);

impl Places {
    /// What is settled.
    pub(super) fn new(settled: &Settled) -> Self {
        let mut places = Self(Vec::new());
        places.push(Place::Settled, settled.spans.clone());
        places
    }

    /// Points to pass over.
    pub(super) fn add(&mut self, spans: impl IntoIterator<Item = Span>, kind: GapKind) {
        self.push(Place::Passed(kind), spans.into_iter().collect());
    }

    /// Sorts the spans and joins those that overlap, so that they can be searched.
    fn push(&mut self, place: Place, mut spans: Vec<Span>) {
        spans.retain(|(from, to)| from <= to);
        spans.sort_unstable();
        spans.dedup_by(|later, earlier| {
            let joins = later.0 <= earlier.1.saturating_add(1);
            if joins {
                earlier.1 = earlier.1.max(later.1);
            }
            joins
        });
        self.0.push((place, spans));
    }

    /// What is known of an instant, and the last one for which that is certain to hold too.
    pub(super) fn at(&self, instant: Millis) -> (Place, Millis) {
        let mut until = Millis::MAX;
        for (place, spans) in &self.0 {
            let behind = spans.partition_point(|(_, to)| *to < instant);
            let Some((from, to)) = spans.get(behind) else { continue };
            if *from <= instant {
                return (*place, until.min(*to));
            }
            until = until.min(from.saturating_sub(1));
        }
        (Place::Free, until)
    }
}

/// What is made of points that nothing passes over.
#[derive(Default)]
struct CatchUp {
    occurrences: Vec<Occurrence>,
    gaps: Vec<OccurrenceGap>,
}

/// A point is missed when its successor is due too, or when it is later than the grace of its schedule.
fn catch_up(recurrence: &Recurrence, due: &DueRanges, now: Millis) -> CatchUp {
    let Some(latest) = due.free.last() else {
        return CatchUp::default();
    };
    let last = latest.last();
    if !due.is_complete() {
        // The rest is looked at in the next step.
        return CatchUp {
            occurrences: Vec::new(),
            gaps: missed(&due.free, i64::MAX, gap_kind(recurrence.misfire)),
        };
    }
    let grace = recurrence.grace.unwrap_or(DEFAULT_GRACE_MS);
    let too_late = now.saturating_sub(last) > grace || latest.next.is_some_and(|next| next <= now);
    let count: i64 = due.free.iter().map(|due| due.count).sum();
    let run = |scheduled_at, missed| Occurrence { scheduled_at, missed };
    match recurrence.misfire {
        Misfire::Skip if too_late || count > 1 => CatchUp {
            occurrences: Vec::new(),
            gaps: missed(&due.free, count, GapKind::Misfire),
        },
        Misfire::Skip => CatchUp {
            occurrences: vec![run(last, 0)],
            gaps: Vec::new(),
        },
        Misfire::Once => CatchUp {
            occurrences: vec![run(last, count - 1 + i64::from(too_late))],
            gaps: missed(&due.free, count - 1, GapKind::Down),
        },
        Misfire::All => {
            let recent: Vec<Millis> = due.free.iter().flat_map(|due| due.recent.iter().copied()).collect();
            let from = recent.len().saturating_sub(MAX_CATCH_UP_RUNS);
            let made = recent.get(from..).unwrap_or_default();
            CatchUp {
                occurrences: made.iter().map(|at| run(*at, 0)).collect(),
                gaps: missed(&due.free, count - made.len() as i64, GapKind::Misfire),
            }
        }
    }
}

fn gap_kind(misfire: Misfire) -> GapKind {
    match misfire {
        Misfire::Once => GapKind::Down,
        Misfire::Skip | Misfire::All => GapKind::Misfire,
    }
}

/// The first `count` of these points, as ranges.
fn missed(free: &[DuePoints], count: i64, kind: GapKind) -> Vec<OccurrenceGap> {
    let mut left = count;
    free.iter()
        .filter_map(|due| {
            let taken = left.min(due.count);
            left -= taken;
            due.gap(kind, taken, due.nth(taken)?)
        })
        .collect()
}

#[cfg(test)]
mod tests;
