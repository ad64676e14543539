//! What this process counts: dispatches, and how attempts went. What is not yet handed to the store waits here by minute; what was
//! stays in totals, for [`totals`](FigureCounts::totals).
//!
//! Knows no store. Invariants: nothing that was counted is lost but with the process, or when the store takes nothing for so long
//! that [`MAX_WAITING`] is reached; to count a batch costs one lock, and for each of it no clock, and no allocation for a route that was
//! seen in this minute.

use super::figure_totals::FigureTotals;
use crate::clock::Millis;
use crate::model::{Figures, Route, RunOutcome};
use crate::store::{FigureSpan, RouteFigures, RouteId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pairs of a route and a minute that may wait for the store; what is counted beyond goes to the latest minute among them.
const MAX_WAITING: usize = 50_000;
/// Routes of a batch of dispatches that are looked through for the next one's.
const MAX_RECENT_ROUTES: usize = 16;
/// Age of what waits, ms, from which on somebody who passes by hands it over.
const OVERDUE_MS: i64 = 90_000;

/// An attempt that the store has counted.
#[derive(Clone, Copy, Debug)]
pub struct EndedAttempt<'a> {
    /// Where it went.
    pub route: RouteId,
    /// When it was due.
    pub due: Millis,
    /// Retries that its run has spent so far.
    pub retries: u32,
    /// When the handler was called.
    pub started_at: Millis,
    /// When it was done.
    pub ended_at: Millis,
    /// How it ended.
    pub outcome: &'a RunOutcome,
}

/// A minute, by its beginning, and a route.
type Place = (Millis, RouteId);

#[derive(Default)]
struct Waiting {
    attempts: Vec<(Place, Figures)>,
    /// Where each place stands among them.
    indexes: HashMap<Place, usize, BuildHasherDefault<PlaceHasher>>,
    /// That of the attempt counted last, which is nearly always that of the next one.
    last: usize,
    dispatches: HashMap<(Millis, Arc<Route>), u64>,
    /// The earliest minute among them.
    since: Option<Millis>,
    /// The latest one.
    newest: Millis,
}

impl Waiting {
    fn minute(&mut self, at: Millis) -> Millis {
        let minute = FigureSpan::Minute.start_of(at);
        if self.since.is_some() && self.attempts.len() + self.dispatches.len() >= MAX_WAITING {
            return self.newest;
        }
        self.since = Some(self.since.map_or(minute, |since| since.min(minute)));
        self.newest = minute;
        minute
    }

    fn is_overdue(&self, now: Millis) -> bool {
        self.since
            .is_some_and(|since| now.saturating_sub(since) > OVERDUE_MS || since.saturating_sub(now) > OVERDUE_MS)
    }

    /// What is counted at this place. There is always something.
    fn at(&mut self, place: Place) -> Option<&mut Figures> {
        let next = self.attempts.len();
        self.last = *self.indexes.entry(place).or_insert(next);
        if self.last == next {
            self.attempts.push((place, Figures::default()));
        }
        self.attempts.get_mut(self.last).map(|(_, figures)| figures)
    }

    /// What is counted of a route in the minute of this instant. There is always one.
    fn figures(&mut self, at: Millis, route: RouteId) -> Option<&mut Figures> {
        let is_last = self.attempts.get(self.last).is_some_and(|((minute, known), _)| {
            *known == route && (*minute..minute.saturating_add(FigureSpan::Minute.ms())).contains(&at)
        });
        if !is_last {
            let place = (self.minute(at), route);
            return self.at(place);
        }
        self.attempts.get_mut(self.last).map(|(_, figures)| figures)
    }
}

