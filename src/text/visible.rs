//! Characters that make a terminal or a log show something else than what is there.
//!
//! Invariant: what [`escaped`] returns is one line, and is shown in the order in which it stands.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether the character controls how text is shown, and shows nothing itself: control characters (line breaks among them),
/// separators of lines, marks of text direction, and the byte order mark.
#[must_use]
pub fn is_invisible_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with such characters as escapes of JSON: `\n`, `\u001b`.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_invisible_control(character) => _ = write!(shown, "\\u{:04x}", u32::from(character)),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        for (text, shown) in [
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("\u{1b}[2J\u{9b}1m\u{7f}\0", "\\u001b[2J\\u009b1m\\u007f\\u0000"),
            ("a\u{2028}b\u{2029}c\u{85}", "a\\u2028b\\u2029c\\u0085"),
            (
                "\u{202e}txt\u{202c}\u{2066}x\u{2069}",
                "\\u202etxt\\u202c\\u2066x\\u2069",
            ),
            ("\u{200e}\u{200f}\u{61c}\u{feff}", "\\u200e\\u200f\\u061c\\ufeff"),
        ] {
            assert_eq!(escaped(text), shown);
        }
        // Names of people, and emoji, have joiners.
        let plain = "żółć עברית می\u{200c}خواهم 👨\u{200d}👩 a\u{a0}b \\n";
        assert!(matches!(escaped(plain), Cow::Borrowed(_)));
    }
}
