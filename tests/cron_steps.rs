//! Calendar steps against their definition: counted one by one from the start with jiff's calendar and zones.
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

use ductape::cron::{CalendarDuration, CalendarSteps, DstPolicy, GapPolicy, OverlapPolicy, Zone};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use random::Random;
use transitions::TRANSITIONS;

const DAY_MS: i64 = 86_400_000;

/// The steps of `years`, `months`, `weeks` and `days` from `start` on, as long as `instants` are wanted.
fn by_definition(parts: [i64; 4], start: i64, zone: &TimeZone, dst: DstPolicy, until: i64) -> Vec<i64> {
    let [years, months, weeks, days] = parts;
    let local: DateTime = zone.to_datetime(Timestamp::from_millisecond(start).unwrap());
    let mut instants = vec![start];
    for step in 1.. {
        let by_months = local.checked_add((step * (years * 12 + months)).months()).unwrap();
        let date = by_months.checked_add((step * (weeks * 7 + days)).days()).unwrap();
        instants.extend(resolved(date, zone, dst));
        if instants.last().is_some_and(|last| *last > until) {
            return instants;
        }
    }
    unreachable!()
}

fn resolved(local: DateTime, zone: &TimeZone, dst: DstPolicy) -> Vec<i64> {
    let at = |offset: jiff::tz::Offset| offset.to_timestamp(local).unwrap().as_millisecond();
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![at(offset)],
        AmbiguousOffset::Gap { before, after } => {
            let length = after.seconds() - before.seconds();
            let change = zone
                .preceding(Timestamp::from_millisecond(at(before) + 1).unwrap())
                .next();
            let made_up = dst.gap == GapPolicy::After && length < 3 * 3_600;
            made_up
                .then(|| change.unwrap().timestamp().as_millisecond())
                .into_iter()
                .collect()
        }
        AmbiguousOffset::Fold { before, after } => match dst.overlap {
            OverlapPolicy::First => vec![at(before)],
            OverlapPolicy::Last => vec![at(after)],
            OverlapPolicy::Both => vec![at(before), at(after)],
        },
    }
}

fn policy(random: &mut Random) -> DstPolicy {
    DstPolicy {
        gap: *random.pick(&[GapPolicy::After, GapPolicy::Skip]),
        overlap: *random.pick(&[OverlapPolicy::First, OverlapPolicy::Last, OverlapPolicy::Both]),
    }
}

/// Years, months, weeks and days of which at least one is not 0, and their text.
fn duration(random: &mut Random) -> ([i64; 4], String) {
    let mut parts = [(2, 'Y'), (13, 'M'), (5, 'W'), (40, 'D')].map(|(most, unit)| {
        let count = if random.chance(40) { random.between(1, most) } else { 0 };
        (count, unit)
    });
    if parts.iter().all(|(count, _)| *count == 0) {
        parts[3].0 = random.between(1, 3);
    }
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    (parts.map(|(count, _)| count), format!("P{text}"))
}

#[test]
fn steps_match_their_definition_around_every_clock_change() {
    let mut random = Random(19);
    for _ in 0..4_000 {
        // Changes before 1970 have seconds, which tables of whole minutes round.
        let transition = random.pick(&TRANSITIONS[..22]);
        let dst = policy(&mut random);
        let (parts, text) = duration(&mut random);
        let zone = Zone::get(transition.zone).unwrap();
        // Not that of the system, which may be older.
        let theirs = TimeZoneDatabase::bundled().get(transition.zone).unwrap();
        // At a local time near that of the change, up to ten years before.
        let start = transition.minute() * 60_000 + random.between(-180, 180) * 60_000 + random.between(0, 999)
            - random.between(1, 3_650) * DAY_MS;
        let until = transition.minute() * 60_000 + random.between(10, 800) * DAY_MS;
        let expected = by_definition(parts, start, &theirs, dst, until);

        let steps = CalendarSteps::new(CalendarDuration::parse(&text).unwrap(), start, zone, dst);
        let mut next = steps.at_or_after(start);
        for at in &expected {
            assert_eq!(next, Some(*at), "{text} from {start} in {}, {dst:?}", transition.zone);
            next = steps.at_or_after(at + 1);
        }
        // A search from anywhere finds what walking found.
        for _ in 0..10 {
            let from = random.between(start - DAY_MS, until);
            let first = expected.iter().find(|at| **at >= from).copied();
            assert_eq!(
                steps.at_or_after(from),
                first,
                "{text} from {start} at {from} in {}",
                transition.zone
            );
        }
    }
}

#[test]
fn steps_are_strictly_later_for_centuries() {
    let mut random = Random(23);
    for _ in 0..2_000 {
        let transition = random.pick(&TRANSITIONS);
        let zone = Zone::get(transition.zone).unwrap();
        let (_, text) = duration(&mut random);
        let start = random.between(-200 * 365, 200 * 365) * DAY_MS + random.between(0, DAY_MS - 1);
        let dst = policy(&mut random);
        let steps = CalendarSteps::new(CalendarDuration::parse(&text).unwrap(), start, zone, dst);
        let mut at = start + random.between(0, 7_000 * 365) * DAY_MS;
        for _ in 0..20 {
            let next = steps.at_or_after(at + 1).unwrap();
            // No step lies between, and none is passed over: asked a millisecond before, the answer is the same.
            assert!(next > at, "{text} from {start} at {at}");
            assert_eq!(steps.at_or_after(next), Some(next), "{text} from {start} at {at}");
            assert_eq!(steps.at_or_after(next - 1), Some(next), "{text} from {start} at {at}");
            at = next;
        }
    }
}
