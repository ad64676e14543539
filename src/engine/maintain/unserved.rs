//! Warns of routes whose jobs wait while nobody in this process can run them.

use super::super::claim::routes::Routes;
use super::super::claim::routing::Routing;
use super::super::context::Context;
use super::super::handler::Level;
use crate::store::RouteId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Which routes have been warned of.
pub struct UnservedRoutes {
    context: Context,
    routes: Routes,
    routing: Arc<Routing>,
    warned: Mutex<HashSet<RouteId>>,
}

impl UnservedRoutes {
    /// None has been yet.
    #[must_use]
    pub fn new(context: Context, routes: Routes, routing: Arc<Routing>) -> Self {
        Self {
            context,
            routes,
            routing,
            warned: Mutex::default(),
        }
    }

    /// Names, once each, the routes that have jobs waiting and no handler here. Best effort: what the store does not answer
    /// now is asked again later.
    pub async fn warn(&self) {
        let Ok(ready) = self.context.store.ready_routes().await else {
            return;
        };
        if self.routes.load().await.is_err() {
            return;
        }
        for id in ready {
            let Some(route) = self.routing.route(id) else { continue };
            if self.routing.find(&route).is_none() && self.is_first_warning(id) {
                self.context.log(
                    Level::Warn,
                    &format!("jobs for {route} are waiting and this process has no handler for them; they are left for one that has"),
                );
            }
        }
    }

    fn is_first_warning(&self, id: RouteId) -> bool {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }
}
