//! Comparison with the `cron` crate: random expressions in its form of six fields, in UTC and, with `chrono-tz`, around clock
//! changes. Each [`Difference`] has its reason and an example that pins what either side says; any other fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "cron/random.rs"]
mod random;
#[path = "cron/transitions.rs"]
mod transitions;

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use cron::Schedule;
use ductape::cron::{CronExpr, DstPolicy, GapPolicy, OverlapPolicy, Zone};
use random::{Random, expression, expression_around};
use transitions::{TRANSITIONS, Transition};

const EXPRESSION_COUNT: usize = 10_000;
const EXPRESSIONS_PER_TRANSITION: usize = 300;
const MINUTE_MS: i64 = 60_000;
/// 2090-01-01T00:00Z
const YEAR_2090_MS: i64 = 3_786_912_000_000;
/// 2101-01-01T00:00Z
const YEAR_2101_MS: i64 = 4_133_980_800_000;

/// Where the crate gives other instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// When both day fields are restricted it wants both to match. POSIX, and the cron of every operating system, want either.
    BothDayFields,
    /// It knows the years from 1970 to 2100 only.
    KnownYears,
    /// A fixed time in a gap does not run, and so a daily job misses a day.
    LostInGap,
    /// A fixed time in an overlap runs twice, and so a daily job does.
    TwiceInOverlap,
    /// It goes by the wall clock: in an overlap both 01:00 come before the first 01:15.
    OutOfOrderInOverlap,
    /// Asked within the second pass of an overlap, it names the first pass, which is over.
    PastInOverlap,
    /// Asked late in the first pass of an overlap, it leaves out the second one, and a job of each minute rests for an hour.
    SecondPassLost,
    /// The zone's rules have changed since the data of `chrono-tz` were published; `tests/cron_chrono_tz.rs` has these zones.
    OlderZoneData,
}

use Difference::*;

/// Our expression in the form of the crate: seconds first, and weekdays from 1 for Sunday.
fn six_fields(text: &str) -> String {
    let (rest, weekdays) = text.rsplit_once(' ').expect("five fields");
    let items: Vec<String> = weekdays.split(',').map(weekday_item).collect();
    format!("0 {rest} {}", items.join(","))
}

fn weekday_item(item: &str) -> String {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let shifted = |day: &str| {
        day.parse::<u32>()
            .map_or_else(|_| day.to_owned(), |day| (day % 7 + 1).to_string())
    };
    match range.split_once('-') {
        // A range that ends with Sunday is two.
        Some((first, "7")) => format!("{}-7,1", shifted(first)),
        Some((first, last)) => format!("{}-{}/{step}", shifted(first), shifted(last)),
        None if step == "1" => shifted(range),
        None => format!("{}/{step}", shifted(range)),
    }
}

fn ours(text: &str) -> CronExpr {
    CronExpr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn theirs(text: &str) -> Schedule {
    let six = six_fields(text);
    Schedule::from_str(&six).unwrap_or_else(|error| panic!("{text} as {six}: {error}"))
}

fn in_utc(instant: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(instant).expect("an instant")
}

fn next_in_utc(expr: &CronExpr, after: i64) -> Option<i64> {
    expr.next_after(after, &Zone::utc(), DstPolicy::default())
}

/// Whether only what the crate knows as well is in an expression: no `L`, `W` or `#`.
fn is_common(text: &str) -> bool {
    let fields: Vec<&str> = text.split(' ').collect();
    let last_weekday = |item: &str| item.ends_with('L') && item.starts_with(|first: char| first.is_ascii_digit());
    !fields[2].contains(['L', 'W']) && !fields[4].contains('#') && !fields[4].split(',').any(last_weekday)
}

/// If both day fields are restricted: the expression with either of them open.
fn with_one_day_field(text: &str) -> Option<[CronExpr; 2]> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        panic!("{text}")
    };
    (day != "*" && weekday != "*").then(|| {
        let dates = format!("{minute} {hour} {day} {month} *");
        let weekdays = format!("{minute} {hour} * {month} {weekday}");
        [ours(&dates), ours(&weekdays)]
    })
}

/// The first instant after `after` at which all expressions fire, within the years that the crate knows.
fn next_of_all(expressions: &[CronExpr], after: i64) -> Option<i64> {
    let mut after = after.max(-1);
    loop {
        let instants: Option<Vec<i64>> = expressions.iter().map(|expr| next_in_utc(expr, after)).collect();
        let instants = instants?;
        let latest = *instants.iter().max()?;
        if latest >= YEAR_2101_MS {
            return None;
        }
        if instants.iter().all(|at| *at == latest) {
            return Some(latest);
        }
        after = latest - 1;
    }
}

