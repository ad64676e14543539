//! Which handler does which route: patterns, the most specific of which wins; and whose slots it takes.
//!
//! Invariant: the served list is a pure function of the handlers, the worker's filter and the known routes; it is
//! rebuilt when one of them changes and shared until then.

#[cfg(test)]
mod tests;

use super::description::describe;
pub use super::pattern::Pattern;
use super::registrations::Registrations;
pub use super::registrations::{Holds, Registration};
pub use super::worker_filter::WorkerFilter;
use crate::engine::handler::Handler;
use crate::model::Route;
use crate::store::{AddedRoutes, RouteId, RouteMark, ServedRoute, StoredRoute};
use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The claimer spends about one part in this many of its time on finding out what is served.
const COMPUTATION_PAUSE_FACTOR: u32 = 8;

/// Whose slots an attempt takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// The worker's: what users' jobs share.
    #[default]
    Jobs,
    /// The package's own, so many beside the worker's: what it does for itself takes nothing from users' jobs.
    Internal,
}

/// Work, and which routes it is for.
pub struct HandlerSpec {
    /// Which routes.
    pub pattern: Pattern,
    /// Who does it.
    pub handler: Arc<dyn Handler>,
    /// Most attempts at once.
    pub concurrency: Option<usize>,
    /// `concurrency` is that of each target by itself, so that none takes the slots of others.
    pub per_target: bool,
    /// Longest attempt for jobs that set none, ms.
    pub timeout: Option<i64>,
    /// Whose slots it takes.
    pub lane: Lane,
    /// Stands back behind any handler of the program's for the same route.
    pub built_in: bool,
}

/// The routes this process serves, and by whom.
#[derive(Clone, Default)]
pub struct ServedRoutes {
    /// For the store's claim.
    pub routes: Arc<[ServedRoute]>,
    groups: Arc<[Group]>,
}

/// Routes that share slots: all of a handler, or one of them if each has its own.
struct Group {
    registration: Arc<Registration>,
    first_route: (RouteId, Arc<Route>),
}

impl Group {
    fn free(&self, holds: Holds) -> usize {
        let (id, route) = &self.first_route;
        self.registration.free(*id, route, holds)
    }
}

impl ServedRoutes {
    /// Free slots of each group.
    #[must_use]
    pub fn group_slots(&self, holds: Holds) -> Vec<usize> {
        self.groups.iter().map(|group| group.free(holds)).collect()
    }

    /// The most that one claim can begin if all slots are handlers' own: what its groups have free.
    #[must_use]
    pub fn total_slots(group_slots: &[usize]) -> usize {
        group_slots.iter().copied().fold(0, usize::saturating_add)
    }

    /// Whether a handler has no slot left, so that a free one is a reason to claim.
    #[must_use]
    pub fn has_full_group(&self) -> bool {
        self.groups.iter().any(|group| group.free(Holds::Passed) == 0)
    }

    /// Whether the route is among them.
    #[must_use]
    pub fn contains(&self, route: RouteId) -> bool {
        self.routes.iter().any(|served| served.route == route)
    }

    /// Numbers of the served routes.
    #[must_use]
    pub fn route_ids(&self) -> Vec<RouteId> {
        self.routes.iter().map(|served| served.route).collect()
    }
}

#[derive(Default)]
struct State {
    registrations: Registrations,
    /// How often handlers came or went.
    changes: u64,
    last_id: u32,
    routes: HashMap<RouteId, Arc<Route>>,
    newest_route: RouteMark,
    served: Option<(ServedRoutes, ServedRoutes)>,
    /// Routes that nothing built in serves though a definition names them, and why.
    left_to_handlers: Vec<(Pattern, Box<str>)>,
    /// How long the last computation of `served` took.
    computation: Duration,
}

/// All handlers and all known routes.
pub struct Routing {
    filter: WorkerFilter,
    state: Mutex<State>,
}

