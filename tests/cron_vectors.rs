//! The conformance suite: every entry of `tests/cron/vectors.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use ductape::cron::{CronExpr, DstPolicy, Zone};
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let text = include_str!("cron/vectors.json");
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn expression(vector: &Value) -> String {
    if let Some(text) = vector["cron"].as_str() {
        return text.to_owned();
    }
    let piece = vector["cron_repeat"][0].as_str().expect("a piece");
    let times = vector["cron_repeat"][1].as_u64().expect("a count");
    piece.repeat(times as usize) + vector["cron_suffix"].as_str().expect("a suffix")
}

fn instant(text: &str) -> i64 {
    Zone::utc().parse_date_time(text).expect("an instant")
}

#[test]
fn every_vector_fires_at_the_given_instants() {
    let mut tested = 0;
    for vector in vectors().iter().filter(|vector| vector["next"].is_array()) {
        let expr = CronExpr::parse(&expression(vector)).expect("a valid expression");
        let zone = Zone::get(vector["tz"].as_str().expect("a zone")).expect("a known zone");
        let expected: Vec<i64> = vector["next"]
            .as_array()
            .expect("instants")
            .iter()
            .map(|next| instant(next.as_str().expect("an instant")))
            .collect();
        let mut after = instant(vector["from"].as_str().expect("an instant"));
        let mut found = Vec::new();
        while let Some(next) = expr.next_after(after, &zone, DstPolicy::default()) {
            found.push(next);
            after = next;
            if found.len() == 5 {
                break;
            }
        }
        assert_eq!(found, expected, "{vector}");
        assert_eq!(expr.never_matches(), expected.is_empty(), "{vector}");
        tested += 1;
    }
    assert!(tested > 250, "{tested}");
}

#[test]
fn every_invalid_vector_is_refused_with_a_position_and_a_hint() {
    let mut tested = 0;
    for vector in vectors().iter().filter(|vector| vector["cat"] == "error") {
        let text = expression(vector);
        let error = CronExpr::parse(&text).expect_err(&text);
        assert!(error.position <= text.len(), "{error}");
        assert!(text.is_char_boundary(error.position), "{error}");
        assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
        assert!(error.to_string().len() < 250, "{error}");
        tested += 1;
    }
    assert!(tested > 100, "{tested}");
}

#[test]
fn every_unknown_zone_of_the_vectors_is_refused() {
    let mut tested = 0;
    for vector in vectors().iter().filter(|vector| vector["cat"] == "tz-error") {
        let name = vector["tz"].as_str().expect("a name");
        assert!(CronExpr::parse(&expression(vector)).is_ok());
        let error = Zone::get(name).expect_err(name);
        assert_eq!(error.name, name);
        assert!(error.to_string().contains("is not a known time zone"));
        tested += 1;
    }
    assert_eq!(tested, 3);
}
