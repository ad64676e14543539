//! Fuzzes the cron parser and the search: the bytes are split into an instant, a zone, a policy
//! and a text, for which the invariants of the property tests must hold.
#![no_main]

#[path = "../../tests/cron/definition.rs"]
mod definition;
#[path = "../../tests/cron/invariants.rs"]
mod invariants;

use ductape::cron::Zone;
use libfuzzer_sys::fuzz_target;

const ZONES: [&str; 10] = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Africa/Casablanca",
    "America/Vancouver",
    "Antarctica/Troll",
    "Pacific/Kwajalein",
];
/// Arbitrary instants are mostly in the very distant future; half of them are reduced to this range.
const NEAR_RANGE_MS: i64 = 300 * 31_556_952_000;

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_at_checked(10) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let [zone, policy, instant @ ..] = head else {
        return;
    };
    let Ok(instant) = <[u8; 8]>::try_from(instant) else {
        return;
    };
    let instant = i64::from_le_bytes(instant);
    let after = if policy & 0x80 == 0 {
        instant % NEAR_RANGE_MS
    } else {
        instant
    };
    let name = ZONES[usize::from(*zone) % ZONES.len()];
    let zone = Zone::get(name).expect("a known zone");
    let policies = invariants::POLICIES;
    let policy = policies[usize::from(*policy & 0x7f) % policies.len()];
    invariants::check(text, after, &zone, policy);
});
