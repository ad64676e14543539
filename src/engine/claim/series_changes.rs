//! How changes on request move a series: pause, resume, another schedule, a run besides, occurrences to be skipped, a clock that
//! was set back.
//!
//! Pure, as `recurrence`, whose invariant holds here as well: whatever moves `next_at` accounts for the points that it
//! passes. A schedule that this version cannot compute is left as it is; replaced by another, it has dealt with the one point of
//! it that is known.

use super::recurrence::{Place, Places, plan_with, room};
use super::timetable::Timetable;
use crate::clock::Millis;
use crate::model::{IfRunning, Recurrence, Rule};
use crate::store::{
    ComputeMove, GapKind, OccurrenceGap, SeriesAdvance, SeriesMove, SeriesSnapshot, Settled, Span, without,
};

/// Most points that are looked at to find those to skip.
const MAX_POINTS: usize = 100_000;
/// Most points ahead that keep their place in another schedule.
const MAX_KEPT: usize = 1_000;
/// Within this time a change reaches the store, ms: what its schedule ran meanwhile was later than the change is.
const MAX_UNDERWAY_MS: i64 = 60_000;

/// A stored series with its schedule.
struct Known<'a> {
    series: &'a SeriesSnapshot,
    recurrence: Recurrence,
    timetable: Timetable,
}

impl<'a> Known<'a> {
    /// `None`: this version cannot compute it.
    fn read(series: &'a SeriesSnapshot) -> Option<Self> {
        let recurrence: Recurrence = serde_json::from_str(&series.recurrence).ok()?;
        let timetable = Timetable::compile(&recurrence).ok()?;
        Some(Self {
            series,
            recurrence,
            timetable,
        })
    }

    /// One that cannot be computed, by its next point alone, which is stored: what it does with that is known, unless a newer version
    /// wrote it in a way that cannot be read; then it is as in `new`. `None`: no point is to come.
    fn of_next_point(series: &'a SeriesSnapshot, new: &Recurrence) -> Option<Self> {
        let next_at = series.next_at?;
        let known = serde_json::from_str(&series.recurrence).unwrap_or_else(|_| new.clone());
        let recurrence = Recurrence {
            rule: Rule::Every {
                interval: Millis::MAX,
                anchor: next_at,
            },
            start_at: Some(next_at),
            end_at: Some(next_at),
            except: None,
            offset: 0,
            ..known
        };
        let timetable = Timetable::of_interval(Millis::MAX, next_at, &recurrence);
        Some(Self {
            series,
            recurrence,
            timetable,
        })
    }

    /// Deals with what is overdue, as the claimer would. What cannot be decided yet stays: `next_at` is not later than `now` then.
    fn settled_up(&self, now: Millis) -> SeriesAdvance {
        let unchanged = || SeriesAdvance {
            after_live_runs: self.series.live > 0 && self.series.next_at.is_some_and(|at| at <= now),
            ..SeriesAdvance::unchanged(self.series)
        };
        if self.series.settled.paused_at.is_some() {
            return unchanged();
        }
        plan_with(&self.timetable, &self.recurrence, self.series, now).unwrap_or_else(unchanged)
    }

    /// The points from `from` to `to` that are not accounted for, as a gap of this kind; those that the schedule excepts
    /// have their own.
    fn pass_over(&self, settled: &Settled, (from, to): Span, kind: GapKind) -> Vec<OccurrenceGap> {
        let mut places = Places::new(settled);
        places.add(self.timetable.excepted_spans(from, to), GapKind::Except);
        let mut gaps = Vec::new();
        let mut next = self.timetable.after(from.saturating_sub(1));
        while let Some(at) = next.filter(|at| *at <= to) {
            let (place, until) = places.at(at);
            let due = self.timetable.due(at, until.min(to));
            next = due.next;
            let kind = match place {
                Place::Settled => continue,
                Place::Free => kind,
                Place::Passed(kind) => kind,
            };
            gaps.extend(due.gap(kind, due.count, due.last()));
        }
        self.timetable.joined(gaps)
    }
}

/// Pauses a series at `now`: what fell due before is dealt with as if it went on, what falls due from now on is passed over when
/// it is resumed.
#[must_use]
pub fn pause(now: Millis) -> ComputeMove {
    ComputeMove::new(move |series| {
        let mut advance = match Known::read(series) {
            Some(known) => known.settled_up(now),
            None => SeriesAdvance::unchanged(series),
        };
        advance.settled.paused_at = Some(now);
        Some(SeriesMove::of(advance))
    })
}

