//! What must hold for any text, instant, zone and policy whatever. Shared by the property tests
//! and the fuzz target, which includes this file.

use ductape::cron::{CronExpr, DstPolicy, Gap, Overlap, Zone};

use crate::definition::Definition;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
/// Within these instants zones can be asked for offsets and dates can be checked.
const CHECKED: std::ops::Range<i64> = -3_000_000_000 * MINUTE..4_000_000_000 * MINUTE;
/// ECMAScript's last instant.
const LATEST: i64 = 8_640_000_000_000_000;
const SEARCHED: i64 = 42 * 366 * DAY;
/// How many minutes before the answer are looked at for a match that was skipped.
const LOOKED_BACK: i64 = 1_500;

/// Every policy there is.
pub const POLICIES: [DstPolicy; 6] = [
    DstPolicy {
        gap: Gap::After,
        overlap: Overlap::First,
    },
    DstPolicy {
        gap: Gap::After,
        overlap: Overlap::Last,
    },
    DstPolicy {
        gap: Gap::After,
        overlap: Overlap::Both,
    },
    DstPolicy {
        gap: Gap::Skip,
        overlap: Overlap::First,
    },
    DstPolicy {
        gap: Gap::Skip,
        overlap: Overlap::Last,
    },
    DstPolicy {
        gap: Gap::Skip,
        overlap: Overlap::Both,
    },
];

/// Panics if the engine breaks a promise.
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
        let ends = expr.never_matches() || dst.gap == Gap::Skip || after > LATEST - SEARCHED;
        assert!(ends, "{text} ends after {after}");
        return;
    };
    let shown = format!("{text} {} {dst:?}: {after} -> {next}", zone.name());
    assert!(next > after && next % MINUTE == 0 && !expr.never_matches(), "{shown}");
    assert_eq!(expr.next_after(next - 1, zone, dst), Some(next), "{shown}");
    let middle = after + ((next as i128 - after as i128 - 1) / 2) as i64;
    assert_eq!(expr.next_after(middle, zone, dst), Some(next), "{shown} from {middle}");
    if CHECKED.contains(&next) {
        check_matches(&Definition::of(text), after, next, zone, dst, &shown);
    }
}

fn check_matches(definition: &Definition, after: i64, next: i64, zone: &Zone, dst: DstPolicy, shown: &str) {
    let offset = |at: i64| i64::from(zone.offset_at(at)).div_euclid(60);
    let matches = |at: i64| definition.matches(at.div_euclid(MINUTE) + offset(at));
    if !matches(next) {
        let made_up = !definition.interval && dst.gap == Gap::After;
        assert!(made_up && offset(next) > offset(next - MINUTE), "no match: {shown}");
    }
    let mut at = next - MINUTE;
    while at > after && at > next - LOOKED_BACK * MINUTE {
        // Near a clock change a fixed-time cron may rightly leave a match out.
        let quiet = offset(at) == offset(at - DAY) && offset(at) == offset(at + DAY);
        let skipped = matches(at) && (definition.interval || quiet);
        assert!(!skipped, "skipped {at}: {shown}");
        at -= MINUTE;
    }
}
