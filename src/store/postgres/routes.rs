//! Routes and their numbers.
//!
//! Invariants: a number is that of one target, whatever the server loses of what it has committed, and whichever database is
//! restored in its place: it is derived from the target (those of older versions were not, and are told apart by their
//! marks). A reader that sees a mark sees all lower ones: marks are given under a lock, in a transaction of their own, so that
//! everything in the cache was committed; whether it is still there is asked with each insert.

use super::failure::{DbResult, Failure, damaged};
use super::session::Session;
use crate::model::{Namespace, Route};
use crate::store::{AddedRoutes, RouteId, RouteMark, StoredRoute};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::Row;

/// Most cached routes; others are looked up in the database.
const MAX_CACHED_ROUTES: usize = 10_000;
/// Versions that counted numbers up from 1 did not come as far as this.
const MAX_COUNTED_NUMBER: i64 = 1 << 40;

const SELECT_ROUTE_IDS: &str = include_str!("sql/select_route_ids.sql");
const INSERT_ROUTES: &str = include_str!("sql/insert_routes.sql");
const SELECT_ROUTES_AFTER: &str = include_str!("sql/select_routes_after.sql");
pub(super) const SYNC_COMMIT: &str = include_str!("sql/sync_commit.sql");

/// Names a route in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteRef {
    pub(super) id: RouteId,
    /// Of the row that was found.
    pub(super) mark: RouteMark,
}

/// The number of a route: the first bits of a hash that nobody finds two targets for.
fn number_of(columns: [&str; 4]) -> RouteId {
    // Lengths first, so that no two routes give the same bytes.
    let lengths = columns.iter().map(|text| text.len().to_string());
    let text = lengths.chain(columns.iter().map(|text| (*text).to_owned()));
    let text = text.collect::<Vec<_>>().join(" ");
    let hash = digest(&SHA256, text.as_bytes());
    let mut first = [0; 8];
    first.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    // No bit for the sign, and one so that it is above those that were counted.
    RouteId::new(i64::from_be_bytes(first) & i64::MAX | MAX_COUNTED_NUMBER)
}

/// Cache of route numbers.
#[derive(Debug, Default)]
pub(super) struct RouteCache(Mutex<HashMap<Route, RouteRef>>);

impl RouteCache {
    /// The numbers of these routes, in their order; new routes are assigned one.
    pub(super) async fn intern(&self, session: &Session, routes: &[&Route]) -> DbResult<Vec<RouteRef>> {
        let unknown = self.unknown(routes);
        if !unknown.is_empty() {
            self.load(session, unknown).await?;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = routes.iter().map(|route| known.get(*route).copied());
        let numbers: Option<Vec<RouteRef>> = numbers.collect();
        Ok(numbers.ok_or_else(|| damaged("a route without its number"))?)
    }

    /// Forgets all, when something that was written with them found that the database no longer has one of them; the next
    /// attempt looks them up again.
    pub(super) fn check<T>(&self, written: DbResult<T>) -> DbResult<T> {
        if matches!(written, Err(Failure::RouteGone)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        written
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
            // Jobs that are acknowledged with `durability: 'relaxed'` may be lost, not where they go.
            session.query(SYNC_COMMIT, &[]).await?;
            session
                .execute(
                    INSERT_ROUTES,
                    &[
                        &columns.numbers,
                        &columns.namespaces,
                        &columns.products,
                        &columns.envs,
                        &columns.targets,
                    ],
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
    numbers: Vec<RouteId>,
    namespaces: Vec<&'static str>,
    products: Vec<Box<str>>,
    envs: Vec<Box<str>>,
    targets: Vec<String>,
}

impl Columns {
    fn of(routes: &[Route]) -> DbResult<Self> {
        let mut columns = Self::default();
        for route in routes {
            let target = target_text(route)?;
            columns.numbers.push(derived_number(route, &target));
            columns.namespaces.push(route.namespace.as_str());
            columns.products.push(route.product.clone());
            columns.envs.push(route.env.clone());
            columns.targets.push(target);
        }
        Ok(columns)
    }

    async fn find(&self, session: &Session) -> DbResult<Vec<Option<RouteRef>>> {
        let rows = session
            .query(
                SELECT_ROUTE_IDS,
                &[&self.namespaces, &self.products, &self.envs, &self.targets],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let (id, mark): (Option<RouteId>, Option<RouteMark>) = (row.try_get(0)?, row.try_get(1)?);
                Ok(id.zip(mark).map(|(id, mark)| RouteRef { id, mark }))
            })
            .collect()
    }
}

fn target_text(route: &Route) -> DbResult<String> {
    Ok(serde_json::to_string(&route.target).map_err(|_| damaged("a route that cannot be written"))?)
}

fn derived_number(route: &Route, target: &str) -> RouteId {
    number_of([route.namespace.as_str(), &route.product, &route.env, target])
}

/// Routes that were added after the one with the mark `after`, or all when that one is gone.
pub(super) async fn after(session: &Session, after: RouteMark) -> DbResult<AddedRoutes> {
    let rows = session.query(SELECT_ROUTES_AFTER, &[&after]).await?;
    let mut added = AddedRoutes::default();
    for row in &rows {
        added.are_all = !row.try_get::<_, bool>(6)?;
        let Some(id) = row.try_get(0)? else { continue };
        let (mark, route) = (row.try_get(5)?, read(row)?);
        if is_number_of(id, &route)? {
            added.routes.push(StoredRoute { id, mark, route });
        }
    }
    Ok(added)
}

/// Whether the number can be that of the route. One that was written by hand to be another's leads nowhere.
fn is_number_of(id: RouteId, route: &Route) -> DbResult<bool> {
    Ok(id.get() < MAX_COUNTED_NUMBER || id == derived_number(route, &target_text(route)?))
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
