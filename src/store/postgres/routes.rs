//! Routes and their numbers.
//!
//! Invariant: a number belongs to one route permanently, and a reader that sees a number sees all lower ones: numbers are
//! assigned under a lock, in a transaction of their own, so that everything in the cache is committed.

use super::failure::{DbResult, damaged};
use super::session::Session;
use crate::model::{Namespace, Route};
use crate::store::RouteId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::Row;

/// Most cached routes; others are looked up in the database.
const MAX_CACHED_ROUTES: usize = 10_000;

const SELECT_ROUTE_IDS: &str = include_str!("sql/select_route_ids.sql");
const INSERT_ROUTES: &str = include_str!("sql/insert_routes.sql");
const SELECT_ROUTES_AFTER: &str = include_str!("sql/select_routes_after.sql");
const SELECT_ROUTES_WITH_READY: &str = include_str!("sql/select_routes_with_ready.sql");

/// Cache of route numbers.
#[derive(Debug, Default)]
pub(super) struct RouteCache(Mutex<HashMap<Route, RouteId>>);

impl RouteCache {
    /// The numbers of these routes, in their order; new routes are assigned one.
    pub(super) async fn intern(&self, session: &Session, routes: &[&Route]) -> DbResult<Vec<RouteId>> {
        let unknown = self.unknown(routes);
        if !unknown.is_empty() {
            self.load(session, unknown).await?;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = routes.iter().map(|route| known.get(*route).copied());
        let numbers: Option<Vec<RouteId>> = numbers.collect();
        Ok(numbers.ok_or_else(|| damaged("a route without its number"))?)
    }

    fn unknown(&self, routes: &[&Route]) -> Vec<Route> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unknown: Vec<Route> = Vec::new();
        for route in routes {
            if !known.contains_key(*route) && !unknown.contains(*route) {
                unknown.push((*route).clone());
            }
        }
        if known.len() + unknown.len() > MAX_CACHED_ROUTES {
            // Routes of this batch are looked up again with the others.
            known.clear();
            unknown = routes.iter().map(|route| (*route).clone()).collect();
            unknown.sort_by(|a, b| format!("{a}").cmp(&format!("{b}")));
            unknown.dedup();
        }
        unknown
    }

    async fn load(&self, session: &Session, routes: Vec<Route>) -> DbResult<()> {
        let columns = Columns::of(&routes)?;
        let mut numbers = columns.find(session).await?;
        if numbers.iter().any(Option::is_none) {
            session.begin().await?;
            session
                .run(&super::session::in_schema(
                    "LOCK TABLE ductape.routes IN SHARE ROW EXCLUSIVE MODE",
                    &session.connector().address.quoted_schema(),
                ))
                .await?;
            session
                .execute(
                    INSERT_ROUTES,
                    &[&columns.namespaces, &columns.products, &columns.envs, &columns.targets],
                )
                .await?;
            session.run("COMMIT").await?;
            session.mark_usable();
            numbers = columns.find(session).await?;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (route, number) in routes.into_iter().zip(numbers) {
            known.insert(route, number.ok_or_else(|| damaged("a route without its number"))?);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Columns {
    namespaces: Vec<&'static str>,
    products: Vec<Box<str>>,
    envs: Vec<Box<str>>,
    targets: Vec<String>,
}

impl Columns {
    fn of(routes: &[Route]) -> DbResult<Self> {
        let mut columns = Self::default();
        for route in routes {
            columns.namespaces.push(route.namespace.as_str());
            columns.products.push(route.product.clone());
            columns.envs.push(route.env.clone());
            let target = serde_json::to_string(&route.target);
            columns
                .targets
                .push(target.map_err(|_| damaged("a route that cannot be written"))?);
        }
        Ok(columns)
    }

    async fn find(&self, session: &Session) -> DbResult<Vec<Option<RouteId>>> {
        let rows = session
            .query(
                SELECT_ROUTE_IDS,
                &[&self.namespaces, &self.products, &self.envs, &self.targets],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

/// Routes with a higher number than `after`, in order.
pub(super) async fn after(session: &Session, after: RouteId) -> DbResult<Vec<(RouteId, Route)>> {
    let rows = session.query(SELECT_ROUTES_AFTER, &[&after]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, read(row)?))).collect()
}

fn read(row: &Row) -> DbResult<Route> {
    let namespace: String = row.try_get(1)?;
    let target: String = row.try_get(4)?;
    Ok(Route {
        namespace: Namespace::parse(&namespace).ok_or_else(|| damaged("a route of an unknown namespace"))?,
        product: row.try_get(2)?,
        env: row.try_get(3)?,
        target: serde_json::from_str(&target).map_err(|_| damaged("a route with an unreadable target"))?,
    })
}

/// Routes that have rows in `ready`, found by skipping through its index.
pub(super) async fn with_ready(session: &Session) -> DbResult<Vec<RouteId>> {
    let rows = session.query(SELECT_ROUTES_WITH_READY, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
