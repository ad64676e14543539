//! A feature declared as data: sequences of events.

use crate::cron::Zone;
use serde_json::Value;
use serde_json::value::RawValue;

/// A feature declared as data.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name within the product.
    pub tag: Box<str>,
    /// The members of its input; `None`: anything.
    pub input: Option<Vec<FeatureInput>>,
    /// Its events, in execution order.
    pub sequence: Vec<FeatureSequence>,
    /// JSON text of its result, with expressions; `None`: the result of the last event that `returns`, else of the last one.
    pub output: Option<Box<str>>,
}

/// A member of a feature's input.
#[derive(Clone, Debug)]
pub struct FeatureInput {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: InputKind,
    /// Least and most characters of a string, or entries of an array.
    pub length: (Option<usize>, Option<usize>),
    /// Whether it is required.
    pub required: bool,
    /// JSON text of its default.
    pub default: Option<Box<str>>,
}

impl FeatureInput {
    /// Why a JSON text cannot be the value, if so.
    #[must_use]
    pub fn problem(&self, json: &str) -> Option<String> {
        if !self.kind.admits(json) {
            return Some(format!("must be of the type '{}'", self.kind.name()));
        }
        let length = match serde_json::from_str::<Value>(json).ok()? {
            Value::String(text) => text.chars().count(),
            Value::Array(entries) => entries.len(),
            _ => return None,
        };
        match self.length {
            (Some(least), _) if length < least => Some(format!("must have a length of at least {least}, got {length}")),
            (_, Some(most)) if length > most => Some(format!("must have a length of at most {most}, got {length}")),
            _ => None,
        }
    }
}

/// The type of a member of a feature's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Any JSON value.
    Any,
    /// A string.
    String,
    /// A string with one `@`, text on both sides and no space.
    EmailString,
    /// A string without white space.
    NospacesString,
    /// A string that is a finite number.
    NumberString,
    /// A string that is an ISO 8601 date.
    DateString,
    /// A string that is a UUID.
    Uuid,
    /// A number.
    Number,
    /// A number, by another name.
    Float,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
    /// An array of strings.
    StringArray,
    /// An array of integers.
    IntegerArray,
    /// An array of numbers.
    FloatArray,
    /// An array of `true` and `false`.
    BooleanArray,
    /// An array of UUIDs.
    UuidArray,
}

impl InputKind {
    /// All types, by their names in definitions; the case of letters does not matter.
    pub const NAMES: [(&'static str, Self); 18] = [
        ("any", Self::Any),
        ("string", Self::String),
        ("email_string", Self::EmailString),
        ("nospaces_string", Self::NospacesString),
        ("number_string", Self::NumberString),
        ("date_string", Self::DateString),
        ("uuid", Self::Uuid),
        ("number", Self::Number),
        ("float", Self::Float),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
        ("string_array", Self::StringArray),
        ("integer_array", Self::IntegerArray),
        ("float_array", Self::FloatArray),
        ("boolean_array", Self::BooleanArray),
        ("uuid_array", Self::UuidArray),
    ];

    /// The type of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, kind)| *kind)
    }

    /// Whether a JSON text has this type.
    #[must_use]
    pub fn admits(self, json: &str) -> bool {
        let json = json.trim();
        let first = json.as_bytes().first().copied().unwrap_or(b' ');
        let is_number = first == b'-' || first.is_ascii_digit();
        let is_text = |wanted: fn(&str) -> bool| {
            let text = (first == b'"').then(|| serde_json::from_str::<String>(json).ok());
            text.flatten().is_some_and(|text| wanted(&text))
        };
        let are_all = |kind: Self| {
            let entries = (first == b'[').then(|| serde_json::from_str::<Vec<Box<RawValue>>>(json).ok());
            entries
                .flatten()
                .is_some_and(|all| all.iter().all(|entry| kind.admits(entry.get())))
        };
        match self {
            Self::Any => true,
            Self::String => first == b'"',
            Self::EmailString => is_text(is_email),
            Self::NospacesString => is_text(|text| !text.contains(char::is_whitespace)),
            Self::NumberString => is_text(|text| text.parse::<f64>().is_ok_and(f64::is_finite)),
            Self::DateString => is_text(|text| Zone::utc().parse_date_time(text).is_ok()),
            Self::Uuid => is_text(|text| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()),
            Self::Number | Self::Float => is_number,
            Self::Integer => is_number && json.parse::<f64>().is_ok_and(|value| value.fract() == 0.0),
            Self::Boolean => matches!(first, b't' | b'f'),
            Self::Object => first == b'{',
            Self::Array => first == b'[',
            Self::StringArray => are_all(Self::String),
            Self::IntegerArray => are_all(Self::Integer),
            Self::FloatArray => are_all(Self::Float),
            Self::BooleanArray => are_all(Self::Boolean),
            Self::UuidArray => are_all(Self::Uuid),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("any", |(name, _)| name)
    }
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
    })
}

/// A named group of events.
#[derive(Clone, Debug)]
pub struct FeatureSequence {
    /// The name.
    pub tag: Box<str>,
    /// The events, one after the other.
    pub events: Vec<FeatureEvent>,
    /// The sequences that must have ended before it begins, by their places in [`Feature::sequence`].
    pub after: Vec<usize>,
}

/// One event: a call of another target within the feature's job.
#[derive(Clone, Debug)]
pub struct FeatureEvent {
    /// Its name within the sequence.
    pub tag: Box<str>,
    /// The namespace of its target.
    pub namespace: &'static str,
    /// The fields of its target.
    pub target: Vec<Box<str>>,
    /// JSON text of its input, with expressions.
    pub input: Box<str>,
    /// How often it is retried within one attempt of the feature.
    pub retries: u32,
    /// Whether the feature continues when it fails.
    pub allow_fail: bool,
    /// Tag of the cache that keeps its result.
    pub cache: Option<Box<str>>,
    /// Whether its result is the feature's, if that has no `output`.
    pub returns: bool,
}

impl Feature {
    /// All events with their sequences, in execution order.
    pub fn events(&self) -> impl Iterator<Item = (&FeatureSequence, &FeatureEvent)> {
        self.sequence
            .iter()
            .flat_map(|sequence| sequence.events.iter().map(move |event| (sequence, event)))
    }
}
