//! Which handler a route gets, and how many slots.

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

/// Puts attempts for one target off, and leaves others alone.
struct HoldingHandler;
impl Handler for HoldingHandler {
    fn hold(&self, route: &Route) -> Option<Duration> {
        (&*route.target[1] == "gone").then_some(Duration::from_secs(1))
    }
    fn call(&self, _: Invocation) {}
    fn abort(&self, _: Token, _: &AbortReason) {}
}

#[test]
fn targets_with_slots_of_their_own_are_put_off_one_by_one() {
    let routing = Routing::new(WorkerFilter::default());
    routing.add(HandlerSpec {
        pattern: pattern(None, None, None),
        handler: Arc::new(HoldingHandler),
        concurrency: Some(10),
        per_target: true,
        timeout: None,
        lane: Lane::Internal,
        built_in: true,
    });
    let gone = Route {
        target: vec!["a".into(), "gone".into()],
        ..route()
    };
    routing.add_routes(added(vec![(RouteId::new(1), route()), (RouteId::new(2), gone)]));
    let served = routing.internal_served();
    let slots = |holds| {
        let groups = served.group_slots(holds);
        served
            .routes
            .iter()
            .map(|route| groups[route.group])
            .collect::<Vec<_>>()
    };
    assert_eq!(slots(Holds::Kept), [10, 0]);
    assert_eq!(slots(Holds::Passed), [10, 10]);
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
