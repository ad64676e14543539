#![allow(clippy::unwrap_used)]

use super::*;
use crate::api::dispatch::{Defaults, DispatchReader};
use crate::model::Namespace;
use crate::sessions::unauthorized;
use std::sync::atomic::{AtomicUsize, Ordering};

const JOBS: usize = 10_000;

/// Counts checks: each is one signature and at most one read of the store.
#[derive(Default)]
struct CountingChecker {
    checks: AtomicUsize,
    unavailable: bool,
}

#[async_trait]
impl SessionChecker for CountingChecker {
    async fn check(&self, _: &str, session: &Session) -> Result<()> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        if self.unavailable {
            return Err(Error::new(ErrorCode::Timeout, "no answer"));
        }
        if &*session.token == "revoked" {
            return Err(unauthorized("was revoked"));
        }
        Ok(())
    }
}

fn dispatch(token: &str) -> Dispatch {
    let defaults = Defaults {
        product: Some("shop".into()),
        env: Some("test".into()),
        ..Defaults::default()
    };
    let text = format!(r#"{{"tag":"work","input":{{}},"session":"user:{token}"}}"#);
    DispatchReader::new(&defaults, 0)
        .read(Namespace::Features, &text)
        .unwrap()
}

fn singles(tokens: &[&str]) -> Unit {
    let dispatches = tokens.iter().map(|token| dispatch(token));
    Unit::Singles((1..).zip(dispatches).collect())
}

async fn admit_alone(checker: &CountingChecker, unit: Unit) -> Admitted {
    admit_unit(checker, unit, &mut SessionMemo::default()).await
}

#[tokio::test]
async fn one_token_is_checked_once_for_ten_thousand_jobs() {
    for unit in [
        singles(&vec!["good"; JOBS]),
        Unit::List(1, vec![dispatch("good"); JOBS]),
    ] {
        let checker = CountingChecker::default();
        let admitted = admit_alone(&checker, unit).await;
        assert!(admitted.refused.is_empty());
        let passed = match admitted.unit.unwrap() {
            Unit::Singles(dispatches) => dispatches.len(),
            Unit::List(_, dispatches) => dispatches.len(),
        };
        assert_eq!((passed, checker.checks.load(Ordering::Relaxed)), (JOBS, 1));
    }
}

#[tokio::test]
async fn each_token_of_a_batch_has_its_own_answer() {
    let checker = CountingChecker::default();
    let admitted = admit_alone(&checker, singles(&["good", "revoked", "other", "revoked", "good"])).await;
    let refused: Vec<u64> = admitted.refused.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(refused, [2, 4]);
    assert_eq!(admitted.unit.unwrap().tickets(), [1, 3, 5]);
    assert_eq!(checker.checks.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_refused_list_names_the_entry() {
    let checker = CountingChecker::default();
    let unit = Unit::List(7, vec![dispatch("good"), dispatch("revoked")]);
    let admitted = admit_alone(&checker, unit).await;
    assert!(admitted.unit.is_none());
    let (ticket, error) = &admitted.refused[0];
    assert_eq!((*ticket, error.code), (7, ErrorCode::Unauthorized));
    assert_eq!(error.details[0].path, "[1].session.token");
}

#[tokio::test]
async fn a_source_without_an_answer_is_asked_once_for_all_tokens() {
    let checker = CountingChecker {
        unavailable: true,
        ..CountingChecker::default()
    };
    let admitted = admit_alone(&checker, singles(&["a", "b", "c"])).await;
    assert_eq!(admitted.refused.len(), 3);
    assert_eq!(checker.checks.load(Ordering::Relaxed), 1);
}