/// Resumes a series at `now`.
#[must_use]
pub fn resume(now: Millis) -> ComputeMove {
    ComputeMove::new(move |series| {
        let mut advance = SeriesAdvance::unchanged(series);
        let since = advance.settled.paused_at.take().unwrap_or(Millis::MIN);
        let (Some(next_at), Some(known)) = (series.next_at, Known::read(series)) else {
            return Some(SeriesMove::of(advance));
        };
        // From the pause on; what was there before it waits for a run to end.
        let from = next_at.max(since.saturating_add(1));
        let paused = (from, now);
        advance.gaps = known.pass_over(&advance.settled, paused, GapKind::Paused);
        let first = known.timetable.after(now);
        if next_at >= from {
            advance.next_at = first.max(Some(next_at).filter(|at| *at > now));
        } else {
            advance.settled.spans.push(paused);
            advance.after_live_runs = true;
        }
        Some(SeriesMove::of(advance))
    })
}

/// A series gets another schedule at `now`, whose first occurrence is `first`. With the same instants it keeps its place in
/// them; otherwise what is overdue is dealt with by the old schedule, and what cannot be is passed over. Of a schedule that this
/// version cannot compute only the next point is known.
#[must_use]
pub fn replaced(series: &SeriesSnapshot, new: &Recurrence, first: Option<Millis>, now: Millis) -> SeriesMove {
    let with = |advance, recurrence| SeriesMove {
        recurrence: Some(recurrence),
        ..SeriesMove::of(advance)
    };
    let begun_anew = |spans| SeriesAdvance {
        next_at: first,
        settled: Settled {
            spans,
            paused_at: series.settled.paused_at.map(|_| now),
            since: Some(now),
        },
        ..SeriesAdvance::unchanged(series)
    };
    if series.ended {
        let spans = Known::read(series).map(|known| known.settled_until(series.accounted_to, &series.settled, now));
        return with(begun_anew(spans.unwrap_or_default()), new.clone());
    }
    let Some(known) = Known::read(series).or_else(|| Known::of_next_point(series, new)) else {
        return with(begun_anew(Vec::new()), new.clone());
    };
    if let (Some(next_at), Some(anchored)) = (series.next_at, known.on_same_grid(new, now)) {
        return with(known.kept(&anchored, next_at, now), anchored);
    }
    let mut advance = known.closed(now);
    let fresh = begun_anew(known.settled_ahead(&advance, now));
    advance.next_at = fresh.next_at;
    advance.settled = fresh.settled;
    advance.after_live_runs = false;
    with(advance, new.clone())
}

impl Known<'_> {
    /// The points from `now` on that have their place already: skipped on request, as a rule. Another schedule that has them does not
    /// run them again.
    fn settled_ahead(&self, advance: &SeriesAdvance, now: Millis) -> Vec<Span> {
        let Some(next_at) = advance.next_at else {
            return self.settled_until(self.series.accounted_to, &advance.settled, now);
        };
        self.settled_before(next_at, &advance.settled, now)
    }

    /// The same of a schedule without a next point, which has dealt with all up to `last`: with such as fell due while the change was
    /// on its way. By a clock that is an hour behind what is much later is still to come.
    fn settled_until(&self, last: Option<Millis>, settled: &Settled, now: Millis) -> Vec<Span> {
        let Some(last) = last else { return Vec::new() };
        let end = last.min(now.saturating_add(MAX_UNDERWAY_MS)).saturating_add(1);
        self.settled_before(end, settled, now)
    }

    fn settled_before(&self, next_at: Millis, settled: &Settled, now: Millis) -> Vec<Span> {
        let places = Places::new(settled);
        let last = settled.spans.iter().map(|(_, to)| *to).fold(next_at, Millis::max);
        // The first point of the other schedule can be now.
        let first = self.timetable.after(now.saturating_sub(1));
        std::iter::successors(first, |at| self.timetable.after(*at))
            .take_while(|at| *at <= last)
            .take(MAX_KEPT)
            .filter(|at| *at < next_at || places.at(*at).0 == Place::Settled)
            .map(|at| (at, at))
            .collect()
    }

    /// The new schedule with the anchor and the place within its spread of this one, if its instants from now on are those of this
    /// one, apart from where they end.
    fn on_same_grid(&self, new: &Recurrence, now: Millis) -> Option<Recurrence> {
        let begins = |recurrence: &Recurrence| recurrence.start_at.filter(|start| *start > now);
        let anchored = Recurrence {
            rule: anchored(&self.recurrence.rule, new),
            ..new.clone()
        };
        let same = begins(&self.recurrence) == begins(new)
            && self.recurrence.offset == new.offset
            && self.timetable.has_same_instants(&Timetable::compile(&anchored).ok()?);
        same.then_some(anchored)
    }

    /// Goes on from the same place with the details of `new`.
    fn kept(&self, new: &Recurrence, next_at: Millis, now: Millis) -> SeriesAdvance {
        let ends_before = |at: Millis| new.end_at.is_some_and(|end| at.saturating_sub(new.offset) > end);
        let over = |at: Millis, advance: &SeriesAdvance| {
            let runs = advance.occurrences.len() as i64;
            ends_before(at) || room(new, self.series) <= runs
        };
        let mut advance = SeriesAdvance::unchanged(self.series);
        if next_at <= now && over(next_at, &advance) {
            // The end was not in force when it fell due.
            advance = self.closed(now);
        }
        advance.next_at = advance.next_at.filter(|at| !over(*at, &advance));
        advance
    }

    /// Everything up to `now` has its place.
    fn closed(&self, now: Millis) -> SeriesAdvance {
        let mut advance = self.settled_up(now);
        let Some(left) = advance.next_at.filter(|at| *at <= now) else {
            return advance;
        };
        let paused_at = advance.settled.paused_at.unwrap_or(now);
        let (waited, paused) = ((left, now.min(paused_at)), (left.max(paused_at.saturating_add(1)), now));
        for (span, kind) in [(waited, GapKind::Rescheduled), (paused, GapKind::Paused)] {
            let gaps = self.pass_over(&advance.settled, span, kind);
            advance.gaps.extend(gaps);
        }
        advance.next_at = self.timetable.after(now);
        advance
    }
}

