//! JSON that stays the text it came as: members of objects in their order, with their values unread.
//!
//! Invariant: no number and no string is read and written again, so that nothing of a value is lost.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Objects with more members are searched by an index.
const MAX_UNINDEXED_MEMBERS: usize = 16;

/// An object whose members keep their order. As in JavaScript, a name that comes again replaces the value it had.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
    /// Places in `members`; empty while these are few.
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Object<'a> {
    /// Reads JSON text; `None`: it is no object, or a name in it is no Unicode.
    #[must_use]
    pub fn read(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Adds a member, or replaces its value.
    pub fn put(&mut self, name: impl Into<Cow<'a, str>>, json: &'a str) {
        let name = name.into();
        if let Some(member) = self.place_of(&name).and_then(|place| self.members.get_mut(place)) {
            member.1 = json;
            return;
        }
        if !self.places.is_empty() {
            self.places.insert(name.clone(), self.members.len());
        }
        self.members.push((name, json));
        if self.places.is_empty() && self.members.len() > MAX_UNINDEXED_MEMBERS {
            let names = self.members.iter().map(|(name, _)| name.clone());
            self.places = names.enumerate().map(|(place, name)| (name, place)).collect();
        }
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        if self.places.is_empty() {
            self.members.iter().position(|(known, _)| known == name)
        } else {
            self.places.get(name).copied()
        }
    }

    /// Adds all members of another object, or replaces their values.
    pub fn extend(&mut self, other: Self) {
        for (name, json) in other.members {
            self.put(name, json);
        }
    }

    /// The JSON text of a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members.get(self.place_of(name)?).map(|(_, json)| *json)
    }

    /// Gives a member another name, at the end; one that has it already gets the value.
    pub fn rename(&mut self, from: &str, to: &'a str) {
        if let Some(json) = self.remove(from) {
            self.put(to, json);
        }
    }

    /// Takes a member away.
    pub fn remove(&mut self, name: &str) -> Option<&'a str> {
        let (_, json) = self.members.remove(self.place_of(name)?);
        if !self.places.is_empty() {
            let names = self.members.iter().map(|(name, _)| name.clone());
            self.places = names.enumerate().map(|(place, name)| (name, place)).collect();
        }
        Some(json)
    }

    /// The JSON text of a member; `null` counts as absent.
    #[must_use]
    pub fn get_present(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|json| *json != "null")
    }

    /// All members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, json)| (&**name, *json))
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
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
                let mut object = Object {
                    members: Vec::with_capacity(8),
                    places: HashMap::new(),
                };
                while let Some((name, value)) = map.next_entry::<JsonString<'de>, &'de RawValue>()? {
                    object.put(name.0, value.get());
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A string, borrowed when it has no escapes.
struct JsonString<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonString<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
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
        deserializer.deserialize_str(Text).map(JsonString)
    }
}

/// The string that a JSON text is; `None`: it is none, or no Unicode.
#[must_use]
pub fn string(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<JsonString<'_>>(json).ok().map(|text| text.0)
}

/// The elements of a list; `None`: the JSON text is none.
#[must_use]
pub fn list(json: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// Appends a string as JSON.
pub fn push_string(out: &mut String, value: &str) {
    // A string can always be written.
    out.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// Appends the name of a member, after a comma unless it is the first of its object.
pub fn push_name(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    push_string(out, name);
    out.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn repeated_member_replaces_the_earlier_value() {
        let object = Object::read(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(object.to_json(), r#"{"a":3,"b":2}"#);
        assert!(Object::read("[]").is_none() && Object::read("{\"\\ud800\":1}").is_none());
    }

    #[test]
    fn members_are_found_in_objects_of_any_size() {
        for count in [0, 1, MAX_UNINDEXED_MEMBERS, MAX_UNINDEXED_MEMBERS + 1, 50_000] {
            let mut json = String::from("{\"first\":0");
            for n in 0..count {
                write!(json, ",\"n\\u00fc{n}\":{n}").unwrap();
            }
            json.push_str(",\"first\":1}");
            let object = Object::read(&json).unwrap();
            assert_eq!(object.iter().count(), count + 1);
            assert_eq!(object.get("first"), Some("1"));
            if let Some(last) = count.checked_sub(1) {
                assert_eq!(object.get(&format!("nü{last}")), Some(&*last.to_string()));
            }
            assert_eq!(object.get("other"), None);
        }
    }

    #[test]
    fn null_member_counts_as_absent_where_that_is_asked() {
        let object = Object::read(r#"{"a":null,"b":0}"#).unwrap();
        assert_eq!((object.get("a"), object.get_present("a")), (Some("null"), None));
        assert_eq!(object.get_present("b"), Some("0"));
    }
}
