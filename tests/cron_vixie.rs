//! Comparison with Vixie cron: its main loop is simulated minute by minute over real clock
//! changes, with a thousand random expressions each.
//!
//! The instants at which something runs are compared. Vixie cron starts a job once for each
//! missed run, all at the same instant; here they are one run. Beyond that there are four classes
//! of differences, each a switch of [`Differences`] and an entry in `docs/cron.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "cron/definition.rs"]
mod definition;
#[path = "cron/random.rs"]
mod random;
#[path = "cron/transitions.rs"]
mod transitions;

use definition::{Definition, date_of_day};
use ductape::cron::{CronExpr, DstPolicy, Zone};
use random::{Random, expression_around};
use transitions::{TRANSITIONS, Transition};

const EXPRESSIONS_PER_TRANSITION: usize = 1_000;
/// The simulated period around a change, in minutes; the length of the change is added.
const MINUTES_BEFORE: i64 = 4 * 60;
const MINUTES_AFTER: i64 = 5 * 60;
const THREE_HOURS_MINUTES: i64 = 180;

/// Known differences from Vixie cron. All `false` is Vixie cron itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Differences {
    /// `stepped-day-star`: `*/2` restricts a day field; Vixie cron checks only the first character.
    stepped_day_star: bool,
    /// `later-star`: `0,*/7` is an interval; Vixie cron checks only the first character.
    later_star: bool,
    /// `short-gap`: a gap under five minutes is a gap; Vixie cron treats it as a late wake-up and
    /// makes up for interval jobs too.
    short_gap: bool,
    /// `long-overlap`: a run is not repeated in an overlap of more than three hours either;
    /// Vixie cron treats such a change as a new calendar and starts over.
    long_overlap: bool,
}

struct Job {
    definition: Definition,
    interval: bool,
    first_day: i64,
    /// Whether the date matches, for each day from `first_day` on.
    days: Vec<bool>,
}

impl Job {
    fn new(text: &str, transition: &Transition, rules: Differences) -> Job {
        let definition = Definition::of(text);
        let first_star = text.split(' ').take(2).any(|field| field.starts_with('*'));
        let day_star: fn(&str) -> bool = match rules.stepped_day_star {
            true => |field| field == "*",
            false => |field| field.starts_with('*'),
        };
        let interval = if rules.later_star {
            definition.interval
        } else {
            first_star
        };
        let first_day = transition.minute().div_euclid(1440) - 4;
        let days = (first_day..first_day + 8)
            .map(|day| definition.date_matches_if(date_of_day(day), day_star))
            .collect();
        Job {
            definition,
            interval,
            first_day,
            days,
        }
    }

    fn matches(&self, local: i64) -> bool {
        let day = local.div_euclid(1440) - self.first_day;
        self.days[day as usize] && self.definition.time_matches(local.rem_euclid(1440) as u32)
    }
}

/// Simulates the loop: once per real minute it compares the wall clock with a virtual clock, the
/// last local minute whose jobs have run, and infers from the distance what has happened.
fn simulate_vixie(job: &Job, transition: &Transition, rules: Differences) -> Vec<i64> {
    let start = transition.minute() - MINUTES_BEFORE;
    let mut runs = Vec::new();
    let mut virtual_clock = transition.local(start - 1);
    for minute in start..last_minute(transition) {
        let wall_clock = transition.local(minute);
        let ahead = wall_clock - virtual_clock;
        let late_wake_up = 2..=if rules.short_gap { 1 } else { 5 };
        let far_back = if rules.long_overlap {
            i64::MIN
        } else {
            -THREE_HOURS_MINUTES
        };
        let mut run = |due: bool| {
            if due {
                runs.push(minute);
            }
        };
        if ahead > far_back && ahead <= 0 {
            // The clock went back: interval jobs follow it, the others have run already.
            run(job.interval && job.matches(wall_clock));
        } else if ahead == 1 || late_wake_up.contains(&ahead) {
            for missed in virtual_clock + 1..=wall_clock {
                run(job.matches(missed));
            }
            virtual_clock = wall_clock;
        } else if ahead > 1 && ahead <= THREE_HOURS_MINUTES {
            // The clock went forward: interval jobs follow it, the others are made up for.
            run(job.interval && job.matches(wall_clock));
            for missed in virtual_clock + 1..=wall_clock {
                run(!job.interval && job.matches(missed));
            }
            virtual_clock = wall_clock;
        } else {
            run(job.matches(wall_clock));
            virtual_clock = wall_clock;
        }
    }
    runs.dedup();
    runs
}

