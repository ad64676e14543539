//! Percent-encoding of parts of URLs (RFC 3986).

/// Appends a text with everything but letters, digits and `-._~` encoded.
pub fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The bytes that a text stands for; a `%` that does not begin a code stands for itself.
#[must_use]
pub fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match tail {
            [high, low, after @ ..] if *first == b'%' => {
                hex_value(*high).zip(hex_value(*low)).map(|code| (code, after))
            }
            _ => None,
        };
        match code {
            Some(((high, low), after)) => {
                bytes.push(high * 16 + low);
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

fn hex_value(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let text = "a-Z_0.9~ /?#%ü€\u{1f600}";
        let mut encoded = String::new();
        encode_into(&mut encoded, text);
        assert_eq!(encoded, "a-Z_0.9~%20%2F%3F%23%25%C3%BC%E2%82%AC%F0%9F%98%80");
        assert_eq!(decode(&encoded), text.as_bytes());
    }

    #[test]
    fn what_is_no_code_is_decoded_as_it_stands() {
        for (text, bytes) in [
            ("%", &b"%"[..]),
            ("%2", b"%2"),
            ("%zz%41", b"%zzA"),
            ("%%41", b"%A"),
            ("%ff", b"\xff"),
            ("%2f%2F", b"//"),
        ] {
            assert_eq!(decode(text), bytes, "{text}");
        }
    }
}
