//! The arguments of `handle`: which routes, and how.

use super::dispatch::Defaults;
use super::fields::{Fields, MAX_SAFE_INTEGER};
use super::other_queues::{self, Place};
use super::qualified::{own_event, qualified_event};
use crate::engine::routing::Pattern;
use crate::error::{Error, Result};
use crate::model::Namespace;

/// Most attempts of one handler at once.
const MAX_CONCURRENCY: i64 = 100_000;

/// The checked arguments of `handle`.
#[derive(Clone, Debug)]
pub struct HandlerRequest {
    /// Which routes.
    pub pattern: Pattern,
    /// Most attempts at once.
    pub concurrency: Option<usize>,
    /// Time that an attempt may take, ms.
    pub timeout: Option<i64>,
}

/// The fields of the target; an event may name its resource, too.
fn target_of(namespace: Namespace, value: impl FnMut(&str) -> Option<Box<str>>) -> Vec<Option<Box<str>>> {
    let mut target: Vec<Option<Box<str>>> = namespace.target_fields().iter().copied().map(value).collect();
    if let [resource, Some(event)] = target.as_mut_slice() {
        match resource {
            Some(resource) => *event = own_event(namespace, resource, std::mem::take(event)),
            // A topic has its broker in its name, whichever broker that is looked for at.
            None if namespace == Namespace::Events => {}
            None => {
                if let Some([named, of_it]) = qualified_event(namespace, event) {
                    (*resource, *event) = (Some(named), of_it);
                }
            }
        }
    }
    target
}

/// Reads the target and the options of `handle`. An omitted product or env is the
/// constructor's; any other omitted field, and `'*'`, means any.
///
/// # Errors
/// `VALIDATION_ERROR` with every problem.
pub fn read_handler(namespace: Namespace, target: &str, options: &str, defaults: &Defaults) -> Result<HandlerRequest> {
    let mut fields = Fields::read(target, "target")?;
    let mut known = vec!["product", "env"];
    known.extend(namespace.target_fields());
    fields.refuse_unknown(&known);
    let mut value = |name: &str, default: Option<&Box<str>>| -> Option<Box<str>> {
        let given = fields
            .tag(name)
            .map(|tag| tag.as_ref().into())
            .or_else(|| default.cloned());
        given.filter(|value| value.as_ref() != "*")
    };
    let pattern = Pattern {
        namespace,
        product: value("product", defaults.product.as_ref()),
        env: value("env", defaults.env.as_ref()),
        target: target_of(namespace, |name| value(name, None)),
    };
    let mut options_fields = Fields::read(options, "options")?;
    other_queues::refuse_unknown(&mut options_fields, &["concurrency", "timeout"], Place::Handler);
    let concurrency = options_fields
        .integer("concurrency", 1, MAX_CONCURRENCY)
        .and_then(|count| usize::try_from(count).ok());
    let timeout = options_fields.integer("timeout", 1, MAX_SAFE_INTEGER);
    fields.absorb(options_fields);
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    Ok(HandlerRequest {
        pattern,
        concurrency,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handler_of_an_action_may_name_its_resource_in_the_event() {
        let target = |namespace, target: &str| {
            let read = read_handler(namespace, target, "{}", &Defaults::default()).unwrap();
            let fields: Vec<String> = read
                .pattern
                .target
                .iter()
                .map(|field| field.as_deref().unwrap_or("*").to_owned())
                .collect();
            fields.join(" ")
        };
        for (namespace, given, expected) in [
            (Namespace::DatabaseActions, r#"{"event":"db:low"}"#, "db low"),
            (
                Namespace::DatabaseActions,
                r#"{"database":"db","event":"db:low"}"#,
                "db low",
            ),
            (
                Namespace::GraphActions,
                r#"{"graph":"g","event":"other:low"}"#,
                "g other:low",
            ),
            (Namespace::DatabaseActions, r#"{"database":"db"}"#, "db *"),
            (Namespace::DatabaseActions, r#"{"event":"low"}"#, "* low"),
            (Namespace::Events, r#"{"event":"bus:orders"}"#, "* bus:orders"),
        ] {
            assert_eq!(target(namespace, given), expected, "{given}");
        }
    }
}
