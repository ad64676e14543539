//! Navigates a JSON text without parsing it into values. All positions are byte offsets.
//!
//! The text has been validated. On anything that is not JSON these functions still terminate, at the end of the text
//! at the latest, with an unspecified result. Nothing recurses.

use memchr::{memchr, memchr2, memrchr};

/// Longer keys are truncated in the paths of errors.
const MAX_SHOWN_KEY_CHARS: usize = 60;

/// Whether a byte is white space between tokens.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The part of `text` from `start` up to `end`; empty if that is no valid range.
pub(super) fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

/// The first position at or after `at` that is not white space.
pub(super) fn skip_space(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    while bytes.get(at).copied().is_some_and(is_space) {
        at += 1;
    }
    at
}

/// The position of the closing quote of the string whose content contains `at`.
pub(super) fn string_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// The position of the opening quote of the string whose content contains `at`.
pub(super) fn string_start(text: &str, mut at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    loop {
        at = memrchr(b'"', bytes.get(..at)?)?;
        let backslashes = bytes.get(..at)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
    }
}

/// The position after the value that starts at `at`.
pub(super) fn value_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes.get(at) {
        Some(b'"') => (string_end(text, at + 1) + 1).min(bytes.len()),
        Some(b'{' | b'[') => nested_end(text, at),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let ends = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b']' | b'}');
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn nested_end(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The elements of an array, or the entries of an object, in order.
pub(super) struct Entries<'a> {
    text: &'a str,
    at: usize,
    /// Whether the text is an object.
    keyed: bool,
}

impl<'a> Entries<'a> {
    /// The entries of the array or object `text`; none for anything else.
    pub(super) fn of(text: &'a str) -> Self {
        let keyed = text.starts_with('{');
        let at = if keyed || text.starts_with('[') { 1 } else { text.len() };
        Self { text, at, keyed }
    }
}

impl<'a> Iterator for Entries<'a> {
    /// The raw key without its quotes (empty in an array), and the raw value.
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        self.at = skip_space(self.text, self.at);
        if bytes.get(self.at) == Some(&b',') {
            self.at = skip_space(self.text, self.at + 1);
        }
        if matches!(bytes.get(self.at), None | Some(b'}' | b']')) {
            return None;
        }
        let mut key = "";
        if self.keyed {
            let end = string_end(self.text, self.at + 1);
            key = slice(self.text, self.at + 1, end);
            let colon = bytes.get(end..).and_then(|rest| memchr(b':', rest))?;
            self.at = skip_space(self.text, end + colon + 1);
        }
        let end = value_end(self.text, self.at);
        let value = slice(self.text, self.at, end);
        // Always advances, so that invalid JSON cannot cause an endless loop.
        self.at = end.max(self.at + 1);
        Some((key, value))
    }
}

/// The path, from `root`, of the value at byte `position`, as in `input.users[3].name`.
pub(super) fn path_of(text: &str, position: usize, root: &str) -> String {
    let mut path = root.to_owned();
    let base = text.as_ptr() as usize;
    let mut value = text.trim_start();
    loop {
        let inside = Entries::of(value).enumerate().find(|(_, (_, inner))| {
            let start = inner.as_ptr() as usize - base;
            (start..start + inner.len()).contains(&position)
        });
        let Some((index, (key, inner))) = inside else {
            return path;
        };
        if value.starts_with('[') {
            path.push_str(&format!("[{index}]"));
        } else {
            let key: String = key.chars().take(MAX_SHOWN_KEY_CHARS).collect();
            path.push_str(&format!(".{key}"));
        }
        value = inner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_among_nested_values() {
        let text = r#"{"a" : "x,\"]}" , "b":[1,{"c":[]}] ,"d":-1.5e3, "e":{} }"#;
        let found: Vec<_> = Entries::of(text).collect();
        assert_eq!(
            found,
            [
                ("a", r#""x,\"]}""#),
                ("b", r#"[1,{"c":[]}]"#),
                ("d", "-1.5e3"),
                ("e", "{}")
            ]
        );
        let list: Vec<_> = Entries::of("[ 1 ,\"a\\\\\" , null]").map(|(_, value)| value).collect();
        assert_eq!(list, ["1", "\"a\\\\\"", "null"]);
    }

    #[test]
    fn string_start_is_found_from_inside() {
        let text = r#"{"a":"x\"y\\","b":"\\\"$"}"#;
        let dollar = text.find('$').unwrap();
        let start = string_start(text, dollar).unwrap();
        assert_eq!(slice(text, start, string_end(text, start + 1) + 1), r#""\\\"$""#);
    }

    #[test]
    fn path_of_a_value_is_found() {
        let text = r#" {"a":{"b":[0,{"c d":"$"}]}}"#;
        assert_eq!(path_of(text, text.find("\"$").unwrap(), "input"), "input.a.b[1].c d");
    }

    #[test]
    fn invalid_json_terminates() {
        for text in [
            "{", "[", "{\"", "{\"a\"", "{\"a\":", "[,", "[}", "{:}", "\"\\", "[[[", "{\"a\":}",
        ] {
            let _ = Entries::of(text).take(100).count();
            assert!(value_end(text, 0) <= text.len());
        }
    }
}
