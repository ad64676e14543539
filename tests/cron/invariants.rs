//! Invariants for any text, instant, zone and policy. Shared by the property tests and the fuzz
//! target, which includes this file.

use ductape::cron::{CronExpr, DstPolicy, GapPolicy, OverlapPolicy, Zone};

use crate::definition::Definition;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Instants for which offsets and dates can be computed independently.
const EXACT_CHECK_RANGE_MS: std::ops::Range<i64> = -3_000_000_000 * MINUTE_MS..4_000_000_000 * MINUTE_MS;
/// The latest instant that an ECMAScript date can hold.
const MAX_INSTANT_MS: i64 = 8_640_000_000_000_000;
const MAX_SEARCH_MS: i64 = 42 * 366 * DAY_MS;
/// How many minutes before the result are searched for a match that was skipped.
const LOOKBACK_MINUTES: i64 = 1_500;

/// All combinations of policies.
pub const POLICIES: [DstPolicy; 6] = [
    DstPolicy {
        gap: GapPolicy::After,
        overlap: OverlapPolicy::First,
    },
    DstPolicy {
        gap: GapPolicy::After,
        overlap: OverlapPolicy::Last,
    },
    DstPolicy {
        gap: GapPolicy::After,
        overlap: OverlapPolicy::Both,
    },
    DstPolicy {
        gap: GapPolicy::Skip,
        overlap: OverlapPolicy::First,
    },
    DstPolicy {
        gap: GapPolicy::Skip,
        overlap: OverlapPolicy::Last,
    },
    DstPolicy {
        gap: GapPolicy::Skip,
        overlap: OverlapPolicy::Both,
    },
];

/// Panics if the engine violates an invariant.
pub fn check(text: &str, after: i64, zone: &Zone, dst: DstPolicy) {
    let expr = match CronExpr::parse(text) {
        Ok(expr) => expr,
        Err(error) => {
            assert!(text.is_char_boundary(error.position), "{text:?}: {error}");
            assert!(!error.message.is_empty() && !error.hint.is_empty(), "{text:?}");
            assert!(error.to_string().len() < 300, "{error}");
            return;
        }
    };
    let Some(next) = expr.next_after(after, zone, dst) else {
        // With `Skip` all dates of 41 years may fall into gaps: 02:30 on a fifth Sunday in April
        // under the New York rules of 1946 to 1986.
        let ends = expr.never_matches() || dst.gap == GapPolicy::Skip || after > MAX_INSTANT_MS - MAX_SEARCH_MS;
        assert!(ends, "{text} ends after {after}");
        return;
    };
    let shown = format!("{text} {} {dst:?}: {after} -> {next}", zone.name());
    assert!(
        next > after && next % MINUTE_MS == 0 && !expr.never_matches(),
        "{shown}"
    );
    assert_eq!(expr.next_after(next - 1, zone, dst), Some(next), "{shown}");
    let middle = after + ((next as i128 - after as i128 - 1) / 2) as i64;
    assert_eq!(expr.next_after(middle, zone, dst), Some(next), "{shown} from {middle}");
    if EXACT_CHECK_RANGE_MS.contains(&next) {
        check_matches(&Definition::of(text), after, next, zone, dst, &shown);
    }
}

fn check_matches(definition: &Definition, after: i64, next: i64, zone: &Zone, dst: DstPolicy, shown: &str) {
    let offset = |at: i64| i64::from(zone.offset_at(at)).div_euclid(60);
    let matches = |at: i64| definition.matches(at.div_euclid(MINUTE_MS) + offset(at));
    if !matches(next) {
        let after_gap = !definition.interval && dst.gap == GapPolicy::After;
        assert!(
            after_gap && offset(next) > offset(next - MINUTE_MS),
            "no match: {shown}"
        );
    }
    let mut at = next - MINUTE_MS;
    while at > after && at > next - LOOKBACK_MINUTES * MINUTE_MS {
        // Near a clock change a fixed-time cron may legitimately skip a match.
        let no_change_near = offset(at) == offset(at - DAY_MS) && offset(at) == offset(at + DAY_MS);
        let skipped = matches(at) && (definition.interval || no_change_near);
        assert!(!skipped, "skipped {at}: {shown}");
        at -= MINUTE_MS;
    }
}
