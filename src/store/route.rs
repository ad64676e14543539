//! Routes as a store has them.

use super::{RouteId, RouteMark};
use crate::model::Route;

/// A route of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoute {
    /// Its number, in the jobs that go there.
    pub id: RouteId,
    /// When it was added.
    pub mark: RouteMark,
    /// The route.
    pub route: Route,
}

/// What [`super::Store::routes_after`] answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedRoutes {
    /// These are all there are: what was known before is no longer true, as after a restore of the database.
    pub are_all: bool,
    /// In the order of their marks.
    pub routes: Vec<StoredRoute>,
}
