//! Properties of every expression: results are later than the argument, strictly increasing, on
//! whole minutes, and no match is skipped. Every policy is compared with its definition around
//! every kind of clock change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "cron/definition.rs"]
mod definition;
#[path = "cron/invariants.rs"]
mod invariants;
#[path = "cron/random.rs"]
mod random;
#[path = "cron/transitions.rs"]
mod transitions;

use std::time::{Duration, Instant};

use definition::{Definition, date_of_day};
use ductape::cron::{CronExpr, DstPolicy, GapPolicy, OverlapPolicy, Zone};
use invariants::{POLICIES, check};
use random::{Random, expression, expression_around};
use transitions::{TRANSITIONS, Transition};

const MINUTE_MS: i64 = 60_000;
const YEAR_MS: i64 = 31_556_952_000;

fn zone(transition: &Transition) -> Zone {
    Zone::get(transition.zone).expect("a known zone")
}

#[test]
fn no_match_is_skipped_in_two_years() {
    let mut random = Random(7);
    for _ in 0..300 {
        let text = expression(&mut random);
        let (expr, definition) = (CronExpr::parse(&text).expect(&text), Definition::of(&text));
        // From some day between 1990 and 2050.
        let first = random.between(20 * 365, 80 * 365);
        let mut at = first * 1440 * MINUTE_MS - 1;
        for day in (first..first + 730).filter(|day| definition.date_matches(date_of_day(*day))) {
            for minute in (0..1440).filter(|minute| definition.time_matches(*minute)) {
                let expected = (day * 1440 + i64::from(minute)) * MINUTE_MS;
                let next = expr.next_after(at, &Zone::utc(), DstPolicy::default());
                assert_eq!(next, Some(expected), "{text} after {at}");
                at = expected;
            }
        }
        let next = expr.next_after(at, &Zone::utc(), DstPolicy::default());
        assert!(
            next.is_none_or(|next| next >= (first + 730) * 1440 * MINUTE_MS),
            "{text}"
        );
    }
}

/// The minutes at which an expression fires around a clock change, straight from the definition
/// of the policy: each minute is decided by itself, knowing the whole transition.
fn instants_by_definition(text: &str, transition: &Transition, dst: DstPolicy) -> Vec<i64> {
    let definition = Definition::of(text);
    let change = transition.minute();
    let (last, first) = (transition.local(change - 1), transition.local(change));
    let forward = first - last - 1;
    let back = -forward;
    let fires = |minute: &i64| {
        let local = transition.local(*minute);
        let shown_twice = (first..=last).contains(&local);
        let eligible = match dst.overlap {
            _ if definition.interval || !shown_twice => true,
            OverlapPolicy::First => *minute < change,
            OverlapPolicy::Last => *minute >= change,
            OverlapPolicy::Both => true,
        };
        let after_gap = !definition.interval
            && dst.gap == GapPolicy::After
            && *minute == change
            && (1..180).contains(&forward)
            && (last + 1..first).any(|missed| definition.matches(missed));
        after_gap || (eligible && definition.matches(local))
    };
    (change - 300 - back.max(0)..change + 300 + back.max(0))
        .filter(fires)
        .collect()
}

#[test]
fn every_dst_policy_matches_its_definition_at_every_clock_change() {
    let mut random = Random(11);
    for transition in &TRANSITIONS {
        for index in 0..300 {
            let text = expression_around(&mut random, transition.hour());
            let dst = POLICIES[index % POLICIES.len()];
            let expr = CronExpr::parse(&text).expect(&text);
            let expected = instants_by_definition(&text, transition, dst);
            let (before, after) = transition.offsets();
            let reach = 300 + ((before - after) / 60).max(0);
            let mut at = (transition.minute() - reach) * MINUTE_MS - 1;
            let mut found = Vec::new();
            while let Some(next) = expr.next_after(at, &zone(transition), dst) {
                if next >= (transition.minute() + reach) * MINUTE_MS {
                    break;
                }
                found.push(next / MINUTE_MS);
                at = next;
            }
            let wrong = found.iter().zip(&expected).find(|(left, right)| left != right);
            assert!(found == expected, "{text} {} {dst:?} {wrong:?}", transition.zone);
        }
    }
}

