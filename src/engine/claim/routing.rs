//! Which handler does which route: patterns, the most specific of which wins; and whose slots it takes.
//!
//! Invariant: the served list is a pure function of the handlers, the worker's filter and the known routes; it is
//! rebuilt when one of them changes and shared until then.

use crate::engine::handler::Handler;
use crate::model::{Namespace, Route};
use crate::store::{RouteId, ServedRoute};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which routes a handler takes. `None` means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Of the nine, exactly one.
    pub namespace: Namespace,
    /// Product tag.
    pub product: Option<Box<str>>,
    /// Environment slug.
    pub env: Option<Box<str>>,
    /// One entry for each target field.
    pub target: Vec<Option<Box<str>>>,
}

impl Pattern {
    fn matches(&self, route: &Route) -> bool {
        let fits = |wanted: &Option<Box<str>>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.namespace == route.namespace
            && fits(&self.product, &route.product)
            && fits(&self.env, &route.env)
            && self
                .target
                .iter()
                .zip(&route.target)
                .all(|(wanted, value)| fits(wanted, value))
    }

    /// More fixed fields are more specific; among equals an earlier target field counts more than a later one, and the
    /// target more than product and env.
    fn specificity(&self) -> (usize, u32) {
        let fields = self.target.iter().chain([&self.product, &self.env]);
        let bits = fields.fold(0, |bits, field| bits << 1 | u32::from(field.is_some()));
        (bits.count_ones() as usize, bits)
    }
}

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
    /// Longest attempt for jobs that set none, ms.
    pub timeout: Option<i64>,
    /// Whose slots it takes.
    pub lane: Lane,
    /// Stands back behind any handler of the program's for the same route.
    pub built_in: bool,
}

/// A handler and how it is to be used.
pub struct Registration {
    /// Names it within the process; later registrations have higher numbers.
    pub id: u32,
    pattern: Pattern,
    /// Does the work.
    pub handler: Arc<dyn Handler>,
    /// Most attempts at once.
    pub concurrency: Option<usize>,
    /// Longest attempt for jobs that set none, ms.
    pub timeout: Option<i64>,
    /// Whose slots it takes.
    pub lane: Lane,
    built_in: bool,
    running: AtomicUsize,
}

impl Registration {
    /// An attempt begins.
    pub fn attempt_started(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt ended.
    pub fn attempt_ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Free slots of a handler that has its own.
    #[must_use]
    pub fn internal_slots(&self) -> usize {
        if self.lane == Lane::Internal { self.free() } else { 0 }
    }

    /// Attempts going, and the most there may be.
    #[must_use]
    pub fn slot_usage(&self) -> (usize, Option<usize>) {
        (self.running.load(Ordering::Relaxed), self.concurrency)
    }

    fn free(&self) -> usize {
        self.concurrency.map_or(usize::MAX, |most| {
            most.saturating_sub(self.running.load(Ordering::Relaxed))
        })
    }
}

/// What the process wants to work on at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerFilter {
    /// Only these namespaces.
    pub namespaces: Option<Vec<Namespace>>,
    /// Only these products.
    pub products: Option<Vec<Box<str>>>,
    /// Only these environments.
    pub envs: Option<Vec<Box<str>>>,
}

impl WorkerFilter {
    fn admits(&self, route: &Route) -> bool {
        let among = |list: &Option<Vec<Box<str>>>, value: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|entry| &**entry == value))
        };
        if route.namespace.is_internal() {
            return true;
        }
        self.namespaces
            .as_ref()
            .is_none_or(|list| list.contains(&route.namespace))
            && among(&self.products, &route.product)
            && among(&self.envs, &route.env)
    }
}

/// The routes this process serves, and by whom.
#[derive(Clone, Default)]
pub struct ServedRoutes {
    /// For the store's claim.
    pub routes: Arc<[ServedRoute]>,
    groups: Arc<[Arc<Registration>]>,
}

impl ServedRoutes {
    /// Free slots of each group.
    #[must_use]
    pub fn group_slots(&self) -> Vec<usize> {
        self.groups.iter().map(|registration| registration.free()).collect()
    }

    /// The most that one claim can begin: what the handlers together have free.
    #[must_use]
    pub fn internal_slots(&self) -> usize {
        self.groups
            .iter()
            .map(|registration| registration.internal_slots())
            .sum()
    }

