//! The secret and the events of a webhook. Pure: no I/O.
//!
//! Invariant: only [`WebhookSecret::expose`] reveals a secret; it is for stores and signatures.

use super::EventKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// Minimum length of a key, as the Standard Webhooks scheme requires.
const RECOMMENDED_KEY_BYTES: usize = 24;
/// Maximum length of a key.
const MAX_KEY_BYTES: usize = 256;
/// Prefix of a key in Base64.
const BASE64_PREFIX: &str = "whsec_";

/// The secret shared with the receiver of a webhook: `whsec_` and the key in Base64, or a text whose bytes are the key.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Box<str>);

impl WebhookSecret {
    /// Parses a secret.
    ///
    /// # Errors
    /// A message that contains no part of the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("must not contain U+0000, which databases cannot store".to_owned());
        }
        let secret = Self(text.into());
        let Some(key) = secret.decoded() else {
            return Err("begins with whsec_ and is not Base64 after that".to_owned());
        };
        if (1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Ok(secret);
        }
        Err(format!(
            "must be a key of at most {MAX_KEY_BYTES} bytes, and of {RECOMMENDED_KEY_BYTES} at least to be safe, got {}; make one with `'whsec_' + crypto.randomBytes(32).toString('base64')`",
            key.len()
        ))
    }

    /// Why the secret should be another one, if so.
    #[must_use]
    pub fn weakness(&self) -> Option<String> {
        let length = self.key().len();
        (length < RECOMMENDED_KEY_BYTES).then(|| {
            format!(
                "its secret is a key of {length} bytes, which can be guessed: use {RECOMMENDED_KEY_BYTES} to {MAX_KEY_BYTES}, as of \
                 `'whsec_' + crypto.randomBytes(32).toString('base64')`"
            )
        })
    }

    /// A secret from the store, which was checked before it was stored.
    #[must_use]
    pub fn stored(text: Box<str>) -> Self {
        Self(text)
    }

    /// The signing key.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        // Decoding cannot fail: the secret was checked when it was set.
        self.decoded().unwrap_or_default()
    }

    /// The secret in plain text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text to show instead of the secret.
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
    /// The set of these events.
    #[must_use]
    pub fn of(kinds: &[EventKind]) -> Self {
        Self(kinds.iter().fold(0, |mask, kind| mask | kind.bit()))
    }

    /// Whether the set contains this event.
    #[must_use]
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The events of the set, by number.
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
        for short in ["tooshort", &short] {
            let weakness = WebhookSecret::parse(short).unwrap().weakness().unwrap();
            assert!(!weakness.contains(short), "{weakness}");
        }
        assert_eq!(
            WebhookSecret::parse("a plain text of 24 bytes").unwrap().weakness(),
            None
        );
        for text in ["", "whsec_", "whsec_&&&&", &"x".repeat(257)] {
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
