//! Numbers of routes, and versions of series, when the database loses what it has committed, or is emptied or restored under a
//! process.

use super::super::PostgresStore;
use super::test_support::{Schema, Server};
use crate::model::{NewJob, OnConflict, Route};
use crate::store::contract::report_skipped;
use crate::store::contract::test_support::{T0, id, one_off, route, series, step};
use crate::store::{
    ClaimParams, ClaimedRun, InsertParams, Inserted, InstanceId, RouteId, RouteMark, SeriesSnapshot, ServedRoute, Store,
};
use std::sync::Arc;

struct Bench {
    schema: Schema,
    client: tokio_postgres::Client,
}

impl Bench {
    async fn new(test: &str) -> Option<Self> {
        let Some(server) = Server::named() else {
            report_skipped(test);
            return None;
        };
        let schema = server.schema();
        schema.open().await.close().await.unwrap();
        let client = schema.client().await;
        let search = format!("SET search_path TO \"{}\"", schema.name);
        client.batch_execute(&search).await.unwrap();
        Some(Self { schema, client })
    }

    async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// As after the commit that made it was lost.
    async fn lose(&self, name: &str) {
        let target = serde_json::to_string(&route(name).target).unwrap();
        let lose = format!(
            "DELETE FROM jobs WHERE route IN (SELECT id FROM routes WHERE target = '{target}');
             DELETE FROM ready WHERE route IN (SELECT id FROM routes WHERE target = '{target}');
             DELETE FROM counters WHERE route IN (SELECT id FROM routes WHERE target = '{target}');
             DELETE FROM routes WHERE target = '{target}'"
        );
        self.execute(&lose).await;
    }
}

