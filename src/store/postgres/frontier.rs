//! Where claims begin to look: at the beginning of the queue, or behind what is known to be taken.
//!
//! Taken rows are stepped over until a vacuum removes them, and it cannot while any transaction is old enough to see them:
//! beside a dump of an hour, a claim from the beginning walks over all that was done in that hour. So each look says how
//! many pages it asked for. When they are far more than what was claimed explains, the next looks begin behind the places
//! reached so far, for a time that is in proportion to what the long look cost, and two seconds at most.
//!
//! Invariant: what this process itself puts behind a place that was reached is seen by its next claim. What another process
//! puts there waits for the next look from the beginning, and only while looks are long.

use crate::clock::Millis;
use crate::store::{ClaimParams, Claimed, ClaimedRun, RouteId};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Pages that any look may ask for, whatever it finds.
const USUAL_PAGES: usize = 128;
/// Pages for each stretch that is looked at, and for each row.
const PAGES_OF_STRETCH: usize = 6;
const PAGES_OF_ROW: usize = 3;
/// How many times as long as a long look the next ones do without.
const REST: u32 = 20;
const SHORTEST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Priorities of a route whose places are remembered, and routes.
const PRIORITIES: usize = 8;
const ROUTES: usize = 4_096;

/// Before all that can be in the queue.
const FIRST: Place = (i64::MIN, 0, 0);
/// Above all priorities.
const NO_PRIORITY: i64 = 1 << 31;

/// Due time, job and run of the last row of a priority that was taken.
type Place = (Millis, i64, i64);

#[derive(Default)]
struct State {
    reached: HashMap<RouteId, BTreeMap<i32, Place>>,
    /// What was due by then has been moved to the queue.
    since: Millis,
    /// Looks begin at the places reached until then.
    rest: Option<Instant>,
    /// Looks under way, each with the lowest due time of what was put into the queue meanwhile.
    looks: Vec<Weak<AtomicI64>>,
    /// Pages that all looks together have asked for.
    pages: i64,
}

/// The places that claims have reached.
#[derive(Default)]
pub(super) struct Frontier(Mutex<State>);

/// One look: stretches of routes, as columns.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) since: Millis,
    pub(super) routes: Vec<RouteId>,
    pub(super) groups: Vec<i32>,
    pub(super) priorities: Vec<i32>,
    pub(super) dues: Vec<Millis>,
    pub(super) jobs: Vec<i64>,
    pub(super) runs: Vec<i64>,
    pub(super) befores: Vec<i64>,
    from_beginning: bool,
    began: Instant,
    low: Arc<AtomicI64>,
}

