//! What a product's resources are: typed definitions, as the constructor's `resources` gives them.
//!
//! Plain data; reading and checking the JSON is `api::resources`. So far sessions and caches are modelled; other
//! sections are for connectors, and have no effect yet. A text may hold `$Secret{…}`: it is kept as it is written.

mod session;

pub use session::{Algorithm, KeySource, SessionResource};

use std::collections::HashMap;
use std::sync::Arc;

/// How long a cache keeps a result when nothing else is said, ms.
pub const DEFAULT_CACHE_EXPIRY: i64 = 3_600_000;

/// Name of a resource: product and tag.
type Name = (Box<str>, Box<str>);

/// The resources of all products.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    sessions: HashMap<Name, Arc<SessionResource>>,
    caches: HashMap<Name, i64>,
}

impl Resources {
    /// Adds a session resource; `false`: the product has one of that tag.
    pub fn add_session(&mut self, product: &str, session: SessionResource) -> bool {
        let name = (product.into(), session.tag.clone());
        self.sessions.insert(name, Arc::new(session)).is_none()
    }

    /// Adds a cache with its expiry, ms; `false`: the product has one of that tag.
    pub fn add_cache(&mut self, product: &str, tag: &str, expiry: i64) -> bool {
        self.caches.insert((product.into(), tag.into()), expiry).is_none()
    }

    /// The session resource of a product.
    #[must_use]
    pub fn session(&self, product: &str, tag: &str) -> Option<&Arc<SessionResource>> {
        self.sessions.get(&(product.into(), tag.into()))
    }

    /// How long a cache of a product keeps a result, ms. One that is not defined has the default.
    #[must_use]
    pub fn cache_expiry(&self, product: &str, tag: &str) -> i64 {
        let expiry = self.caches.get(&(product.into(), tag.into()));
        expiry.copied().unwrap_or(DEFAULT_CACHE_EXPIRY)
    }
}
