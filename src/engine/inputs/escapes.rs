//! Texts without their backslash escapes, and where each part of them stood.
//!
//! Knows the escapes of JSON, and those that JavaScript and Rust write besides. Tolerant, since it reads whatever a message
//! holds: what is no escape stays as it is. Invariant: work is linear in the text.

use std::ops::Range;

/// A text whose escapes were replaced, once, by what they stand for.
#[derive(Debug)]
pub(super) struct Unescaped {
    text: String,
    /// In order.
    escapes: Vec<Escape>,
}

#[derive(Debug)]
struct Escape {
    /// The character that it stands for, in the new text.
    character: Range<usize>,
    /// Itself, in the old text.
    origin: Range<usize>,
}

impl Unescaped {
    /// `None`: the text has no escapes.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut unescaped = Self {
            text: String::new(),
            escapes: Vec::new(),
        };
        let (mut copied, mut searched) = (0, 0);
        while let Some(found) = text.get(searched..).and_then(|rest| rest.find('\\')) {
            let start = searched + found;
            let Some((character, bytes)) = text.get(start..).and_then(read_escape) else {
                searched = start + 1;
                continue;
            };
            let end = start + bytes;
            unescaped.text.push_str(text.get(copied..start).unwrap_or_default());
            let at = unescaped.text.len();
            unescaped.text.push(character);
            unescaped.escapes.push(Escape {
                character: at..unescaped.text.len(),
                origin: start..end,
            });
            (copied, searched) = (end, end);
        }
        unescaped.text.push_str(text.get(copied..).unwrap_or_default());
        (!unescaped.escapes.is_empty()).then_some(unescaped)
    }

    /// The text without the escapes.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of this text stood in the old one.
    pub(super) fn origin(&self, part: &Range<usize>) -> Range<usize> {
        let start = match self.last(|escape| escape.character.start <= part.start) {
            None => part.start,
            Some(escape) if part.start < escape.character.end => escape.origin.start,
            Some(escape) => escape.origin.end + (part.start - escape.character.end),
        };
        let end = match self.last(|escape| escape.character.start < part.end) {
            None => part.end,
            Some(escape) if part.end <= escape.character.end => escape.origin.end,
            Some(escape) => escape.origin.end + (part.end - escape.character.end),
        };
        start..end
    }

    /// The last escape for which that is so; it is so for all before it.
    fn last(&self, is_before: impl Fn(&Escape) -> bool) -> Option<&Escape> {
        let after = self.escapes.partition_point(is_before);
        self.escapes.get(after.checked_sub(1)?)
    }
}

/// The escape that a text begins with: what it stands for, and its bytes.
fn read_escape(text: &str) -> Option<(char, usize)> {
    let kind = text.chars().nth(1)?;
    let simple = match kind {
        '"' | '\'' | '\\' | '/' | '`' => kind,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0' => '\0',
        'x' => return Some((char::from_u32(hex(text.get(2..4)?)?)?, 4)),
        'u' => return read_unicode(text),
        _ => return None,
    };
    Some((simple, 2))
}

/// `\u0041`, a pair of surrogates, or `\u{41}`.
fn read_unicode(text: &str) -> Option<(char, usize)> {
    if let Some(braced) = text.strip_prefix("\\u{") {
        let digits = braced.get(..braced.bytes().take(7).position(|byte| byte == b'}')?)?;
        return Some((char::from_u32(hex(digits)?)?, digits.len() + 4));
    }
    let unit = hex(text.get(2..6)?)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, 6));
    }
    let low = hex(text.get(6..)?.strip_prefix("\\u")?.get(..4)?)?;
    if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    Some((char::from_u32(code)?, 12))
}

fn hex(digits: &str) -> Option<u32> {
    let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}
