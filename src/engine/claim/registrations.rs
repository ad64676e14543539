//! The handlers of a process, found by the routes they take without a look at all of them.
//!
//! Invariant: of the handlers that take a route, the most specific one is found, the latest among equals; what is built in
//! only where the program has none.

use super::routing::{Lane, Pattern};
use crate::engine::handler::Handler;
use crate::expr::Literals;
use crate::model::{Namespace, Route};
use crate::store::RouteId;
use crate::text::spelling::{suggestion, truncated};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Features within features that are looked at.
const MAX_FEATURE_DEPTH: usize = 8;

/// Which fields of a pattern are fixed: one bit for each field of the target, then product and env.
type FixedFields = u32;

/// What becomes of handlers whose attempts are put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// They get no more attempts than they want.
    Kept,
    /// They get all: somebody waits until nothing is due, or moves the time by hand.
    Passed,
}

/// A handler and how it is to be used.
pub struct Registration {
    /// Names it within the process; later registrations have higher numbers.
    pub id: u32,
    pub(super) pattern: Pattern,
    /// Does the work.
    pub handler: Arc<dyn Handler>,
    /// Most attempts at once.
    pub concurrency: Option<usize>,
    /// Longest attempt for jobs that set none, ms.
    pub timeout: Option<i64>,
    /// Whose slots it takes.
    pub lane: Lane,
    pub(super) built_in: bool,
    pub(super) running: AtomicUsize,
    /// Attempts going for each target, if `concurrency` is that of each of them.
    pub(super) running_by_route: Option<Mutex<HashMap<RouteId, usize>>>,
}

impl Registration {
    /// An attempt for this route begins.
    pub fn attempt_started(&self, route: RouteId) {
        self.running.fetch_add(1, Ordering::Relaxed);
        if let Some(mut running) = self.by_route() {
            *running.entry(route).or_default() += 1;
        }
    }

    /// An attempt for this route ended.
    pub fn attempt_ended(&self, route: RouteId) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut running) = self.by_route()
            && let Some(count) = running.get_mut(&route)
        {
            *count -= 1;
            if *count == 0 {
                running.remove(&route);
            }
        }
    }

    fn by_route(&self) -> Option<MutexGuard<'_, HashMap<RouteId, usize>>> {
        let running = self.running_by_route.as_ref()?;
        Some(running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What this handler wants to see of literals: where an object may be an operator, and where inputs are put into other
    /// inputs, data stays marked as such.
    #[must_use]
    pub fn literals(&self, namespace: Namespace) -> Literals {
        let reads_operators = matches!(
            namespace,
            Namespace::Databases
                | Namespace::DatabaseActions
                | Namespace::Graphs
                | Namespace::GraphActions
                | Namespace::Features
        );
        if self.built_in && reads_operators {
            Literals::Marked
        } else {
            Literals::Unwrapped
        }
    }

    /// Attempts going, and the most there may be.
    #[must_use]
    pub fn slot_usage(&self) -> (usize, Option<usize>) {
        (self.running.load(Ordering::Relaxed), self.concurrency)
    }

    /// Free slots for a route.
    pub(super) fn free(&self, id: RouteId, route: &Route, holds: Holds) -> usize {
        let held = match holds {
            Holds::Kept => self.handler.hold(route),
            Holds::Passed => None,
        };
        let most = match (held, self.concurrency) {
            (Some(left), _) if !left.is_zero() => 0,
            (Some(_), _) => 1,
            (None, None) => return usize::MAX,
            (None, Some(most)) => most,
        };
        let running = match self.by_route() {
            Some(running) => running.get(&id).copied().unwrap_or_default(),
            None => self.running.load(Ordering::Relaxed),
        };
        most.saturating_sub(running)
    }
}

/// All registered handlers.
#[derive(Default)]
pub(super) struct Registrations {
    /// By what their patterns fix.
    by_pattern: HashMap<u64, Vec<Arc<Registration>>>,
    /// Which combinations of fixed fields there are, and in how many patterns.
    in_use: HashMap<Namespace, BTreeMap<FixedFields, usize>>,
    by_id: HashMap<u32, Arc<Registration>>,
}

impl Registrations {
    pub(super) fn add(&mut self, registration: Arc<Registration>) {
        let pattern = &registration.pattern;
        let in_use = self.in_use.entry(pattern.namespace).or_default();
        *in_use.entry(fixed_fields(pattern)).or_default() += 1;
        let same = self.by_pattern.entry(key_of_pattern(pattern)).or_default();
        same.push(Arc::clone(&registration));
        self.by_id.insert(registration.id, registration);
    }

