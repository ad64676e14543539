//! Measures the encoding of ids and options. Prints one JSON object: case → ns of CPU time for each.
//!
//! `cargo bench --no-default-features --bench encoding`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use ductape::model::{Concurrency, JobId, JobOptions, RetryPolicy, Unique};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

const ROUNDS: usize = 7;
const ROUND_CPU_TIME: Duration = Duration::from_millis(200);

/// CPU time of this process.
fn process_cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// CPU time of one call, ns: the median of several rounds.
fn nanoseconds_per_call(mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = process_cpu_time();
            let mut calls = 0_u32;
            while process_cpu_time() - start < ROUND_CPU_TIME {
                for _ in 0..256 {
                    call();
                }
                calls += 256;
            }
            (process_cpu_time() - start).as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2].round()
}

/// All options that are stored as JSON, except a session.
fn options() -> JobOptions {
    JobOptions {
        retry: Some(RetryPolicy::default()),
        timeout: Some(30_000),
        tags: vec!["reminders".into(), "weekly".into()],
        unique: Some(Unique {
            key: "user_123".into(),
            period: Some(60_000),
        }),
        concurrency: Some(Concurrency {
            key: "vendor".into(),
            limit: 10,
        }),
        ..JobOptions::default()
    }
}

fn main() {
    let mut figures = BTreeMap::new();
    figures.insert(
        "an id is made",
        nanoseconds_per_call(|| drop(black_box(JobId::generate()))),
    );
    let id = JobId::generate();
    let mut text = String::with_capacity(64);
    figures.insert(
        "an id is written",
        nanoseconds_per_call(|| {
            text.clear();
            black_box(&id).append_to(&mut text);
            black_box(&text);
        }),
    );
    figures.insert(
        "an id is read",
        nanoseconds_per_call(|| drop(black_box(JobId::parse(black_box(&text))))),
    );
    let options = options();
    figures.insert(
        "options are written",
        nanoseconds_per_call(|| drop(black_box(serde_json::to_string(black_box(&options)).unwrap()))),
    );
    let written = serde_json::to_string(&options).unwrap();
    figures.insert(
        "options are read",
        nanoseconds_per_call(|| {
            drop(black_box(
                serde_json::from_str::<JobOptions>(black_box(&written)).unwrap(),
            ))
        }),
    );
    println!("{}", serde_json::to_string_pretty(&figures).unwrap());
}