#[test]
fn random_expressions_agree_in_utc_but_for_day_fields_and_years() {
    let mut random = Random(0xc0de);
    let mut seen = BTreeSet::new();
    let mut agreed = 0;
    for _ in 0..EXPRESSION_COUNT {
        let text = expression(&mut random);
        if !is_common(&text) {
            continue;
        }
        let (expr, schedule) = (ours(&text), theirs(&text));
        let both = with_one_day_field(&text);
        // From 1960 on.
        let mut after = random.between(-10 * 31_556_952_000, YEAR_2090_MS);
        let found = schedule.after(&in_utc(after)).map(|at| at.timestamp_millis());
        for at in found.map(Some).chain([None]).take(5) {
            let expected = next_of_all(both.as_ref().map_or(&[expr], |both| both.as_slice()), after);
            assert_eq!(at, expected, "{text} after {after}");
            match next_in_utc(&expr, after) {
                right if right == at => agreed += 1,
                Some(right) if !(0..YEAR_2101_MS).contains(&right) => _ = seen.insert(KnownYears),
                _ => {
                    assert!(both.is_some(), "{text} after {after}");
                    seen.insert(BothDayFields);
                }
            }
            let Some(at) = at else { break };
            after = at;
        }
    }
    assert!(agreed > 3 * EXPRESSION_COUNT, "{agreed}");
    assert_eq!(seen, BTreeSet::from([BothDayFields, KnownYears]));
}

/// A clock change, with what either side has of its zone.
struct Change {
    transition: &'static Transition,
    zone: Zone,
    tz: Tz,
}

impl Change {
    /// Those since 1970: the crate knows no earlier years.
    fn all() -> impl Iterator<Item = Change> {
        let known = TRANSITIONS.iter().filter(|transition| transition.minute() > 0);
        known.map(|transition| Change {
            transition,
            zone: Zone::get(transition.zone).expect("a zone"),
            tz: transition.zone.parse().expect("a zone"),
        })
    }

    fn is_gap(&self) -> bool {
        let (before, after) = self.transition.offsets();
        after > before
    }

    /// A random expression with times around the change, of which at most one day field is restricted.
    fn expression(&self, random: &mut Random) -> String {
        loop {
            let text = expression_around(random, self.transition.hour());
            if with_one_day_field(&text).is_none() {
                return text;
            }
        }
    }

    fn by_crate<'s>(&self, schedule: &'s Schedule, after: i64) -> impl Iterator<Item = i64> + 's {
        let after = self.tz.timestamp_millis_opt(after).unwrap();
        schedule.after(&after).map(|at| at.timestamp_millis())
    }

    fn next(&self, expr: &CronExpr, after: i64, dst: DstPolicy) -> Option<i64> {
        expr.next_after(after, &self.zone, dst)
    }

    /// What the crate does: the next wall-clock time that matches, at the first instant that shows it.
    fn next_by_wall_clock(&self, expr: &CronExpr, after: i64) -> Option<i64> {
        let mut local = self
            .tz
            .timestamp_millis_opt(after)
            .unwrap()
            .naive_local()
            .and_utc()
            .timestamp_millis();
        loop {
            local = next_in_utc(expr, local)?;
            let shown = self.tz.from_local_datetime(&in_utc(local).naive_utc());
            if let Some(at) = shown.earliest() {
                return Some(at.timestamp_millis());
            }
        }
    }
}

/// Every instant at which the wall clock matches, and no other.
const WALL_CLOCK: DstPolicy = DstPolicy {
    gap: GapPolicy::Skip,
    overlap: OverlapPolicy::Both,
};

#[test]
fn instants_across_a_clock_change_agree_but_for_gaps_and_overlaps() {
    let mut random = Random(0xd57);
    let mut seen = BTreeSet::new();
    let mut agreed = 0;
    for change in Change::all() {
        let (from, end) = [-420, 420]
            .map(|minutes| (change.transition.minute() + minutes) * MINUTE_MS)
            .into();
        for _ in 0..EXPRESSIONS_PER_TRANSITION {
            let text = change.expression(&mut random);
            let (expr, schedule) = (ours(&text), theirs(&text));
            let by_policy = |dst| -> Vec<i64> {
                let next = |at: &i64| change.next(&expr, *at, dst);
                std::iter::successors(next(&(from - 1)), next)
                    .take_while(|at| *at < end)
                    .collect()
            };
            let found: Vec<i64> = change
                .by_crate(&schedule, from - 1)
                .take_while(|at| *at < end)
                .collect();
            let right = by_policy(DstPolicy::default());
            if found == right {
                agreed += 1;
                continue;
            }
            let mut sorted = found.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, by_policy(WALL_CLOCK), "{text} in {}", change.zone.name());
            if found != sorted {
                assert!(!change.is_gap(), "{text} in {}", change.zone.name());
                seen.insert(OutOfOrderInOverlap);
            }
            if sorted != right {
                assert!(!expr.is_interval(), "{text} in {}", change.zone.name());
                seen.insert(if change.is_gap() { LostInGap } else { TwiceInOverlap });
            }
        }
    }
    assert!(agreed > 4_000, "{agreed}");
    assert_eq!(seen, BTreeSet::from([LostInGap, TwiceInOverlap, OutOfOrderInOverlap]));
}

