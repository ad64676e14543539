//! Routes and their numbers.
//!
//! Invariant: a number belongs to one route permanently. The cache must contain only what the current transaction may rely
//! on: on rollback, call [`RouteCache::clear`].

use super::failure::damaged;
use crate::error::Result;
use crate::model::{Namespace, Route};
use crate::store::{AddedRoutes, RouteId, RouteMark, StoredRoute};
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::HashMap;

/// Most cached routes; others are looked up in the database.
const MAX_CACHED_ROUTES: usize = 10_000;

const SELECT_ROUTE_IDS: &str = include_str!("sql/select_route_ids.sql");
const INSERT_ROUTES: &str = include_str!("sql/insert_routes.sql");
const SELECT_ROUTES_AFTER: &str = include_str!("sql/select_routes_after.sql");

/// Cache of route numbers.
#[derive(Debug, Default)]
pub(super) struct RouteCache {
    known: HashMap<Route, RouteId>,
    /// The last route looked up: comparing is cheaper than hashing.
    last: Option<(Route, RouteId)>,
}

impl RouteCache {
    /// The number of `route`, assigned if it is new.
    pub(super) fn intern(&mut self, connection: &Connection, route: &Route) -> Result<RouteId> {
        if let Some((_, id)) = self.last.as_ref().filter(|(last, _)| last == route) {
            return Ok(*id);
        }
        let id = match self.known.get(route) {
            Some(id) => *id,
            None => self.load(connection, route)?,
        };
        self.last = Some((route.clone(), id));
        Ok(id)
    }

    fn load(&mut self, connection: &Connection, route: &Route) -> Result<RouteId> {
        let id = find_or_add(connection, route)?;
        if self.known.len() >= MAX_CACHED_ROUTES {
            self.known.clear();
        }
        self.known.insert(route.clone(), id);
        Ok(id)
    }

    /// Clears the cache, since some of it may have been rolled back.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.last = None;
    }
}

fn find_or_add(connection: &Connection, route: &Route) -> Result<RouteId> {
    let target = serde_json::to_string(&route.target).map_err(|_| damaged("a route that cannot be written"))?;
    let row = (route.namespace.as_str(), &*route.product, &*route.env, target.as_str());
    let known = connection
        .prepare_cached(SELECT_ROUTE_IDS)?
        .query_row(row, |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => Ok(RouteId::new(connection.prepare_cached(INSERT_ROUTES)?.insert(row)?)),
    }
}

/// Routes that were added after the one with the mark `after`, in order. Marks are the numbers: a file loses no route while
/// it is open.
pub(super) fn after(connection: &Connection, after: RouteMark) -> Result<AddedRoutes> {
    let mut select = connection.prepare_cached(SELECT_ROUTES_AFTER)?;
    let mut rows = select.query([after])?;
    let mut routes = Vec::new();
    while let Some(row) = rows.next()? {
        routes.push(StoredRoute {
            id: row.get(0)?,
            mark: row.get(0)?,
            route: read(row)?,
        });
    }
    Ok(AddedRoutes { are_all: false, routes })
}

fn read(row: &Row<'_>) -> Result<Route> {
    let namespace: String = row.get(1)?;
    let target: String = row.get(4)?;
    Ok(Route {
        namespace: Namespace::parse(&namespace).ok_or_else(|| damaged("a route of an unknown namespace"))?,
        product: row.get::<_, String>(2)?.into(),
        env: row.get::<_, String>(3)?.into(),
        target: serde_json::from_str(&target).map_err(|_| damaged("a route with an unreadable target"))?,
    })
}

/// The mark of the route that was added last.
pub(super) fn newest(connection: &Connection) -> Result<RouteMark> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM routes")?
        .query_row([], |row| row.get(0))?)
}

/// Routes that have rows in `ready`, found by skipping through its index.
pub(super) fn with_ready(connection: &Connection) -> Result<Vec<RouteId>> {
    let mut routes = Vec::new();
    let mut from = RouteId::MIN;
    while let Some(route) = next_ready(connection, from)? {
        routes.push(route);
        from = route.plus(1);
    }
    Ok(routes)
}

/// The first route at or above `from` with rows in `ready`.
pub(super) fn next_ready(connection: &Connection, from: RouteId) -> Result<Option<RouteId>> {
    let mut select = connection.prepare_cached("SELECT route FROM ready WHERE route >= ?1 ORDER BY route LIMIT 1")?;
    Ok(select.query_row([from], |row| row.get(0)).optional()?)
}
