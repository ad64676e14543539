//! Keys, and sealing and opening with them: AES-256-GCM.
//!
//! Knows no store. Invariants: no key is shown, not even by `Debug`; a text is sealed under a message key of its own, so
//! that the number of texts of one key has no bound that matters; what was sealed for one field opens for no other.

use crate::error::{Error, ErrorCode, Problem, Result};
use crate::store::payload::{
    Field, JSON_PREFIX, JSON_SUFFIX, MAX_KEY_ID_BYTES, OVERHEAD_BYTES, SealedText, TEXT_PREFIX, Unreadable, is_key_id,
    looks_sealed,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Random bytes before a ciphertext: the first choose its message key, the others are the nonce.
const SALT_BYTES: usize = 24;
const KEY_SALT_BYTES: usize = SALT_BYTES - NONCE_LEN;
/// Most keys of a process.
const MAX_KEYS: usize = 100;

/// A key as it was given.
pub struct EncryptionKey {
    /// What it is called in every text that it seals.
    pub id: Box<str>,
    /// The key.
    pub bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys of a process. Empty: nothing is sealed.
#[derive(Default)]
pub struct Keyring {
    /// All open.
    keys: Vec<DerivedKey>,
    /// Which of them seals: the first one, until another process is known to seal with one that came later.
    sealing: AtomicUsize,
}

/// What a key is used as.
struct DerivedKey {
    id: Box<str>,
    /// Makes the key of each message.
    messages: hmac::Key,
    /// Makes digests of inputs.
    digests: hmac::Key,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

/// What a column was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Not sealed: it is the text.
    Clear,
    /// Sealed, and this is the text.
    Text(Box<str>),
    /// Sealed, and it cannot be read.
    Unreadable(Unreadable),
}

impl Keyring {
    /// The keys, of which the first one seals.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with every problem, by paths from `path` on; no problem repeats a key.
    pub fn new(keys: &[EncryptionKey], path: &str) -> Result<Self> {
        let mut problems = Vec::new();
        if keys.is_empty() || keys.len() > MAX_KEYS {
            let message = format!(
                "must hold 1 to {MAX_KEYS} keys, got {}; leave the option out to store payloads as they are",
                keys.len()
            );
            problems.push(Problem::new(path, message));
        }
        for (index, key) in keys.iter().enumerate() {
            let before = keys.get(..index).unwrap_or_default();
            if !is_key_id(&key.id) {
                let message = format!("must be 1 to {MAX_KEY_ID_BYTES} characters of A-Z, a-z, 0-9, '.', '_' and '-'");
                problems.push(Problem::new(format!("{path}[{index}].id"), message));
            } else if before.iter().any(|other| other.id == key.id) {
                let message = format!(
                    "'{}' is the id of an earlier key; give each key an id of its own",
                    key.id
                );
                problems.push(Problem::new(format!("{path}[{index}].id"), message));
            }
            let weak = key.bytes.iter().all(|byte| Some(byte) == key.bytes.first());
            let twice = before.iter().any(|other| other.bytes == key.bytes);
            if weak || twice {
                let what = if weak {
                    "repeats one byte"
                } else {
                    "is the key of an earlier id"
                };
                let message = format!("{what}; make a new one with `openssl rand -base64 32`");
                problems.push(Problem::new(format!("{path}[{index}].key"), message));
            }
        }
        if !problems.is_empty() {
            return Err(Error::invalid(problems));
        }
        Ok(Self {
            keys: keys.iter().map(DerivedKey::new).collect::<Result<_>>()?,
            sealing: AtomicUsize::new(0),
        })
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the keys, in the order in which they were given.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.id)
    }

    /// Id of the key that seals.
    pub fn sealing_id(&self) -> Option<&str> {
        self.sealing().map(|key| &*key.id)
    }

    /// Seals with the key of this number from now on.
    pub(super) fn seal_with(&self, index: usize) {
        self.sealing.store(index, Ordering::Relaxed);
    }

    fn sealing(&self) -> Option<&DerivedKey> {
        self.keys.get(self.sealing.load(Ordering::Relaxed))
    }

    /// The text to store in place of `text`. `None`: the text itself, as there are no keys.
    ///
    /// # Errors
    /// `STORE_ERROR` when the system gives no random numbers.
    pub fn seal(&self, field: &Field<'_>, text: &str) -> Result<Option<Box<str>>> {
        let (prefix, suffix) = if field.is_json() {
            (JSON_PREFIX, JSON_SUFFIX)
        } else {
            (TEXT_PREFIX, "")
        };
        let Some(key) = self.sealing() else {
            // Only quoted, so that it is not taken for what it looks like.
            let quoted = || format!("{prefix}:{}{suffix}", URL_SAFE_NO_PAD.encode(text)).into();
            return Ok(looks_sealed(text).then(quoted));
        };
        let sealed = key.seal(&field.binding(), text.as_bytes()).ok_or_else(no_randomness)?;
        let size = prefix.len() + key.id.len() + 1 + sealed.len().div_ceil(3) * 4 + suffix.len();
        let mut stored = String::with_capacity(size);
        stored.push_str(prefix);
        stored.push_str(&key.id);
        stored.push(':');
        URL_SAFE_NO_PAD.encode_string(sealed, &mut stored);
        stored.push_str(suffix);
        Ok(Some(stored.into()))
    }

    /// Reads a column.
    #[must_use]
    pub fn open(&self, field: &Field<'_>, text: &str) -> Opened {
        if !looks_sealed(text) {
            return Opened::Clear;
        }
        let Some(sealed) = SealedText::read(text) else {
            return Opened::Clear;
        };
        match self.open_sealed(field, sealed) {
            Ok(text) => Opened::Text(text),
            Err(unreadable) => Opened::Unreadable(unreadable),
        }
    }

    fn open_sealed(&self, field: &Field<'_>, sealed: SealedText<'_>) -> std::result::Result<Box<str>, Unreadable> {
        let damaged = || Unreadable::Damaged(sealed.key.into());
        let decoded = |encoded: &str| URL_SAFE_NO_PAD.decode(encoded).map_err(|_| damaged());
        let plain = if sealed.key.is_empty() {
            decoded(sealed.encoded)?
        } else {
            let key = self.keys.iter().find(|key| *key.id == *sealed.key);
            let key = key.ok_or_else(|| Unreadable::MissingKey(sealed.key.into()))?;
            key.open(&field.binding(), decoded(sealed.encoded)?)
                .ok_or_else(damaged)?
        };
        String::from_utf8(plain).map(Into::into).map_err(|_| damaged())
    }

    /// What stands for an input where dispatches are compared: equal for equal inputs, and of no use without the key that
    /// seals. `None`: the input itself, as there are no keys.
    #[must_use]
    pub fn digest(&self, input: &str) -> Option<Box<str>> {
        let key = self.sealing()?;
        let digest = hmac::sign(&key.digests, input.as_bytes());
        Some(URL_SAFE_NO_PAD.encode(digest).into())
    }

    /// Whether a column is sealed with the key that seals now.
    #[must_use]
    pub fn is_current(&self, text: &str) -> bool {
        let sealed = SealedText::read(text);
        sealed.is_some_and(|sealed| self.sealing_id() == Some(sealed.key))
    }
}

/// As much key material as HMAC-SHA-256 takes.
struct HmacKeyLength;

impl hkdf::KeyType for HmacKeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl DerivedKey {
    fn new(key: &EncryptionKey) -> Result<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ductape payload encryption 1");
        let secret = salt.extract(&*key.bytes);
        let derive = |purpose: &[u8]| {
            let mut derived = Zeroizing::new([0; KEY_BYTES]);
            secret
                .expand(&[purpose], HmacKeyLength)
                .and_then(|key| key.fill(&mut *derived))
                .map_err(|_| Error::new(ErrorCode::StoreError, "cannot derive keys from an encryption key"))?;
            Ok::<_, Error>(hmac::Key::new(hmac::HMAC_SHA256, &*derived))
        };
        Ok(Self {
            id: key.id.clone(),
            messages: derive(b"message keys")?,
            digests: derive(b"digests")?,
        })
    }

    /// Key and nonce of the message with this salt.
    fn of_message(&self, salt: &[u8]) -> Option<(LessSafeKey, Nonce)> {
        let (key_salt, nonce) = salt.split_at_checked(KEY_SALT_BYTES)?;
        let key = hmac::sign(&self.messages, key_salt);
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?;
        Some((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce).ok()?))
    }

    fn seal(&self, binding: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        sealed.resize(SALT_BYTES, 0);
        SystemRandom::new().fill(&mut sealed).ok()?;
        let (key, nonce) = self.of_message(&sealed)?;
        sealed.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(binding), sealed.get_mut(SALT_BYTES..)?)
            .ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    fn open(&self, binding: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (salt, ciphertext) = sealed.split_at_mut_checked(SALT_BYTES)?;
        let (key, nonce) = self.of_message(salt)?;
        let length = key.open_in_place(nonce, Aad::from(binding), ciphertext).ok()?.len();
        sealed.drain(..SALT_BYTES);
        sealed.truncate(length);
        Some(sealed)
    }
}