    /// What is said of a route that nobody here takes, but some take one much like it: of the same resource by other names, of
    /// the same resource in other environments, or of other resources.
    pub(super) fn nearest(&self, route: &Route) -> Option<Box<str>> {
        let (event, resource) = route.target.split_last()?;
        let fits = |wanted: &Option<Box<str>>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let name_of = |registration: &Arc<Registration>| -> Option<Box<str>> {
            let pattern = &registration.pattern;
            let (name, of) = pattern.target.split_last()?;
            let is_of = pattern.namespace == route.namespace
                && fits(&pattern.product, &route.product)
                && fits(&pattern.env, &route.env)
                && of
                    .iter()
                    .map(Option::as_deref)
                    .eq(resource.iter().map(|value| Some(&**value)));
            name.clone().filter(|_| is_of)
        };
        let mut known: Vec<Box<str>> = self.by_id.values().filter_map(name_of).collect();
        let resource = resource.first()?;
        if known.is_empty() {
            return self.nearest_resource(route, resource, event);
        }
        known.sort_unstable();
        known.dedup();
        let names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        let near = suggestion(event, &names);
        Some(
            format!(
                "'{}' is not known of '{}'; {near}",
                truncated(event),
                truncated(resource)
            )
            .into(),
        )
    }

    fn nearest_resource(&self, route: &Route, resource: &str, event: &str) -> Option<Box<str>> {
        // Operations of a resource, which it has without actions too.
        let base = match route.namespace {
            Namespace::DatabaseActions => Namespace::Databases,
            Namespace::GraphActions => Namespace::Graphs,
            other => other,
        };
        let patterns = self.by_id.values().map(|registration| &registration.pattern);
        let patterns = patterns.filter(|pattern| {
            let product = pattern.product.as_deref();
            [route.namespace, base].contains(&pattern.namespace)
                && pattern.target.len() == route.target.len()
                && product.is_none_or(|product| *product == *route.product)
        });
        let (mut here, mut elsewhere): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut is_of_base = false;
        for pattern in patterns {
            let Some(Some(tag)) = pattern.target.first() else {
                continue;
            };
            match pattern.env.as_deref() {
                Some(env) if *env != *route.env => elsewhere.extend((**tag == *resource).then_some(env)),
                _ => here.push(tag),
            }
            is_of_base = is_of_base || **tag == *resource && pattern.namespace != route.namespace;
        }
        for names in [&mut here, &mut elsewhere] {
            names.sort_unstable();
            names.dedup();
        }
        let (shown, env) = (truncated(resource), truncated(&route.env));
        let said = match (here.contains(&resource), elsewhere.is_empty()) {
            (true, _) if is_of_base => {
                format!("'{}' is not known of '{shown}', which has no actions", truncated(event))
            }
            (true, _) => return None,
            (false, false) => format!(
                "'{shown}' is not known in the environment '{env}', but in {}",
                elsewhere.join(", ")
            ),
            (false, true) if here.is_empty() => return None,
            (false, true) => format!("'{shown}' is not known; {}", suggestion(resource, &here)),
        };
        Some(said.into())
    }

    /// Attempts at once in slots of the package's own, for one target each: what runs in them ends no process.
    pub(super) fn internal_concurrency(&self) -> usize {
        let internal = self
            .by_id
            .values()
            .filter(|registration| registration.lane == Lane::Internal);
        internal
            .map(|registration| registration.slot_usage().1.unwrap_or(0))
            .sum()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.by_id.values()
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Some(registration) = self.by_id.remove(&id) else {
            return;
        };
        let pattern = &registration.pattern;
        let key = key_of_pattern(pattern);
        if let Some(same) = self.by_pattern.get_mut(&key) {
            same.retain(|other| other.id != id);
            if same.is_empty() {
                self.by_pattern.remove(&key);
            }
        }
        if let Some(in_use) = self.in_use.get_mut(&pattern.namespace)
            && let Some(count) = in_use.get_mut(&fixed_fields(pattern))
        {
            *count -= 1;
            if *count == 0 {
                in_use.remove(&fixed_fields(pattern));
            }
        }
    }

    /// The handler of a route, if all that it needs is served as well.
    pub(super) fn best(&self, route: &Route) -> Option<&Arc<Registration>> {
        self.find_complete(route, MAX_FEATURE_DEPTH)
    }

    fn find_complete(&self, route: &Route, depth: usize) -> Option<&Arc<Registration>> {
        let found = self.most_specific(route)?;
        let required_routes = found.handler.required_routes(route);
        let served = |need: &Route| depth > 0 && self.find_complete(need, depth - 1).is_some();
        required_routes.iter().all(served).then_some(found)
    }

