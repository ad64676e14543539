//! JSON that stays the text it came as: members of objects in their order, with their values unread.

use super::super::Failure;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// An object whose members keep their order. A name that comes again replaces what it named.
#[derive(Debug, Default)]
pub(in crate::connector) struct Object<'a> {
    members: Vec<(String, &'a str)>,
    index_by_name: HashMap<String, usize>,
}

impl<'a> Object<'a> {
    /// Reads one; `None`: the text is no object, or holds names that are no Unicode.
    pub(in crate::connector) fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Adds a member, or replaces it.
    pub(in crate::connector) fn put(&mut self, name: String, json: &'a str) {
        if let Some(member) = self
            .index_by_name
            .get(&name)
            .and_then(|place| self.members.get_mut(*place))
        {
            member.1 = json;
            return;
        }
        self.index_by_name.insert(name.clone(), self.members.len());
        self.members.push((name, json));
    }

    /// Adds all members of another one, or replaces them.
    pub(super) fn extend(&mut self, other: Object<'a>) {
        for (name, json) in other.members {
            self.put(name, json);
        }
    }

    /// The JSON text of a member.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let place = *self.index_by_name.get(name)?;
        self.members.get(place).map(|(_, json)| *json)
    }

    /// All members in their order.
    pub(in crate::connector) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, json)| (&**name, *json))
    }

    pub(in crate::connector) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Its JSON text.
    pub(in crate::connector) fn to_json(&self) -> String {
        let mut text = String::from("{");
        for (name, json) in self.iter() {
            push_name(&mut text, name);
            text.push_str(json);
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object::default();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    object.put(name, value.get());
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The elements of a list.
pub(super) fn list(json: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// Writes a string as JSON.
pub(in crate::connector) fn push_string(text: &mut String, value: &str) {
    // Strings can always be written.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// Writes the name of a member, and the comma before it.
fn push_name(text: &mut String, name: &str) {
    if !text.ends_with('{') {
        text.push(',');
    }
    push_string(text, name);
    text.push(':');
}

/// What a JSON text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JsonKind {
    /// `null`.
    Null,
    /// A string, a number as it is written, `true` or `false`.
    Scalar(String),
    /// `{…}`.
    Object,
    /// `[…]`.
    List,
}

/// What a JSON text is; `place` is for the message.
pub(super) fn kind(json: &str, place: &str) -> Result<JsonKind, Failure> {
    Ok(match json.as_bytes().first() {
        Some(b'{') => JsonKind::Object,
        Some(b'[') => JsonKind::List,
        Some(b'n') => JsonKind::Null,
        Some(b'"') => {
            JsonKind::Scalar(serde_json::from_str(json).map_err(|_| {
                Failure::invalid(format!("{place}: the text is no valid Unicode (half a surrogate pair)"))
            })?)
        }
        _ => JsonKind::Scalar(json.to_owned()),
    })
}

/// Most objects within each other that are merged; below that the input's replaces the template's.
const MAX_MERGE_DEPTH: usize = 64;

/// Merges an input into a template: objects member by member, all else as the input has it.
pub(in crate::connector) fn merge(template: &str, input: &str) -> String {
    merge_at_depth(template, input, 0)
}

fn merge_at_depth(template: &str, input: &str, depth: usize) -> String {
    if depth >= MAX_MERGE_DEPTH || !input.starts_with('{') {
        return input.to_owned();
    }
    let (Some(template), Some(input)) = (Object::read(template), Object::read(input)) else {
        return input.to_owned();
    };
    let mut text = String::from("{");
    for (name, known) in template.iter() {
        push_name(&mut text, name);
        match input.get(name) {
            Some(given) => text.push_str(&merge_at_depth(known, given, depth + 1)),
            None => text.push_str(known),
        }
    }
    for (name, given) in input.iter().filter(|(name, _)| template.get(name).is_none()) {
        push_name(&mut text, name);
        text.push_str(given);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_prefers_input_over_template_member_by_member() {
        let template = r#"{"a":1,"b":{"c":[1],"d":12345678901234567890},"e":null}"#;
        let cases = [
            ("{}", template),
            (
                r#"{"a":2}"#,
                r#"{"a":2,"b":{"c":[1],"d":12345678901234567890},"e":null}"#,
            ),
            (
                r#"{"b":{"c":[2],"x":1.0},"z":"y"}"#,
                r#"{"a":1,"b":{"c":[2],"d":12345678901234567890,"x":1.0},"e":null,"z":"y"}"#,
            ),
            (r#"{"b":null}"#, r#"{"a":1,"b":null,"e":null}"#),
            ("[1]", "[1]"),
            ("\"text\"", "\"text\""),
        ];
        for (input, expected) in cases {
            assert_eq!(merge(template, input), expected, "{input}");
        }
        assert_eq!(merge("[1]", r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn deeply_nested_json_does_not_overflow_the_stack() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(merge(&deep, &deep), deep);
    }

    #[test]
    fn repeated_member_replaces_the_earlier_one() {
        let object = Object::read(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(object.to_json(), r#"{"a":3,"b":2}"#);
        assert!(Object::read("[]").is_none() && Object::read("{\"\\ud800\":1}").is_none());
    }
}
