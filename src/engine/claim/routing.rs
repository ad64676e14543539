//! Which handler does which route: patterns, the most specific of which wins; and whose slots it takes.
//!
//! Invariant: the served list is a pure function of the handlers, the worker's filter and the known routes; it is
//! rebuilt when one of them changes and shared until then.

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
    first_route: RouteId,
}

impl Group {
    fn free(&self, holds: Holds) -> usize {
        self.registration.free(self.first_route, holds)
    }
}

impl ServedRoutes {
    /// Free slots of each group.
    #[must_use]
    pub fn group_slots(&self, holds: Holds) -> Vec<usize> {
        self.groups.iter().map(|group| group.free(holds)).collect()
    }

    /// The most that one claim can begin if all slots are handlers' own: what they have free.
    #[must_use]
    pub fn total_slots(&self) -> usize {
        let free = self.groups.iter().map(|group| group.free(Holds::Passed));
        free.fold(0, usize::saturating_add)
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

    /// Why a route is left to handlers, if a definition names it.
    #[must_use]
    pub fn why_left(&self, route: &Route) -> Option<Box<str>> {
        let state = self.state();
        let mut left = state.left_to_handlers.iter();
        left.find(|(pattern, _)| pattern.matches(route))
            .map(|(_, why)| why.clone())
    }

    /// Takes a handler away; attempts it has begun go on.
    pub fn unregister(&self, id: u32) {
        let mut state = self.state();
        state.registrations.remove(id);
        state.served = None;
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
                    first_route: *id,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::handler::{AbortReason, Invocation};
    use crate::model::Namespace;
    use crate::store::Token;

    struct NoopHandler;
    impl Handler for NoopHandler {
        fn call(&self, _: Invocation) {}
        fn abort(&self, _: Token, _: &AbortReason) {}
    }

    fn pattern(product: Option<&str>, app: Option<&str>, event: Option<&str>) -> Pattern {
        let own = |text: Option<&str>| text.map(Into::into);
        Pattern {
            namespace: Namespace::Actions,
            product: own(product),
            env: None,
            target: vec![own(app), own(event)],
        }
    }

    fn route() -> Route {
        Route {
            namespace: Namespace::Actions,
            product: "p".into(),
            env: "e".into(),
            target: vec!["a".into(), "x".into()],
        }
    }

    fn routing(patterns: Vec<Pattern>) -> Routing {
        let routing = Routing::new(WorkerFilter::default());
        for pattern in patterns {
            routing.register(pattern, Arc::new(NoopHandler), None, None);
        }
        routing
    }

    fn added(routes: Vec<(RouteId, Route)>) -> AddedRoutes {
        let stored = |(id, route): (RouteId, Route)| StoredRoute {
            id,
            mark: RouteMark::new(id.get()),
            route,
        };
        AddedRoutes {
            are_all: false,
            routes: routes.into_iter().map(stored).collect(),
        }
    }

    fn winner(routing: &Routing) -> Option<u32> {
        routing.find(&route()).map(|registration| registration.id)
    }

    #[test]
    fn the_most_specific_handler_wins_whatever_the_order() {
        let specific = pattern(None, Some("a"), Some("x"));
        let general = pattern(None, None, None);
        assert_eq!(winner(&routing(vec![specific.clone(), general.clone()])), Some(1));
        assert_eq!(winner(&routing(vec![general, specific])), Some(2));
    }

    #[test]
    fn a_target_field_is_more_specific_than_the_product() {
        let by_app = pattern(None, Some("a"), None);
        let by_product = pattern(Some("p"), None, None);
        assert_eq!(winner(&routing(vec![by_app, by_product])), Some(1));
    }

    #[test]
    fn the_later_of_two_equal_handlers_wins_until_unregistered() {
        let routing = routing(vec![pattern(None, Some("a"), None), pattern(None, Some("a"), None)]);
        assert_eq!(winner(&routing), Some(2));
        routing.unregister(2);
        assert_eq!(winner(&routing), Some(1));
    }

    #[test]
    fn user_handler_takes_precedence_over_builtin() {
        let routing = routing(vec![pattern(None, None, None)]);
        routing.add(HandlerSpec {
            pattern: pattern(Some("p"), Some("a"), Some("x")),
            handler: Arc::new(NoopHandler),
            concurrency: None,
            per_target: false,
            timeout: None,
            lane: Lane::Jobs,
            built_in: true,
        });
        assert_eq!(winner(&routing), Some(1));
        routing.unregister(1);
        assert_eq!(winner(&routing), Some(2));
    }

    #[test]
    fn a_worker_serves_only_what_its_filter_admits() {
        let filter = WorkerFilter {
            products: Some(vec!["other".into()]),
            ..WorkerFilter::default()
        };
        let routing = Routing::new(filter);
        routing.register(pattern(None, None, None), Arc::new(NoopHandler), None, None);
        routing.add_routes(added(vec![(RouteId::new(1), route())]));
        assert_eq!(winner(&routing), None);
        assert!(routing.served().routes.is_empty());
    }

    #[test]
    fn what_a_restored_store_no_longer_has_is_forgotten() {
        let routing = routing(vec![pattern(None, None, None)]);
        let other = Route {
            product: "other".into(),
            ..route()
        };
        let known = vec![(RouteId::new(1), route()), (RouteId::new(2), other.clone())];
        routing.add_routes(added(known));
        assert_eq!(routing.newest_route(), RouteMark::new(2));
        let all = AddedRoutes {
            are_all: true,
            ..added(vec![(RouteId::new(1), other.clone())])
        };
        routing.add_routes(all);
        assert_eq!(routing.route(RouteId::new(1)).as_deref(), Some(&other));
        assert_eq!(routing.served().route_ids(), [RouteId::new(1)]);
        assert_eq!(routing.newest_route(), RouteMark::new(1));
    }

    #[test]
    fn cost_of_a_handler_does_not_grow_with_their_number() {
        let named = |n: usize| {
            let name = format!("app-{n}");
            let served = pattern(Some("p"), Some(&name), None);
            let target = vec![name.as_str().into(), "send".into()];
            (served, Route { target, ..route() })
        };
        // What looks at all handlers for each takes about four times as long for twice as many.
        let time = |count: usize| {
            let routing = routing(Vec::new());
            let routes = (0..count).map(|n| (RouteId::new(n as i64 + 1), named(n).1));
            routing.add_routes(added(routes.collect()));
            let began = Instant::now();
            let ids: Vec<u32> = (0..count)
                .map(|n| routing.register(named(n).0, Arc::new(NoopHandler), None, None))
                .collect();
            assert_eq!(routing.served().routes.len(), count);
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(routing.find(&named(n).1).map(|found| found.id), Some(*id));
            }
            ids.iter().for_each(|id| routing.unregister(*id));
            assert!(routing.served().routes.is_empty());
            began.elapsed()
        };
        let (few, many) = (time(2_000), time(32_000));
        assert!(many < few * 80, "{few:?} for 2,000, {many:?} for 32,000");
    }
}