fn no_randomness() -> Error {
    Error::new(
        ErrorCode::StoreError,
        "cannot encrypt: the system gives no random numbers",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::model::JobId;
    use crate::store::JobSeq;

    fn key(id: &str, byte: u8) -> EncryptionKey {
        let mut bytes = Zeroizing::new([byte; KEY_BYTES]);
        bytes[0] = !byte;
        EncryptionKey { id: id.into(), bytes }
    }

    fn keyring(keys: &[(&str, u8)]) -> Keyring {
        let keys: Vec<_> = keys.iter().map(|(id, byte)| key(id, *byte)).collect();
        Keyring::new(&keys, "encryptionKeys").unwrap()
    }

    const FIELD: Field<'_> = Field::Result(JobSeq::new(1));

    fn sealed(keyring: &Keyring, text: &str) -> Box<str> {
        keyring.seal(&FIELD, text).unwrap().unwrap()
    }

    #[test]
    fn texts_of_every_size_open_as_they_were() {
        let keyring = keyring(&[("k1", 1)]);
        let big = "\u{1f980}".repeat(1 << 20);
        for text in ["", "1", "{\"a\":\"\\u0000\"}", &big] {
            let stored = sealed(&keyring, text);
            assert!(text.len() < 8 || !stored.contains(text));
            assert_eq!(SealedText::read(&stored).unwrap().plain_len(), text.len());
            assert_eq!(keyring.open(&FIELD, &stored), Opened::Text(text.into()));
        }
    }

    #[test]
    fn sealed_json_is_json_and_equal_texts_are_sealed_differently() {
        let keyring = keyring(&[("k1", 1)]);
        let (one, other) = (sealed(&keyring, "[1]"), sealed(&keyring, "[1]"));
        assert_ne!(one, other);
        let read: serde_json::Value = serde_json::from_str(&one).unwrap();
        assert!(read["$sealed"].as_str().unwrap().starts_with("k1:"), "{one}");
    }

    #[test]
    fn changed_or_moved_text_does_not_open() {
        let keyring = keyring(&[("k1", 1)]);
        let stored = sealed(&keyring, "[1,2,3]");
        let damaged = Opened::Unreadable(Unreadable::Damaged("k1".into()));
        let start = JSON_PREFIX.len() + "k1:".len();
        for at in start..stored.len() - JSON_SUFFIX.len() {
            let mut bytes = stored.clone().into_string().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character holds bits that stand for nothing, and must be zero.
            assert_eq!(keyring.open(&FIELD, &changed), damaged, "{at}");
        }
        let cut = format!("{}{JSON_SUFFIX}", &stored[..start + 8]);
        assert_eq!(keyring.open(&FIELD, &cut), damaged);
        assert_eq!(keyring.open(&FIELD, &stored[..start]), damaged);
        assert_eq!(keyring.open(&Field::Result(JobSeq::new(2)), &stored), damaged);
        assert_eq!(keyring.open(&Field::Progress(JobSeq::new(1)), &stored), damaged);
    }

    #[test]
    fn another_key_opens_nothing() {
        let stored = sealed(&keyring(&[("k1", 1)]), "[1]");
        let open = |keys| keyring(keys).open(&FIELD, &stored);
        assert_eq!(
            open(&[("k2", 1)]),
            Opened::Unreadable(Unreadable::MissingKey("k1".into()))
        );
        assert_eq!(open(&[("k1", 2)]), Opened::Unreadable(Unreadable::Damaged("k1".into())));
        assert_eq!(open(&[("k2", 2), ("k1", 1)]), Opened::Text("[1]".into()));
        let none = Keyring::default().open(&FIELD, &stored);
        assert_eq!(none, Opened::Unreadable(Unreadable::MissingKey("k1".into())));
    }

    #[test]
    fn without_keys_only_what_looks_sealed_is_quoted() {
        let none = Keyring::default();
        assert_eq!(none.seal(&FIELD, "[1]").unwrap(), None);
        assert_eq!(none.open(&FIELD, "[1]"), Opened::Clear);
        let look_alike = "{\"$sealed\":\"k1:AAAA\"}";
        let quoted = sealed(&none, look_alike);
        for keyring in [none, keyring(&[("k1", 1)])] {
            assert_eq!(keyring.open(&FIELD, &quoted), Opened::Text(look_alike.into()));
            assert!(!keyring.is_current(&quoted));
        }
        let line = Keyring::default().seal(&Field::Message, "$sealed:").unwrap().unwrap();
        assert_eq!(
            keyring(&[("k1", 1)]).open(&Field::Message, &line),
            Opened::Text("$sealed:".into())
        );
    }

    #[test]
    fn digests_depend_on_the_key_that_seals() {
        let digest = |keys| keyring(keys).digest("[1]").unwrap();
        assert_eq!(digest(&[("k1", 1)]), digest(&[("k1", 1), ("k2", 2)]));
        assert_ne!(digest(&[("k1", 1)]), digest(&[("k2", 2), ("k1", 1)]));
        assert_eq!(Keyring::default().digest("[1]"), None);
    }

    #[test]
    fn wrong_keys_are_refused_without_showing_them() {
        let paths = |keys: &[EncryptionKey]| {
            let error = Keyring::new(keys, "encryptionKeys").unwrap_err();
            assert_eq!(error.code, ErrorCode::ValidationError);
            let paths = error.details.into_iter().map(|problem| problem.path);
            paths.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths(&[]), "encryptionKeys");
        assert_eq!(paths(&[key("a b", 1)]), "encryptionKeys[0].id");
        assert_eq!(paths(&[key("a", 1), key("a", 2)]), "encryptionKeys[1].id");
        assert_eq!(paths(&[key("a", 1), key("b", 1)]), "encryptionKeys[1].key");
        let weak = EncryptionKey {
            id: "a".into(),
            bytes: Zeroizing::new([7; KEY_BYTES]),
        };
        assert_eq!(format!("{weak:?}"), "EncryptionKey(a)");
        assert_eq!(paths(&[weak]), "encryptionKeys[0].key");
        assert_eq!(format!("{:?}", keyring(&[("k2", 2), ("k1", 1)])), r#"["k2", "k1"]"#);
    }

    #[test]
    fn generated_and_chosen_ids_are_bound() {
        let keyring = keyring(&[("k1", 1)]);
        let (one, other) = (JobId::generate(), JobId::Custom("a".into()));
        let stored = keyring.seal(&Field::Input(&one), "1").unwrap().unwrap();
        assert_eq!(keyring.open(&Field::Input(&one), &stored), Opened::Text("1".into()));
        let moved = keyring.open(&Field::Input(&other), &stored);
        assert_eq!(moved, Opened::Unreadable(Unreadable::Damaged("k1".into())));
    }
}
