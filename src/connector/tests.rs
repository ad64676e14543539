//! The registry, with connectors that do as they are told.

use super::registry::Usage;
use super::*;
use crate::engine::inputs::ExpressionResolver;
use crate::engine::routing::Pattern;
use crate::engine::{Handler, HandlerFailure, Invocation, Reply};
use crate::error::ErrorCode;
use crate::model::{JobId, Namespace};
use crate::store::Store;
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use async_trait::async_trait;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// What happened to a definition.
#[derive(Default)]
struct CallLog {
    opened: AtomicUsize,
    closed: AtomicUsize,
    answers: Mutex<Vec<Result<Option<Box<str>>, Failure>>>,
    hangs: bool,
}

struct Scripted(Arc<CallLog>);

#[async_trait]
impl Definition for Scripted {
    fn name(&self) -> ResourceName {
        ResourceName {
            product: "p".into(),
            kind: "app",
            tag: "a".into(),
            env: "e".into(),
        }
    }

    fn targets(&self) -> Vec<ServedTarget> {
        let pattern = Pattern {
            namespace: Namespace::Actions,
            product: Some("p".into()),
            env: Some("e".into()),
            target: vec![Some("a".into()), None],
        };
        vec![ServedTarget { pattern, timeout: None }]
    }

    async fn open(&self, _: &ExpressionResolver) -> Result<Arc<dyn Connector>, Failure> {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Scripted(Arc::clone(&self.0))))
    }
}

#[async_trait]
impl Connector for Scripted {
    async fn run(&self, call: &Call<'_>) -> Result<Option<Box<str>>, Failure> {
        assert_eq!(call.idempotency_key(), format!("{}/3", call.attempt.run.id));
        assert_eq!(call.event(), "x");
        let answer = self.0.answers.lock().unwrap().pop();
        answer.unwrap_or(Ok(Some(call.input().into())))
    }

    async fn check(&self) -> Result<(), Failure> {
        if self.0.hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn close(&self) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn registry(log: &Arc<CallLog>) -> Registry {
    let definition: Arc<dyn Definition> = Arc::new(Scripted(Arc::clone(log)));
    Registry::new(vec![definition], &Arc::default(), Limits::default())
}

async fn call(handler: &Arc<dyn Handler>) -> Result<Reply, HandlerFailure> {
    let (reply, answer) = oneshot::channel();
    let attempt = test_support::attempt(Namespace::Actions, ["a", "x"], (JobId::generate(), 3), "{}");
    let attempt = Arc::new(attempt);
    handler.call(Invocation { attempt, reply });
    answer.await.unwrap()
}

fn handler(registry: &Registry) -> (Arc<dyn Store>, Arc<dyn Handler>) {
    let store: Arc<dyn Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let mut targets = registry.targets(&store, &test_support::silent(), None);
    assert!(
        targets
            .iter()
            .all(|target| target.built_in && target.timeout == Some(60_000))
    );
    (store, targets.remove(0).handler)
}

#[tokio::test]
async fn connector_is_opened_once_and_closed_at_the_end() {
    let log = Arc::new(CallLog::default());
    let registry = registry(&log);
    let (_store, handler) = handler(&registry);
    assert_eq!(log.opened.load(Ordering::Relaxed), 0);
    let answers = futures_util::future::join_all((0..20).map(|_| call(&handler))).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Ok(Reply::Done(Some("{}".into()))))
    );
    assert_eq!(log.opened.load(Ordering::Relaxed), 1);
    registry.close().await;
    assert_eq!(log.closed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn unauthorized_reopens_the_connector_and_other_failures_keep_it() {
    let log = Arc::new(CallLog::default());
    let registry = registry(&log);
    let (_store, handler) = handler(&registry);
    let refusals = [Failure::connection("cut"), Failure::unauthorized("wrong password")];
    log.answers.lock().unwrap().extend(refusals.into_iter().map(Err));
    assert_eq!(&*call(&handler).await.unwrap_err().code, "UNAUTHORIZED");
    assert_eq!(&*call(&handler).await.unwrap_err().code, "CONNECTION_ERROR");
    assert!(call(&handler).await.is_ok());
    assert_eq!(log.opened.load(Ordering::Relaxed), 2);
    assert_eq!(log.closed.load(Ordering::Relaxed), 1);
    let checked = registry.check(|_| true, Duration::from_secs(5)).await;
    assert_eq!(checked[0].usage, Usage { calls: 3, failures: 2 });
    assert_eq!(checked[0].failure, None);
}

#[tokio::test]
async fn connector_check_times_out() {
    let log = Arc::new(CallLog {
        hangs: true,
        ..CallLog::default()
    });
    let registry = registry(&log);
    let checked = registry
        .check(|name| &*name.env == "e", Duration::from_millis(20))
        .await;
    assert_eq!(&*checked[0].failure.as_ref().unwrap().code, ErrorCode::Timeout.as_str());
    assert!(registry.check(|_| false, Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn attempts_are_put_off_after_failed_connections_until_one_is_answered() {
    let log = Arc::new(CallLog::default());
    let registry = registry(&log);
    let (_store, handler) = handler(&registry);
    let route = test_support::attempt(Namespace::Actions, ["a", "x"], (JobId::generate(), 1), "{}").route;
    let fail = async |failure: Failure| {
        log.answers.lock().unwrap().push(Err(failure));
        assert!(call(&handler).await.is_err());
    };
    for _ in 0..4 {
        fail(Failure::connection("no connection")).await;
        // It says nothing of the server.
        fail(Failure::invalid("no such member")).await;
        assert_eq!(handler.hold(&route), None);
    }
    fail(Failure::connection("no connection")).await;
    let hold = handler.hold(&route).unwrap();
    assert!(hold > Duration::ZERO && hold <= Duration::from_millis(250), "{hold:?}");
    fail(Failure::invalid("no such member")).await;
    assert!(handler.hold(&route).is_some());
    fail(Failure::unavailable("too many connections")).await;
    assert_eq!(handler.hold(&route), None, "it answered");
}