    fn most_specific(&self, route: &Route) -> Option<&Arc<Registration>> {
        let in_use = self.in_use.get(&route.namespace)?;
        let candidates = in_use
            .keys()
            .filter_map(|fixed| self.by_pattern.get(&key_of_route(route, *fixed)))
            .flatten()
            .filter(|registration| registration.pattern.matches(route));
        candidates.max_by_key(|registration| {
            let pattern = &registration.pattern;
            (!registration.built_in, pattern.specificity(), registration.id)
        })
    }
}

fn fixed_fields(pattern: &Pattern) -> FixedFields {
    pattern
        .fields()
        .fold(0, |bits, field| bits << 1 | u32::from(field.is_some()))
}

fn key_of_pattern(pattern: &Pattern) -> u64 {
    let mut hasher = DefaultHasher::new();
    pattern.namespace.hash(&mut hasher);
    fixed_fields(pattern).hash(&mut hasher);
    pattern.fields().flatten().for_each(|value| value.hash(&mut hasher));
    hasher.finish()
}

/// The key of the pattern that fixes these fields to what they are in the route.
fn key_of_route(route: &Route, fixed: FixedFields) -> u64 {
    let mut hasher = DefaultHasher::new();
    route.namespace.hash(&mut hasher);
    fixed.hash(&mut hasher);
    let fields = route.target.iter().chain([&route.product, &route.env]);
    let count = route.target.len() + 2;
    for (index, value) in fields.enumerate() {
        if fixed >> (count - 1 - index) & 1 == 1 {
            (**value).hash(&mut hasher);
        }
    }
    hasher.finish()
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

    #[test]
    fn nearest_name_of_the_same_resource_is_told_of_a_route_that_nobody_takes() {
        let mut registrations = Registrations::default();
        for (id, resource, event, env, namespace) in [
            (1, "db", Some("low"), None, Namespace::DatabaseActions),
            (2, "db", Some("sync"), None, Namespace::DatabaseActions),
            (3, "other", Some("lo"), None, Namespace::DatabaseActions),
            (4, "any", None, None, Namespace::DatabaseActions),
            (5, "far", Some("go"), Some("prd"), Namespace::DatabaseActions),
            (6, "bare", None, Some("e"), Namespace::Databases),
            (7, "people", None, Some("e"), Namespace::Graphs),
            (8, "people", None, Some("prd"), Namespace::Graphs),
        ] {
            registrations.add(Arc::new(Registration {
                id,
                pattern: Pattern {
                    namespace,
                    product: Some("p".into()),
                    env: env.map(Into::into),
                    target: vec![Some(resource.into()), event.map(Into::into)],
                },
                handler: Arc::new(NoopHandler),
                concurrency: None,
                timeout: None,
                lane: Lane::Jobs,
                built_in: true,
                running: AtomicUsize::new(0),
                running_by_route: None,
            }));
        }
        let nearest = |namespace, product: &str, resource: &str, event: &str| {
            registrations.nearest(&Route {
                namespace,
                product: product.into(),
                env: "e".into(),
                target: vec![resource.into(), event.into()],
            })
        };
        let actions = Namespace::DatabaseActions;
        assert_eq!(
            nearest(actions, "p", "db", "lwo").as_deref(),
            Some("'lwo' is not known of 'db'; did you mean `low`?")
        );
        let all = nearest(actions, "p", "db", "something-else").unwrap();
        assert!(all.contains("low, sync") && !all.contains("lo,"), "{all}");
        for (namespace, resource, said) in [
            (actions, "othr", "'othr' is not known; did you mean `other`?"),
            (
                actions,
                "unknown",
                "'unknown' is not known; known are any, bare, db, other",
            ),
            (actions, "far", "'far' is not known in the environment 'e', but in prd"),
            (actions, "bare", "'lwo' is not known of 'bare', which has no actions"),
            (Namespace::Databases, "bar", "'bar' is not known; did you mean `bare`?"),
            (
                Namespace::Graphs,
                "poeple",
                "'poeple' is not known; did you mean `people`?",
            ),
            (
                Namespace::GraphActions,
                "people",
                "'lwo' is not known of 'people', which has no actions",
            ),
        ] {
            assert_eq!(
                nearest(namespace, "p", resource, "lwo").as_deref(),
                Some(said),
                "{resource}"
            );
        }
        for (namespace, product, resource) in [(actions, "q", "db"), (actions, "p", "any")] {
            assert_eq!(
                nearest(namespace, product, resource, "lwo"),
                None,
                "{product} {resource}"
            );
        }
    }
}