/// The rule of `new`; an interval that does not say when it begins goes on as it did.
fn anchored(known: &Rule, new: &Recurrence) -> Rule {
    match (known, &new.rule) {
        (Rule::Every { interval: one, .. }, Rule::Every { interval: other, .. })
            if one == other && new.start_at.is_none() =>
        {
            known.clone()
        }
        (
            Rule::Interval { duration: one, tz, .. },
            Rule::Interval {
                duration: other,
                tz: zone,
                ..
            },
        ) if (one, tz) == (other, zone) && new.start_at.is_none() => known.clone(),
        _ => new.rule.clone(),
    }
}

/// Passes over the next `count` points after `now`.
#[must_use]
pub fn skip_next(count: usize, now: Millis) -> ComputeMove {
    ComputeMove::new(move |series| {
        let known = Known::read(series)?;
        let mut advance = known.settled_up(now);
        let from = advance.next_at?.max(now.saturating_add(1));
        let points = known.open_points(&advance.settled, from).take(count);
        let points: Vec<Millis> = points.collect();
        let (first, last) = (*points.first()?, *points.last()?);
        if advance.next_at.is_some_and(|at| at > now) {
            // Those between that are excepted are passed over now, too.
            let behind = known.timetable.after(last);
            let at = advance.next_at.unwrap_or(first);
            advance
                .gaps
                .extend(known.pass_over(&advance.settled, (at, last), GapKind::Request));
            advance.next_at = behind;
            advance.settled.spans.retain(|(_, to)| *to > last);
        } else {
            advance
                .gaps
                .extend(known.pass_over(&advance.settled, (first, last), GapKind::Request));
            advance.settled.spans.push((first, last));
        }
        Some(SeriesMove::of(advance))
    })
}

impl Known<'_> {
    /// The points from `from` on that are neither accounted for nor excepted.
    fn open_points<'b>(&'b self, settled: &'b Settled, from: Millis) -> impl Iterator<Item = Millis> + 'b {
        let first = self.timetable.after(from.saturating_sub(1));
        std::iter::successors(first, |at| self.timetable.after(*at))
            .take(MAX_POINTS)
            .filter(move |at| {
                let mut places = Places::new(settled);
                places.add(self.timetable.excepted_spans(*at, *at), GapKind::Except);
                places.at(*at).0 == Place::Free
            })
    }
}

/// Makes a run at `now` besides those of the schedule; not while another one is there, unless runs may overlap.
#[must_use]
pub fn run_now(now: Millis) -> ComputeMove {
    ComputeMove::new(move |series| {
        let recurrence: Recurrence = serde_json::from_str(&series.recurrence).ok()?;
        if recurrence.if_running == IfRunning::Skip && series.live > 0 {
            return None;
        }
        // At no time of the schedule: by that it is told from a run of it.
        let is_point = Timetable::compile(&recurrence).is_ok_and(|timetable| timetable.has(now));
        Some(SeriesMove {
            extra_run: Some(now + i64::from(is_point)),
            ..SeriesMove::of(SeriesAdvance {
                after_live_runs: false,
                ..SeriesAdvance::unchanged(series)
            })
        })
    })
}

