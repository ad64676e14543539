//! Attempts and a logger for the tests of connectors.

use crate::engine::spans::AttemptTrace;
use crate::engine::{Attempt, Level, Logger};
use crate::model::{JobId, JobOptions, Namespace, Route};
use crate::store::{ClaimedRun, InstanceId, JobSeq, RouteId, Token};
use std::sync::Arc;

/// The first attempt of a job's run, of product `p` in environment `e`.
pub(in crate::connector) fn attempt(
    namespace: Namespace,
    target: [&str; 2],
    (id, run): (JobId, i64),
    input: &str,
) -> Attempt {
    let run = ClaimedRun {
        job: JobSeq::new(1),
        run,
        attempt: 1,
        crashes: 0,
        token: Token::new(7),
        id,
        route: RouteId::new(1),
        due: 0,
        scheduled_at: 0,
        missed: 0,
        priority: 0,
        retries: 0,
        options: None,
        input: input.into(),
        created: 0,
        recurring: false,
        grace: None,
        unreadable: None,
    };
    let route = Route {
        namespace,
        product: "p".into(),
        env: "e".into(),
        target: target.map(Into::into).into(),
    };
    Attempt {
        run,
        instance: InstanceId::new(1),
        part: None,
        route: Arc::new(route),
        options: JobOptions::default(),
        claims: None,
        started_at: 1_767_225_600_000,
        trace: AttemptTrace::default(),
    }
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &str) {}
}

/// A logger that tells nobody.
pub(in crate::connector) fn silent() -> Arc<dyn Logger> {
    Arc::new(Silent)
}
