//! The option `encryptionKeys`: a list of keys, or a function that gives one.
//!
//! Invariant: no message repeats a key, nor a part of one.

use super::fields::{Fields, describe};
use crate::error::{Error, Problem, Result};
use crate::store::sealed::{EncryptionKey, KEY_BYTES, Keyring};
use crate::text::json;
use async_trait::async_trait;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Name of the option, which is where problems of what the function gives are.
pub const OPTION: &str = "encryptionKeys";

const WANTED: &str = "32 random bytes in Base64 or hex, as `openssl rand -base64 32` makes them, or a Buffer";

/// With or without padding, whatever its last bits are.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Where the keys come from.
#[derive(Clone, Debug, Default)]
pub enum EncryptionKeys {
    /// Nothing is encrypted.
    #[default]
    None,
    /// They were given.
    Given(Arc<Keyring>),
    /// A function is asked for them, once, before the store is opened.
    Asked,
}

/// The function that gives the keys.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Its answer: JSON text, for [`read_keys`].
    async fn keys(&self) -> Result<Zeroizing<String>>;
}

pub(super) fn read_option(fields: &mut Fields<'_>) -> EncryptionKeys {
    match fields.raw(OPTION) {
        None => EncryptionKeys::None,
        Some("true") => EncryptionKeys::Asked,
        Some(text) => match read_keys(text, &fields.path(OPTION)) {
            Ok(keys) => EncryptionKeys::Given(Arc::new(keys)),
            Err(error) => {
                fields.problems.extend(error.details);
                EncryptionKeys::None
            }
        },
    }
}

/// Reads a list of keys, JSON. `path` is where it is, for problems.
///
/// # Errors
/// `VALIDATION_ERROR` with every problem.
pub fn read_keys(text: &str, path: &str) -> Result<Keyring> {
    let Some(list) = json::list(text) else {
        let message = format!(
            "must be a list of `{{ id, key }}` or a function that gives one, got {}",
            describe(text)
        );
        return Err(Problem::new(path, message).into());
    };
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    for (index, entry) in list.into_iter().enumerate() {
        match Fields::read(entry, &format!("{path}[{index}]")) {
            Ok(mut fields) => {
                keys.extend(read_key(&mut fields));
                problems.extend(fields.problems);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid(problems));
    }
    Keyring::new(&keys, path)
}

fn read_key(fields: &mut Fields<'_>) -> Option<EncryptionKey> {
    fields.refuse_unknown(&["id", "key"]);
    for name in ["id", "key"] {
        if fields.raw(name).is_none() {
            let wanted = if name == "id" {
                "a name, such as '2026-01'"
            } else {
                WANTED
            };
            fields.problem(name, format!("is missing; give it {wanted}"));
        }
    }
    let id = fields.string("id");
    let text = Zeroizing::new(fields.string("key")?.into_owned());
    let bytes = decode(text.trim());
    match bytes
        .as_ref()
        .map(|bytes| <[u8; KEY_BYTES]>::try_from(bytes.as_slice()))
    {
        Some(Ok(bytes)) => Some(EncryptionKey {
            id: id?.into(),
            bytes: Zeroizing::new(bytes),
        }),
        Some(Err(_)) => {
            let got = bytes.map_or(0, |bytes| bytes.len());
            fields.problem("key", format!("has {got} bytes; give it {WANTED}"));
            None
        }
        None => {
            fields.problem("key", format!("is neither Base64 nor hex; give it {WANTED}"));
            None
        }
    }
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let hex = text.len() == 2 * KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = text.as_bytes().chunks_exact(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        return bytes.collect::<Option<Vec<u8>>>().map(Zeroizing::new);
    }
    let decoded =
        [alphabet::STANDARD, alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(&alphabet, LENIENT).decode(text));
    decoded.into_iter().find_map(|decoded| decoded.ok().map(Zeroizing::new))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    fn bytes() -> Vec<u8> {
        (0..32).map(|byte| 255 - byte * 3).collect()
    }

    #[test]
    fn a_key_is_read_in_every_spelling() {
        let hex: String = bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [
            STANDARD.encode(bytes()),
            URL_SAFE_NO_PAD.encode(bytes()),
            hex.to_lowercase(),
            hex,
        ] {
            assert_eq!(decode(&text).unwrap().as_slice(), bytes(), "{text}");
        }
    }

    #[test]
    fn every_problem_names_its_path_and_none_shows_a_key() {
        let good = STANDARD.encode(bytes());
        let short = STANDARD.encode(&bytes()[1..]);
        let refused = |list: &str| {
            let error = read_keys(list, "encryptionKeys").unwrap_err();
            assert!(
                !error.message.contains(&good) && !error.message.contains(&short),
                "{error}"
            );
            let paths = error.details.iter().map(|problem| problem.path.clone());
            (paths.collect::<Vec<_>>().join(" "), error.message)
        };
        assert_eq!(refused("{}").0, "encryptionKeys");
        assert_eq!(refused("[]").0, "encryptionKeys");
        assert_eq!(refused("[1]").0, "encryptionKeys[0]");
        assert_eq!(refused("[{}]").0, "encryptionKeys[0].id encryptionKeys[0].key");
        assert_eq!(
            refused(&format!("[{{\"id\":1,\"key\":\"{good}\"}}]")).0,
            "encryptionKeys[0].id"
        );
        assert_eq!(
            refused(&format!("[{{\"id\":\"a\",\"kee\":\"{good}\"}}]")).0,
            "encryptionKeys[0].kee encryptionKeys[0].key"
        );
        let (path, message) = refused(&format!("[{{\"id\":\"a\",\"key\":\"{short}\"}}]"));
        assert_eq!(path, "encryptionKeys[0].key");
        assert!(
            message.contains("has 31 bytes") && message.contains("openssl rand -base64 32"),
            "{message}"
        );
        let (_, message) = refused("[{\"id\":\"a\",\"key\":\"hunter2!\"}]");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
