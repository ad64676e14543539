//! What a sealed text looks like in a column: the two forms, and what can be told of one without its key.
//!
//! Pure, and knows no cryptography. Invariant: whoever writes to a store through
//! [`SealedStore`](super::sealed::SealedStore) writes no text that only looks sealed; such a text is quoted, which is the
//! sealed form with an empty key id.

use crate::model::JobId;

/// Begins a sealed JSON text.
pub(in crate::store) const JSON_PREFIX: &str = "{\"$sealed\":\"";
/// Ends a sealed JSON text.
pub(in crate::store) const JSON_SUFFIX: &str = "\"}";
/// Begins a sealed text that is no JSON.
pub(in crate::store) const TEXT_PREFIX: &str = "$sealed:";
/// Longest id of a key, bytes.
pub const MAX_KEY_ID_BYTES: usize = 64;
/// What sealing adds to a text before it is written in Base64.
pub(in crate::store) const OVERHEAD_BYTES: usize = 24 + 16;

/// A text in one of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct SealedText<'a> {
    /// The key it was sealed with; empty: it is only quoted.
    pub(in crate::store) key: &'a str,
    /// Base64 without padding, as far as nobody has damaged it.
    pub(in crate::store) encoded: &'a str,
}

impl<'a> SealedText<'a> {
    /// Reads a column. `None`: the text is not sealed.
    pub(in crate::store) fn read(text: &'a str) -> Option<Self> {
        let inner = match text.strip_prefix(JSON_PREFIX) {
            Some(rest) => rest.strip_suffix(JSON_SUFFIX).unwrap_or(rest),
            None => text.strip_prefix(TEXT_PREFIX)?,
        };
        let (key, encoded) = inner.split_once(':')?;
        (key.is_empty() || is_key_id(key)).then_some(Self { key, encoded })
    }

    /// Length of the text that was sealed, bytes.
    pub(in crate::store) fn plain_len(&self) -> usize {
        let bytes = self.encoded.len() * 3 / 4;
        let overhead = if self.key.is_empty() { 0 } else { OVERHEAD_BYTES };
        bytes.saturating_sub(overhead)
    }
}

/// Whether a text begins like a sealed one.
pub(in crate::store) fn looks_sealed(text: &str) -> bool {
    text.starts_with(JSON_PREFIX) || text.starts_with(TEXT_PREFIX)
}

/// Length of a text before it was sealed, if it was: what limits on payloads are about.
pub(in crate::store) fn plain_len(text: &str) -> usize {
    SealedText::read(text).map_or(text.len(), |sealed| sealed.plain_len())
}

/// Whether this can be the id of a key.
#[must_use]
pub fn is_key_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_KEY_ID_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Why a sealed text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// This process does not have the key with this id.
    MissingKey(Box<str>),
    /// The text was changed, or moved from elsewhere, since it was sealed with the key of this id.
    Damaged(Box<str>),
}

impl Unreadable {
    /// JSON text to show in its place.
    pub(in crate::store) fn marker_json(&self) -> Box<str> {
        match self {
            Self::MissingKey(key) => format!("{{\"$encrypted\":\"{key}\"}}").into(),
            Self::Damaged(key) => format!("{{\"$encrypted\":\"{key}\",\"damaged\":true}}").into(),
        }
    }

    /// Text to show in its place.
    pub(in crate::store) fn marker_text(&self) -> Box<str> {
        match self {
            Self::MissingKey(key) => format!("[encrypted: {key}]").into(),
            Self::Damaged(key) => format!("[encrypted: {key}, damaged]").into(),
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MissingKey(key) => write!(
                f,
                "it is encrypted with the key '{key}', which this process does not have; add it to `encryptionKeys`"
            ),
            Self::Damaged(key) => write!(
                f,
                "it is encrypted with the key '{key}' and does not open: the row was changed or moved, or another key \
                 has this id; restore it from a backup, or delete the job"
            ),
        }
    }
}

