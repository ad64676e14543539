//! Reading the fields of a JSON object, collecting problems instead of stopping at the first.
//!
//! Values stay the text they came as ([`RawValue`]): a payload is never parsed here, only passed on.

use crate::error::{ErrorCode, Problem};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Largest integer that JavaScript holds exactly; as ms about 285,000 years.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
/// Longest tag, name or label, in characters.
pub const MAX_TAG_CHARS: usize = 255;

/// The entries of a JSON object, in order, with their values unread.
#[derive(Debug, Default)]
pub struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<CowKey<'de>, &'de RawValue>()? {
                    entries.push((key.0, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// A key, borrowed when it has no escapes.
struct CowKey<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for CowKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(KeyVisitor).map(CowKey)
    }
}

/// The object at one path of an input, whose fields are read one by one.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: Entries<'a>,
    prefix: String,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads the object in `text`. `prefix` is its path, empty for the root.
    pub fn read(text: &'a str, prefix: &str) -> Result<Self, Problem> {
        match serde_json::from_str::<Entries<'a>>(text) {
            Ok(entries) => Ok(Self {
                entries,
                prefix: prefix.to_owned(),
                problems: Vec::new(),
            }),
            Err(_) => Err(Problem::new(
                prefix,
                format!("must be an object, got {}", describe(text)),
            )),
        }
    }

    /// The path of a field from the root of the argument.
    pub fn path(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    /// The names of all fields that hold something, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = self.entries.0.iter().filter(|(_, value)| value.get() != "null");
        entries.map(|(key, _)| key.to_string()).collect()
    }

    /// Notes a problem with a field.
    pub fn problem(&mut self, name: &str, message: impl Into<String>) {
        let path = self.path(name);
        self.problems.push(Problem::new(path, message));
    }

    /// Notes a problem of another code than `VALIDATION_ERROR`.
    pub fn problem_of(&mut self, code: ErrorCode, name: &str, message: impl Into<String>) {
        let path = self.path(name);
        self.problems.push(Problem::new(path, message).with_code(code));
    }

    /// The unread value of a field; `null` counts as absent.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.entries.0.iter().rev().find(|(key, _)| key == name)?;
        let text = value.get();
        (text != "null").then_some(text)
    }

    /// Reports every field that is not among `known`, with the nearest one that is.
    pub fn refuse_unknown(&mut self, known: &[&str]) {
        let unknown: Vec<String> = self
            .entries
            .0
            .iter()
            .filter(|(key, _)| !known.contains(&&**key))
            .map(|(key, _)| key.to_string())
            .collect();
        for key in unknown {
            let message = match nearest(&key, known) {
                Some(name) => format!("is not a known option; did you mean `{name}`?"),
                None => format!("is not a known option; known are {}", known.join(", ")),
            };
            self.problem(&truncated(&key), message);
        }
    }

    /// A string, if the field is there and is one.
    pub fn string(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let text = self.raw(name)?;
        match serde_json::from_str::<CowKey<'a>>(text) {
            Ok(value) => Some(value.0),
            Err(_) => {
                self.problem(name, format!("must be a string, got {}", describe(text)));
                None
            }
        }
    }

    /// A string that names something: 1 to 255 characters, none of them a control character.
    pub fn tag(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.string(name)?;
        match tag_problem(&value) {
            None => Some(value),
            Some(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    /// An integer from `min` to `max`.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let text = self.raw(name)?;
        let value = number(text).filter(|value| value.fract() == 0.0 && *value >= min as f64 && *value <= max as f64);
        if value.is_none() {
            self.problem(
                name,
                format!("must be an integer from {min} to {max}, got {}", describe(text)),
            );
        }
        value.map(|value| value as i64)
    }

    /// A number from `min` to `max`.
    pub fn number(&mut self, name: &str, min: f64, max: f64) -> Option<f64> {
        let text = self.raw(name)?;
        let value = number(text).filter(|value| *value >= min && *value <= max);
        if value.is_none() {
            self.problem(
                name,
                format!("must be a number from {min} to {max}, got {}", describe(text)),
            );
        }
        value
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let text = self.raw(name)?;
        let value = serde_json::from_str(text).ok();
        if value.is_none() {
            self.problem(name, format!("must be true or false, got {}", describe(text)));
        }
        value
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.string(name)?;
        let found = words
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, meaning)| *meaning);
        if found.is_none() {
            let list = words
                .iter()
                .map(|(word, _)| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(", ");
            self.problem(name, format!("must be one of {list}, got '{}'", truncated(&value)));
        }
        found
    }

    /// A list of tags, at most `max` of them.
    pub fn tags(&mut self, name: &str, max: usize) -> Option<Vec<Box<str>>> {
        let text = self.raw(name)?;
        let Ok(list) = serde_json::from_str::<Vec<Box<str>>>(text) else {
            self.problem(name, format!("must be a list of strings, got {}", describe(text)));
            return None;
        };
        if list.len() > max {
            self.problem(name, format!("must have at most {max} entries, got {}", list.len()));
        }
        for (index, tag) in list.iter().enumerate() {
            if let Some(message) = tag_problem(tag) {
                self.problem(&format!("{name}[{index}]"), message);
            }
        }
        Some(list)
    }

    /// The object in a field, to be read in turn; its problems must be [taken back](Self::absorb).
    pub fn object(&mut self, name: &str) -> Option<Fields<'a>> {
        let text = self.raw(name)?;
        match Fields::read(text, &self.path(name)) {
            Ok(fields) => Some(fields),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// Adds the problems of an inner object.
    pub fn absorb(&mut self, inner: Fields<'_>) {
        self.problems.extend(inner.problems);
    }
}

/// A JSON number as a float; JavaScript has no other.
pub fn number(text: &str) -> Option<f64> {
    serde_json::from_str::<f64>(text).ok().filter(|value| value.is_finite())
}

/// Why a string cannot name anything, if so.
pub fn tag_problem(value: &str) -> Option<String> {
    let length = value.chars().count();
    if length == 0 {
        Some("must not be empty".to_owned())
    } else if length > MAX_TAG_CHARS {
        Some(format!("must have at most {MAX_TAG_CHARS} characters, got {length}"))
    } else if value.chars().any(char::is_control) {
        Some("must not contain control characters".to_owned())
    } else {
        None
    }
}

/// The entry of `known` that `word` is most likely a misspelling of.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word: String = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let squash = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&squash(&word), &squash(name)), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What kind of value a JSON text is, with the value itself where it is a short number or word.
pub fn describe(text: &str) -> String {
    match text.as_bytes().first() {
        Some(b'"') => "a string".to_owned(),
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b't' | b'f' | b'n') => text.to_owned(),
        Some(_) => format!("the number {}", truncated(text)),
        None => "nothing".to_owned(),
    }
}

/// A value cut to a length an error message can bear.
pub fn truncated(value: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 60;
    if value.chars().count() <= MAX_SHOWN_CHARS {
        value.to_owned()
    } else {
        value.chars().take(MAX_SHOWN_CHARS).chain(['…']).collect()
    }
}