#[test]
fn the_next_instant_near_a_clock_change_is_that_of_the_wall_clock() {
    let mut random = Random(0xd58);
    let mut seen = BTreeSet::new();
    let mut agreed = 0;
    for change in Change::all() {
        for _ in 0..EXPRESSIONS_PER_TRANSITION {
            let text = change.expression(&mut random);
            let after =
                (change.transition.minute() + random.between(-200, 200)) * MINUTE_MS + random.between(0, 59_999);
            let (expr, schedule) = (ours(&text), theirs(&text));
            let found = change.by_crate(&schedule, after).next();
            let context = || format!("{text} after {} in {}", change.zone.to_iso(after), change.zone.name());
            assert_eq!(found, change.next_by_wall_clock(&expr, after), "{}", context());
            let right = change.next(&expr, after, DstPolicy::default());
            let data_differ = [found, right].into_iter().flatten().any(|at| {
                let offset = change.tz.offset_from_utc_datetime(&in_utc(at).naive_utc()).fix();
                offset.local_minus_utc() != change.zone.offset_at(at)
            });
            let difference = match change.is_gap() {
                _ if found == right => {
                    agreed += 1;
                    continue;
                }
                _ if data_differ => OlderZoneData,
                true => LostInGap,
                false if found <= Some(after) => PastInOverlap,
                false if found > right => SecondPassLost,
                false => TwiceInOverlap,
            };
            if difference == LostInGap {
                assert_eq!(found, change.next(&expr, after, WALL_CLOCK), "{}", context());
            }
            seen.insert(difference);
        }
    }
    assert!(agreed > 6_000, "{agreed}");
    assert_eq!(
        seen,
        BTreeSet::from([LostInGap, PastInOverlap, SecondPassLost, OlderZoneData])
    );
}

/// The first instants after a local time in New York, in the crate and here.
fn in_new_york(text: &str, after: &str, count: usize) -> [Vec<String>; 2] {
    let zone = Zone::get("America/New_York").expect("a zone");
    let after = zone.parse_date_time(after).expect("a time");
    let start = Tz::America__New_York.timestamp_millis_opt(after).unwrap();
    let expr = ours(text);
    let next = |at: &i64| expr.next_after(*at, &zone, DstPolicy::default());
    let found: Vec<i64> = theirs(text)
        .after(&start)
        .take(count)
        .map(|at| at.timestamp_millis())
        .collect();
    let right: Vec<i64> = std::iter::successors(next(&after), next).take(count).collect();
    // As 03-09T03:00-04.
    [found, right].map(|instants| {
        instants
            .iter()
            .map(|at| zone.to_iso(*at)[5..].replace(":00-0", "-0").replace(":00", ""))
            .collect()
    })
}

/// The first instants after a time in UTC, in the crate and here.
fn dates_in_utc(text: &str, after: &str, count: usize) -> [Vec<String>; 2] {
    let after = Zone::utc().parse_date_time(after).expect("a time");
    let expr = ours(text);
    let next = |at: &i64| next_in_utc(&expr, *at);
    let found: Vec<i64> = theirs(text)
        .after(&in_utc(after))
        .take(count)
        .map(|at| at.timestamp_millis())
        .collect();
    let right: Vec<i64> = std::iter::successors(next(&after), next).take(count).collect();
    [found, right].map(|instants| {
        instants
            .iter()
            .map(|at| Zone::utc().to_iso(*at)[..10].to_owned())
            .collect()
    })
}

#[test]
fn example_of_both_day_fields() {
    let [found, right] = dates_in_utc("0 0 13 * 5", "2026-01-01", 3);
    assert_eq!(found, ["2026-02-13", "2026-03-13", "2026-11-13"]);
    assert_eq!(right, ["2026-01-02", "2026-01-09", "2026-01-13"]);
}

#[test]
fn example_of_known_years() {
    let [found, right] = dates_in_utc("0 0 29 2 *", "2096-03-01", 1);
    assert_eq!(found, [""; 0]);
    assert_eq!(right, ["2104-02-29"]);
    let [found, right] = dates_in_utc("0 0 1 1 *", "1960-01-01", 1);
    assert_eq!(found, ["1970-01-01"]);
    assert_eq!(right, ["1961-01-01"]);
}

