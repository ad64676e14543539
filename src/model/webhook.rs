//! A webhook as its owner defines it: pure rules, no I/O.
//!
//! Invariant: a secret is shown by nothing here but [`WebhookSecret::expose`], which is for stores and signatures.

use super::EventKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Fewest bytes of a key: what the Standard Webhooks scheme asks for.
const MIN_KEY_BYTES: usize = 24;
/// Most bytes of a key.
const MAX_KEY_BYTES: usize = 256;
/// What a key in Base64 begins with.
const BASE64_PREFIX: &str = "whsec_";

/// The secret that a webhook's receiver shares: `whsec_` and the key in Base64, or a text whose bytes are the key.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Box<str>);

impl WebhookSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// What is wrong with it, without any part of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let secret = Self(text.into());
        let Some(key) = secret.decoded() else {
            return Err("begins with whsec_ and is not Base64 after that".to_owned());
        };
        if (MIN_KEY_BYTES..=MAX_KEY_BYTES).contains(&key.len()) {
            return Ok(secret);
        }
        Err(format!(
            "must be a key of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, got {}; make one with `'whsec_' + crypto.randomBytes(32).toString('base64')`",
            key.len()
        ))
    }

    /// A secret as a store kept it.
    #[must_use]
    pub fn stored(text: Box<str>) -> Self {
        Self(text)
    }

    /// The key that signs.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        // What was read once can be read again.
        self.decoded().unwrap_or_default()
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is shown in its place.
    #[must_use]
    pub fn masked(&self) -> &'static str {
        if self.0.starts_with(BASE64_PREFIX) {
            "whsec_****"
        } else {
            "****"
        }
    }

    fn decoded(&self) -> Option<Vec<u8>> {
        match self.0.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).ok(),
            None => Some(self.0.as_bytes().to_vec()),
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.masked())
    }
}

/// A set of events, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventMask(pub u32);

impl EventMask {
    /// The set of these.
    #[must_use]
    pub fn of(kinds: &[EventKind]) -> Self {
        Self(kinds.iter().fold(0, |mask, kind| mask | kind.bit()))
    }

    /// Whether it holds this one.
    #[must_use]
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Its events, by number.
    pub fn kinds(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_base64_with_prefix_and_plain_text_without() {
        let key = STANDARD.encode([7_u8; 24]);
        assert_eq!(WebhookSecret::parse(&format!("whsec_{key}")).unwrap().key(), [7_u8; 24]);
        let plain = "a plain text of 24 bytes";
        assert_eq!(WebhookSecret::parse(plain).unwrap().key(), plain.as_bytes());
    }

    #[test]
    fn invalid_secret_is_refused_without_echoing_it() {
        let short = format!("whsec_{}", STANDARD.encode([7_u8; 23]));
        for text in ["", "tooshort", "whsec_", "whsec_&&&&", &short, &"x".repeat(257)] {
            let refused = WebhookSecret::parse(text).unwrap_err();
            assert!(
                text.is_empty() || text == "whsec_" || !refused.contains(text),
                "{refused}"
            );
        }
    }

    #[test]
    fn secret_is_masked_in_debug_output() {
        let secret = WebhookSecret::parse("a plain text of 24 bytes").unwrap();
        assert_eq!(format!("{secret:?} {}", secret.masked()), "**** ****");
    }

    #[test]
    fn event_mask_round_trips() {
        let mask = EventMask::of(&[EventKind::Failed, EventKind::Scheduled]);
        assert_eq!(
            mask.kinds().collect::<Vec<_>>(),
            [EventKind::Scheduled, EventKind::Failed]
        );
    }
}
