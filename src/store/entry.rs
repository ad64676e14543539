//! Small values with an end: results that caches keep, and what is remembered of sessions.

use crate::clock::Millis;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// A value of a cache: may be dropped before its time when there are too many.
    Cache = 0,
    /// A refresh token or a revocation: stays until its time.
    Session = 1,
}

/// Where an entry is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryKey {
    /// What it is for.
    pub kind: EntryKind,
    /// The cache or the session resource it belongs to.
    pub space: Box<str>,
    /// Its name there.
    pub key: Box<str>,
}

/// A value with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is found.
    pub at: EntryKey,
    /// The value.
    pub value: Box<str>,
    /// From this time on it is not there.
    pub expires: Millis,
}
