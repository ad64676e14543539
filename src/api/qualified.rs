//! Events that name their resource too, as in `bus:orders` and `orders-db:low_stock`.
//!
//! Invariant: dispatches and handlers of actions read them alike, so that a job finds its handler whichever way each was written.

use crate::model::Namespace;

/// Resource and event of a target whose event names both and whose resource is not given by itself; `None`: it is no such
/// event, or the namespace has none. Topics keep the name of their broker, which their own tags have too; actions lose it.
pub(super) fn qualified_event(namespace: Namespace, event: &str) -> Option<[Box<str>; 2]> {
    let (resource, rest) = event.split_once(':').filter(|_| may_be_qualified(namespace))?;
    if resource.is_empty() || rest.is_empty() {
        return None;
    }
    let event = if namespace == Namespace::Events { event } else { rest };
    Some([resource.into(), event.into()])
}

/// The event of this resource, without the name of the resource before it.
pub(super) fn own_event(namespace: Namespace, resource: &str, event: Box<str>) -> Box<str> {
    if !is_of_actions(namespace) {
        return event;
    }
    let rest = event.strip_prefix(resource).and_then(|rest| rest.strip_prefix(':'));
    match rest.filter(|rest| !rest.is_empty()) {
        Some(rest) => rest.into(),
        None => event,
    }
}

/// Whether events of the namespace may name their resource.
pub(super) fn may_be_qualified(namespace: Namespace) -> bool {
    namespace == Namespace::Events || is_of_actions(namespace)
}

fn is_of_actions(namespace: Namespace) -> bool {
    matches!(namespace, Namespace::DatabaseActions | Namespace::GraphActions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_may_name_its_resource() {
        let read =
            |namespace, event| qualified_event(namespace, event).map(|[resource, event]| format!("{resource} {event}"));
        for (namespace, event, expected) in [
            (Namespace::Events, "bus:orders", Some("bus bus:orders")),
            (Namespace::DatabaseActions, "db:low", Some("db low")),
            (Namespace::GraphActions, "g:a:b", Some("g a:b")),
            (Namespace::DatabaseActions, "low", None),
            (Namespace::DatabaseActions, "db:", None),
            (Namespace::Storage, "s:label", None),
        ] {
            assert_eq!(read(namespace, event).as_deref(), expected, "{event}");
        }
        for (event, expected) in [
            ("db:low", "low"),
            ("other:low", "other:low"),
            ("db:", "db:"),
            ("low", "low"),
        ] {
            assert_eq!(&*own_event(Namespace::DatabaseActions, "db", event.into()), expected);
        }
        assert_eq!(&*own_event(Namespace::Events, "db", "db:low".into()), "db:low");
    }
}
