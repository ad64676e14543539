//! Halves of surrogate pairs in JSON, which JavaScript's strings may have and UTF-8 has not.

use std::borrow::Cow;

/// How JSON writes U+FFFD.
const REPLACEMENT: &str = "\\ufffd";

/// The same JSON text with U+FFFD in place of each escaped half of a pair.
pub(super) fn replaced(text: &str) -> Cow<'_, str> {
    let mut replaced = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let start = at + found;
        let Some(unit) = unit(text, start) else {
            // Another escape, of which the next character is a part.
            at = start + 2;
            continue;
        };
        let is_pair = matches!(unit, 0xD800..=0xDBFF) && matches!(self::unit(text, start + 6), Some(0xDC00..=0xDFFF));
        at = start + if is_pair { 12 } else { 6 };
        if !is_pair && matches!(unit, 0xD800..=0xDFFF) {
            replaced.push_str(text.get(copied..start).unwrap_or_default());
            replaced.push_str(REPLACEMENT);
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    replaced.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(replaced)
}

/// The code unit of an escape such as `\ud83d` at this place.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_of_pairs_are_replaced() {
        for (text, expected) in [
            (r#""plain é""#, r#""plain é""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""a\ude00b\uD83D\ud83d\ude00""#, r#""a\ufffdb\ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83"#, r#""\ud83"#),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }
}