    /// Numbers of the served routes.
    #[must_use]
    pub fn route_ids(&self) -> Vec<RouteId> {
        self.routes.iter().map(|served| served.route).collect()
    }
}

#[derive(Default)]
struct State {
    registrations: Vec<Arc<Registration>>,
    last_id: u32,
    routes: HashMap<RouteId, Arc<Route>>,
    highest_route_id: RouteId,
    served: Option<(ServedRoutes, ServedRoutes)>,
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
            timeout,
            lane,
            built_in,
        } = target;
        let mut state = self.state();
        state.last_id += 1;
        let id = state.last_id;
        let running = AtomicUsize::new(0);
        state.registrations.push(Arc::new(Registration {
            id,
            pattern,
            handler,
            concurrency,
            timeout,
            lane,
            built_in,
            running,
        }));
        state.served = None;
        id
    }

    /// Takes a handler away; attempts it has begun go on.
    pub fn unregister(&self, id: u32) {
        let mut state = self.state();
        state.registrations.retain(|registration| registration.id != id);
        state.served = None;
    }

    /// Highest route number known.
    #[must_use]
    pub fn highest_route(&self) -> RouteId {
        self.state().highest_route_id
    }

    /// Makes routes known.
    pub fn add_routes(&self, routes: Vec<(RouteId, Route)>) {
        if routes.is_empty() {
            return;
        }
        let mut state = self.state();
        for (id, route) in routes {
            state.highest_route_id = state.highest_route_id.max(id);
            state.routes.entry(id).or_insert_with(|| Arc::new(route));
        }
        state.served = None;
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
            .then(|| best_handler(&self.state().registrations, route))
            .flatten()
    }

    /// The handler of a part of a feature, whatever the worker's filter: who works on the feature works on all of it.
    #[must_use]
    pub fn find_for_part(&self, route: &Route) -> Option<Arc<Registration>> {
        best_handler(&self.state().registrations, route)
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
        let served = (
            self.compute_served(&state, Lane::Jobs),
            self.compute_served(&state, Lane::Internal),
        );
        state.served = Some(served.clone());
        served
    }

    fn compute_served(&self, state: &State, lane: Lane) -> ServedRoutes {
        let mut groups: Vec<Arc<Registration>> = Vec::new();
        let mut routes = Vec::new();
        for (id, route) in state.routes.iter().filter(|(_, route)| self.filter.admits(route)) {
            let Some(registration) = best_handler(&state.registrations, route).filter(|best| best.lane == lane) else {
                continue;
            };
            let known = groups.iter().position(|group| group.id == registration.id);
            let group = known.unwrap_or(groups.len());
            if known.is_none() {
                groups.push(registration);
            }
            routes.push(ServedRoute { route: *id, group });
        }
        routes.sort_by_key(|served| served.route);
        ServedRoutes {
            routes: routes.into(),
            groups: groups.into(),
        }
    }
}

/// Features within features that are looked at.
const MAX_FEATURE_DEPTH: usize = 8;

fn best_handler(registrations: &[Arc<Registration>], route: &Route) -> Option<Arc<Registration>> {
    find_complete(registrations, route, MAX_FEATURE_DEPTH)
}

/// The best handler, if all that it needs is served as well.
fn find_complete(registrations: &[Arc<Registration>], route: &Route, depth: usize) -> Option<Arc<Registration>> {
    let found = most_specific(registrations, route)?;
    let required_routes = found.handler.required_routes(route);
    let served = |need: &Route| depth > 0 && find_complete(registrations, need, depth - 1).is_some();
    required_routes.iter().all(served).then_some(found)
}

fn most_specific(registrations: &[Arc<Registration>], route: &Route) -> Option<Arc<Registration>> {
    let most_specific = registrations
        .iter()
        .filter(|registration| registration.pattern.matches(route));
    most_specific
        .max_by_key(|registration| {
            let pattern = &registration.pattern;
            (!registration.built_in, pattern.specificity(), registration.id)
        })
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::handler::{AbortReason, Invocation};
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
        routing.add_routes(vec![(RouteId::new(1), route())]);
        assert_eq!(winner(&routing), None);
        assert!(routing.served().routes.is_empty());
    }
}
