//! A feature declared as data: a sequence of events.

/// A feature declared as data.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name within the product.
    pub tag: Box<str>,
    /// The members of its input; `None`: anything.
    pub input: Option<Vec<FeatureInput>>,
    /// Its events, in execution order.
    pub sequence: Vec<FeatureSequence>,
    /// JSON text of its result, with expressions; `None`: the result of the last event.
    pub output: Option<Box<str>>,
}

/// A member of a feature's input.
#[derive(Clone, Debug)]
pub struct FeatureInput {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: InputKind,
    /// Whether it is required.
    pub required: bool,
    /// JSON text of its default.
    pub default: Option<Box<str>>,
}

/// The type of a member of a feature's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Any JSON value.
    Any,
    /// A string.
    String,
    /// A number.
    Number,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl InputKind {
    /// All types, by their names in definitions.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("any", Self::Any),
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];

    /// Whether a JSON text has this type.
    #[must_use]
    pub fn admits(self, json: &str) -> bool {
        let json = json.trim();
        let first = json.as_bytes().first().copied().unwrap_or(b' ');
        let number = first == b'-' || first.is_ascii_digit();
        match self {
            Self::Any => true,
            Self::String => first == b'"',
            Self::Number => number,
            Self::Integer => number && json.parse::<f64>().is_ok_and(|value| value.fract() == 0.0),
            Self::Boolean => matches!(first, b't' | b'f'),
            Self::Object => first == b'{',
            Self::Array => first == b'[',
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("any", |(name, _)| name)
    }
}

/// A named group of events.
#[derive(Clone, Debug)]
pub struct FeatureSequence {
    /// The name.
    pub tag: Box<str>,
    /// The events.
    pub events: Vec<FeatureEvent>,
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
}

impl Feature {
    /// All events with their sequences, in execution order.
    pub fn events(&self) -> impl Iterator<Item = (&FeatureSequence, &FeatureEvent)> {
        self.sequence
            .iter()
            .flat_map(|sequence| sequence.events.iter().map(move |event| (sequence, event)))
    }
}
