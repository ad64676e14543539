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
use crate::store::{ClaimParams, Claimed, ClaimedRun, JobSeq, RouteId};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Pages that any look may ask for, whatever it finds.
const BASE_PAGES: usize = 128;
/// Pages for each stretch that is looked at, and for each row.
const PAGES_PER_RANGE: usize = 6;
const PAGES_PER_ROW: usize = 3;
/// How many times as long as a long look the next ones do without.
const REST_FACTOR: u32 = 20;
const MIN_REST: Duration = Duration::from_millis(100);
const MAX_REST: Duration = Duration::from_secs(2);
/// Priorities of a route whose places are remembered, and routes.
const MAX_PRIORITIES_PER_ROUTE: usize = 8;
const MAX_ROUTES: usize = 4_096;

/// Before all that can be in the queue.
const FIRST_POSITION: QueuePosition = (i64::MIN, JobSeq::MIN, 0);
/// Above all priorities.
const PRIORITY_LIMIT: i64 = 1 << 31;

/// Due time, job and run of the last row of a priority that was taken.
type QueuePosition = (Millis, JobSeq, i64);

#[derive(Default)]
struct ScanState {
    reached: HashMap<RouteId, BTreeMap<i32, QueuePosition>>,
    /// What was due by then has been moved to the queue.
    since: Millis,
    /// Looks begin at the places reached until then.
    rest: Option<Instant>,
    /// Looks under way, each with the lowest due time of what was put into the queue meanwhile.
    active_scans: Vec<Weak<AtomicI64>>,
    /// Pages that all looks together have asked for.
    pages: i64,
}

/// The places that claims have reached.
#[derive(Default)]
pub(super) struct ScanPositions(Mutex<ScanState>);

/// One look: stretches of routes, as columns.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) since: Millis,
    pub(super) routes: Vec<RouteId>,
    pub(super) groups: Vec<i32>,
    pub(super) priorities: Vec<i32>,
    pub(super) dues: Vec<Millis>,
    pub(super) jobs: Vec<JobSeq>,
    pub(super) runs: Vec<i64>,
    pub(super) befores: Vec<i64>,
    from_beginning: bool,
    began: Instant,
    low: Arc<AtomicI64>,
}

impl ScanPositions {
    fn state(&self) -> MutexGuard<'_, ScanState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The look that a claim is to take.
    pub(super) fn start_scan(&self, params: &ClaimParams) -> Scan {
        let mut state = self.state();
        let began = Instant::now();
        let from_beginning = state.rest.is_none_or(|rest| rest <= began);
        let low = Arc::new(AtomicI64::new(i64::MAX));
        state.active_scans.retain(|start_scan| start_scan.strong_count() > 0);
        state.active_scans.push(Arc::downgrade(&low));
        let mut start_scan = Scan {
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
            let group = super::param::to_i32(served.group);
            let reached = (!from_beginning).then(|| state.reached.get(&served.route)).flatten();
            let (mut priority, mut position) = (i32::MIN, FIRST_POSITION);
            for (next, reached) in reached.into_iter().flatten() {
                start_scan.push(served.route, group, priority, position, i64::from(*next));
                // What fell due after that was put into the queue later, whatever has been taken there.
                (priority, position) = (*next, capped(*reached, state.since));
            }
            start_scan.push(served.route, group, priority, position, PRIORITY_LIMIT);
        }
        start_scan
    }

    /// What a look has found.
    pub(super) fn scan_finished(&self, params: &ClaimParams, start_scan: &Scan, claimed: &Claimed, pages: i64) {
        let mut state = self.state();
        let state = &mut *state;
        state.pages += pages;
        if start_scan.from_beginning && params.slots > 0 {
            let rows = start_scan.routes.len() * (params.slots + super::claim::SPARE_ROWS);
            let usual = BASE_PAGES + PAGES_PER_RANGE * start_scan.routes.len() + PAGES_PER_ROW * rows;
            let is_long = usize::try_from(pages).is_ok_and(|pages| pages > usual);
            let rest = (start_scan.began.elapsed() * REST_FACTOR).clamp(MIN_REST, MAX_REST);
            state.rest = is_long.then(|| Instant::now() + rest);
            state.cap_at_last_claimed(params, claimed);
        }
        for run in &claimed.runs {
            state.advance_to(run);
        }
        let is_full = claimed.runs.len() >= params.slots || params.group_slots.len() > 1 && !claimed.runs.is_empty();
        // What was put behind a place must not be passed by before it has been taken.
        if !claimed.more && (start_scan.from_beginning || !is_full) {
            state.since = params.now;
        }
        state.lower(start_scan.low.load(Ordering::Acquire));
    }

    /// This process has put runs that are due at `due` or later into the queue.
    pub(super) fn run_added(&self, due: Millis) {
        let mut state = self.state();
        for start_scan in state.active_scans.iter().filter_map(Weak::upgrade) {
            start_scan.fetch_min(due, Ordering::AcqRel);
        }
        if state.rest.is_some() {
            state.lower(due);
        }
    }

    /// This process has put runs into the queue, and nobody says which.
    pub(super) fn runs_added(&self) {
        self.run_added(i64::MIN);
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

impl ScanState {
    fn advance_to(&mut self, run: &ClaimedRun) {
        if self.reached.len() >= MAX_ROUTES && !self.reached.contains_key(&run.route) {
            self.reached.clear();
        }
        let priorities = self.reached.entry(run.route).or_default();
        if priorities.len() >= MAX_PRIORITIES_PER_ROUTE && !priorities.contains_key(&run.priority) {
            priorities.clear();
        }
        let position = (run.due, run.job, run.run);
        let reached = priorities.entry(run.priority).or_insert(position);
        *reached = position.max(*reached);
    }

    /// After a look from the beginning that did not take everything, what remains comes behind the last run that was taken:
    /// places behind that are no longer right.
    fn cap_at_last_claimed(&mut self, params: &ClaimParams, claimed: &Claimed) {
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
        let position = (last.due, last.job, last.run);
        for served in params.served.iter() {
            if let Some(priorities) = self.reached.get_mut(&served.route) {
                priorities.retain(|priority, _| *priority <= last.priority);
                if let Some(reached) = priorities.get_mut(&last.priority) {
                    *reached = position.min(*reached);
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
fn capped(position: QueuePosition, since: Millis) -> QueuePosition {
    if position.0 > since {
        (since, JobSeq::MAX, i64::MAX)
    } else {
        position
    }
}

impl Scan {
    fn push(&mut self, route: RouteId, group: i32, priority: i32, position: QueuePosition, before: i64) {
        self.routes.push(route);
        self.groups.push(group);
        self.priorities.push(priority);
        self.dues.push(position.0);
        self.jobs.push(position.1);
        self.runs.push(position.2);
        self.befores.push(before);
    }
}
