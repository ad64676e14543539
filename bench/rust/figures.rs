//! What it costs to count attempts and dispatches for figures over time, without a store: nanoseconds each.
//!
//! Usage: cargo bench --no-default-features --bench figures
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use ductape::engine::figures::{EndedAttempt, FigureCounts};
use ductape::model::{Namespace, Route, RunOutcome};
use ductape::store::RouteId;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const TIMES: usize = 4_000_000;
const AT: i64 = 1_767_225_600_000;

fn route(n: usize) -> Arc<Route> {
    Arc::new(Route {
        namespace: Namespace::Features,
        product: "shop".into(),
        env: "prd".into(),
        target: vec![format!("report-{n}").into()],
    })
}

/// Nanoseconds for each of `TIMES`, in batches.
fn measure(batch: usize, mut count: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..TIMES / batch {
        count();
    }
    started.elapsed().as_nanos() as f64 / TIMES as f64
}

fn main() {
    let outcome = RunOutcome::Completed { result: None };
    for targets in [1, 10] {
        let routes: Vec<Arc<Route>> = (0..targets).map(route).collect();
        for batch in [1, 100, 400] {
            let counts = FigureCounts::default();
            let attempt = |n: usize| EndedAttempt {
                route: RouteId::new((n % targets) as i64),
                due: AT,
                retries: 0,
                started_at: AT + (n % 3) as i64,
                ended_at: AT + (n % 5) as i64 + 2,
                outcome: &outcome,
            };
            let attempts = measure(batch, || counts.count_attempts(black_box((0..batch).map(attempt))));
            let dispatches = measure(batch, || {
                let made = (0..batch).map(|n| &routes[n % targets]);
                black_box(counts.count_dispatches(AT, black_box(made)));
            });
            println!(
                "{targets} targets, batches of {batch}: an attempt {attempts:.1} ns, a dispatch {dispatches:.1} ns"
            );
        }
    }
}
