//! Inserts without waiting: what only a file has.

use super::test_store_at;
use crate::error::ErrorCode;
use crate::model::Status;
use crate::store::Inserted;
use crate::store::contract::direct::{claim, insert};
use crate::store::contract::test_support::{T0, one_off};

#[tokio::test]
async fn a_claim_that_fails_leaves_its_insert_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let s = test_store_at(&path, Box::new(())).await;
    s.add(one_off("first")).await;
    let instance = s.process().await;
    s.claim(instance, T0).await;
    s.add(one_off("broken")).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    let sql = "PRAGMA foreign_keys = OFF; DELETE FROM jobs WHERE seq = (SELECT max(seq) FROM jobs)";
    other.execute_batch(sql).unwrap();
    let params = claim(&s, instance, 5).await;
    let answers = insert(&s, vec![one_off("a")], Some(params)).unwrap();
    assert_eq!(answers.inserted.await.unwrap().unwrap(), [Inserted::Created]);
    assert_eq!(
        answers.claimed.await.unwrap().unwrap_err().code,
        ErrorCode::StoreCorrupt
    );
    assert_eq!(s.status("a").await, Status::Queued);
}
