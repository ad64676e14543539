//! The arguments of `handle`: which routes, and how.

use super::dispatch::Defaults;
use super::fields::{Fields, MAX_SAFE_INTEGER};
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
        target: namespace.target_fields().iter().map(|name| value(name, None)).collect(),
    };
    let mut options_fields = Fields::read(options, "options")?;
    options_fields.refuse_unknown(&["concurrency", "timeout"]);
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
