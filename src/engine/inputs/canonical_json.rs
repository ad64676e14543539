//! One text for JSON texts that say the same: no white space, keys in order. Numbers and texts stay as they are written,
//! so that no two different inputs become one.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Deeper than this a value is taken as it is written.
const MAX_DEPTH: usize = 100;

/// Appends the canonical form of a JSON text.
pub(super) fn write(text: &str, out: &mut String) {
    write_value(text.trim(), MAX_DEPTH, out);
}

fn write_value(text: &str, depth: usize, out: &mut String) {
    let written = match text.as_bytes().first() {
        Some(b'{') if depth > 0 => write_object(text, depth - 1, out),
        Some(b'[') if depth > 0 => write_list(text, depth - 1, out),
        _ => None,
    };
    if written.is_none() {
        out.push_str(text);
    }
}

fn write_object(text: &str, depth: usize, out: &mut String) -> Option<()> {
    let entries: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(key).unwrap_or_default());
        out.push(':');
        write_value(value.get(), depth, out);
    }
    out.push('}');
    Some(())
}

fn write_list(text: &str, depth: usize, out: &mut String) -> Option<()> {
    let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_value(value.get(), depth, out);
    }
    out.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        write(text, &mut out);
        out
    }

    #[test]
    fn order_and_space_do_not_matter_and_values_do() {
        assert_eq!(
            canonical(r#" { "b" : [1 , {"z":1,"y":2}] , "a":"x" } "#),
            r#"{"a":"x","b":[1,{"y":2,"z":1}]}"#
        );
        assert_ne!(canonical("[9007199254740993]"), canonical("[9007199254740992]"));
        assert_ne!(canonical(r#"{"a":1}"#), canonical(r#"{"a":"1"}"#));
    }

    #[test]
    fn values_nested_too_deeply_are_kept_as_written() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(canonical(&deep), deep);
    }
}
