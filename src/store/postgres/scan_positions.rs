//! Where claims start to scan: at the head of the queue, or after rows that are known to be claimed.
//!
//! Index scans step over dead rows until a vacuum removes them, which it cannot do while an old transaction may see them:
//! during a dump of one hour, a claim from the head scans everything that was claimed in that hour. So each scan reports how
//! many pages it read. When these are far more than its claims explain, the next scans start at the positions reached so
//! far, for a time in proportion to the cost of the long scan; and now and then a little before them, where runs of other processes
//! appear that were due when this process was already further.
//!
//! Invariant: runs that this process itself queues before a reached position are seen by its next claim. Those that another
//! process queues shortly before it wait for the next scan from near it, and those further back for the next one from the head, and
//! only while scans are long.

use crate::clock::Millis;
use crate::store::{ClaimParams, Claimed, ClaimedRun, JobSeq, RouteId};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Pages that any scan may read, whatever it finds.
const BASE_PAGES: usize = 64;
/// Further pages for each scanned range, and for each row.
const PAGES_PER_RANGE: usize = 6;
const PAGES_PER_ROW: usize = 2;
/// How many times the duration of a long scan the next ones do not start where it did.
const REST_FACTOR: u32 = 20;
const MIN_REST: Duration = Duration::from_millis(100);
const MAX_REST: Duration = Duration::from_secs(30);
/// How far before the reached positions scans from near them start, ms of due times: for how long the insert of a job that is due at
/// once may be under way in another process.
const NEAR_MS: i64 = 2_000;
const MAX_NEAR_REST: Duration = Duration::from_secs(2);
/// Limits of remembered positions: priorities per route, and routes.
const MAX_PRIORITIES_PER_ROUTE: usize = 8;
const MAX_ROUTES: usize = 4_096;

/// Before any row of the queue.
const FIRST_POSITION: QueuePosition = (i64::MIN, JobSeq::MIN, 0);
/// Above all priorities.
const PRIORITY_LIMIT: i64 = 1 << 31;

/// Due time, job and run of the last claimed row of a priority.
type QueuePosition = (Millis, JobSeq, i64);

#[derive(Default)]
struct ScanState {
    reached: HashMap<RouteId, BTreeMap<i32, QueuePosition>>,
    /// Runs due by then have been promoted to the queue.
    since: Millis,
    /// Until then, scans start at the reached positions, or near them.
    rest: Option<Instant>,
    /// Until then, not near them.
    near_rest: Option<Instant>,
    /// Scans in progress, each with the lowest due time of runs queued meanwhile.
    active_scans: Vec<Weak<AtomicI64>>,
    /// Pages read by all scans together.
    pages: i64,
}

/// The positions that claims have reached.
#[derive(Default)]
pub(super) struct ScanPositions(Mutex<ScanState>);

/// One scan: ranges of routes, as columns.
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
    start: Start,
    began: Instant,
    low: Arc<AtomicI64>,
}

/// Where a scan starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At the head of the queue.
    Head,
    /// A little before the reached positions.
    Near,
    /// At the reached positions.
    Reached,
}

impl ScanPositions {
    fn state(&self) -> MutexGuard<'_, ScanState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scan for a claim.
    pub(super) fn start_scan(&self, params: &ClaimParams) -> Scan {
        let mut state = self.state();
        let began = Instant::now();
        // Runs that run alone are few, and found by an index of their own.
        let start = match params.slots {
            _ if params.suspect => Start::Head,
            // It only moves what is due, and looks for none of what was missed.
            0 if state.rest.is_some() => Start::Reached,
            _ => state.start_at(began),
        };
        let low = Arc::new(AtomicI64::new(i64::MAX));
        state.active_scans.retain(|start_scan| start_scan.strong_count() > 0);
        state.active_scans.push(Arc::downgrade(&low));
        let mut start_scan = Scan {
            since: match start {
                Start::Head => i64::MIN,
                Start::Near => state.since.saturating_sub(NEAR_MS),
                Start::Reached => state.since,
            },
            routes: Vec::new(),
            groups: Vec::new(),
            priorities: Vec::new(),
            dues: Vec::new(),
            jobs: Vec::new(),
            runs: Vec::new(),
            befores: Vec::new(),
            start,
            began,
            low,
        };
        for served in params.served.iter() {
            let group = super::param::to_i32(served.group);
            let reached = (start != Start::Head)
                .then(|| state.reached.get(&served.route))
                .flatten();
            let (mut priority, mut position) = (i32::MIN, FIRST_POSITION);
            for (next, reached) in reached.into_iter().flatten() {
                start_scan.push(served.route, group, priority, position, i64::from(*next));
                // Runs that became due later were queued later, whatever has been claimed beyond that point.
                let reached = capped(*reached, state.since);
                (priority, position) = match start {
                    Start::Near => (*next, (reached.0.saturating_sub(NEAR_MS), JobSeq::MIN, 0)),
                    _ => (*next, reached),
                };
            }
            start_scan.push(served.route, group, priority, position, PRIORITY_LIMIT);
        }
        start_scan
    }

