//! Keeps the values of secrets out of what is logged, stored as an error or shown: by value, wherever they stand, also inside
//! JSON within JSON.
//!
//! Invariant: what is known here is never written anywhere by this module, and is bounded in number.

use super::escapes::Unescaped;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// Values shorter than this are left: masking them would tear holes into ordinary words.
const MIN_MASKED_CHARS: usize = 8;
/// Values that are remembered; of a source that gives ever new ones, the oldest are forgotten.
const MAX_MASKED_VALUES: usize = 1_000;
/// Levels of JSON within JSON that are looked through.
const MAX_NESTED_LEVELS: usize = 8;
/// What stands in their place.
const MASK_TEXT: &str = "[secret]";

/// Knows the values of secrets.
#[derive(Default)]
pub struct Masker(RwLock<VecDeque<Box<str>>>);

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker")
    }
}

impl Masker {
    /// Remembers a value.
    pub fn add_secret(&self, value: &str) {
        if value.chars().count() < MIN_MASKED_CHARS || self.contains(value) {
            return;
        }
        let mut values = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= MAX_MASKED_VALUES {
            values.pop_front();
        }
        values.push_back(value.into());
    }

    fn contains(&self, value: &str) -> bool {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        values.iter().any(|known| **known == *value)
    }

    /// The text with every known value masked, however often it was escaped as JSON (up to [`MAX_NESTED_LEVELS`] times).
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if values.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut found: Vec<Range<usize>> = occurrences(&values, text).collect();
        let mut levels: Vec<Unescaped> = Vec::new();
        for _ in 0..MAX_NESTED_LEVELS {
            let outer = levels.last().map_or(text, Unescaped::text);
            let Some(inner) = Unescaped::of(outer) else { break };
            levels.push(inner);
            for part in occurrences(&values, levels.last().map_or("", Unescaped::text)) {
                found.push(levels.iter().rev().fold(part, |part, level| level.origin(&part)));
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(replaced(text, found))
    }

    /// A JSON text with every known value masked; it stays JSON, if need be as the mask alone.
    #[must_use]
    pub fn mask_json<'a>(&self, json: &'a str) -> Cow<'a, str> {
        match self.mask(json) {
            // A secret may look like part of a number.
            Cow::Owned(masked) if serde_json::from_str::<serde::de::IgnoredAny>(&masked).is_err() => {
                Cow::Owned(format!("\"{MASK_TEXT}\""))
            }
            masked => masked,
        }
    }
}

/// Where a text has known values.
fn occurrences<'a>(values: &'a VecDeque<Box<str>>, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let of = move |value: &'a str| text.match_indices(value).map(|(at, found)| at..at + found.len());
    values.iter().flat_map(move |value| of(value))
}

/// The text with the mask in place of these parts of it; of parts that overlap nothing is left.
fn replaced(text: &str, mut parts: Vec<Range<usize>>) -> String {
    parts.sort_by_key(|part| part.start);
    let (mut masked, mut end) = (String::with_capacity(text.len()), 0);
    for part in parts {
        if part.start >= end {
            masked.push_str(text.get(end..part.start).unwrap_or_default());
            masked.push_str(MASK_TEXT);
        }
        end = end.max(part.end);
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_wherever_they_stand() {
        let masker = Masker::default();
        masker.add_secret("hunter2-hunter2");
        masker.add_secret("hunter2-hunter2-long");
        masker.add_secret("short");
        masker.add_secret("quo\"te\nline");
        let masked = masker.mask("xhunter2-hunter2x hunter2-hunter2-long short");
        assert_eq!(masked, "x[secret]x [secret] short");
        assert_eq!(masker.mask(r#"{"m":"quo\"te\nline"}"#), r#"{"m":"[secret]"}"#);
        assert!(matches!(masker.mask("nothing here"), Cow::Borrowed(_)));
        masker.add_secret("12345678");
        assert_eq!(masker.mask_json(r#"{"n":"a12345678"}"#), r#"{"n":"a[secret]"}"#);
        assert_eq!(masker.mask_json(r#"{"n":123456789}"#), r#""[secret]""#);
    }

    #[test]
    fn json_within_json_is_masked() {
        let masker = Masker::default();
        let secret = "p\"ä\\ss\n/wörd😀";
        masker.add_secret(secret);
        let mut text = secret.to_owned();
        for level in 0..=MAX_NESTED_LEVELS {
            assert_eq!(masker.mask(&format!("got {text}.")), "got [secret].", "{level}");
            text = serde_json::to_string(&text).unwrap();
            text = text[1..text.len() - 1].to_owned();
        }
        for escaped in [
            r#"p\"\u00e4\\ss\n\/w\u00F6rd\ud83d\ude00"#,
            r#"\u0070\u0022\u00e4\u005c\u0073s\u000a\u002fw\u00F6rd\ud83d\ude00"#,
            r#"p\\\"\\u00e4\\\\ss\\n/w\\u00F6rd😀"#,
            r#"p\"\xe4\\ss\n/w\u{f6}rd\u{1f600}"#,
        ] {
            assert_eq!(masker.mask(escaped), MASK_TEXT, "{escaped}");
            let json = format!(r#"{{"a":"\"{escaped}\"","b":1}}"#);
            assert_eq!(masker.mask_json(&json), r#"{"a":"\"[secret]\"","b":1}"#);
        }
        assert_eq!(masker.mask(r"C:\users\ud83d \u12 \x \"), r"C:\users\ud83d \u12 \x \");
    }

    #[test]
    fn the_number_of_masked_values_is_bounded() {
        let masker = Masker::default();
        for n in 0..2_000 {
            masker.add_secret(&format!("secret number {n}"));
        }
        assert!(masker.0.read().unwrap().len() <= MAX_MASKED_VALUES);
        assert_eq!(masker.mask("secret number 1999"), MASK_TEXT);
    }
}