fn check_random_cases(random: &mut Random) {
    let transition = random.pick(&TRANSITIONS);
    let (text, after) = match random.chance(50) {
        true => {
            let near = (transition.minute() + random.between(-3_000, 3_000)) * MINUTE_MS;
            (expression_around(random, transition.hour()), near)
        }
        false => (expression(random), random.between(-100 * YEAR_MS, 5_000 * YEAR_MS)),
    };
    let dst = *random.pick(&POLICIES);
    check(&text, after + random.between(0, MINUTE_MS - 1), &zone(transition), dst);
}

#[test]
fn invariants_hold_for_random_cases() {
    let mut random = Random(13);
    for _ in 0..1_500 {
        check_random_cases(&mut random);
    }
}

/// Runs for `DUCTAPE_LONG_SECONDS`, 300 by default, with a new seed, which is printed.
#[test]
#[ignore = "takes minutes"]
fn invariants_hold_in_a_long_run() {
    let seconds = std::env::var("DUCTAPE_LONG_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(300));
    let seed = std::process::id().into();
    let mut random = Random(seed);
    let mut cases = 0_u64;
    println!("seed {seed}");
    while Instant::now() < end {
        check_random_cases(&mut random);
        cases += 1;
    }
    println!("{cases} cases");
}

#[test]
fn mangled_expressions_parse_or_fail_without_panic() {
    let pieces = [
        "*",
        "/",
        "-",
        ",",
        "#",
        "L",
        "W",
        "?",
        "1",
        "59",
        "7",
        "0",
        "MON",
        "sun",
        "JAN",
        " ",
        "\t",
        "@daily",
        "é",
        "\n",
        "H",
        "99999999999",
    ];
    let mut random = Random(17);
    for _ in 0..20_000 {
        let mut text = expression(&mut random);
        for _ in 0..random.between(1, 3) {
            let at = random.between(0, text.len() as i64) as usize;
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).expect("0 is one");
            text.insert_str(at, random.pick::<&str>(&pieces));
        }
        if let Ok(expr) = CronExpr::parse(&text) {
            let definition = Definition::of(&text);
            assert_eq!(expr.is_interval(), definition.interval, "{text}");
            let day = random.between(0, 30_000);
            let from = day * 1440 * MINUTE_MS - 1;
            let next = expr.next_after(from, &Zone::utc(), DstPolicy::default());
            let today = definition.date_matches(date_of_day(day));
            let found = next.is_some_and(|next| next < (day + 1) * 1440 * MINUTE_MS);
            assert_eq!(found, today, "{text} on day {day}");
        }
    }
}

#[test]
fn extreme_instants_are_handled() {
    let latest = 8_640_000_000_000_000;
    let every_minute = CronExpr::parse("* * * * *").expect("valid");
    let lord_howe = Zone::get("Australia/Lord_Howe").expect("a known zone");
    for zone in [Zone::utc(), lord_howe] {
        let next = |after| every_minute.next_after(after, &zone, DstPolicy::default());
        assert_eq!(next(i64::MIN), Some(-latest));
        assert_eq!(next(-latest - 1), Some(-latest));
        assert_eq!(next(-latest), Some(-latest + MINUTE_MS));
        assert_eq!(next(latest - 1), Some(latest));
        assert_eq!(next(latest), None);
        assert_eq!(next(i64::MAX), None);
    }
    let daily = CronExpr::parse("0 0 29 2 1#5").expect("valid");
    assert_eq!(
        daily.next_after(latest - YEAR_MS / 1_000, &Zone::utc(), DstPolicy::default()),
        None
    );
}

#[test]
fn impossible_dates_never_match_and_rare_dates_are_found() {
    for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31W 2 *", "0 0 30,31 FEB *"] {
        let expr = CronExpr::parse(text).expect(text);
        assert!(expr.never_matches(), "{text}");
        assert_eq!(expr.next_after(0, &Zone::utc(), DstPolicy::default()), None);
    }
    // The longest possible wait: between 2072 and 2112 no 29 February is a Monday.
    let expr = CronExpr::parse("0 0 * 2 1#5").expect("valid");
    let after = Zone::utc().parse_date_time("2072-02-29T00:00Z").expect("an instant");
    let next = expr.next_after(after, &Zone::utc(), DstPolicy::default());
    assert_eq!(
        next.map(|at| Zone::utc().to_iso(at)).as_deref(),
        Some("2112-02-29T00:00:00+00:00")
    );
}

#[test]
fn cron_expr_is_small_and_copy() {
    fn copied<T: Copy + Send + Sync>() -> usize {
        size_of::<T>()
    }
    assert!(copied::<CronExpr>() <= 56 && copied::<Zone>() == size_of::<usize>());
}