async fn dispatch(store: &PostgresStore, name: &str, to: &str, on_conflict: OnConflict) -> Inserted {
    let job = NewJob {
        route: route(to).into(),
        on_conflict,
        ..one_off(name)
    };
    let params = InsertParams {
        jobs: vec![job],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap().remove(0)
}

async fn routes(store: &PostgresStore) -> Vec<(RouteId, Route)> {
    let known = store.routes_after(RouteMark::default()).await.unwrap();
    known.routes.into_iter().map(|known| (known.id, known.route)).collect()
}

async fn number(store: &PostgresStore, name: &str) -> RouteId {
    let routes = routes(store).await;
    routes.into_iter().find(|(_, known)| *known == route(name)).unwrap().0
}

/// What a worker claims that serves one route.
async fn claim(store: &PostgresStore, of: RouteId) -> Vec<ClaimedRun> {
    let instance = store.register(60_000, 10).await.unwrap();
    let params = ClaimParams {
        now: T0,
        instance,
        served: Arc::new([ServedRoute { route: of, group: 0 }]),
        group_slots: vec![10],
        slots: 10,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await.unwrap().runs
}

fn names(runs: &[ClaimedRun]) -> Vec<String> {
    let mut names: Vec<_> = runs.iter().map(|run| run.id.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_number_that_was_lost_does_not_become_that_of_another_target() {
    let Some(bench) = Bench::new("a_number_that_was_lost_does_not_become_that_of_another_target").await else {
        return;
    };
    let (one, other) = (bench.schema.open().await, bench.schema.open().await);
    dispatch(&one, "lost", "charge_card", OnConflict::Return).await;
    bench.lose("charge_card").await;
    dispatch(&other, "delete", "delete_account", OnConflict::Return).await;
    // The first process still knows the number.
    assert_eq!(
        dispatch(&one, "charge", "charge_card", OnConflict::Return).await,
        Inserted::Created
    );
    let (charge, delete) = (
        number(&other, "charge_card").await,
        number(&other, "delete_account").await,
    );
    assert_ne!(charge, delete);
    assert_eq!(names(&claim(&other, delete).await), ["delete"]);
    assert_eq!(names(&claim(&other, charge).await), ["charge"]);
    other.check_invariants().await;
}

#[tokio::test]
async fn every_way_to_dispatch_finds_out_that_a_route_is_gone() {
    let Some(bench) = Bench::new("every_way_to_dispatch_finds_out_that_a_route_is_gone").await else {
        return;
    };
    let store = bench.schema.open().await;
    dispatch(&store, "known", "a", OnConflict::Return).await;
    dispatch(&store, "other", "b", OnConflict::Return).await;
    bench
        .execute("DELETE FROM jobs WHERE name = 'known'; DELETE FROM ready WHERE job NOT IN (SELECT seq FROM jobs); DELETE FROM routes")
        .await;
    // A job that is replaced goes where the new one goes.
    dispatch(&store, "other", "a", OnConflict::Replace).await;
    let job = NewJob {
        route: route("c").into(),
        ..one_off("stated")
    };
    let statement = store.statement(&job).await.unwrap().unwrap();
    bench.execute("DELETE FROM routes").await;
    let refused = bench
        .client
        .query(&statement.text, &[&statement.value])
        .await
        .unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert!(
        refused.hint().unwrap().contains("make the statement again"),
        "{refused:?}"
    );
    let jobs = ["x", "y"].map(|name| NewJob {
        route: route("a").into(),
        ..one_off(name)
    });
    let params = InsertParams {
        jobs: jobs.to_vec(),
        all_or_nothing: true,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    assert_eq!(
        names(&claim(&store, number(&store, "a").await).await),
        ["other", "x", "y"]
    );
    assert!(store.get(&id("other")).await.unwrap().is_some());
}

#[tokio::test]
async fn numbers_of_older_versions_are_not_taken_for_those_of_another_database() {
    let Some(bench) = Bench::new("numbers_of_older_versions_are_not_taken_for_those_of_another_database").await else {
        return;
    };
    // As a version wrote it that counted: `a` is 1 here, and `b` is 1 in what is restored in its place.
    let row = |target: &str, added: i64| {
        let route = route(target);
        format!(
            "DELETE FROM routes; INSERT INTO routes VALUES (1, '{}', '{}', '{}', '{}', {added})",
            route.namespace.as_str(),
            route.product,
            route.env,
            serde_json::to_string(&route.target).unwrap()
        )
    };
    bench.execute(&row("a", 1_700_000_000_000_001)).await;
    let store = bench.schema.open().await;
    dispatch(&store, "first", "a", OnConflict::Return).await;
    assert_eq!(number(&store, "a").await, RouteId::new(1));
    let known = store.routes_after(RouteMark::default()).await.unwrap();
    let mark = known.routes[0].mark;
    bench.execute(&row("b", 1_700_000_000_000_002)).await;
    // Who has loaded it loads all anew.
    let loaded = store.routes_after(mark).await.unwrap();
    assert!(loaded.are_all);
    assert_eq!(loaded.routes[0].route, route("b"));
    dispatch(&store, "second", "a", OnConflict::Return).await;
    assert_ne!(number(&store, "a").await, RouteId::new(1));
    bench.execute("TRUNCATE routes").await;
    let loaded = store.routes_after(mark).await.unwrap();
    assert!(loaded.are_all && loaded.routes.is_empty());
}

#[tokio::test]
async fn a_number_that_was_written_by_hand_leads_nowhere() {
    let Some(bench) = Bench::new("a_number_that_was_written_by_hand_leads_nowhere").await else {
        return;
    };
    let store = bench.schema.open().await;
    dispatch(&store, "x", "a", OnConflict::Return).await;
    dispatch(&store, "y", "b", OnConflict::Return).await;
    bench
        .execute("UPDATE routes SET id = id - 1 WHERE id = (SELECT min(id) FROM routes)")
        .await;
    assert_eq!(routes(&store).await.len(), 1);
}

async fn due_series(store: &PostgresStore, now: i64) -> SeriesSnapshot {
    let params = ClaimParams {
        now,
        instance: InstanceId::new(0),
        served: Arc::new([]),
        group_slots: vec![],
        slots: 0,
        suspect: false,
        passed_over: Default::default(),
        planner: None,
    };
    store.claim(params).await.unwrap().series.remove(0)
}

#[tokio::test]
async fn an_advance_that_was_computed_from_a_lost_one_does_nothing() {
    let Some(bench) = Bench::new("an_advance_that_was_computed_from_a_lost_one_does_nothing").await else {
        return;
    };
    let store = bench.schema.open().await;
    let job = NewJob {
        due: Some(T0),
        ..series("tick")
    };
    let params = InsertParams {
        jobs: vec![job],
        all_or_nothing: false,
        now: T0,
        since: std::time::Instant::now(),
        replaced: crate::store::begin_anew,
    };
    store.insert(params).await.unwrap();
    let first = due_series(&store, T0).await;
    bench.execute("CREATE TABLE before AS SELECT * FROM series").await;
    assert_eq!(store.advance(T0, vec![step(&first, Some(T0 + 10))]).await.unwrap(), 1);
    let second = due_series(&store, T0 + 10).await;
    // As after the commit of the first advance was lost.
    bench
        .execute("DELETE FROM ready; DELETE FROM occurrences; DELETE FROM counters; DELETE FROM series")
        .await;
    bench.execute("INSERT INTO series SELECT * FROM before").await;
    assert_eq!(store.advance(T0, vec![step(&first, Some(T0 + 20))]).await.unwrap(), 1);
    let late = vec![step(&second, Some(T0 + 20))];
    assert_eq!(store.advance(T0 + 10, late).await.unwrap(), 0);
    let third = due_series(&store, T0 + 20).await;
    assert_eq!((third.next_at, third.runs), (Some(T0 + 20), 1));
    bench.execute("DROP TABLE before").await;
}
