//! Reads the content of a JSON string character by character, decoding escapes, and keeps the position in the raw text.

use super::json::slice;

/// A position in the content of a JSON string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    raw: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at byte `at` of `raw`, the content of a JSON string without its quotes.
    pub(super) fn new(raw: &'a str, at: usize) -> Self {
        Self { raw, at }
    }

    /// The position, in bytes of the raw content.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The raw content from `start` to the current position.
    pub(super) fn text_since(&self, start: usize) -> &'a str {
        slice(self.raw, start, self.at)
    }

    /// The next character, decoded.
    pub(super) fn peek(&self) -> Option<char> {
        self.decode().map(|(character, _)| character)
    }

    /// Consumes the next character.
    pub(super) fn next(&mut self) -> Option<char> {
        let (character, length) = self.decode()?;
        self.at += length;
        Some(character)
    }

    /// Consumes the next character if it is `wanted`; tells whether it was.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        match self.decode() {
            Some((character, length)) if character == wanted => {
                self.at += length;
                true
            }
            _ => false,
        }
    }

    /// Consumes white space.
    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Consumes a name of ASCII letters, digits and underscores; empty if there is none.
    pub(super) fn identifier(&mut self) -> &'a str {
        let start = self.at;
        let bytes = self.raw.as_bytes();
        while bytes
            .get(self.at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            self.at += 1;
        }
        self.text_since(start)
    }

    /// Consumes the text up to and including the next `quote`, if nothing in it is escaped: the fast path for literals.
    pub(super) fn take_unescaped(&mut self, quote: char) -> Option<&'a str> {
        let rest = self.raw.as_bytes().get(self.at..)?;
        let end = self.at + memchr::memchr2(b'\\', b'\'', rest)?;
        let mut close = Self::new(self.raw, end);
        if !close.eat(quote) {
            return None;
        }
        let text = slice(self.raw, self.at, end);
        *self = close;
        Some(text)
    }

    /// The 1-based position among the characters of the content, for a message.
    pub(super) fn position_of(&self, place: usize) -> usize {
        let mut cursor = Cursor::new(self.raw, 0);
        let mut position = 1;
        while cursor.at < place && cursor.next().is_some() {
            position += 1;
        }
        position
    }

    fn decode(&self) -> Option<(char, usize)> {
        match *self.raw.as_bytes().get(self.at)? {
            b'\\' => Some(self.escape()),
            byte if byte.is_ascii() => Some((char::from(byte), 1)),
            _ => {
                let character = self.raw.get(self.at..)?.chars().next()?;
                Some((character, character.len_utf8()))
            }
        }
    }

    /// Decodes an escape, with its length in bytes; a lone surrogate becomes U+FFFD.
    fn escape(&self) -> (char, usize) {
        match self.raw.as_bytes().get(self.at + 1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'u') => self.unicode(),
            Some(byte) if byte.is_ascii() => (char::from(*byte), 2),
            // Not valid JSON.
            _ => (char::REPLACEMENT_CHARACTER, 1),
        }
    }

    fn unicode(&self) -> (char, usize) {
        let unit = |at: usize| u32::from_str_radix(self.raw.get(at..at + 4)?, 16).ok();
        let Some(high) = unit(self.at + 2) else {
            return (char::REPLACEMENT_CHARACTER, 2);
        };
        if let Some(character) = char::from_u32(high) {
            return (character, 6);
        }
        let low = self
            .raw
            .get(self.at + 6..)
            .filter(|rest| rest.starts_with("\\u"))
            .and_then(|_| unit(self.at + 8))
            .filter(|low| (0xdc00..0xe000).contains(low));
        match low {
            Some(low) if high < 0xdc00 => {
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            _ => (char::REPLACEMENT_CHARACTER, 6),
        }
    }
}

/// Decodes the content of a JSON string; borrowed when it has no escapes.
pub(super) fn unescape(raw: &str) -> std::borrow::Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return raw.into();
    }
    let mut cursor = Cursor::new(raw, 0);
    let mut text = String::with_capacity(raw.len());
    while let Some(character) = cursor.next() {
        text.push(character);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(unescape(r#"a\"b\\c\/d\n\u00e9\ud83d\ude00"#), "a\"b\\c/d\né😀");
        assert_eq!(unescape("plain é"), "plain é");
    }

    #[test]
    fn lone_surrogates_and_broken_escapes_become_replacement_characters() {
        assert_eq!(unescape(r"\ud83dx"), "\u{fffd}x");
        assert_eq!(unescape(r"\ude00\ud83d\u0041"), "\u{fffd}\u{fffd}A");
        assert_eq!(unescape(r"\uzz"), "\u{fffd}zz");
        assert_eq!(unescape("\\"), "\u{fffd}");
    }
}
