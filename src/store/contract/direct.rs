//! Inserts without waiting: what is claimed with them, and who is told. Stores that have no such way pass.

use super::TestStore;
use super::test_support::{T0, one_off};
use crate::error::{ErrorCode, Result};
use crate::model::{JobId, NewJob};
use crate::store::{ClaimParams, Claimed, DirectInsert, Done, InsertParams, Inserted, InstanceId, ServedRoute};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the store says of an insert and of the claim behind it.
pub struct Answers {
    pub inserted: oneshot::Receiver<Result<Vec<Inserted>>>,
    pub claimed: oneshot::Receiver<Result<Claimed>>,
}

/// A claim of the routes that are known.
pub async fn claim(s: &TestStore, instance: InstanceId, slots: usize) -> ClaimParams {
    let served: Arc<[ServedRoute]> = s.served().await;
    ClaimParams {
        now: T0,
        instance,
        served,
        group_slots: vec![usize::MAX],
        slots,
        suspect: false,
        passed_over: Arc::default(),
        planner: None,
    }
}

/// Inserts without waiting; `None`: not in this store.
pub fn insert(s: &TestStore, jobs: Vec<NewJob>, claim: Option<ClaimParams>) -> Option<Answers> {
    let (on_insert, inserted) = oneshot::channel();
    let (on_claim, claimed) = oneshot::channel();
    s.store.direct()?.insert_directly(DirectInsert {
        insert: InsertParams {
            jobs,
            all_or_nothing: false,
            now: T0,
            since: std::time::Instant::now(),
            replaced: crate::store::begin_anew,
        },
        inserted: Box::new(|answer| drop(on_insert.send(answer))),
        claim: claim.map(|params| -> (_, Done<Claimed>) { (params, Box::new(|answer| drop(on_claim.send(answer)))) }),
    });
    Some(Answers { inserted, claimed })
}

/// A job with a generated id, and its input.
fn job(text: &str) -> NewJob {
    NewJob {
        id: JobId::generate(),
        ..one_off(text)
    }
}

fn inputs(claimed: &Claimed) -> Vec<&str> {
    claimed.runs.iter().map(|run| &*run.input).collect()
}

/// A process, in a store that knows the route of `job`.
async fn process(s: &TestStore) -> InstanceId {
    s.add(job("first")).await;
    let instance = s.process().await;
    s.claim(instance, T0).await;
    instance
}

pub async fn a_job_that_is_claimed_with_its_insert_is_no_news(s: &TestStore) {
    let instance = process(s).await;
    let params = claim(s, instance, 5).await;
    let mut changes = s.store.changes();
    changes.mark_unchanged();
    let Some(answers) = insert(s, vec![job("a"), job("b")], Some(params)) else {
        return;
    };
    assert_eq!(
        answers.inserted.await.unwrap().unwrap(),
        [Inserted::Created, Inserted::Created]
    );
    let claimed = answers.claimed.await.unwrap().unwrap();
    assert_eq!(inputs(&claimed), [r#"{"id":"a"}"#, r#"{"id":"b"}"#]);
    assert_eq!(s.store.claims_of(instance).await.unwrap().len(), 3);
    assert!(!changes.has_changed().unwrap());
}

pub async fn what_a_claim_leaves_of_its_insert_is_news(s: &TestStore) {
    let instance = process(s).await;
    let params = claim(s, instance, 1).await;
    let mut changes = s.store.changes();
    changes.mark_unchanged();
    let Some(answers) = insert(s, vec![job("a"), job("b")], Some(params)) else {
        return;
    };
    assert_eq!(answers.claimed.await.unwrap().unwrap().runs.len(), 1);
    changes.changed().await.unwrap();
    insert(s, vec![job("c")], None)
        .unwrap()
        .inserted
        .await
        .unwrap()
        .unwrap();
    changes.changed().await.unwrap();
    assert_eq!(s.claim(instance, T0).await.len(), 2);
}

pub async fn the_best_that_waits_is_claimed_with_an_insert(s: &TestStore) {
    let instance = process(s).await;
    let params = claim(s, instance, 2).await;
    let low = NewJob {
        priority: 9,
        ..job("low")
    };
    s.insert(vec![low, job("old")]).await;
    let Some(answers) = insert(s, vec![job("new")], Some(params)) else {
        return;
    };
    let claimed = answers.claimed.await.unwrap().unwrap();
    assert_eq!(inputs(&claimed), [r#"{"id":"old"}"#, r#"{"id":"new"}"#]);
}

pub async fn a_closed_store_refuses_an_insert_that_nobody_waits_for(s: &TestStore) {
    let instance = process(s).await;
    let params = claim(s, instance, 5).await;
    s.store.close().await.unwrap();
    let Some(answers) = insert(s, vec![job("a")], Some(params)) else {
        return;
    };
    assert_eq!(answers.inserted.await.unwrap().unwrap_err().code, ErrorCode::Closed);
}