impl Frontier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The look that a claim is to take.
    pub(super) fn look(&self, params: &ClaimParams) -> Look {
        let mut state = self.state();
        let began = Instant::now();
        let from_beginning = state.rest.is_none_or(|rest| rest <= began);
        let low = Arc::new(AtomicI64::new(i64::MAX));
        state.looks.retain(|look| look.strong_count() > 0);
        state.looks.push(Arc::downgrade(&low));
        let mut look = Look {
            since: if from_beginning { i64::MIN } else { state.since },
            routes: Vec::new(),
            groups: Vec::new(),
            priorities: Vec::new(),
            dues: Vec::new(),
            jobs: Vec::new(),
            runs: Vec::new(),
            befores: Vec::new(),
            from_beginning,
            began,
            low,
        };
        for served in params.served.iter() {
            let group = super::param::small(served.group);
            let reached = (!from_beginning).then(|| state.reached.get(&served.route)).flatten();
            let (mut priority, mut place) = (i32::MIN, FIRST);
            for (next, reached) in reached.into_iter().flatten() {
                look.push(served.route, group, priority, place, i64::from(*next));
                // What fell due after that was put into the queue later, whatever has been taken there.
                (priority, place) = (*next, capped(*reached, state.since));
            }
            look.push(served.route, group, priority, place, NO_PRIORITY);
        }
        look
    }

    /// What a look has found.
    pub(super) fn found(&self, params: &ClaimParams, look: &Look, claimed: &Claimed, pages: i64) {
        let mut state = self.state();
        let state = &mut *state;
        state.pages += pages;
        if look.from_beginning && params.slots > 0 {
            let rows = look.routes.len() * (params.slots + super::claim::SPARE);
            let usual = USUAL_PAGES + PAGES_OF_STRETCH * look.routes.len() + PAGES_OF_ROW * rows;
            let is_long = usize::try_from(pages).is_ok_and(|pages| pages > usual);
            let rest = (look.began.elapsed() * REST).clamp(SHORTEST_REST, LONGEST_REST);
            state.rest = is_long.then(|| Instant::now() + rest);
            state.leave_out_what_remains(params, claimed);
        }
        for run in &claimed.runs {
            state.reach(run);
        }
        let is_full = claimed.runs.len() >= params.slots || params.group_slots.len() > 1 && !claimed.runs.is_empty();
        // What was put behind a place must not be passed by before it has been taken.
        if !claimed.more && (look.from_beginning || !is_full) {
            state.since = params.now;
        }
        state.lower(look.low.load(Ordering::Acquire));
    }

    /// This process has put runs that are due at `due` or later into the queue.
    pub(super) fn put(&self, due: Millis) {
        let mut state = self.state();
        for look in state.looks.iter().filter_map(Weak::upgrade) {
            look.fetch_min(due, Ordering::AcqRel);
        }
        if state.rest.is_some() {
            state.lower(due);
        }
    }

    /// This process has put runs into the queue, and nobody says which.
    pub(super) fn put_some(&self) {
        self.put(i64::MIN);
    }

    /// Pages that all looks together have asked for, and whether the next one begins at the beginning.
    #[cfg(test)]
    pub(super) fn pages(&self) -> (i64, bool) {
        let state = self.state();
        (state.pages, state.rest.is_none_or(|rest| rest <= Instant::now()))
    }

    /// The next look begins at the beginning.
    #[cfg(test)]
    pub(super) fn end_rest(&self) {
        self.state().rest = None;
    }

    /// Makes the rest, if there is one, as long as a test needs on a machine that is busy.
    #[cfg(test)]
    pub(super) fn prolong_rest(&self) {
        let mut state = self.state();
        state.rest = state.rest.map(|rest| rest + Duration::from_secs(600));
    }
}

impl State {
    fn reach(&mut self, run: &ClaimedRun) {
        if self.reached.len() >= ROUTES && !self.reached.contains_key(&run.route) {
            self.reached.clear();
        }
        let priorities = self.reached.entry(run.route).or_default();
        if priorities.len() >= PRIORITIES && !priorities.contains_key(&run.priority) {
            priorities.clear();
        }
        let place = (run.due, run.job, run.run);
        let reached = priorities.entry(run.priority).or_insert(place);
        *reached = place.max(*reached);
    }

    /// After a look from the beginning that did not take everything, what remains comes behind the last run that was taken:
    /// places behind that are no longer right.
    fn leave_out_what_remains(&mut self, params: &ClaimParams, claimed: &Claimed) {
        let Some(last) = claimed.runs.last() else { return };
        if claimed.runs.len() < params.slots && params.group_slots.len() == 1 {
            return;
        }
        if params.group_slots.len() > 1 {
            // The group that was full says nothing of the others.
            for served in params.served.iter() {
                self.reached.remove(&served.route);
            }
            return;
        }
        let place = (last.due, last.job, last.run);
        for served in params.served.iter() {
            if let Some(priorities) = self.reached.get_mut(&served.route) {
                priorities.retain(|priority, _| *priority <= last.priority);
                if let Some(reached) = priorities.get_mut(&last.priority) {
                    *reached = place.min(*reached);
                }
            }
        }
    }

    fn lower(&mut self, due: Millis) {
        if due == i64::MIN {
            self.rest = None;
        }
        if due == i64::MAX {
            return;
        }
        self.since = self.since.min(due.saturating_sub(1));
    }
}

/// A place that is not behind what is due after `since`.
fn capped(place: Place, since: Millis) -> Place {
    if place.0 > since {
        (since, i64::MAX, i64::MAX)
    } else {
        place
    }
}

impl Look {
    fn push(&mut self, route: RouteId, group: i32, priority: i32, place: Place, before: i64) {
        self.routes.push(route);
        self.groups.push(group);
        self.priorities.push(priority);
        self.dues.push(place.0);
        self.jobs.push(place.1);
        self.runs.push(place.2);
        self.befores.push(before);
    }
}
