//! E-mail addresses. Pure.
//!
//! Stricter than RFC 5321, which allows quoted local parts and address literals: an accepted address cannot end a line, an
//! argument or a list, wherever it is inserted. Internationalized domains are converted to ASCII.

use std::fmt;

/// Longest display name, in characters.
const MAX_NAME_CHARS: usize = 255;
/// Longest local part, in bytes.
const MAX_LOCAL_PART_BYTES: usize = 64;

/// An address, and the name of whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mailbox {
    /// Holds no quotation marks and no backslash.
    pub name: Option<String>,
    /// What is before the `@`.
    pub local: String,
    /// In ASCII.
    pub domain: String,
}

impl Mailbox {
    /// The address alone.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }
}

/// As a header of an e-mail has it, the name in quotes.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "\"{name}\" <{}@{}>", self.local, self.domain),
            None => write!(f, "{}@{}", self.local, self.domain),
        }
    }
}

/// Parses `name@domain` or `Somebody <name@domain>`.
///
/// # Errors
/// What is wrong, without repeating the text.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    if text.chars().any(char::is_control) {
        return Err("must be on one line, without control characters");
    }
    let text = text.trim();
    let Some(inside) = text.strip_suffix('>') else {
        let (local, domain) = address(text)?;
        return Ok(Mailbox {
            name: None,
            local,
            domain,
        });
    };
    let (name, inside) = inside
        .rsplit_once('<')
        .ok_or("must be an address, as in 'name@example.com' or 'Somebody <name@example.com>'")?;
    let name = name.trim();
    let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = unquoted.unwrap_or(name);
    if name.chars().count() > MAX_NAME_CHARS {
        return Err("must have a shorter name before its address");
    }
    if name.contains(['<', '>', '"', '\\']) {
        return Err("must have no '<', '>', '\"' or '\\' in the name before its address");
    }
    let (local, domain) = address(inside)?;
    Ok(Mailbox {
        name: (!name.is_empty()).then(|| name.to_owned()),
        local,
        domain,
    })
}

/// Its parts before and after the `@`.
fn address(text: &str) -> Result<(String, String), &'static str> {
    const WRONG: &str = "must be an address, as in 'name@example.com'";
    let (local, domain) = text.rsplit_once('@').ok_or(WRONG)?;
    if local.len() > MAX_LOCAL_PART_BYTES || !local.split('.').all(is_atom) {
        return Err(WRONG);
    }
    let plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '.');
    if !domain.chars().all(plain) {
        return Err(WRONG);
    }
    let Ok(url::Host::Domain(domain)) = url::Host::parse(domain) else {
        return Err(WRONG);
    };
    let label = |label: &str| !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-');
    if domain.len() > 253 || !domain.split('.').all(label) {
        return Err(WRONG);
    }
    Ok((local.to_owned(), domain))
}

fn is_atom(part: &str) -> bool {
    let sound = |character: char| character.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(character);
    !part.is_empty() && part.chars().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<(Option<String>, String)> {
        mailbox(text)
            .ok()
            .map(|mailbox| (mailbox.name.clone(), mailbox.address()))
    }

    #[test]
    fn mailbox_is_parsed_with_and_without_a_display_name() {
        let plain = |address: &str| Some((None, address.to_owned()));
        assert_eq!(shown("a.b+c@example.com"), plain("a.b+c@example.com"));
        assert_eq!(shown(" a@localhost "), plain("a@localhost"));
        assert_eq!(shown("<a@b.example>"), plain("a@b.example"));
        assert_eq!(shown("o'neil@b.example"), plain("o'neil@b.example"));
        assert_eq!(shown("a@BÜCHER.example"), plain("a@xn--bcher-kva.example"));
        assert_eq!(shown("jürgen@b.example"), plain("jürgen@b.example"));
        let named = |name: &str| Some((Some(name.to_owned()), "a@b.example".to_owned()));
        assert_eq!(shown("Ann <a@b.example>"), named("Ann"));
        assert_eq!(shown("\"Ann, Bee\" <a@b.example>"), named("Ann, Bee"));
        assert_eq!(shown("Jürgen; x:y <a@b.example>"), named("Jürgen; x:y"));
    }

    #[test]
    fn ambiguous_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a b@c.d",
            "a@b c",
            "a@b,c@d",
            "a@b;c@d",
            "a@b.c>",
            "<a@b.c",
            "a@b.c>\r\nRCPT TO:<x@y.z",
            "a@b.c\r\nBcc: x@y.z",
            "a@b.c\n",
            "a\0@b.c",
            "\"a b\"@c.d",
            "\"a\\\"@x\"@c.d",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@.b",
            "a@b..c",
            "a@-b.c",
            "a@b-.c",
            "a@b%2ec",
            "a@b/c",
            "a@b:25",
            "a(c)@b.c",
            "a@b.c (x)",
            "Ann <a@b.c>, Bob <b@c.d>",
            "Ann <a@b.c> <b@c.d>",
            "Ann \"x\" <a@b.c>",
            "Ann\r\n <a@b.c>",
            "A\u{85}B <a@b.c>",
            "a@b.c SIZE=1",
            "a\u{2028}@b.c",
            "a@b.c>NOTIFY=NEVER",
            "=?utf-8?q?a?=@b c",
        ] {
            assert!(mailbox(text).is_err(), "{text:?}");
        }
        assert!(mailbox(&format!("{}@b.c", "a".repeat(65))).is_err());
        assert!(mailbox(&format!("a@{}.c", "b".repeat(64))).is_err());
        assert!(mailbox(&format!("{} <a@b.c>", "n".repeat(256))).is_err());
    }
}
