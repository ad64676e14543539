//! Whatever plan the server chooses, a claim returns no more than requested, and does not read the whole queue.

use super::super::PostgresStore;
use super::test_support::{Server, claim};
use crate::model::NewJob;
use crate::store::contract::test_support::{T0, one_off, route};
use crate::store::{InsertParams, Store};
use std::time::Instant;

async fn fill(store: &PostgresStore, count: usize, on: &str, priority: i32) {
    for from in (0..count).step_by(2_000) {
        let jobs = (from..count.min(from + 2_000))
            .map(|n| NewJob {
                route: route(on).into(),
                priority,
                ..one_off(&format!("{on}{n}"))
            })
            .collect();
        store
            .insert(InsertParams {
                jobs,
                all_or_nothing: true,
                now: T0,
                since: std::time::Instant::now(),
                replaced: crate::store::begin_anew,
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn claim_respects_its_slots_under_any_query_plan() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("claim_respects_its_slots_under_any_query_plan");
    };
    let schema = server.schema();
    let store = schema.open().await;
    fill(&store, 3_000, "a", 0).await;
    fill(&store, 3_000, "b", 0).await;
    let instance = store.register(60_000, 10).await.unwrap();
    let client = schema.client().await;
    for settings in [
        "enable_seqscan = on, enable_indexscan = off, enable_indexonlyscan = off, enable_bitmapscan = on",
        "enable_seqscan = off, enable_nestloop = off, enable_hashjoin = on, enable_mergejoin = off",
        "enable_seqscan = on, enable_nestloop = off, enable_hashjoin = off, enable_mergejoin = on",
        "enable_seqscan = on, enable_nestloop = on, enable_hashjoin = off, enable_mergejoin = off, enable_material = off",
    ] {
        let set: Vec<String> = settings.split(", ").map(|setting| format!("SET {setting}")).collect();
        let alter = format!(
            "ALTER FUNCTION \"{}\".claim_v2 {} SET plan_cache_mode = force_custom_plan",
            schema.name,
            set.join(" ")
        );
        client.batch_execute(&alter).await.unwrap();
        for slots in [1, 7, 100] {
            let runs = claim(&store, instance, slots).await.unwrap().runs;
            assert_eq!(runs.len(), slots, "{settings}");
            assert!(
                runs.is_sorted_by_key(|run| (run.priority, run.due, run.job)),
                "{settings}"
            );
        }
    }
    store.check_invariants().await;
}

#[tokio::test]
async fn claim_cost_is_independent_of_unserved_rows() {
    let Some(server) = Server::named() else {
        return crate::store::contract::report_skipped("claim_cost_is_independent_of_unserved_rows");
    };
    let schema = server.schema();
    let store = schema.open().await;
    fill(&store, 200, "mine", 5).await;
    let instance = store.register(60_000, 10).await.unwrap();
    let mine: std::sync::Arc<[_]> = super::test_support::served(&store).await;
    let time = async || {
        let params = crate::store::ClaimParams {
            now: T0,
            instance,
            served: mine.clone(),
            group_slots: vec![10],
            slots: 10,
            suspect: false,
            passed_over: Default::default(),
            planner: None,
        };
        let began = Instant::now();
        let runs = store.claim(params).await.unwrap().runs;
        assert_eq!(runs.len(), 10);
        began.elapsed()
    };
    let mut alone = Vec::new();
    for _ in 0..8 {
        alone.push(time().await);
    }
    // Better priority, but not served here. The server's statistics still show empty tables.
    fill(&store, 30_000, "foreign", 0).await;
    let mut beside = Vec::new();
    for _ in 0..8 {
        beside.push(time().await);
    }
    let median = |times: &mut Vec<std::time::Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (alone, beside) = (median(&mut alone), median(&mut beside));
    assert!(
        beside < alone * 5 + std::time::Duration::from_millis(5),
        "{alone:?} alone, {beside:?} beside"
    );
}
