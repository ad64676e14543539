//! Comparison with the `croner` crate: 10,000 random expressions in UTC, five instants each. The
//! only allowed difference is documented in `docs/cron.md` and here: `l-beside-lw`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "cron/random.rs"]
mod random;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use ductape::cron::{CronExpr, DstPolicy, Zone};
use random::{Random, expression};

const EXPRESSION_COUNT: usize = 10_000;
const YEAR_MS: i64 = 31_556_952_000;

#[test]
fn random_expressions_agree_with_croner() {
    let mut random = Random(0x5eed);
    let mut never = 0;
    let mut known_differences = 0;
    for _ in 0..EXPRESSION_COUNT {
        let text = expression(&mut random);
        let expr = CronExpr::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        if has_l_and_lw(&text) {
            known_differences += 1;
            continue;
        }
        let other = croner::Cron::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut after = random.between(-30 * YEAR_MS, 230 * YEAR_MS);
        if expr.never_matches() {
            // croner is slow here: it searches three thousand years.
            never += 1;
            if never % 10 == 0 {
                assert!(next_by_croner(&other, after).is_none(), "{text}");
            }
            continue;
        }
        for _ in 0..5 {
            let ours = expr.next_after(after, &Zone::utc(), DstPolicy::default());
            assert_eq!(ours, next_by_croner(&other, after), "{text} after {after}");
            after = ours.expect("it matches some date");
        }
    }
    assert!(
        never > 0 && known_differences < EXPRESSION_COUNT / 100,
        "{never} {known_differences}"
    );
}

/// `l-beside-lw`: croner treats `L,LW` as `LW`, although the last day and the last workday are
/// two items of one list.
fn has_l_and_lw(text: &str) -> bool {
    let day_field = text.split(' ').nth(2).expect("a day field");
    let has = |item| day_field.split(',').any(|other| other == item);
    has("L") && has("LW")
}

#[test]
fn list_of_l_and_lw_selects_both_days_unlike_croner() {
    // 2026-05-29 is a Friday, 2026-05-31 a Sunday.
    let after = Zone::utc().parse_date_time("2026-05-15").expect("a date");
    let mut at = after;
    let mut ours = Vec::new();
    for _ in 0..2 {
        let expr = CronExpr::parse("0 0 L,LW * *").expect("a valid expression");
        at = expr
            .next_after(at, &Zone::utc(), DstPolicy::default())
            .expect("an instant");
        ours.push(Zone::utc().to_iso(at));
    }
    assert_eq!(ours, ["2026-05-29T00:00:00+00:00", "2026-05-31T00:00:00+00:00"]);
    let other = croner::Cron::from_str("0 0 L,LW * *").expect("a valid expression");
    let first = next_by_croner(&other, after).expect("an instant");
    let second = next_by_croner(&other, first).expect("an instant");
    assert_eq!(Zone::utc().to_iso(second), "2026-06-30T00:00:00+00:00");
}

fn next_by_croner(cron: &croner::Cron, after: i64) -> Option<i64> {
    let after: DateTime<Utc> = DateTime::from_timestamp_millis(after).expect("an instant");
    cron.find_next_occurrence(&after, false)
        .ok()
        .map(|next| next.timestamp_millis())
}