impl Routing {
    /// No handlers yet.
    #[must_use]
    pub fn new(filter: WorkerFilter) -> Self {
        Self {
            filter,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a handler. Of two with the same pattern the later one wins, until it is taken away.
    pub fn register(
        &self,
        pattern: Pattern,
        handler: Arc<dyn Handler>,
        concurrency: Option<usize>,
        timeout: Option<i64>,
    ) -> u32 {
        self.add(HandlerSpec {
            pattern,
            handler,
            concurrency,
            per_target: false,
            timeout,
            lane: Lane::Jobs,
            built_in: false,
        })
    }

    /// Adds work that is done in Rust, by the same rules.
    pub fn add(&self, target: HandlerSpec) -> u32 {
        let HandlerSpec {
            pattern,
            handler,
            concurrency,
            per_target,
            timeout,
            lane,
            built_in,
        } = target;
        let mut state = self.state();
        state.changes += 1;
        state.last_id += 1;
        let id = state.last_id;
        let running = AtomicUsize::new(0);
        state.registrations.add(Arc::new(Registration {
            id,
            pattern,
            handler,
            concurrency,
            timeout,
            lane,
            built_in,
            running,
            running_by_route: per_target.then(Mutex::default),
        }));
        state.served = None;
        id
    }

    /// Notes routes that nothing built in serves though a definition names them, and why, in place of those noted before.
    pub fn leave_to_handlers(&self, left: Vec<(Pattern, Box<str>)>) {
        self.state().left_to_handlers = left;
    }

    /// Why a route is left to handlers, if a definition names it, or what has nearly its name.
    #[must_use]
    pub fn why_left(&self, route: &Route) -> Option<Box<str>> {
        let state = self.state();
        let mut left = state.left_to_handlers.iter();
        left.find(|(pattern, _)| pattern.matches(route))
            .map(|(_, why)| why.clone())
            .or_else(|| state.registrations.nearest(route))
    }

    /// Takes a handler away; attempts it has begun go on.
    pub fn unregister(&self, id: u32) {
        let mut state = self.state();
        state.changes += 1;
        state.registrations.remove(id);
        state.served = None;
    }

    /// How often handlers came or went.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// JSON text of a list of the handlers: `namespace`, and of `product`, `env`, `target` and `concurrency` what is not left open.
    #[must_use]
    pub fn description(&self) -> String {
        describe(self.state().registrations.all())
    }

    /// The mark of the newest route that is known.
    #[must_use]
    pub fn newest_route(&self) -> RouteMark {
        self.state().newest_route
    }

    /// Makes routes known.
    pub fn add_routes(&self, added: AddedRoutes) {
        let mut state = self.state();
        if added.are_all {
            state.routes.clear();
            state.newest_route = RouteMark::default();
            state.served = None;
        }
        for StoredRoute { id, mark, route } in added.routes {
            state.newest_route = state.newest_route.max(mark);
            state.routes.entry(id).or_insert_with(|| Arc::new(route));
            state.served = None;
        }
    }

    /// A known route.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<Arc<Route>> {
        self.state().routes.get(&id).cloned()
    }

    /// Known routes that satisfy a condition.
    #[must_use]
    pub fn routes_where(&self, condition: impl Fn(&Route) -> bool) -> Vec<RouteId> {
        self.state()
            .routes
            .iter()
            .filter(|(_, route)| condition(route))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether the worker's filter lets it work on this route at all.
    #[must_use]
    pub fn admits(&self, route: &Route) -> bool {
        self.filter.admits(route)
    }

    /// The handler of a route: the most specific one, the latest among equals; what is built in only where the program
    /// has none.
    #[must_use]
    pub fn find(&self, route: &Route) -> Option<Arc<Registration>> {
        self.filter
            .admits(route)
            .then(|| self.state().registrations.best(route).cloned())
            .flatten()
    }

    /// The handler of a part of a feature, whatever the worker's filter: who works on the feature works on all of it.
    #[must_use]
    pub fn find_for_part(&self, route: &Route) -> Option<Arc<Registration>> {
        self.state().registrations.best(route).cloned()
    }

    /// What this process serves in the worker's slots, as of now.
    #[must_use]
    pub fn served(&self) -> ServedRoutes {
        self.served_by_lane().0
    }

    /// What it serves in slots of the package's own.
    #[must_use]
    pub fn internal_served(&self) -> ServedRoutes {
        self.served_by_lane().1
    }

    fn served_by_lane(&self) -> (ServedRoutes, ServedRoutes) {
        let mut state = self.state();
        if let Some(served) = &state.served {
            return served.clone();
        }
        let began = Instant::now();
        let served = (
            self.compute_served(&state, Lane::Jobs),
            self.compute_served(&state, Lane::Internal),
        );
        state.served = Some(served.clone());
        state.computation = began.elapsed();
        served
    }

    /// Attempts at once in slots of the package's own.
    #[must_use]
    pub fn internal_concurrency(&self) -> usize {
        self.state().registrations.internal_concurrency()
    }

    /// How long to wait before asking for what is served: while thousands of handlers come and go, most of the time is
    /// theirs.
    #[must_use]
    pub fn pause_before_served(&self) -> Duration {
        let state = self.state();
        if state.served.is_some() {
            Duration::ZERO
        } else {
            state.computation * COMPUTATION_PAUSE_FACTOR
        }
    }

    fn compute_served(&self, state: &State, lane: Lane) -> ServedRoutes {
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers: HashMap<(u32, Option<RouteId>), usize> = HashMap::new();
        let mut routes = Vec::new();
        for (id, route) in state.routes.iter().filter(|(_, route)| self.filter.admits(route)) {
            let Some(registration) = state.registrations.best(route).filter(|best| best.lane == lane) else {
                continue;
            };
            let own = registration.running_by_route.is_some().then_some(*id);
            let group = *numbers.entry((registration.id, own)).or_insert_with(|| {
                groups.push(Group {
                    registration: Arc::clone(registration),
                    first_route: (*id, Arc::clone(route)),
                });
                groups.len() - 1
            });
            routes.push(ServedRoute { route: *id, group });
        }
        routes.sort_by_key(|served| served.route);
        ServedRoutes {
            routes: routes.into(),
            groups: groups.into(),
        }
    }
}