/// Whether a series has dealt with points that are still to come at `now`.
#[must_use]
pub fn is_ahead(series: &SeriesSnapshot, now: Millis) -> bool {
    let first = Known::read(series).and_then(|known| known.timetable.after(now));
    first.is_some_and(|first| series.next_at.is_some_and(|next_at| first < next_at))
}

/// Plans a series anew after its clock was set back to `now`, `None`: it has dealt with nothing that is still to come. `gaps` are
/// those that are recorded; `passed_over`: what the clock passed over in jumps before.
///
/// What was missed or skipped gets its runs; what was run is not run again, unless the schedule is about intervals and the clock
/// had come to it in its ordinary course.
#[must_use]
pub fn replanned(
    series: &SeriesSnapshot,
    gaps: &[OccurrenceGap],
    now: Millis,
    passed_over: &[Span],
) -> Option<SeriesAdvance> {
    let known = Known::read(series)?;
    let next_at = series.next_at?;
    let first = known.timetable.after(now).filter(|first| *first < next_at)?;
    let mut ahead: Vec<&OccurrenceGap> = gaps.iter().filter(|gap| gap.last > now).collect();
    ahead.sort_unstable_by_key(|gap| gap.first);
    let (mut cut_gaps, mut ran, mut requested, mut was_missed) = (Vec::new(), Vec::new(), Vec::new(), false);
    let mut settled = series.settled.clone();
    settled.paused_at = settled.paused_at.map(|at| at.min(now));
    let mut from = now.saturating_add(1);
    for gap in ahead {
        ran.push((from, gap.first.saturating_sub(1)));
        // Those of an earlier schedule may lie within others.
        from = from.max(gap.last.saturating_add(1));
        if gap.kind == GapKind::Request {
            requested.push((gap.first, gap.last));
            continue;
        }
        was_missed = true;
        if let Some(cut) = known.cut_off(gap, now) {
            if gap.kind == GapKind::Paused {
                // They come again. A pause whose points waited for a run to end is among what is settled.
                settled.spans = without(&settled.spans, (gap.first.max(now.saturating_add(1)), gap.last));
            }
            cut_gaps.push(cut);
        }
    }
    settled.spans.extend(requested);
    // What is in no gap was run, if the schedule was in force.
    ran.push((from, next_at.saturating_sub(1)));
    let since = settled.since.unwrap_or(Millis::MIN);
    let was_made_ahead = since > now;
    for span in &mut ran {
        span.0 = span.0.max(since);
    }
    ran.retain(|span| {
        known
            .timetable
            .after(span.0.saturating_sub(1))
            .is_some_and(|at| at <= span.1)
    });
    if !was_missed && !was_made_ahead && ran.is_empty() {
        return None;
    }
    if was_made_ahead {
        // From now on it is: what it runs by this clock is not run again.
        settled.since = Some(now);
    }
    if known.timetable.is_paced() {
        let within = |(from, to): Span| passed_over.iter().map(move |span| (from.max(span.0), to.min(span.1)));
        ran = ran.into_iter().flat_map(within).collect();
    }
    settled.spans.extend(ran.into_iter().filter(|(from, to)| from <= to));
    Some(SeriesAdvance {
        cut_gaps,
        next_at: Some(first),
        settled,
        ..SeriesAdvance::unchanged(series)
    })
}

impl Known<'_> {
    /// What of a recorded gap is not later than `now`; `None`: its points are of an earlier schedule, and do not come again.
    fn cut_off(&self, gap: &OccurrenceGap, now: Millis) -> Option<OccurrenceGap> {
        if self.timetable.after(gap.first.saturating_sub(1)) != Some(gap.first) {
            return None;
        }
        let whole = self.timetable.due(gap.first, gap.last);
        // It may have fewer: gaps are joined, and what lies between them may have been run before.
        if whole.last() != gap.last || whole.count < gap.count {
            return None;
        }
        if gap.first > now {
            return Some(OccurrenceGap { count: 0, ..*gap });
        }
        let due = self.timetable.due(gap.first, now.min(gap.last));
        Some(OccurrenceGap {
            last: due.last(),
            count: due.count.min(gap.count),
            ..*gap
        })
    }
}

#[cfg(test)]
mod tests;