/// Mixes two numbers: places come from this program, which nobody makes collide.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Counts an attempt among those of its route and minute.
fn add_attempt(State { waiting, totals }: &mut State, attempt: &EndedAttempt<'_>) {
    let (counter, is_over): (fn(&mut Figures) -> &mut u64, bool) = match attempt.outcome {
        RunOutcome::Completed { .. } => (|figures| &mut figures.completed, true),
        RunOutcome::Failed { .. } => (|figures| &mut figures.failed, true),
        RunOutcome::Retry { .. } => (|figures| &mut figures.retried, false),
        RunOutcome::Snoozed { .. } => (|figures| &mut figures.snoozed, false),
        // Spends no attempt, so that charts know nothing of it.
        RunOutcome::Released | RunOutcome::Interrupted { .. } => return totals.of(attempt.route).released += 1,
        RunOutcome::Discarded | RunOutcome::TakenBack => return,
    };
    let is_first_try = attempt.retries == 0 && matches!(attempt.outcome, RunOutcome::Completed { .. });
    let Some(figures) = waiting.figures(attempt.ended_at, attempt.route) else {
        return;
    };
    *counter(figures) += 1;
    figures.first_try += u64::from(is_first_try);
    figures.spent_retries += if is_over { u64::from(attempt.retries) } else { 0 };
    figures.duration.record(attempt.ended_at - attempt.started_at);
    figures.lateness.record(attempt.started_at - attempt.due);
}

/// What was counted since the process began: what waits, and in the totals what does not.
#[derive(Default)]
struct State {
    waiting: Waiting,
    totals: FigureTotals,
}

/// Figures of this process.
#[derive(Default)]
pub struct FigureCounts {
    /// Nothing is counted.
    is_off: bool,
    state: Mutex<State>,
}

impl FigureCounts {
    /// Counts, unless they are off.
    #[must_use]
    pub fn new(is_off: bool) -> Self {
        Self {
            is_off,
            ..Self::default()
        }
    }