/// What a sealed text is and where it belongs: bound to it, so that it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Input of a job.
    Input(&'a JobId),
    /// Token of the session of a job.
    Token(&'a JobId),
    /// Result of a run of a job, by the job's number.
    Result(super::JobSeq),
    /// Progress of a job.
    Progress(super::JobSeq),
    /// Line of a job's log.
    LogLine(super::JobSeq),
    /// Result of a step of a job, with its tag.
    Step(super::JobSeq, &'a str),
    /// Message of an error, or the reason of a cancellation: the store copies it from the one to the other, and to events.
    Message,
    /// Stack of an error.
    Stack,
    /// What an error names as its causes.
    Causes,
    /// Value of an entry.
    Entry(&'a super::EntryKey),
    /// Secret of the webhook with this URL.
    WebhookSecret(&'a str),
    /// Last error of the webhook with this id.
    WebhookError(&'a str),
}

impl Field<'_> {
    /// Whether its column holds JSON.
    pub(in crate::store) fn is_json(&self) -> bool {
        matches!(
            self,
            Self::Input(_) | Self::Result(_) | Self::Progress(_) | Self::Step(..)
        )
    }

    /// The bytes that bind a ciphertext to it; no two fields have the same.
    pub(in crate::store) fn binding(&self) -> Vec<u8> {
        match self {
            Self::Input(id) => bind("input", &[id.to_string().as_bytes()]),
            Self::Token(id) => bind("token", &[id.to_string().as_bytes()]),
            Self::Result(job) => bind("result", &[&job.get().to_be_bytes()]),
            Self::Progress(job) => bind("progress", &[&job.get().to_be_bytes()]),
            Self::LogLine(job) => bind("log", &[&job.get().to_be_bytes()]),
            Self::Step(job, tag) => bind("step", &[&job.get().to_be_bytes(), tag.as_bytes()]),
            Self::Message => bind("message", &[]),
            Self::Stack => bind("stack", &[]),
            Self::Causes => bind("causes", &[]),
            Self::Entry(at) => bind("entry", &[&[at.kind as u8], at.space.as_bytes(), at.key.as_bytes()]),
            Self::WebhookSecret(url) => bind("webhook secret", &[url.as_bytes()]),
            Self::WebhookError(id) => bind("webhook error", &[id.as_bytes()]),
        }
    }
}

fn bind(kind: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = kind.as_bytes().to_vec();
    for part in parts {
        bound.push(0);
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EntryKey, EntryKind, JobSeq};

    #[test]
    fn both_forms_are_read_and_nothing_else_is() {
        let sealed = |text| SealedText::read(text).map(|sealed| (sealed.key, sealed.encoded));
        assert_eq!(sealed("{\"$sealed\":\"k1:AAAA\"}"), Some(("k1", "AAAA")));
        assert_eq!(sealed("$sealed:k-1.a_b:AAAA"), Some(("k-1.a_b", "AAAA")));
        assert_eq!(sealed("$sealed::AAAA"), Some(("", "AAAA")));
        for text in [
            "",
            "{}",
            "sealed:k:AAAA",
            "$sealed:",
            "$sealed:no colon",
            "{\"$sealed\":\"a b:AAAA\"}",
        ] {
            assert_eq!(sealed(text), None, "{text}");
        }
        let long = "k".repeat(MAX_KEY_ID_BYTES + 1);
        assert_eq!(sealed(&format!("$sealed:{long}:AAAA")), None);
    }

    #[test]
    fn no_two_fields_are_bound_alike() {
        let (job, id) = (JobSeq::new(7), JobId::Custom("7".into()));
        let entry = |space: &str, key: &str| EntryKey {
            kind: EntryKind::Cache,
            space: space.into(),
            key: key.into(),
        };
        let (one, other) = (entry("a", "bc"), entry("ab", "c"));
        let fields = [
            Field::Input(&id),
            Field::Token(&id),
            Field::Result(job),
            Field::Result(JobSeq::new(8)),
            Field::Progress(job),
            Field::LogLine(job),
            Field::Step(job, ""),
            Field::Step(job, "a"),
            Field::Message,
            Field::Stack,
            Field::Causes,
            Field::Entry(&one),
            Field::Entry(&other),
            Field::WebhookSecret("7"),
            Field::WebhookError("7"),
        ];
        let bindings: std::collections::HashSet<_> = fields.iter().map(Field::binding).collect();
        assert_eq!(bindings.len(), fields.len());
    }
}
