//! Job ids: generated ones are `job_` + a UUIDv7, others are the caller's own text.
//!
//! Invariant: the two kinds never collide. A caller's text that spells a generated id *is* that generated id, so an id
//! has one form in every store.

use std::fmt;
use uuid::Uuid;

/// Longest id a caller may choose, in bytes.
pub const MAX_ID_BYTES: usize = 255;

const PREFIX: &str = "job_";

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
        Self::Generated(Uuid::now_v7())
    }

    /// Reads an id; `None` when no job can have it (empty, too long, or with control characters).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(uuid) = text.strip_prefix(PREFIX).and_then(canonical_uuid) {
            return Some(Self::Generated(uuid));
        }
        let printable = !text.is_empty() && text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control);
        printable.then(|| Self::Custom(text.into()))
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
            Self::Generated(uuid) => write!(f, "{PREFIX}{}", uuid.hyphenated()),
            Self::Custom(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_reads_back_as_itself() {
        let id = JobId::generate();
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn another_spelling_of_a_uuid_is_the_callers_own_text() {
        let upper = JobId::generate().to_string().to_uppercase().replace("JOB_", "job_");
        assert!(matches!(JobId::parse(&upper), Some(JobId::Custom(_))));
    }

    #[test]
    fn ids_no_job_can_have_are_refused() {
        for text in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(JobId::parse(text), None, "{text:?}");
        }
    }
}
