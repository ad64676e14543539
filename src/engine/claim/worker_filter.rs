//! What a process wants to work on.

use crate::model::{Namespace, Route};

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
    /// Whether a route is among it; what is internal always is.
    pub(super) fn admits(&self, route: &Route) -> bool {
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