#[test]
fn example_of_lost_in_gap() {
    let [found, right] = in_new_york("30 2 * * *", "2025-03-09T00:00", 2);
    assert_eq!(found, ["03-10T02:30-04", "03-11T02:30-04"]);
    assert_eq!(right, ["03-09T03-04", "03-10T02:30-04"]);
}

#[test]
fn example_of_twice_in_overlap() {
    let [found, right] = in_new_york("30 1 * * *", "2025-11-02T00:00", 2);
    assert_eq!(found, ["11-02T01:30-04", "11-02T01:30-05"]);
    assert_eq!(right, ["11-02T01:30-04", "11-03T01:30-05"]);
}

#[test]
fn example_of_out_of_order_in_overlap() {
    let [found, right] = in_new_york("*/30 * * * *", "2025-11-02T00:30", 4);
    assert_eq!(
        found,
        ["11-02T01-04", "11-02T01-05", "11-02T01:30-04", "11-02T01:30-05"]
    );
    assert_eq!(
        right,
        ["11-02T01-04", "11-02T01:30-04", "11-02T01-05", "11-02T01:30-05"]
    );
}

#[test]
fn example_of_past_in_overlap() {
    let [found, right] = in_new_york("30 1 * * *", "2025-11-02T01:10:00-05:00", 1);
    assert_eq!(found, ["11-02T01:30-04"]);
    assert_eq!(right, ["11-03T01:30-05"]);
}

#[test]
fn example_of_second_pass_lost() {
    let [found, right] = in_new_york("* * * * *", "2025-11-02T01:59:00-04:00", 1);
    assert_eq!(found, ["11-02T02-05"]);
    assert_eq!(right, ["11-02T01-05"]);
}

#[test]
fn example_of_older_zone_data() {
    let noon = ours("0 12 1 12 *");
    let after = Zone::utc().parse_date_time("2026-06-01").expect("a time");
    let start = Tz::America__Vancouver.timestamp_millis_opt(after).unwrap();
    let found = theirs("0 12 1 12 *")
        .after(&start)
        .next()
        .map(|at| at.timestamp_millis());
    let vancouver = Zone::get("America/Vancouver").expect("a zone");
    let right = noon.next_after(after, &vancouver, DstPolicy::default());
    let shown = [found, right].map(|at| Zone::utc().to_iso(at.expect("an instant")));
    assert_eq!(shown, ["2026-12-01T20:00:00+00:00", "2026-12-01T19:00:00+00:00"]);
}

/// Differences in what is written, which the comparisons above translate or leave out: five fields, weekdays from 0 for
/// Sunday, the last day, workdays and the n-th weekday, and `@midnight` are what users of cron write.
#[test]
fn examples_of_what_the_crate_refuses_or_reads_otherwise() {
    for text in ["0 9 * * 1", "@midnight"] {
        assert!(
            CronExpr::parse(text).is_ok() && Schedule::from_str(text).is_err(),
            "{text}"
        );
    }
    for (text, six) in [
        ("0 9 * * 0", "0 0 9 * * 0"),
        ("0 9 L * *", "0 0 9 L * *"),
        ("0 9 15W * *", "0 0 9 15W * *"),
        ("0 9 LW * *", "0 0 9 LW * *"),
        ("0 9 * * 1#2", "0 0 9 * * 1#2"),
        ("0 9 * * 5L", "0 0 9 * * 5L"),
    ] {
        assert!(
            CronExpr::parse(text).is_ok() && Schedule::from_str(six).is_err(),
            "{text}"
        );
    }
    // 1 is Sunday there and Monday here: 2026-01-04 was a Sunday.
    let after = Zone::utc().parse_date_time("2026-01-01").expect("a time");
    let first = Schedule::from_str("0 0 0 * * 1")
        .unwrap()
        .after(&in_utc(after))
        .next()
        .expect("an instant");
    assert_eq!(first.to_rfc3339(), "2026-01-04T00:00:00+00:00");
    let first = next_in_utc(&ours("0 0 * * 1"), after).expect("an instant");
    assert_eq!(Zone::utc().to_iso(first), "2026-01-05T00:00:00+00:00");
    // And it takes what has no sense.
    for (text, six) in [("** * * * *", "0 ** * * * *"), ("0 0 * * monday", "0 0 0 * * monday")] {
        assert!(
            CronExpr::parse(text).is_err() && Schedule::from_str(six).is_ok(),
            "{text}"
        );
    }
}
