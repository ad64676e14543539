//! Reads which jobs are meant: the conditions that lists, statistics and changes of many jobs share.
//!
//! Every condition must hold; one that is left out holds for all jobs.

use super::fields::{Fields, truncated};
use super::schedule;
use super::schedule_warnings::warn_of_1970;
use crate::clock::Millis;
use crate::cron::Zone;
use crate::engine::{Engine, Level};
use crate::model::{Namespace, RunStatus, Status};
use crate::store::{ListFilter, RouteId};
use crate::text::json;

/// Most tags of a filter.
const MAX_TAGS: usize = 50;

/// The names of all conditions.
pub const CONDITION_FIELDS: [&str; 11] = [
    "status",
    "recurring",
    "last_run",
    "failing",
    "product",
    "env",
    "namespace",
    "target",
    "tags",
    "from",
    "to",
];

/// Reads the conditions; the routes of the store must be known to the engine.
pub fn read_conditions(engine: &Engine, fields: &mut Fields<'_>) -> ListFilter {
    let routes = read_routes(engine, fields);
    let (last_run, failing) = read_last_run(fields);
    let (from, to) = read_range(engine, fields);
    ListFilter {
        statuses: read_statuses(fields),
        recurring: fields.boolean("recurring"),
        last_run,
        failing,
        routes,
        tags: fields.tags("tags", MAX_TAGS).unwrap_or_default(),
        from,
        to,
        ..ListFilter::default()
    }
}

/// Reads `from` and `to`.
pub fn read_range(engine: &Engine, fields: &mut Fields<'_>) -> (Option<Millis>, Option<Millis>) {
    let zone = Zone::utc();
    let from = schedule::read_instant(fields, "from", Some(&zone));
    let to = schedule::read_instant(fields, "to", Some(&zone));
    let now = engine.clock.now();
    for warning in ["from", "to"].iter().filter_map(|name| warn_of_1970(fields, name, now)) {
        engine.logger.log(Level::Warn, &warning);
    }
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        fields.problem("from", "is after `to`: nothing lies between them");
    }
    (from, to)
}

/// Refuses lists without an entry: one that names nothing means no job, and must not mean all of them.
pub fn refuse_empty_lists(fields: &mut Fields<'_>) {
    for name in ["status", "tags"] {
        if fields.raw(name) == Some("[]") {
            fields.problem(
                name,
                "is an empty list, which means no job; leave it out, or name what is meant",
            );
        }
    }
}

/// Leaves out jobs of the package itself, such as deliveries to webhooks. To be applied to every filter before a store sees
/// it; `None` stays `None` while there are no such routes.
pub fn exclude_internal_routes(engine: &Engine, routes: Option<Vec<RouteId>>) -> Option<Vec<RouteId>> {
    if routes.is_some() {
        return routes;
    }
    let internal = engine.routing.routes_where(|route| route.namespace.is_internal());
    (!internal.is_empty()).then(|| engine.routing.routes_where(|route| !route.namespace.is_internal()))
}

/// Whether the filter means all jobs there are.
pub fn is_unconditional(filter: &ListFilter) -> bool {
    filter.statuses.is_empty()
        && filter.recurring.is_none()
        && !filter.asks_for_last_run()
        && filter.routes.is_none()
        && filter.tags.is_empty()
        && filter.from.is_none()
        && filter.to.is_none()
}

/// The conditions that only recurring jobs meet: how their last run ended, and whether they are failing.
pub fn read_last_run(fields: &mut Fields<'_>) -> (Option<RunStatus>, Option<bool>) {
    let names = [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled].map(|status| (status.as_str(), status));
    (fields.one_of("last_run", &names), fields.boolean("failing"))
}

fn read_statuses(fields: &mut Fields<'_>) -> Vec<Status> {
    let Some(text) = fields.raw("status") else {
        return Vec::new();
    };
    let names = if text.starts_with('[') {
        fields.tags("status", Status::ALL.len()).unwrap_or_default()
    } else {
        fields
            .string("status")
            .map(|name| vec![name.as_ref().into()])
            .unwrap_or_default()
    };
    let mut statuses = Vec::new();
    for name in names {
        match Status::parse(&name) {
            Some(status) => statuses.push(status),
            None => {
                let known = Status::ALL.map(Status::as_str).join(", ");
                fields.problem(
                    "status",
                    format!("'{}' is no status; known are {known}", truncated(&name)),
                );
            }
        }
    }
    statuses
}

/// Other names of namespaces in the public documentation.
const NAMESPACE_ALIASES: [(&str, Namespace); 15] = [
    ("api", Namespace::Actions),
    ("action", Namespace::Actions),
    ("feature", Namespace::Features),
    ("workflows", Namespace::Features),
    ("workflow", Namespace::Features),
    ("notification", Namespace::Notifications),
    ("event", Namespace::Events),
    ("publish", Namespace::Events),
    ("database", Namespace::Databases),
    ("database.action", Namespace::DatabaseActions),
    ("database_action", Namespace::DatabaseActions),
    ("graph", Namespace::Graphs),
    ("graph.action", Namespace::GraphActions),
    ("graph_action", Namespace::GraphActions),
    ("broker", Namespace::Events),
];

fn read_namespace(fields: &mut Fields<'_>) -> Option<Namespace> {
    let text = fields.raw("namespace")?;
    let named = |(alias, namespace): &(&str, Namespace)| {
        json::string(text)
            .is_some_and(|given| given == *alias)
            .then_some(*namespace)
    };
    NAMESPACE_ALIASES.iter().find_map(named).or_else(|| {
        let names = Namespace::ALL.map(|namespace| (namespace.as_str(), namespace));
        fields.one_of("namespace", &names)
    })
}

/// The routes that `product`, `env`, `namespace` and `target` mean; `None` when none of them is given.
pub fn read_routes(engine: &Engine, fields: &mut Fields<'_>) -> Option<Vec<RouteId>> {
    let product = fields.tag("product");
    let env = fields.tag("env");
    let namespace = read_namespace(fields);
    let target = read_target(fields);
    if product.is_none() && env.is_none() && namespace.is_none() && target.is_empty() {
        return None;
    }
    Some(engine.routing.routes_where(|route| {
        !route.namespace.is_internal()
            && product.as_deref().is_none_or(|product| product == &*route.product)
            && env.as_deref().is_none_or(|env| env == &*route.env)
            && namespace.is_none_or(|namespace| namespace == route.namespace)
            && target
                .iter()
                .all(|(name, value)| route.fields().any(|(field, own)| field == *name && own == &**value))
    }))
}

/// Fields a target of any namespace may have.
const TARGET_FIELDS: [&str; 9] = [
    "app",
    "event",
    "tag",
    "notification",
    "storage",
    "broker",
    "database",
    "graph",
    "operation",
];

fn read_target(fields: &mut Fields<'_>) -> Vec<(&'static str, Box<str>)> {
    let Some(mut inner) = fields.object("target") else {
        return Vec::new();
    };
    inner.refuse_unknown(&TARGET_FIELDS);
    let mut target = Vec::new();
    for name in TARGET_FIELDS {
        if let Some(value) = inner.tag(name) {
            target.push((name, value.as_ref().into()));
        }
    }
    fields.absorb(inner);
    target
}