    /// Whether anything is counted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.is_off
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts jobs that were made by dispatches at `now`. `true`: something has waited for so long that nobody seems to hand it over
    /// regularly.
    #[must_use]
    pub fn count_dispatches<'a>(&self, now: Millis, routes: impl Iterator<Item = &'a Arc<Route>>) -> bool {
        if self.is_off {
            return false;
        }
        let mut runs: Vec<(&Arc<Route>, u64)> = Vec::new();
        for route in routes {
            // Mostly a batch has few routes, each of them once in memory.
            let known = runs.iter_mut().rev().take(MAX_RECENT_ROUTES);
            match known.into_iter().find(|(known, _)| Arc::ptr_eq(known, route)) {
                Some((_, count)) => *count += 1,
                None => runs.push((route, 1)),
            }
        }
        let mut state = self.state();
        let waiting = &mut state.waiting;
        for (route, count) in runs {
            let minute = waiting.minute(now);
            *waiting.dispatches.entry((minute, Arc::clone(route))).or_default() += count;
        }
        waiting.is_overdue(now)
    }

    /// Counts attempts that ended, those of a batch together.
    pub fn count_attempts<'a>(&self, attempts: impl IntoIterator<Item = EndedAttempt<'a>>) {
        if self.is_off {
            return;
        }
        let mut state = self.state();
        for attempt in attempts {
            add_attempt(&mut state, &attempt);
        }
    }

    /// Counts attempts of processes that died, by route; with whether their runs have failed by that.
    pub fn count_crashes(&self, now: Millis, crashed: &[(RouteId, bool)]) {
        if self.is_off {
            return;
        }
        let mut state = self.state();
        let waiting = &mut state.waiting;
        for (route, has_failed) in crashed {
            if let Some(figures) = waiting.figures(now, *route) {
                figures.crashed += 1;
                figures.failed += u64::from(*has_failed);
            }
        }
    }

    /// Routes whose numbers are needed to hand over what waits.
    #[must_use]
    pub fn dispatched_routes(&self) -> Vec<Arc<Route>> {
        let state = self.state();
        let dispatches = state.waiting.dispatches.keys();
        dispatches.map(|(_, route)| Arc::clone(route)).collect()
    }

    /// Takes what waits, and adds it to the totals. Dispatches to routes without a number stay.
    #[must_use]
    pub fn take(&self, numbers: &HashMap<Arc<Route>, RouteId>) -> Vec<RouteFigures> {
        let mut state = self.state();
        let State { waiting, totals } = &mut *state;
        let mut taken = std::mem::take(waiting);
        for ((minute, route), count) in std::mem::take(&mut taken.dispatches) {
            match numbers.get(&route) {
                Some(number) => {
                    if let Some(figures) = taken.at((minute, *number)) {
                        figures.dispatched += count;
                    }
                }
                None => {
                    waiting.newest = taken.newest;
                    waiting.since = Some(waiting.since.map_or(minute, |since| since.min(minute)));
                    waiting.dispatches.insert((minute, route), count);
                }
            }
        }
        for ((_, route), figures) in &taken.attempts {
            totals.of(*route).figures.add(figures);
        }
        let minutes = taken.attempts.into_iter();
        minutes
            .map(|((at, route), figures)| RouteFigures { at, route, figures })
            .collect()
    }

    /// Puts back what the store did not take.
    pub fn put_back(&self, minutes: Vec<RouteFigures>) {
        let mut state = self.state();
        let State { waiting, totals } = &mut *state;
        for RouteFigures { at, route, figures } in minutes {
            if let Some(known) = waiting.figures(at, route) {
                known.add(&figures);
                totals.of(route).figures.remove(&figures);
            }
        }
    }

    /// All that was counted since the process began, without dispatches to routes without a number. Of what it tells, nothing ever
    /// becomes less.
    #[must_use]
    pub fn totals(&self, numbers: &HashMap<Arc<Route>, RouteId>) -> FigureTotals {
        let mut state = self.state();
        let State { waiting, totals } = &mut *state;
        let dispatches = waiting.dispatches.iter();
        let dispatches: Vec<(RouteId, u64)> = dispatches
            .filter_map(|((_, route), count)| Some((*numbers.get(route)?, *count)))
            .collect();
        // In the totals themselves, so that each route has the same place among them from now on.
        let attempts = waiting.attempts.iter().map(|((_, route), _)| *route);
        for route in attempts.chain(dispatches.iter().map(|(route, _)| *route)) {
            totals.of(route);
        }
        let mut all = totals.clone();
        for ((_, route), figures) in &waiting.attempts {
            all.of(*route).figures.add(figures);
        }
        for (route, count) in dispatches {
            all.of(route).figures.dispatched += count;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Namespace;

    const MINUTE: Millis = 60_000;

    fn route(target: &str) -> Arc<Route> {
        Arc::new(Route {
            namespace: Namespace::Features,
            product: "shop".into(),
            env: "test".into(),
            target: vec![target.into()],
        })
    }

    fn attempt(outcome: &RunOutcome, ended_at: Millis) -> EndedAttempt<'_> {
        EndedAttempt {
            route: RouteId::new(1),
            due: ended_at - 30,
            retries: 0,
            started_at: ended_at - 20,
            ended_at,
            outcome,
        }
    }

    #[test]
    fn attempts_and_dispatches_are_counted_by_minute_and_route() {
        let counts = FigureCounts::default();
        let (one, other) = (route("one"), route("other"));
        let completed = RunOutcome::Completed { result: None };
        let (snoozed, released) = (RunOutcome::Snoozed { due: 9 }, RunOutcome::Released);
        counts.count_attempts([
            attempt(&completed, MINUTE + 5),
            attempt(&snoozed, 2 * MINUTE),
            attempt(&completed, MINUTE + 6),
            attempt(&released, 2 * MINUTE),
        ]);
        counts.count_crashes(2 * MINUTE, &[(RouteId::new(1), false)]);
        let _ = counts.count_dispatches(MINUTE + 7, [&one, &route("one"), &one, &other].into_iter());
        assert_eq!(counts.dispatched_routes().len(), 2);
        let numbers = HashMap::from([(one, RouteId::new(1))]);
        let mut taken = counts.take(&numbers);
        taken.sort_unstable_by_key(|minute| minute.at);
        let told: Vec<_> = taken
            .iter()
            .map(|RouteFigures { at, figures, .. }| {
                let ended = (figures.completed, figures.snoozed, figures.crashed);
                (*at, figures.dispatched, ended, figures.duration.len())
            })
            .collect();
        assert_eq!(told, [(MINUTE, 3, (2, 0, 0), 2), (2 * MINUTE, 0, (0, 1, 1), 1)]);
        // What has no number yet is there the next time.
        let numbers = HashMap::from([(other, RouteId::new(2))]);
        assert_eq!(counts.take(&numbers)[0].figures.dispatched, 1);
        assert!(counts.take(&numbers).is_empty());
    }

    #[test]
    fn what_the_store_did_not_take_is_counted_once() {
        let counts = FigureCounts::default();
        let failed = RunOutcome::Retry {
            error: crate::model::RunError::new("ERROR", "no", None),
            due: 9,
        };
        counts.count_attempts([attempt(&failed, MINUTE)]);
        let is_overdue = |now| counts.count_dispatches(now, std::iter::empty());
        assert!(!is_overdue(2 * MINUTE));
        assert!(is_overdue(3 * MINUTE) && is_overdue(-MINUTE));
        let taken = counts.take(&HashMap::new());
        assert!(!is_overdue(3 * MINUTE));
        counts.put_back(taken);
        counts.count_attempts([attempt(&failed, MINUTE)]);
        let taken = counts.take(&HashMap::new());
        assert_eq!((taken.len(), taken[0].figures.retried), (1, 2));
    }

    #[test]
    fn what_waits_is_bounded_and_no_run_goes_uncounted() {
        let counts = FigureCounts::default();
        let completed = RunOutcome::Completed { result: None };
        for minute in 0..MAX_WAITING as i64 + 100 {
            counts.count_attempts([attempt(&completed, minute * MINUTE)]);
        }
        let taken = counts.take(&HashMap::new());
        assert_eq!(taken.len(), MAX_WAITING);
        let total: u64 = taken.iter().map(|minute| minute.figures.completed).sum();
        assert_eq!(total, MAX_WAITING as u64 + 100);
    }

    #[test]
    fn totals_are_the_same_whatever_became_of_what_was_handed_over() {
        let counts = FigureCounts::default();
        let (known, unknown) = (route("known"), route("unknown"));
        let (completed, released) = (RunOutcome::Completed { result: None }, RunOutcome::Released);
        let numbers = HashMap::from([(Arc::clone(&known), RouteId::new(7))]);
        let told = || {
            let totals = counts.totals(&numbers);
            let told = totals.by_route().map(|(route, total)| {
                let figures = &total.figures;
                let times = (figures.duration.len(), figures.duration.sum());
                (
                    route.get(),
                    figures.dispatched,
                    figures.completed,
                    total.released,
                    times,
                )
            });
            told.collect::<Vec<_>>()
        };
        let _ = counts.count_dispatches(MINUTE, [&known, &unknown, &known].into_iter());
        counts.count_attempts([attempt(&completed, MINUTE), attempt(&released, MINUTE)]);
        let expected = [(1, 0, 1, 1, (1, 20)), (7, 2, 0, 0, (0, 0))];
        // The first route is the first that was released or told.
        assert_eq!(told(), expected);
        let taken = counts.take(&numbers);
        assert_eq!(told(), expected);
        counts.put_back(taken);
        assert_eq!(told(), expected);
        let taken = counts.take(&numbers);
        assert_eq!((taken.len(), told().as_slice()), (2, expected.as_slice()));
        // Counted anew and in another minute, it adds up.
        counts.count_attempts([attempt(&completed, 2 * MINUTE)]);
        assert_eq!(told(), [(1, 0, 2, 1, (2, 40)), (7, 2, 0, 0, (0, 0))]);
        assert_eq!(counts.dispatched_routes().len(), 1);
    }

    #[test]
    fn nothing_is_counted_when_they_are_off() {
        let counts = FigureCounts::new(true);
        counts.count_attempts([attempt(&RunOutcome::Completed { result: None }, 5)]);
        let _ = counts.count_dispatches(5, [&route("one")].into_iter());
        counts.count_crashes(5, &[(RouteId::new(1), false)]);
        assert!(counts.take(&HashMap::new()).is_empty() && counts.dispatched_routes().is_empty());
    }
}
