//! Job ids: generated ones are `job_` + a UUIDv7, others are the caller's own text.
//!
//! Invariant: the two kinds never collide. A caller's text that spells a generated id *is* that generated id, so an id
//! has one form in every store.

use crate::clock::{Clock, Millis, SystemClock};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Longest id a caller may choose, in bytes.
pub const MAX_ID_BYTES: usize = 255;

const GENERATED_PREFIX: &str = "job_";

/// The public id of a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobId {
    /// Made by this package; ordered by time, 16 bytes in a store.
    Generated(Uuid),
    /// Chosen by the caller: 1 to 255 printable characters.
    Custom(Box<str>),
}

impl JobId {
    /// A fresh id, later than every id generated before it in this process.
    #[must_use]
    pub fn generate() -> Self {
        static SEQUENCE: Mutex<Option<Sequence>> = Mutex::new(None);
        let mut sequence = SEQUENCE.lock().unwrap_or_else(PoisonError::into_inner);
        let id = sequence.get_or_insert_default().next(SystemClock.now(), Uuid::now_v7);
        Self::Generated(id)
    }

    /// Appends the id to a text.
    pub fn append_to(&self, text: &mut String) {
        match self {
            Self::Generated(uuid) => {
                text.push_str(GENERATED_PREFIX);
                text.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            }
            Self::Custom(own) => text.push_str(own),
        }
    }

    /// Reads an id; `None` when no job can have it (empty, too long, or with control characters).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(uuid) = text.strip_prefix(GENERATED_PREFIX).and_then(canonical_uuid) {
            return Some(Self::Generated(uuid));
        }
        let printable = !text.is_empty() && text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control);
        printable.then(|| Self::Custom(text.into()))
    }
}

/// Generated ids in their order. The operating system is asked for randomness once in a millisecond, which is what a
/// fresh UUID costs; the others of the same millisecond follow at distances that nobody outside can foresee.
#[derive(Default)]
struct Sequence {
    last: u128,
    /// The millisecond in which the last fresh one was made.
    millis: Option<Millis>,
    distances: RandomState,
}

/// The random bits of a UUIDv7: twelve above the two of its variant, and 62 below.
const HIGH_RANDOM_BITS: u128 = 0xFFF << 64;
const LOW_RANDOM_BITS: u128 = (1 << 62) - 1;

impl Sequence {
    fn next(&mut self, millis: Millis, fresh: impl FnOnce() -> Uuid) -> Uuid {
        let fresh = if self.millis == Some(millis) {
            0
        } else {
            fresh().as_u128()
        };
        self.millis = Some(millis);
        // After a step back of the clock a fresh one may be earlier.
        self.last = if fresh > self.last {
            fresh
        } else {
            self.next_in_sequence()
        };
        Uuid::from_u128(self.last)
    }

    /// A fresh one leaves its highest random bit clear, so that a carry stays within the random bits.
    fn next_in_sequence(&self) -> u128 {
        let distance = 1 + u128::from(self.distances.hash_one(self.last) >> 32);
        let random = ((self.last & HIGH_RANDOM_BITS) >> 2 | (self.last & LOW_RANDOM_BITS)) + distance;
        (self.last & !(HIGH_RANDOM_BITS | LOW_RANDOM_BITS))
            | (random << 2 & HIGH_RANDOM_BITS)
            | (random & LOW_RANDOM_BITS)
    }
}

/// Only the lower-case hyphenated form counts, so that every id has exactly one spelling.
fn canonical_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generated(uuid) => {
                f.write_str(GENERATED_PREFIX)?;
                f.write_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            Self::Custom(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn generated_id_round_trips() {
        let id = JobId::generate();
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn generated_ids_ascend_and_are_valid_uuid_v7() {
        let mut last = Uuid::nil();
        for _ in 0..10_000 {
            let JobId::Generated(id) = JobId::generate() else {
                unreachable!()
            };
            assert!(id > last, "{id} after {last}");
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            last = id;
        }
    }

    #[test]
    fn ids_ascend_across_clock_steps_and_low_bit_overflow() {
        let at = |text: &str| Uuid::parse_str(text).unwrap();
        let mut sequence = Sequence::default();
        let full = at("01890000-0000-7abc-bfff-ffffffffffff");
        assert_eq!(sequence.next(5, || full), full);
        let after = sequence.next(5, || unreachable!());
        assert!(after > full);
        assert_eq!(after.to_string().get(..20), Some("01890000-0000-7abd-8"), "{after}");
        let earlier = at("01880000-0000-7000-8000-000000000000");
        assert!(sequence.next(4, || earlier) > after);
    }

    #[test]
    fn other_spellings_of_a_uuid_are_custom_ids() {
        let upper = JobId::generate().to_string().to_uppercase().replace("JOB_", "job_");
        assert!(matches!(JobId::parse(&upper), Some(JobId::Custom(_))));
    }

    #[test]
    fn invalid_ids_are_refused() {
        for text in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(JobId::parse(text), None, "{text:?}");
        }
    }
}
