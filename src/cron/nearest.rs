//! Suggests the known time zone name that a misspelled one most likely meant.
//!
//! Pure; it must not know which names exist. Invariant: work is bounded, because names
//! longer than any real one get no suggestion.

use crate::text::spelling::{distance, simplified};

/// Longer names are not compared: the longest real one has 32 bytes.
const MAX_NAME_BYTES: usize = 48;

/// The candidate nearest to `name` by edit distance, to the whole of it or, as in `newyork`, to
/// its last part; `None` if nothing is near. Case, `_`, `-` and spaces do not count.
pub(super) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = simplified(name);
    // Short names are abbreviations such as `PST`; similar ones mean something else altogether.
    if wanted.len() < 4 || name.len() > MAX_NAME_BYTES {
        return None;
    }
    let allowed = 1 + wanted.len() / 6;
    let distance_to = |candidate: &str| {
        let whole = simplified(candidate);
        let city = candidate.rsplit('/').next().map(simplified).unwrap_or_default();
        distance(&wanted, &whole).min(distance(&wanted, &city))
    };
    candidates
        .map(|candidate| (distance_to(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        // At equal distance, `America/New_York` is more helpful than `EST5EDT`.
        .min_by_key(|(distance, candidate)| (*distance, !candidate.contains('/'), candidate.len()))
        .map(|(_, candidate)| candidate)
}