    /// Records the result of a scan.
    pub(super) fn scan_finished(&self, params: &ClaimParams, start_scan: &Scan, claimed: &Claimed, pages: i64) {
        let mut state = self.state();
        let state = &mut *state;
        state.pages += pages;
        if params.suspect {
            // Where it was taken from says nothing about the others.
            state.lower(start_scan.low.load(Ordering::Acquire));
            return;
        }
        if start_scan.start != Start::Reached && params.slots > 0 {
            let rest = start_scan.began.elapsed() * REST_FACTOR;
            let until = |most| Some(Instant::now() + rest.clamp(MIN_REST, most));
            match start_scan.start {
                Start::Head => state.rest = until(MAX_REST).filter(|_| is_long(start_scan, claimed, pages)),
                _ => state.near_rest = until(MAX_NEAR_REST),
            }
            state.cap_at_last_claimed(params, start_scan, claimed);
        }
        for run in &claimed.runs {
            state.advance_to(run);
        }
        let is_full = claimed.runs.len() >= params.slots || params.group_slots.len() > 1 && !claimed.runs.is_empty();
        // Runs queued before a position must be claimed before scans skip them.
        if !claimed.more && (start_scan.start != Start::Reached || !is_full) {
            state.since = params.now;
        }
        state.lower(start_scan.low.load(Ordering::Acquire));
    }

    /// Notes that this process has queued runs due at `due` or later.
    pub(super) fn run_added(&self, due: Millis) {
        let mut state = self.state();
        for start_scan in state.active_scans.iter().filter_map(Weak::upgrade) {
            start_scan.fetch_min(due, Ordering::AcqRel);
        }
        if state.rest.is_some() {
            state.lower(due);
        }
    }

    /// Notes that this process has queued unspecified runs.
    pub(super) fn runs_added(&self) {
        self.run_added(i64::MIN);
    }

    /// Pages read by all scans together, and whether the next one starts at the head.
    #[cfg(test)]
    pub(super) fn pages(&self) -> (i64, bool) {
        let state = self.state();
        (state.pages, state.rest.is_none_or(|rest| rest <= Instant::now()))
    }

    /// Makes the next scan start at the head.
    #[cfg(test)]
    pub(super) fn end_rest(&self) {
        self.state().rest = None;
    }

    /// Extends the rest period, if there is one, for tests on a busy machine.
    #[cfg(test)]
    pub(super) fn prolong_rest(&self) {
        let mut state = self.state();
        let long = Duration::from_secs(600);
        state.rest = state.rest.map(|rest| rest + long);
        state.near_rest = state.rest;
    }

    /// Makes the next scan start near the reached positions, if those are kept.
    #[cfg(test)]
    pub(super) fn end_near_rest(&self) {
        self.state().near_rest = None;
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

    /// Where a scan starts that begins now. While one from the head is under way, which may take longer than anybody waits for it,
    /// others do not start there too.
    fn start_at(&mut self, now: Instant) -> Start {
        match self.rest {
            None => Start::Head,
            Some(rest) if rest <= now => {
                self.rest = Some(now + MAX_REST);
                Start::Head
            }
            Some(_) if self.near_rest.is_none_or(|rest| rest <= now) => Start::Near,
            Some(_) => Start::Reached,
        }
    }

    /// After a scan from before the reached positions that did not claim everything, the remaining runs come after the last claimed
    /// one, so positions beyond that are invalid.
    fn cap_at_last_claimed(&mut self, params: &ClaimParams, scan: &Scan, claimed: &Claimed) {
        let Some(last) = claimed.runs.last() else { return };
        if claimed.runs.len() < params.slots && params.group_slots.len() == 1 {
            return;
        }
        // A full group says nothing about the others.
        let is_single = params.group_slots.len() == 1;
        let keeps = |priority: i32| is_single && priority <= last.priority;
        let position = (last.due, last.job, last.run);
        for (route, priority, start) in scan.starts() {
            let Some(priorities) = self.reached.get_mut(&route) else {
                continue;
            };
            if scan.start == Start::Head {
                priorities.retain(|priority, _| keeps(*priority));
            } else if start != FIRST_POSITION && !keeps(priority) {
                priorities.insert(priority, start);
            }
            if is_single && let Some(reached) = priorities.get_mut(&last.priority) {
                *reached = position.min(*reached);
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

/// Whether a scan read far more pages than what it claimed explains.
fn is_long(scan: &Scan, claimed: &Claimed, pages: i64) -> bool {
    let rows = claimed.runs.len() + scan.routes.len() * super::claim::SPARE_ROWS;
    let usual = BASE_PAGES + PAGES_PER_RANGE * scan.routes.len() + PAGES_PER_ROW * rows;
    usize::try_from(pages).is_ok_and(|pages| pages > usual)
}

/// The position, but not beyond runs due after `since`.
fn capped(position: QueuePosition, since: Millis) -> QueuePosition {
    if position.0 > since {
        (since, JobSeq::MAX, i64::MAX)
    } else {
        position
    }
}

impl Scan {
    /// Route, priority and place after which each range starts.
    fn starts(&self) -> impl Iterator<Item = (RouteId, i32, QueuePosition)> {
        let places = self.dues.iter().zip(&self.jobs).zip(&self.runs);
        let ranges = self.routes.iter().zip(&self.priorities).zip(places);
        ranges.map(|((route, priority), ((due, job), run))| (*route, *priority, (*due, *job, *run)))
    }

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
