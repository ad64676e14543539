//! Measures parsing and the next instant, for this engine and the `croner` crate, and prints one
//! JSON object: library → operation → pattern and zone → nanoseconds. `bench/node/cron/run.mjs`
//! reads it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, Utc};
use ductape::cron::{CronExpr, DstPolicy, Zone};

/// 2025-03-01T00:00Z, and the distance between the instants.
const FIRST_INSTANT_MS: i64 = 1_740_787_200_000;
const INSTANT_STEP_MS: i64 = 37 * 3_600_000 + 61_000;
const INSTANT_COUNT: i64 = 32;
const ROUNDS: usize = 5;
const ROUND_DURATION: Duration = Duration::from_millis(60);

const CASES: [(&str, &str); 7] = [
    ("* * * * *", "UTC"),
    ("* * * * *", "America/New_York"),
    ("0 9 * * 1-5", "America/New_York"),
    ("0 0 L * 5#2", "America/New_York"),
    ("0 0 29 2 *", "UTC"),
    ("0 0 29 2 *", "America/New_York"),
    ("0 0 30 2 *", "UTC"),
];

type Results = BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>;

/// Time of one call, ns: the median of several rounds.
fn nanoseconds_per_call(mut call: impl FnMut(i64)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut calls = 0;
            while start.elapsed() < ROUND_DURATION {
                for index in 0..INSTANT_COUNT {
                    call(FIRST_INSTANT_MS + index * INSTANT_STEP_MS);
                }
                calls += INSTANT_COUNT;
            }
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn main() {
    let mut results = Results::new();
    let mut record = |library: &str, operation: &str, case: String, time: f64| {
        let library = results.entry(library.to_owned()).or_default();
        library.entry(operation.to_owned()).or_default().insert(case, time);
    };
    for (pattern, name) in CASES {
        let case = format!("{pattern} {name}");
        let zone = Zone::get(name).expect("a known zone");
        let dst = DstPolicy::default();
        let parse = nanoseconds_per_call(|_| {
            black_box(CronExpr::parse(black_box(pattern)).expect("valid"));
        });
        record("ductape", "parse", case.clone(), parse);
        let expr = CronExpr::parse(pattern).expect("valid");
        let next = nanoseconds_per_call(|after| {
            black_box(expr.next_after(black_box(after), &zone, dst));
        });
        record("ductape", "next", case.clone(), next);

        let parse = nanoseconds_per_call(|_| {
            black_box(croner::Cron::from_str(black_box(pattern)).expect("valid"));
        });
        record("croner (Rust)", "parse", case.clone(), parse);
        // croner takes its zones from chrono; a fixed offset is the cheapest it can be given.
        let other = croner::Cron::from_str(pattern).expect("valid");
        let offset = FixedOffset::east_opt(zone.offset_at(FIRST_INSTANT_MS)).expect("an offset");
        let next = nanoseconds_per_call(|after| {
            let utc: DateTime<Utc> = DateTime::from_timestamp_millis(after).expect("an instant");
            let _ = black_box(other.find_next_occurrence(&utc.with_timezone(&offset), false));
        });
        record("croner (Rust)", "next", case, next);
    }
    println!("{}", serde_json::to_string(&results).expect("numbers and texts"));
}