fn last_minute(transition: &Transition) -> i64 {
    let (before, after) = transition.offsets();
    transition.minute() + MINUTES_AFTER + (after - before).abs() / 60
}

fn computed_runs(text: &str, transition: &Transition) -> Vec<i64> {
    let expr = CronExpr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let zone = Zone::get(transition.zone).expect("a known zone");
    let last_minute = last_minute(transition) * 60_000;
    let mut at = (transition.minute() - MINUTES_BEFORE) * 60_000 - 1;
    let mut runs = Vec::new();
    while let Some(next) = expr.next_after(at, &zone, DstPolicy::default()) {
        assert!(next > at, "{text} {}", transition.zone);
        if next >= last_minute {
            break;
        }
        runs.push(next / 60_000);
        at = next;
    }
    runs
}

/// The differences that are possible for this expression and clock change.
fn possible_differences(text: &str, transition: &Transition) -> Differences {
    let fields: Vec<&str> = text.split(' ').collect();
    let (before, after) = transition.offsets();
    let forward = after.div_euclid(60) - before.div_euclid(60);
    let starts = |field: &&str| field.starts_with('*');
    let has_star = |field: &&str| field.split(',').any(|item| item.starts_with('*'));
    Differences {
        stepped_day_star: [fields[2], fields[4]]
            .iter()
            .any(|field| starts(field) && *field != "*"),
        later_star: !fields[..2].iter().any(starts) && fields[..2].iter().any(has_star),
        short_gap: (1..5).contains(&forward),
        long_overlap: forward < -THREE_HOURS_MINUTES,
    }
}

#[test]
fn random_expressions_agree_with_vixie_cron() {
    let mut random = Random(0x1987);
    let mut seen = Differences::default();
    let mut different = 0;
    for transition in &TRANSITIONS {
        for _ in 0..EXPRESSIONS_PER_TRANSITION {
            let text = expression_around(&mut random, transition.hour());
            let rules = Differences::default();
            let runs = computed_runs(&text, transition);
            if runs == simulate_vixie(&Job::new(&text, transition, rules), transition, rules) {
                continue;
            }
            different += 1;
            let possible = possible_differences(&text, transition);
            assert_ne!(
                possible,
                Differences::default(),
                "undocumented difference: {text} {} {}",
                transition.zone,
                transition.at
            );
            let expected = simulate_vixie(&Job::new(&text, transition, possible), transition, possible);
            let wrong = runs
                .iter()
                .zip(&expected)
                .find(|(computed, simulated)| computed != simulated);
            assert!(runs == expected, "{text} {} {possible:?} {wrong:?}", transition.zone);
            seen.stepped_day_star |= possible.stepped_day_star;
            seen.later_star |= possible.later_star;
            seen.short_gap |= possible.short_gap;
            seen.long_overlap |= possible.long_overlap;
        }
    }
    let all = Differences {
        stepped_day_star: true,
        later_star: true,
        short_gap: true,
        long_overlap: true,
    };
    assert_eq!(seen, all, "remove the class of differences that does not occur");
    println!(
        "{different} of {} cases belong to a documented class of differences",
        TRANSITIONS.len() * EXPRESSIONS_PER_TRANSITION
    );
}

#[test]
fn bundled_database_has_the_listed_transitions() {
    for transition in &TRANSITIONS {
        let zone = Zone::get(transition.zone).expect("a known zone");
        let (before, after) = transition.offsets();
        for minute in -3 * 1440..3 * 1440 {
            let offset = i64::from(zone.offset_at((transition.minute() + minute) * 60_000));
            let expected = if minute < 0 { before } else { after };
            assert_eq!(offset, expected, "{} {minute}", transition.zone);
        }
    }
}
