//! Reading the fields of a JSON object, collecting problems instead of stopping at the first.
//!
//! Values stay the text they came as ([`Object`]): a payload is never parsed here, only passed on.

use crate::error::{ErrorCode, Problem};
use crate::text::json::{self, Object};
pub use crate::text::spelling::{nearest, truncated};
use crate::text::visible::is_invisible_control;
use std::borrow::Cow;

/// Largest integer that JavaScript holds exactly; as ms about 285,000 years.
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
/// Longest tag, name or label, in characters.
pub const MAX_TAG_CHARS: usize = 255;

/// The object at one path of an input, being read.
#[derive(Debug)]
pub struct Fields<'a> {
    object: Object<'a>,
    prefix: String,
    /// Fields that were given by another name, which problems with them go by.
    renamed: Vec<(&'static str, &'static str)>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Reads the object in `text`. `prefix` is its path, empty for the root.
    pub fn read(text: &'a str, prefix: &str) -> Result<Self, Problem> {
        match Object::read(text) {
            Some(object) => Ok(Self {
                object,
                prefix: prefix.to_owned(),
                renamed: Vec::new(),
                problems: Vec::new(),
            }),
            None => Err(Problem::new(
                prefix,
                format!("must be an object, got {}", describe(text)),
            )),
        }
    }

    /// The path of a field from the root of the argument.
    pub fn path(&self, name: &str) -> String {
        let given = self.renamed.iter().find(|(known, _)| *known == name);
        let name = given.map_or(name, |(_, given)| given);
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    /// The path of the object from the root of the argument.
    pub fn own_path(&self) -> &str {
        &self.prefix
    }

    /// The names of all fields that hold something, in order.
    pub fn names(&self) -> Vec<String> {
        let present = self.object.iter().filter(|(_, json)| *json != "null");
        present.map(|(name, _)| name.to_owned()).collect()
    }

    /// Notes a problem with a field.
    pub fn problem(&mut self, name: &str, message: impl Into<String>) {
        let path = self.path(name);
        self.problems.push(Problem::new(path, message));
    }

    /// Notes a problem with the object itself.
    pub fn own_problem(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::new(self.prefix.clone(), message));
    }

    /// Notes a problem of another code than `VALIDATION_ERROR`.
    pub fn problem_of(&mut self, code: ErrorCode, name: &str, message: impl Into<String>) {
        let path = self.path(name);
        self.problems.push(Problem::new(path, message).with_code(code));
    }

    /// The unread value of a field; `null` counts as absent.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.object.get_present(name)
    }

    /// Whether the caller wrote the field, be it as `null`.
    pub fn is_written(&self, name: &str) -> bool {
        self.object.get(name).is_some()
    }

    /// Takes fields by the other names that they may have: pairs of one and the name of the field.
    pub fn take_aliases(&mut self, aliases: &[(&'static str, &'static str)]) {
        for (alias, name) in aliases {
            if self.raw(alias).is_none() {
                continue;
            }
            if self.raw(name).is_some() {
                let given = self.renamed.iter().find(|(known, _)| known == name);
                let other = given.map_or(*name, |(_, given)| given);
                self.problem(alias, format!("is the same as `{other}`; give one of them"));
                self.object.remove(alias);
                continue;
            }
            self.object.rename(alias, name);
            self.renamed.push((name, alias));
        }
    }

    /// Whether a field is there and `null`.
    pub fn is_null(&self, name: &str) -> bool {
        self.object.get(name) == Some("null")
    }

    /// Reports every field that is not among `known`, with the nearest one that is.
    pub fn refuse_unknown(&mut self, known: &[&str]) {
        self.refuse_unknown_with(known, |_| None);
    }

    /// The same; `remedy` says what to do about an unknown one, in place of what is near or known.
    pub fn refuse_unknown_with(&mut self, known: &[&str], remedy: impl Fn(&str) -> Option<&'static str>) {
        let names = self.object.iter().map(|(name, _)| name);
        let unknown: Vec<String> = names.filter(|name| !known.contains(name)).map(str::to_owned).collect();
        for key in unknown {
            let message = match (remedy(&key), nearest(&key, known)) {
                (Some(remedy), _) => format!("is not a known option; {remedy}"),
                (None, Some(name)) => format!("is not a known option; did you mean `{name}`?"),
                (None, None) => format!("is not a known option; known are {}", known.join(", ")),
            };
            self.problem(&truncated(&key), message);
        }
    }

    /// A string, if the field is there and is one.
    pub fn string(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let text = self.raw(name)?;
        match json::string(text) {
            Some(value) => Some(value),
            None => {
                self.problem(name, format!("must be a string, got {}", describe(text)));
                None
            }
        }
    }

    /// A string that names something: 1 to 255 characters, none of them [invisible](is_invisible_control).
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

    /// The type of a server or provider, in any case. One that is not known is answered with those that are.
    pub fn server_type<T: Copy>(
        &mut self,
        name: &str,
        types: &[(&str, T)],
        is_built_in: impl Fn(T) -> bool,
    ) -> Option<T> {
        let value = match self.raw(name) {
            None => None,
            Some(_) => Some(self.string(name)?),
        };
        let found = types
            .iter()
            .find(|(word, _)| value.as_ref().is_some_and(|value| word.eq_ignore_ascii_case(value)));
        if let Some((_, found)) = found {
            return Some(*found);
        }
        let list = |wanted: bool| {
            let words = types.iter().filter(|(_, found)| is_built_in(*found) == wanted);
            words
                .map(|(word, _)| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut message = match &value {
            None => "is missing".to_owned(),
            Some(value) => {
                let words: Vec<&str> = types.iter().map(|(word, _)| *word).collect();
                let near = nearest(value, &words).map(|near| format!(", did you mean '{near}'?"));
                format!("'{}' is not known{}", truncated(value), near.unwrap_or_default())
            }
        };
        let (built_in, others) = (list(true), list(false));
        if !built_in.is_empty() {
            message.push_str(&format!("; built in are {built_in}"));
        }
        if !others.is_empty() {
            message.push_str(&format!("; known, and left to handlers, are {others}"));
        }
        self.problem(name, message);
        None
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
    } else if value.contains(is_invisible_control) {
        Some("must not contain control characters, line separators or marks of text direction".to_owned())
    } else {
        None
    }
}

/// What kind of value a JSON text is, with the value itself where it is a short number or word.
pub fn describe(text: &str) -> String {
    match text.as_bytes().first() {
        // The only string of JSON that is no text.
        Some(b'"') if json::string(text).is_none() => {
            "one with half a surrogate pair (\\ud800 to \\udfff), which is no character".to_owned()
        }
        Some(b'"') => "a string".to_owned(),
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b't' | b'f' | b'n') => text.to_owned(),
        Some(_) => format!("the number {}", truncated(text)),
        None => "nothing".to_owned(),
    }
}
