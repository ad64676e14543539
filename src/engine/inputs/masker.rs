//! Keeps the values of secrets out of what is logged, stored as an error or shown: by value, wherever they stand.
//!
//! Invariant: what is known here is never written anywhere by this module, and is bounded in number.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

/// Values shorter than this are left: masking them would tear holes into ordinary words.
const MIN_MASKED_CHARS: usize = 8;
/// Values that are remembered; of a source that gives ever new ones, the oldest are forgotten.
const MAX_MASKED_VALUES: usize = 1_000;
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
    /// Remembers a value, and how it looks inside a JSON string.
    pub fn add_secret(&self, value: &str) {
        self.insert(value);
        if let Ok(quoted) = serde_json::to_string(value)
            && let Some(inner) = quoted.get(1..quoted.len().saturating_sub(1))
            && inner != value
        {
            self.insert(inner);
        }
    }

    fn insert(&self, value: &str) {
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

    /// The text with every known value masked.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<&str> = values
            .iter()
            .filter(|value| text.contains(&***value))
            .map(|value| &**value)
            .collect();
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        // A value that is part of another one goes last, so that nothing of the longer one is left.
        found.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let mut masked = text.to_owned();
        for value in found {
            masked = masked.replace(value, MASK_TEXT);
        }
        Cow::Owned(masked)
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
    fn the_number_of_masked_values_is_bounded() {
        let masker = Masker::default();
        for n in 0..2_000 {
            masker.add_secret(&format!("secret number {n}"));
        }
        assert!(masker.0.read().unwrap().len() <= MAX_MASKED_VALUES);
        assert_eq!(masker.mask("secret number 1999"), MASK_TEXT);
    }
}
