//! A feature declared as data: events that are done one after the other.

/// A feature declared as data.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What its input holds; `None`: anything.
    pub input: Option<Vec<FeatureInput>>,
    /// Its events, in the order in which they are done.
    pub sequence: Vec<FeatureSequence>,
    /// JSON text of its result, with expressions; `None`: what the last event yields.
    pub output: Option<Box<str>>,
}

/// A member of a feature's input.
#[derive(Clone, Debug)]
pub struct FeatureInput {
    /// Its name.
    pub name: Box<str>,
    /// What it must be.
    pub kind: InputKind,
    /// Whether it must be there.
    pub required: bool,
    /// JSON text of what it is when it is not there.
    pub default: Option<Box<str>>,
}

/// What a member of a feature's input may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Whatever JSON can hold.
    Any,
    /// A text.
    String,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// A list.
    Array,
}

impl InputKind {
    /// The names by which definitions call them.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("any", Self::Any),
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];

    /// Whether a JSON text is one.
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

/// Events with a name in common.
#[derive(Clone, Debug)]
pub struct FeatureSequence {
    /// The name.
    pub tag: Box<str>,
    /// The events.
    pub events: Vec<FeatureEvent>,
}

/// One event: a job of another target, done within the feature's.
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
    /// How often it is tried again within one attempt of the feature.
    pub retries: u32,
    /// Whether the feature goes on when it has failed.
    pub allow_fail: bool,
}

impl Feature {
    /// All events with the tags of their sequences, in order.
    pub fn events(&self) -> impl Iterator<Item = (&FeatureSequence, &FeatureEvent)> {
        self.sequence
            .iter()
            .flat_map(|sequence| sequence.events.iter().map(move |event| (sequence, event)))
    }
}
