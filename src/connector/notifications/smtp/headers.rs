//! Headers whose text a reader would take for an encoded word (`=?utf-8?q?…?=`, RFC 2047): they are encoded as a whole, so that they
//! are shown as they were written. Pure. All others are left to lettre, which leaves what is ASCII as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use lettre::message::header::{HeaderName, HeaderValue};

/// Bytes of a text in one encoded word: a word has at most 75 characters, and the name of the header stands before the first one.
const WORD_BYTES: usize = 30;

/// The subject as a header; `None`: nobody would misread it.
pub(super) fn subject(text: &str) -> Option<HeaderValue> {
    let name = HeaderName::new_from_ascii_str("Subject");
    looks_encoded(text).then(|| HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), encoded(text)))
}

/// The header of this name with an address; `None`: nobody would misread the name before it.
pub(super) fn address(header: &'static str, mailbox: &Mailbox) -> Option<HeaderValue> {
    let name = mailbox.name.as_deref().filter(|name| looks_encoded(name))?;
    let value = format!("{}\r\n <{}>", encoded(name), mailbox.email);
    let header = HeaderName::new_from_ascii_str(header);
    Some(HeaderValue::dangerous_new_pre_encoded(
        header,
        mailbox.to_string(),
        value,
    ))
}

fn looks_encoded(text: &str) -> bool {
    text.contains("=?")
}

/// Encoded words, each on a line of its own; what stands between them is not of the text.
fn encoded(text: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    for character in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= WORD_BYTES => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let words = words
        .iter()
        .map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader makes of encoded words.
    fn decoded(text: &str) -> String {
        let words = text.split("\r\n ").map(|word| {
            assert!(word.len() <= 75, "{word}");
            let inner = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
            String::from_utf8(STANDARD.decode(inner.unwrap()).unwrap()).unwrap()
        });
        words.collect()
    }

    #[test]
    fn texts_that_look_encoded_are_shown_as_they_were_written() {
        for text in ["=?utf-8?q?hi?=", "a =?iso-8859-1?b?aGk=?= b", "=?", &"=?🎉é".repeat(50)] {
            assert!(subject(text).is_some(), "{text}");
            assert_eq!(decoded(&encoded(text)), text);
        }
        assert!(subject("Order = ? 4711").is_none());
        let named = Mailbox::new(Some("=?utf-8?q?The_boss?=".into()), "a@b.example".parse().unwrap());
        assert!(address("To", &named).is_some());
        let plain = Mailbox::new(Some("The boss".into()), "a@b.example".parse().unwrap());
        assert!(address("To", &plain).is_none() && address("To", &Mailbox::new(None, plain.email)).is_none());
    }
}
