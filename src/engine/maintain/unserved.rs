//! Warns of routes whose jobs wait while nobody in this process can run them.

use super::super::claim::routes::Routes;
use super::super::claim::routing::Routing;
use super::super::context::Context;
use super::super::handler::Level;
use crate::error::Error;
use crate::model::JobId;
use crate::store::RouteId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Most lost routes that are remembered as warned of.
const MAX_LOST_ROUTES: usize = 1_000;

/// Which routes have been warned of.
pub struct UnservedRoutes {
    context: Context,
    routes: Routes,
    routing: Arc<Routing>,
    warned: Mutex<HashSet<RouteId>>,
    lost: Mutex<HashSet<RouteId>>,
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
            lost: Mutex::default(),
        }
    }

    /// Says, once for each route that jobs have and the store has not, that a job is left out of lists.
    pub fn warn_of_lost(&self, job: &JobId, route: RouteId, why: &Error) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = lost.len() < MAX_LOST_ROUTES && lost.insert(route);
        drop(lost);
        if is_new {
            let message = format!("job {job} is left out of lists: {}", why.message);
            self.context.log(Level::Error, &message);
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
                let why = self.routing.why_left(&route).map(|why| format!(": {why}"));
                let why = why.as_deref().unwrap_or_default();
                self.context.log(
                    Level::Warn,
                    &format!("jobs for {route} are waiting and this process has no handler for them{why}; they are left for one that has"),
                );
            }
        }
    }

    fn is_first_warning(&self, id: RouteId) -> bool {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }
}
