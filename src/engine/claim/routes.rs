//! Routes by their number, loaded from the store when a number is new to this process.

use super::routing::Routing;
use crate::error::Result;
use crate::model::Route;
use crate::store::{RouteId, Store};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The routes of a store.
#[derive(Clone)]
pub struct Routes {
    store: Arc<dyn Store>,
    routing: Arc<Routing>,
}

impl Routes {
    /// Those of this store, as far as `routing` has them.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, routing: Arc<Routing>) -> Self {
        Self { store, routing }
    }

    /// Loads routes that other processes or earlier lives have added.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(&self) -> Result<()> {
        let routes = self.store.routes_after(self.routing.newest_route()).await?;
        self.routing.add_routes(routes);
        Ok(())
    }

    /// The numbers of these routes, as far as they are known.
    #[must_use]
    pub fn numbers_of(&self, routes: &[Arc<Route>]) -> HashMap<Arc<Route>, RouteId> {
        let wanted: HashSet<&Route> = routes.iter().map(AsRef::as_ref).collect();
        let found = self.routing.routes_where(|route| wanted.contains(route));
        let known = |id: RouteId| Some((self.routing.route(id)?, id));
        found.into_iter().filter_map(known).collect()
    }

    /// The route with this number; `None`: the store has none, or does not answer.
    pub async fn find(&self, id: RouteId) -> Option<Arc<Route>> {
        if let Some(route) = self.routing.route(id) {
            return Some(route);
        }
        self.load().await.ok()?;
        self.routing.route(id)
    }
}
