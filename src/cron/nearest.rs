//! The known name that a mistyped time zone name most likely meant.
//!
//! Pure text; it must not know which names exist. Invariant: work is bounded, because names
//! longer than any real one get no suggestion.

/// Longer names are not compared: the longest real one has 32 bytes.
const LONGEST: usize = 48;

/// The candidate nearest to `name` by edit distance, to the whole of it or, as in `newyork`, to
/// its last part; `None` if nothing is near. Case, `_`, `-` and spaces do not count.
pub(super) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted = simplified(name);
    // Short names are abbreviations such as `PST`; near ones mean something else altogether.
    if wanted.len() < 4 || name.len() > LONGEST {
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
        // Among equals, `America/New_York` says more than `EST5EDT`.
        .min_by_key(|(distance, candidate)| (*distance, !candidate.contains('/'), candidate.len()))
        .map(|(_, candidate)| candidate)
}

fn simplified(name: &str) -> Vec<u8> {
    name.bytes()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b' '))
        .map(|byte| byte.to_ascii_lowercase())
        .collect()
}

/// How many insertions, deletions and replacements turn one name into the other.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        let cells = row.split_first_mut();
        let Some((first, cells)) = cells else {
            continue;
        };
        *first = previous;
        for (cell, to) in cells.iter_mut().zip(right) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            previous = replaced.min(*cell + 1).min(previous + 1);
            *cell = previous;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_byte_edits() {
        assert_eq!(distance(b"kitten", b"sitting"), 3);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"abc", b""), 3);
        assert_eq!(distance(b"abc", b"abc"), 0);
    }
}
