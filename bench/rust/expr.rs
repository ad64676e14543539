//! Measures how many inputs one core resolves, and prints one JSON object: case → inputs a second.
//!
//! `cargo bench --no-default-features --bench expr`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use ductape::cron::Zone;
use ductape::expr::{Claims, Limits, Scope, SecretValues, Variables, check, resolve};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

const ROUNDS: usize = 7;
const ROUND_CPU_TIME: Duration = Duration::from_millis(200);

struct NoSecrets;

impl SecretValues for NoSecrets {
    fn value_of(&self, _key: &str) -> Result<&str, String> {
        Err("there are none".into())
    }
}

/// CPU time of this process.
fn process_cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Calls per second of CPU time: the median of several rounds.
fn calls_per_second(mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = process_cpu_time();
            let mut calls = 0_u32;
            while process_cpu_time() - start < ROUND_CPU_TIME {
                for _ in 0..64 {
                    call();
                }
                calls += 64;
            }
            f64::from(calls) / (process_cpu_time() - start).as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2].round()
}

/// Ten expressions in about 2 KB of JSON.
fn input(with_expressions: bool) -> String {
    let expressions = [
        "$Session{user}{email}",
        "$DateAdd($Now(), -30, 'days')",
        "Hello $Input{customer}{name}, your order $Input{order.id} is on its way",
        "$Dateformat($Now(), 'YYYY-MM-DD')",
        "$Uppercase($Substring($Input{customer}{name}, 0, 3))",
        "$Add($Length{$Input{order}{lines}}, 1)",
        "$Pick($Split($Session{user}{email}, '@'), 1)",
        "$Concat([$Input{order}{id}, $Var(attempt)], '-')",
        "$Find($Input{order}{lines}, >, 2)",
    ];
    let fields: Vec<String> = expressions
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let text = if with_expressions {
                (*text).to_owned()
            } else {
                text.replace('$', "#")
            };
            format!(r#""field{index}":{}"#, serde_json::to_string(&text).unwrap())
        })
        .collect();
    let filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(22);
    format!(
        r#"{{"customer":{{"name":"Ann Example"}},"order":{{"id":"o-4711","lines":[1,2,3]}},{},"note":"{filler}"}}"#,
        fields.join(",")
    )
}

fn main() {
    let scope = Scope {
        now: 1_773_583_509_007,
        zone: Zone::utc(),
        claims: Claims::Known(r#"{"user":{"id":"u1","email":"ann@example.com"}}"#),
        variables: Variables {
            execution_count: 0,
            attempt: 1,
            job_id: "job_1",
            scheduled_at: 0,
            product: "shop",
            env: "prd",
        },
        secrets: &NoSecrets,
        feature: None,
    };
    let limits = Limits::default();
    let (with, without) = (input(true), input(false));
    assert_eq!(check(&with, &limits).map(|uses| uses.expressions), Ok(10));
    let mut results = BTreeMap::new();
    results.insert(
        format!("resolve {} bytes with 10 expressions", with.len()),
        calls_per_second(|| {
            black_box(resolve(black_box(&with), &scope, &limits).expect("resolves"));
        }),
    );
    results.insert(
        format!("check {} bytes with 10 expressions", with.len()),
        calls_per_second(|| {
            black_box(check(black_box(&with), &limits).expect("is well formed"));
        }),
    );
    results.insert(
        format!("resolve {} bytes without a dollar", without.len()),
        calls_per_second(|| {
            black_box(resolve(black_box(&without), &scope, &limits).expect("resolves"));
        }),
    );
    println!("{}", serde_json::to_string(&results).expect("numbers and texts"));
}
