//! The places of a JSON text that expressions or literals change: strings with a `$`, and `{ "$literal": value }`.
//!
//! It must not know what is put there.

use super::json::{Entries, skip_space, slice, string_end, string_start, value_end};
use memchr::memchr;
use std::borrow::Cow;

/// The key of an object whose value is to be taken verbatim.
pub(super) const LITERAL: &str = "$literal";

/// What becomes of `{ "$literal": value }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Literals {
    /// The value takes its place.
    #[default]
    Unwrapped,
    /// Objects and lists stay marked, for a reader to whom an object may be more than data.
    Marked,
}

impl Literals {
    /// Whether a literal with this value stays as it is.
    pub(super) fn keeps(self, value: &str) -> bool {
        self == Self::Marked && value.starts_with(['{', '['])
    }
}

/// A place that may change.
pub(super) enum Substitution {
    /// A string value with a `$` in it, quotes included.
    Text { start: usize, end: usize },
    /// `{ "$literal": value }`, and the value in it.
    Literal {
        start: usize,
        end: usize,
        inner: (usize, usize),
    },
}

/// The substitutions of a JSON text, in order.
pub(super) fn substitutions(text: &str) -> impl Iterator<Item = Substitution> {
    Substitutions { text, at: 0 }
}

struct Substitutions<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Substitutions<'_> {
    type Item = Substitution;

    fn next(&mut self) -> Option<Substitution> {
        let bytes = self.text.as_bytes();
        loop {
            let dollar = self.at + memchr(b'$', bytes.get(self.at..)?)?;
            // In valid JSON a `$` is always inside a string.
            let start = string_start(self.text, dollar)?;
            let end = string_end(self.text, dollar) + 1;
            self.at = end;
            let after_string = skip_space(self.text, end);
            if bytes.get(after_string) != Some(&b':') {
                return Some(Substitution::Text { start, end });
            }
            if slice(self.text, start + 1, end.saturating_sub(1)) == LITERAL
                && let Some(substitution) = self.literal(start, after_string + 1)
            {
                return Some(substitution);
            }
        }
    }
}

impl Substitutions<'_> {
    /// The literal whose key starts at `key` and whose value follows `after_colon`; `None` if the object has other keys.
    fn literal(&mut self, key: usize, after_colon: usize) -> Option<Substitution> {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..key)?.iter().rposition(|byte| !byte.is_ascii_whitespace())?;
        let value = skip_space(self.text, after_colon);
        let value_end = value_end(self.text, value);
        let close = skip_space(self.text, value_end);
        if bytes.get(before) != Some(&b'{') || bytes.get(close) != Some(&b'}') {
            return None;
        }
        self.at = close + 1;
        Some(Substitution::Literal {
            start: before,
            end: close + 1,
            inner: (value, value_end),
        })
    }
}

/// The value within `{ "$literal": value }`; any other value itself.
#[must_use]
pub fn unwrap_literal(value: &str) -> &str {
    if !value.starts_with('{') {
        return value;
    }
    let mut entries = Entries::of(value);
    match (entries.next(), entries.next()) {
        (Some((LITERAL, inner)), None) => inner,
        _ => value,
    }
}

/// A part of an input with its literals unwrapped, as far as they are.
pub(super) fn without_literal_markers(text: &str, literals: Literals) -> Cow<'_, str> {
    if !text.contains(LITERAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut copied = 0;
    for substitution in substitutions(text) {
        if let Substitution::Literal { start, end, inner } = substitution
            && !literals.keeps(slice(text, inner.0, inner.1))
        {
            out.push_str(slice(text, copied, start));
            out.push_str(slice(text, inner.0, inner.1));
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(slice(text, copied, text.len()));
    Cow::Owned(out)
}
